/**
 * What the page is told: the whole state once, then each second what has changed. Pure.
 *
 *     /live   event: snapshot   all of it, with the last hour
 *             event: tick       a sample, and whatever is not as it was a second ago
 *             event: tick       …
 *
 * Written short, for it is sent every second to everybody who looks: what comes each second is in tuples, a node of the process
 * is named by its number, and the bytes and the ping of a peer are told every other second.
 *
 * @module
 */
import type { Sample } from "./History.ts"
import type { LiveLink, LivePeer, LiveNode, LiveSnapshot, LiveTick, SampleRow } from "./StatusApi.ts"

/** A sample as it is sent. */
export const rowOf = (sample: Sample): SampleRow => [
  sample.at,
  sample.received,
  sample.sent,
  sample.inbound,
  sample.outbound,
  sample.latency === null ? null : Math.round(sample.latency * 100) / 100,
  sample.responded,
  sample.neverAttempted,
  sample.attemptPending,
  sample.failed
]

/** A node at one moment, as far as the page shows it. */
export interface Look {
  readonly totals: readonly [received: number, sent: number]
  readonly health: LiveSnapshot["health"]
  readonly book: LiveSnapshot["book"]
  readonly bans: LiveSnapshot["bans"]
  readonly added: LiveSnapshot["added"]
  readonly peers: ReadonlyArray<LivePeer>
  readonly nodes: ReadonlyArray<LiveNode>
  readonly links: ReadonlyArray<LiveLink>
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

const filled = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> | undefined => (values.length === 0 ? undefined : values)

/** Every other second, half of the peers in each, so that no second has them all. */
const isTurnOf = (id: number, tick: number): boolean => (id + tick) % 2 === 0

type Changes = Omit<LiveTick, "_tag" | "tick" | "sample" | "minute" | "events">

/**
 * What is different from `before` to `after`, without what did not change, and `told`: the state as whoever has read all of it
 * knows it. That is `after`, but for the peers whose turn comes in a second.
 */
export const difference = (
  before: Look,
  after: Look,
  tick: number
): { readonly changes: Changes; readonly told: Look } => {
  const known = new Map(before.peers.map((peer) => [peer.id, peer]))
  const here = new Set(after.peers.map(({ id }) => id))
  const peersNow: Array<LivePeer["now"]> = []
  const peers = after.peers.map((peer) => {
    const earlier = known.get(peer.id)
    if (earlier === undefined || isSame(earlier.now, peer.now)) return peer
    if (!isTurnOf(peer.id, tick)) return earlier
    peersNow.push(peer.now)
    return peer
  })
  const nodesBefore = new Set(before.nodes.map(([number]) => number))
  const nodesAfter = new Set(after.nodes.map(([number]) => number))
  const name = ([from, to]: LiveLink) => `${from} ${to}`
  const linksBefore = new Set(before.links.map(name))
  const linksAfter = new Set(after.links.map(name))
  // JSON leaves out what is undefined.
  const changes: Changes = {
    totals: after.totals,
    health: isSame(before.health, after.health) ? undefined : after.health,
    book: isSame(before.book, after.book) ? undefined : after.book,
    bans: isSame(before.bans, after.bans) ? undefined : after.bans,
    added: isSame(before.added, after.added) ? undefined : after.added,
    peersCame: filled(after.peers.filter(({ id }) => !known.has(id))),
    peersWent: filled([...known.keys()].filter((id) => !here.has(id))),
    peersNow: filled(peersNow),
    nodesCame: filled(after.nodes.filter(([number]) => !nodesBefore.has(number))),
    nodesWent: filled([...nodesBefore].filter((number) => !nodesAfter.has(number))),
    linked: filled(after.links.filter((link) => !linksBefore.has(name(link)))),
    // Those of a node that went go with it.
    unlinked: filled(
      before.links.filter((link) => !linksAfter.has(name(link)) && nodesAfter.has(link[0]) && nodesAfter.has(link[1]))
    )
  }
  return { changes, told: { ...after, peers } }
}
