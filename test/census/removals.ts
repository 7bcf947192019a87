/** How rules of a census are taken out of the source. `test/support/removal.ts` says how it is written. */
import { edit, rule, type ScenarioRemoval } from "../support/removal.ts"

const frontier = "census/Frontier"
const estimate = "census/Estimate"
const quorum = "census/Quorum"
const visit = "census/Visit"

export const removals: ReadonlyArray<ScenarioRemoval> = [
  ...rule(
    "census 1",
    "census/Frontier",
    "gives each host once, whatever ports are told while it is under way",
    edit(frontier, "this.#toldAgain(known, address, teller); return false", "this.#enqueue(known)")
  ),
  ...rule(
    "census 2",
    "census/Frontier",
    "dials one host a second of a group, and goes on with others meanwhile",
    edit(frontier, "now + this.#groupMillis", "now")
  ),
  ...rule(
    "census 3",
    "census/Frontier",
    "tries three ports of a host that does not answer, and no fourth",
    edit(frontier, "host.addresses.length < this.#numbers.portsPerHost", "true")
  ),
  ...rule(
    "census 4",
    "census/Frontier",
    "leaves a host that answered alone for half an hour, then asks it again where it answered",
    edit(frontier, "at: now + this.#askAgainMillis", "at: now")
  ),
  ...rule(
    "census 5",
    "census/Frontier",
    "believes a teller of whom nobody answers sixteen times, however many dials are under way",
    edit(frontier, "host.tellers.length === 0 || host.tellers.some(({ credit }) => credit > 0)", "true")
  ),
  ...rule(
    "census 6",
    "census/Frontier",
    "keeps as many hosts as it may, and no more",
    edit(frontier, "this.#hosts.size >= this.#numbers.maxHosts && !this.#forget()", "false")
  ),
  ...rule(
    "census 7",
    "census/Estimate",
    "is Lincoln's and Petersen's: found times marked over found again",
    edit(estimate, "(found * (again + missed)) / again", "found")
  ),
  ...rule(
    "census 8",
    "census/Estimate",
    "is nothing when no marked node was found again",
    edit(estimate, "if (again === 0) return undefined")
  ),
  ...rule(
    "census 9",
    "census/Estimate",
    "leaves room for those who came in the last five minutes, whom nobody tells of",
    edit(estimate, "estimate * (1 + newcomers(counts))", "estimate")
  ),
  ...rule(
    "census 10",
    "census/Watch",
    "hears one voice of a group, whatever it has hosts",
    edit(quorum, "[...Map.groupBy(voices, ({ group }) => group).values()].map(medianVoice)", "voices")
  ),
  ...rule(
    "census 11",
    "census/Watch",
    "needs five groups that agree, or more when some do not",
    edit(quorum, 'sure > 0.5 ? verdict : "Unknown"', "verdict")
  ),
  ...rule(
    "census 12",
    "census/Watch",
    "does not hold it against a node that the chain has grown since others were asked",
    edit(quorum, "height + slack + (burst * age) / spacing < node", "height + slack < node")
  ),
  ...rule(
    "census 13",
    "census/Census",
    "sees peers older and newer than ours, with the heights they state",
    edit(visit, "isRefusing: false", "isRefusing: true"),
    edit(visit, "minimumVersion: 0", "minimumVersion: 170_130")
  )
]
