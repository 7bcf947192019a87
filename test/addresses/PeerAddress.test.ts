import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Duration, Option } from "effect"
import * as AddressRules from "../../src/addresses/AddressRules.ts"
import * as Gossip from "../../src/addresses/Gossip.ts"
import * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import { SortedList } from "../../src/addresses/SortedList.ts"
import { mainnet } from "../../src/chain/ChainParams.ts"
import { defaults } from "../../src/Policy.ts"
import * as Generators from "../../src/simulation/Generators.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { change, int } from "../support/addressChanges.ts"
import { address } from "../support/bookWorld.ts"

type Change = PeerAddress.AddressChange
type Entry = PeerAddress.PeerAddress

/** So many seconds after a moment long after the beginning of both clocks. */
const at = (seconds: number): PeerAddress.Now => ({
  wallSeconds: Math.floor(1_000_000 + seconds),
  monotonicMillis: 500_000_000 + seconds * 1000
})

const bob = address("127.0.0.1:8233")
const apply = (change: Change, previous: Entry | undefined, seconds = 0) =>
  PeerAddress.apply(change, previous, at(seconds), defaults)
const made = (change: Change, seconds = 0): Entry => apply(change, undefined, seconds)!

const changes = {
  NewInitial: { _tag: "NewInitial", address: bob },
  NewGossiped: { _tag: "NewGossiped", address: bob, services: NODE_NETWORK, lastSeenSeconds: 1 },
  UpdateAttempt: { _tag: "UpdateAttempt", address: bob },
  UpdateConnected: {
    _tag: "UpdateConnected",
    address: bob,
    services: NODE_NETWORK,
    isInbound: false,
    userAgent: "/Zebra:7.0.0/",
    negotiatedVersion: 170_190
  },
  UpdatePingSent: { _tag: "UpdatePingSent", address: bob, sentAtMillis: 5 },
  UpdateResponded: { _tag: "UpdateResponded", address: bob, roundTrip: Duration.millis(128) },
  UpdateFailed: { _tag: "UpdateFailed", address: bob, services: undefined }
} as const satisfies Record<string, Change>

describe("an address", () => {
  it("is told to others while it was seen within three hours, by us or by others (MA-2 to MA-8)", () => {
    const isActive = (entry: Entry) => PeerAddress.isActiveForGossip(entry, at(0), defaults)
    assert.isTrue(isActive(PeerAddress.ownListener(address("192.168.180.9:10000"), at(0))))
    const seen = (secondsAgo: number) =>
      made({ ...changes.NewGossiped, lastSeenSeconds: at(0).wallSeconds - secondsAgo })
    const threeHours = 3 * 3600
    assert.deepStrictEqual(
      [threeHours - 1, -threeHours, threeHours + 1].map((ago) => isActive(seen(ago))),
      [true, true, false]
    )
    const responded = apply(changes.UpdateResponded, made(changes.NewInitial))!
    const respondedAgo = (seconds: number) => ({ ...responded, lastResponseSeconds: at(0).wallSeconds - seconds })
    assert.deepStrictEqual(
      [0, threeHours - 1, threeHours + 1].map((ago) => isActive(respondedAgo(ago))),
      [true, true, false]
    )
  })

  it("hears what comes late no more, and what comes later (MA-9, MA-10)", () => {
    const responded = made(changes.UpdateResponded)
    assert.isUndefined(apply(changes.UpdateFailed, responded, -15))
    assert.strictEqual(apply(changes.UpdateAttempt, responded, 15)?.state, "AttemptPending")
  })

  it("is not taken back by what comes at the same time, only further (MA-11, MA-12)", () => {
    const responded = made(changes.UpdateResponded)
    for (const seconds of [-2.5, 2.5]) {
      assert.isUndefined(apply(changes.UpdateAttempt, responded, seconds))
      assert.strictEqual(apply(changes.UpdateFailed, responded, seconds)?.state, "Failed")
    }
  })

  it("is paced by the monotonic clock, wherever the wall clock was set meanwhile (MA-9 to MA-12)", () => {
    const responded = made(changes.UpdateConnected)
    const years = 20 * 365 * 86_400
    for (const jump of [-years, 0, years]) {
      const after = (change: Change, seconds: number) => {
        const now = { ...at(seconds), wallSeconds: at(seconds).wallSeconds + jump }
        return PeerAddress.apply(change, responded, now, defaults)?.state
      }
      assert.deepStrictEqual(
        [after(changes.UpdateAttempt, 2), after(changes.UpdateAttempt, -15), after(changes.UpdateAttempt, 15)],
        [undefined, undefined, "AttemptPending"],
        String(jump)
      )
    }
  })

  it("may be dialled only when more than 119 seconds have passed since anything happened to it (MA-P3, UP-2)", () => {
    for (const change of ["UpdateAttempt", "UpdateFailed", "UpdateResponded"] as const) {
      const entry = apply(changes[change], made({ ...changes.NewGossiped, lastSeenSeconds: at(0).wallSeconds }))!
      const isReadyAt = (seconds: number) => PeerAddress.isReadyForAttempt(entry, at(seconds), mainnet, defaults)
      assert.deepStrictEqual([118, 119, 120].map(isReadyAt), [false, false, true], change)
    }
  })

  it("is the operator's from when it is named, once, and keeps what is known of it", () => {
    const named = { _tag: "NewConfigured", address: bob } as const
    assert.deepInclude(made(named), { state: "NeverAttempted", isConfigured: true })
    for (const entry of [made(changes.NewGossiped), made(changes.UpdateConnected), made(changes.UpdateFailed)]) {
      const after = apply(named, entry, 0)
      assert.deepStrictEqual(after, { ...entry, isConfigured: true })
      assert.isUndefined(apply(named, after, 0))
    }
  })

  it("hears what others claim once: of each thing the first that is said, and nothing new is no change", () => {
    const claims = (services: bigint, lastSeenSeconds: number) =>
      ({ _tag: "NewGossiped", address: bob, services, lastSeenSeconds }) as const
    const known = apply(claims(5n, 900_000), made(changes.NewInitial))!
    assert.deepStrictEqual([known.services, known.untrustedLastSeenSeconds], [5n, 900_000])
    assert.strictEqual(apply(claims(9n, 950_000), known), known)
    // An earlier run may have kept one without the other.
    const kept = PeerAddress.restored({ ...made(changes.NewInitial), untrustedLastSeenSeconds: 800_000 }, at(0))
    const both = apply(claims(5n, 900_000), kept)!
    assert.deepStrictEqual([both.services, both.untrustedLastSeenSeconds], [5n, 800_000])
  })

  it("keeps the time of its ping until something new comes (MA-13, EX-3)", () => {
    const connected = made(changes.UpdateConnected)
    const pinged = apply(changes.UpdatePingSent, connected, 59)!
    assert.deepStrictEqual([pinged.roundTrip, pinged.pingSentAtMillis], [undefined, 5])
    const responded = apply(changes.UpdateResponded, pinged, 60)!
    assert.deepStrictEqual(
      [Option.fromUndefinedOr(responded.roundTrip), responded.pingSentAtMillis],
      [Option.some(Duration.millis(128)), undefined]
    )
  })

  it("is changed as the table says, whatever happened before and when (EX-1)", () => {
    const previous: Record<string, Entry | undefined> = {
      none: undefined,
      NeverAttempted: made(changes.NewGossiped),
      AttemptPending: made(changes.UpdateAttempt),
      Responded: made({ ...changes.UpdateConnected, isInbound: true }),
      Failed: { ...made(changes.UpdateFailed), services: 0n, roundTrip: Duration.millis(1) }
    }
    const progress = ["NeverAttempted", "AttemptPending", "Responded", "Failed"]
    for (const [before, entry] of Object.entries(previous)) {
      const inbound = { ...changes.UpdateConnected, isInbound: true }
      for (const change of [...Object.values(changes), inbound]) {
        const after = made(change).state
        for (const seconds of [-60, -3, 0, 3, 60]) {
          const result = apply(change, entry, seconds)
          const where = `${before} ${change._tag} ${seconds}`
          const isNew = entry === undefined || before === "NeverAttempted"
          const isFurther = progress.indexOf(after) > progress.indexOf(before)
          const isApplied =
            isNew || (after === "NeverAttempted" ? false : Math.abs(seconds) < 5 ? isFurther : seconds > 0)
          assert.strictEqual(result !== undefined, isApplied, where)
          if (result === undefined || entry === undefined) continue
          const fresh = made(change, seconds)
          const filled = <K extends keyof Entry>(key: K): Entry[K] => entry[key] ?? fresh[key]
          const newer = <K extends keyof Entry>(key: K): Entry[K] => fresh[key] ?? entry[key]
          const isGossip = after === "NeverAttempted"
          const expected: Entry = {
            address: bob,
            state: after,
            services: isGossip ? filled("services") : newer("services"),
            // What others claim is never renewed, and never lost.
            untrustedLastSeenSeconds: isGossip ? filled("untrustedLastSeenSeconds") : entry.untrustedLastSeenSeconds,
            untrustedLastSeenMillis: isGossip ? filled("untrustedLastSeenMillis") : entry.untrustedLastSeenMillis,
            lastResponseSeconds: newer("lastResponseSeconds"),
            lastResponseMillis: newer("lastResponseMillis"),
            roundTrip: fresh.roundTrip,
            pingSentAtMillis: fresh.pingSentAtMillis,
            lastAttemptMillis: newer("lastAttemptMillis"),
            lastFailureMillis: newer("lastFailureMillis"),
            isInbound: entry.isInbound || fresh.isInbound,
            isConfigured: false,
            userAgent: newer("userAgent"),
            negotiatedVersion: newer("negotiatedVersion")
          }
          assert.deepStrictEqual(result, expected, where)
        }
      }
    }
  })

  it("has no time ahead of the wall clock once that went back, and is the same one when it had none", () => {
    const seen = (responded: number | undefined, claimed: number | undefined) => ({
      ...made(changes.NewInitial),
      lastResponseSeconds: responded,
      untrustedLastSeenSeconds: claimed
    })
    for (const [responded, claimed] of [
      [100, 100],
      [99, undefined],
      [undefined, 100],
      [undefined, undefined]
    ] as const) {
      const entry = seen(responded, claimed)
      assert.strictEqual(PeerAddress.notAhead(entry, 100), entry)
    }
    assert.deepStrictEqual(PeerAddress.notAhead(seen(101, 99), 100), seen(100, 99))
    assert.deepStrictEqual(PeerAddress.notAhead(seen(99, 101), 100), seen(99, 100))
    assert.deepStrictEqual(PeerAddress.notAhead(seen(undefined, 101), 100), seen(undefined, 100))
    assert.deepStrictEqual(PeerAddress.notAhead(seen(101, undefined), 100), seen(100, undefined))
  })

  it("of an earlier run is as of now: no time of it lies ahead, and it responded when it ever did", () => {
    const saved = { address: bob, services: 1n, untrustedLastSeenSeconds: undefined, lastResponseSeconds: undefined }
    const now = { wallSeconds: 1000, monotonicMillis: 50_000 }
    const of = (claimed: number | undefined, responded: number | undefined) => {
      const entry = PeerAddress.restored(
        { ...saved, untrustedLastSeenSeconds: claimed, lastResponseSeconds: responded },
        now
      )
      return [
        entry.state,
        entry.untrustedLastSeenSeconds,
        entry.untrustedLastSeenMillis,
        entry.lastResponseSeconds,
        entry.lastResponseMillis
      ]
    }
    assert.deepStrictEqual(of(undefined, undefined), ["NeverAttempted", undefined, undefined, undefined, undefined])
    assert.deepStrictEqual(of(997, undefined), ["NeverAttempted", 997, 47_000, undefined, undefined])
    assert.deepStrictEqual(of(1001, 1001), ["Responded", 1000, 50_000, 1000, 50_000])
    assert.deepStrictEqual(of(0, 1), ["Responded", 0, -950_000, 1, -949_000])
  })

  it("is told as its own seen just now", () => {
    assert.deepInclude(PeerAddress.ownListener(bob, { wallSeconds: 7, monotonicMillis: 9 }), {
      address: bob,
      services: 1n,
      untrustedLastSeenSeconds: 7,
      untrustedLastSeenMillis: 9
    })
  })

  it("is sanitised to what anybody could have told us (MA-1)", () => {
    for (const [seconds, rounded] of [
      [0, 0],
      [4_294_967_295, 4_294_965_600]
    ] as const) {
      const entry = { ...made(changes.NewGossiped), lastResponseSeconds: seconds, services: undefined }
      assert.deepStrictEqual(Gossip.sanitize(entry, mainnet), {
        address: bob,
        services: NODE_NETWORK,
        lastSeenSeconds: rounded
      })
    }
  })
})

describe("an address nothing is known of", () => {
  it("is as the first change of it says, and knows nothing else (addresses 1.3)", () => {
    const nothing = {
      address: bob,
      services: undefined,
      untrustedLastSeenSeconds: undefined,
      untrustedLastSeenMillis: undefined,
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
    const now = { wallSeconds: 1000, monotonicMillis: 70_000 }
    const rows: ReadonlyArray<readonly [Change, Partial<Entry>]> = [
      [changes.NewInitial, { state: "NeverAttempted" }],
      [
        { _tag: "NewConfigured", address: bob },
        { state: "NeverAttempted", isConfigured: true }
      ],
      [
        { ...changes.NewGossiped, services: 0n, lastSeenSeconds: 990 },
        { state: "NeverAttempted", services: 0n, untrustedLastSeenSeconds: 990, untrustedLastSeenMillis: 60_000 }
      ],
      [
        { ...changes.NewGossiped, lastSeenSeconds: 1001 },
        { state: "NeverAttempted", services: 1n, untrustedLastSeenSeconds: 1001, untrustedLastSeenMillis: 71_000 }
      ],
      [changes.UpdateAttempt, { state: "AttemptPending", lastAttemptMillis: 70_000 }],
      ...[false, true].map((isInbound): readonly [Change, Partial<Entry>] => [
        { ...changes.UpdateConnected, services: 0n, isInbound },
        {
          state: "Responded",
          services: 0n,
          lastResponseSeconds: 1000,
          lastResponseMillis: 70_000,
          isInbound,
          userAgent: "/Zebra:7.0.0/",
          negotiatedVersion: 170_190
        }
      ]),
      [changes.UpdatePingSent, { state: "Responded", pingSentAtMillis: 5 }],
      [
        changes.UpdateResponded,
        {
          state: "Responded",
          lastResponseSeconds: 1000,
          lastResponseMillis: 70_000,
          roundTrip: Duration.millis(128)
        }
      ],
      [
        { ...changes.UpdateFailed, services: 1n },
        { state: "Failed", services: 1n, lastFailureMillis: 70_000 }
      ]
    ]
    for (const [change, facts] of rows) {
      const expected = { ...nothing, ...facts }
      const made: unknown = PeerAddress.apply(change, undefined, now, defaults)
      assert.deepStrictEqual(made, expected, change._tag)
    }
  })
})

describe("what others tell of an address that nobody dealt with", () => {
  it("is taken for what is not known, and for nothing that is (addresses 1.4, merge A)", () => {
    const told = { ...changes.NewGossiped, services: 1n, lastSeenSeconds: at(-60).wallSeconds }
    const known = (services: bigint | undefined, seconds: number | undefined): Entry => ({
      ...made(changes.NewInitial),
      services,
      untrustedLastSeenSeconds: seconds,
      untrustedLastSeenMillis: seconds === undefined ? undefined : 7
    })
    const toldTimes = [at(-60).wallSeconds, at(-60).monotonicMillis]
    const after = (entry: Entry) => {
      const { services, untrustedLastSeenMillis, untrustedLastSeenSeconds } = apply(told, entry)!
      return [services, untrustedLastSeenSeconds, untrustedLastSeenMillis]
    }
    assert.deepStrictEqual(after(known(undefined, undefined)), [1n, ...toldTimes])
    assert.deepStrictEqual(after(known(0n, undefined)), [0n, ...toldTimes])
    assert.deepStrictEqual(after(known(undefined, 5)), [1n, 5, 7])
    const all = known(0n, 5)
    assert.strictEqual(apply(told, all), all)
    // A seed or the cache says nothing new of anybody.
    assert.deepStrictEqual(apply(changes.NewInitial, known(undefined, undefined)), known(undefined, undefined))
    // It stays the operator's, and where nobody listens.
    const named = { ...known(undefined, undefined), isConfigured: true, isInbound: true }
    assert.deepInclude(apply(told, named), { isConfigured: true, isInbound: true, state: "NeverAttempted" })
  })
})

describe("two changes of an address", () => {
  /** An entry to which only this happened, at the beginning. */
  const only = {
    attempt: made(changes.UpdateAttempt),
    failure: made(changes.UpdateFailed),
    response: made(changes.UpdateResponded)
  }
  const isApplied = (change: Change, entry: Entry, seconds: number) => apply(change, entry, seconds) !== undefined

  it("are at the same time within less than five seconds, either way (addresses 1.4)", () => {
    const seconds = [-5.001, -5, -4.999, 0, 4.999, 5]
    const appliedAt = (change: Change, entry: Entry) => seconds.filter((one) => isApplied(change, entry, one))
    const within = [-4.999, 0, 4.999, 5]
    // What takes it further comes through within them, and whatever comes later after them.
    assert.deepStrictEqual(appliedAt(changes.UpdateFailed, only.attempt), within)
    assert.deepStrictEqual(appliedAt(changes.UpdateResponded, only.attempt), within)
    assert.deepStrictEqual(appliedAt(changes.UpdateFailed, only.response), within)
    assert.deepStrictEqual(appliedAt(changes.UpdateAttempt, only.attempt), [5])
    assert.deepStrictEqual(appliedAt(changes.UpdateAttempt, only.response), [5])
    assert.deepStrictEqual(appliedAt(changes.UpdatePingSent, only.response), [5])
    for (const change of [changes.UpdateAttempt, changes.UpdateResponded, changes.UpdateFailed]) {
      assert.deepStrictEqual(appliedAt(change, only.failure), [5], change._tag)
    }
  })

  it("are measured from the latest attempt or failure, and from the response, whichever is near", () => {
    const times = (attempt: number | undefined, failure: number | undefined, response: number | undefined): Entry => {
      const millis = (seconds: number | undefined) => (seconds === undefined ? undefined : at(seconds).monotonicMillis)
      return {
        ...made(changes.NewInitial),
        state: "Responded",
        lastAttemptMillis: millis(attempt),
        lastFailureMillis: millis(failure),
        lastResponseMillis: millis(response)
      }
    }
    // A dial is no further than a response: within five seconds of anything it is nothing, and so it is before all of it.
    const rows: ReadonlyArray<readonly [Entry, ReadonlyArray<boolean>]> = [
      [times(undefined, undefined, undefined), [true, true, true, true, true]],
      [times(40, undefined, undefined), [false, false, false, false, true]],
      [times(undefined, 40, undefined), [false, false, false, false, true]],
      [times(undefined, undefined, 40), [false, false, false, false, true]],
      // Only the later one of attempt and failure counts.
      [times(20, 40, undefined), [false, false, false, false, true]],
      [times(40, 20, undefined), [false, false, false, false, true]],
      [times(0, undefined, 20), [false, false, true, true, true]],
      [times(20, undefined, 0), [false, false, true, true, true]]
    ]
    for (const [entry, expected] of rows) {
      const found = [0, 20, 30, 38, 50].map((seconds) => isApplied(changes.UpdateAttempt, entry, seconds))
      assert.deepStrictEqual(found, expected, JSON.stringify(entry))
    }
  })
})

describe("what is known of an address", () => {
  /** For so many milliseconds and one more. */
  const holdsFor = (millis: number, holds: (now: PeerAddress.Now) => boolean) =>
    [0, millis, millis + 1].map((later) => holds({ ...at(0), monotonicMillis: at(0).monotonicMillis + later }))
  const untilThen = [true, true, false]
  const never = [false, false, false]
  const always = [true, true, true]
  const [attempted, failed, responded] = [
    made(changes.UpdateAttempt),
    made(changes.UpdateFailed),
    made(changes.UpdateResponded)
  ]

  it("is of late for 119 seconds (addresses 1.5)", () => {
    const of = (predicate: (entry: Entry, now: PeerAddress.Now, policy: typeof defaults) => boolean) =>
      [attempted, failed, responded].map((entry) => holdsFor(119_000, (now) => predicate(entry, now, defaults)))
    assert.deepStrictEqual(of(PeerAddress.hasRecentlyResponded), [never, never, untilThen])
    assert.deepStrictEqual(of(PeerAddress.isRecentlyAttempted), [untilThen, never, never])
    assert.deepStrictEqual(of(PeerAddress.isRecentlyUpdated), [untilThen, untilThen, untilThen])
    assert.deepStrictEqual(of(PeerAddress.isRecentlyLive), [never, never, untilThen])
    const gone = { ...responded, state: "Failed" as const }
    assert.deepStrictEqual(
      holdsFor(119_000, (now) => PeerAddress.isRecentlyLive(gone, now, defaults)),
      never
    )
  })

  it("is told for three hours, and makes one that failed reachable for three days, by its own times first (addresses 1.5)", () => {
    const long = at(-1_000_000)
    const seen = (entry: Entry, response: boolean | undefined, claim: boolean | undefined): Entry => {
      const now = (isNow: boolean | undefined) => (isNow === undefined ? undefined : isNow ? at(0) : long)
      return {
        ...entry,
        lastResponseSeconds: now(response)?.wallSeconds,
        lastResponseMillis: now(response)?.monotonicMillis,
        untrustedLastSeenSeconds: now(claim)?.wallSeconds,
        untrustedLastSeenMillis: now(claim)?.monotonicMillis
      }
    }
    const times = [
      [true, undefined],
      [undefined, true],
      [true, false],
      [false, true],
      [undefined, undefined]
    ] as const
    const reachable = (entry: Entry) =>
      holdsFor(259_200_000, (now) => PeerAddress.isProbablyReachable(entry, now, defaults))
    assert.deepStrictEqual(
      times.map(([response, claim]) => reachable(seen(failed, response, claim))),
      [untilThen, untilThen, untilThen, never, never]
    )
    for (const entry of [attempted, responded, made(changes.NewInitial)]) {
      assert.deepStrictEqual(reachable(seen(entry, false, false)), always)
    }
    const told = (entry: Entry) =>
      [0, 10_800, 10_801].map((later) =>
        PeerAddress.isActiveForGossip(entry, { ...at(0), wallSeconds: at(0).wallSeconds + later }, defaults)
      )
    assert.deepStrictEqual(
      times.map(([response, claim]) => told(seen(failed, response, claim))),
      [untilThen, untilThen, untilThen, never, never]
    )
  })

  it("says whether it can be dialled: where somebody listens who may serve blocks, or as the operator says", () => {
    const of = (facts: Partial<Entry>) => {
      const entry = { ...made(changes.NewInitial), ...facts }
      return [PeerAddress.isValidForOutbound(entry, mainnet), PeerAddress.isDialable(entry, mainnet)]
    }
    for (const services of [undefined, 1n, 3n, 5n]) assert.deepStrictEqual(of({ services }), [true, true])
    for (const services of [0n, 2n, 4n]) {
      assert.deepStrictEqual(of({ services }), [false, false])
      assert.deepStrictEqual(of({ services, isConfigured: true }), [false, true])
    }
    assert.deepStrictEqual(of({ isInbound: true }), [true, false])
    assert.deepStrictEqual(of({ isInbound: true, isConfigured: true }), [true, true])
    for (const isConfigured of [false, true]) {
      assert.deepStrictEqual(of({ isConfigured, address: address("127.0.0.1:18233") }), [false, false])
    }
  })

  it("says when it may be dialled: not of late, and as long as it is reachable or the operator's (addresses 1.5)", () => {
    const isReady = (entry: Entry, seconds: number) =>
      PeerAddress.isReadyForAttempt(entry, at(seconds), mainnet, defaults)
    const old = made({ ...changes.NewGossiped, lastSeenSeconds: at(-259_201).wallSeconds })
    const lost = apply(changes.UpdateFailed, old)!
    assert.deepStrictEqual([isReady(old, 0), isReady(lost, 120), isReady(lost, 500_000)], [true, false, false])
    const named = { ...lost, isConfigured: true }
    assert.deepStrictEqual([isReady(named, 119), isReady(named, 120)], [false, true])
    assert.isFalse(isReady({ ...old, isInbound: true }, 0))
  })
})

describe("who of two is dialled first", () => {
  it("is decided by one thing after the other, each before all that follow (addresses 1.6)", () => {
    const blank: Entry = { ...made(changes.NewInitial), services: undefined }
    // Each from the first to the last; whoever is first in one thing is so whatever the later ones say.
    const facts: ReadonlyArray<ReadonlyArray<Partial<Entry>>> = [
      (["Responded", "NeverAttempted", "Failed", "AttemptPending"] as const).map((state) => ({ state })),
      ["9.9.9.9:8233", "9.9.9.9:9000", "0.0.0.0:9000"].map((text) => ({ address: address(text) })),
      [undefined, 1, 2].map((lastAttemptMillis) => ({ lastAttemptMillis })),
      [undefined, 1, 2].map((lastFailureMillis) => ({ lastFailureMillis })),
      [undefined, 1, 2].map((lastResponseMillis) => ({ lastResponseMillis })),
      [2, 1, undefined].map((untrustedLastSeenSeconds) => ({ untrustedLastSeenSeconds })),
      [2n, 1n, undefined].map((services) => ({ services }))
    ]
    for (const [place, steps] of facts.entries()) {
      const later: Partial<Entry> = Object.assign({}, ...facts.slice(place + 1).map((rest) => rest.at(-1)))
      const sooner: Partial<Entry> = Object.assign({}, ...facts.slice(place + 1).map((rest) => rest[0]))
      for (const [n, first] of steps.slice(0, -1).entries()) {
        for (const second of steps.slice(n + 1)) {
          const [a, b] = [
            { ...blank, ...later, ...first },
            { ...blank, ...sooner, ...second }
          ]
          const where = `${place}: ${JSON.stringify([first, second], (_, value) => (typeof value === "bigint" ? `${value}` : value))}`
          assert.isBelow(PeerAddress.compare(a, b), 0, where)
          assert.isAbove(PeerAddress.compare(b, a), 0, where)
        }
      }
    }
    // Alike in all of it, the lower address is, and then the lower port.
    const at = (text: string): Entry => ({ ...blank, address: address(text) })
    const inOrder = ["1.0.0.1:8233", "1.0.0.1:18233", "1.0.0.2:8233", "[::1]:8233"].map(at)
    for (const [n, a] of inOrder.entries()) {
      for (const [m, b] of inOrder.entries()) {
        assert.strictEqual(Math.sign(PeerAddress.compare(a, b)), Math.sign(n - m))
        assert.strictEqual(PeerAddress.compareFacts(a, b), 0)
      }
    }
  })

  it("is by state and port alone the one and then the other, whatever else is known of them", () => {
    const responded = made(changes.UpdateResponded)
    const other = { ...responded, address: address("1.1.1.1:9000"), lastResponseMillis: 1 }
    assert.isBelow(PeerAddress.compareKind(responded, other), 0)
    assert.strictEqual(PeerAddress.compareKind(responded, { ...responded, lastResponseMillis: 1 }), 0)
    assert.isAbove(PeerAddress.compareKind(made(changes.UpdateFailed), other), 0)
  })
})

// -- properties ----------------------------------------------------------------------------------

const sequence = Arbitrary.flatMap(Generators.peerSocketAddress, (address) =>
  Arbitrary.array(Arbitrary.all([change(address), int(-200, 400)]), { minLength: 1, maxLength: 15 })
)

const entryOf = (steps: ReadonlyArray<readonly [Change, number]>): Entry =>
  steps.reduce<Entry | undefined>((entry, [change, seconds]) => apply(change, entry, seconds) ?? entry, undefined)!

describe("whatever happens to an address", () => {
  it.prop(
    "what we tell of it leaks nothing (MA-P1)",
    { steps: sequence },
    ({ steps }) => {
      const entry = entryOf(steps)
      const told = Gossip.sanitize(entry, mainnet)
      if (told === undefined) return
      const original = PeerAddress.lastSeenSeconds(entry)!
      assert.isFalse(entry.isInbound)
      assert.isUndefined(AddressRules.validForOutbound(told.address, mainnet))
      assert.strictEqual(told.services, NODE_NETWORK)
      assert.strictEqual(told.lastSeenSeconds % 1800, 0)
      assert.isTrue(original - told.lastSeenSeconds >= 0 && original - told.lastSeenSeconds < 1800)
      assert.deepStrictEqual(Object.keys(told).toSorted(), ["address", "lastSeenSeconds", "services"])
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "what others claimed first stays (MA-P2)",
    { steps: sequence, more: sequence },
    ({ more, steps }) => {
      const entry = entryOf(steps)
      const { untrustedLastSeenSeconds } = entry
      if (untrustedLastSeenSeconds === undefined) return
      let current = entry
      for (const [change, seconds] of more) {
        const before = current
        current = apply({ ...change, address: entry.address } as Change, current, seconds) ?? current
        if (before.services !== undefined && current.services !== before.services) {
          // Only who was there itself says what it serves.
          assert.include(["UpdateConnected", "UpdateFailed"], change._tag)
        }
        assert.strictEqual(current.untrustedLastSeenSeconds, untrustedLastSeenSeconds)
        assert.strictEqual(current.address, entry.address)
      }
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "it is dialled once at most at one moment (MA-P3)",
    { steps: sequence },
    ({ steps }) => {
      let entry: Entry | undefined
      let attempts = 0
      for (const [change] of steps) {
        entry = apply(change, entry) ?? entry
        if (entry === undefined || !PeerAddress.isReadyForAttempt(entry, at(0), mainnet, defaults)) continue
        const attempted = apply({ _tag: "UpdateAttempt", address: entry.address }, entry)
        if (attempted === undefined) continue
        attempts++
        entry = attempted
      }
      assert.isAtMost(attempts, 1)
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "it is reachable unless it failed and was not seen for three days (MA-P8, MA-P9)",
    { steps: sequence, later: int(0, 400_000) },
    ({ later, steps }) => {
      const entry = entryOf(steps)
      const seen = PeerAddress.lastSeenSeconds(entry)
      const isRecent = seen !== undefined && at(later).wallSeconds - seen <= 259_200
      assert.strictEqual(
        PeerAddress.isProbablyReachable(entry, at(later), defaults),
        entry.state !== "Failed" || isRecent
      )
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "its place among others is total, and halving finds it (EX-2)",
    { lists: Arbitrary.array(sequence, { minLength: 3, maxLength: 12 }) },
    ({ lists }) => {
      const byAddress = new Map(lists.map((steps) => [AddressRules.sortKey(steps[0]![0].address), entryOf(steps)]))
      const entries = [...byAddress.values()]
      for (const a of entries) {
        for (const b of entries) {
          const order = PeerAddress.compare(a, b)
          assert.strictEqual(Math.sign(order), -Math.sign(PeerAddress.compare(b, a)) + 0)
          assert.strictEqual(order === 0, a === b)
          for (const c of entries) {
            if (order < 0 && PeerAddress.compare(b, c) < 0) assert.isBelow(PeerAddress.compare(a, c), 0)
          }
        }
      }
      const list = new SortedList<Entry>(PeerAddress.compare)
      for (const entry of entries) list.add(entry)
      assert.deepStrictEqual([...list], entries.toSorted(PeerAddress.compare))
      for (const entry of entries.slice(1)) assert.isTrue(list.remove(entry))
      assert.deepStrictEqual([...list], entries.slice(0, 1))
    },
    { arbitrary: { runs: 200 } }
  )
})
