/**
 * Who gets our requests when a part of the peers answers at once to get them: the share that honest peers answer, with the
 * peer selection that is the default and with the one before it (two at random, as Zebra), beside the share of the peers that
 * they are; and what the default costs in throughput and answer time when nobody attacks.
 *
 * 100 peers, 20, 50 and 80 of them attackers in 8 and in 32 networks. At half load, honest peers that all get the same are
 * busy half of the time; when saturated, two callers for each peer never stop asking. Virtual time, the median of some seeds.
 *
 *     npm run bench -- capture [--seeds 5] [--seconds 20] [--honest 200..400] [--attacker 10]
 *
 * Delays in milliseconds. Writes nothing.
 */
import { parseArgs } from "node:util"
import { diverse, twoAtRandom } from "../../src/routing/PeerSelection.ts"
import * as Capture from "../../src/simulation/Capture.ts"
import { median } from "./support/figures.ts"

const selections = { before: { make: () => twoAtRandom }, now: diverse }

/** Prints the table. */
export const run = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: "string", default: "5" },
      seconds: { type: "string", default: "20" },
      honest: { type: "string", default: "200..400" },
      attacker: { type: "string", default: "10" }
    }
  })
  const [from = 200, to = from] = values.honest.split("..").map(Number)
  const rows: Array<Record<string, string | number>> = []
  const measure = (load: Capture.CaptureOptions["load"], attackers: number, networks: number) => {
    const of = (selection: keyof typeof selections) => {
      const worlds = Array.from({ length: Number(values.seeds) }, (_, seed) =>
        Capture.run({
          peers: 100,
          attackers,
          networks,
          honestMillis: [from, to],
          attackerMillis: Number(values.attacker),
          load,
          // A saturated world has thirty times as many requests.
          seconds: load === "half" ? Number(values.seconds) : Number(values.seconds) / 10,
          selection: selections[selection],
          seed: seed + 1
        })
      )
      return {
        share: median(worlds.map(({ honestShare }) => honestShare)),
        rate: median(worlds.map(({ answeredPerSecond }) => answeredPerSecond)),
        millis: median(worlds.map(({ answerMillis }) => answerMillis))
      }
    }
    const [before, now] = [of("before"), of("now")]
    rows.push({
      load,
      attackers: `${attackers} % in ${networks}`,
      "honest peers": (1 - attackers / 100).toFixed(2),
      "asked before": before.share.toFixed(3),
      "asked now": now.share.toFixed(3),
      "of their share": (now.share / (1 - attackers / 100)).toFixed(2),
      "per second": `${before.rate.toFixed(0)} → ${now.rate.toFixed(0)}`,
      "ms to answer": `${before.millis.toFixed(0)} → ${now.millis.toFixed(0)}`
    })
  }
  for (const load of ["half", "saturated"] as const) {
    measure(load, 0, 1)
    for (const attackers of [20, 50, 80]) for (const networks of [8, 32]) measure(load, attackers, networks)
  }
  console.table(rows)
}
