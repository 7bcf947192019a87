import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { Block } from "../../src/chain/Block.ts"
import type { BlockHash } from "../../src/chain/Hash.ts"
import { regtest } from "../../src/chain/ChainParams.ts"
import { maxBufferedBytes, maxUnsentBytes, MessageStream } from "../../src/peer/MessageStream.ts"
import type { Request, Response } from "../../src/peer/Request.ts"
import { defaults } from "../../src/Policy.ts"
import { windowBytes } from "../../src/simulation/SimStream.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { type InventoryItem, Message } from "../../src/wire/Message.ts"
import { bob as bobAddress } from "../support/addresses.ts"
import { genesis } from "../support/goldens.ts"
import { block, blockItem, hash, transaction, txId, txItem, wtxId, wtxItem } from "./items.ts"
import { turnsOfOthers } from "../support/time.ts"
import { pass, rig, settle, start, streams, world } from "./rig.ts"

const connected = { _tag: "OutboundDirect", address: bobAddress } as const
const nil: Response = { _tag: "Nil" }
const findBlocks: Request = { _tag: "FindBlocks", known: [], stop: undefined }
const tagOf = (result: unknown): unknown =>
  typeof result === "object" && result !== null && "_tag" in result ? result._tag : result

/** A header that announces a body, without one. */
const announced = (command: string, length: number) => {
  const header = Buffer.from(Frame.encode(regtest.magic, { command, body: new Uint8Array() }))
  header.writeUInt32LE(length, 16)
  return header
}

/** A block of about a megabyte: what follows its transactions is passed on like the rest. */
const largeBlock = Result.getOrThrow(Block.fromStore(Buffer.concat([genesis.regtest.bytes, Buffer.alloc(1_000_000)])))

const items = <A>(count: number, item: (n: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, n) => item(n))

describe("a peer that floods us", () => {
  it("is kept within these bytes: a header of 24, a body of two megabytes, and a chunk as Node reads it", () => {
    assert.deepStrictEqual([maxBufferedBytes, maxUnsentBytes], [2_162_712, 2_162_712])
  })

  it.effect("cannot make us keep more than one message and one chunk, whatever it announces", () =>
    Effect.gen(function* () {
      const { bob, ended, messages, peer } = yield* rig()
      yield* bob.sayBytes(announced("block", Frame.maxBodyBytes))
      yield* settle
      // Nothing is kept for what was only announced.
      assert.strictEqual(messages.bufferedBytes(), 0)
      const chunk = new Uint8Array(16_384)
      let most = 0
      for (let sent = 0; sent < Frame.maxBodyBytes - 1; sent += chunk.length) {
        yield* bob.sayBytes(chunk)
        yield* settle
        most = Math.max(most, messages.bufferedBytes())
      }
      assert.isAtMost(most, maxBufferedBytes)
      assert.strictEqual((yield* ended)?._tag, "Serialization")
      assert.strictEqual(peer.bytesRead(), Frame.headerBytes + Frame.maxBodyBytes)
      assert.strictEqual(messages.bufferedBytes(), 0)
    }).pipe(Effect.provide(world))
  )

  it.effect("is not read while we answer it: what it sends stays with it", () =>
    Effect.gen(function* () {
      const { bob, messages, peer } = yield* rig({ answer: () => Effect.as(Effect.sleep("4 seconds"), nil) })
      yield* bob.says(Message.Mempool())
      yield* settle
      const read = peer.bytesRead()
      const flood = yield* start(
        bob.says(...items(100, () => Message.Inv({ items: items(1000, (n) => txItem(txId(n))) })))
      )
      yield* pass("3 seconds")
      assert.strictEqual(flood.result(), "pending")
      assert.isAtMost(peer.bytesRead() - read, windowBytes)
      assert.isAtMost(messages.bufferedBytes(), windowBytes)
      yield* flood.cancel
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "with chunks that never wait and complete nothing takes no turns of others, and no more time than it has",
    () =>
      Effect.gen(function* () {
        const turns = yield* turnsOfOthers
        const { alices } = yield* streams
        const stream = { ...alices, read: Effect.succeed(new Uint8Array()) }
        const messages = new MessageStream(stream, regtest.magic, defaults, yield* Effect.context<never>())
        const receiving = yield* start(Effect.timeoutOption(messages.receive, "3 seconds"))
        yield* pass("2999 millis")
        assert.strictEqual(receiving.result(), "pending")
        const before = turns()
        yield* pass("1 millis")
        assert.deepStrictEqual(receiving.result(), Option.none())
        assert.isAbove(turns(), before)
      }).pipe(Effect.scoped, Effect.provide(world))
  )

  it.effect("with announcements is read one at a time (advisory P2, CVE-2018-17145)", () =>
    Effect.gen(function* () {
      const { asked, bob, ended, messages, peer, reports } = yield* rig({
        connected,
        answer: () => Effect.as(Effect.sleep("1 second"), nil)
      })
      const flood = yield* start(
        Effect.gen(function* () {
          for (let i = 0; i < 3; i++) yield* bob.says(Message.Inv({ items: items(50_000, (n) => txItem(txId(n))) }))
          yield* bob.says(Message.Inv({ items: items(30_000, (n) => wtxItem(wtxId(n))) }))
        })
      )
      for (let second = 1; second <= 4; second++) {
        yield* pass("1 millis")
        assert.strictEqual(asked.length, second)
        assert.isAtMost(messages.bufferedBytes(), maxBufferedBytes)
        yield* pass("999 millis")
      }
      assert.strictEqual(flood.result(), undefined)
      for (const report of reports.slice(1)) {
        assert(report._tag === "InventoryAvailable")
        assert.strictEqual(report.items.length, 1000)
      }
      assert.deepStrictEqual(
        asked.map((request) => (request._tag === "AdvertiseTransactionIds" ? request.ids.size : 0)),
        [50_000, 50_000, 50_000, 30_000]
      )
      yield* settle
      assert.strictEqual(messages.bufferedBytes(), 0)
      assert.strictEqual(peer.bytesWritten(), 0)
      assert.strictEqual(yield* ended, undefined)
    }).pipe(Effect.provide(world))
  )

  it.effect("with requests does not take the turns of others", () =>
    Effect.gen(function* () {
      const busy = yield* rig()
      const other = yield* rig()
      yield* settle
      yield* busy.bob.says(...items(500, () => Message.Mempool()))
      yield* other.bob.says(Message.Ping({ nonce: 1n }))
      assert.deepStrictEqual(yield* other.bob.hears, Message.Pong({ nonce: 1n }))
      assert.isAtMost(busy.asked.length, 10)
    }).pipe(Effect.provide(world))
  )

  it.effect("with a question that has hundreds of answers does not take the turns of others", () =>
    Effect.gen(function* () {
      const value = transaction(1)
      const answers = items(300, () => ({ _tag: "Available" as const, value, source: undefined }))
      const { bob, peer } = yield* rig({ answer: () => Effect.succeed({ _tag: "Transactions", items: answers }) })
      yield* settle
      yield* bob.says(Message.GetData({ items: [txItem(txId(1))] }))
      /** Bytes of answers, as another fiber sees them in each of its turns. */
      const seen: Array<number> = []
      yield* Effect.forkScoped(Effect.forever(Effect.sync(() => seen.push(peer.bytesWritten()))))
      yield* Effect.forEach(answers, () => bob.hears)
      const all = peer.bytesWritten()
      assert.strictEqual(all % answers.length, 0)
      const jumps = seen.map((bytes, turn) => bytes - (seen[turn - 1] ?? 0))
      assert.isAtMost(Math.max(...jumps), 64 * (all / answers.length))
    }).pipe(Effect.provide(world))
  )

  it.effect("with a chunk of hundreds of messages does not take the turns of others", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      yield* settle
      const before = peer.bytesWritten()
      const pong = Frame.headerBytes + 8
      /** Pongs so far, as another fiber sees them in each of its turns. */
      const seen: Array<number> = [0]
      yield* Effect.forkScoped(Effect.forever(Effect.sync(() => seen.push((peer.bytesWritten() - before) / pong))))
      yield* bob.says(...items(500, (n) => Message.Ping({ nonce: BigInt(n) })))
      yield* Effect.forEach(
        items(500, () => undefined),
        () => bob.hears
      )
      assert.strictEqual((peer.bytesWritten() - before) / pong, 500)
      const jumps = seen.map((pongs, turn) => pongs - (seen[turn - 1] ?? 0))
      assert.isAtMost(Math.max(...jumps), 32)
    }).pipe(Effect.provide(world))
  )

  it.effect("with more items than may be, or of no known kind, is cut off", () =>
    Effect.gen(function* () {
      const tooMany = yield* rig()
      // The count alone: the items are not waited for.
      yield* tooMany.bob.saysRaw("inv", Uint8Array.of(0xfd, 0x51, 0xc3))
      const error = yield* tooMany.ended
      assert(error?._tag === "Serialization" && error.cause._tag === "WireParse")
      const odd = yield* rig()
      yield* odd.bob.saysRaw("getdata", Uint8Array.of(1, 2, 0, 0, 0x40, ...new Uint8Array(32)))
      assert.strictEqual((yield* odd.ended)?._tag, "Serialization")
      assert.deepStrictEqual([...tooMany.asked, ...odd.asked], [])
    }).pipe(Effect.provide(world))
  )
})

describe("announcements of blocks (advisory P3, CVE-2024-52915)", () => {
  const blocks = (count: number) => Message.Inv({ items: items(count, (n) => blockItem(hash(n))) })

  it.effect("by the thousand mean and cost nothing; one means one", () =>
    Effect.gen(function* () {
      const { asked, bob, ended, peer, reports } = yield* rig({ connected })
      yield* bob.says(blocks(50_000), blocks(2), blocks(0))
      yield* settle
      assert.deepStrictEqual(asked, [])
      assert.strictEqual(reports.length, 1)
      const mixed: ReadonlyArray<InventoryItem> = items(50_000, (n) =>
        n % 2 === 0 ? blockItem(hash(n)) : txItem(txId(n))
      )
      yield* bob.says(Message.Inv({ items: mixed }))
      yield* settle
      assert(asked[0]?._tag === "AdvertiseTransactionIds")
      assert.strictEqual(asked[0].ids.size, 25_000)
      for (let i = 0; i < 100; i++) {
        yield* bob.says(blocks(1))
        yield* settle
      }
      assert.strictEqual(asked.filter(({ _tag }) => _tag === "AdvertiseBlock").length, 100)
      assert.strictEqual(peer.bytesWritten(), 0)
      assert.strictEqual(yield* ended, undefined)
    }).pipe(Effect.provide(world))
  )

  it.effect("answer find blocks, unless they name nothing (advisory P12)", () =>
    Effect.gen(function* () {
      const { asked, bob, peer } = yield* rig()
      const waiting = yield* start(peer.request(findBlocks))
      yield* bob.hears
      // Again and again: none of it starts the time anew.
      for (let i = 0; i < 3; i++) {
        yield* bob.says(blocks(0), Message.NotFound({ items: [] }), Message.NotFound({ items: [blockItem(hash(1))] }))
        yield* pass("5 seconds")
      }
      assert.strictEqual(waiting.result(), "pending")
      assert.deepStrictEqual(asked, [])
      yield* pass("4999 millis")
      assert.strictEqual(waiting.result(), "pending")
      yield* pass("1 millis")
      assert.strictEqual(tagOf(waiting.result()), "ConnectionReceiveTimeout")
    }).pipe(Effect.provide(world))
  )
})

describe("hostile getdata (advisory P4, CVE-2024-52920)", () => {
  it.effect("is handed over once per message, without doubles, of one kind", () =>
    Effect.gen(function* () {
      const { asked, bob, ended, peer } = yield* rig()
      const of = (...items: ReadonlyArray<InventoryItem>) => Message.GetData({ items })
      yield* bob.says(of({ _tag: "Error" }, { _tag: "FilteredBlock", hash: hash(1) }), of())
      yield* settle
      assert.deepStrictEqual(asked, [])
      yield* bob.says(
        of(...items(50_000, (n) => blockItem(hash(n)))),
        of(...items(50_000, () => blockItem(hash(1)))),
        of(...items(1000, (n) => (n % 2 === 0 ? blockItem(hash(n)) : txItem(txId(n)))))
      )
      yield* settle
      assert.deepStrictEqual(
        asked.map((request) => (request._tag === "BlocksByHash" ? request.hashes.size : request._tag)),
        [50_000, 1, 500]
      )
      assert.strictEqual(peer.bytesWritten(), 0)
      assert.strictEqual(yield* ended, undefined)
    }).pipe(Effect.provide(world))
  )

  it.effect("of a peer that does not read costs one message, and then the connection", () =>
    Effect.gen(function* () {
      const { asked, bob, closeAlice, ended, messages, peer, stall } = yield* rig({
        answer: () =>
          Effect.succeed({
            _tag: "Blocks",
            items: items(16, () => ({ _tag: "Available", value: largeBlock, source: undefined }))
          })
      })
      yield* stall
      const wanted = Message.GetData({ items: items(1000, (n) => blockItem(hash(n))) })
      const flood = yield* start(bob.says(...items(100, () => wanted)))
      yield* pass("19999 millis")
      assert.strictEqual(yield* ended, undefined)
      // The header of one block is with the transport, which takes no more, and no other request was looked at.
      assert.strictEqual(peer.bytesWritten(), Frame.headerBytes)
      assert.isAtMost(Frame.headerBytes + largeBlock.bytes.length, maxUnsentBytes)
      assert.strictEqual(asked.length, 1)
      assert.isAtMost(messages.bufferedBytes(), maxBufferedBytes)
      assert.strictEqual(flood.result(), "pending")
      yield* pass("1 millis")
      assert.strictEqual((yield* ended)?._tag, "ConnectionSendTimeout")
      yield* flood.cancel
      yield* start(closeAlice)
      yield* pass("1 second")
    }).pipe(Effect.scoped, Effect.provide(world))
  )

  it.effect("leaves no record of what it named (advisory P8, CVE-2023-30769)", () =>
    Effect.gen(function* () {
      const missing = (hashes: ReadonlySet<BlockHash>): Response => ({
        _tag: "Blocks",
        items: [...hashes].slice(0, 16).map((id) => ({ _tag: "Missing", id }))
      })
      const { bob, messages, reports } = yield* rig({
        connected,
        answer: (request) => Effect.succeed(request._tag === "BlocksByHash" ? missing(request.hashes) : nil)
      })
      for (let i = 0; i < 20; i++) {
        yield* bob.says(Message.GetData({ items: items(1000, (n) => blockItem(hash(i * 1000 + n))) }))
        const answer = yield* bob.hears
        assert(answer._tag === "NotFound")
        assert.strictEqual(answer.items.length, 16)
      }
      assert.strictEqual(messages.bufferedBytes(), 0)
      assert.deepStrictEqual(
        reports.map(({ _tag }) => _tag),
        ["Connected"]
      )
    }).pipe(Effect.provide(world))
  )
})

describe("announcing much (advisory P5, CVE-2023-33297)", () => {
  it.effect("says at most 25,000 ids, in an advert and in an answer", () =>
    Effect.gen(function* () {
      const ids = items(100_000, txId)
      const { bob, peer } = yield* rig({ answer: () => Effect.succeed({ _tag: "TransactionIds", ids }) })
      const sent = yield* start(peer.request({ _tag: "AdvertiseTransactionIds", ids: new Set(ids), source: undefined }))
      const advert = yield* bob.hears
      yield* settle
      assert.deepStrictEqual(sent.result(), nil)
      yield* bob.says(Message.Mempool())
      const answer = yield* bob.hears
      for (const message of [advert, answer]) {
        assert(message._tag === "Inv")
        assert.deepStrictEqual(message.items.length, 25_000)
      }
    }).pipe(Effect.provide(world))
  )

  it.effect("to a peer that does not read keeps one message for it, however much more there is", () =>
    Effect.gen(function* () {
      const { closeAlice, ended, peer, stall } = yield* rig()
      yield* stall
      const advert: Request = { _tag: "AdvertiseTransactionIds", ids: new Set(items(25_000, txId)), source: undefined }
      const sends = items(10, () => Effect.exit(peer.request(advert)))
      const all = yield* start(Effect.all(sends, { concurrency: "unbounded" }))
      yield* pass("19999 millis")
      assert.strictEqual(all.result(), "pending")
      assert.strictEqual(peer.bytesWritten(), 24 + 3 + 25_000 * 36)
      yield* pass("1 millis")
      assert.notStrictEqual(all.result(), "pending")
      assert.strictEqual((yield* ended)?._tag, "ConnectionSendTimeout")
      assert.strictEqual(peer.bytesWritten(), 24 + 3 + 25_000 * 36)
      yield* start(closeAlice)
      yield* pass("1 second")
    }).pipe(Effect.scoped, Effect.provide(world))
  )
})

describe("what comes twice, late or unasked (advisories P6 and N11, CVE-2024-35202)", () => {
  const three: Request = { _tag: "BlocksByHash", hashes: new Set([1, 2, 3].map((n) => block(n).hash)) }
  const blockMessage = (n: number) => Message.Block({ block: block(n) })
  const noise = [
    blockMessage(1),
    blockMessage(9),
    Message.NotFound({ items: items(50_000, (n) => blockItem(hash(n))) }),
    Message.NotFound({ items: [blockItem(block(1).hash)] }),
    Message.Tx({ transaction: transaction(1) }),
    Message.Headers({ headers: [block(1).header] })
  ]

  it.effect("is kept out of the answer, and the answer comes once", () =>
    Effect.gen(function* () {
      const { asked, bob, ended, peer } = yield* rig()
      const waiting = yield* start(peer.request(three))
      yield* bob.hears
      yield* bob.says(blockMessage(1), ...noise, blockMessage(2), ...noise, blockMessage(3), blockMessage(3), ...noise)
      yield* settle
      const answer = waiting.result()
      assert(typeof answer === "object" && answer._tag === "Blocks")
      assert.deepStrictEqual(
        answer.items.map((item) => item._tag === "Available" && item.value.hash),
        [1, 2, 3].map((n) => block(n).hash)
      )
      // Transactions are transactions; the rest is nobody's.
      assert.deepStrictEqual(
        asked.map(({ _tag }) => _tag),
        ["PushTransaction", "PushTransaction", "PushTransaction"]
      )
      assert.strictEqual(yield* ended, undefined)
    }).pipe(Effect.provide(world))
  )

  it.effect.each(["after its time", "after it was cancelled"])("%s completes nothing else", (when) =>
    Effect.gen(function* () {
      const { bob, ended, peer } = yield* rig()
      const first = yield* start(peer.request(three))
      yield* bob.hears
      yield* bob.says(blockMessage(1))
      if (when === "after its time") yield* pass("20 seconds")
      else yield* first.cancel
      const others: ReadonlyArray<[Request, Message]> = [
        [{ _tag: "BlockDownload", hash: block(7).hash, advertiser: undefined }, blockMessage(7)],
        [{ _tag: "TransactionsById", ids: new Set([transaction(7).id]) }, Message.Tx({ transaction: transaction(7) })],
        [findBlocks, Message.Inv({ items: [blockItem(hash(1)), blockItem(hash(2))] })],
        [{ _tag: "Peers" }, Message.Addr({ addresses: [] })]
      ]
      for (const [request, answer] of others) {
        const waiting = yield* start(peer.request(request))
        yield* bob.hears
        yield* bob.says(blockMessage(2), blockMessage(3), Message.NotFound({ items: [blockItem(block(1).hash)] }))
        yield* settle
        assert.strictEqual(waiting.result(), "pending")
        yield* bob.says(answer)
        yield* settle
        assert.notStrictEqual(waiting.result(), "pending")
      }
      assert.strictEqual(yield* ended, undefined)
    }).pipe(Effect.provide(world))
  )
})

describe("what a peer can tell from our silence (advisory P7, CVE-2019-16930)", () => {
  it.effect("is nothing of what a transaction means: pong comes as soon as it is handed over, and reject never", () =>
    Effect.gen(function* () {
      const delays: Array<number> = []
      const outcomes: Array<Effect.Effect<Response>> = [
        Effect.succeed(nil),
        // Queued here, and looked at for as long as it takes.
        Effect.andThen(Effect.asVoid(Effect.forkChild(Effect.sleep("5 seconds"))), Effect.succeed(nil)),
        Effect.succeed(nil)
      ]
      for (const outcome of outcomes) {
        const { bob } = yield* rig({ answer: () => outcome })
        yield* bob.says(Message.Tx({ transaction: transaction(1) }), Message.Ping({ nonce: 1n }))
        const before = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        assert.deepStrictEqual(yield* bob.heard, [Message.Pong({ nonce: 1n })])
        delays.push((yield* Effect.clockWith((clock) => clock.currentTimeMillis)) - before)
      }
      assert.deepStrictEqual(delays, [0, 0, 0])
    }).pipe(Effect.provide(world))
  )
})
