/** The lines of the feed: which kind an event is, how it is said, and which events are one line. Pure. */
import { inWords, many } from "./format.js"
import { meaning, ofHandshake } from "./reasons.js"

/**
 * @typedef {{ readonly _tag: string, readonly at: number, readonly [field: string]: any }} NetworkEvent
 * @typedef {{ key: string, kind: string, event: NetworkEvent, count: number }} Line
 */

/** Kinds of events by their name on the page; whatever is not here is about the node. */
export const kinds = {
  peers: ["PeerConnected", "PeerDisconnected", "PeerRefused", "HandshakeFailed", "InboundRefused", "PeerEvicted"],
  dials: ["DialStarted", "DialFailed"],
  addresses: ["AddressesLearned", "InitialPeersFound"],
  adverts: ["InventoryAdvertised"],
  bans: ["PeerBanned", "BanEnded"],
  node: ["Listening", "BackgroundTaskExited", "EventsLost"]
}

/** @param {NetworkEvent} event */
export const kindOf = ({ _tag }) => Object.entries(kinds).find(([, tags]) => tags.includes(_tag))?.[0] ?? "node"

/** Lines kept of each kind. */
const linesKept = 120
/** Events further apart than this are told apart. */
const sameMillis = 10 * 60_000

/** Events with the same key are one line. @param {NetworkEvent} event */
const keyOf = (event) => {
  switch (event._tag) {
    case "AddressesLearned":
    case "EventsLost":
      return event._tag
    case "InventoryAdvertised":
      return `InventoryAdvertised ${event["connection"]}`
    default:
      return [event._tag, event["address"] ?? event["group"] ?? "", event["reason"] ?? ""].join(" ")
  }
}

/** Both events as one: what is counted is added up. @param {NetworkEvent} before @param {NetworkEvent} event */
const merged = (before, event) => {
  /** @type {Record<string, any> & NetworkEvent} */
  const sum = { ...event }
  for (const field of ["count", "added", "blocks", "transactions"]) {
    if (typeof event[field] === "number") sum[field] = event[field] + before[field]
  }
  return sum
}

/** A dial's outcome takes the place of its beginning. */
const outcomes = ["DialFailed", "HandshakeFailed", "PeerRefused", "PeerConnected"]

/** Nothing was learned: it is counted, and is no news. @param {NetworkEvent} event */
const isNews = (event) => event._tag !== "AddressesLearned" || event["added"] > 0

/**
 * The lines with one more event, newest first.
 * @param {ReadonlyArray<Line>} lines
 * @param {NetworkEvent} event
 * @returns {ReadonlyArray<Line>}
 */
export const add = (lines, event) => {
  const kind = kindOf(event)
  const key = keyOf(event)
  const rest = outcomes.includes(event._tag)
    ? lines.filter(({ key }) => key !== `DialStarted ${event["address"]} `)
    : lines
  const at = rest.findIndex((line) => line.key === key && Math.abs(event.at - line.event.at) <= sameMillis)
  const same = rest[at]
  if (same === undefined) {
    if (!isNews(event)) return rest
    const kept = rest.filter((line) => line.kind === kind).length < linesKept
    const older = kept
      ? rest
      : rest.toSpliced(
          rest.findLastIndex((line) => line.kind === kind),
          1
        )
    return [{ key, kind, event, count: 1 }, ...older]
  }
  const line = { ...same, event: merged(same.event, event), count: same.count + 1 }
  return isNews(event) ? [line, ...rest.toSpliced(at, 1)] : rest.with(at, line)
}

/** An event in words, without its time. @param {NetworkEvent} event @param {number} count */
export const words = (event, count = 1) => {
  switch (event._tag) {
    case "Listening":
      return `listens on ${event["address"]}`
    case "InitialPeersFound":
      return `has ${many(event["count"], "address", "addresses")} to begin with`
    case "DialStarted":
      return `dials ${event["address"]}`
    case "DialFailed":
      return `could not reach ${event["address"]}: ${meaning(event["reason"])}`
    case "InboundRefused":
      return `refused ${event["address"]}: ${meaning(event["reason"])}`
    case "HandshakeFailed":
      return `no agreement with ${event["address"]}: ${ofHandshake(event["reason"])}`
    case "PeerRefused":
      return `did not keep ${event["address"]}: ${meaning(event["reason"])}`
    case "PeerConnected":
      return `connected ${event["direction"] === "outbound" ? "to" : "from"} ${event["address"]}, ${event["userAgent"]}`
    case "PeerDisconnected":
      return `lost ${event["address"]}: ${meaning(event["reason"])}`
    case "PeerEvicted":
      return `let ${event["address"]} go for ${event["newcomer"]}: its network ${event["network"]} had ${many(event["ofNetwork"], "place", "places")}${event["reason"] === "largest-network" ? ", most of all" : ""}`
    case "AddressesLearned":
      return `learned ${many(event["count"], "address", "addresses")}${count > 1 ? ` in ${count} answers` : ""}, ${event["added"]} new`
    case "InventoryAdvertised":
      return `peer ${event["connection"]} has ${many(event["blocks"], "block", "blocks")}, ${many(event["transactions"], "transaction", "transactions")}`
    case "PeerBanned":
      return `banned ${event["group"]}: ${event["reason"]}`
    case "BanEnded":
      return `the ban of ${event["group"]} has ended`
    case "BackgroundTaskExited":
      return `stopped: its ${event["task"]} ended with ${event["reason"]}`
    case "EventsLost":
      return `${many(event["count"], "event", "events")} not shown`
    default: {
      // Of a node that is newer than this list.
      const rest = Object.entries(event).filter(
        ([name, field]) => !["_tag", "at"].includes(name) && (typeof field === "string" || typeof field === "number")
      )
      return `${inWords(event._tag)} ${rest.map(([, field]) => String(field)).join(", ")}`.trim()
    }
  }
}

/** Whether its count is in its words already. @param {NetworkEvent} event */
export const isCounted = ({ _tag }) => _tag === "AddressesLearned" || _tag === "EventsLost"
