/** What the page knows of the node: a snapshot, and each tick after it. Pure. */

/** Samples that are kept, as the node keeps them. */
const secondsKept = 300
const minutesKept = 60

/**
 * @param {any} snapshot As `/live` tells it.
 */
export const begin = (snapshot) => ({
  process: snapshot.process,
  tick: snapshot.tick,
  seconds: [...snapshot.history.seconds],
  minutes: [...snapshot.history.minutes],
  totals: snapshot.totals,
  health: snapshot.health,
  book: snapshot.book,
  bans: snapshot.bans,
  added: snapshot.added,
  peers: new Map(snapshot.peers.map((/** @type {any} */ peer) => [peer.id, peer])),
  nodes: new Map(snapshot.nodes.map((/** @type {any} */ node) => [node[0], node])),
  links: new Map(snapshot.links.map((/** @type {any} */ link) => [link.join(" "), link])),
  /** Peers that have moved in the latest tick. */
  moved: new Set()
})

/** @param {Array<unknown>} ring @param {unknown} value @param {number} limit */
const keep = (ring, value, limit) => {
  ring.push(value)
  if (ring.length > limit) ring.shift()
}

/**
 * Takes a tick.
 * @param {ReturnType<typeof begin>} state
 * @param {any} tick
 */
export const apply = (state, tick) => {
  state.tick = tick.tick
  state.totals = tick.totals
  keep(state.seconds, tick.sample, secondsKept)
  if (tick.minute !== undefined) keep(state.minutes, tick.minute, minutesKept)
  if (tick.health !== undefined) state.health = tick.health
  if (tick.book !== undefined) state.book = tick.book
  if (tick.bans !== undefined) state.bans = tick.bans
  if (tick.added !== undefined) state.added = tick.added
  state.moved = new Set()
  for (const peer of tick.peersCame ?? []) state.peers.set(peer.id, peer)
  for (const id of tick.peersWent ?? []) state.peers.delete(id)
  for (const now of tick.peersNow ?? []) {
    const peer = state.peers.get(now[0])
    if (peer === undefined) continue
    state.peers.set(now[0], { ...peer, now })
    state.moved.add(now[0])
  }
  for (const node of tick.nodesCame ?? []) state.nodes.set(node[0], node)
  for (const number of tick.nodesWent ?? []) {
    state.nodes.delete(number)
    for (const [name, [from, to]] of state.links) if (from === number || to === number) state.links.delete(name)
  }
  for (const link of tick.unlinked ?? []) state.links.delete(link.join(" "))
  for (const link of tick.linked ?? []) state.links.set(link.join(" "), link)
}
