import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Random, Scheduler, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { InboundTimeout, PeerOverloaded, type PeerReport } from "../../src/peer/Peer.ts"
import { AnswerFailed, Overloaded } from "../../src/peer/InboundRequests.ts"
import type { Request, Response } from "../../src/peer/Request.ts"
import * as LinkRule from "../../src/simulation/LinkRule.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import type { ByteStream } from "../../src/transport/Transport.ts"
import { Message } from "../../src/wire/Message.ts"
import { alice, bob as bobAddress, mallory, peerAddress } from "../support/addresses.ts"
import { block, blockItem, hash, transaction, txId, txItem, wtxItem } from "./items.ts"
import { bobsVersion, pass, rig, settle, start, world } from "./rig.ts"

const peers: Request = { _tag: "Peers" }
const mempool: Request = { _tag: "MempoolTransactionIds" }
const noIds: Request = { _tag: "AdvertiseTransactionIds", ids: new Set(), source: undefined }
const findBlocks: Request = { _tag: "FindBlocks", known: [], stop: undefined }
const nil: Response = { _tag: "Nil" }

const download = (n: number): Request => ({ _tag: "BlockDownload", hash: block(n).hash, advertiser: undefined })
const wanted = (n: number) => Message.GetData({ items: [blockItem(block(n).hash)] })
const blockMessage = (n: number) => Message.Block({ block: block(n) })
const blocks = (...ns: ReadonlyArray<number>): Response => ({
  _tag: "Blocks",
  items: ns.map((n) => ({ _tag: "Available", value: block(n), source: undefined }))
})
const inv = (...hashes: ReadonlyArray<ReturnType<typeof hash>>) => Message.Inv({ items: hashes.map(blockItem) })
const gossip = (...hosts: ReadonlyArray<number>) =>
  Message.Addr({ addresses: hosts.map((n) => ({ address: peerAddress(n), services: 1n, lastSeenSeconds: n })) })

const tagOf = (result: unknown): unknown =>
  typeof result === "object" && result !== null && "_tag" in result ? result._tag : result

describe("an idle connection", () => {
  it.effect("says and asks nothing, and ends without a word (peer 1 and 2, run_loop_ok, run_loop_spawn_ok)", () =>
    Effect.gen(function* () {
      const { asked, bob, closeAlice, ended, peer } = yield* rig()
      assert.strictEqual(yield* ended, undefined)
      assert.strictEqual(peer.readiness(), "Ready")
      yield* closeAlice
      assert.strictEqual((yield* bob.end).reason, "Eof")
      assert.strictEqual(bob.stream.bytesRead(), 0)
      assert.deepStrictEqual(asked, [])
    }).pipe(Effect.provide(world))
  )

  it.effect("ends as dropped when only its scope is closed (peer 4, run_loop_future_drop)", () =>
    Effect.gen(function* () {
      const { closeAlice, ended, peer } = yield* rig()
      yield* closeAlice
      assert.strictEqual(tagOf(yield* ended), "ConnectionDropped")
      assert.strictEqual(peer.readiness(), "Failed")
      assert.strictEqual(tagOf(yield* Effect.flip(peer.request(peers))), "ConnectionDropped")
    }).pipe(Effect.provide(world))
  )

  it.effect("ends when we close it (peer 5 and 6, run_loop_client_close, run_loop_client_drop)", () =>
    Effect.gen(function* () {
      const { bob, closeAlice, ended, peer } = yield* rig()
      const error = new PeerOverloaded()
      yield* peer.close(error)
      assert.strictEqual(yield* ended, error)
      assert.strictEqual(yield* Effect.flip(peer.awaitReady), error)
      yield* closeAlice
      assert.strictEqual((yield* bob.end).reason, "Eof")
    }).pipe(Effect.provide(world))
  )

  it.effect("ends when the peer hangs up (peer 7 and 8, run_loop_inbound_close, run_loop_inbound_drop)", () =>
    Effect.gen(function* () {
      const { closeBob, ended, peer, reports } = yield* rig()
      yield* closeBob
      assert.strictEqual(tagOf(yield* ended), "ConnectionClosed")
      assert.strictEqual(tagOf(yield* Effect.flip(peer.request(peers))), "ConnectionClosed")
      // A clean end says nothing about the address.
      assert.deepStrictEqual(
        reports.map(({ _tag }) => _tag),
        ["Connected"]
      )
    }).pipe(Effect.provide(world))
  )

  it.effect("keeps the first error, also one from before it ran (peer 9, run_loop_failed)", () =>
    Effect.gen(function* () {
      const { closeAlice, closeBob, ended, peer } = yield* rig()
      const first = new PeerOverloaded()
      yield* peer.close(first)
      yield* peer.close(new InboundTimeout())
      yield* closeBob
      yield* closeAlice
      assert.strictEqual(yield* ended, first)
    }).pipe(Effect.provide(world))
  )
})

describe("whoever wants to know of the end", () => {
  it.effect("is told of it once, before or after it", () =>
    Effect.gen(function* () {
      const { peer } = yield* rig()
      const heard: Array<unknown> = []
      for (const name of ["first", "second"]) peer.onClosed((error) => heard.push([name, error]))
      const error = new PeerOverloaded()
      yield* peer.close(error)
      yield* peer.close(new InboundTimeout())
      yield* settle
      const both = [
        ["first", error],
        ["second", error]
      ]
      assert.deepStrictEqual(heard, both)
      peer.onClosed((error) => heard.push(["late", error]))
      assert.deepStrictEqual(heard, [...both, ["late", error]])
    }).pipe(Effect.provide(world))
  )
})

describe("a connection of which spans are collected", () => {
  it.effect.each([{ level: "None" }, { level: "Info" }, { level: "All" }] as const)(
    "does as any other ($level)",
    ({ level }) =>
      Effect.gen(function* () {
        const missing: Response = { _tag: "Blocks", items: [{ _tag: "Missing", id: hash(9) }] }
        const { asked, bob, ended, peer, reports } = yield* rig({
          connected: { _tag: "OutboundDirect", address: bobAddress },
          answer: ({ _tag }) => Effect.succeed(_tag === "BlocksByHash" ? missing : nil)
        })
        yield* bob.says(inv(hash(1)), Message.Ping({ nonce: 5n }), Message.NotFound({ items: [blockItem(hash(2))] }))
        yield* bob.says(Message.GetData({ items: [blockItem(hash(9))] }))
        assert.deepStrictEqual(yield* bob.heard, [
          Message.Pong({ nonce: 5n }),
          Message.NotFound({ items: [blockItem(hash(9))] })
        ])
        assert.deepStrictEqual(
          asked.map(({ _tag }) => _tag),
          ["AdvertiseBlock", "BlocksByHash"]
        )
        const waiting = yield* start(peer.request(download(1)))
        assert.deepStrictEqual(yield* bob.hears, wanted(1))
        yield* bob.says(blockMessage(1))
        yield* settle
        const source = { connection: 1, address: bobAddress }
        assert.deepStrictEqual<unknown>(waiting.result(), {
          _tag: "Blocks",
          items: [{ _tag: "Available", value: block(1), source }]
        })
        assert.deepStrictEqual(reports.slice(1), [
          { _tag: "InventoryAvailable", items: [blockItem(hash(1))] },
          { _tag: "InventoryMissing", items: [blockItem(hash(2))] }
        ])
        assert.isUndefined(yield* ended)
      }).pipe(
        Effect.provide(world),
        Effect.provideService(Tracer.Tracer, Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })),
        Effect.provideService(Tracer.MinimumTraceLevel, level)
      )
  )
})

describe("what a connection does", () => {
  it.effect("is part of what it does it for: who has what, or the message that asks", () => {
    const seen: Array<readonly [what: string, span: string]> = []
    const note = (what: string) =>
      Effect.map(Effect.serviceOption(Tracer.ParentSpan), (parent) => {
        const span = Option.getOrUndefined(parent)
        seen.push([what, span?._tag === "Span" ? span.name : "none"])
      })
    return Effect.gen(function* () {
      const { bob } = yield* rig({
        connected: { _tag: "OutboundDirect", address: bobAddress },
        report: ({ _tag }) => note(_tag),
        answer: ({ _tag }) => Effect.as(note(_tag), nil)
      })
      yield* settle
      seen.length = 0
      yield* bob.says(inv(hash(1)), Message.NotFound({ items: [blockItem(hash(2))] }), Message.GetAddr())
      yield* settle
      assert.deepStrictEqual(seen, [
        ["InventoryAvailable", "inventory_filter"],
        ["AdvertiseBlock", "msg_as_req"],
        ["InventoryMissing", "inventory_filter"],
        ["Peers", "msg_as_req"]
      ])
    }).pipe(
      Effect.provide(world),
      Effect.provideService(Tracer.Tracer, Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })),
      Effect.provideService(Tracer.MinimumTraceLevel, "All")
    )
  })
})

describe("a request", () => {
  it.effect("is answered with what the peer says (peer 3, run_loop_message_ok)", () =>
    Effect.gen(function* () {
      const { asked, bob, ended, peer } = yield* rig()
      const waiting = yield* start(peer.request(peers))
      assert.deepStrictEqual(yield* bob.hears, Message.GetAddr())
      yield* bob.says(Message.Addr({ addresses: [] }))
      yield* settle
      assert.deepStrictEqual(waiting.result(), { _tag: "Peers", addresses: [] })
      assert.strictEqual(yield* ended, undefined)
      assert.deepStrictEqual(asked, [])
    }).pipe(Effect.provide(world))
  )

  it.effect("that cannot be written in time ends the connection (peer 10, send_timeout_nil_response)", () =>
    Effect.gen(function* () {
      const { bob, closeAlice, ended, peer, stall } = yield* rig()
      yield* stall
      const waiting = yield* start(peer.request(noIds))
      yield* pass("19999 millis")
      assert.strictEqual(waiting.result(), "pending")
      yield* pass("1 millis")
      assert.strictEqual(tagOf(waiting.result()), "ConnectionSendTimeout")
      assert.strictEqual(tagOf(yield* ended), "ConnectionSendTimeout")
      // The transport was offered the empty `inv`.
      assert.strictEqual(peer.bytesWritten(), 25)
      yield* Effect.forkChild(closeAlice)
      yield* pass("1 second")
      assert.strictEqual(bob.stream.bytesRead(), 0)
    }).pipe(Effect.scoped, Effect.provide(world))
  )

  it.effect("for an answer that cannot be written ends it too (peer 11, send_timeout_expect_response)", () =>
    Effect.gen(function* () {
      const { ended, peer, stall } = yield* rig()
      yield* stall
      const waiting = yield* start(peer.request(peers))
      yield* pass("20 seconds")
      assert.strictEqual(tagOf(waiting.result()), "ConnectionSendTimeout")
      assert.strictEqual(tagOf(yield* ended), "ConnectionSendTimeout")
    }).pipe(Effect.scoped, Effect.provide(world))
  )

  it.effect("without an answer fails, and the connection stays (peer 12, receive_timeout)", () =>
    Effect.gen(function* () {
      const { bob, ended, peer } = yield* rig()
      const waiting = yield* start(peer.request(peers))
      assert.deepStrictEqual(yield* bob.hears, Message.GetAddr())
      yield* pass("19999 millis")
      assert.strictEqual(waiting.result(), "pending")
      yield* pass("1 millis")
      assert.strictEqual(tagOf(waiting.result()), "ConnectionReceiveTimeout")
      assert.strictEqual(yield* ended, undefined)

      // The next one has its own time, and the late answer is kept for it.
      yield* bob.says(gossip(1))
      yield* settle
      const next = yield* start(peer.request(peers))
      yield* settle
      assert.deepStrictEqual(next.result(), { _tag: "Peers", addresses: gossip(1).addresses })
    }).pipe(Effect.provide(world))
  )

  it.effect("that was half answered gets nothing of it after the timeout (peer 65)", () =>
    Effect.gen(function* () {
      const { bob, peer, reports } = yield* rig({ connected: { _tag: "OutboundDirect", address: bobAddress } })
      const two: Request = { _tag: "BlocksByHash", hashes: new Set([block(1).hash, block(2).hash]) }
      const waiting = yield* start(peer.request(two))
      yield* bob.hears
      yield* bob.says(blockMessage(1))
      yield* pass("20 seconds")
      assert.strictEqual(tagOf(waiting.result()), "ConnectionReceiveTimeout")
      // A silence proves nothing about what the peer has (peer 76).
      assert.deepStrictEqual(
        reports.map(({ _tag }) => _tag),
        ["Connected"]
      )
    }).pipe(Effect.provide(world))
  )

  it.effect("reports what the peer lacks (peer 76)", () =>
    Effect.gen(function* () {
      const { bob, peer, reports } = yield* rig({ connected: { _tag: "OutboundDirect", address: bobAddress } })
      const two: Request = { _tag: "BlocksByHash", hashes: new Set([block(1).hash, block(2).hash]) }
      const nothing = yield* start(peer.request(two))
      yield* settle
      yield* bob.says(Message.NotFound({ items: [blockItem(block(2).hash)] }))
      yield* settle
      assert.strictEqual(tagOf(nothing.result()), "NotFoundResponse")
      const half = yield* start(peer.request(two))
      yield* settle
      yield* bob.says(blockMessage(1), Message.NotFound({ items: [blockItem(block(2).hash)] }))
      yield* settle
      assert.strictEqual(tagOf(half.result()), "Blocks")
      const first = blockItem(block(1).hash)
      const second = blockItem(block(2).hash)
      assert.deepStrictEqual(reports.slice(1), [
        // What the message says, then what follows for the request.
        { _tag: "InventoryMissing", items: [second] },
        { _tag: "InventoryMissing", items: [first, second] },
        { _tag: "InventoryMissing", items: [second] },
        { _tag: "InventoryMissing", items: [second] }
      ])
    }).pipe(Effect.provide(world))
  )

  it.effect("gives everything it brings the source it came from, unless isolated", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig({ connected: { _tag: "OutboundDirect", address: bobAddress }, id: 7 })
      const waiting = yield* start(peer.request(download(1)))
      yield* settle
      yield* bob.says(blockMessage(1))
      yield* settle
      assert.deepStrictEqual(waiting.result(), {
        _tag: "Blocks",
        items: [{ _tag: "Available", value: block(1), source: { connection: 7, address: bobAddress } }]
      })
    }).pipe(Effect.provide(world))
  )

  it.effect("that is cancelled does not answer the next (peer 16, not_desynchronized_when_request_is_cancelled)", () =>
    Effect.gen(function* () {
      const { asked, bob, closeBob, ended, peer } = yield* rig()
      const first = yield* start(peer.request(download(1)))
      assert.deepStrictEqual(yield* bob.hears, wanted(1))
      yield* first.cancel
      const second = yield* start(peer.request(download(2)))
      assert.deepStrictEqual(yield* bob.hears, wanted(2))
      yield* bob.says(blockMessage(1), blockMessage(2))
      yield* settle
      assert.deepStrictEqual<unknown>(second.result(), blocks(2))
      assert.strictEqual(yield* ended, undefined)
      assert.deepStrictEqual(asked, [])
      yield* closeBob
      assert.strictEqual(tagOf(yield* ended), "ConnectionClosed")
    }).pipe(Effect.provide(world))
  )

  it.effect("that is cancelled in its place is never sent (peer 65)", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      const first = yield* start(peer.request(mempool))
      assert.deepStrictEqual(yield* bob.hears, Message.Mempool())
      const second = yield* start(peer.request(peers))
      yield* settle
      assert.strictEqual(peer.readiness(), "Busy")
      yield* second.cancel
      yield* bob.says(Message.Inv({ items: [] }))
      yield* settle
      assert.deepStrictEqual(first.result(), { _tag: "TransactionIds", ids: [] })
      assert.deepStrictEqual(yield* bob.heard, [])
      assert.strictEqual(peer.readiness(), "Ready")
    }).pipe(Effect.provide(world))
  )

  it.effect("fails with the error the connection ends with, in flight and in its place (peer 73)", () =>
    Effect.gen(function* () {
      const { bob, ended, peer } = yield* rig()
      const inFlight = yield* start(peer.request(mempool))
      yield* bob.hears
      const queued = yield* start(peer.request(peers))
      const waiting = yield* start(peer.request(peers))
      const ready = yield* start(peer.awaitReady)
      yield* settle
      yield* bob.says(Message.Verack())
      const error = yield* ended
      assert.strictEqual(tagOf(error), "DuplicateHandshake")
      for (const each of [inFlight, queued, waiting, ready]) assert.strictEqual(each.result(), error)
    }).pipe(Effect.provide(world))
  )

  it.effect("waits for its place behind another, which is free once the connection takes it", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      assert.strictEqual(peer.readiness(), "Ready")
      const first = yield* start(peer.enqueueUnsafe(mempool))
      assert.strictEqual(peer.readiness(), "Busy")
      assert.throws(() => peer.enqueueUnsafe(peers), /await readiness/)
      yield* settle
      // In flight, not in its place.
      assert.strictEqual(peer.readiness(), "Ready")
      const second = yield* start(peer.enqueueUnsafe(peers))
      const third = yield* start(peer.request(findBlocks))
      yield* settle
      assert.strictEqual(peer.readiness(), "Busy")
      assert.deepStrictEqual(yield* bob.heard, [Message.Mempool()])
      yield* bob.says(Message.Inv({ items: [] }))
      assert.deepStrictEqual(yield* bob.hears, Message.GetAddr())
      yield* bob.says(Message.Addr({ addresses: [] }))
      assert.deepStrictEqual(yield* bob.hears, Message.GetBlocks({ known: [], stop: undefined }))
      yield* bob.says(inv(hash(1)))
      yield* settle
      assert.deepStrictEqual(
        [first.result(), second.result(), third.result()],
        [
          { _tag: "TransactionIds", ids: [] },
          { _tag: "Peers", addresses: [] },
          { _tag: "BlockHashes", hashes: [hash(1)], source: undefined }
        ]
      )
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "has its time from when it is sent (peer 93, backpressured_request_gets_response_budget_after_dispatch)",
    () =>
      Effect.gen(function* () {
        const { bob, ended, peer } = yield* rig({
          // Slower than the program's 5 s, but several times.
          answer: () => Effect.as(Effect.sleep("2500 millis"), nil)
        })
        yield* bob.says(inv(hash(1)), inv(hash(2)), inv(hash(3)), inv(hash(4)))
        yield* settle
        const waiting = yield* start(peer.request(peers))
        for (let i = 0; i < 4; i++) {
          assert.deepStrictEqual(yield* bob.heard, [])
          yield* pass("2500 millis")
        }
        assert.deepStrictEqual(yield* bob.heard, [Message.GetAddr()])
        yield* pass("15 seconds")
        yield* bob.says(Message.Addr({ addresses: [] }))
        yield* settle
        assert.deepStrictEqual(waiting.result(), { _tag: "Peers", addresses: [] })
        assert.strictEqual(yield* ended, undefined)
      }).pipe(Effect.provide(world))
  )

  it.effect("counts as load until it is over (peer 79)", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      const seconds = 1_000_000_000
      assert.strictEqual(peer.load(0n), 21 * seconds)
      const waiting = yield* start(peer.request(peers))
      yield* bob.hears
      assert.strictEqual(peer.load(0n), 42 * seconds)
      yield* pass("10 seconds")
      yield* bob.says(Message.Addr({ addresses: [] }))
      yield* settle
      assert.strictEqual(tagOf(waiting.result()), "Peers")
      const decayed = 21 * Math.exp(-10 / 200) + 10 * (1 - Math.exp(-10 / 200))
      assert.closeTo(peer.load(BigInt(10 * seconds)), decayed * seconds, 10)
    }).pipe(Effect.provide(world))
  )
})

describe("the order of work (peer 72)", () => {
  it.effect("takes a message before a request, so that nothing old is the answer to something new", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      // Both are there before the connection looks.
      yield* bob.says(gossip(1))
      const waiting = yield* start(peer.request(peers))
      yield* settle
      assert.deepStrictEqual(waiting.result(), { _tag: "Peers", addresses: gossip(1).addresses })
      assert.deepStrictEqual(yield* bob.heard, [])
    }).pipe(Effect.provide(world))
  )

  it.effect("sees a cancellation before a message: the answer belongs to nobody", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      const first = yield* start(peer.request(findBlocks))
      yield* bob.hears
      yield* bob.says(inv(hash(1), hash(2)))
      yield* first.cancel
      const second = yield* start(peer.request(findBlocks))
      yield* settle
      assert.strictEqual(second.result(), "pending")
    }).pipe(Effect.provide(world))
  )

  it.effect("sees the time limit before a message: a peer cannot talk its way past it", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      const waiting = yield* start(peer.request(peers))
      yield* bob.hears
      // Written now, there in exactly 20 s.
      yield* (yield* SimNetwork).addRule(LinkRule.delay("20 seconds", { from: [bobAddress] }))
      yield* bob.says(gossip(1))
      yield* pass("20 seconds")
      assert.strictEqual(tagOf(waiting.result()), "ConnectionReceiveTimeout")
    }).pipe(Effect.scoped, Effect.provide(world))
  )

  it.effect("does not let a chatty peer postpone the limit", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      const waiting = yield* start(peer.request(mempool))
      for (let second = 0; second < 20; second++) {
        yield* bob.says(Message.Ping({ nonce: BigInt(second) }), Message.Headers({ headers: [] }))
        yield* pass("1 second")
      }
      assert.strictEqual(tagOf(waiting.result()), "ConnectionReceiveTimeout")
    }).pipe(Effect.provide(world))
  )
})

describe("a change that comes between two steps of the loop", () => {
  const whole = (stream: ByteStream): ByteStream => stream
  const withReadAlone = (stream: ByteStream): ByteStream => ({ ...stream, readNow: undefined })

  it.effect("is not missed, wherever the scheduler stops it", () =>
    Effect.forEach([5, 6, 7, 8, 9], (operations) =>
      Effect.forEach([whole, withReadAlone], (stream) =>
        Effect.gen(function* () {
          const { bob, peer } = yield* rig({ stream })
          for (let turns = 0; turns < 20; turns++) {
            const waiting = yield* start(peer.request(mempool))
            for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
            yield* start(peer.advertiseBlock(hash(turns)))
            const heard: Array<Message> = []
            while (heard.length < 2) heard.push(yield* bob.hears)
            assert.sameDeepMembers(heard, [Message.Mempool(), inv(hash(turns))])
            // While this one is answered nothing is read.
            yield* bob.says(Message.Mempool())
            for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
            yield* bob.says(Message.Inv({ items: [txItem(txId(1))] }))
            while (waiting.result() === "pending") yield* Effect.yieldNow
          }
        }).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, operations))
      )
    ).pipe(Effect.provide(world))
  )
})

describe("a message that is too long to be decoded in one go (wire W8, W12)", () => {
  it.effect("lets others have a turn in between, and is what it was", () =>
    Effect.gen(function* () {
      const reports: Array<PeerReport> = []
      const { bob } = yield* rig({
        connected: { _tag: "OutboundDirect", address: bobAddress },
        report: (report) => Effect.sync(() => reports.push(report))
      })
      yield* settle
      const items = Array.from({ length: 50_000 }, (_, n) => txItem(txId(n)))
      yield* bob.says(Message.Inv({ items: [txItem(txId(7))] }))
      const [shortTurns, longTurns] = yield* Effect.forEach([1, 2], (count) =>
        Effect.gen(function* () {
          if (count === 2) yield* bob.says(Message.Inv({ items }))
          let turns = 0
          for (; reports.filter(({ _tag }) => _tag === "InventoryAvailable").length < count; turns++)
            yield* Effect.yieldNow
          return turns
        })
      )
      // Seven slices of 8,192, some of which are done in the turns that the short one takes too.
      assert.isAtLeast(longTurns!, shortTurns! + 4)
      const [, , report] = reports
      assert(report?._tag === "InventoryAvailable")
      assert.deepStrictEqual(report.items, items.slice(0, 1000))
    }).pipe(Effect.provide(world))
  )
})

describe("addresses", () => {
  it.effect("of an inbound peer are guessed before it is asked (peer 74, addresses EX-16)", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_700_000_000_999)
      const { bob, peer } = yield* rig({
        connected: { _tag: "InboundDirect", address: peerAddress(9) },
        remote: { addressFrom: { address: mallory, services: 1n } }
      })
      const first = yield* peer.request(peers)
      // Seen when it connected, in whole seconds.
      assert.sameDeepMembers(
        first.addresses.map(({ address, lastSeenSeconds }) => [address, lastSeenSeconds]),
        [
          [mallory, 1_700_000_000],
          [peerAddress(9), 1_700_000_000]
        ]
      )
      assert.deepStrictEqual(yield* bob.heard, [])
      yield* start(peer.request(peers))
      assert.deepStrictEqual(yield* bob.heard, [Message.GetAddr()])
    }).pipe(Effect.provide(world))
  )

  it.effect("that come unasked wait for the crawler, 37 at a time (peer 65 and 66)", () =>
    Effect.gen(function* () {
      const { asked, bob, peer } = yield* rig()
      const all = Array.from({ length: 40 }, (_, n) => n)
      yield* bob.says(gossip(...all.slice(0, 20)), gossip(...all.slice(20)))
      const first = yield* peer.request(peers)
      assert.strictEqual(first.addresses.length, 37)
      const second = yield* peer.request(peers)
      assert.strictEqual(second.addresses.length, 3)
      assert.sameMembers(
        [...first.addresses, ...second.addresses].map((each) => each.lastSeenSeconds),
        all
      )
      assert.deepStrictEqual(yield* bob.heard, [])
      assert.deepStrictEqual(asked, [])
    }).pipe(Effect.provide(world))
  )

  it.effect("above 37 of an answer are kept for the next time; a second addr is not asked for (advisory P6)", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      const all = Array.from({ length: 50 }, (_, n) => n)
      const waiting = yield* start(peer.request(peers))
      yield* bob.hears
      yield* bob.says(gossip(...all), gossip(100))
      yield* settle
      const first = waiting.result()
      assert(typeof first === "object" && first._tag === "Peers")
      assert.strictEqual(first.addresses.length, 37)
      const second = yield* peer.request(peers)
      assert.strictEqual(second.addresses.length, 14)
      assert.deepStrictEqual(yield* bob.heard, [])
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "kept of one peer are at most 1000, the oldest ones (peer 75; addresses EX-16; advisory P8, CVE-2023-30769)",
    () =>
      Effect.gen(function* () {
        const { bob, peer } = yield* rig()
        const thousand = Array.from({ length: 1000 }, (_, n) => n)
        yield* bob.says(gossip(...thousand))
        for (let i = 0; i < 20; i++) yield* bob.says(gossip(...thousand.map((n) => 1000 + n)))
        const kept: Array<number> = []
        for (;;) {
          const { addresses } = yield* peer.request(peers)
          kept.push(...addresses.map((each) => each.lastSeenSeconds))
          if (addresses.length < 37) break
        }
        assert.sameMembers(kept, thousand)
      }).pipe(Effect.provide(world))
  )
})

describe("a late or odd answer", () => {
  it.effect(
    "to mempool frees the peer for the next request (peer 84, empty_mempool_reply_unblocks_queued_block_request)",
    () =>
      Effect.gen(function* () {
        const { bob, ended, peer } = yield* rig()
        const first = yield* start(peer.request(mempool))
        assert.deepStrictEqual(yield* bob.hears, Message.Mempool())
        const second = yield* start(peer.request(download(1)))
        assert.deepStrictEqual(yield* bob.heard, [])
        yield* bob.says(Message.Inv({ items: [] }))
        assert.deepStrictEqual(yield* bob.heard, [wanted(1)])
        assert.deepStrictEqual(first.result(), { _tag: "TransactionIds", ids: [] })
        assert.strictEqual(second.result(), "pending")
        assert.strictEqual(yield* ended, undefined)
      }).pipe(Effect.provide(world))
  )

  it.effect(
    "to a cancelled mempool is no answer to find blocks (peer 85, cancelled_mempool_reply_does_not_complete_find_blocks; advisory P12)",
    () =>
      Effect.gen(function* () {
        const { bob, ended, peer } = yield* rig()
        const first = yield* start(peer.request(mempool))
        assert.deepStrictEqual(yield* bob.hears, Message.Mempool())
        yield* first.cancel
        const second = yield* start(peer.request(findBlocks))
        assert.deepStrictEqual(yield* bob.hears, Message.GetBlocks({ known: [], stop: undefined }))
        yield* bob.says(Message.Inv({ items: [] }))
        yield* pass("1 second")
        assert.strictEqual(second.result(), "pending")
        yield* bob.says(inv(hash(1), hash(2)))
        yield* settle
        assert.deepStrictEqual(second.result(), { _tag: "BlockHashes", hashes: [hash(1), hash(2)], source: undefined })
        assert.strictEqual(yield* ended, undefined)
      }).pipe(Effect.provide(world))
  )

  const first = transaction(1)
  const second = transaction(2)
  const transactionRequest = (id: typeof first.id): Request => ({ _tag: "TransactionsById", ids: new Set([id]) })
  const txNotFound = Message.NotFound({ items: [txItem(first.id as never)] })
  const blockNotFound = Message.NotFound({ items: [blockItem(block(1).hash)] })

  it.effect.each([
    ["a transaction, then a block", transactionRequest(first.id), txNotFound, download(2), blockMessage(2), blocks(2)],
    [
      "a block, then a transaction",
      download(1),
      blockNotFound,
      transactionRequest(second.id),
      Message.Tx({ transaction: second }),
      { _tag: "Transactions", items: [{ _tag: "Available", value: second, source: undefined }] }
    ],
    ["a block, then a block", download(1), blockNotFound, download(2), blockMessage(2), blocks(2)]
  ] as ReadonlyArray<[string, Request, Message, Request, Message, Response]>)(
    "notfound is for the request it names: %s (peer 91, connection_ignores_notfound_for_cancelled_requests)",
    ([, cancelledRequest, notFound, request, answer, response]) =>
      Effect.gen(function* () {
        const { asked, bob, ended, peer } = yield* rig()
        const cancelled = yield* start(peer.request(cancelledRequest))
        yield* bob.hears
        yield* cancelled.cancel
        const waiting = yield* start(peer.request(request))
        yield* bob.hears
        yield* bob.says(notFound)
        yield* settle
        assert.strictEqual(waiting.result(), "pending")
        yield* bob.says(answer)
        yield* settle
        assert.deepStrictEqual<unknown>(waiting.result(), response)
        assert.strictEqual(yield* ended, undefined)
        assert.deepStrictEqual(asked, [])
      }).pipe(Effect.provide(world))
  )

  it.effect("that ends a download is pushed to us as well (peer 65)", () =>
    Effect.gen(function* () {
      const { asked, bob, peer } = yield* rig()
      const waiting = yield* start(peer.request(transactionRequest(txId(5))))
      yield* bob.hears
      yield* bob.says(Message.Tx({ transaction: first }))
      yield* settle
      assert.strictEqual(tagOf(waiting.result()), "NotFoundResponse")
      assert.deepStrictEqual(asked, [{ _tag: "PushTransaction", transaction: first, source: undefined }])
    }).pipe(Effect.provide(world))
  )
})

describe("a request of the peer", () => {
  it.effect("is not answered with an empty list of hashes (peer 86, empty_find_blocks_result_sends_no_inventory)", () =>
    Effect.gen(function* () {
      let hashes: ReadonlyArray<ReturnType<typeof hash>> = []
      const { bob, ended } = yield* rig({
        answer: () => Effect.sync(() => ({ _tag: "BlockHashes", hashes, source: undefined }))
      })
      yield* bob.says(Message.GetBlocks({ known: [], stop: undefined }))
      yield* pass("1 second")
      assert.deepStrictEqual(yield* bob.heard, [])
      hashes = [hash(1)]
      yield* bob.says(Message.GetBlocks({ known: [], stop: undefined }))
      assert.deepStrictEqual(yield* bob.heard, [inv(hash(1))])
      assert.strictEqual(yield* ended, undefined)
    }).pipe(Effect.provide(world))
  )

  it.effect("is handed on, and the connection goes on, whatever the report of it gives back", () =>
    Effect.gen(function* () {
      const counted: Array<string> = []
      const { asked, bob } = yield* rig({
        connected: { _tag: "OutboundDirect", address: bobAddress },
        report: ({ _tag }) => Effect.sync(() => counted.push(_tag))
      })
      yield* bob.says(inv(block(1).hash))
      yield* settle
      assert.include(counted, "InventoryAvailable")
      assert.deepStrictEqual(
        asked.map(({ _tag }) => _tag),
        ["AdvertiseBlock"]
      )
      yield* bob.says(Message.Ping({ nonce: 1n }))
      assert.deepStrictEqual(yield* bob.heard, [Message.Pong({ nonce: 1n })])
    }).pipe(Effect.provide(world))
  )

  it.effect("keeps the connection when its answer fails, and gets none (peer 67; advisory P7)", () =>
    Effect.gen(function* () {
      const { asked, bob, ended } = yield* rig({ answer: () => Effect.fail(new AnswerFailed({ cause: "disk" })) })
      yield* bob.says(Message.GetAddr(), Message.Ping({ nonce: 1n }))
      assert.deepStrictEqual(yield* bob.heard, [Message.Pong({ nonce: 1n })])
      assert.deepStrictEqual(asked, [peers])
      assert.strictEqual(yield* ended, undefined)
    }).pipe(Effect.provide(world))
  )

  it.effect("has 5 s (peer 67)", () =>
    Effect.gen(function* () {
      const { bob, ended } = yield* rig({ answer: () => Effect.never })
      yield* bob.says(Message.GetAddr(), Message.Ping({ nonce: 1n }))
      yield* pass("4999 millis")
      assert.deepStrictEqual(yield* bob.heard, [])
      yield* pass("1 millis")
      // The draw of this seed spares it.
      assert.strictEqual(yield* ended, undefined)
      assert.deepStrictEqual(yield* bob.heard, [Message.Pong({ nonce: 1n })])
    }).pipe(Effect.provide(world))
  )

  it.effect("is answered once at a time: the next message waits for it", () =>
    Effect.gen(function* () {
      const { asked, bob } = yield* rig({ answer: () => Effect.as(Effect.sleep("1 second"), nil) })
      yield* bob.says(Message.GetAddr(), Message.Mempool(), Message.Ping({ nonce: 1n }))
      yield* settle
      assert.strictEqual(asked.length, 1)
      yield* pass("1 second")
      assert.strictEqual(asked.length, 2)
      assert.deepStrictEqual(yield* bob.heard, [])
      yield* pass("1 second")
      assert.deepStrictEqual(yield* bob.heard, [Message.Pong({ nonce: 1n })])
    }).pipe(Effect.provide(world))
  )

  /** What a draw of `fraction` decides. */
  const drawing = (fraction: number) =>
    Layer.succeed(Random.Random, { nextDoubleUnsafe: () => fraction, nextIntUnsafe: () => 0 })

  it.effect.each([
    [0.049, "PeerOverloaded"],
    [0.051, undefined]
  ] as const)("that overloads us ends the connection in one case of twenty: at %d, %s (peer 14)", ([draw, error]) =>
    Effect.gen(function* () {
      const { bob, ended } = yield* rig({ answer: () => Effect.fail(new Overloaded()) })
      yield* bob.says(Message.GetAddr())
      assert.strictEqual(tagOf(yield* ended), error)
      assert.deepStrictEqual(yield* bob.heard, [])
    }).pipe(Effect.provide(drawing(draw)), Effect.provide(world))
  )

  it.effect("overloads us more the sooner it comes again, in whichever way (peer 14, 2.10)", () =>
    Effect.gen(function* () {
      let isSlow = false
      const { bob, ended } = yield* rig({
        answer: () => (isSlow ? Effect.never : Effect.fail(new Overloaded()))
      })
      // 0.3 is above 0.05 and below what 500 ms after another overload costs.
      yield* bob.says(Message.GetAddr())
      assert.strictEqual(yield* ended, undefined)
      yield* pass("1 second")
      yield* bob.says(Message.GetAddr())
      assert.strictEqual(yield* ended, undefined)
      yield* pass("500 millis")
      isSlow = true
      yield* bob.says(Message.GetAddr())
      yield* pass("5 seconds")
      // 5.5 s after the last one: counts as the first.
      assert.strictEqual(yield* ended, undefined)
      isSlow = false
      yield* pass("500 millis")
      yield* bob.says(Message.GetAddr())
      assert.strictEqual(tagOf(yield* ended), "PeerOverloaded")
    }).pipe(Effect.provide(drawing(0.3)), Effect.provide(world))
  )

  it.effect("that is too slow ends the connection by chance too (peer 67)", () =>
    Effect.gen(function* () {
      const { bob, ended } = yield* rig({ answer: () => Effect.never })
      yield* bob.says(Message.GetAddr())
      yield* pass("5 seconds")
      assert.strictEqual(tagOf(yield* ended), "InboundTimeout")
    }).pipe(Effect.provide(drawing(0.01)), Effect.provide(world))
  )

  it.effect(
    "that overloads us ends some of many connections (peer 14, randomly_disconnected_on_overload; advisory P9)",
    () =>
      Effect.gen(function* () {
        let closed = 0
        for (let i = 0; i < 220; i++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const { bob, ended } = yield* rig({ answer: () => Effect.fail(new Overloaded()) })
              yield* bob.says(Message.GetAddr())
              if ((yield* ended) !== undefined) closed++
              assert.strictEqual(bob.stream.bytesRead(), 0)
            })
          )
        }
        assert.isAbove(closed, 0)
        // At least 85 % remain.
        assert.isBelow(closed, 33)
      }).pipe(Effect.provide(world))
  )

  it.effect("repeated by an overloader ends its connection within 20 times (advisory P9)", () =>
    Effect.gen(function* () {
      const { bob, ended } = yield* rig({ answer: () => Effect.fail(new Overloaded()) })
      let times = 0
      while ((yield* ended) === undefined) {
        yield* bob.says(Message.GetAddr())
        yield* pass("10 millis")
        times++
      }
      assert.isAtMost(times, 20)
    }).pipe(Effect.provide(world))
  )
})

describe("messages in every state (peer 66)", () => {
  const ignored: ReadonlyArray<Message> = [
    Message.Reject({ message: "tx", code: 1, reason: "because" }),
    Message.NotFound({ items: [] }),
    Message.NotFound({ items: [blockItem(hash(9)), txItem(txId(9))] }),
    Message.Pong({ nonce: 99n }),
    blockMessage(9),
    Message.Headers({ headers: [] }),
    Message.FilterLoad({ filter: new Uint8Array(), hashFunctions: 1, tweak: 1, flags: 0 }),
    Message.FilterAdd({ data: new Uint8Array() }),
    Message.FilterClear(),
    Message.Inv({ items: [] }),
    inv(hash(1), hash(2)),
    Message.Inv({ items: [{ _tag: "Error" }] }),
    Message.GetData({ items: [] }),
    Message.GetData({ items: [{ _tag: "FilteredBlock", hash: hash(1) }] })
  ]
  const asking: ReadonlyArray<[Message, string]> = [
    [Message.Tx({ transaction: transaction(1) }), "PushTransaction"],
    [inv(hash(1)), "AdvertiseBlock"],
    [Message.Inv({ items: [txItem(txId(1)), blockItem(hash(1))] }), "AdvertiseTransactionIds"],
    [Message.GetData({ items: [txItem(txId(1)), blockItem(hash(1))] }), "BlocksByHash"],
    [Message.GetData({ items: [wtxItem("0".repeat(128) as never)] }), "TransactionsById"],
    [Message.GetAddr(), "Peers"],
    [Message.GetBlocks({ known: [hash(1)], stop: undefined }), "FindBlocks"],
    [Message.GetHeaders({ known: [hash(1)], stop: undefined }), "FindHeaders"],
    [Message.Mempool(), "MempoolTransactionIds"]
  ]

  it.effect.each([
    ["idle", undefined],
    // Nothing above is an answer to it.
    ["waiting for an answer", download(1)]
  ] as ReadonlyArray<[string, Request | undefined]>)(
    "mean the same %s, odd ones nothing (advisory P9)",
    ([, request]) =>
      Effect.gen(function* () {
        const { asked, bob, ended, peer } = yield* rig()
        const waiting = request === undefined ? undefined : yield* start(peer.request(request))
        yield* bob.heard
        yield* bob.says(...ignored)
        yield* bob.saysRaw("weird", new Uint8Array(3))
        yield* bob.saysRaw("\xff\xfe", new Uint8Array())
        yield* bob.says(Message.Ping({ nonce: 4n }))
        assert.deepStrictEqual(yield* bob.heard, [Message.Pong({ nonce: 4n })])
        assert.deepStrictEqual(asked, [])

        yield* bob.says(...asking.map(([message]) => message))
        yield* settle
        assert.deepStrictEqual(
          asked.map(({ _tag }) => _tag),
          asking.map(([, tag]) => tag)
        )
        assert.strictEqual(yield* ended, undefined)
        assert.strictEqual(waiting?.result() ?? "pending", "pending")
        assert.deepStrictEqual(yield* bob.heard, [])
      }).pipe(Effect.provide(world))
  )

  it.effect.each([
    ["version", "idle", bobsVersion(), undefined],
    ["verack", "idle", Message.Verack(), undefined],
    ["version", "waiting", bobsVersion(), download(1)],
    ["verack", "waiting", Message.Verack(), download(1)]
  ] as ReadonlyArray<[string, string, Message, Request | undefined]>)(
    "of a handshake end it: %s while %s (advisory P9)",
    ([, , message, request]) =>
      Effect.gen(function* () {
        const { bob, ended, peer, reports } = yield* rig()
        const waiting = request === undefined ? undefined : yield* start(peer.request(request))
        yield* settle
        yield* bob.says(message, Message.Ping({ nonce: 1n }))
        const error = yield* ended
        assert.strictEqual(tagOf(error), "DuplicateHandshake")
        if (waiting !== undefined) assert.strictEqual(waiting.result(), error)
        // No failure of the address: whoever is on the path could have added it.
        assert.deepStrictEqual(
          reports.map(({ _tag }) => _tag),
          ["Connected"]
        )
      }).pipe(Effect.provide(world))
  )

  it.effect("that cannot be decoded end it, and are reported with the services of the handshake", () =>
    Effect.gen(function* () {
      const { bob, ended, reports } = yield* rig({ remote: { services: 1n } })
      yield* bob.saysRaw("ping", new Uint8Array(3))
      const error = yield* ended
      assert(error?._tag === "Serialization")
      assert.strictEqual(error.cause._tag, "WireEof")
      assert.deepStrictEqual(reports.slice(1), [{ _tag: "Failed", services: 1n }])
    }).pipe(Effect.provide(world))
  )

  it.effect("cut off by the end of the stream are no clean end", () =>
    Effect.gen(function* () {
      const { bob, closeBob, ended, reports } = yield* rig()
      yield* bob.sayBytes(new Uint8Array([0xaa, 0xe8, 0x3f, 0x5f, 1, 2, 3]))
      yield* settle
      yield* closeBob
      const error = yield* ended
      assert(error?._tag === "Serialization")
      assert.deepStrictEqual(error.cause._tag, "Truncated")
      assert.deepStrictEqual(
        reports.map(({ _tag }) => _tag),
        ["Connected", "Failed"]
      )
    }).pipe(Effect.provide(world))
  )

  it.effect("whose locator states another version than the agreed one end it (2.8)", () =>
    Effect.gen(function* () {
      const { bob, ended } = yield* rig()
      const body = new Uint8Array(4 + 1 + 32)
      new DataView(body.buffer).setUint32(0, 170_160, true)
      yield* bob.saysRaw("getblocks", body)
      assert.strictEqual(tagOf(yield* ended), "Serialization")
    }).pipe(Effect.provide(world))
  )

  it.effect("a thousand at once are a thousand", () =>
    Effect.gen(function* () {
      const { bob, ended } = yield* rig()
      const pings = Array.from({ length: 1000 }, (_, n) => Message.Ping({ nonce: BigInt(n) }))
      yield* bob.says(...pings)
      const pongs: Array<Message> = []
      while (pongs.length < 1000) pongs.push(yield* bob.hears)
      assert.deepStrictEqual(
        pongs,
        pings.map(({ nonce }) => Message.Pong({ nonce }))
      )
      assert.strictEqual(yield* ended, undefined)
    }).pipe(Effect.provide(world))
  )
})

describe("what a connection reports of inventory (peer 61)", () => {
  const messages = [
    inv(hash(1)),
    inv(hash(1), hash(2)),
    Message.Inv({ items: [blockItem(hash(1)), txItem(txId(1))] }),
    Message.NotFound({ items: [blockItem(hash(3)), txItem(txId(3)), { _tag: "Error" }] })
  ]

  it.effect("comes before the message means anything else, asked for or not", () =>
    Effect.gen(function* () {
      const { asked, bob, reports } = yield* rig({ connected: { _tag: "InboundDirect", address: alice } })
      yield* bob.says(...messages)
      yield* settle
      assert.deepStrictEqual(reports.slice(1), [
        { _tag: "InventoryAvailable", items: [blockItem(hash(1))] },
        { _tag: "InventoryAvailable", items: [txItem(txId(1))] },
        { _tag: "InventoryMissing", items: [blockItem(hash(3)), txItem(txId(3))] }
      ])
      assert.strictEqual(asked.length, 2)
    }).pipe(Effect.provide(world))
  )

  it.effect("is nothing for an isolated peer", () =>
    Effect.gen(function* () {
      const { bob, reports } = yield* rig()
      yield* bob.says(...messages)
      yield* settle
      assert.deepStrictEqual(
        reports.map(({ _tag }) => _tag),
        ["Connected"]
      )
    }).pipe(Effect.provide(world))
  )
})
