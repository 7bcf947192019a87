/** The façade over a whole node: when it is there, and how it ends. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, References } from "effect"
import { NetAddress } from "effect/net"
import { TestClock } from "effect/testing"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import { regtest } from "../../src/chain/ChainParams.ts"
import { Network } from "../../src/network/Network.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { Simulated } from "network-effect/layers"
import { alice, mallory } from "../support/addresses.ts"
import { collectEvents } from "../support/dialWorld.ts"
import { settle } from "../support/time.ts"

const where = { host: alice, seed: 1 }

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

describe("the network", () => {
  it.effect("is there while nobody is, and says when it has started", () =>
    Effect.gen(function* () {
      const network = yield* Network
      yield* network.awaitStarted
      const waiting = yield* Effect.forkChild(network.awaitReady({ peers: 1 }), { startImmediately: true })
      yield* settle
      assert.isUndefined(waiting.pollUnsafe())
    }).pipe(
      Effect.provide(Simulated.layer({ ...where, chain: regtest, listenAddress: alice })),
      Effect.provide(SimNetwork.layer),
      quietly
    )
  )

  it.effect("ends, and says why, when a task of a guest ends", () =>
    Effect.gen(function* () {
      const network = yield* Network
      const events = yield* collectEvents
      const waiting = yield* Effect.forkChild(Effect.flip(network.awaitReady({ peers: 1 })), { startImmediately: true })
      yield* (yield* BackgroundTasks).run("mempool", Effect.die(new Error("a bug")))
      const end = yield* Effect.flip(network.awaitEnd)
      assert.include(end, { _tag: "BackgroundTaskExited", task: "mempool" })
      assert.strictEqual(yield* Fiber.join(waiting), end)
      assert.strictEqual(yield* Effect.flip(network.awaitStarted), end)
      yield* settle
      const told = events.find(({ _tag }) => _tag === "BackgroundTaskExited")
      assert.deepInclude(told, { task: "mempool", reason: "Defect" })
    }).pipe(
      Effect.scoped,
      Effect.provide(Simulated.layer({ ...where, chain: regtest, listenAddress: alice })),
      Effect.provide(SimNetwork.layer),
      quietly
    )
  )

  it.effect("tells of a ban, until when, and of its end", () =>
    Effect.gen(function* () {
      const events = yield* collectEvents
      yield* (yield* AddressBook).ban({ address: mallory, reason: "a test", duration: Duration.minutes(1) })
      yield* settle
      const began = yield* Clock.currentTimeMillis
      const { address } = mallory
      const group = NetAddress.formatIp(address)
      const ofBans = () => events.filter(({ _tag }) => _tag === "PeerBanned" || _tag === "BanEnded")
      assert.deepStrictEqual(ofBans(), [
        { _tag: "PeerBanned", at: began, group, reason: "a test", until: began + 60_000 }
      ])
      yield* TestClock.adjust("61 seconds")
      yield* settle
      const [, ended] = ofBans()
      assert.deepInclude(ended, { _tag: "BanEnded", group })
    }).pipe(
      Effect.scoped,
      Effect.provide(Simulated.layer({ ...where, chain: regtest, listenAddress: alice })),
      Effect.provide(SimNetwork.layer),
      quietly
    )
  )
})
