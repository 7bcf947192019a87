import { assert, describe, it } from "@effect/vitest"
import { Cause, Exit } from "effect"
import * as Machine from "../../src/peer/ConnectionMachine.ts"
import type { Outcome } from "../../src/peer/InboundRequests.ts"
import { ClientDropped, ConnectionClosed, ConnectionSendTimeout, Serialization } from "../../src/peer/Peer.ts"
import type { Ping, Request } from "../../src/peer/Request.ts"
import { StreamClosed } from "../../src/transport/Transport.ts"
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

  it("awaits an answer from when the request is written until it is there", () => {
    const alice = machine()
    const awaited = () => [alice.awaited, alice.awaitedSinceNanos]
    alice.step({ _tag: "Request", waiter: 1, request: { _tag: "Peers" } }, 1n)
    assert.deepStrictEqual(awaited(), [undefined, undefined])
    alice.step({ _tag: "Quiet" }, 2n)
    assert.deepStrictEqual(awaited(), [undefined, undefined])
    alice.step({ _tag: "Written" }, 3n)
    assert.deepStrictEqual(awaited(), ["Peers", 3n])
    alice.step({ _tag: "Message", message: Message.Addr({ addresses: [] }) }, 4n)
    assert.deepStrictEqual(awaited(), [undefined, undefined])
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

/** An action in a few words. */
const words = (action: Machine.Action): string => {
  const whom = "waiter" in action && action.waiter !== undefined ? ` for ${action.waiter}` : ""
  switch (action._tag) {
    case "Send":
      return `send ${action.message._tag}${whom}`
    case "Ask":
      return `ask ${action.request._tag}`
    case "Settle": {
      const { exit } = action
      return `settle${whom}: ${Exit.isSuccess(exit) ? (exit.value?._tag ?? "written") : /\w+/.exec(String(Cause.squash(exit.cause)))?.[0]}`
    }
    case "Report":
      return `report ${action.report._tag}${whom}`
    case "SetAlarm":
      return `alarm at ${Number(action.atNanos) / 1e9} s`
    case "Count":
      return `count ${action.of}${action.kind === undefined ? "" : ` ${action.kind}`}`
    case "Close":
      return `close: ${action.error._tag}`
    case "Unasked":
      return `unasked ${action.message._tag}`
    default:
      return action._tag.toLowerCase()
  }
}

const asks = (request: Request | Ping, waiter = 1): Machine.Event => ({ _tag: "Request", waiter, request })
const says = (message: Message): Machine.Event => ({ _tag: "Message", message })
const quiet: Machine.Event = { _tag: "Quiet" }
const written: Machine.Event = { _tag: "Written" }
const allowed: Machine.Event = { _tag: "Permitted", isAllowed: true }
const ofProgram = (outcome: Outcome): Machine.Event => ({ _tag: "Answered", outcome })
const address = { address: bob, services: 1n, lastSeenSeconds: 0 }

describe("what is done, in this order", () => {
  /** A connection of the network: what each event leads to. A second number of seconds is when it happens. */
  const story = (
    steps: ReadonlyArray<readonly [Machine.Event, ReadonlyArray<string>, seconds?: number]>,
    chance = 0.5
  ) => {
    const alice = new Machine.ConnectionMachine({
      limits,
      source: { connection: 1, address: bob },
      services: 1n,
      addresses: [],
      random: () => chance
    })
    for (const [event, done, seconds = 0] of steps) {
      assert.deepStrictEqual(alice.step(event, BigInt(seconds * 1e9)).map(words), done, event._tag)
    }
    return alice
  }

  const [first, second] = [block(1), block(2)]
  const wanted = new Set([first.hash, second.hash])

  it("for a request: it is counted and sent, the answer is waited for 20 s, counted and told", () => {
    const cases: ReadonlyArray<readonly [Request | Ping, sent: string, Message, response: string]> = [
      [{ _tag: "Peers" }, "GetAddr", Message.Addr({ addresses: [address] }), "Peers"],
      [{ _tag: "Ping", nonce: 1n }, "Ping", Message.Pong({ nonce: 1n }), "Pong"],
      [
        { _tag: "FindHeaders", known: [], stop: undefined },
        "GetHeaders",
        Message.Headers({ headers: [] }),
        "BlockHeaders"
      ],
      [
        { _tag: "BlockDownload", hash: first.hash, advertiser: undefined },
        "GetData",
        Message.Block({ block: first }),
        "Blocks"
      ],
      [
        { _tag: "TransactionsById", ids: new Set([transaction(1).id]) },
        "GetData",
        Message.Tx({ transaction: transaction(1) }),
        "Transactions"
      ]
    ]
    for (const [request, sent, answer, response] of cases) {
      const alice = story([
        [asks(request), ["read"]],
        [quiet, [`count requestSent ${request._tag}`, `send ${sent} for 1`]],
        [written, ["read"], 3],
        [quiet, ["alarm at 23 s"], 3],
        [says(answer), [`count responseReceived ${response}`, `settle for 1: ${response}`, "read"], 4],
        [quiet, [], 4],
        // The alarm rings in vain.
        [{ _tag: "Alarm" }, [], 23]
      ])
      assert.deepStrictEqual(alice.held, { requests: 0, adverts: 0, addresses: 0, parts: 0 })
    }
  })

  it("for a request that has no answer: it is over when it is written", () => {
    for (const [request, sent] of [
      [{ _tag: "AdvertiseTransactionIds", ids: new Set([transaction(1).id]), source: undefined }, "Inv"],
      [{ _tag: "PushTransaction", transaction: transaction(1), source: undefined }, "Tx"]
    ] as const) {
      story([
        [asks(request), ["read"]],
        [quiet, [`count requestSent ${request._tag}`, `send ${sent} for 1`]],
        [written, ["count responseReceived Nil", "settle for 1: Nil", "read"]],
        [quiet, []]
      ])
    }
  })

  it("for addresses that came before: they are the answer, and nothing is sent", () => {
    const alice = story([
      [says(Message.Addr({ addresses: [address, address, address] })), ["unasked Addr", "read"]],
      [asks({ _tag: "Peers" }), ["read"]],
      [quiet, ["count requestSent Peers", "count responseReceived Peers", "settle for 1: Peers", "read"]]
    ])
    assert.strictEqual(alice.held.addresses, 0)
  })

  it("for what the peer lacks: it is told before the answer is", () => {
    story([
      [asks({ _tag: "BlocksByHash", hashes: wanted }), ["read"]],
      [quiet, ["count requestSent BlocksByHash", "send GetData for 1"]],
      [written, ["read"]],
      [says(Message.Block({ block: first })), ["read"]],
      [
        says(Message.NotFound({ items: [blockItem(second.hash)] })),
        // Whatever it says of who has what comes first.
        [
          "report InventoryMissing",
          "count responseReceived Blocks",
          "report InventoryMissing for 1",
          "settle for 1: Blocks",
          "read"
        ]
      ]
    ])
    story([
      [asks({ _tag: "BlocksByHash", hashes: wanted }), ["read"]],
      [quiet, ["count requestSent BlocksByHash", "send GetData for 1"]],
      [written, ["read"]],
      [
        says(Message.NotFound({ items: [blockItem(first.hash), blockItem(second.hash)] })),
        ["report InventoryMissing", "report InventoryMissing for 1", "settle for 1: NotFoundResponse", "read"]
      ]
    ])
  })

  it("for time that is over, to the nanosecond: a request fails, and a ping ends the connection", () => {
    const request: Request = { _tag: "MempoolTransactionIds" }
    const waiting = (request: Request | Ping) => {
      const alice = machine()
      for (const event of [asks(request), quiet, written]) alice.step(event, 0n)
      return alice
    }
    const [late, inTime] = [20_000_000_000n, 19_999_999_999n]
    assert.deepStrictEqual(waiting(request).step(quiet, inTime).map(words), ["alarm at 20 s"])
    const alice = waiting(request)
    assert.deepStrictEqual(alice.step(quiet, late).map(words), ["settle for 1: ConnectionReceiveTimeout", "read"])
    assert.isFalse(alice.isClosed)
    const ping = { _tag: "Ping", nonce: 1n } as const
    assert.deepStrictEqual(waiting(ping).step(quiet, inTime).map(words), ["alarm at 20 s"])
    for (const event of [
      quiet,
      says(Message.GetAddr()),
      { _tag: "InputEnd", error: new ConnectionClosed() } as const
    ]) {
      assert.deepStrictEqual(waiting(ping).step(event, late).map(words), [
        "report Failed",
        "settle for 1: ConnectionReceiveTimeout",
        "close: ConnectionReceiveTimeout"
      ])
    }
  })

  it("for who gave up: before its turn, while it is asked for, and while an answer is awaited", () => {
    const request: Request = { _tag: "MempoolTransactionIds" }
    const cancel: Machine.Event = { _tag: "Cancel", waiter: 1 }
    story([
      [asks(request), ["read"]],
      [cancel, []],
      [quiet, ["count requestCanceled MempoolTransactionIds", "read"]],
      [quiet, []]
    ])
    story([
      [asks(request), ["read"]],
      [quiet, ["count requestSent MempoolTransactionIds", "send Mempool for 1"]],
      [written, ["read"]],
      [cancel, ["read"]],
      // Its answer is one to nothing.
      [says(Message.Inv({ items: [] })), ["unasked Inv", "read"]],
      [quiet, []]
    ])
    const advert: Machine.Event = { _tag: "Advert", waiter: 1, hash: hash(1) }
    story([
      [advert, ["read"]],
      [cancel, []],
      [quiet, ["count requestCanceled AdvertiseBlock", "read"]]
    ])
    story([
      [advert, ["read"]],
      [quiet, ["count requestSent AdvertiseBlock", "permit"]],
      [cancel, []],
      [allowed, ["send Inv for 1"]],
      [written, ["read"]]
    ])
  })

  it("for adverts: each is asked for and written before the next, and one too many is not taken", () => {
    const advert = (waiter: number): Machine.Event => ({ _tag: "Advert", waiter, hash: hash(waiter) })
    const capacity = limits.advertQueueCapacity
    story([
      ...Array.from({ length: capacity }, (_, n) => [advert(n + 1), ["read"]] as const),
      [advert(99), ["settle for 99: AdvertNotDelivered"]],
      [quiet, ["count requestSent AdvertiseBlock", "permit"]],
      [allowed, ["send Inv for 1"]],
      [written, ["settle for 1: written", "read"]],
      [quiet, ["count requestSent AdvertiseBlock", "permit"]],
      [
        { _tag: "Permitted", isAllowed: false },
        [
          ...Array.from({ length: capacity - 1 }, (_, n) => `settle for ${n + 2}: AdvertAuthorizationRevoked`),
          "close: AdvertAuthorizationRevoked"
        ]
      ]
    ])
  })

  it("for a request of the peer: it is counted and asked, each message is written before the next, and others have a turn", () => {
    story([
      [
        says(Message.GetData({ items: [blockItem(hash(1))] })),
        ["unasked GetData", "count requestReceived BlocksByHash", "ask BlocksByHash"]
      ],
      [
        ofProgram({
          _tag: "Answered",
          response: {
            _tag: "Blocks",
            items: [
              { _tag: "Available", value: first, source: undefined },
              { _tag: "Missing", id: hash(1) }
            ]
          }
        }),
        ["count responseSent Blocks", "send Block"]
      ],
      [written, ["send NotFound"]],
      [written, ["yield", "read"]],
      [
        says(Message.Mempool()),
        ["unasked Mempool", "count requestReceived MempoolTransactionIds", "ask MempoolTransactionIds"]
      ],
      [ofProgram({ _tag: "Answered", response: { _tag: "Nil" } }), ["count responseSent Nil", "yield", "read"]],
      [says(Message.GetAddr()), ["unasked GetAddr", "count requestReceived Peers", "ask Peers"]],
      [ofProgram({ _tag: "Failed", cause: "none" }), ["read"]],
      [says(Message.GetAddr()), ["unasked GetAddr", "count requestReceived Peers", "ask Peers"]],
      [ofProgram({ _tag: "Broken", cause: Cause.die("a bug") }), ["close: ServiceShutdown"]]
    ])
  })

  it("for a request that nobody had time for: it is let go, or ends the connection, as chance has it", () => {
    const getAddr = [says(Message.GetAddr()), ["unasked GetAddr", "count requestReceived Peers", "ask Peers"]] as const
    // Five in a hundred the first time, and one in two when it comes again at once.
    for (const [outcome, ignored, closed, error] of [
      ["Overloaded", "ignoredForOverload", "closedForOverload", "PeerOverloaded"],
      ["TooSlow", "ignoredForTimeout", "closedForTimeout", "InboundTimeout"]
    ] as const) {
      story([getAddr, [ofProgram({ _tag: outcome }), [`count ${ignored}`, "read"]]], 0.05)
      story([getAddr, [ofProgram({ _tag: outcome }), [`count ${closed}`, `close: ${error}`]]], 0.049)
      story(
        [
          getAddr,
          [ofProgram({ _tag: outcome }), [`count ${ignored}`, "read"]],
          getAddr,
          [ofProgram({ _tag: outcome }), [`count ${closed}`, `close: ${error}`]]
        ],
        0.499
      )
    }
  })

  it("for what says who has what: it is told first, and a ping is answered", () => {
    story([
      [
        says(Message.Inv({ items: [blockItem(hash(1))] })),
        ["report InventoryAvailable", "unasked Inv", "count requestReceived AdvertiseBlock", "ask AdvertiseBlock"]
      ],
      [ofProgram({ _tag: "Answered", response: { _tag: "Nil" } }), ["count responseSent Nil", "yield", "read"]],
      [
        says(Message.NotFound({ items: [blockItem(hash(1))] })),
        ["report InventoryMissing", "unasked NotFound", "read"]
      ],
      [says(Message.Ping({ nonce: 1n })), ["unasked Ping", "send Pong"]],
      [written, ["read"]]
    ])
  })

  it("at the end: everybody hears of it, the request that is out first, and no advert before a request", () => {
    const error = new ClientDropped()
    const filled = (): ReadonlyArray<readonly [Machine.Event, ReadonlyArray<string>]> => [
      [asks({ _tag: "MempoolTransactionIds" }, 1), ["read"]],
      [quiet, ["count requestSent MempoolTransactionIds", "send Mempool for 1"]],
      [written, ["read"]],
      [asks({ _tag: "Peers" }, 2), ["read"]],
      [asks({ _tag: "Ping", nonce: 1n }, 3), ["read"]],
      [{ _tag: "Advert", waiter: 4, hash: hash(1) }, ["read"]]
    ]
    story([
      ...filled(),
      [
        { _tag: "Close", error, failure: Exit.fail(error) },
        [
          "settle for 1: ClientDropped",
          "settle for 2: ClientDropped",
          "settle for 3: ClientCancelledHeartbeatTask",
          "settle for 4: ClientDropped",
          "close: ClientDropped"
        ]
      ]
    ])
    story([
      ...filled(),
      [
        { _tag: "InputEnd", error: new ConnectionClosed() },
        [
          "report Failed",
          "settle for 1: ConnectionClosed",
          "settle for 2: ConnectionClosed",
          "settle for 3: ConnectionClosed",
          "settle for 4: ConnectionClosed",
          "close: ConnectionClosed"
        ]
      ]
    ])
    const broken = new Serialization({ cause: new StreamClosed({ reason: "Reset", code: "ECONNRESET" }) })
    story([[{ _tag: "InputEnd", error: broken }, ["report Failed", "close: Serialization"]]])
    story([[{ _tag: "InputEnd", error: new ConnectionClosed() }, ["close: ConnectionClosed"]]])
    story([
      [asks({ _tag: "Peers" }, 1), ["read"]],
      [quiet, ["count requestSent Peers", "send GetAddr for 1"]],
      [
        { _tag: "WriteFailed", error: new ConnectionSendTimeout() },
        ["settle for 1: ConnectionSendTimeout", "close: ConnectionSendTimeout"]
      ]
    ])
  })
})
