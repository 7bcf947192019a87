import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Metric, type Scope } from "effect"
import { regtest } from "../../src/chain/ChainParams.ts"
import { ClientDropped } from "../../src/peer/Peer.ts"
import type { Request } from "../../src/peer/Request.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { Message } from "../../src/wire/Message.ts"
import { bob as bobAddress } from "../support/addresses.ts"
import { hash } from "./items.ts"
import { pass, rig, settle, start, world } from "./rig.ts"

const peers: Request = { _tag: "Peers" }
const mempool: Request = { _tag: "MempoolTransactionIds" }
const connected = { _tag: "OutboundDirect", address: bobAddress } as const
const tagOf = (result: unknown): unknown =>
  typeof result === "object" && result !== null && "_tag" in result ? result._tag : result

/** Fibers that run now. */
const fibers = Effect.map(Metric.snapshot, (metrics) => {
  const active = metrics.find(({ id }) => id === "child_fibers_active")
  return active?.type === "Gauge" ? Number(active.state.value) : 0
})

/** Loggers that keep what is an error. */
const silent = (errors: Array<unknown> = []) =>
  Logger.layer([
    Logger.make(({ logLevel, message }) => {
      if (logLevel === "Error" || logLevel === "Fatal") errors.push(message)
    })
  ])

type Rig = Effect.Success<ReturnType<typeof rig>>

interface Waiting {
  readonly result: () => unknown
}

/** What the connection does when it ends. Answers whoever waits for something. */
type Situation = (rig: Rig) => Effect.Effect<ReadonlyArray<Waiting>, never, SimNetwork | Scope.Scope>

const idle: Situation = () => Effect.succeed([])

const inFlight: Situation = ({ bob, peer }) =>
  Effect.gen(function* () {
    const first = yield* start(peer.request(mempool))
    yield* bob.hears
    return [first]
  })

const inFlightAndQueued: Situation = (rig) =>
  Effect.gen(function* () {
    const first = yield* inFlight(rig)
    const second = yield* start(rig.peer.request(peers))
    const third = yield* start(rig.peer.request(peers))
    const room = yield* start(rig.peer.awaitReady)
    return [...first, second, third, room]
  })

const beingSent: Situation = ({ peer, stall }) =>
  Effect.gen(function* () {
    yield* stall
    const first = yield* start(peer.request(mempool))
    const second = yield* start(peer.request(peers))
    yield* settle
    return [first, second]
  })

const advertBeingWritten: Situation = (rig) =>
  Effect.gen(function* () {
    const first = yield* inFlight(rig)
    yield* rig.stall
    const adverts = [yield* start(rig.peer.advertiseBlock(hash(1))), yield* start(rig.peer.advertiseBlock(hash(2)))]
    yield* settle
    return [...first, ...adverts]
  })

const answering: Situation = ({ bob, peer }) =>
  Effect.gen(function* () {
    yield* bob.says(Message.GetAddr())
    yield* settle
    return [yield* start(peer.request(mempool)), yield* start(peer.advertiseBlock(hash(1)))]
  })

const pinging: Situation = ({ bob, peer }) =>
  Effect.gen(function* () {
    yield* pass("59 seconds")
    assert.strictEqual(tagOf(yield* bob.hears), "Ping")
    return [yield* start(peer.request(mempool))]
  })

const situations: Record<string, Situation> = {
  idle,
  "a request in flight": inFlight,
  "more requests behind it": inFlightAndQueued,
  "a request being sent": beingSent,
  "an advert being written": advertBeingWritten,
  "a request of the peer being answered": answering,
  "a ping unanswered": pinging
}

/** How it ends, with what error, and whether somebody notices who does not listen at the moment. */
interface Ending {
  readonly error: string
  readonly end: (rig: Rig) => Effect.Effect<unknown>
  readonly isLocal: boolean
}

const frame = Frame.encode(regtest.magic, { command: "ping", body: new Uint8Array(8) })

const corrupted = (change: (bytes: Uint8Array) => void) => {
  const bytes = Uint8Array.from(frame)
  change(bytes)
  return bytes
}

const endings: Record<string, Ending> = {
  "the scope closes": { error: "ConnectionDropped", end: ({ closeAlice }) => closeAlice, isLocal: true },
  "we close it": { error: "ClientDropped", end: ({ peer }) => peer.close(new ClientDropped()), isLocal: true },
  "the peer hangs up": { error: "ConnectionClosed", end: ({ closeBob }) => closeBob, isLocal: false },
  "the magic is wrong": {
    error: "Serialization",
    end: ({ bob }) => bob.sayBytes(corrupted((bytes) => bytes.fill(1, 0, 4))),
    isLocal: false
  },
  "the body is too long": {
    error: "Serialization",
    end: ({ bob }) => bob.sayBytes(corrupted((bytes) => bytes.fill(255, 16, 20))),
    isLocal: false
  },
  "the checksum is wrong": {
    error: "Serialization",
    end: ({ bob }) => bob.sayBytes(corrupted((bytes) => bytes.fill(1, 20, 24))),
    isLocal: false
  },
  "the body is too short": {
    error: "Serialization",
    end: ({ bob }) => bob.saysRaw("ping", new Uint8Array(7)),
    isLocal: false
  },
  "two refusals come in one chunk": {
    error: "Serialization",
    end: ({ bob }) => bob.sayBytes(Buffer.concat([corrupted((bytes) => bytes.fill(1, 20, 24)), new Uint8Array(24)])),
    isLocal: false
  },
  "a refusal and the end come together": {
    error: "Serialization",
    end: ({ bob, closeBob }) => Effect.andThen(bob.saysRaw("ping", new Uint8Array(7)), closeBob),
    isLocal: false
  },
  "the stream ends inside of a message": {
    error: "Serialization",
    end: ({ bob, closeBob }) => Effect.andThen(bob.sayBytes(frame.subarray(0, 30)), closeBob),
    isLocal: false
  },
  "the peer shakes hands again": {
    error: "DuplicateHandshake",
    end: ({ bob }) => bob.says(Message.Verack()),
    isLocal: false
  }
}

/** While it writes or answers, a connection does not hear the peer. */
const isDeaf = new Set([beingSent, advertBeingWritten, answering])

const cases = Object.entries(situations).flatMap(([doing, situation]) =>
  Object.entries(endings)
    .filter(([, ending]) => ending.isLocal || !isDeaf.has(situation))
    .map(([how, ending]) => [doing, how, situation, ending] as const)
)

describe("whatever the connection does and however it ends", () => {
  it.effect.each(cases)(
    "everybody hears the first error once, and nothing is left: %s, %s (advisories P13 and N8)",
    ([, , situation, { end, error, isLocal }]) =>
      Effect.gen(function* () {
        const before = yield* fibers
        yield* Effect.scoped(
          Effect.gen(function* () {
            const all = yield* rig({ connected, answer: () => Effect.never })
            const waiting = yield* situation(all)
            assert.isAbove(yield* fibers, before)
            yield* end(all).pipe(Effect.forkChild({ startImmediately: true }))
            const why = yield* all.ended
            assert.strictEqual(tagOf(why), error)
            for (const each of waiting) assert.strictEqual(each.result(), why)
            assert.strictEqual(all.peer.readiness(), "Failed")
            assert.strictEqual(yield* Effect.flip(all.peer.request(peers)), why)
            // What does not leave Alice's host is flushed for a second.
            const closed = yield* start(all.closeAlice)
            yield* pass("1 second")
            assert.strictEqual(closed.result(), undefined)
            // Endings of a later time change nothing, and what was told to the host is told once.
            assert.strictEqual(yield* all.ended, why)
            const failures = all.reports.filter(({ _tag }) => _tag === "Failed")
            const ofTheStream = error === "Serialization" ? 1 : 0
            const ofThePing = situation === pinging && !isLocal ? 1 : 0
            assert.strictEqual(failures.length, ofTheStream + ofThePing)
          })
        )
        yield* pass("10 minutes")
        assert.strictEqual((yield* SimNetwork).openEnds(), 0)
        assert.strictEqual(yield* fibers, before)
      }).pipe(Metric.enableRuntimeMetrics, Effect.provide(world))
  )
})

describe("a connection that was closed", () => {
  it.effect("calls back who wants to know in that very step, before whoever waits goes on; later at once", () =>
    Effect.gen(function* () {
      const { peer } = yield* rig({ connected })
      const told: Array<readonly [who: string, error: string]> = []
      yield* start(Effect.map(peer.awaitClosed, ({ _tag }) => told.push(["waiting", _tag])))
      for (const who of ["first", "second"]) peer.onClosed(({ _tag }) => told.push([who, _tag]))
      assert.deepStrictEqual(told, [])
      yield* peer.close(new ClientDropped())
      assert.deepStrictEqual(told, [
        ["first", "ClientDropped"],
        ["second", "ClientDropped"],
        ["waiting", "ClientDropped"]
      ])
      peer.onClosed(({ _tag }) => told.push(["late", _tag]))
      assert.deepStrictEqual(told.at(-1), ["late", "ClientDropped"])
    }).pipe(Effect.provide(world))
  )

  it.effect("stops at once, not only when its scope closes", () =>
    Effect.gen(function* () {
      const before = yield* fibers
      const { asked, bob, messages, peer } = yield* rig({ connected })
      yield* bob.sayBytes(frame.subarray(0, 30))
      yield* settle
      assert.strictEqual(messages.bufferedBytes(), 6)
      yield* peer.close(new ClientDropped())
      assert.strictEqual(messages.bufferedBytes(), 0)
      assert.strictEqual(yield* fibers, before)
      yield* bob.says(Message.Ping({ nonce: 1n }), Message.GetAddr())
      assert.deepStrictEqual(yield* bob.heard, [])
      assert.deepStrictEqual(asked, [])
    }).pipe(Metric.enableRuntimeMetrics, Effect.provide(world))
  )
})

describe("a connection interrupted while it sends a request", () => {
  it.effect(
    "gives its caller the error it was ended with (peer 90, run_loop_cancelled_during_send; peer 100; advisory P1, CVE-2026-123557)",
    () =>
      Effect.gen(function* () {
        const { asked, closeAlice, ended, peer, stall } = yield* rig()
        yield* stall
        const waiting = yield* start(
          peer.request({ _tag: "AdvertiseTransactionIds", ids: new Set(), source: undefined })
        )
        yield* pass("10 seconds")
        assert.strictEqual(yield* ended, undefined)
        assert.strictEqual(waiting.result(), "pending")
        const dropped = new ClientDropped()
        yield* peer.close(dropped)
        // At once, not after the time for the write.
        assert.strictEqual(waiting.result(), dropped)
        assert.strictEqual(yield* ended, dropped)
        const closed = yield* start(closeAlice)
        yield* pass("1 second")
        assert.strictEqual(closed.result(), undefined)
        assert.strictEqual(peer.bytesWritten(), 25)
        assert.deepStrictEqual(asked, [])
      }).pipe(Effect.scoped, Effect.provide(world))
  )

  it.effect("does not care for a defect of the program on another connection (peer 100)", () =>
    Effect.gen(function* () {
      const { ended, peer, stall } = yield* rig()
      const other = yield* rig({ answer: () => Effect.die("a bug of the program") })
      yield* stall
      const waiting = yield* start(peer.request(peers))
      yield* other.bob.says(Message.GetAddr())
      assert.strictEqual(tagOf(yield* other.ended), "ServiceShutdown")
      assert.strictEqual(yield* ended, undefined)
      assert.strictEqual(waiting.result(), "pending")
    }).pipe(Effect.scoped, Effect.provide(silent()), Effect.provide(world))
  )
})

describe("a bug", () => {
  const defects: ReadonlyArray<[string, Effect.Effect<never>]> = [
    ["dies", Effect.die("a bug of the program")],
    [
      "throws",
      Effect.sync(() => {
        throw new Error("a bug of the program")
      })
    ],
    ["interrupts itself", Effect.interrupt]
  ]

  it.effect.each(defects)("of the program that answers ends that connection, typed: it %s", ([, defect]) =>
    Effect.gen(function* () {
      const errors: Array<unknown> = []
      yield* Effect.gen(function* () {
        const { bob, closeAlice, ended, peer } = yield* rig({ answer: () => defect })
        const waiting = yield* start(peer.request(mempool))
        yield* bob.hears
        yield* bob.says(Message.GetAddr())
        const error = yield* ended
        assert.strictEqual(tagOf(error), "ServiceShutdown")
        assert.strictEqual(waiting.result(), error)
        yield* closeAlice
      }).pipe(Effect.provide(silent(errors)))
      assert.deepStrictEqual(
        errors,
        [["the program that answers peers failed"]].flatMap((m) => [m])
      )
    }).pipe(Effect.provide(world))
  )

  it.effect("of this node resurfaces for whoever asks (peer 29, propagates_panic_from_connection_task)", () =>
    Effect.gen(function* () {
      const { bob, ended, peer } = yield* rig({
        connected,
        report: ({ _tag }) => (_tag === "InventoryAvailable" ? Effect.die("our bug") : Effect.void)
      })
      const waiting = yield* start(peer.request(mempool))
      yield* bob.hears
      yield* bob.says(Message.Inv({ items: [{ _tag: "Block", hash: hash(1) }] }))
      assert.strictEqual(tagOf(yield* ended), "ConnectionTaskExited")
      assert.deepStrictEqual(waiting.exit(), yield* Effect.exit(Effect.die("our bug")))
      assert.deepStrictEqual(yield* Effect.exit(peer.awaitReady), yield* Effect.exit(Effect.die("our bug")))
      assert.strictEqual(peer.readiness(), "Failed")
    }).pipe(Effect.provide(silent()), Effect.provide(world))
  )

  it.effect("of the heartbeat resurfaces too (peer 31, propagates_panic_from_heartbeat_task)", () =>
    Effect.gen(function* () {
      const { ended, peer } = yield* rig({
        connected,
        report: ({ _tag }) => (_tag === "PingSent" ? Effect.die("our bug") : Effect.void)
      })
      yield* pass("59 seconds")
      assert.strictEqual(tagOf(yield* ended), "ConnectionTaskExited")
      assert.deepStrictEqual(yield* Effect.exit(peer.awaitReady), yield* Effect.exit(Effect.die("our bug")))
    }).pipe(Effect.provide(silent()), Effect.provide(world))
  )
})
