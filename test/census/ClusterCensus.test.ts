/** What one machine of a census by several does with the dials that it is given. The frontier is a script. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Stream } from "effect"
import { TestRunner } from "effect/cluster"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import * as SqliteClient from "../../layers/SqliteClient.ts"
import { CensusStore } from "../../src/census/CensusStore.ts"
import * as ClusterCensus from "../../src/census/ClusterCensus.ts"
import { Finding } from "../../src/census/Finding.ts"
import { KeptCensus } from "../../src/census/KeptCensus.ts"
import { type Next, SharedFrontier } from "../../src/census/SharedFrontier.ts"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { DialError, InboundTransport, ListenError, OutboundTransport } from "../../src/transport/Transport.ts"

const address = PeerSocketAddress.fromStringUnsafe("127.0.0.1:1")
const nothing = { known: 1, visited: 0, reached: 0, dials: 0, underWay: 0, waiting: 0, doubtful: 0 }

/**
 * A run of one host, of which nobody answers. `begins` is the time until its dial is known to be begun, `ends` that from
 * the end of the run until its machine knows that the last dial counts as ended. */
const play = (begins: Duration.Input, ends: Duration.Input) => {
  const dialled: Array<string> = []
  let isOver = false
  let left = 1
  const run = { id: 1, userAgent: "/test/", protocolVersion: 170_190 }
  const frontier = Layer.effect(
    SharedFrontier,
    Effect.gen(function* () {
      const store = yield* CensusStore
      return SharedFrontier.of({
        open: (options) => Effect.as(store.begin(options), { ...run, isNew: true }),
        current: () => Effect.sync(() => (isOver ? undefined : run)),
        begin: () =>
          Effect.suspend(() => {
            const isLeft = left-- > 0
            const next: Next = isLeft
              ? { _tag: "Begun", host: "127.0.0.1:1", address, how: "Explored", at: 1 }
              : { _tag: "Nothing" }
            return Effect.delay(Effect.succeed(next), isLeft ? begins : 0)
          }),
        reached: () => Effect.succeed(true),
        // In the database it is over before its machine knows.
        unreachable: () =>
          Effect.andThen(
            Effect.sync(() => (isOver = true)),
            Effect.sleep(ends)
          ),
        tell: () => Effect.void,
        tend: () => Effect.succeed(left > 0 ? ["127.0"] : []),
        progress: () =>
          Effect.sync(() =>
            Finding.Progress({ ...nothing, atMillis: 0, elapsedMillis: 0, end: isOver ? "Exhausted" : null })
          )
      })
    })
  )
  const layer = ClusterCensus.layer.pipe(
    Layer.provide(frontier),
    Layer.provideMerge(CensusStore.layer),
    Layer.provide(SqliteClient.layer(":memory:")),
    Layer.provide(TestRunner.layer),
    Layer.provide(
      Layer.succeed(OutboundTransport, {
        dial: (address) =>
          Effect.suspend(() => {
            dialled.push(PeerSocketAddress.format(address))
            return Effect.fail(new DialError({ address: "", code: "ECONNREFUSED", cause: "" }))
          })
      })
    ),
    Layer.provide(
      Layer.succeed(InboundTransport, {
        listen: () => Effect.fail(new ListenError({ address: "", code: "", cause: "" }))
      })
    ),
    Layer.provide(SecureRandom.layerWebCrypto),
    Layer.provide(Layer.succeed(ChainParams, regtest))
  )
  return Effect.gen(function* () {
    const census = yield* KeptCensus
    const { findings } = yield* census.begin({
      network: "Regtest",
      from: [address],
      for: undefined,
      userAgent: "/test/",
      protocolVersion: 170_190,
      listen: undefined,
      keep: Duration.days(1),
      onWait: Effect.void
    })
    const seen: Array<string> = []
    const reading = yield* Effect.forkScoped(
      Stream.runForEach(findings, ({ _tag }) => Effect.sync(() => _tag !== "Progress" && seen.push(_tag)))
    )
    for (let minutes = 0; minutes < 25; minutes++) yield* TestClock.adjust("1 minute")
    return { dialled, seen, isOver: reading.pollUnsafe() !== undefined }
  }).pipe(Effect.scoped, Effect.provide(layer))
}

describe("a machine of a census by several", () => {
  it.effect("makes a dial that it is given", () =>
    Effect.gen(function* () {
      const { dialled, isOver, seen } = yield* play("1 minute", 0)
      assert.deepStrictEqual([dialled, seen, isOver], [["127.0.0.1:1"], ["Unreachable"], true])
    })
  )

  it.effect("shows what it found last, though the run ends with it", () =>
    Effect.gen(function* () {
      const { isOver, seen } = yield* play("1 minute", "3 seconds")
      assert.deepStrictEqual([seen, isOver], [["Unreachable"], true])
    })
  )

  it.effect("makes none that it learns of when another machine may dial the host", () =>
    Effect.gen(function* () {
      const { dialled, isOver } = yield* play("16 minutes", 0)
      assert.deepStrictEqual([dialled, isOver], [[], false])
    })
  )
})
