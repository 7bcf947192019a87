/** Who may have an outbound connection, by the part of the internet: each limit, before it and at it. */
import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { allRules } from "../../src/addresses/HardenedRules.ts"
import { KnownAddresses } from "../../src/addresses/KnownAddresses.ts"
import { OutboundPlaces } from "../../src/addresses/OutboundPlaces.ts"
import * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import * as Standing from "../../src/addresses/Standing.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { defaults, type Policy } from "../../src/Policy.ts"
import { address } from "../support/bookWorld.ts"

/** Eight places, two of which are kept; second connections where fewer than three parts are known. */
const policy: Policy = { ...defaults, targetPeers: 4, outboundMultiplier: 2, groupsForOneEach: 3 }

const at = (millis: number): PeerAddress.Now => ({
  wallSeconds: 1_000_000 + Math.floor(millis / 1000),
  monotonicMillis: millis
})

const world = (changed: Partial<Policy> = {}) => {
  const places = new OutboundPlaces({ ...policy, ...changed }, allRules)
  const known = new KnownAddresses({ ...policy, ...changed }, allRules, new Uint8Array(32), (one) => places.has(one))
  let last = 0
  /** Somebody of a part of the internet, who is in the book. */
  const somebody = (group: string, now = at(0)) => {
    const where = address(`40.0.${++last >> 8}.${last & 255}:8233`)
    const standing = Standing.make(where, group, false, undefined)
    standing.entry = PeerAddress.apply({ _tag: "UpdateAttempt", address: where }, undefined, now, policy)
    known.add(standing, now)
    return standing
  }
  return { places, known, somebody }
}

const minutes = (count: number) => 60_000 * count
const texts = (addresses: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) => addresses.map(PeerSocketAddress.format)

describe("second connections", () => {
  it("are without a limit while fewer parts are known than there are to be, five minutes after the last was heard of", () => {
    const { known, places, somebody } = world()
    somebody("a", at(0))
    somebody("b", at(1000))
    assert.deepStrictEqual(
      [301_000, 301_000.001].map((millis) => places.spare(known, at(millis))),
      [0, Number.POSITIVE_INFINITY]
    )
    // Another one of a part that is known changes nothing.
    somebody("b", at(300_000))
    assert.strictEqual(places.spare(known, at(301_001)), Number.POSITIVE_INFINITY)
    const third = somebody("c", at(302_000))
    assert.strictEqual(places.spare(known, at(minutes(60))), 0)
    known.remove(third)
    assert.strictEqual(places.spare(known, at(minutes(60))), Number.POSITIVE_INFINITY)
  })

  it("are as many as places are left over, an hour after the last part first answered", () => {
    const { known, places, somebody } = world({ groupsForOneEach: 8 })
    const all = Array.from({ length: 8 }, (_, n) => somebody(`g${n}`))
    const [a, b] = [all[0]!, all[1]!]
    places.answered(a, 0, at(0))
    places.answered(b, 1000, at(1000))
    // Two of eight places are for the first of each.
    assert.deepStrictEqual(
      [minutes(60) + 1000, minutes(60) + 1001].map((millis) => places.spare(known, at(millis))),
      [0, 6]
    )
    places.answered(a, minutes(61), at(minutes(61)))
    assert.strictEqual(places.spare(known, at(minutes(62))), 6)
    // Each second one has one of these.
    for (const one of [a, somebody("g0"), somebody("g0"), b]) places.take(one)
    assert.strictEqual(places.spare(known, at(minutes(70))), 4)
    places.free(a)
    assert.strictEqual(places.spare(known, at(minutes(70))), 5)
  })

  it("are none once so many parts have answered, and none fewer than none", () => {
    const { known, places, somebody } = world({ groupsForOneEach: 8, targetPeers: 1, outboundMultiplier: 2 })
    const all = Array.from({ length: 8 }, (_, n) => somebody(`g${n}`))
    const spareAfter = (count: number) => {
      for (const one of all.slice(0, count)) places.answered(one, 0, at(0))
      return places.spare(known, at(minutes(61)))
    }
    assert.deepStrictEqual([0, 1, 2, 3, 7, 8].map(spareAfter), [0, 1, 0, 0, 0, 0])
  })

  it("are none as long as so many parts answered, however many places there are", () => {
    const { known, places, somebody } = world({ groupsForOneEach: 4 })
    const all = ["a", "b", "c", "d"].map((group) => somebody(group))
    const spareAfter = (count: number) => {
      for (const one of all.slice(0, count)) places.answered(one, 0, at(0))
      return places.spare(known, at(minutes(61)))
    }
    // Of eight.
    assert.deepStrictEqual([1, 2, 3, 4].map(spareAfter), [7, 6, 5, 0])
  })

  it("count parts that answered within a day, and no more of them than make a difference", () => {
    const { known, places, somebody } = world({ groupsForOneEach: 4 })
    const [a, b, c] = ["a", "b", "c", "d"].map((group) => somebody(group))
    places.answered(a!, 0, at(0))
    places.answered(b!, minutes(30), at(minutes(30)))
    const day = minutes(24 * 60)
    assert.deepStrictEqual(
      [day, day + 1, day + minutes(30), day + minutes(30) + 1].map((millis) => places.spare(known, at(millis))),
      [6, 7, 7, 8]
    )
    // Whoever was forgotten is new again.
    places.answered(c!, day + minutes(40), at(day + minutes(40)))
    assert.strictEqual(places.spare(known, at(day + minutes(100))), 0)
    assert.strictEqual(places.spare(known, at(day + minutes(101))), 7)
  })

  it("are of nobody who is exempt", () => {
    const { known, places, somebody } = world({ groupsForOneEach: 2 })
    for (const group of ["a", "b"]) somebody(group)
    const exempt = Standing.make(address("10.0.0.1:8233"), "10.0.0.1", true, undefined)
    places.answered(exempt, 0, at(0))
    assert.strictEqual(places.spare(known, at(minutes(90))), 0)
  })
})

describe("a place", () => {
  it("is taken once, and is one more of its part", () => {
    const { places, somebody } = world()
    const [one, other] = [somebody("a"), somebody("a")]
    assert.deepStrictEqual([places.used("a"), places.has(one)], [0, false])
    places.take(one)
    places.take(one)
    assert.deepStrictEqual([places.used("a"), places.has(one)], [1, true])
    places.take(other)
    assert.strictEqual(places.used("a"), 2)
    places.free(one)
    places.free(one)
    assert.deepStrictEqual([places.used("a"), places.has(one), places.has(other)], [1, false, true])
    places.free(other)
    assert.strictEqual(places.used("a"), 0)
  })

  it("is the first of its part, or the second while some are left over", () => {
    const { places } = world()
    assert.deepStrictEqual(
      [0, 1, 2].map((others) => [0, 1, Number.POSITIVE_INFINITY].map((spare) => places.allows(others, spare))),
      [
        [true, true, true],
        [false, true, true],
        [false, false, false]
      ]
    )
  })

  it("is left to another one of its part until somebody is connected there: dials do not count", () => {
    const { known, places, somebody } = world()
    for (const group of ["b", "c"]) somebody(group)
    const one = somebody("a")
    places.take(one)
    assert.isTrue(places.hasRoom("a", known, at(0)))
    assert.isTrue(places.isAlone())
    one.connectedAtMillis = 0
    assert.deepStrictEqual([places.hasRoom("a", known, at(0)), places.hasRoom("b", known, at(0))], [false, true])
    assert.isFalse(places.isAlone())
  })

  it("is free when a dial took 119 s or a peer was silent for so long, and not a moment earlier", () => {
    const { places, somebody } = world()
    const [dialled, connected, answering] = [somebody("a"), somebody("b"), somebody("c")]
    dialled.dialledAtMillis = 1000
    connected.dialledAtMillis = 1000
    connected.connectedAtMillis = 2000
    answering.connectedAtMillis = 1000
    answering.entry = PeerAddress.apply(
      { _tag: "UpdateResponded", address: answering.address, roundTrip: undefined },
      answering.entry,
      at(9000),
      policy
    )
    for (const one of [dialled, connected, answering]) places.take(one)
    const left = (millis: number) => {
      places.freeSilent(at(millis))
      return [dialled, connected, answering].map((one) => places.has(one))
    }
    const delay = Duration.toMillis(policy.reconnectDelay)
    assert.strictEqual(delay, 119_000)
    assert.deepStrictEqual(left(delay + 1000), [true, true, true])
    assert.deepStrictEqual(left(delay + 1000.001), [false, true, true])
    assert.deepStrictEqual(left(delay + 2000), [false, true, true])
    assert.deepStrictEqual(left(delay + 2000.001), [false, false, true])
    assert.deepStrictEqual(left(delay + 9000), [false, false, true])
    assert.deepStrictEqual(left(delay + 9000.001), [false, false, false])
    assert.deepStrictEqual([dialled.dialledAtMillis, connected.connectedAtMillis], [undefined, undefined])
    // Of somebody whose dial nobody knows of, at once.
    const lost = somebody("d")
    places.take(lost)
    places.freeSilent(at(0))
    assert.isFalse(places.has(lost))
  })
})

describe("the places that are kept", () => {
  const day = 86_400
  /** Whether they are, with so many newcomers connected and so many in the book who were met long ago, of whom one failed. */
  const kept = (newcomers: number, met: number, { age = day, failures = 0, old = 0 } = {}) => {
    const { known, places, somebody } = world()
    const now = at(minutes(24 * 60 * 3))
    for (let n = 0; n < newcomers + old; n++) {
      const one = somebody(`n${n}`)
      if (n >= newcomers) one.firstSuccessSeconds = now.wallSeconds - day
      places.take(one)
    }
    for (let n = 0; n < met; n++) {
      const one = somebody(`m${n}`)
      one.firstSuccessSeconds = now.wallSeconds - age
      one.failures = failures
      known.promote(one, now)
    }
    return places.areKept(known, now)
  }

  it("are a quarter, as far as there are some who were met a day ago", () => {
    // Of eight places two.
    assert.deepStrictEqual(
      [5, 6, 7, 8].map((newcomers) => kept(newcomers, 2)),
      [false, true, true, true]
    )
    assert.deepStrictEqual(
      [6, 7, 8].map((newcomers) => kept(newcomers, 1)),
      [false, true, true]
    )
    assert.deepStrictEqual(
      [6, 7, 8].map((newcomers) => kept(newcomers, 0)),
      [false, false, false]
    )
    // Never more than a quarter.
    assert.deepStrictEqual(
      [5, 6].map((newcomers) => kept(newcomers, 5)),
      [false, true]
    )
  })

  it("are for those who were first met a day ago, to the second, and failed twice in a row at most", () => {
    assert.deepStrictEqual([kept(6, 2, { age: day }), kept(6, 2, { age: day - 1 })], [true, false])
    assert.deepStrictEqual([kept(6, 2, { failures: 2 }), kept(6, 2, { failures: 3 })], [true, false])
    // Whoever was met long ago and is connected is no newcomer.
    assert.deepStrictEqual([kept(5, 2, { old: 3 }), kept(6, 2, { old: 2 })], [false, true])
  })
})

describe("anchors", () => {
  it("are the four that are connected for longest, of distinct parts", () => {
    const { places, somebody } = world()
    const connected = (group: string, millis: number | undefined) => {
      const one = somebody(group)
      one.connectedAtMillis = millis
      places.take(one)
      return PeerSocketAddress.format(one.address)
    }
    assert.deepStrictEqual([texts(places.anchors()), places.anchorCount()], [[], 0])
    connected("dialled", undefined)
    const e = connected("e", 5)
    assert.deepStrictEqual([texts(places.anchors()), places.anchorCount()], [[e], 1])
    const [b, a] = [connected("b", 2), connected("a", 1)]
    connected("a", 3)
    assert.deepStrictEqual([texts(places.anchors()), places.anchorCount()], [[a, b, e], 3])
    const [d, c] = [connected("d", 4), connected("c", 3)]
    assert.deepStrictEqual([texts(places.anchors()), places.anchorCount()], [[a, b, c, d], 4])
  })
})
