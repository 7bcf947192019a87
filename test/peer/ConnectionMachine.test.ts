import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import * as Machine from "../../src/peer/ConnectionMachine.ts"
import { ClientDropped, ConnectionSendTimeout } from "../../src/peer/Peer.ts"
import type { Request } from "../../src/peer/Request.ts"
import { Message } from "../../src/wire/Message.ts"
import { bob } from "../support/addresses.ts"
import { block, blockItem, hash, transaction } from "./items.ts"
import { limits, lives } from "./machineWorld.ts"

const machine = () =>
  new Machine.ConnectionMachine({ limits, source: undefined, services: 1n, addresses: [], random: () => 0.5 })

const tags = (actions: ReadonlyArray<Machine.Action>) =>
  actions.flatMap(({ _tag }) => (_tag === "Count" || _tag === "Unasked" ? [] : [_tag]))

describe("any order of events", () => {
  it.each([1, 1001, 2001, 3001])("keeps what must hold, from seed %d", (seed) => {
    const { actions, endings, events } = lives(seed, 5_000)
    assert.isAtLeast(events, 5_000)
    // All that a machine can do has happened.
    assert.deepStrictEqual(
      ["Ask", "Close", "Count", "Permit", "Read", "Report", "Send", "SetAlarm", "Settle", "Unasked", "Yield"].filter(
        (tag) => !actions.has(tag)
      ),
      []
    )
    assert.isAtLeast(endings.size, 4)
  })
})

describe("the order of work", () => {
  it("is a message, an advert, a request", () => {
    const alice = machine()
    assert.deepStrictEqual(tags(alice.step({ _tag: "Request", waiter: 1, request: { _tag: "Peers" } }, 0n)), ["Read"])
    assert.deepStrictEqual(tags(alice.step({ _tag: "Advert", waiter: 2, hash: hash(1) }, 0n)), ["Read"])
    assert.deepStrictEqual(tags(alice.step({ _tag: "Message", message: Message.Ping({ nonce: 1n }) }, 0n)), ["Send"])
    assert.deepStrictEqual(tags(alice.step({ _tag: "Written" }, 0n)), ["Read"])
    assert.deepStrictEqual(tags(alice.step({ _tag: "Quiet" }, 0n)), ["Permit"])
    assert.deepStrictEqual(tags(alice.step({ _tag: "Permitted", isAllowed: true }, 0n)), ["Send"])
    assert.deepStrictEqual(tags(alice.step({ _tag: "Written" }, 0n)), ["Settle", "Read"])
    const [, sent] = alice.step({ _tag: "Quiet" }, 0n)
    assert.deepStrictEqual(sent, { _tag: "Send", message: Message.GetAddr(), waiter: 1 })
  })

  it("is the time limit before a message, while an answer is awaited", () => {
    const alice = machine()
    alice.step({ _tag: "Request", waiter: 1, request: { _tag: "MempoolTransactionIds" } }, 0n)
    alice.step({ _tag: "Quiet" }, 0n)
    alice.step({ _tag: "Written" }, 0n)
    assert.deepStrictEqual(alice.step({ _tag: "Quiet" }, 0n), [{ _tag: "SetAlarm", atNanos: 20_000_000_000n }])
    assert.deepStrictEqual(tags(alice.step({ _tag: "Alarm" }, 20_000_000_000n)), ["Read"])
    const [late, ...others] = alice.step({ _tag: "Message", message: Message.Inv({ items: [] }) }, 20_000_000_000n)
    assert(late?._tag === "Settle" && Exit.isFailure(late.exit))
    assert.deepStrictEqual(tags(others), ["Read"])
    // And has nobody look when nothing is awaited any more.
    assert.deepStrictEqual(alice.step({ _tag: "Alarm" }, 20_000_000_000n), [])
  })

  it("awaits no answer to a request that was given up while it was written", () => {
    const alice = machine()
    alice.step({ _tag: "Request", waiter: 1, request: { _tag: "MempoolTransactionIds" } }, 0n)
    assert.deepStrictEqual(tags(alice.step({ _tag: "Quiet" }, 0n)), ["Send"])
    assert.deepStrictEqual(alice.step({ _tag: "Cancel", waiter: 1 }, 0n), [])
    assert.deepStrictEqual(tags(alice.step({ _tag: "Written" }, 0n)), ["Read"])
    assert.isUndefined(alice.awaited)
    // So the next one has its turn at once, and not after the time for an answer.
    alice.step({ _tag: "Request", waiter: 2, request: { _tag: "Peers" } }, 0n)
    const [, sent] = alice.step({ _tag: "Quiet" }, 0n)
    assert.deepStrictEqual(sent, { _tag: "Send", message: Message.GetAddr(), waiter: 2 })
  })

  it("takes nothing from the peer while one of its requests is answered", () => {
    const alice = machine()
    assert.deepStrictEqual(tags(alice.step({ _tag: "Message", message: Message.GetAddr() }, 0n)), ["Ask"])
    assert.deepStrictEqual(alice.step({ _tag: "Alarm" }, 0n), [])
    assert.deepStrictEqual(alice.step({ _tag: "Request", waiter: 1, request: { _tag: "Peers" } }, 0n), [])
    assert.throws(() => alice.step({ _tag: "Message", message: Message.GetAddr() }, 0n), "Message in the phase Asking")
  })
})

describe("an answer to what was not asked for", () => {
  it.each<Machine.Event>([
    { _tag: "Written" },
    { _tag: "WriteFailed", error: new ConnectionSendTimeout() },
    { _tag: "Permitted", isAllowed: true },
    { _tag: "Answered", outcome: { _tag: "Overloaded" } }
  ])("is a bug of ours, and no end of the connection by itself: $_tag", (event) => {
    const alice = machine()
    assert.throws(() => alice.step(event, 0n), `${event._tag} in the phase Reading`)
    assert.isFalse(alice.isClosed)
    alice.step({ _tag: "Message", message: Message.GetAddr() }, 0n)
    assert.throws(() => alice.step({ _tag: "Quiet" }, 0n), "Quiet in the phase Asking")
  })
})

describe("what a second addr does", () => {
  it("is to wait in the cache, behind the first", () => {
    const alice = machine()
    const addr = Message.Addr({ addresses: [{ address: bob, services: 1n, lastSeenSeconds: 0 }] })
    assert.deepStrictEqual(tags(alice.step({ _tag: "Message", message: addr }, 0n)), ["Read"])
    assert.deepStrictEqual(tags(alice.step({ _tag: "Message", message: addr }, 0n)), ["Read"])
    assert.strictEqual(alice.held.addresses, 2)
  })
})

describe("a message that ends a request", () => {
  it.each([
    ["is no more than that when it says so: notfound", Message.NotFound({ items: [blockItem(block(1).hash)] }), []],
    ["is what it would be without one when it is no answer: tx", Message.Tx({ transaction: transaction(1) }), ["Tx"]]
  ])("%s", (_, message, unasked) => {
    const alice = machine()
    const isForTransaction = message._tag === "Tx"
    const request: Request = isForTransaction
      ? { _tag: "TransactionsById", ids: new Set([transaction(2).id]) }
      : { _tag: "BlocksByHash", hashes: new Set([block(1).hash]) }
    alice.step({ _tag: "Request", waiter: 1, request }, 0n)
    alice.step({ _tag: "Quiet" }, 0n)
    alice.step({ _tag: "Written" }, 0n)
    const actions = alice.step({ _tag: "Message", message }, 0n)
    const [settled] = actions.filter(({ _tag }) => _tag === "Settle")
    assert(settled?._tag === "Settle" && Exit.isFailure(settled.exit))
    assert.deepStrictEqual(
      actions.flatMap((action) => (action._tag === "Unasked" ? [action.message._tag] : [])),
      unasked
    )
  })
})

describe("the end", () => {
  it("tells a ping to stop when it is ours, and calls it failed when it is not", () => {
    const pinging = () => {
      const alice = machine()
      alice.step({ _tag: "Request", waiter: 1, request: { _tag: "Ping", nonce: 1n } }, 0n)
      return alice
    }
    const error = new ClientDropped()
    const ours = pinging().step({ _tag: "Close", error, failure: Exit.fail(error) }, 0n)
    assert.deepStrictEqual(tags(ours), ["Settle", "Close"])
    const [settled] = ours
    assert(settled?._tag === "Settle")
    assert.include(String(settled.exit), "ClientCancelledHeartbeatTask")
    const theirs = pinging().step({ _tag: "Message", message: Message.Verack() }, 0n)
    assert.deepStrictEqual(tags(theirs), ["Report", "Settle", "Close"])
  })
})
