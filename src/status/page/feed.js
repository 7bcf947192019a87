/** The feed: what happened, the newest first. */
import { $, arrange, button, element, remember, remembered, text } from "./dom.js"
import { add, isCounted, kinds, words } from "./feed-lines.js"
import { clock } from "./format.js"

const titles = {
  peers: "Peers",
  dials: "Dials",
  addresses: "Addresses",
  adverts: "Adverts",
  bans: "Bans",
  node: "Node"
}
/** Most events that wait while the feed is held; older ones are counted. */
const heldMost = 3000

let lines = []
let isHeld = false
let held = []
let lost = 0
/** Number of the next event, and of which process. */
let next = { process: undefined, number: 0 }
const shownKinds = new Set()

const itemOf = (line) => {
  const { count, event } = line
  const time = element("time", { datetime: new Date(event.at).toISOString() }, clock(event.at))
  const what = element("span", { class: "what" }, words(event, count))
  const times = count > 1 && !isCounted(event) ? [element("span", { class: "times" }, `× ${count}`)] : []
  return element("li", { "data-kind": line.kind }, time, what, ...times)
}

/** Elements of lines: a line that did not change keeps its own. */
const items = new WeakMap()

const show = () => {
  const shown = lines.filter(({ kind }) => shownKinds.has(kind))
  arrange(
    $("feed"),
    shown.map((line) => {
      const item = items.get(line) ?? itemOf(line)
      items.set(line, item)
      return item
    })
  )
  $("no-events").hidden = shown.length > 0
  text("pause", isHeld ? `Go on${held.length + lost === 0 ? "" : ` (${held.length + lost} new)`}` : "Pause")
}

const take = (events) => {
  for (const event of events) lines = add(lines, event)
}

/** Takes numbered events; those it had are left out. */
export const addEvents = (process, events) => {
  if (next.process !== process) next = { process, number: 0 }
  const fresh = events.filter(([number]) => number >= next.number)
  if (fresh.length === 0) return
  next.number = fresh.at(-1)[0] + 1
  const told = fresh.map(([, event]) => event)
  if (isHeld) {
    held.push(...told)
    lost += Math.max(0, held.length - heldMost)
    held = held.slice(-heldMost)
  } else take(told)
  show()
}

const goOn = () => {
  if (lost > 0) take([{ _tag: "EventsLost", at: held[0].at, count: lost }])
  take(held)
  held = []
  lost = 0
}

export const startFeed = () => {
  const kept = remembered("kinds")?.split(",")
  for (const kind of Object.keys(kinds)) {
    if (kept === undefined ? kind !== "adverts" : kept.includes(kind)) shownKinds.add(kind)
    const chip = button(titles[kind], { "aria-pressed": shownKinds.has(kind), "data-kind": kind }, () => {
      if (!shownKinds.delete(kind)) shownKinds.add(kind)
      chip.setAttribute("aria-pressed", String(shownKinds.has(kind)))
      remember("kinds", [...shownKinds].join())
      show()
    })
    $("kinds").append(chip)
  }
  $("pause").onclick = () => {
    isHeld = !isHeld
    $("pause").setAttribute("aria-pressed", String(isHeld))
    if (!isHeld) goOn()
    show()
  }
}
