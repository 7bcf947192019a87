/** One host over all runs. */
import { json, sentence } from "./asking.js"
import { $, element, say, set, showSome, text } from "./dom.js"
import { day, inWords, many, ping } from "./format.js"

const columns = [
  { title: "Run", of: ({ at, runId }) => `${runId}, ${day(at * 1000)}` },
  {
    title: "Answered",
    of: ({ isReached, reason }) => (isReached ? "yes" : `no: ${inWords(reason ?? "unknown")}`),
    kind: "found"
  },
  { title: "Version", of: ({ version }) => (version === null ? "–" : String(version)) },
  { title: "Agent", of: ({ userAgent }) => userAgent ?? "–", kind: "agent" },
  { title: "Height", of: ({ height }) => (height === null ? "–" : height.toLocaleString("en")), kind: "number" },
  { title: "Ping", of: ({ latency }) => ping(latency), kind: "number" }
]

const show = (host, runs) => {
  const reached = host.sightings.filter(({ isReached }) => isReached).length
  const first = host.firstReached === null ? "never reached" : `first reached ${day(host.firstReached * 1000)}`
  const last = host.lastReached === null ? "" : `, last ${day(host.lastReached * 1000)}`
  text(
    "host-said",
    `${host.host}: ${first}${last}; answered in ${reached} of the ${many(host.sightings.length, "run", "runs")} that dialled it.`
  )
  const byRun = new Map(host.sightings.map((sighting) => [sighting.runId, sighting]))
  $("strip").replaceChildren(
    ...runs.map(({ id }) => {
      const sighting = byRun.get(id)
      return element("i", { class: sighting === undefined ? "undialled" : sighting.isReached ? "reached" : "" })
    })
  )
  set($("strip"), { "aria-label": `Answered in ${reached} of ${host.sightings.length} runs, oldest first` })
  showSome(
    "sightings",
    host.sightings
      .toReversed()
      .map((sighting) =>
        element(
          "tr",
          { class: "row" },
          ...columns.map(({ kind, of, title }) => element("td", { class: kind, "data-title": title }, of(sighting)))
        )
      )
  )
  $("host").hidden = false
}

/** Looks a host up, as one who typed it would. */
export const lookUp = async (name, { network, runs }) => {
  const said = $("search").querySelector(".said")
  $("search").elements.host.value = name
  say(said, "")
  try {
    show(await json(`/census/host?${new URLSearchParams({ network, host: name })}`), runs)
  } catch (error) {
    $("host").hidden = true
    say(said, sentence(error), true)
  }
}

export const startHost = (overview) => {
  for (const { kind, title } of columns) {
    $("host-columns").append(element("th", { scope: "col", class: kind === "number" ? kind : undefined }, title))
  }
  $("search").onsubmit = (event) => {
    event.preventDefault()
    if (overview() !== undefined) void lookUp(new FormData($("search")).get("host").trim(), overview())
  }
}
