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
/** Longer than anybody's place is safe after an answer. */
const longMillis = minutes(5 * 60)

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

const seeded = () => SeededRandom.fractions(SeededRandom.draws(4, "queue"))

const world = (changed: Partial<Policy> = {}, start = at(0), { random = seeded(), rules = allRules } = {}) => {
  const policy = { ...defaults, ...changed }
  const places = new OutboundPlaces(policy, rules)
  const known = new KnownAddresses(policy, rules, new Uint8Array(32), (one) => places.has(one))
  const memory = new FailureMemory(100)
  const barred = new Set<PeerAddress.PeerAddress>()
  const queue = new DialQueue(
    {
      policy,
      chain: mainnet,
      entries: new BookEntries(mainnet),
      isCandidate: (entry) => !barred.has(entry),
      random
    },
    { rules, known, places, memory }
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
    const { barred, connected, places, queue, somebody } = world({
      targetPeers: 3,
      outboundMultiplier: 1,
      groupsForOneEach: 4
    })
    const first = somebody("e")
    for (const group of ["c", "d"]) somebody(group, { isInbound: true })
    for (const group of ["a", "b"]) {
      places.answered(connected(group), 0, at(0))
      for (const _ of [1, 2, 3]) somebody(group)
    }
    const now = at(minutes(61))
    queue.advance(now)
    // The first one of another part has nothing of what is left over.
    assert.strictEqual(queue.readyCount(now), 2)
    barred.add(first.entry!)
    assert.strictEqual(queue.readyCount(now), 1)
    assert.isDefined(queue.next(now))
    places.take(somebody("a"))
    assert.strictEqual(queue.readyCount(now), 0)
    assert.isUndefined(queue.next(now))
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

describe("whoever may be dialled", () => {
  /** When somebody of whom this is known is ready, and when if nobody else is there: the last milliseconds before. */
  const readyAfter = (facts: Partial<PeerAddress.PeerAddress>, failures = 0, remembered?: number) => {
    const { memory, queue, somebody } = world()
    const one = somebody("a", facts)
    if (remembered !== undefined) memory.attempted(one.key, remembered)
    for (let n = 0; n < failures; n++) memory.failed(one.key, 1000)
    queue.schedule(one, one.entry!, at(0))
    return [one.poolDueMillis, one.earliestMillis]
  }

  it("is so 119 s after the latest that happened to it, or at once", () => {
    assert.deepStrictEqual(readyAfter({}), [-1, -1])
    for (const facts of [{ lastResponseMillis: 1000 }, { lastAttemptMillis: 1000 }, { lastFailureMillis: 1000 }]) {
      assert.deepStrictEqual(readyAfter(facts), [120_000, 120_000], JSON.stringify(facts))
      assert.deepStrictEqual(readyAfter({ ...facts, lastResponseMillis: 2000 }), [121_000, 121_000])
      assert.deepStrictEqual(readyAfter(facts, 0, 3000), [122_000, 122_000])
    }
    // Of long ago, it is ready now.
    assert.deepStrictEqual(readyAfter({ lastFailureMillis: -500_000 }), [-1, -1])
  })

  it("rests half as long again after each failure but the first, four hours at most, and never the operator's", () => {
    const rests = [0, 1, 2, 3, 4, 13, 30].map((failures) => readyAfter({ lastFailureMillis: 1000 }, failures))
    // 119 s, then times 1.5 each.
    assert.deepStrictEqual(
      rests.map(([due]) => due! - 1000),
      [119_000, 119_000, 178_500, 267_750, 401_625, 14_400_000, 14_400_000]
    )
    assert.isTrue(rests.every(([, earliest]) => earliest === 120_000))
    assert.deepStrictEqual(readyAfter({ lastFailureMillis: 1000, isConfigured: true }, 9), [120_000, 120_000])
  })

  it("is nobody who cannot be dialled or whom age made unreachable, but whom the operator named", () => {
    const { queue, somebody } = world()
    const old = { state: "Failed", untrustedLastSeenMillis: -3 * day - 1 } as const
    const states = [
      { services: 0n },
      { isInbound: true },
      old,
      { ...old, untrustedLastSeenMillis: -3 * day },
      { ...old, isConfigured: true },
      { services: 0n, isInbound: true, isConfigured: true }
    ].map((facts) => somebody("a", facts).poolState)
    assert.deepStrictEqual(states, ["absent", "absent", "absent", "ready", "ready", "ready"])
    // And leaves when it becomes one.
    const one = somebody("b")
    assert.strictEqual(one.poolState, "ready")
    queue.schedule(one, { ...one.entry!, isInbound: true }, at(0))
    assert.deepStrictEqual([one.poolState, one.pool], ["absent", undefined])
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

describe("whoever rests while nobody is there", () => {
  it("is woken when 119 s are over for it, and rests on otherwise", () => {
    const { connected, memory, places, queue, somebody } = world()
    const failed = (millis: number) => {
      const one = somebody("f" + String(millis), { lastFailureMillis: millis })
      for (let n = 0; n < 3; n++) memory.failed(one.key, millis)
      queue.schedule(one, one.entry!, at(millis))
      return one
    }
    const [first, second, third] = [failed(0), failed(1000), failed(2000)]
    queue.advance(at(120_000))
    assert.strictEqual(queue.readyCount(at(120_000)), 1)
    assert.deepStrictEqual(
      [first, second, third].map(({ poolState }) => poolState),
      ["ready", "waiting", "waiting"]
    )
    // Somebody is there now: those that were not woken rest as long as they had to.
    const peer = connected("p", at(120_000))
    queue.advance(at(267_750))
    assert.deepStrictEqual([second.poolState, third.poolState], ["waiting", "waiting"])
    queue.advance(at(268_750))
    assert.deepStrictEqual([second.poolState, third.poolState], ["waiting", "waiting"])
    queue.advance(at(268_751))
    assert.deepStrictEqual([second.poolState, third.poolState], ["ready", "waiting"])
    places.free(peer)
  })

  it("is not dialled into a part where somebody is being dialled", () => {
    const { memory, places, queue, somebody } = world()
    const dialled = somebody("a")
    dialled.dialledAtMillis = 0
    places.take(dialled)
    queue.leave(dialled)
    const one = somebody("a", { lastFailureMillis: 0 })
    for (let n = 0; n < 3; n++) memory.failed(one.key, 0)
    queue.schedule(one, one.entry!, at(0))
    assert.isUndefined(queue.next(at(119_001)))
    assert.strictEqual(one.poolState, "ready")
    places.free(dialled)
    assert.strictEqual(queue.next(at(119_002)), one)
  })
})

describe("a draw for the next one", () => {
  /** What chance says, one after the other; asked for more, or for less, it is not what was expected. */
  const saying = () => {
    let left: Array<number> = []
    return {
      random: () => left.shift() ?? assert.fail("chance is asked too often"),
      /** What is drawn when chance says these. */
      when: <A>(draw: () => A, ...said: ReadonlyArray<number>): A => {
        left = [...said]
        const found = draw()
        assert.isEmpty(left)
        return found
      }
    }
  }

  it("is among those met first when chance is below a half, and else among those heard of", () => {
    const { random, when } = saying()
    const { barred, queue, somebody } = world({}, at(0), { random })
    const [met, heard] = [somebody("m", {}, true), somebody("h")]
    const next = () => queue.next(at(1))
    // Which table, which group of it, which member, and whether it is welcome.
    assert.strictEqual(when(next, 0.499, 0, 0, 0), met)
    assert.strictEqual(when(next, 0.5, 0, 0, 0), heard)
    // Where nobody suits in the one, it is the other: after sixteen draws, and a look at each.
    barred.add(heard.entry!)
    assert.strictEqual(when(next, 0.5, ...Array.from({ length: 16 * 2 + 2 }, () => 0), 0, 0, 0), met)
  })

  it("takes two thirds of those who failed once, and as many of those each time more, up to eight times (E4)", () => {
    const { random, when } = saying()
    const { memory, queue, somebody } = world({}, at(0), { random })
    const one = somebody("a")
    for (const [failures, chance] of [
      [0, 1],
      [1, 0.66],
      [2, 0.4356],
      [8, 0.66 ** 8],
      [9, 0.66 ** 8]
    ] as const) {
      one.failures = failures
      const welcome = chance - 1e-9
      assert.strictEqual(
        when(() => queue.next(at(1)), 0.9, 0, 0, welcome),
        one,
        String(failures)
      )
      if (failures === 0) continue
      // Passed over, it is drawn again, and is a fifth more welcome.
      const again = chance * 1.2 - 1e-9
      assert.strictEqual(
        when(() => queue.next(at(1)), 0.9, 0, 0, chance + 1e-9, 0, 0, again),
        one,
        String(failures)
      )
    }
    assert.strictEqual(memory.size, 0)
  })

  it("without groups takes the only one that suits, from wherever chance begins", () => {
    for (const chance of [0, 0.3, 0.6, 0.999]) {
      const { barred, queue, somebody } = world({}, at(0), {
        random: () => chance,
        rules: { ...allRules, drawGroups: false }
      })
      const all = ["a", "a", "b", "c", "c"].map((group) => somebody(group))
      // Each address as likely as any other, however many there are in its part.
      assert.strictEqual(queue.next(at(1)), all[Math.floor(chance * 5)])
      for (const { entry } of all) barred.add(entry!)
      assert.isUndefined(queue.next(at(1)))
      for (const one of all) {
        barred.delete(one.entry!)
        assert.strictEqual(queue.next(at(1)), one, `${one.key} at ${chance}`)
        barred.add(one.entry!)
      }
    }
  })
})

describe("one to look at", () => {
  it("is whoever is tested, the one that has waited longest and may be dialled, and else anybody", () => {
    const { barred, known, queue, somebody } = world({ addressBookCapacity: 100, testCapacity: 5 })
    // One place for each part among those met.
    const long = { lastResponseMillis: -longMillis, lastResponseSeconds: at(-longMillis).wallSeconds }
    const [first, second, other] = [somebody("a", long, true), somebody("b", long, true), somebody("h")]
    assert.notStrictEqual(first.bucket, second.bucket)
    for (const group of ["a", "b"]) known.promote(somebody(group), at(0))
    assert.deepStrictEqual([...known.tested()], [first, second])
    assert.strictEqual(queue.feeler(at(1)), first.entry)
    barred.add(first.entry!)
    assert.strictEqual(queue.feeler(at(1)), second.entry)
    barred.add(second.entry!)
    for (const { entry } of known.all()) if (entry !== other.entry) barred.add(entry!)
    assert.strictEqual(queue.feeler(at(1)), other.entry)
  })

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
