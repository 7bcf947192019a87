/** The addresses of a hardened book: whom it gives up when there are too many, and what of an earlier run fits. */
import { assert, describe, it } from "@effect/vitest"
import { allRules } from "../../src/addresses/HardenedRules.ts"
import { KnownAddresses } from "../../src/addresses/KnownAddresses.ts"
import * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import * as Standing from "../../src/addresses/Standing.ts"
import { shapeOf } from "../../src/addresses/Tables.ts"
import { defaults, type Policy } from "../../src/Policy.ts"
import { address } from "../support/bookWorld.ts"

const now: PeerAddress.Now = { wallSeconds: 1_800_000_000, monotonicMillis: 1_000_000_000 }
const longAgo: PeerAddress.Now = { wallSeconds: 1_799_000_000, monotonicMillis: 0 }

const world = (changed: Partial<Policy> = {}) => {
  const policy = { ...defaults, ...changed }
  const busy = new Set<Standing.Standing>()
  const known = new KnownAddresses(policy, allRules, new Uint8Array(32), (one) => busy.has(one))
  let last = 0
  const somebody = (group: string, source?: string) =>
    Standing.make(address(`40.${++last >> 16}.${(last >> 8) & 255}.${last & 255}:8233`), group, false, source)
  /** In no table, dialled then. */
  const loose = (group: string, dialled = now) => {
    const one = somebody(group)
    one.entry = PeerAddress.apply({ _tag: "UpdateAttempt", address: one.address }, undefined, dialled, policy)
    known.add(one, now)
    return one
  }
  return { busy, known, loose, somebody }
}

const middle = () => 0.5

describe("the entry to give up", () => {
  it("is the first that was not updated of late, of the first 256 that may be; else the first of these", () => {
    for (const [recent, isFound] of [
      [0, true],
      [255, true],
      [256, false]
    ] as const) {
      const { known, loose } = world()
      const first = Array.from({ length: recent }, () => loose("a"))[0]
      const old = loose("a", longAgo)
      loose("a", longAgo)
      assert.strictEqual(known.victim(middle, now), isFound ? old.entry : first?.entry, String(recent))
    }
  })

  it("is nobody who is connected, or whom the operator named; and none when there is nobody else", () => {
    const { busy, known, loose } = world()
    assert.isUndefined(known.victim(middle, now))
    const [connected, named, other] = [loose("a", longAgo), loose("a", longAgo), loose("a")]
    busy.add(connected)
    named.entry = { ...named.entry!, isConfigured: true }
    assert.strictEqual(known.victim(middle, now), other.entry)
    busy.add(other)
    assert.isUndefined(known.victim(middle, now))
  })

  it("is one in no table before one that was heard of, and that before one that was met, from any bucket on", () => {
    const { busy, known, loose, somebody } = world()
    const heard = Array.from({ length: 40 }, (_, n) => {
      const one = somebody(`h${n}`)
      assert.strictEqual(known.admit(one, true, now)._tag, "Kept")
      one.entry = PeerAddress.apply({ _tag: "NewInitial", address: one.address }, undefined, now, defaults)
      return one
    })
    const met = loose("m", longAgo)
    known.promote(met, now)
    assert.strictEqual(met.table, "tried")
    const outside = loose("o", longAgo)
    assert.strictEqual(known.victim(middle, now), outside.entry)
    known.remove(outside)
    // All of them are found, wherever it begins; by chance now one and now another is the first.
    const first = new Set<PeerAddress.PeerAddress | undefined>()
    for (const draw of [0, 0.25, 0.5, 0.75, 0.999]) {
      const found = known.victim(() => draw, now)
      assert.isTrue(heard.some(({ entry }) => entry === found))
      first.add(found)
    }
    assert.isAbove(first.size, 2)
    const byBucket = heard.toSorted((a, b) => a.bucket - b.bucket)
    assert.strictEqual(
      known.victim(() => 0, now),
      byBucket.find(({ bucket }) => bucket === byBucket[0]!.bucket)?.entry
    )
    for (const one of heard) busy.add(one)
    assert.strictEqual(known.victim(middle, now), met.entry)
  })
})

describe("one that is new to a full bucket", () => {
  it("has the place of one that is useless, and is none of those in no table", () => {
    const { known, loose, somebody } = world({ addressBookCapacity: 100 })
    const dialled = (one: Standing.Standing, when: PeerAddress.Now) =>
      (one.entry = PeerAddress.apply({ _tag: "UpdateAttempt", address: one.address }, undefined, when, defaults))
    const [first, second, third] = [somebody("a", "s"), somebody("a", "s"), somebody("a", "s")]
    assert.strictEqual(known.admit(first, true, now)._tag, "Kept")
    dialled(first, longAgo)
    first.failures = 2
    assert.deepStrictEqual(known.admit(second, true, now), { _tag: "Refused" })
    assert.deepStrictEqual([known.at(second.key), second.table, known.sizes.new], [undefined, undefined, 1])
    first.failures = 3
    assert.deepStrictEqual(known.admit(second, true, now), { _tag: "Replaces", entry: first.entry! })
    assert.deepStrictEqual([first.table, second.table, known.sizes.new], [undefined, "new", 1])
    // Until its entry is given up it is in no table, and the first to go.
    assert.strictEqual(known.victim(middle, now), first.entry)
    known.remove(first)
    dialled(second, longAgo)
    const outside = loose("o", longAgo)
    assert.strictEqual(known.victim(middle, now), outside.entry)
    // Of whom nobody told there may be some beside it.
    assert.deepStrictEqual(known.admit(third, false, now), { _tag: "Kept" })
    assert.deepStrictEqual([known.at(third.key), third.table, known.sizes.new], [third, undefined, 1])
  })
})

describe("one of an earlier run", () => {
  it("that has a place is none of those in no table", () => {
    for (const table of ["new", "tried"] as const) {
      const { known, loose, somebody } = world()
      const one = somebody("a")
      one.entry = PeerAddress.apply({ _tag: "UpdateAttempt", address: one.address }, undefined, longAgo, defaults)
      assert.isTrue(known.restore(one, table, now))
      const outside = loose("o", longAgo)
      assert.strictEqual(known.victim(middle, now), outside.entry)
      known.remove(outside)
      assert.strictEqual(known.victim(middle, now), one.entry)
      assert.strictEqual(known.tried.has(one), table === "tried")
    }
  })

  it("is where it was, else among those heard of, else in no table, as long as there is room", () => {
    const { known, somebody } = world({ addressOverflow: 2 })
    const { places } = shapeOf("tried", defaults.addressBookCapacity)
    const heard = shapeOf("new", defaults.addressBookCapacity)
    const tables: Array<Standing.Standing["table"]> = []
    const kept: Array<boolean> = []
    // Of one part of the internet, told by it: one bucket of those heard of, and eight of those met.
    for (let n = 0; n < 8 * places + heard.places + 3; n++) {
      const one = somebody("a")
      kept.push(known.restore(one, "tried", now))
      tables.push(one.table)
      assert.strictEqual(known.at(one.key), kept.at(-1) === true ? one : undefined)
    }
    const count = (table: Standing.Standing["table"], isKept = true) =>
      tables.filter((one, n) => one === table && kept[n] === isKept).length
    assert.isAtMost(count("tried"), 8 * places)
    assert.isAtLeast(count("tried"), 6 * places)
    assert.strictEqual(count("new"), heard.places)
    assert.strictEqual(count(undefined), 2)
    assert.isAbove(count(undefined, false), 0)
    assert.deepInclude(known.sizes, { new: count("new"), tried: count("tried"), groups: 1 })
    // Whoever was only heard of has no other place.
    assert.isFalse(known.restore(somebody("a"), "new", now))
  })

  it("counts in its part until it is gone", () => {
    const { known, loose } = world()
    const [one, other] = [loose("a"), loose("a")]
    assert.strictEqual(known.groups, 1)
    known.remove(one)
    assert.strictEqual(known.groups, 1)
    known.remove(other)
    assert.deepStrictEqual([known.groups, [...known.all()]], [0, []])
  })
})
