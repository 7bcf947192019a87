import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { SimRuntime } from "network-effect/simulation"
import { regtest } from "../../src/chain/ChainParams.ts"
import { AlarmClock, sleepers } from "../../src/peer/Alarms.ts"
import { Heart } from "../../src/peer/Heartbeat.ts"
import type { Request } from "../../src/peer/Request.ts"
import { Policy } from "../../src/Policy.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { Message } from "../../src/wire/Message.ts"
import { bob as bobAddress } from "../support/addresses.ts"
import { hash } from "./items.ts"
import { pass, type RemoteEnd, rig, settle, start, world } from "./rig.ts"

const connected = { _tag: "OutboundDirect", address: bobAddress } as const
const peers: Request = { _tag: "Peers" }

const pingHeard = Effect.fnUntraced(function* (bob: RemoteEnd) {
  const [message, ...others] = yield* bob.heard
  assert.deepStrictEqual(others, [])
  assert(message?._tag === "Ping")
  return message.nonce
})

describe("the heartbeat (peer 71)", () => {
  it.effect("comes first after 59 s, and every 59 s", () =>
    Effect.gen(function* () {
      const { bob, reports } = yield* rig({ connected })
      yield* pass("58999 millis")
      assert.deepStrictEqual(yield* bob.heard, [])
      yield* pass("1 millis")
      const first = yield* pingHeard(bob)
      yield* bob.says(Message.Pong({ nonce: first }))
      yield* pass("58999 millis")
      assert.deepStrictEqual(yield* bob.heard, [])
      yield* pass("1 millis")
      const second = yield* pingHeard(bob)
      assert.notStrictEqual(second, first)
      assert.deepStrictEqual(
        reports.map(({ _tag }) => _tag),
        ["Connected", "PingSent", "Responded", "PingSent"]
      )
      assert.deepStrictEqual(reports[1], { _tag: "PingSent", sentAtMillis: 59_000 })
      assert.deepStrictEqual(reports[3], { _tag: "PingSent", sentAtMillis: 118_000 })
    }).pipe(Effect.provide(world))
  )

  it("of a connection that ends while one is late has no other", () => {
    const runtime = new SimRuntime()
    let begun = 0
    const program = Effect.gen(function* () {
      const alarmClock = new AlarmClock(yield* sleepers, yield* Clock.Clock, Duration.seconds(20))
      let over = () => {}
      const heart = new Heart(alarmClock, Duration.seconds(59), (isOver) => {
        begun++
        over = isOver
      })
      yield* Effect.sleep("119 seconds")
      heart.end()
      over()
      yield* Effect.sleep("10 minutes")
    })
    const end = runtime.run(Effect.scoped(program), 3_600_000)
    assert.isTrue(end._tag === "Done" && end.exit._tag === "Success", JSON.stringify(end))
    assert.strictEqual(begun, 1)
  })

  it("comes at once after one that took longer than 59 s, and the next 59 s after that", () => {
    const begun: Array<number> = []
    const program = Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const alarmClock = new AlarmClock(yield* sleepers, clock, Duration.seconds(20))
      let over = () => {}
      new Heart(alarmClock, Duration.seconds(59), (isOver) => {
        begun.push(Number(clock.monotonicTimeNanosUnsafe()) / 1e9)
        over = isOver
      })
      yield* Effect.sleep("150 seconds")
      over()
      over()
      yield* Effect.sleep("118 seconds")
    })
    const end = new SimRuntime().run(Effect.scoped(program), 3_600_000)
    assert.isTrue(end._tag === "Done" && end.exit._tag === "Success", JSON.stringify(end))
    const first = begun[0] ?? Number.NaN
    // The first is never over before 150 s; the second is over at once.
    assert.deepStrictEqual(
      begun.map((seconds) => seconds - first),
      [0, 91, 150]
    )
  })

  it.effect("comes every 59 s, however long the answers take", () =>
    Effect.gen(function* () {
      const { bob } = yield* rig({ connected })
      yield* pass("59 seconds")
      const first = yield* pingHeard(bob)
      yield* pass("5 seconds")
      yield* bob.says(Message.Pong({ nonce: first }))
      yield* pass("53999 millis")
      assert.deepStrictEqual(yield* bob.heard, [])
      yield* pass("1 millis")
      yield* pingHeard(bob)
    }).pipe(Effect.provide(world))
  )

  it.effect("is timed by a clock that nobody sets", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 hour")
      yield* TestClock.setTime(0)
      const { reports } = yield* rig({ connected })
      yield* pass("59 seconds")
      assert.deepStrictEqual(reports.at(-1), { _tag: "PingSent", sentAtMillis: 3_659_000 })
    }).pipe(Effect.provide(world))
  )

  it.effect("measures the time from ping to pong (peer 15, ping_pong_round_trip)", () =>
    Effect.gen(function* () {
      const { bob, peer, reports } = yield* rig({ connected })
      assert.strictEqual(peer.roundTrip(), undefined)
      yield* pass("59 seconds")
      const nonce = yield* pingHeard(bob)
      yield* pass("42 millis")
      yield* bob.says(Message.Pong({ nonce }))
      yield* settle
      assert.deepStrictEqual(reports.at(-1), { _tag: "Responded", roundTrip: Duration.nanos(42_000_000n) })
      assert.strictEqual(Duration.toMillis(peer.roundTrip() ?? Duration.zero), 42)
    }).pipe(Effect.provide(world))
  )

  it.effect("says how long it has waited for a pong, and for nothing else", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig({ connected })
      yield* pass("58 seconds")
      const request = yield* start(peer.request(peers))
      yield* bob.hears
      yield* pass("500 millis")
      assert.isUndefined(peer.pingWait())
      yield* bob.says(Message.Addr({ addresses: [] }))
      yield* settle
      assert.deepStrictEqual(request.result(), { _tag: "Peers", addresses: [] })
      yield* pass("500 millis")
      const nonce = yield* pingHeard(bob)
      yield* pass("42 millis")
      assert.strictEqual(Duration.toMillis(peer.pingWait() ?? Duration.zero), 42)
      yield* bob.says(Message.Pong({ nonce }))
      yield* settle
      assert.isUndefined(peer.pingWait())
    }).pipe(Effect.provide(world))
  )

  it.effect("also pings when it is asked to, once at a time, and keeps its own pace", () =>
    Effect.gen(function* () {
      const { bob, peer, reports } = yield* rig({ connected })
      yield* pass("10 seconds")
      const asked = yield* Effect.forkChild(peer.ping)
      const nonce = yield* pingHeard(bob)
      yield* peer.ping
      assert.deepStrictEqual(yield* bob.heard, [])
      yield* pass("7 millis")
      yield* bob.says(Message.Pong({ nonce }))
      yield* Fiber.join(asked)
      assert.strictEqual(Duration.toMillis(peer.roundTrip() ?? Duration.zero), 7)
      yield* pass("48 seconds")
      assert.deepStrictEqual(yield* bob.heard, [])
      yield* pass("1 seconds")
      yield* pingHeard(bob)
      assert.deepStrictEqual(
        reports.map(({ _tag }) => _tag),
        ["Connected", "PingSent", "Responded", "PingSent"]
      )
    }).pipe(Effect.provide(world))
  )

  it.effect("ends the connection when a ping that was asked for has no answer", () =>
    Effect.gen(function* () {
      const { ended, peer, reports } = yield* rig({ connected })
      const asked = yield* Effect.forkChild(Effect.flip(peer.ping))
      yield* pass("20 seconds")
      assert.strictEqual((yield* Fiber.join(asked))._tag, "ConnectionReceiveTimeout")
      assert.strictEqual((yield* ended)?._tag, "ConnectionReceiveTimeout")
      assert.deepStrictEqual(
        reports.map(({ _tag }) => _tag),
        ["Connected", "PingSent", "Failed"]
      )
    }).pipe(Effect.provide(world))
  )

  it.effect("does not take another nonce, nor that of an earlier ping (advisory P6)", () =>
    Effect.gen(function* () {
      const { bob, ended, reports } = yield* rig({ connected })
      yield* pass("59 seconds")
      const first = yield* pingHeard(bob)
      yield* bob.says(Message.Pong({ nonce: first }))
      yield* pass("59 seconds")
      const second = yield* pingHeard(bob)
      yield* bob.says(Message.Pong({ nonce: first }), Message.Pong({ nonce: second + 1n }))
      yield* settle
      assert.strictEqual(reports.at(-1)?._tag, "PingSent")
      yield* bob.says(Message.Pong({ nonce: second }))
      yield* settle
      assert.strictEqual(reports.at(-1)?._tag, "Responded")
      assert.strictEqual(yield* ended, undefined)
    }).pipe(Effect.provide(world))
  )

  it.effect("without an answer ends the connection after 59 + 20 s", () =>
    Effect.gen(function* () {
      const { ended, reports } = yield* rig({ connected })
      yield* pass("78999 millis")
      assert.strictEqual(yield* ended, undefined)
      yield* pass("1 millis")
      assert.strictEqual((yield* ended)?._tag, "ConnectionReceiveTimeout")
      assert.deepStrictEqual(reports.slice(1), [
        { _tag: "PingSent", sentAtMillis: 59_000 },
        { _tag: "Failed", services: undefined }
      ])
    }).pipe(Effect.provide(world))
  )

  it.effect("without an answer ends the connection in the same time when half a message keeps coming", () =>
    Effect.gen(function* () {
      const { bob, ended, messages } = yield* rig({ connected })
      const bytes = Frame.encode(regtest.magic, { command: "block", body: new Uint8Array(1000) })
      for (let second = 0; second < 79; second++) {
        assert.strictEqual(yield* ended, undefined)
        yield* bob.sayBytes(bytes.subarray(second, second + 1))
        yield* pass("1 second")
      }
      assert.strictEqual((yield* ended)?._tag, "ConnectionReceiveTimeout")
      assert.strictEqual(messages.bufferedBytes(), 0)
    }).pipe(Effect.provide(world))
  )

  it.effect("that the connection has no time for ends it after 59 + 59 s", () =>
    Effect.gen(function* () {
      const { bob, ended, reports } = yield* rig({
        connected,
        answer: () => Effect.as(Effect.sleep("4 seconds"), { _tag: "Nil" })
      })
      // Enough to keep it at work all the time.
      yield* bob.says(...Array.from({ length: 40 }, () => Message.Mempool()))
      yield* pass("59 seconds")
      assert.strictEqual(reports.at(-1)?._tag, "PingSent")
      yield* pass("58999 millis")
      assert.strictEqual(yield* ended, undefined)
      yield* pass("1 millis")
      assert.strictEqual((yield* ended)?._tag, "HeartbeatTaskExited")
      assert.deepStrictEqual(reports.at(-1), { _tag: "Failed", services: undefined })
    }).pipe(Effect.provide(world))
  )

  it.effect("that the connection has no time for ends it after `Policy.pingTimeout`, whatever the interval is", () =>
    Effect.gen(function* () {
      const { bob, ended } = yield* rig({
        connected,
        answer: () => Effect.as(Effect.sleep("4 seconds"), { _tag: "Nil" })
      })
      yield* bob.says(...Array.from({ length: 40 }, () => Message.Mempool()))
      yield* pass("88999 millis")
      assert.strictEqual(yield* ended, undefined)
      yield* pass("1 millis")
      assert.strictEqual((yield* ended)?._tag, "HeartbeatTaskExited")
    }).pipe(Effect.provide(world), Effect.provide(Policy.layer({ pingTimeout: Duration.seconds(30) })))
  )

  it.effect(
    "without an answer ends the connection after `Policy.requestTimeout`, however long an exchange may take",
    () =>
      Effect.gen(function* () {
        const { ended } = yield* rig({ connected })
        yield* pass("78999 millis")
        assert.strictEqual(yield* ended, undefined)
        yield* pass("1 millis")
        assert.strictEqual((yield* ended)?._tag, "ConnectionReceiveTimeout")
      }).pipe(Effect.provide(world), Effect.provide(Policy.layer({ pingTimeout: Duration.minutes(10) })))
  )

  it.effect("waits behind a request in flight and one in its place, and all of that has 59 s", () =>
    Effect.gen(function* () {
      const { bob, ended, peer } = yield* rig({ connected })
      yield* pass("59 seconds")
      const nonce = yield* pingHeard(bob)
      yield* bob.says(Message.Pong({ nonce }))
      yield* pass("58999 millis")
      const inFlight = yield* start(peer.request({ _tag: "MempoolTransactionIds" }))
      assert.deepStrictEqual(yield* bob.heard, [Message.Mempool()])
      const queued = yield* start(peer.request(peers))
      // The ping is behind both, and neither is answered.
      yield* pass("20 seconds")
      assert.notStrictEqual(inFlight.result(), "pending")
      assert.deepStrictEqual(yield* bob.heard, [Message.GetAddr()])
      yield* pass("20 seconds")
      assert.notStrictEqual(queued.result(), "pending")
      yield* pingHeard(bob)
      yield* pass("18 seconds")
      assert.strictEqual(yield* ended, undefined)
      yield* pass("1001 millis")
      assert.strictEqual((yield* ended)?._tag, "HeartbeatTaskExited")
    }).pipe(Effect.provide(world))
  )

  it.effect("does not count as load, and leaves the place of requests alone", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig({
        connected,
        answer: () => Effect.as(Effect.sleep("4 seconds"), { _tag: "Nil" })
      })
      yield* pass("58 seconds")
      yield* bob.says(Message.Inv({ items: [{ _tag: "Block", hash: hash(1) }] }))
      yield* pass("1 second")
      assert.strictEqual(peer.readiness(), "Ready")
      assert.isBelow(peer.load(59_000_000_000n), 21e9)
    }).pipe(Effect.provide(world))
  )

  it.effect.each([
    ["is in flight", false],
    ["waits for its turn", true]
  ] as const)("that %s when the peer hangs up has failed (4.4)", ([, isQueued]) =>
    Effect.gen(function* () {
      const { bob, closeBob, ended, peer, reports } = yield* rig({ connected })
      yield* pass("58 seconds")
      if (isQueued) {
        yield* start(peer.request({ _tag: "MempoolTransactionIds" }))
        yield* bob.hears
      }
      yield* pass("1 second")
      if (!isQueued) yield* pingHeard(bob)
      yield* closeBob
      assert.strictEqual((yield* ended)?._tag, "ConnectionClosed")
      yield* pass("10 minutes")
      assert.deepStrictEqual(reports.slice(1), [
        { _tag: "PingSent", sentAtMillis: 59_000 },
        { _tag: "Failed", services: undefined }
      ])
    }).pipe(Effect.provide(world))
  )

  it.effect("has not failed when none is under way as the peer hangs up", () =>
    Effect.gen(function* () {
      const { bob, closeBob, ended, reports } = yield* rig({ connected })
      yield* pass("59 seconds")
      yield* bob.says(Message.Pong({ nonce: yield* pingHeard(bob) }))
      yield* settle
      yield* closeBob
      assert.strictEqual((yield* ended)?._tag, "ConnectionClosed")
      assert.deepStrictEqual(
        reports.map(({ _tag }) => _tag),
        ["Connected", "PingSent", "Responded"]
      )
    }).pipe(Effect.provide(world))
  )

  it.effect("reports nothing when we close the connection ourselves", () =>
    Effect.gen(function* () {
      const { bob, closeAlice, reports } = yield* rig({ connected })
      yield* pass("59 seconds")
      yield* pingHeard(bob)
      yield* closeAlice
      yield* pass("10 minutes")
      assert.deepStrictEqual(
        reports.map(({ _tag }) => _tag),
        ["Connected", "PingSent"]
      )
    }).pipe(Effect.provide(world))
  )
})
