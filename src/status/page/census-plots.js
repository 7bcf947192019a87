/** The plots of a census: nodes with their interval, versions, who came and went. */
import { $, drawing, element } from "./dom.js"
import { many } from "./format.js"
import { band, path } from "./plot-parts.js"
import { plot } from "./plot.js"

const whole = (value) => Math.round(value).toLocaleString("en")
const interval = ({ estimate, high, low }) =>
  low === null || high === null
    ? "no interval"
    : `about ${whole(estimate)} reachable, 95 % from ${whole(low)} to ${whole(high)}`

const showNodes = (runs) => {
  const most = Math.max(...runs.map(({ high, reachable }) => Math.max(reachable, high ?? 0)))
  plot($("nodes"), $("nodes-said"), {
    runs,
    most,
    label: `Nodes over ${many(runs.length, "run", "runs")}; the latest reached ${runs.at(-1).reachable}, ${interval(runs.at(-1))}`,
    words: (run) => `reached ${whole(run.reachable)}, ${interval(run)}; ${whole(run.claimed)} heard of.`,
    marks: (x, y) => {
      const at = (value) => (value === null ? null : y(value))
      return [
        drawing("path", {
          class: "band",
          d: band(runs.map(({ high, low, startedAt }) => [x(startedAt), at(low), at(high)]))
        }),
        drawing("path", {
          class: "line c3",
          d: path(runs.map(({ estimate, startedAt }) => [x(startedAt), at(estimate)]))
        }),
        drawing("path", {
          class: "line c1",
          d: path(runs.map(({ reachable, startedAt }) => [x(startedAt), y(reachable)]))
        }),
        ...runs.map(({ reachable, startedAt }) =>
          drawing("circle", { class: "point c1", cx: x(startedAt), cy: y(reachable), r: runs.length > 40 ? 1.8 : 2.6 })
        )
      ]
    }
  })
}

const colours = ["c1", "c3", "c5", "c4", "c2"]

/** Versions in the order of their numbers; what has no colour of its own is one. */
const layersOf = (runs) => {
  const totals = new Map()
  for (const { versions } of runs) {
    for (const [version, count] of Object.entries(versions)) totals.set(version, (totals.get(version) ?? 0) + count)
  }
  const most = [...totals].sort(([, a], [, b]) => b - a).map(([version]) => version)
  const own = most.slice(0, colours.length - 1).sort((a, b) => Number(b) - Number(a))
  const rest = most.slice(colours.length - 1)
  return [
    ...own.map((version, n) => ({ name: version, colour: colours[n], of: ({ versions }) => versions[version] ?? 0 })),
    ...(rest.length === 0
      ? []
      : [
          {
            name: `${rest.length} others`,
            colour: "c2",
            of: ({ versions }) => rest.reduce((sum, version) => sum + (versions[version] ?? 0), 0)
          }
        ])
  ]
}

const showVersions = (runs) => {
  const layers = layersOf(runs)
  $("versions-key").replaceChildren(...layers.map(({ colour, name }) => element("span", { class: colour }, name)))
  const said = (run) => layers.map((layer) => `${whole(layer.of(run))} of ${layer.name}`).join(", ")
  plot($("versions"), $("versions-said"), {
    runs,
    most: Math.max(...runs.map(({ reachable }) => reachable)),
    label: `Versions over ${many(runs.length, "run", "runs")}; in the latest ${said(runs.at(-1))}`,
    words: (run) => `${said(run)}.`,
    marks: (x, y) => {
      let low = runs.map(() => 0)
      return layers.map((layer) => {
        const high = low.map((value, n) => value + layer.of(runs[n]))
        const shape = drawing("path", {
          class: layer.colour,
          d: band(runs.map(({ startedAt }, n) => [x(startedAt), y(low[n]), y(high[n])]))
        })
        low = high
        return shape
      })
    }
  })
}

const showMoved = (runs) => {
  const most = Math.max(1, ...runs.map(({ arrived }) => arrived ?? 0))
  const least = -Math.max(1, ...runs.map(({ departed }) => departed ?? 0))
  const said = ({ arrived, departed }) =>
    arrived === null ? "the first run" : `${whole(arrived)} came, ${whole(departed)} went`
  plot($("moved"), $("moved-said"), {
    runs,
    most,
    least,
    label: `Arrivals and departures over ${many(runs.length, "run", "runs")}; in the latest ${said(runs.at(-1))}`,
    words: (run) => `${said(run)}.`,
    marks: (x, y) => {
      const room = runs.length < 2 ? 14 : (x(runs.at(-1).startedAt) - x(runs[0].startedAt)) / runs.length
      const width = Math.max(2, Math.min(14, room * 0.7))
      const bar = (colour, startedAt, from, to) =>
        drawing("rect", { class: colour, x: x(startedAt) - width / 2, y: y(to), width, height: y(from) - y(to), rx: 1 })
      return runs.flatMap(({ arrived, departed, startedAt }) => [
        bar("c1", startedAt, 0, arrived ?? 0),
        bar("c4", startedAt, -(departed ?? 0), 0)
      ])
    }
  })
}

export const showPlots = ({ runs }) => {
  showNodes(runs)
  showVersions(runs)
  showMoved(runs)
}
