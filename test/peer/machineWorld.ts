/**
 * Random lives of a `ConnectionMachine`, and what must hold after each event.
 *
 * A model of a shell decides which events are possible: an answer to what the machine waits for, something from outside, or
 * what the peer says. A second machine gets the same events, and must have the same actions; now and then it is made anew
 * of its own snapshot.
 */
import assert from "node:assert/strict"
import { isDeepStrictEqual } from "node:util"
import { Cause, Duration, Exit } from "effect"
import * as Machine from "../../src/peer/ConnectionMachine.ts"
import { ClientDropped, ConnectionClosed, ConnectionSendTimeout, Serialization } from "../../src/peer/Peer.ts"
import type { Outcome } from "../../src/peer/InboundRequests.ts"
import type { ConnectionInfo } from "../../src/peer/Peer.ts"
import type { Recording } from "../../src/peer/Recording.ts"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import type { Ping, Request } from "../../src/peer/Request.ts"
import { defaults } from "../../src/Policy.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { StreamClosed } from "../../src/transport/Transport.ts"
import { Message } from "../../src/wire/Message.ts"
import { alice, bob } from "../support/addresses.ts"
import { block, blockItem, hash, transaction, txId, txItem } from "./items.ts"

/** Small enough to be reached often. */
export const limits: Machine.Limits = { ...defaults, addressCacheCapacity: 12, addressesPerAnswer: 5 }
const requestNanos = Duration.toNanosUnsafe(limits.requestTimeout)

const address = { address: bob, services: 1n, lastSeenSeconds: 0 }
const addr = (count: number) => Message.Addr({ addresses: Array.from({ length: count }, () => address) })

const requests: ReadonlyArray<Request> = [
  { _tag: "Peers" },
  { _tag: "MempoolTransactionIds" },
  { _tag: "FindBlocks", known: [], stop: undefined },
  { _tag: "FindHeaders", known: [], stop: undefined },
  { _tag: "BlocksByHash", hashes: new Set([block(1).hash, block(2).hash]) },
  { _tag: "BlockDownload", hash: block(3).hash, advertiser: undefined },
  { _tag: "TransactionsById", ids: new Set([transaction(1).id, transaction(2).id]) },
  { _tag: "AdvertiseTransactionIds", ids: new Set([txId(1)]), source: undefined },
  { _tag: "PushTransaction", transaction: transaction(3), source: undefined }
]

/** Blocks or transactions that one of them asks for. */
const mostItems = 2

/** A message of each kind, small: what a peer may say at any time. */
export const smallMessages: ReadonlyArray<Message> = [
  Message.Inv({ items: [] }),
  Message.Inv({ items: [blockItem(hash(1))] }),
  Message.Inv({ items: [blockItem(hash(1)), blockItem(hash(2))] }),
  Message.Inv({ items: [txItem(txId(1))] }),
  Message.Headers({ headers: [] }),
  ...[1, 2, 3].map((n) => Message.Block({ block: block(n) })),
  ...[1, 2, 3].map((n) => Message.Tx({ transaction: transaction(n) })),
  Message.NotFound({ items: [] }),
  Message.NotFound({ items: [blockItem(block(2).hash), txItem(transaction(2).txId)] }),
  Message.Ping({ nonce: 1n }),
  Message.Pong({ nonce: 1n }),
  Message.GetAddr(),
  Message.GetData({ items: [blockItem(hash(1))] }),
  Message.Mempool()
]

const messages: ReadonlyArray<Message> = [addr(0), addr(3), addr(30), ...smallMessages]

const outcomes: ReadonlyArray<Outcome> = [
  { _tag: "Answered", response: { _tag: "Nil" } },
  { _tag: "Answered", response: { _tag: "TransactionIds", ids: [txId(1)] } },
  {
    _tag: "Answered",
    response: {
      _tag: "Blocks",
      items: [
        { _tag: "Available", value: block(1), source: undefined },
        { _tag: "Missing", id: block(2).hash },
        { _tag: "Available", value: block(3), source: undefined }
      ]
    }
  },
  { _tag: "Failed", cause: "none" },
  { _tag: "Overloaded" },
  { _tag: "TooSlow" }
]

const broken: Outcome = { _tag: "Broken", cause: Cause.die("a bug of the program") }
const reset = new Serialization({ cause: new StreamClosed({ reason: "Reset", code: "ECONNRESET" }) })

const info: ConnectionInfo = {
  connectedAddress: { _tag: "OutboundDirect", address: alice },
  remote: {
    _tag: "Version",
    version: ourProtocolVersion,
    services: 1n,
    timestamp: 0n,
    addressReceiver: { address: bob, services: 1n },
    addressFrom: { address: alice, services: 1n },
    nonce: 1n,
    userAgent: "/Zebra:7.0.0/",
    startHeight: 0,
    relay: true
  },
  negotiatedVersion: ourProtocolVersion
}

/** What takes time, and is answered before anything else. */
const owedBy = new Set<Machine.Action["_tag"]>(["Send", "Permit", "Ask"])

interface Waiting {
  readonly kind: Request["_tag"] | "Ping" | "Advert"
  state: "Placed" | "Sending" | "Out" | "Settled" | "Gone"
  deadlineNanos: bigint | undefined
}

/** What the model has seen, for tests that want every kind of thing to have happened. */
export interface Seen {
  events: number
  readonly actions: Map<string, number>
  readonly endings: Map<string, number>
}

/** One life, of at most so many events; recorded, if somebody does. */
export const life = (seed: number, length: number, seen: Seen, recording?: Recording): void => {
  const fraction = SeededRandom.fractions(SeededRandom.draws(seed, "machine"))
  const below = (count: number) => Math.floor(fraction() * count)
  const pick = <A>(all: ReadonlyArray<A>): A => all[below(all.length)]!
  const isIsolated = seed % 2 === 0
  const options = (): Machine.Options => ({
    limits,
    source: isIsolated ? undefined : { connection: seed, address: alice },
    services: 1n,
    addresses: seed % 3 === 0 ? [] : [address],
    random: SeededRandom.fractions(SeededRandom.draws(seed, "chance"))
  })
  const record = recording?.begin(seed, info, options())
  const machine = new Machine.ConnectionMachine(record?.options ?? options())
  const twinsOptions = options()
  let twin = new Machine.ConnectionMachine(twinsOptions)

  let now = 0n
  let owed: Machine.Action | undefined
  let isReading = true
  let alarm: bigint | undefined
  let latestAlarm = 0n
  let isClosed = false
  let last = 0
  const waiters = new Map<Machine.Waiter, Waiting>()
  const those = (...states: ReadonlyArray<Waiting["state"]>) =>
    [...waiters].filter(([, { state }]) => states.includes(state))

  const step = (event: Machine.Event): void => {
    // Whatever it is at: one that is made of what it is goes on like it.
    if (below(4) === 0) twin = new Machine.ConnectionMachine(twinsOptions, twin.snapshot)
    const actions = record?.step(machine, event, now) ?? machine.step(event, now)
    assert.ok(isDeepStrictEqual(actions, twin.step(event, now)), "the same events have the same actions")
    seen.events++
    if (isClosed) {
      assert.deepStrictEqual(actions, [], "nothing comes after the end")
      return
    }
    if (owed !== undefined) {
      const wasOwed = owed
      if (event._tag === "Written" || event._tag === "Permitted" || event._tag === "Answered") owed = undefined
      if (event._tag === "Written" && wasOwed._tag === "Send" && wasOwed.waiter !== undefined) {
        const waiter = waiters.get(wasOwed.waiter)
        if (waiter?.state === "Sending") {
          waiter.state = "Out"
          if (waiter.kind !== "Advert") waiter.deadlineNanos = now + requestNanos
        }
      }
    }
    if (event._tag === "Message" || event._tag === "Quiet" || event._tag === "InputEnd") isReading = false
    actions.forEach((action, at) => {
      seen.actions.set(action._tag, (seen.actions.get(action._tag) ?? 0) + 1)
      assert.ok(!isClosed, "nothing comes after the end")
      if (owedBy.has(action._tag)) {
        assert.strictEqual(owed, undefined, "one thing at a time")
        assert.strictEqual(at, actions.length - 1, "what takes time is the last")
        owed = action
      }
      switch (action._tag) {
        case "Read":
          assert.strictEqual(owed, undefined, "nothing is read while an answer is owed")
          isReading = true
          break
        case "Send": {
          if (action.waiter === undefined) break
          const waiter = waiters.get(action.waiter)
          assert(waiter !== undefined)
          // Of an advert that was given up while it was asked for whether it may go.
          if (waiter.kind === "Advert" && waiter.state === "Gone") break
          assert.strictEqual(waiter.state, "Placed")
          if (waiter.kind !== "Advert") {
            const out = those("Sending", "Out").filter(([, { kind }]) => kind !== "Advert")
            assert.deepStrictEqual(out, [], "one request is out at most")
          }
          waiter.state = "Sending"
          break
        }
        case "Settle": {
          const waiter = waiters.get(action.waiter)
          assert(waiter !== undefined && waiter.state !== "Settled" && waiter.state !== "Gone", "settled once")
          waiter.state = "Settled"
          break
        }
        case "Report":
          assert.ok(
            !isIsolated || action.report._tag === "Failed",
            "an isolated connection says nothing of who has what"
          )
          break
        case "SetAlarm":
          assert.ok(action.atNanos >= latestAlarm && action.atNanos >= now, "alarms never go back")
          assert.strictEqual(alarm, undefined, "one alarm is enough")
          alarm = action.atNanos
          latestAlarm = action.atNanos
          break
        case "Close":
          isClosed = true
          seen.endings.set(action.error._tag, (seen.endings.get(action.error._tag) ?? 0) + 1)
          break
      }
    })
    const { addresses, adverts, parts, requests } = machine.held
    assert.ok(addresses <= limits.addressCacheCapacity)
    assert.ok(parts < mostItems, "an answer that is all there is no longer kept")
    assert.ok(requests <= 3)
    assert.ok(adverts <= limits.advertQueueCapacity + 1)
    assert.strictEqual(machine.isClosed, isClosed)
    if (isClosed) {
      assert.deepStrictEqual(those("Placed", "Sending", "Out"), [], "everybody hears of the end")
      assert.deepStrictEqual(machine.held, { requests: 0, adverts: 0, addresses: 0, parts: 0 })
      assert.strictEqual(machine.snapshot.answer, undefined, "nor is an answer kept that nobody is to have")
      return
    }
    for (const [, { deadlineNanos }] of those("Out")) {
      if (deadlineNanos === undefined) continue
      if (event._tag === "Message" || event._tag === "Quiet") {
        assert.ok(now < deadlineNanos, "nobody waits beyond the time limit")
      }
      if (event._tag === "Quiet" && !isReading && owed === undefined) {
        assert(alarm !== undefined && alarm <= deadlineNanos, "somebody wakes us then")
      }
    }
    // Those who wait are as many as the machine says, but for those who gave up in their place.
    assert.ok(those("Placed", "Sending", "Out").length <= requests + adverts)
  }

  const ask = (request: Request | Ping) => {
    waiters.set(++last, { kind: request._tag, state: "Placed", deadlineNanos: undefined })
    step({ _tag: "Request", waiter: last, request })
  }

  const answer = (isUsual: boolean): void => {
    switch (owed?._tag) {
      case "Send":
        return step(
          isUsual || below(60) > 0 ? { _tag: "Written" } : { _tag: "WriteFailed", error: new ConnectionSendTimeout() }
        )
      case "Permit":
        return step({ _tag: "Permitted", isAllowed: isUsual || below(40) > 0 })
      case "Ask":
        return step({ _tag: "Answered", outcome: !isUsual && below(60) === 0 ? broken : pick(outcomes) })
    }
  }

  const ofTheAlarm = () => {
    if (alarm === undefined) return
    if (alarm > now) now = alarm
    alarm = undefined
    step({ _tag: "Alarm" })
  }

  const isPinging = () =>
    [...waiters.values()].some(({ kind, state }) => kind === "Ping" && state !== "Settled" && state !== "Gone")

  const fromOutside: ReadonlyArray<() => void> = [
    () => (machine.hasRoom ? ask(pick(requests)) : undefined),
    () => (machine.hasRoomFor("Ping") && !isPinging() ? ask({ _tag: "Ping", nonce: BigInt(below(2)) }) : undefined),
    () => {
      waiters.set(++last, { kind: "Advert", state: "Placed", deadlineNanos: undefined })
      step({ _tag: "Advert", waiter: last, hash: hash(below(9)) })
    },
    () => {
      const [chosen] = [pick(those("Placed", "Sending", "Out"))]
      if (chosen === undefined) return
      chosen[1].state = "Gone"
      step({ _tag: "Cancel", waiter: chosen[0] })
    },
    () => {
      now += BigInt(below(4_000)) * 1_000_000n
      if (alarm !== undefined && alarm <= now) ofTheAlarm()
    },
    () => {
      if (below(25) > 0) return
      const error = new ClientDropped()
      step({ _tag: "Close", error, failure: Exit.fail(error) })
    }
  ]

  const fromThePeer = () => {
    const draw = below(400)
    if (draw === 0) return step({ _tag: "InputEnd", error: new ConnectionClosed() })
    if (draw === 1) return step({ _tag: "InputEnd", error: reset })
    if (draw === 2) return step({ _tag: "Message", message: Message.Verack() })
    if (isReading && draw < 200) return step({ _tag: "Quiet" })
    return step({ _tag: "Message", message: pick(messages) })
  }

  for (let i = 0; i < length && !isClosed; i++) {
    if (below(2) === 0) pick(fromOutside)()
    else if (owed !== undefined) answer(false)
    else fromThePeer()
  }
  // A peer that says nothing more: everybody is answered or heard that there is no answer.
  for (let i = 0; i < 1000 && !isClosed; i++) {
    if (owed !== undefined) answer(true)
    else if (isReading) step({ _tag: "Quiet" })
    else if (alarm !== undefined) ofTheAlarm()
    else break
  }
  assert.deepStrictEqual(those("Placed", "Sending", "Out"), [], "nobody waits for ever")
  if (!isClosed) return
  const error = new ClientDropped()
  step({ _tag: "Close", error, failure: Exit.fail(error) })
  step({ _tag: "Request", waiter: ++last, request: pick(requests) })
  step({ _tag: "Advert", waiter: ++last, hash: hash(1) })
  step({ _tag: "Message", message: pick(messages) })
}

/** Lives until there were so many events. */
export const lives = (firstSeed: number, events: number): Seen => {
  const seen: Seen = { events: 0, actions: new Map(), endings: new Map() }
  for (let seed = firstSeed; seen.events < events; seed++) {
    try {
      life(seed, 120, seen)
    } catch (cause) {
      throw new Error(`seed ${seed}, after ${seen.events} events in all`, { cause })
    }
  }
  return seen
}
