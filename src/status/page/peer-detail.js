/** One peer, opened: what it is, its pings, its messages by type, and what happened to it. */
import { json, sentence } from "./asking.js"
import { drawing, element, set } from "./dom.js"
import { isCounted, words, add } from "./feed-lines.js"
import { age, clock, day, minute, ping, services } from "./format.js"
import { linePath } from "./spark.js"

/** It is asked again when the stream says that it moved, at most this often. */
const restMillis = 2000

/** Nodes round their time to five minutes, so that much says nothing. */
const roundedTo = 300
const clockOf = (offset) =>
  Math.abs(offset) <= roundedTo
    ? "as ours, within 5 min"
    : `${age(Math.abs(offset))} ${offset > 0 ? "ahead" : "behind"}`

const facts = (peer) => [
  ["Services", services(peer.services)],
  ["Height at start", peer.startingheight === 0 ? "not told" : peer.startingheight.toLocaleString("en")],
  ["Version", `${peer.version}, spoken ${peer.negotiated_version}`],
  ["Agent", peer.subver],
  ["Connected since", day(peer.conntime * 1000)],
  ["Its clock", clockOf(peer.timeoffset)],
  ["It sees us as", peer.addrlocal],
  ["Transactions", peer.relaytxes ? "wants to hear of them" : "does not want them"],
  ["Last heard", peer.lastrecv === null ? "–" : clock(peer.lastrecv * 1000)],
  ...(peer.pingwait === null ? [] : [["Ping under way", `for ${ping(peer.pingwait * 1000)}`]]),
  // Of a node that knows more than this page.
  ...(typeof peer.group === "string" ? [["Group", peer.group]] : [])
]

const list = (pairs) => {
  const made = element("dl")
  for (const [name, value] of pairs) made.append(element("dt", {}, name), element("dd", {}, value))
  return made
}

const pingsOf = (points) => {
  if (points.length === 0) return [element("p", { class: "empty" }, "No ping was answered yet.")]
  const most = Math.max(...points.map(([, millis]) => millis))
  const path = linePath(
    points.map(([, millis]) => millis),
    { most: most * 1.08 || 1, height: 56 }
  )
  const [first, last] = [points[0], points.at(-1)]
  const svg = drawing("svg", { class: "spark", role: "img", viewBox: "0 0 100 56", preserveAspectRatio: "none" })
  set(svg, { "aria-label": `${points.length} pings, at most ${ping(most)}, the latest ${ping(last[1])}` })
  // One ping is a line too.
  svg.append(
    drawing("path", { d: points.length === 1 ? path.replace(/^M[\d.]+/, "M0") + path.replace("M", "L") : path })
  )
  const range = element(
    "div",
    { class: "range" },
    element("span", {}, `${points.length} since ${minute(first[0])}`),
    element("span", {}, `now ${ping(last[1])}, max ${ping(most)}`)
  )
  return [svg, range]
}

const messagesOf = (peer) => {
  const names = [...new Set([...Object.keys(peer.messagesrecv), ...Object.keys(peer.messagessent)])].sort(
    (a, b) =>
      (peer.messagesrecv[b] ?? 0) +
        (peer.messagessent[b] ?? 0) -
        (peer.messagesrecv[a] ?? 0) -
        (peer.messagessent[a] ?? 0) || (a < b ? -1 : 1)
  )
  const cell = (value) => element("td", { class: "number" }, value === undefined ? "–" : value.toLocaleString("en"))
  const head = element("tr")
  head.append(
    element("th", { scope: "col" }, "Message"),
    element("th", { scope: "col", class: "number" }, "Received"),
    element("th", { scope: "col", class: "number" }, "Sent")
  )
  const body = element("tbody")
  for (const name of names) {
    body.append(
      element("tr", {}, element("td", {}, name), cell(peer.messagesrecv[name]), cell(peer.messagessent[name]))
    )
  }
  return element("table", { class: "messages" }, element("thead", {}, head), body)
}

const eventsOf = (events) => {
  let lines = []
  for (const event of events) lines = add(lines, event)
  if (lines.length === 0) return element("p", { class: "empty" }, "Nothing is remembered.")
  const feed = element("ol", { class: "feed", tabindex: "0", "aria-label": "Events of this peer, newest first" })
  for (const { count, event } of lines) {
    const times = count > 1 && !isCounted(event) ? [element("span", { class: "times" }, `× ${count}`)] : []
    feed.append(
      element(
        "li",
        {},
        element("time", {}, clock(event.at)),
        element("span", { class: "what" }, words(event, count)),
        ...times
      )
    )
  }
  return feed
}

/** Shows a peer in an element, and asks for it again when told that it moved. */
export const makeDetail = (id, where) => {
  let askedAt = 0
  let isAsking = false
  where.append(element("p", { class: "empty" }, "…"))

  const show = ({ events, peer, pings }) => {
    const part = (title, ...content) => element("div", {}, element("h3", {}, title), ...content)
    const scrolled = where.querySelector(".feed")?.scrollTop ?? 0
    const hadFocus = where.querySelector(".feed") === document.activeElement
    where.replaceChildren(
      element(
        "div",
        { class: "inside" },
        part("Peer", list(facts(peer))),
        part("Ping", ...pingsOf(pings)),
        part("Messages", messagesOf(peer)),
        part("Events", eventsOf(events))
      )
    )
    const feed = where.querySelector(".feed")
    if (feed === null) return
    feed.scrollTop = scrolled
    if (hadFocus) feed.focus()
  }

  const load = async () => {
    if (isAsking) return
    isAsking = true
    askedAt = performance.now()
    try {
      show(await json(`/peers/${id}`))
    } catch (error) {
      if (where.childElementCount < 2)
        where.replaceChildren(element("p", { class: "said bad", role: "alert" }, sentence(error)))
    } finally {
      isAsking = false
    }
  }
  return {
    load,
    refresh: () => (performance.now() - askedAt < restMillis ? Promise.resolve() : load())
  }
}
