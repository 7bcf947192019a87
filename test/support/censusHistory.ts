/** A store with a past: forty runs, a day apart, of a network that grows and takes up a new version. */
import { Effect } from "effect"
import { CensusStore } from "../../src/census/CensusStore.ts"
import { Finding } from "../../src/census/Finding.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { twoClocks } from "./twoClocks.ts"

/** The first run's beginning, in milliseconds since the Unix epoch. */
export const firstRunAt = Date.UTC(2026, 8, 1, 12)
const dayMillis = 86_400_000
const at = PeerSocketAddress.fromStringUnsafe

/** Node `n` of many, eight of which share a group. */
export const addressOf = (n: number) => at(`198.${18 + ((n >> 3) % 60)}.${Math.floor(n / 480)}.${1 + (n % 8)}:8233`)

/** Which nodes there are on a day: one in forty goes each day, and more come. */
const isThere = (n: number, day: number): boolean => {
  const born = Math.max(0, Math.floor((n - 300) / 12))
  const lives = 25 + ((n * 7919) % 60)
  return day >= born && day < born + lives
}

const agents = ["/MagicBean:6.2.0/", "/Zebra:3.1.0/", "/Zebra:3.0.1/", "/network-effect:0.1.0/"]

/** What the run of a day finds: nine of ten nodes by exploring, the others because they were there before. */
const findingsOf = (day: number, startMillis: number): ReadonlyArray<Finding> =>
  Array.from({ length: 700 }, (_, n) => n).flatMap((n): ReadonlyArray<Finding> => {
    const born = Math.max(0, Math.floor((n - 300) / 12))
    if (day < born) return []
    const atMillis = startMillis + n * 1000
    const how = (n * 31 + day) % 10 === 0 ? "Rechecked" : "Explored"
    if (!isThere(n, day)) {
      return [
        Finding.Unreachable({
          address: addressOf(n),
          atMillis,
          how,
          reason: n % 3 === 0 ? "Refused" : "NoConnection",
          code: ""
        })
      ]
    }
    const isNew = day > 8 + ((n * 13) % 40)
    return [
      Finding.Reached({
        address: addressOf(n),
        atMillis,
        how,
        protocolVersion: isNew ? 170_190 : n % 9 === 0 ? 170_140 : 170_150,
        services: 1n,
        userAgent: agents[isNew ? (n % 3) + 1 : n % 2] ?? "",
        height: n % 17 === 0 ? null : 3_000_000 + day * 1152 - (n % 23 === 0 ? 500 : 0),
        clockOffsetSeconds: 0,
        latencyMillis: 20 + (n % 180),
        told: 100,
        claims: null
      })
    ]
  })

/** Puts the past into a store. */
export const fill = Effect.fnUntraced(function* (network: string, runs: number) {
  const store = yield* CensusStore
  for (let day = 0; day < runs; day++) {
    const startMillis = firstRunAt + day * dayMillis
    const begun = store.begin({ network, userAgent: "/census/", protocolVersion: 170_190 })
    const id = yield* twoClocks(startMillis / 1000).provide(begun)
    const findings = findingsOf(day, startMillis)
    yield* store.record(id, network, [
      ...findings,
      Finding.Progress({
        atMillis: startMillis + 700_000,
        elapsedMillis: 700_000,
        known: findings.length + 200,
        visited: findings.length,
        reached: 0,
        dials: findings.length,
        underWay: 0,
        waiting: 0,
        doubtful: 0,
        end: "Exhausted"
      })
    ])
  }
})
