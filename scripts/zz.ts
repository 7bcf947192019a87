import { twoRuns } from "../test/census/world.ts"
const [nodes, seeds, from] = process.argv.slice(2).map(Number)
let held = 0; const widths: number[] = []
for (let seed = from!; seed < from! + seeds!; seed++) {
  const t = performance.now()
  const o = twoRuns({ seed, nodes: nodes!, reachable: 0.4, sessionMinutes: 120, liars: 0.1, pauseMinutes: 60, latency: [100, 300] })
  const { estimate, low, high, reachable } = o.report
  const ok = low! <= o.truth && o.truth <= high!
  held += ok ? 1 : 0; widths.push((high! - low!) / o.truth)
  console.log(JSON.stringify({ seed, truth: o.truth, reachable, estimate, low, high, ok, recall: o.found / o.throughout, wrong: o.wrong, dials: o.dials, seconds: o.seconds, claimed: o.report.claimed, undialled: o.report.undialled, churn: o.report.churn, ms: Math.round(performance.now() - t) }))
}
console.log({ held, of: seeds, medianWidth: widths.sort()[Math.floor(widths.length / 2)] })
