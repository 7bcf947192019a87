/** The picture of connections: a node in the middle, its peers around it, the others of the process on the rim. */
import { $, drawing, element, set, text } from "./dom.js"
import { counted, many, ping } from "./format.js"
import { place } from "./graph-layout.js"

/** Peers that have room for their names; fewer where others are around them. */
const labelled = 20
const labelledAmongOthers = 16
const withArrows = 45

let svg
let edges
let hovered
let places
/** The number of the node in the middle; `undefined` is this one. */
let chosen
let latest
let onPeer = () => {}
const shapes = new Map()
let drawn = 0

/** A shape that stays the same element for as long as it is in the picture. */
const shape = (key, make, parent) => {
  let made = shapes.get(key)
  if (made === undefined) {
    made = make()
    made.classList.add("new")
    shapes.set(key, made)
    parent.append(made)
  }
  made.drawn = drawn
  return made
}

const host = (address) => (address ?? "").replace(/:\d+$/, "")

/** Whom the picture is of: a middle, its peers and all others, by keys that stay. */
const viewOf = (state) => {
  const nodes = [...state.nodes.values()]
  if (nodes.length === 0) {
    return {
      middle: { key: "self", label: state.health.listen ?? "this node", tip: state.health.userAgent },
      peers: [...state.peers.values()].map((peer) => ({
        key: `c${peer.id}`,
        id: peer.id,
        kind: peer.inbound ? "in" : "out",
        ping: peer.now[3],
        label: host(peer.addr),
        tip: `${peer.addr ?? "no address"}\n${peer.inbound ? "dialled us" : "we dialled"}, ${ping(peer.now[3])}\n${peer.agent} ${peer.version}`
      })),
      others: []
    }
  }
  const middle = state.nodes.get(chosen) ?? nodes[0]
  const isSelf = middle === nodes[0]
  // A peer that dialled us comes from a port of its own, so that its node is known by its host where that has one.
  const pings = new Map(
    [...state.peers.values()].flatMap(({ addr, now }) => [
      [host(addr), now[3]],
      [addr, now[3]]
    ])
  )
  const hosts = counted(nodes.map(([, listen]) => host(listen)))
  const pingOf = (listen) => pings.get(listen) ?? (hosts.get(host(listen)) === 1 ? pings.get(host(listen)) : undefined)
  const kinds = new Map()
  for (const [from, to] of state.links.values()) {
    if (from === middle[0]) kinds.set(to, "out")
    else if (to === middle[0] && !kinds.has(from)) kinds.set(from, "in")
  }
  const told = ([number, listen, agent, version], kind) => ({
    key: `n${number}`,
    number,
    kind,
    ping: isSelf ? (pingOf(listen) ?? null) : null,
    label: host(listen),
    tip: `${listen}\n${agent} ${version}`
  })
  return {
    middle: { key: `n${middle[0]}`, number: middle[0], label: middle[1], tip: `${middle[2]} ${middle[3]}` },
    peers: nodes.filter(([number]) => kinds.has(number)).map((node) => told(node, kinds.get(node[0]))),
    others: nodes.filter((node) => node !== middle && !kinds.has(node[0])).map((node) => told(node, "far"))
  }
}

const line = (from, to) => {
  const [dx, dy] = [to.x - from.x, to.y - from.y]
  const length = Math.hypot(dx, dy) || 1
  const end = { x: to.x - (dx / length) * (to.r + 2), y: to.y - (dy / length) * (to.r + 2) }
  return `M${from.x.toFixed(1)} ${from.y.toFixed(1)}L${end.x.toFixed(1)} ${end.y.toFixed(1)}`
}

/** With the point of an arrow half way, where it does not meet the others'. */
const arrow = (from, to) => {
  const [dx, dy] = [to.x - from.x, to.y - from.y]
  const length = Math.hypot(dx, dy) || 1
  const [ux, uy] = [dx / length, dy / length]
  const [x, y] = [from.x + dx * 0.55, from.y + dy * 0.55]
  const side = (turn) => `${(x - ux * 6 + turn * uy * 3.5).toFixed(1)} ${(y - uy * 6 - turn * ux * 3.5).toFixed(1)}`
  return `${line(from, to)}M${side(1)}L${x.toFixed(1)} ${y.toFixed(1)}L${side(-1)}`
}

const showTip = (event, words) => {
  const box = $("graph").getBoundingClientRect()
  $("tip").textContent = words
  $("tip").hidden = false
  $("tip").style.left = `${Math.max(0, Math.min(event.clientX - box.left + 12, box.width - 200))}px`
  $("tip").style.top = `${event.clientY - box.top + 12}px`
}

/** The connections of one that is no longer only a dot: those among the others are seen only then. */
const showLinksOf = (entry, at) => {
  hovered.replaceChildren()
  if (entry.number === undefined) return
  for (const [from, to] of latest.links.values()) {
    if (from !== entry.number && to !== entry.number) continue
    const [a, b] = [at.get(`n${from}`), at.get(`n${to}`)]
    if (a !== undefined && b !== undefined) hovered.append(drawing("path", { class: "edge shown", d: line(a, b) }))
  }
}

const dot = (entry, at, where, hasLabel) => {
  const group = shape(`p${entry.key}`, () => drawing("g", { class: "place" }), places)
  if (group.childElementCount === 0) group.append(drawing("circle", { class: "dot" }), drawing("text"))
  const [circle, label] = group.children
  set(circle, { cx: at.x.toFixed(1), cy: at.y.toFixed(1), r: at.r, class: `dot ${entry.kind}` })
  set(label, {
    x: at.x.toFixed(1),
    y: (at.isAbove ? at.y - at.r - 5 : at.y + at.r + 13).toFixed(1),
    "text-anchor": "middle",
    class: entry.kind === "self" ? "self-label" : ""
  })
  text(label, hasLabel ? entry.label : "")
  group.onmouseenter = (event) => {
    showTip(event, entry.kind === "self" ? `${entry.label}\n${entry.tip}` : entry.tip)
    showLinksOf(entry, where)
  }
  group.onmouseleave = () => {
    $("tip").hidden = true
    hovered.replaceChildren()
  }
  group.onclick = () => {
    if (entry.number !== undefined) lookAt(entry.number)
    else if (entry.id !== undefined) onPeer(entry.id)
  }
}

const showChooser = (state, middle) => {
  $("chooser").hidden = state.nodes.size === 0
  const names = [...state.nodes.values()].map(([number, listen]) => `${number} ${listen}`).join()
  if ($("node").dataset.names !== names) {
    $("node").dataset.names = names
    $("node").replaceChildren(
      ...[...state.nodes.values()].map(([number, listen], n) =>
        element("option", { value: number }, n === 0 ? `${listen} (this node)` : listen)
      )
    )
  }
  if (middle.number !== undefined) $("node").value = String(middle.number)
}

export const lookAt = (number) => {
  chosen = number
  hovered.replaceChildren()
  $("tip").hidden = true
  if (latest !== undefined) showGraph(latest)
}

export const showGraph = (state) => {
  latest = state
  drawn++
  const { middle, others, peers } = viewOf(state)
  const { clientHeight: height, clientWidth: width } = svg
  if (width === 0) return
  const where = place({ peers, others: others.map(({ key }) => key), width, height })
  const center = { x: width / 2, y: height / 2, r: 9, isAbove: false }
  where.set(middle.key, center)
  const draw = peers.length > withArrows ? line : arrow
  for (const { key, kind } of peers) {
    const edge = shape(`e${key}`, () => drawing("path"), edges)
    const [from, to] = kind === "in" ? [where.get(key), center] : [center, where.get(key)]
    set(edge, { d: draw(from, to), class: `edge ${kind}` })
  }
  for (const entry of others) dot(entry, where.get(entry.key), where, false)
  for (const entry of peers)
    dot(entry, where.get(entry.key), where, peers.length <= (others.length === 0 ? labelled : labelledAmongOthers))
  dot({ ...middle, kind: "self" }, center, where, true)
  for (const [key, made] of shapes) {
    if (made.drawn === drawn) continue
    made.remove()
    shapes.delete(key)
  }
  const outbound = peers.filter(({ kind }) => kind === "out").length
  const words = `${middle.label} has ${many(outbound, "peer", "peers")} it dialled and ${many(peers.length - outbound, "that dialled it", "that dialled it")}${others.length === 0 ? "" : `; ${many(others.length, "other node is", "other nodes are")} on the rim`}.`
  text("caption", words)
  set(svg, { "aria-label": words })
  showChooser(state, middle)
}

export const startGraph = (openPeer) => {
  onPeer = openPeer
  svg = $("graph").querySelector("svg")
  ;[hovered, edges, places] = ["hovered", "edges", "places"].map((name) => {
    const group = drawing("g", { class: name })
    svg.append(group)
    return group
  })
  $("node").onchange = () => lookAt(Number($("node").value))
  addEventListener("resize", () => latest !== undefined && showGraph(latest))
}
