/** Looks at addresses nobody needs yet: when, and what is left of it. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Option, Random } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import { BackgroundTasks, NetworkClosed } from "../../src/BackgroundTasks.ts"
import { ConnectionSlots } from "../../src/network/ConnectionSlots.ts"
import { ConnectError, Connector } from "../../src/network/Connector.ts"
import * as Feelers from "../../src/network/Feelers.ts"
import { InitialPeers } from "../../src/network/InitialPeers.ts"
import { DialError } from "../../src/transport/Transport.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { SimRuntime } from "../../src/simulation/SimRuntime.ts"
import { address } from "../support/bookWorld.ts"
import { collectEvents, dialWorld, emptyLog } from "../support/dialWorld.ts"

describe("feelers", () => {
  const felt: Array<string> = []
  const world = (isFull: () => boolean, outbound = 75, fails?: () => ConnectError) =>
    Layer.mergeAll(
      AddressBook.layerTest({
        takeFeeler: Effect.sync(() =>
          Option.some(
            PeerAddress.ownListener(address(`10.0.0.${felt.length + 1}:8233`), { wallSeconds: 0, monotonicMillis: 0 })
          )
        )
      }),
      Layer.mock(ConnectionSlots, {
        hasRoom: () => !isFull(),
        used: () => 0,
        open: () => 0,
        settle: () => false,
        exchange: () => false,
        limits: { outbound, inbound: 125, trusted: 0, handshake: 0, "stale tip": 0 }
      }),
      Layer.mock(Connector, {
        feel: (one) =>
          Effect.suspend(() => {
            felt.push(PeerSocketAddress.format(one))
            return fails === undefined ? Effect.void : Effect.fail(fails())
          })
      })
    )

  it.effect.each([
    // Logarithm of two: 0.6931 of two minutes.
    { name: "as chance says", drawn: 0.5, quietMillis: 83_177, lookMillis: 83_178 },
    { name: "for five times the mean at most", drawn: 1 - 2 ** -53, quietMillis: 599_999, lookMillis: 600_000 }
  ])("wait $name", ({ drawn, lookMillis, quietMillis }) => {
    felt.length = 0
    return Effect.gen(function* () {
      yield* Effect.forkChild(Feelers.run)
      yield* Effect.sleep(quietMillis)
      assert.lengthOf(felt, 0)
      yield* Effect.sleep(lookMillis - quietMillis)
      assert.lengthOf(felt, 1)
    }).pipe(
      Effect.provide(world(() => true)),
      Effect.provideService(Random.Random, { nextDoubleUnsafe: () => drawn, nextIntUnsafe: () => 0 }),
      SimRuntime.within("1 hour")
    )
  })

  it.effect("begin when the first dials are over", () => {
    felt.length = 0
    const started = Deferred.makeUnsafe<void>()
    const initialPeers = Layer.mock(InitialPeers, { awaitStarted: Deferred.await(started) })
    return Effect.gen(function* () {
      yield* Effect.sleep("200 minutes")
      assert.lengthOf(felt, 0)
      yield* Deferred.succeed(started, undefined)
      yield* Effect.sleep("200 minutes")
      assert.isAbove(felt.length, 60)
    }).pipe(
      Effect.provide(
        Feelers.layer.pipe(
          Layer.provide(
            Layer.mergeAll(
              world(() => true),
              initialPeers,
              BackgroundTasks.layer
            )
          )
        )
      ),
      SimRuntime.within("10 hours")
    )
  })

  it.effect("go on when nobody is there, and end with the network", () => {
    felt.length = 0
    const nobody = new DialError({ address: "10.0.0.1:8233", code: "ECONNREFUSED", cause: "a test" })
    const closed = new NetworkClosed()
    return Effect.gen(function* () {
      const ended = yield* Effect.exit(Feelers.run)
      assert.deepStrictEqual(ended, Exit.fail(closed))
      assert.lengthOf(felt, 3)
    }).pipe(
      Effect.provide(
        world(
          () => true,
          75,
          () => new ConnectError({ reason: felt.length < 3 ? nobody : closed })
        )
      ),
      SimRuntime.within("10 hours")
    )
  })

  it.effect("look every two minutes in the mean, while every outbound place is taken", () => {
    let isFull = true
    felt.length = 0
    return Effect.gen(function* () {
      yield* Effect.forkChild(Feelers.run)
      // Not when it starts, which others can see.
      yield* Effect.sleep("1 millis")
      assert.deepStrictEqual(felt, [])
      yield* Effect.sleep("200 minutes")
      // A hundred in the mean, of a standard deviation of ten.
      assert.isAbove(felt.length, 60)
      assert.isBelow(felt.length, 140)
      isFull = false
      const before = felt.length
      yield* Effect.sleep("200 minutes")
      assert.lengthOf(felt, before)
    }).pipe(Effect.provide(world(() => isFull)), SimRuntime.within("10 hours"))
  })

  it.effect("look at nobody where no place is outbound, though every one is taken", () => {
    felt.length = 0
    return Effect.gen(function* () {
      yield* Effect.forkChild(Feelers.run)
      yield* Effect.sleep("200 minutes")
      assert.deepStrictEqual(felt, [])
    }).pipe(Effect.provide(world(() => true, 0)), SimRuntime.within("10 hours"))
  })
})

describe("looking at an address", () => {
  it.effect("shakes hands and leaves: no place is taken, no peer joins, and the book knows", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const connector = yield* Connector
      const slots = yield* ConnectionSlots
      const seen = yield* collectEvents
      yield* connector.feel(address("10.0.0.1:8233"))
      assert.strictEqual(slots.used("outbound"), 0)
      assert.strictEqual(log.held.size, 0)
      assert.deepStrictEqual(
        seen.map((event) => event._tag),
        ["DialStarted", "PeerRefused"]
      )
      assert.deepStrictEqual(
        log.dials.map(({ address }) => address),
        ["10.0.0.1:8233"]
      )
    }).pipe(Effect.provide(dialWorld(log, { outcome: () => "stays" })), Effect.scoped, SimRuntime.within("1 hour"))
  })

  it.effect("tells the book of nobody, and keeps the pace of all dials", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const connector = yield* Connector
      const book = yield* AddressBook
      for (const text of ["10.0.0.1:8233", "10.0.0.2:8233"]) {
        const error = yield* Effect.flip(connector.feel(address(text)))
        assert.strictEqual(error.code, "ECONNREFUSED")
        assert.strictEqual(Option.getOrThrow(yield* book.get(address(text))).state, "Failed")
      }
      assert.strictEqual(log.dials[1]!.atMillis - log.dials[0]!.atMillis, 100)
    }).pipe(Effect.provide(dialWorld(log)), SimRuntime.within("1 hour"))
  })
})
