import { assert, describe, it } from "@effect/vitest"
import {
  Duration,
  Effect,
  Exit,
  Layer,
  Logger,
  Metric,
  Option,
  Random,
  References,
  Scope,
  SubscriptionRef
} from "effect"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import { ChainTip, type Tip } from "../../src/chain/ChainTip.ts"
import * as LimitedLog from "../../src/LimitedLog.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { Handshake } from "../../src/peer/Handshake.ts"
import { AnswerFailed, InboundRequests, Overloaded } from "../../src/peer/InboundRequests.ts"
import { ClientDropped } from "../../src/peer/Peer.ts"
import * as PeerMetrics from "../../src/peer/PeerMetrics.ts"
import type { Request } from "../../src/peer/Request.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { Message } from "../../src/wire/Message.ts"
import { bob as bobAddress } from "../support/addresses.ts"
import { block, blockItem, hash, txId, txItem } from "./items.ts"
import { bobsVersion, pass, remoteEnd, rig, settle, start, streams, world } from "./rig.ts"

const connected = { _tag: "OutboundDirect", address: bobAddress } as const
const peers: Request = { _tag: "Peers" }

const inState = (state: PeerMetrics.StateName) =>
  Effect.map(Metric.value(PeerMetrics.connectionsInState[state]), ({ value }) => value)

const series = Effect.map(Metric.snapshot, (metrics) =>
  metrics
    .map(({ attributes, id, state }) => ({
      id,
      labels: { ...attributes },
      value: "count" in state ? Number(state.count) : "value" in state ? Number(state.value) : Number.NaN
    }))
    .filter(({ id }) => id.startsWith("z") || id.startsWith("p"))
)

/** Of one metric: label → count. */
const counts = (id: string) =>
  Effect.map(series, (all) =>
    Object.fromEntries(
      all.filter((each) => each.id === id).map(({ labels, value }) => [Object.values(labels).join(" "), value])
    )
  )

describe("the state of connections", () => {
  it.effect("is counted while they live, and only then (peer 81, connection_state_metrics_return_to_zero)", () =>
    Effect.gen(function* () {
      let seriesBefore: number | undefined
      for (let cycle = 0; cycle < 8; cycle++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const first = yield* rig()
            const second = yield* rig()
            yield* settle
            assert.strictEqual(yield* inState("AwaitingRequest"), 2)
            yield* settle
            assert.strictEqual(yield* inState("AwaitingRequest"), 2)
            const waiting = yield* start(first.peer.request(peers))
            yield* settle
            assert.strictEqual(yield* inState("AwaitingRequest"), 1)
            assert.strictEqual(yield* inState("AwaitingResponse(Peers)"), 1)
            yield* first.bob.says(Message.Addr({ addresses: [] }))
            yield* settle
            assert.deepStrictEqual(waiting.result(), { _tag: "Peers", addresses: [] })
            assert.strictEqual(yield* inState("AwaitingRequest"), 2)
            assert.strictEqual(yield* inState("AwaitingResponse(Peers)"), 0)
            yield* cycle % 2 === 0 ? first.closeBob : first.closeAlice
            yield* settle
            assert.strictEqual(yield* inState("AwaitingRequest"), 1)
            yield* second.bob.saysRaw("ping", new Uint8Array(cycle % 8))
            yield* settle
            assert.strictEqual(yield* inState("AwaitingRequest"), 0)
            // Never ran.
            const third = yield* rig()
            yield* third.closeAlice
            assert.strictEqual(yield* inState("AwaitingRequest"), 0)
          })
        )
        const now = (yield* series).filter(({ id }) => id === "zebra.net.connection.state")
        for (const { value } of now) assert.strictEqual(value, 0)
        seriesBefore ??= now.length
        assert.strictEqual(now.length, seriesBefore)
      }
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "does not say what exactly a peer sent (peer 82, connection_state_commands_omit_serialization_details)",
    () =>
      Effect.gen(function* () {
        for (const body of [new Uint8Array(1), new Uint8Array(7)]) {
          const { bob, ended } = yield* rig()
          yield* bob.saysRaw("ping", body)
          const error = yield* ended
          // The details are the error's, for logs.
          assert(error?._tag === "Serialization" && error.cause._tag === "WireEof")
          assert.strictEqual(error.cause.field, "nonce")
        }
        assert.deepStrictEqual(yield* counts("zebra.net.in.errors"), { WireEof: 2 })
        assert.deepStrictEqual(Object.keys(yield* counts("zebra.net.connection.state")), ["AwaitingRequest"])
      }).pipe(Effect.provide(world))
  )
})

describe("what a connection counts", () => {
  it.effect("has the reference's names and labels", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig({
        connected,
        answer: (request) =>
          request._tag === "FindBlocks"
            ? Effect.succeed({ _tag: "BlockHashes", hashes: [hash(1)], source: undefined })
            : Effect.fail(new AnswerFailed({ cause: "none" }))
      })
      const waiting = yield* start(peer.request({ _tag: "BlockDownload", hash: block(1).hash, advertiser: undefined }))
      yield* settle
      yield* bob.says(Message.Ping({ nonce: 1n }), Message.Block({ block: block(1) }))
      yield* bob.says(Message.GetBlocks({ known: [], stop: undefined }), Message.Mempool())
      yield* settle
      assert.notStrictEqual(waiting.result(), "pending")
      assert.deepStrictEqual(yield* counts("zebra.net.out.requests"), { BlockDownload: 1 })
      assert.deepStrictEqual(yield* counts("zebra.net.in.responses"), { Blocks: 1 })
      assert.deepStrictEqual(yield* counts("zebra.net.in.requests"), { FindBlocks: 1, MempoolTransactionIds: 1 })
      assert.deepStrictEqual(yield* counts("zebra.net.out.responses"), { BlockHashes: 1 })
      assert.deepStrictEqual(yield* counts("zcash.net.in.messages"), { ping: 1, block: 1, getblocks: 1, mempool: 1 })
      assert.deepStrictEqual(yield* counts("zcash.net.out.messages"), { getdata: 1, pong: 1, inv: 1 })
      assert.deepStrictEqual(yield* counts("zcash.net.out.bytes.total"), { "": peer.bytesWritten() })
      assert.deepStrictEqual(yield* counts("zcash.net.in.bytes.total"), { "": peer.bytesRead() })
      // They only grow, which is what a scraper is told of a counter.
      const counters = (yield* Metric.snapshot).filter(({ id, type }) => type === "Counter" && id.startsWith("z"))
      assert.isAbove(counters.length, 9)
      const others = counters.filter(({ state }) => !("incremental" in state && state.incremental))
      assert.deepStrictEqual(others, [])
    }).pipe(Effect.provide(world))
  )

  it.effect("is kept of one connection: how many messages of each kind, and when the latest", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig({})
      const traffic = () => {
        const { lastReceivedMillis, lastSentMillis, messagesReceived, messagesSent } = peer.traffic()
        return [
          Object.fromEntries(messagesReceived),
          lastReceivedMillis,
          Object.fromEntries(messagesSent),
          lastSentMillis
        ]
      }
      assert.deepStrictEqual(traffic(), [{}, undefined, {}, undefined])
      yield* pass("5 seconds")
      yield* bob.says(Message.Ping({ nonce: 1n }), Message.Ping({ nonce: 2n }), Message.Verack())
      yield* settle
      assert.deepStrictEqual(traffic(), [{ ping: 2, verack: 1 }, 5000, { pong: 2 }, 5000])
    }).pipe(Effect.provide(world))
  )

  it.effect("counts the bytes of a message when its header is here (8.1)", () =>
    Effect.gen(function* () {
      const { bob } = yield* rig()
      const message = Frame.encode(regtest.magic, { command: "ping", body: new Uint8Array(8) })
      yield* bob.sayBytes(message.subarray(0, 23))
      yield* settle
      assert.deepStrictEqual(yield* counts("zcash.net.in.bytes.total"), {})
      yield* bob.sayBytes(message.subarray(23, 24))
      yield* settle
      assert.deepStrictEqual(yield* counts("zcash.net.in.bytes.total"), { "": 32 })
      yield* bob.sayBytes(message.subarray(24))
      yield* settle
      assert.deepStrictEqual(yield* counts("zcash.net.in.bytes.total"), { "": 32 })
    }).pipe(Effect.provide(world))
  )

  it.effect("counts no byte of a body that is refused by its header (8.1)", () =>
    Effect.gen(function* () {
      const { bob, ended } = yield* rig()
      const message = Frame.encode(regtest.magic, { command: "ping", body: new Uint8Array(8) })
      message.fill(255, 16, 20)
      yield* bob.sayBytes(message)
      assert.strictEqual((yield* ended)?._tag, "Serialization")
      assert.deepStrictEqual(yield* counts("zcash.net.in.bytes.total"), {})
    }).pipe(Effect.provide(world))
  )

  it.effect("of overload is whether it cost the connection", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 200; i++) {
        const { bob, closeAlice } = yield* rig({ answer: () => Effect.fail(new Overloaded()) })
        yield* bob.says(Message.GetAddr())
        yield* settle
        yield* closeAlice
      }
      const closed = (yield* counts("pool.closed.loadshed"))[""] ?? 0
      const ignored = (yield* counts("pool.ignored.loadshed"))[""] ?? 0
      assert.strictEqual(closed + ignored, 200)
      assert.isAbove(closed, 0)
      assert.isAbove(ignored, closed)
    }).pipe(Effect.provide(world))
  )

  it.effect("includes requests that were cancelled before their turn", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      yield* start(peer.request({ _tag: "MempoolTransactionIds" }))
      yield* bob.hears
      yield* (yield* start(peer.request(peers))).cancel
      yield* bob.says(Message.Inv({ items: [] }))
      yield* settle
      assert.deepStrictEqual(yield* counts("zebra.net.out.requests.canceled"), { Peers: 1 })
      assert.deepStrictEqual(yield* counts("peer.canceled"), { "": 1 })
      assert.deepStrictEqual(yield* counts("zebra.net.out.requests"), { MempoolTransactionIds: 1 })
    }).pipe(Effect.provide(world))
  )
})

/** Everything that is logged, at every level, as text, annotations and causes included. */
const captured = () => {
  const lines: Array<{ readonly level: string; readonly text: string }> = []
  return {
    lines,
    layer: Layer.mergeAll(
      Logger.layer([
        Logger.make((options) => {
          lines.push({ level: options.logLevel, text: Logger.formatLogFmt.log(options) })
        })
      ]),
      Layer.succeed(References.MinimumLogLevel, "Trace")
    )
  }
}

const raw = /\d+\.\d+\.\d+\.\d+|2001:db8/

describe("what a peer can read of others, or write into our logs and labels (peer 80; advisory P10, CVE-2025-54604)", () => {
  const hostile = '/x"\n\u001b[31m198.51.100.2:8233,label="y"/'

  it.effect("is neither an address nor a user agent, and little at info level, whatever it does", () =>
    Effect.gen(function* () {
      const { layer, lines } = captured()
      yield* Effect.gen(function* () {
        const handshake = yield* Handshake
        const talk: ReadonlyArray<ReadonlyArray<Message>> = [
          [],
          [bobsVersion({ userAgent: hostile, version: 1 })],
          [bobsVersion({ userAgent: hostile, services: 0n }), Message.Verack()],
          [bobsVersion({ userAgent: hostile }), Message.Verack(), Message.GetAddr(), Message.Mempool()],
          [bobsVersion({ userAgent: hostile }), Message.Verack(), Message.Verack()],
          [
            bobsVersion({ userAgent: hostile }),
            Message.Verack(),
            Message.Inv({ items: [txItem(txId(1)), blockItem(hash(1))] })
          ]
        ]
        for (let i = 0; i < 60; i++) {
          const { alices, alicesScope, bobs, bobsScope } = yield* streams
          const remote = PeerSocketAddress.fromIp(alices.remoteAddress.address, 10_000 + i)
          const address = i % 2 === 0 ? remote : PeerSocketAddress.fromStringUnsafe(`[2001:db8::${i}]:8233`)
          yield* start(
            Scope.provide(
              handshake.run(
                alices,
                i % 4 < 2 ? { _tag: "InboundDirect", address } : { _tag: "OutboundDirect", address },
                {
                  report: () => Effect.void,
                  mayAdvertise: () => Effect.succeed(true)
                }
              ),
              alicesScope
            )
          )
          const bob = remoteEnd(bobs)
          yield* bob.says(...(talk[i % talk.length] ?? []))
          yield* settle
          if (i % 5 === 0) yield* bob.saysRaw("ping", new Uint8Array(3))
          yield* settle
          yield* pass("3 seconds")
          yield* Scope.close(alicesScope, Exit.void)
          yield* Scope.close(bobsScope, Exit.void)
        }
        yield* Effect.logInfo("the capture works")
      }).pipe(
        Effect.provide(
          Handshake.layer.pipe(
            Layer.provide([
              Layer.succeed(ChainParams, regtest),
              OwnAddress.layerNone,
              Layer.succeed(InboundRequests, {
                answer: (request) =>
                  request._tag === "Peers"
                    ? Effect.fail(new AnswerFailed({ cause: "no disk" }))
                    : Effect.die(new Error("a bug of the program"))
              }),
              Layer.unwrap(Effect.map(SubscriptionRef.make(Option.none<Tip>()), ChainTip.layerRef))
            ])
          )
        ),
        Effect.provide(layer)
      )
      assert.isAbove(lines.length, 50)
      for (const { text } of lines) {
        assert.notMatch(text, raw)
        assert.notInclude(text, "31m")
        // A stack trace belongs to a bug, not to a peer.
        if (!text.includes("the program that answers peers failed")) assert.isAtMost(text.length, 256)
      }
      // Our own line, and of the bug one a minute: the 60 connections take three.
      const loud = lines.filter(({ level }) => level === "Error" || level === "Warn" || level === "Info")
      assert.isAtMost(loud.length, 1 + 3)
      assert.isAtLeast(loud.length, 2)
      for (const { id, labels } of yield* series) {
        for (const value of Object.values(labels)) {
          assert.notMatch(String(value), raw, id)
          assert.notMatch(String(value), /redacted|label|8233|100\d\d/, id)
        }
      }
      const perMetric = new Map<string, number>()
      for (const { id } of yield* series) perMetric.set(id, (perMetric.get(id) ?? 0) + 1)
      for (const [id, count] of perMetric) assert.isAtMost(count, 128, id)
    }).pipe(Effect.provide(world))
  )

  it.effect("is little of how a connection ended for us", () =>
    Effect.gen(function* () {
      const { layer, lines } = captured()
      yield* Effect.gen(function* () {
        const { closeAlice, peer } = yield* rig({ connected })
        yield* peer.close(new ClientDropped())
        yield* closeAlice
      }).pipe(Effect.provide(layer))
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0]?.text, "peer=v4redacted:8233")
      assert.include(lines[0]?.text, "error=ClientDropped")
      assert.strictEqual(lines[0]?.level, "Debug")
    }).pipe(Effect.provide(world))
  )

  it.effect("is told at info level when we had no time for it, and then only now and then (2.10)", () =>
    Effect.gen(function* () {
      const { layer, lines } = captured()
      const log = LimitedLog.make(Duration.minutes(1))
      const overload = Effect.gen(function* () {
        const { bob, closeAlice, ended } = yield* rig({
          connected,
          log,
          answer: () => Effect.fail(new Overloaded())
        })
        yield* bob.says(Message.GetAddr())
        assert.strictEqual((yield* ended)?._tag, "PeerOverloaded")
        yield* closeAlice
      })
      yield* Effect.gen(function* () {
        for (let i = 0; i < 5; i++) yield* overload
        yield* pass("1 minute")
        yield* overload
      }).pipe(
        Effect.provide(layer),
        Effect.provideService(Random.Random, { nextDoubleUnsafe: () => 0, nextIntUnsafe: () => 0 })
      )
      const shown = lines.filter(({ level }) => level === "Info")
      assert.strictEqual(shown.length, 2)
      for (const { text } of shown) assert.include(text, "peer=v4redacted:8233")
      assert.include(shown[1]?.text, "leftOut=4")
      assert.strictEqual(lines.length, 2)
    }).pipe(Effect.provide(world))
  )
})
