/**
 * A terminal that is drawn over and over.
 *
 * @module
 */
import { Effect, Stdio, Terminal } from "effect"
import { fit } from "./Text.ts"

/** From the top left corner over what was there, and nothing left of it below. `lines` is told how many fit. */
export const draw = Effect.fnUntraced(function* (lines: (rows: number) => ReadonlyArray<string>) {
  const terminal = yield* Terminal.Terminal
  const [rows, width] = [yield* terminal.rows, yield* terminal.columns]
  const cut = lines(rows)
    .slice(0, Math.max(1, rows - 1))
    .map((line) => `${fit(line, width)}\x1b[K\n`)
  yield* terminal.display(`\x1b[H${cut.join("")}\x1b[J`)
})

/** Columns there are for a line of stdout: without an end where it is no terminal, for what reads it wants all. */
export const room = Effect.gen(function* () {
  if (!(yield* (yield* Stdio.Stdio).stdoutIsTerminal)) return Infinity
  const columns = yield* (yield* Terminal.Terminal).columns
  // A terminal that does not know its size.
  return columns > 0 ? columns : 80
})
