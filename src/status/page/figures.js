/** The figures of now, each with a line of the last five minutes or the last hour. */
import { $, drawing, element, remember, remembered, set, text } from "./dom.js"
import { minute, ping, size } from "./format.js"
import { linePath } from "./spark.js"

/** Columns of a sample, as `/live` tells them. */
const columns = { at: 0, received: 1, sent: 2, inbound: 3, outbound: 4, latency: 5 }

const whole = (value) => String(Math.round(value))
const rate = (value) => `${size(value)}/s`
const known = (sample) => sample[6] + sample[7] + sample[8] + sample[9]

const figures = [
  {
    id: "outbound",
    name: "Outbound peers",
    kind: "out",
    of: (sample) => sample[columns.outbound],
    say: whole,
    note: ({ health }) => `of ${health.outboundLimit}`
  },
  {
    id: "inbound",
    name: "Inbound peers",
    kind: "in",
    of: (sample) => sample[columns.inbound],
    say: whole,
    note: ({ health }) => `of ${health.inboundLimit}`
  },
  { id: "known", name: "Known addresses", of: known, say: whole, note: ({ book }) => `of ${book.limit}` },
  {
    id: "received",
    name: "Received",
    of: (sample) => sample[columns.received],
    say: rate,
    note: ({ totals }) => size(totals[0])
  },
  { id: "sent", name: "Sent", of: (sample) => sample[columns.sent], say: rate, note: ({ totals }) => size(totals[1]) },
  { id: "latency", name: "Median ping", of: (sample) => sample[columns.latency], say: ping, note: () => "" }
]

/** Samples that fill the width at least: what is young is a short line, and not a long guess. */
const leastPlaces = { seconds: 60, minutes: 10 }
let span = "seconds"
let latest

const draw = ({ kind, name, of, say, note, id }, state) => {
  const box = $(`figure-${id}`)
  const now = state.seconds.at(-1)
  const value = now === undefined ? null : of(now)
  const shown = value === null ? "–" : say(value)
  const told = note(state)
  if (box.dataset.shown !== `${shown} ${told}`) {
    box.dataset.shown = `${shown} ${told}`
    box.querySelector(".value").replaceChildren(shown, " ", element("small", {}, told))
    if (kind !== undefined) box.querySelector(".value").classList.add(kind)
  }
  const samples = state[span]
  const values = samples.map(of)
  const most = Math.max(0, ...values.filter((value) => value !== null))
  const line = linePath(values, {
    most: most * 1.08 || 1,
    height: 30,
    places: Math.max(leastPlaces[span], values.length)
  })
  const [area, path] = box.querySelectorAll("path")
  set(path, { d: line })
  // Closed down to the floor where it is one piece.
  const pieces = line.split("M").length - 1
  const first = /^M([\d.]+)/.exec(line)?.[1]
  const last = /([\d.]+) [\d.]+$/.exec(line)?.[1]
  set(area, { d: pieces === 1 && values.length > 1 ? `${line}L${last} 30L${first} 30Z` : "" })
  const from = samples[0]?.[columns.at]
  text(box.querySelector(".from"), from === undefined ? "" : `since ${minute(from)}`)
  text(box.querySelector(".most"), `max ${say(most)}`)
  set(box.querySelector("svg"), {
    "aria-label": `${name}: now ${shown}, at most ${say(most)} in the last ${span === "seconds" ? "five minutes" : "hour"}`
  })
}

export const showFigures = (state) => {
  latest = state
  for (const figure of figures) draw(figure, state)
}

const choose = (wanted) => {
  span = wanted
  for (const choice of document.querySelectorAll("[data-span]")) {
    choice.setAttribute("aria-pressed", String(choice.dataset.span === span))
  }
  if (latest !== undefined) showFigures(latest)
}

export const startFigures = () => {
  for (const { id, kind, name } of figures) {
    const svg = drawing("svg", { class: "spark", role: "img", viewBox: "0 0 100 30", preserveAspectRatio: "none" })
    set(svg, { "aria-label": name })
    svg.append(drawing("path", { class: "area" }), drawing("path"))
    if (kind !== undefined) svg.classList.add(kind)
    const range = element(
      "div",
      { class: "range" },
      element("span", { class: "from" }),
      element("span", { class: "most" })
    )
    $("figures").append(
      element(
        "div",
        { class: "figure", id: `figure-${id}` },
        element("div", { class: "name" }, name),
        element("div", { class: "value" }, "–"),
        svg,
        range
      )
    )
  }
  for (const choice of document.querySelectorAll("[data-span]")) {
    choice.onclick = () => {
      remember("span", choice.dataset.span)
      choose(choice.dataset.span)
    }
  }
  choose(remembered("span") === "minutes" ? "minutes" : "seconds")
}
