/** The table of peers: sorted, filtered, opened; disconnecting and banning, and taking a ban back. */
import { json, sentence } from "./asking.js"
import { $, arrange, button, element, set, text } from "./dom.js"
import { age, day, ping, size } from "./format.js"
import { makeDetail } from "./peer-detail.js"

const nowSeconds = () => Date.now() / 1000

const columns = [
  { title: "Address", key: "addr", of: ({ addr }) => addr ?? "–" },
  { title: "Direction", key: "inbound", of: ({ inbound }) => (inbound ? "inbound" : "outbound") },
  { title: "Agent", key: "agent", of: ({ agent }) => agent },
  { title: "Version", key: "version", of: ({ version }) => String(version), value: ({ version }) => version },
  { title: "Ping", key: "ping", of: ({ now }) => ping(now[3]), value: ({ now }) => now[3], isNumber: true },
  { title: "Received", key: "received", of: ({ now }) => size(now[1]), value: ({ now }) => now[1], isNumber: true },
  { title: "Sent", key: "sent", of: ({ now }) => size(now[2]), value: ({ now }) => now[2], isNumber: true },
  {
    title: "Age",
    key: "age",
    of: ({ since }) => age(nowSeconds() - since),
    value: ({ since }) => -since,
    isNumber: true
  },
  { title: "State", key: "state", of: ({ now }) => now[4].toLowerCase() }
]

/** How long one can take a ban back where the peer was; after that it can be lifted in the list of bans. */
const undoMillis = 30_000

let latest
let sorted = { by: "age", up: false }
const rows = new Map()
/** Open peers, by id. */
const details = new Map()
/** What is said at a peer's place, by id; `isGone`: in place of its row. */
const notes = new Map()

const compare = (a, b) =>
  a === b
    ? 0
    : a === null
      ? 1
      : b === null
        ? -1
        : typeof a === "string"
          ? a.localeCompare(b, undefined, { numeric: true })
          : a < b
            ? -1
            : 1

const forget = (id) => {
  notes.delete(id)
  showPeers(latest)
}

/** Says something at a peer's place. */
const note = (peer, isGone, isBad, ...content) => {
  const dismiss = button("Dismiss", { "aria-label": "Dismiss this message" }, () => forget(peer.id))
  const said = element("span", { role: isBad ? "alert" : "status" }, ...content)
  const cell = element("td", { colspan: columns.length + 1, class: "whole" }, said, " ", dismiss)
  const row = element("tr", { class: "note" }, cell)
  notes.set(peer.id, { peer, isGone, row })
  showPeers(latest)
  if (isGone) {
    setTimeout(() => {
      if (notes.get(peer.id)?.row === row && !row.contains(document.activeElement)) forget(peer.id)
    }, undoMillis)
  }
  return row
}

/** Lifts a ban and connects to whoever was there, when it was we who had dialled. Answers what became of it. */
export const undoBan = async (group, peer) => {
  await json(`/bans/${encodeURIComponent(group)}`, { method: "DELETE" })
  if (peer === undefined || peer.inbound || peer.addr === null) return `The ban of ${group} is lifted.`
  try {
    await json("/connect", { method: "POST", body: { address: peer.addr, mode: "onetry" } })
    return `The ban of ${group} is lifted, and ${peer.addr} is connected again.`
  } catch (error) {
    return `The ban of ${group} is lifted. ${sentence(error)}`
  }
}

const ban = async (peer) => {
  try {
    const { group, until } = await json("/bans", {
      method: "POST",
      body: { address: peer.addr, reason: "banned on the status page" }
    })
    const undo = button("Undo", { class: "button asks", "aria-label": `Undo the ban of ${group}` }, async () => {
      undo.disabled = true
      try {
        const became = await undoBan(group, peer)
        note(peer, true, false, became).querySelector("button").focus()
      } catch (error) {
        note(peer, true, true, sentence(error))
      }
    })
    note(peer, true, false, `${group} is banned until ${day(until * 1000)}. `, undo)
    undo.focus()
  } catch (error) {
    note(peer, false, true, sentence(error))
  }
}

const disconnect = async (peer) => {
  try {
    await json(`/peers/${peer.id}`, { method: "DELETE" })
  } catch (error) {
    note(peer, false, true, sentence(error))
  }
}

const toggle = (id) => {
  const open = details.get(id)
  if (open === undefined) {
    const row = element("tr", { class: "detail" }, element("td", { colspan: columns.length + 1, class: "whole" }))
    const detail = makeDetail(id, row.firstChild)
    row.onkeydown = (event) => {
      if (event.key !== "Escape") return
      toggle(id)
      rows.get(id)?.querySelector("button").focus()
    }
    details.set(id, { row, detail })
    void detail.load()
  } else {
    details.delete(id)
    open.row.remove()
  }
  showPeers(latest)
}

/** Opens a peer and shows where it is. */
export const openPeer = (id) => {
  if (!details.has(id)) toggle(id)
  const row = rows.get(id)
  row?.scrollIntoView({ block: "center" })
  row?.querySelector("button").focus()
}

const rowOf = (peer) => {
  const row = element("tr", { class: "row", "data-peer": peer.addr ?? "" })
  for (const { isNumber, key, title } of columns) {
    row.append(
      element("td", { class: isNumber ? "number" : key === "agent" ? "agent" : undefined, "data-title": title })
    )
  }
  row.firstChild.append(
    button(peer.addr ?? "–", { class: "link", "aria-expanded": "false", title: "Open this peer" }, () =>
      toggle(peer.id)
    )
  )
  const off = button("Disconnect", { class: "button asks", "aria-label": `Disconnect ${peer.addr}` }, () =>
    disconnect(latest.peers.get(peer.id) ?? peer)
  )
  const away = button("Ban", { class: "button asks", "aria-label": `Ban ${peer.addr}` }, () =>
    ban(latest.peers.get(peer.id) ?? peer)
  )
  row.append(element("td", { class: "actions" }, off, " ", away))
  return row
}

const fill = (row, peer) => {
  columns.forEach(({ key, of }, column) => {
    const cell = row.children[column]
    const value = of(peer)
    if (column === 0) {
      set(cell.firstChild, { "aria-expanded": String(details.has(peer.id)) })
      return
    }
    text(cell, value)
    if (key === "inbound") cell.className = peer.inbound ? "in" : "out"
    if (key === "agent") set(cell, { title: value })
  })
}

export const showPeers = (state) => {
  if (state === undefined) return
  latest = state
  const wanted = $("filter").value.toLowerCase()
  const by = columns.find(({ key }) => key === sorted.by)
  const value = by.value ?? by.of
  const gone = [...notes.values()].filter(({ isGone, peer }) => isGone || !state.peers.has(peer.id))
  const shown = [
    ...[...state.peers.values()].filter(({ id }) => notes.get(id)?.isGone !== true),
    ...gone.map(({ peer }) => peer)
  ]
    .filter((peer) => notes.has(peer.id) || columns.some(({ of }) => of(peer).toLowerCase().includes(wanted)))
    .sort((a, b) => compare(value(a), value(b)) * (sorted.up ? 1 : -1) || a.id - b.id)
  for (const head of $("columns").children) {
    if (head.dataset.key === undefined) continue
    set(head, { "aria-sort": head.dataset.key === sorted.by ? (sorted.up ? "ascending" : "descending") : "none" })
  }
  $("sort").value = sorted.by
  const here = new Set(shown.map(({ id }) => id))
  for (const known of [rows, details]) {
    for (const id of known.keys()) if (!here.has(id) || !state.peers.has(id)) known.delete(id)
  }
  arrange(
    $("peers"),
    shown.flatMap((peer) => {
      const said = notes.get(peer.id)
      if (said !== undefined && (said.isGone || !state.peers.has(peer.id))) return [said.row]
      const row = rows.get(peer.id) ?? rowOf(peer)
      rows.set(peer.id, row)
      fill(row, peer)
      return [
        row,
        ...(said === undefined ? [] : [said.row]),
        ...(details.has(peer.id) ? [details.get(peer.id).row] : [])
      ]
    })
  )
  for (const [id, { detail }] of details) if (state.moved.has(id)) void detail.refresh()
  $("no-peers").hidden = shown.length > 0
  text("no-peers", state.peers.size === 0 ? "No peer is connected." : "No peer fits the filter.")
}

export const filterPeers = (wanted) => {
  $("filter").value = wanted
  showPeers(latest)
  $("filter").focus()
}

const sortBy = (key, isAgain) => {
  sorted = { by: key, up: isAgain && sorted.by === key ? !sorted.up : true }
  showPeers(latest)
}

export const startPeers = () => {
  for (const { isNumber, key, title } of columns) {
    const head = element("th", { scope: "col", "data-key": key, class: isNumber ? "number" : undefined })
    const sort = element("button", { type: "button" }, title)
    sort.onclick = () => sortBy(key, true)
    head.append(sort)
    $("columns").append(head)
    $("sort").append(element("option", { value: key }, title))
  }
  $("columns").append(element("td", {}))
  $("sort").onchange = () => sortBy($("sort").value, false)
  $("filter").oninput = () => showPeers(latest)
}
