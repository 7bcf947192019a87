import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import { inventoryOf, meaningOf, messagesOf } from "../../src/peer/InboundMessages.ts"
import type { InboundRequest, Response, Source } from "../../src/peer/Request.ts"
import { type InventoryItem, Message } from "../../src/wire/Message.ts"
import { bob } from "../support/addresses.ts"
import { block, blockItem, hash, transaction, txId, txItem, wtxId, wtxItem } from "./items.ts"
import { bobsVersion } from "./rig.ts"

const source: Source = { connection: 7, address: bob }
const error: InventoryItem = { _tag: "Error" }
const filtered: InventoryItem = { _tag: "FilteredBlock", hash: hash(1) }
const inv = (...items: ReadonlyArray<InventoryItem>) => Message.Inv({ items })
const getData = (...items: ReadonlyArray<InventoryItem>) => Message.GetData({ items })
const notFound = (...items: ReadonlyArray<InventoryItem>) => Message.NotFound({ items })

describe("a message that answers nothing (peer 66)", () => {
  it("is answered at once when it is a ping", () => {
    assert.deepStrictEqual(meaningOf(Message.Ping({ nonce: 5n }), source), {
      _tag: "Reply",
      message: Message.Pong({ nonce: 5n })
    })
  })

  it.each([bobsVersion(), Message.Verack()])("ends the connection when it is a second $_tag", (message) => {
    assert.deepStrictEqual(meaningOf(message, source), { _tag: "DuplicateHandshake" })
  })

  it.each([
    Message.Reject({ message: "tx", code: 1, reason: "because" }),
    notFound(blockItem(hash(1))),
    Message.Pong({ nonce: 1n }),
    Message.Block({ block: block(1) }),
    Message.Headers({ headers: [] }),
    Message.FilterLoad({ filter: new Uint8Array(), hashFunctions: 1, tweak: 1, flags: 0 }),
    Message.FilterAdd({ data: new Uint8Array() }),
    Message.FilterClear(),
    inv(),
    inv(blockItem(hash(1)), blockItem(hash(2))),
    inv(error, filtered),
    getData(),
    getData(error, filtered)
  ])("is ignored when it is an odd $_tag (advisory P9)", (message) => {
    assert.deepStrictEqual(meaningOf(message, source), { _tag: "Ignore" })
  })

  it("is kept for later when it brings addresses", () => {
    const addresses = [{ address: bob, services: 1n, lastSeenSeconds: 1 }]
    assert.deepStrictEqual(meaningOf(Message.Addr({ addresses }), source), { _tag: "Addresses", addresses })
  })

  it.each([
    [
      "a transaction",
      Message.Tx({ transaction: transaction(1) }),
      { _tag: "PushTransaction", transaction: transaction(1), source }
    ],
    ["one block advertised", inv(blockItem(hash(1))), { _tag: "AdvertiseBlock", hash: hash(1), source }],
    [
      "transactions advertised, doubles and blocks among them",
      inv(blockItem(hash(1)), txItem(txId(1)), wtxItem(wtxId(2)), txItem(txId(1)), error),
      { _tag: "AdvertiseTransactionIds", ids: new Set([txId(1), wtxId(2)]), source }
    ],
    [
      "blocks wanted, doubles and transactions among them",
      getData(txItem(txId(1)), blockItem(hash(1)), blockItem(hash(1)), blockItem(hash(2))),
      { _tag: "BlocksByHash", hashes: new Set([hash(1), hash(2)]) }
    ],
    [
      "transactions wanted",
      getData(txItem(txId(1)), wtxItem(wtxId(2)), error),
      { _tag: "TransactionsById", ids: new Set([txId(1), wtxId(2)]) }
    ],
    ["addresses wanted", Message.GetAddr(), { _tag: "Peers" }],
    [
      "hashes wanted",
      Message.GetBlocks({ known: [hash(1)], stop: hash(2) }),
      { _tag: "FindBlocks", known: [hash(1)], stop: hash(2) }
    ],
    [
      "headers wanted",
      Message.GetHeaders({ known: [hash(1)], stop: undefined }),
      { _tag: "FindHeaders", known: [hash(1)], stop: undefined }
    ],
    ["the mempool wanted", Message.Mempool(), { _tag: "MempoolTransactionIds" }]
  ] as ReadonlyArray<[string, Message, InboundRequest]>)("is a request when it is %s", (_, message, request) => {
    assert.deepStrictEqual(meaningOf(message, source), { _tag: "Ask", request })
  })

  it("always says who sent what it delivers or advertises (advisory P11)", () => {
    for (const message of [
      Message.Tx({ transaction: transaction(1) }),
      inv(blockItem(hash(1))),
      inv(txItem(txId(1)))
    ]) {
      const meaning = meaningOf(message, source)
      assert(meaning._tag === "Ask" && "source" in meaning.request)
      assert.strictEqual(meaning.request.source, source)
    }
  })
})

describe("what a message says about who has what (peer 61, inv_registry_inbound_wrapper_ok)", () => {
  const kind = Schema.Literals(["tx", "wtx", "block", "filtered", "error"])
  const itemOf = (kind: string, n: number): InventoryItem =>
    kind === "tx"
      ? txItem(txId(n))
      : kind === "wtx"
        ? wtxItem(wtxId(n))
        : kind === "block"
          ? blockItem(hash(n))
          : kind === "filtered"
            ? { _tag: "FilteredBlock", hash: hash(n) }
            : error

  it.prop("is every transaction, and a block where it counts", { kinds: Schema.Array(kind) }, ({ kinds }) => {
    const items = kinds.slice(0, 5).map(itemOf)
    const transactions = items.filter(({ _tag }) => _tag === "Tx" || _tag === "Wtx")
    const isOneBlock = items.length === 1 && items[0]?._tag === "Block"
    const available = isOneBlock ? items : transactions
    assert.deepStrictEqual(
      inventoryOf(inv(...items), 1000),
      available.length === 0 ? undefined : { _tag: "InventoryAvailable", items: available }
    )
    const missing = items.filter(({ _tag }) => _tag === "Tx" || _tag === "Wtx" || _tag === "Block")
    assert.deepStrictEqual(
      inventoryOf(notFound(...items), 1000),
      missing.length === 0 ? undefined : { _tag: "InventoryMissing", items: missing }
    )
  })

  it("is the first 1000 items at most", () => {
    const items = Array.from({ length: 1500 }, (_, n) => txItem(txId(n)))
    assert.deepStrictEqual(inventoryOf(inv(...items), 1000), {
      _tag: "InventoryAvailable",
      items: items.slice(0, 1000)
    })
    assert.deepStrictEqual(inventoryOf(notFound(...items), 1000), {
      _tag: "InventoryMissing",
      items: items.slice(0, 1000)
    })
  })

  it("is nothing in other messages", () => {
    for (const message of [getData(txItem(txId(1))), Message.Block({ block: block(1) }), Message.Mempool()]) {
      assert.strictEqual(inventoryOf(message, 1000), undefined)
    }
  })
})

describe("how an answer is said (peer 67)", () => {
  const available = <A>(value: A) => ({ _tag: "Available", value, source: undefined }) as const
  const missing = <Id>(id: Id) => ({ _tag: "Missing", id }) as const
  const addresses = [{ address: bob, services: 1n, lastSeenSeconds: 1 }]

  it.each([
    ["Nil is silence", { _tag: "Nil" }, []],
    ["Pong is silence", { _tag: "Pong", roundTrip: Duration.zero }, []],
    ["addresses are one addr", { _tag: "Peers", addresses }, [Message.Addr({ addresses })]],
    ["no addresses are an empty addr", { _tag: "Peers", addresses: [] }, [Message.Addr({ addresses: [] })]],
    [
      "blocks are one message each, and then those missing",
      { _tag: "Blocks", items: [missing(hash(8)), available(block(1)), missing(hash(9)), available(block(2))] },
      [
        Message.Block({ block: block(1) }),
        Message.Block({ block: block(2) }),
        notFound(blockItem(hash(8)), blockItem(hash(9)))
      ]
    ],
    [
      "blocks without missing ones are followed by nothing",
      { _tag: "Blocks", items: [available(block(1))] },
      [Message.Block({ block: block(1) })]
    ],
    [
      "transactions are one message each, and then those missing",
      { _tag: "Transactions", items: [available(transaction(1)), missing(txId(8)), missing(wtxId(9))] },
      [Message.Tx({ transaction: transaction(1) }), notFound(txItem(txId(8)), wtxItem(wtxId(9)))]
    ],
    [
      "hashes are one inv",
      { _tag: "BlockHashes", hashes: [hash(1), hash(2)], source: undefined },
      [inv(blockItem(hash(1)), blockItem(hash(2)))]
    ],
    ["no hashes are silence", { _tag: "BlockHashes", hashes: [], source: undefined }, []],
    [
      "headers are one message",
      { _tag: "BlockHeaders", headers: [block(1).header], source: undefined },
      [Message.Headers({ headers: [block(1).header] })]
    ],
    [
      "no headers are an empty message",
      { _tag: "BlockHeaders", headers: [], source: undefined },
      [Message.Headers({ headers: [] })]
    ],
    [
      "transaction ids are one inv",
      { _tag: "TransactionIds", ids: [txId(1), wtxId(2)] },
      [inv(txItem(txId(1)), wtxItem(wtxId(2)))]
    ],
    ["no transaction ids are an empty inv", { _tag: "TransactionIds", ids: [] }, [inv()]]
  ] as ReadonlyArray<[string, Response, ReadonlyArray<Message>]>)("%s", (_, response, messages) => {
    assert.deepStrictEqual([...messagesOf(response)], [...messages])
  })

  it("names the first 25,000 transactions and no more", () => {
    const ids = Array.from({ length: 25_001 }, (_, n) => txId(n))
    const [message] = messagesOf({ _tag: "TransactionIds", ids })
    assert(message?._tag === "Inv")
    assert.strictEqual(message.items.length, 25_000)
  })
})
