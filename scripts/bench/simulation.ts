/**
 * How fast simulated networks of whole nodes run: how many times faster than time they were.
 *
 *     npm run bench -- simulation [--nodes 200 --hours 24] [--peers 3]
 *
 * 200 nodes for a day and 1,000 nodes for an hour, or what the flags say; each twice from one seed, which has to come to the same
 * hash. `--peers` is the target of each node, which dials up to three times as many. A quarter of the work is keep-alive: each
 * connection pings from both ends every 59 seconds. The rest is what nodes do besides: dials, handshakes, answers to `getaddr`. Needs
 * nothing, writes nothing. A day of 200 nodes takes some minutes.
 */
import { parseArgs } from "node:util"
import { isMainThread } from "node:worker_threads"
import { Simulated } from "network-effect/layers"
import { scenarios, Simulation } from "network-effect/simulation"
import { playAll, runThread } from "./support/threads.ts"

interface Wanted {
  readonly nodes: number
  readonly hours: number
  readonly peers: number
}

interface Row extends Record<string, string | number> {
  readonly hash: string
}

const seed = 1

const play = ({ hours, nodes, peers }: Wanted, seed: number): Row => {
  Error.stackTraceLimit = 0
  const bootstrap = scenarios.find(({ name }) => name === "bootstrap")
  if (bootstrap === undefined) throw new Error("there is no scenario bootstrap")
  const policy = { targetPeers: peers, inboundMultiplier: Math.ceil(nodes / peers) }
  const started = process.hrtime.bigint()
  const before = process.cpuUsage()
  const outcome = Simulation.run({
    scenario: { ...bootstrap, policy },
    seed,
    size: { nodes, hours },
    node: Simulated.worldNode
  })
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  const { system, user } = process.cpuUsage(before)
  const cpuSeconds = (system + user) / 1e6
  const virtualSeconds = outcome.atMillis / 1000
  return {
    nodes,
    hours,
    outcome: outcome.failure?.reason ?? "held",
    events: outcome.events,
    hash: outcome.hash.slice(0, 16),
    timers: outcome.work.timers,
    "wall seconds": Number(seconds.toFixed(1)),
    "CPU seconds": Number(cpuSeconds.toFixed(1)),
    "times real time": Math.round(virtualSeconds / seconds),
    "times real time, by CPU": Math.round(virtualSeconds / cpuSeconds)
  }
}

export const run = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: { nodes: { type: "string" }, hours: { type: "string" }, peers: { type: "string", default: "3" } }
  })
  const peers = Number(values.peers)
  const asked = { nodes: Number(values.nodes ?? 200), hours: Number(values.hours ?? 24), peers }
  const isAsked = values.nodes !== undefined || values.hours !== undefined
  const wanted = isAsked ? [asked] : [asked, { nodes: 1000, hours: 1, peers }]
  const rows: Array<Row> = []
  for (const each of wanted) {
    const args = [JSON.stringify(each)]
    const runs: Array<Row> = []
    for (let time = 0; time < 2; time++) {
      const tell = (row: Row) => runs.push(row) > 0
      await playAll({ file: import.meta.filename, args, seeds: [seed, seed], jobs: 1, tell })
    }
    rows.push(...runs)
    if (new Set(runs.map(({ hash }) => hash)).size === 1) continue
    console.error(`${each.nodes} nodes: two runs of one seed were not the same`)
    process.exitCode = 1
  }
  console.table(rows)
}

if (!isMainThread) runThread((seed) => play(JSON.parse(process.argv[2] ?? "") as Wanted, seed))
