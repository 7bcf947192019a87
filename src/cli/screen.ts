/**
 * A terminal that is drawn over and over.
 *
 * @module
 */
import { Effect, Terminal } from "effect"

/** From the top left corner over what was there, and nothing left of it below. `lines` is told how many fit. */
export const draw = Effect.fnUntraced(function* (lines: (rows: number) => ReadonlyArray<string>) {
  const terminal = yield* Terminal.Terminal
  const [rows, width] = [yield* terminal.rows, yield* terminal.columns]
  const cut = lines(rows)
    .slice(0, Math.max(1, rows - 1))
    .map((line) => `${line.slice(0, width)}\x1b[K\n`)
  yield* terminal.display(`\x1b[H${cut.join("")}\x1b[J`)
})
