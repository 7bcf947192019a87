/** Whom a hardened book dials next, when the book says who may be dialled: in which order, how many, and what rests. */
import { assert, describe, it } from "@effect/vitest"
import { BookEntries } from "../../src/addresses/BookEntries.ts"
import { DialQueue } from "../../src/addresses/DialQueue.ts"
import { FailureMemory } from "../../src/addresses/FailureMemory.ts"
import { allRules } from "../../src/addresses/HardenedRules.ts"
import { KnownAddresses } from "../../src/addresses/KnownAddresses.ts"
import { OutboundPlaces } from "../../src/addresses/OutboundPlaces.ts"
import type * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import * as Standing from "../../src/addresses/Standing.ts"
import { mainnet } from "../../src/chain/ChainParams.ts"
import { defaults, type Policy } from "../../src/Policy.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { address } from "../support/bookWorld.ts"

const at = (millis: number): PeerAddress.Now => ({
  wallSeconds: 1_800_000_000 + Math.floor(millis / 1000),
  monotonicMillis: millis
})
const minutes = (count: number) => 60_000 * count
const day = minutes(24 * 60)

const blank: Omit<PeerAddress.PeerAddress, "address"> = {
  state: "NeverAttempted",
  services: 1n,
  untrustedLastSeenSeconds: 1_800_000_000,
  untrustedLastSeenMillis: 0,
  lastResponseSeconds: undefined,
  lastResponseMillis: undefined,
  roundTrip: undefined,
  pingSentAtMillis: undefined,
  lastAttemptMillis: undefined,
  lastFailureMillis: undefined,
  isInbound: false,
  isConfigured: false,
  userAgent: undefined,
  negotiatedVersion: undefined
}

const world = (changed: Partial<Policy> = {}, start = at(0)) => {
  const policy = { ...defaults, ...changed }
  const places = new OutboundPlaces(policy, allRules)
  const known = new KnownAddresses(policy, allRules, new Uint8Array(32), (one) => places.has(one))
  const memory = new FailureMemory(100)
  const barred = new Set<PeerAddress.PeerAddress>()
  const queue = new DialQueue(
    {
      policy,
      chain: mainnet,
      entries: new BookEntries(mainnet),
      isCandidate: (entry) => !barred.has(entry),
      random: SeededRandom.fractions(SeededRandom.draws(4, "queue"))
    },
    { rules: allRules, known, places, memory }
  )
  let last = 0
  /** Somebody of a part of the internet who may be dialled. */
  const somebody = (group: string, facts: Partial<PeerAddress.PeerAddress> = {}, met = false, now = start) => {
    const where = address(`40.0.${++last >> 8}.${last & 255}:8233`)
    const standing = Standing.make(where, group, false, undefined)
    const entry = { ...blank, ...facts, address: where }
    standing.entry = entry
    known.add(standing, now)
    if (met) {
      standing.firstSuccessSeconds = now.wallSeconds
      known.promote(standing, now)
    }
    queue.schedule(standing, entry, now)
    queue.advance(now)
    return standing
  }
  /** Somebody who is connected. */
  const connected = (group: string, now = start) => {
    const standing = somebody(group, { lastResponseMillis: now.monotonicMillis }, true, now)
    standing.connectedAtMillis = now.monotonicMillis
    places.take(standing)
    barred.add(standing.entry!)
    return standing
  }
  return { barred, connected, known, memory, places, queue, somebody }
}

describe("how many could be dialled", () => {
  it("are no more second connections than places are left over for, whichever part they are in", () => {
    // Three places; two parts in which somebody answered, so one is left over, for either of them.
    const { connected, places, queue, somebody } = world({ targetPeers: 3, outboundMultiplier: 1, groupsForOneEach: 4 })
    for (const group of ["c", "d"]) somebody(group, { isInbound: true })
    for (const group of ["a", "b"]) {
      places.answered(connected(group), 0, at(0))
      for (const _ of [1, 2, 3]) somebody(group)
    }
    const now = at(minutes(61))
    queue.advance(now)
    assert.strictEqual(queue.readyCount(now), 1)
    places.take(somebody("a"))
    assert.strictEqual(queue.readyCount(now), 0)
  })

  it("are one of each part, and a second one of some part for each place that is left over", () => {
    // Four places and three parts in which somebody answered: one is left over.
    const { places, queue, somebody } = world({ targetPeers: 4, outboundMultiplier: 1, groupsForOneEach: 4 })
    for (const group of ["c", "d"]) somebody(group, { isInbound: true })
    for (const group of ["a", "b"]) for (const _ of [1, 2]) places.answered(somebody(group), 0, at(0))
    places.answered(somebody("c", { isInbound: true }), 0, at(0))
    const now = at(minutes(61))
    queue.advance(now)
    assert.strictEqual(queue.readyCount(now), 3)
  })

  it("are as many as there are places at most, and of nobody who cannot be dialled", () => {
    const { barred, queue, somebody } = world({ targetPeers: 3, outboundMultiplier: 1, groupsForOneEach: 1 })
    const all = ["a", "b", "c", "d"].map((group) => somebody(group))
    assert.strictEqual(queue.readyCount(at(1)), 3)
    for (const { entry } of all.slice(1)) barred.add(entry!)
    assert.strictEqual(queue.readyCount(at(1)), 1)
  })
})

describe("the next one", () => {
  it("is whom the operator named and who answered once, then somebody else, and then who was named and never answered", () => {
    const { barred, queue, somebody } = world()
    const never = somebody("n", { isConfigured: true })
    const once = somebody("o", { isConfigured: true })
    once.firstSuccessSeconds = 1
    const heard = somebody("h")
    for (const expected of [once, heard, never]) {
      assert.strictEqual(queue.next(at(1)), expected)
      barred.add(expected.entry!)
    }
    assert.isUndefined(queue.next(at(1)))
  })

  it("is a second one of a part only when no other part can have its first", () => {
    const { barred, connected, queue, somebody } = world({ groupsForOneEach: 9 })
    connected("a")
    const [second, first] = [somebody("a"), somebody("b")]
    const now = at(minutes(6))
    queue.advance(now)
    for (let times = 0; times < 20; times++) assert.strictEqual(queue.next(now), first)
    barred.add(first.entry!)
    assert.strictEqual(queue.next(now), second)
    // Not before the parts that are known count as all there are.
    assert.isUndefined(queue.next(at(minutes(5))))
  })

  it("is no more looked for among those whom age made unreachable", () => {
    const { barred, queue, somebody } = world()
    const failed = { state: "Failed", lastFailureMillis: 0 } as const
    const [old, other, named] = [
      somebody("a", failed),
      somebody("b", failed),
      somebody("c", { ...failed, isConfigured: true })
    ]
    const now = at(3 * day)
    queue.advance(now)
    for (const { entry } of [old, other, named]) barred.add(entry!)
    assert.isUndefined(queue.next(now))
    assert.deepStrictEqual(
      [old, named].map(({ poolState }) => poolState),
      ["ready", "ready"]
    )
    assert.isUndefined(queue.next(at(3 * day + 1)))
    assert.deepStrictEqual(
      [old, other, named].map(({ poolState }) => poolState),
      ["absent", "absent", "ready"]
    )
  })

  it("is nobody who rests, unless nobody is connected, who is looked for once a second then", () => {
    const failures = (memory: FailureMemory, key: string) => {
      for (let n = 0; n < 3; n++) memory.failed(key, 0)
    }
    const { connected, memory, queue, somebody, places } = world()
    const peer = connected("p")
    const resting = somebody("a")
    failures(memory, resting.key)
    queue.schedule(resting, resting.entry!, at(0))
    // 119 s, and half as much again for each failure after the first.
    const rest = 119_000 * 1.5 * 1.5
    for (const millis of [119_001, rest]) {
      queue.advance(at(millis))
      assert.isUndefined(queue.next(at(millis)))
    }
    queue.advance(at(rest + 1))
    assert.strictEqual(queue.next(at(rest + 1)), resting)
    queue.schedule(resting, resting.entry!, at(0))
    places.free(peer)
    assert.isUndefined(queue.next(at(119_000)))
    // It was looked for a moment ago.
    assert.isUndefined(queue.next(at(119_999)))
    assert.strictEqual(queue.next(at(120_000)), resting)
  })
})

describe("one to look at", () => {
  it("is of a part where nobody is, and was met", () => {
    const { barred, connected, queue, somebody } = world()
    connected("a")
    somebody("a", {}, true)
    somebody("h")
    const elsewhere = somebody("b", {}, true)
    for (let times = 0; times < 20; times++) assert.strictEqual(queue.elsewhere(at(1)), elsewhere.entry)
    barred.add(elsewhere.entry!)
    assert.isUndefined(queue.elsewhere(at(1)))
  })

  it("for a moment only may be of a part that has all its connections", () => {
    const { connected, queue, somebody } = world({ groupsForOneEach: 1 })
    connected("a")
    const beside = somebody("a")
    assert.isUndefined(queue.next(at(minutes(60))))
    assert.strictEqual(queue.feeler(at(minutes(60))), beside.entry)
  })
})
