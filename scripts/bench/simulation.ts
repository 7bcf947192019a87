/**
 * A world of 200 nodes for a day, twice: whether both runs were the same, and how much faster than time they were.
 *
 *     npm run bench -- simulation [--nodes 200] [--hours 24] [--peers 3]
 *
 * `--peers` is the target of each node, which dials up to three times as many. Nearly all the work is keep-alive: each
 * connection pings from both ends every 59 seconds. Needs nothing, writes nothing. A day of 200 nodes takes some minutes.
 */
import { parseArgs } from "node:util"
import { Simulated } from "network-effect/layers"
import { scenarios, Simulation } from "network-effect/simulation"

export const run = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      nodes: { type: "string", default: "200" },
      hours: { type: "string", default: "24" },
      peers: { type: "string", default: "3" }
    }
  })
  const size = { nodes: Number(values.nodes), hours: Number(values.hours) }
  const targetPeers = Number(values.peers)
  const bootstrap = scenarios.find(({ name }) => name === "bootstrap")
  if (bootstrap === undefined) throw new Error("there is no scenario bootstrap")
  const scenario = { ...bootstrap, policy: { targetPeers, inboundMultiplier: Math.ceil(size.nodes / targetPeers) } }
  const rows: Array<Record<string, string | number>> = []
  for (const seed of [1, 1]) {
    const started = process.hrtime.bigint()
    const outcome = Simulation.run({ scenario, seed, size, node: Simulated.worldNode })
    const seconds = Number(process.hrtime.bigint() - started) / 1e9
    rows.push({
      seed,
      outcome: outcome.failure?.reason ?? "held",
      events: outcome.events,
      hash: outcome.hash.slice(0, 16),
      timers: outcome.work.timers,
      "wall seconds": Number(seconds.toFixed(1)),
      "times real time": Math.round(outcome.atMillis / 1000 / seconds)
    })
  }
  console.table(rows)
}
