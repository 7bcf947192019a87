/**
 * Pools of peers, and choosing from them at random.
 *
 * Pure. `ConnectedPeers.ts` keeps the pools true; this module draws from them. No draw walks a pool: the few members that are
 * left out are looked up and stepped over, so that a choice costs the same among 10 and among 10,000 peers.
 *
 * **Security**
 *
 * Every draw is uniform over its candidates. A peer can influence its own load, so load decides only between two peers
 * that were drawn without it, and broadcasts do not look at it at all.
 *
 * @module
 */
import type { ConnectionId } from "../peer/Request.ts"

/** A set of connections that can be drawn from by position. Every operation takes constant time. */
export class PeerPool {
  readonly #ids: Array<ConnectionId> = []
  readonly #positions = new Map<ConnectionId, number>()

  get size(): number {
    return this.#ids.length
  }

  has(id: ConnectionId): boolean {
    return this.#positions.has(id)
  }

  /** Adding twice is adding once. */
  add(id: ConnectionId): void {
    if (this.#positions.has(id)) return
    this.#positions.set(id, this.#ids.length)
    this.#ids.push(id)
  }

  /** Whether it was in. The last member takes its position. */
  remove(id: ConnectionId): boolean {
    const position = this.#positions.get(id)
    const last = this.#ids.pop()
    if (position === undefined || last === undefined) {
      if (last !== undefined) this.#ids.push(last)
      return false
    }
    this.#positions.delete(id)
    if (last !== id) {
      this.#ids[position] = last
      this.#positions.set(last, position)
    }
    return true
  }

  /** The member at a position below `size`. */
  at(position: number): ConnectionId | undefined {
    return this.#ids[position]
  }

  positionOf(id: ConnectionId): number | undefined {
    return this.#positions.get(id)
  }

  values(): IterableIterator<ConnectionId> {
    return this.#ids.values()
  }
}

/** Every connected peer is in exactly one. Serving: its `version` said `NODE_NETWORK`. Busy: its request slot is full. */
export interface PeerPools {
  readonly readyServing: PeerPool
  readonly readyOther: PeerPool
  readonly busyServing: PeerPool
  readonly busyOther: PeerPool
}

export const makePools = (): PeerPools => ({
  readyServing: new PeerPool(),
  readyOther: new PeerPool(),
  busyServing: new PeerPool(),
  busyOther: new PeerPool()
})

export const readyPools = (pools: PeerPools): ReadonlyArray<PeerPool> => [pools.readyServing, pools.readyOther]

export const allPools = (pools: PeerPools): ReadonlyArray<PeerPool> => [
  pools.readyServing,
  pools.readyOther,
  pools.busyServing,
  pools.busyOther
]

/** Ready peers. */
export const readyCount = (pools: PeerPools): number => pools.readyServing.size + pools.readyOther.size

/** Busy peers. */
export const busyCount = (pools: PeerPools): number => pools.busyServing.size + pools.busyOther.size

/** Some to choose from: as many as `size`, each with a rank below it. */
export interface Ranked<A> {
  readonly size: number
  readonly at: (rank: number) => A
}

/** Peers to choose from. Valid until a pool changes. */
export interface Candidates extends Ranked<ConnectionId> {
  readonly has: (id: ConnectionId) => boolean
}

/** Exactly these, which are distinct. */
export const these = (ids: ReadonlyArray<ConnectionId>): Candidates => ({
  size: ids.length,
  at: (rank) => member(ids[rank]),
  has: (id) => ids.includes(id)
})

/**
 * The members of some disjoint pools but those in any of `without`, which may name strangers and repeat themselves. Costs
 * O(k log k) in the k names of `without` now, and O(k) per rank.
 */
export const among = (
  pools: ReadonlyArray<PeerPool>,
  ...without: ReadonlyArray<Iterable<ConnectionId>>
): Candidates => {
  let total = 0
  const starts = pools.map((pool) => {
    const start = total
    total += pool.size
    return start
  })
  const named: Array<number> = []
  for (const [index, pool] of pools.entries()) {
    const first = start(starts, index)
    for (const ids of without) {
      for (const id of ids) {
        const position = pool.positionOf(id)
        if (position !== undefined) named.push(first + position)
      }
    }
  }
  const gaps = distinct(named)
  return {
    size: total - gaps.length,
    at: (rank) => {
      let position = rank
      for (const gap of gaps) {
        if (gap > position) break
        position++
      }
      let index = pools.length - 1
      while (start(starts, index) > position) index--
      return member(pools[index]?.at(position - start(starts, index)))
    },
    has: (id) =>
      pools.some((pool, index) => {
        const position = pool.positionOf(id)
        return position !== undefined && !gaps.includes(start(starts, index) + position)
      })
  }
}

/** In ascending order, each once. */
const distinct = (positions: Array<number>): ReadonlyArray<number> => {
  positions.sort((a, b) => a - b)
  let kept = 0
  for (const position of positions) {
    if (kept === 0 || position !== positions[kept - 1]) positions[kept++] = position
  }
  positions.length = kept
  return positions
}

const start = (starts: ReadonlyArray<number>, index: number): number => starts[index] ?? 0

const member = (id: ConnectionId | undefined): ConnectionId => {
  if (id === undefined) throw new Error("a rank is below the number of candidates")
  return id
}

/** A uniform whole number in `0 ≤ n < bound`. */
export type DrawBelow = (bound: number) => number

/**
 * The less loaded of two distinct candidates drawn at random; of equals, the first drawn. The only one when there is one,
 * none when there is none.
 *
 * Source: tower `balance`, power of two choices, as Zebra peer_set/set.rs uses it.
 */
export const lessLoaded = <A>(
  candidates: Ranked<A>,
  draw: DrawBelow,
  load: (candidate: A) => number
): A | undefined => {
  if (candidates.size < 2) return candidates.size === 1 ? candidates.at(0) : undefined
  const rank = draw(candidates.size)
  const other = draw(candidates.size - 1)
  const first = candidates.at(rank)
  const second = candidates.at(other < rank ? other : other + 1)
  return load(second) < load(first) ? second : first
}

/** `count` distinct candidates, every subset as likely as any other; all of them when there are not more. */
export const subset = (candidates: Candidates, count: number, draw: DrawBelow): ReadonlyArray<ConnectionId> => {
  // A Fisher-Yates shuffle that stops early and remembers only the ranks it moved.
  const moved = new Map<number, number>()
  const chosen: Array<ConnectionId> = []
  for (let i = 0; i < Math.min(count, candidates.size); i++) {
    const pick = i + draw(candidates.size - i)
    chosen.push(candidates.at(moved.get(pick) ?? pick))
    moved.set(pick, moved.get(i) ?? i)
  }
  return chosen
}

/**
 * How many of `count` peers a broadcast goes to: one in `share`, rounded up, so at least one of any. On Regtest all.
 *
 * Source: Zebra peer_set/set.rs, `number_of_peers_to_broadcast`.
 */
export const broadcastSize = (count: number, share: number, regtest: boolean): number =>
  regtest ? count : Math.ceil(count / share)
