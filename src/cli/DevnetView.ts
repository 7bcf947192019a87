/**
 * What is known of a local network, from its nodes' events, and how it is shown: a table, a line, a summary.
 *
 * Its state is changed by `record…` alone; everything else reads it. Time is an argument.
 *
 * @module
 */
import type { NetworkEvent } from "../network/NetworkEvents.ts"
import * as Reasons from "../network/Reasons.ts"
import { harmless } from "./Text.ts"

interface NodeView {
  /** Empty until it has started for the first time. */
  address: string
  readonly peers: Map<number, "inbound" | "outbound">
  known: number
  openSlots: number
  lastEvent: string
  /** Why it ended, if it did. */
  ended: string | undefined
}

export interface DevnetView {
  readonly startedMillis: number
  /** Of the page that shows the network, if there is one. */
  statusUrl: string | undefined
  /** Whether any node has started. */
  isUp: boolean
  readonly nodes: ReadonlyArray<NodeView>
  handshakesDone: number
  readonly handshakesFailed: Map<string, number>
  /** When every node was first connected to all others. */
  completeMillis: number | undefined
}

/** What `--json` prints last. */
export interface Summary {
  readonly nodes: number
  /** Connected peers of each node, in the order of the nodes. */
  readonly readyPeers: ReadonlyArray<number>
  readonly knownAddresses: ReadonlyArray<number>
  /** Slots open on each node: as many as it has peers. */
  readonly openSlots: ReadonlyArray<number>
  /** Nodes that have ended by themselves. */
  readonly ended: Readonly<Record<string, number>>
  readonly handshakes: {
    /** Counted at both ends: two for each connection. */
    readonly done: number
    /** Failed handshakes and dials by reason. */
    readonly failed: Readonly<Record<string, number>>
  }
  /** Peers each node is meant to have: all the others. */
  readonly target: number
  /** From the start until every node had its target; `null` when that did not happen. */
  readonly secondsToTarget: number | null
  readonly seconds: number
}

/** A view of nodes that have not started yet, in the order of their numbers from 1. */
export const make = (options: { readonly startedMillis: number; readonly nodes: number }): DevnetView => ({
  startedMillis: options.startedMillis,
  statusUrl: undefined,
  isUp: false,
  nodes: Array.from({ length: options.nodes }, () => ({
    address: "",
    peers: new Map(),
    known: 0,
    openSlots: 0,
    lastEvent: "not started",
    ended: undefined
  })),
  handshakesDone: 0,
  handshakesFailed: new Map(),
  completeMillis: undefined
})

/** Takes in an event of node `index`, from 1. */
export const record = (view: DevnetView, index: number, event: NetworkEvent): void => {
  const node = nodeAt(view, index)
  if (event._tag === "Listening") node.ended = undefined
  node.lastEvent = describe(event)
  switch (event._tag) {
    case "PeerConnected":
      node.peers.set(event.connection, event.direction)
      view.handshakesDone++
      if (view.completeMillis === undefined && view.nodes.every(({ peers }) => peers.size >= view.nodes.length - 1)) {
        view.completeMillis = event.at
      }
      break
    case "PeerDisconnected":
      node.peers.delete(event.connection)
      break
    case "HandshakeFailed":
    case "DialFailed":
      view.handshakesFailed.set(event.reason, (view.handshakesFailed.get(event.reason) ?? 0) + 1)
      break
  }
}

/** Takes in that node `index` has started, and where it listens. */
export const recordAddress = (view: DevnetView, index: number, address: string): void => {
  nodeAt(view, index).address = address
  view.isUp = true
}

/** Takes in where the status page is. */
export const recordStatus = (view: DevnetView, url: string): void => {
  view.statusUrl = url
}

/** Takes in how many addresses node `index` knows. */
export const recordKnown = (view: DevnetView, index: number, known: number): void => {
  nodeAt(view, index).known = known
}

/** Takes in how many slots node `index` has open: one for each peer, when all is well. */
export const recordSlots = (view: DevnetView, index: number, openSlots: number): void => {
  nodeAt(view, index).openSlots = openSlots
}

/** Takes in that node `index` has ended, and why. */
export const recordEnd = (view: DevnetView, index: number, reason: string): void => {
  const node = nodeAt(view, index)
  node.ended = reason
  node.openSlots = 0
  node.peers.clear()
}

/** The figures so far. */
export const summary = (view: DevnetView, nowMillis: number): Summary => ({
  nodes: view.nodes.length,
  readyPeers: view.nodes.map(({ peers }) => peers.size),
  knownAddresses: view.nodes.map(({ known }) => known),
  openSlots: view.nodes.map(({ openSlots }) => openSlots),
  ended: countBy(view.nodes.flatMap(({ ended }) => (ended === undefined ? [] : [ended]))),
  handshakes: {
    done: view.handshakesDone,
    failed: Object.fromEntries([...view.handshakesFailed].sort(([a], [b]) => (a < b ? -1 : 1)))
  },
  target: view.nodes.length - 1,
  secondsToTarget: view.completeMillis === undefined ? null : seconds(view.completeMillis - view.startedMillis),
  seconds: seconds(nowMillis - view.startedMillis)
})

/** A summary in words. */
export const summaryText = (summary: Summary): string => {
  const failed = Object.entries(summary.handshakes.failed)
    .map(([reason, count]) => `${count} because ${Reasons.ofHandshake(reason)}`)
    .join(", ")
  const fewest = Math.min(...summary.readyPeers)
  return [
    `${summary.nodes} nodes ran for ${summary.seconds} s.`,
    summary.secondsToTarget === null
      ? `Not every node found all ${summary.target} others: the least connected one has ${fewest} peers.`
      : `Every node had found all ${summary.target} others after ${summary.secondsToTarget} s.`,
    `${summary.handshakes.done} handshakes done (counted at both ends), failed: ${failed === "" ? "none" : failed}.`
  ].join("\n")
}

/** One event on one line, with the time since the start. */
export const eventLine = (view: DevnetView, index: number, event: NetworkEvent): string => {
  const since = ((event.at - view.startedMillis) / 1000).toFixed(3).padStart(8)
  return `${since} s  node ${String(index).padEnd(3)}  ${describe(event)}`
}

/** The table of a terminal `rows` high: as many nodes as fit, then what is left out. */
export const table = (view: DevnetView, nowMillis: number, rows: number): ReadonlyArray<string> => {
  const current = summary(view, nowMillis)
  const fitting = Math.max(1, rows - 6)
  const lines = [
    `network-effect devnet  ${view.nodes.length} nodes, ${current.seconds.toFixed(1)} s, ` +
      (current.secondsToTarget === null
        ? "finding each other"
        : `every node had found all others after ${current.secondsToTarget} s`),
    "",
    "node  address             in  out  known  last event"
  ]
  for (const [i, node] of view.nodes.slice(0, fitting).entries()) {
    const inbound = [...node.peers.values()].filter((direction) => direction === "inbound").length
    lines.push(
      [
        String(i + 1).padStart(4),
        node.address.padEnd(18),
        String(inbound).padStart(3),
        String(node.peers.size - inbound).padStart(4),
        String(node.known).padStart(6),
        node.ended === undefined ? node.lastEvent : `ended: ${node.ended}`
      ].join("  ")
    )
  }
  if (view.nodes.length > fitting) lines.push(`      and ${view.nodes.length - fitting} more`)
  lines.push("", view.statusUrl === undefined ? "Ctrl-C stops" : `status page: ${view.statusUrl}  Ctrl-C stops`)
  return lines
}

/** Events of a kind, for whoever counts them. */
const kinds: Readonly<Record<NetworkEvent["_tag"], string>> = {
  Listening: "ports listened on",
  InitialPeersFound: "lists of first addresses",
  DialStarted: "dials",
  DialFailed: "addresses that could not be reached",
  InboundRefused: "connections refused",
  HandshakeFailed: "handshakes without agreement",
  PeerRefused: "peers let go after the handshake",
  PeerConnected: "peers connected",
  PeerDisconnected: "peers lost",
  AddressesLearned: "lists of addresses learned",
  InventoryAdvertised: "adverts of blocks and transactions",
  PeerEvicted: "peers that had to go for a newcomer",
  PeerBanned: "bans",
  BanEnded: "ends of bans",
  BackgroundTaskExited: "ends of a task",
  EventsLost: "gaps in the events"
}

/** The tag of an event as people say it, of many; any other text as it is. */
export const kindInWords = (kind: string): string => new Map<string, string>(Object.entries(kinds)).get(kind) ?? kind

/** An event in words, harmless to a terminal. */
export const describe = (event: NetworkEvent): string => harmless(sentenceOf(event))

const sentenceOf = (event: NetworkEvent): string => {
  switch (event._tag) {
    case "Listening":
      return `listens on ${event.address}`
    case "InitialPeersFound":
      return `has ${count(event.count, "address", "addresses")} to begin with`
    case "DialStarted":
      return `dials ${event.address}`
    case "DialFailed":
      return `could not reach ${event.address}: ${Reasons.inWords(event.reason)}`
    case "InboundRefused":
      return `refused ${event.address}: ${Reasons.inWords(event.reason)}`
    case "HandshakeFailed":
      return `no agreement with ${event.address} (${event.direction}): ${Reasons.ofHandshake(event.reason)}`
    case "PeerRefused":
      return `let ${event.address} (${event.direction}) go: ${Reasons.inWords(event.reason)}`
    case "PeerConnected":
      return `connected ${event.direction === "outbound" ? "to" : "from"} ${event.address}`
    case "PeerEvicted":
      return `let ${event.address} go for ${event.newcomer}: one of ${event.ofNetwork} of ${event.network === "redacted" ? "its network" : event.network}`
    case "PeerDisconnected":
      return `lost ${event.address} (${event.direction}): ${Reasons.inWords(event.reason)}`
    case "AddressesLearned":
      return `learned ${count(event.count, "address", "addresses")}, ${event.added} new`
    case "InventoryAdvertised":
      return `heard of ${count(event.blocks.length, "block", "blocks")} and ${count(
        event.transactions.length,
        "transaction",
        "transactions"
      )}`
    case "PeerBanned":
      return `banned ${event.group}: ${event.reason}`
    case "BanEnded":
      return `the ban of ${event.group} has ended`
    case "BackgroundTaskExited":
      return `stopped: its ${event.task} ended with ${event.reason}`
    case "EventsLost":
      return `${count(event.count, "event", "events")} not shown`
  }
}

const countBy = (names: ReadonlyArray<string>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

const count = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`

const seconds = (millis: number): number => Math.round(millis) / 1000

const nodeAt = (view: DevnetView, index: number): NodeView => {
  const node = view.nodes[index - 1]
  if (node === undefined) throw new Error(`node ${index} is not one of the ${view.nodes.length} of this view`)
  return node
}
