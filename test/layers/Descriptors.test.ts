/** What an operator is told of file descriptors. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Descriptors from "../../layers/Descriptors.ts"
import { defaults, inboundLimit, outboundLimit } from "../../src/Policy.ts"
import { linesOf } from "../support/logs.ts"

/** A system with this limit, whose process has as many open as `open` says. */
const system = (limit: number, open: () => number) =>
  FileSystem.layerNoop({
    readFileString: () =>
      Effect.succeed(`Limit  Soft Limit  Hard Limit  Units\nMax open files  ${limit}  ${limit}  files\n`),
    readDirectory: () => Effect.sync(() => Array.from({ length: open() }, (_, fd) => String(fd)))
  })

const needed = inboundLimit(defaults) + outboundLimit(defaults) + 50
const tooFew =
  "Warn: this process may open fewer files than it has places for connections: raise the limit (ulimit -n, LimitNOFILE)"
const usedUp = "Warn: all file descriptors are in use: connections are refused until some are free"

describe("file descriptors", () => {
  it.effect("are too few for the places there are, or enough: said at the start", () =>
    Effect.gen(function* () {
      const told = (limit: number) =>
        linesOf(Effect.scoped(Effect.asVoid(Layer.build(Descriptors.layer)))).pipe(
          Effect.provide(system(limit, () => 20))
        )
      assert.deepStrictEqual(yield* told(needed - 1), [tooFew])
      assert.deepStrictEqual(yield* told(needed), [])
    })
  )

  it.effect("that are used up are said once while it lasts", () =>
    Effect.gen(function* () {
      let open = 20
      const lines = yield* linesOf(
        Effect.gen(function* () {
          yield* Layer.build(Descriptors.layer)
          for (const count of [1020, 1021, 1023, 1024, 500, 1024, 1024]) {
            open = count
            yield* TestClock.adjust("10 seconds")
          }
        }).pipe(Effect.scoped)
      ).pipe(Effect.provide(system(1024, () => open)))
      assert.deepStrictEqual(lines, [usedUp, usedUp])
    })
  )

  it.effect("are nothing to speak of where nobody can say how many there are", () =>
    Effect.gen(function* () {
      const lines = yield* linesOf(Effect.scoped(Effect.asVoid(Layer.build(Descriptors.layer)))).pipe(
        Effect.provide(FileSystem.layerNoop({}))
      )
      assert.deepStrictEqual(lines, [])
    })
  )
})
