/**
 * What a census could have answered, for the description of its interface. Addresses are those kept for documents.
 *
 * @module
 */
import type { Words } from "./ApiExamples.ts"

const run = {
  id: 12,
  startedAt: 1_796_000_000,
  endedAt: 1_796_000_600,
  ending: "Exhausted",
  reachable: 96,
  estimate: 101.5,
  low: 97.2,
  high: 108.9,
  claimed: 412,
  unreachable: 316,
  arrived: 4,
  departed: 2,
  versions: { "170140": 21, "170190": 75 },
  tip: 3_400_000
}

export const words: Words = {
  answers: {
    CensusOverview: {
      network: "Mainnet",
      networks: ["Mainnet", "Testnet"],
      runs: [run],
      runsKept: 12,
      reason: null,
      agents: { "/Zebra:5.2.0/": 70, "/MagicBean:6.2.0/": 26 },
      readiness: [
        { upgrade: "NU7", version: 170_190, count: 75, share: 0.78, low: 0.69, high: 0.8, groupsReady: 52, groups: 66 }
      ],
      heights: {
        known: 94,
        unknown: 2,
        tip: { height: 3_400_000, tolerance: 3, behind: 5, there: 88, ahead: 1, groups: 66, groupsThere: 63 }
      },
      groups: { count: 66, largest: [{ group: "203.0.0.0/16", hosts: 8 }] },
      reasons: { NoConnection: 240, Refused: 76 },
      latency: { median: 0.11, p90: 0.34 },
      arrived: [{ host: "203.0.113.7", version: 170_190, userAgent: "/Zebra:5.2.0/" }],
      departed: [{ host: "198.51.100.20", version: 170_140, userAgent: "/MagicBean:6.2.0/" }],
      notes: []
    },
    CensusHost: {
      host: "203.0.113.7",
      firstDialled: 1_795_000_000,
      lastDialled: 1_796_000_120,
      firstReached: 1_795_000_000,
      lastReached: 1_796_000_120,
      sightings: [
        {
          runId: 12,
          at: 1_796_000_120,
          address: "203.0.113.7:8233",
          isReached: true,
          reason: null,
          version: 170_190,
          userAgent: "/Zebra:5.2.0/",
          height: 3_400_000,
          latency: 0.11
        }
      ]
    }
  },
  details: {
    400: '"nobody" is not a host: say an IP such as 192.0.2.10 or 2001:db8::1.',
    404: "No run of Mainnet has dialled 203.0.113.9.",
    503: "The census' database does not answer: connection refused."
  }
}
