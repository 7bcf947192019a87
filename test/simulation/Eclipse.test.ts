/**
 * What part of a node's outbound connections an attacker gets, for as long as it takes to see it: from five fixed seeds where
 * there is time, and else a quarter of an hour of each kind from one. `test/addresses/HardenedBook` has the rules one by one.
 * `npm run simulate -- --scenario eclipse --book hardened` plays whole days of any seeds.
 */
import { assert, describe, it } from "@effect/vitest"
import { Eclipse } from "network-effect/simulation"
import { isLong } from "../support/long.ts"

if (!isLong) console.log("the larger worlds of an eclipse are not played: NETWORK_EFFECT_LONG is not set")

const seeds = isLong ? [1, 2, 3, 4, 5] : [1]
/** What takes hours of a world, and one of many that are alike. */
const large = it.skipIf(!isLong)

/** Dials in vain make errors, whose stacks cost more than the rest. */
const play = (options: Omit<Eclipse.Options, "seed">, from: ReadonlyArray<number> = seeds) => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return from.map((seed) => Eclipse.run({ ...options, seed }))
  } finally {
    Error.stackTraceLimit = limit
  }
}
const shares = (played: ReadonlyArray<Eclipse.Figures>) => played.map(({ share }) => share)
const median = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)[values.length >> 1]!

describe("an attacker that tells of its own hosts only", { timeout: 600_000 }, () => {
  it("gets most of a book in the reference's order, so the harness can see it (G1)", () => {
    const played = play({ book: "reference", groups: 1, hours: 0.25 })
    for (const { hoursToHalf, share } of played) {
      assert.isAbove(share, 0.6)
      assert.isBelow(hoursToHalf!, 0.25)
    }
  })

  large("has 90 % of all places after a day then (G1)", () => {
    for (const { share } of play({ book: "reference", groups: 1 })) assert.isAtLeast(share, 0.9)
  })

  for (const [groups, usual, most] of [
    [1, 2, 0.05],
    [8, 9, 0.25],
    [32, 33, 0.55]
  ] as const) {
    const sized = groups === 8 ? it : large
    sized(`gets ${groups} of 75 places with hosts in ${groups} groups, and one more at most (G2)`, () => {
      const played = play({ book: "hardened", groups, hours: 0.25 })
      assert.isAtMost(median(shares(played)), usual / 75)
      assert.isAtMost(Math.max(...shares(played)), most)
      // Nobody is dialled twice within 119 s (G5), and there are others.
      for (const { honest, leastRedialSeconds } of played) {
        assert.isAtLeast(leastRedialSeconds, 119)
        assert.isAtLeast(honest, 20)
      }
    })
  }

  for (const [script, name, sized] of [
    ["one-responder", "when one of the first 25 peers is hostile (X2)", large],
    ["inbound-5", "with five of those that dialled us (X2)", large],
    ["inbound-10", "with ten of those that dialled us (X2)", it],
    ["ipv6-48", "with 65,536 IPv6 /64s of one /48 (X3)", it],
    ["ipv4-24", "with an IPv4 /24 (X3)", large],
    ["ipv4-16", "with an IPv4 /16 (X3)", large],
    ["seeder", "with half of the first addresses (X6)", it],
    ["trash", "when it tells of nobody but addresses where nobody is (X7, X8)", large],
    ["beside", "when these are where honest hosts are (X7)", it]
  ] as const) {
    sized(`gets no more ${name} (G2, G5)`, () => {
      const options = { book: "hardened", groups: 8, hours: 0.25, ...Eclipse.scripts[script] } as const
      for (const { attacker, honest, leastRedialSeconds } of play(options)) {
        assert.isAtMost(attacker, options.groups + 1)
        assert.isAtLeast(honest, 20)
        assert.isAtLeast(leastRedialSeconds, 119)
      }
    })
  }

  it("and every peer gone with it leaves a node its book: two honest ones within a minute of a restart (G4)", () => {
    for (const { honestAfterRestart } of play({ book: "hardened", groups: 8, hours: 0.25, restarts: true })) {
      assert.isAtLeast(honestAfterRestart!, 2)
    }
  })
})

describe("an attacker with hosts in more groups than there are places", { timeout: 600_000 }, () => {
  const after = { book: "hardened", groups: 512, cleanHours: 24, hours: 14 } as const

  large("leaves a node that had a day without it the 18 places that are kept for those it met then (G3)", () => {
    const honest = play(after).map(({ honest }) => honest)
    // One of them may be dialled again in this very moment.
    for (const one of honest) assert.isAtLeast(one, 17)
    assert.isAtLeast(median(honest), 18)
  })

  large("leaves it fewer when none are kept", () => {
    for (const { honest } of play({ ...after, rules: { tenure: false } }, [1])) assert.isBelow(honest, 18)
  })
})

describe("honest hosts in 45 groups", { timeout: 600_000 }, () => {
  it("fill one place each within half an hour, and no more before all that answer are met (G7)", () => {
    for (const { honest } of play({ book: "hardened", groups: 0, world: "crowded", hours: 0.5 })) {
      assert.isAtLeast(honest, 42)
      // One place may change hands at the end.
      assert.isAtMost(honest, 47)
    }
  })

  large("fill all 75 within two and a half hours: second connections have the places left over (G7)", () => {
    for (const { honest, secondsTo75 } of play({ book: "hardened", groups: 0, world: "crowded", hours: 2.5 })) {
      assert.isAtMost(secondsTo75!, 7200)
      assert.isAtLeast(honest, 70)
    }
  })

  large("have one place each for sure, whoever has the others (G2)", () => {
    for (const { attacker, honest } of play({ book: "hardened", groups: 8, world: "crowded", hours: 3 })) {
      assert.isAtMost(attacker, 16)
      // Some of them are between two connections.
      assert.isAtLeast(honest, 42)
    }
  })

  for (const groups of [1, 8, 32]) {
    const sized = groups === 8 ? it : large
    sized(
      `leave an attacker with hosts in ${groups} groups one place for each in the first quarter of an hour (G2)`,
      () => {
        for (const { attacker, honest } of play({ book: "hardened", groups, world: "crowded", hours: 0.25 })) {
          assert.isAtMost(attacker, groups + 1)
          assert.isAtLeast(honest, 20)
        }
      }
    )
  }
})

describe("half of the honest hosts out of reach for an hour", { timeout: 600_000 }, () => {
  large("are among the outbound peers again within ten minutes (G7)", () => {
    for (const { secondsToMixed } of play({ book: "hardened", groups: 0, hours: 3, partition: true })) {
      assert.isAtMost(secondsToMixed!, 600)
    }
  })
})

describe("a node that nobody attacks", { timeout: 600_000 }, () => {
  it("fills its first eight places as fast with either book (G7)", () => {
    const [reference, hardened] = (["reference", "hardened"] as const).map((book) => {
      const played = play({ book, groups: 0, hours: 0.1 })
      return {
        honest: median(played.map(({ honest }) => honest)),
        seconds: median(played.map(({ secondsTo8 }) => secondsTo8 ?? Number.POSITIVE_INFINITY))
      }
    })
    assert.isAtMost(hardened!.seconds, 1.5 * reference!.seconds)
    assert.isAtLeast(hardened!.honest * 1.5, reference!.honest)
  })

  large("fills all 75 no more than 1.5 times slower than the reference (G7)", () => {
    const secondsWith = (book: Eclipse.BookName) =>
      median(play({ book, groups: 0, hours: 0.8 }).map(({ secondsTo75 }) => secondsTo75 ?? Number.POSITIVE_INFINITY))
    assert.isAtMost(secondsWith("hardened"), 1.5 * secondsWith("reference"))
  })
})
