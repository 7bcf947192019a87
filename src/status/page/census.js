/** The census' page: a network in numbers, read again each minute. */
import { json, Problem } from "./asking.js"
import { lookUp, startHost } from "./census-host.js"
import { showPlots } from "./census-plots.js"
import { $, button, drawing, element, say, showSome, text } from "./dom.js"
import { age, day, inWords, many, percent, ping } from "./format.js"
import { startLogin } from "./login.js"
import { startTheme } from "./theme.js"
import { showBars } from "./who.js"

const againMillis = 60_000

/** Groups that are named. */
const groupsShown = 6

let overview
let chosen

const whole = (value) => (value === null ? "–" : Math.round(value).toLocaleString("en"))

const figure = (name, value, more) =>
  element(
    "div",
    { class: "figure" },
    element("div", { class: "name" }, name),
    element("div", { class: "value" }, value),
    element("div", { class: "note" }, more)
  )

const showFigures = ({ groups, latency, readiness, reason, runs }) => {
  const run = runs.at(-1)
  const next = readiness.at(-1)
  $("figures").replaceChildren(
    figure(
      "Reachable nodes",
      whole(run.estimate ?? run.reachable),
      run.low === null ? (reason ?? "no interval") : `95 %: ${whole(run.low)} to ${whole(run.high)}`
    ),
    figure("Reached", whole(run.reachable), `${whole(run.unreachable)} did not answer`),
    figure("Heard of", whole(run.claimed), "reachable or not"),
    figure(
      "Ready",
      next === undefined ? "–" : percent(next.share),
      next === undefined ? "" : `for ${next.upgrade}, version ${next.version}`
    ),
    figure("Groups", whole(groups.count), "IPv4 /16 or IPv6 /32"),
    figure("Median ping", ping(latency.median), latency.p90 === null ? "" : `nine in ten below ${ping(latency.p90)}`)
  )
}

/** A share with what it may be, on a rail from none to all. */
const shareRow = ({ count, groups, groupsReady, high, low, share, upgrade, version }) => {
  const svg = drawing("svg", { viewBox: "0 0 100 14", preserveAspectRatio: "none", role: "img" })
  const said = low === null ? "no interval" : `${percent(low)} to ${percent(high)} of all`
  svg.setAttribute("aria-label", `${upgrade}: ${percent(share)} of the nodes reached, ${said}`)
  svg.append(
    drawing("rect", { class: "rail", x: 0, y: 3, width: 100, height: 8 }),
    drawing("rect", { class: "got", x: 0, y: 3, width: share * 100, height: 8 }),
    ...(low === null
      ? []
      : [
          drawing("rect", { class: "bounds", x: low * 100, y: 0, width: Math.max(0.6, (high - low) * 100), height: 14 })
        ]),
    drawing("line", { class: "half", x1: 50, x2: 50, y1: 0, y2: 14 })
  )
  return element(
    "div",
    { class: "share" },
    element(
      "div",
      { class: "words" },
      element("strong", {}, `${upgrade} · ${percent(share)}`),
      element(
        "span",
        {},
        `${many(count, "node", "nodes")}, version ${version}; ${groupsReady} of ${groups} groups; ${said}`
      )
    ),
    svg
  )
}

const showHeights = ({ known, tip, unknown }) => {
  text(
    "tip",
    tip === null
      ? "No node said how high it is."
      : `${tip.height.toLocaleString("en")}, said by ${tip.groupsThere} of ${many(tip.groups, "group", "groups")}, within ${many(tip.tolerance, "block", "blocks")}.`
  )
  const parts =
    tip === null
      ? []
      : [
          ["there", tip.there],
          ["behind", tip.behind],
          ["ahead", tip.ahead]
        ]
  showBars($("heights"), known + unknown === 0 ? [] : [...parts, ["unknown", unknown]])
}

const showMovedHosts = (id, hosts, count) => {
  $(id).replaceChildren(
    ...hosts.map(({ host, userAgent, version }) => {
      const open = button(host, { class: "link" }, async () => {
        await lookUp(host, overview)
        $("search-title").scrollIntoView()
        $("search-title").focus({ preventScroll: true })
      })
      return element("li", {}, open, " ", element("span", { class: "what" }, `${userAgent ?? ""} ${version ?? ""}`))
    }),
    ...(count > hosts.length ? [element("li", { class: "what" }, `and ${count - hosts.length} more`)] : []),
    ...(hosts.length === 0 ? [element("li", { class: "what" }, "nobody")] : [])
  )
}

const endings = { Exhausted: "nothing new was left", OutOfTime: "out of time" }

const runColumns = [
  { title: "Run", of: ({ id }) => String(id) },
  { title: "Began", of: ({ startedAt }) => day(startedAt * 1000) },
  { title: "Took", of: ({ endedAt, startedAt }) => (endedAt === null ? "–" : age(endedAt - startedAt)) },
  {
    title: "Ended",
    of: ({ endedAt, ending }) =>
      endedAt === null ? "not, or by force" : (endings[ending] ?? inWords(ending ?? "done"))
  },
  { title: "Reached", of: ({ reachable }) => whole(reachable), kind: "number" },
  { title: "95 % from", of: ({ low }) => whole(low), kind: "number" },
  { title: "to", of: ({ high }) => whole(high), kind: "number" },
  { title: "Came", of: ({ arrived }) => whole(arrived), kind: "number" },
  { title: "Went", of: ({ departed }) => whole(departed), kind: "number" },
  { title: "Tip", of: ({ tip }) => whole(tip), kind: "number" }
]

const showRuns = ({ notes, runs }) => {
  showSome(
    "runs",
    runs
      .toReversed()
      .map((run) =>
        element(
          "tr",
          { class: "row" },
          ...runColumns.map(({ kind, of, title }) => element("td", { class: kind, "data-title": title }, of(run)))
        )
      )
  )
  $("notes").replaceChildren(...notes.map((note) => element("li", {}, `${note[0].toUpperCase()}${note.slice(1)}.`)))
}

const show = () => {
  const { agents, arrived, departed, groups, heights, networks, network, readiness, reasons, runs, runsKept } = overview
  const run = runs.at(-1)
  text("network", network)
  document.title = `${whole(run.estimate ?? run.reachable)} nodes · network-effect census`
  $("chooser").hidden = networks.length < 2
  $("networks").replaceChildren(...networks.map((name) => element("option", { value: name }, name)))
  $("networks").value = network
  const isOver = run.endedAt !== null
  $("state").className = `state ${isOver ? "good" : "warn"}`
  text(
    "state",
    `${many(runsKept, "run", "runs")}, the latest ${isOver ? "ended" : "began"} ${age(Date.now() / 1000 - (run.endedAt ?? run.startedAt))} ago`
  )
  showFigures(overview)
  showPlots(overview)
  showBars($("agents"), Object.entries(agents))
  $("ready").replaceChildren(...readiness.toReversed().slice(0, 4).map(shareRow))
  showHeights(heights)
  showMovedHosts("arrived", arrived, run.arrived ?? 0)
  showMovedHosts("departed", departed, run.departed ?? 0)
  const [largest] = groups.largest
  text(
    "groups-said",
    largest === undefined
      ? "Nobody was reached."
      : `${many(groups.count, "group", "groups")}; the largest has ${percent(largest.hosts / run.reachable)} of the nodes.`
  )
  const named = groups.largest.slice(0, groupsShown)
  const others = run.reachable - named.reduce((sum, { hosts }) => sum + hosts, 0)
  showBars(
    $("groups"),
    [...named.map(({ group, hosts }) => [group, hosts]), ["all others", others]].filter(([, count]) => count > 0)
  )
  showBars(
    $("reasons"),
    Object.entries(reasons).map(([reason, count]) => [inWords(reason), count])
  )
  showRuns(overview)
}

const read = async () => {
  try {
    const query = chosen === undefined ? "" : `?${new URLSearchParams({ network: chosen })}`
    overview = await json(`/census/overview${query}`)
    document.body.dataset.state = "here"
    show()
  } catch (error) {
    $("state").className = "state bad"
    document.body.dataset.state = "away"
    text("state", error instanceof Problem ? error.message : "away: the server does not answer, trying again")
    if (!(error instanceof Problem) && !(error instanceof TypeError)) reportError(error)
  }
}

const watch = async () => {
  for (;;) {
    if (!document.hidden) await read()
    await new Promise((resolve) => setTimeout(resolve, againMillis))
  }
}

startTheme()
startLogin("census", read)
startHost(() => overview)
for (const { kind, title } of runColumns) {
  $("run-columns").append(element("th", { scope: "col", class: kind }, title))
}
$("networks").onchange = () => {
  chosen = $("networks").value
  say($("search").querySelector(".said"), "")
  $("host").hidden = true
  void read()
}
addEventListener("resize", () => overview !== undefined && showPlots(overview))
void watch()
