/**
 * Who of those that wait is next, when some come in crowds. Pure but for its own state.
 *
 * Turns go round by network (IPv4 /16, IPv6 /32), and within a network by peer group (an IPv4 address, an IPv6 /64); within
 * a group whoever came first is first. So whoever comes from elsewhere waits for one turn of each other network, however
 * many connections, hosts or /64s a flood has.
 *
 * **Security**
 *
 * A group may have a few waiting and a network some more; one more of them is refused at once, without a turn. When all
 * places are taken, the latest of the most crowded network makes room for somebody of a less crowded one: no crowd keeps
 * others out.
 *
 * @module
 */

/** How many may wait. */
export interface Shares {
  /** In all. */
  readonly total: number
  /** Of one network, at most. */
  readonly perNetwork: number
  /** Of one peer group, at most. */
  readonly perGroup: number
}

/** Somebody who waits, and where from. */
export interface Waiting {
  /** `Origin.network`. */
  readonly network: string
  /** `AddressRules.limitKey`. */
  readonly group: string
}

/** The groups of a network, in the order of their turns. */
class Network<W> {
  readonly groups = new Map<string, Array<W>>()
  size = 0
}

export class FairQueue<W extends Waiting> {
  readonly #shares: Shares
  /** In the order of their turns: the first is next. */
  readonly #networks = new Map<string, Network<W>>()
  #size = 0

  constructor(shares: Shares) {
    this.#shares = shares
  }

  /** How many wait. */
  get size(): number {
    return this.#size
  }

  /** Lets somebody wait. Whoever has to go instead: nobody, an earlier one of a more crowded network, or the newcomer. */
  offer(waiting: W): W | undefined {
    const network = this.#networks.get(waiting.network)
    const ofGroup = network?.groups.get(waiting.group)?.length ?? 0
    const ofNetwork = network?.size ?? 0
    if (ofGroup >= this.#shares.perGroup || ofNetwork >= this.#shares.perNetwork) return waiting
    let gone: W | undefined
    if (this.#size >= this.#shares.total) {
      gone = this.#latestOfMostCrowded(ofNetwork)
      if (gone === undefined) return waiting
    }
    this.#add(waiting)
    return gone
  }

  /** The next one, who no longer waits. */
  take(): W | undefined {
    for (const [key, network] of this.#networks) {
      for (const [groupKey, group] of network.groups) {
        const next = group.shift()
        if (next === undefined) continue
        // Both go to the end, behind whoever waits already.
        network.groups.delete(groupKey)
        if (group.length > 0) network.groups.set(groupKey, group)
        this.#networks.delete(key)
        this.#count(network, -1)
        if (network.size > 0) this.#networks.set(key, network)
        return next
      }
    }
    return undefined
  }

  /** Takes out somebody who waits no longer; `false` when it did not wait. */
  remove(waiting: W): boolean {
    const network = this.#networks.get(waiting.network)
    const group = network?.groups.get(waiting.group)
    const at = group?.indexOf(waiting) ?? -1
    if (network === undefined || group === undefined || at < 0) return false
    group.splice(at, 1)
    if (group.length === 0) network.groups.delete(waiting.group)
    this.#count(network, -1)
    if (network.size === 0) this.#networks.delete(waiting.network)
    return true
  }

  /** Everybody, in no order; nobody waits any more. */
  drain(): ReadonlyArray<W> {
    const all = [...this.#networks.values()].flatMap(({ groups }) => [...groups.values()].flat())
    this.#networks.clear()
    this.#size = 0
    return all
  }

  #add(waiting: W): void {
    let network = this.#networks.get(waiting.network)
    if (network === undefined) this.#networks.set(waiting.network, (network = new Network()))
    const group = network.groups.get(waiting.group)
    if (group === undefined) network.groups.set(waiting.group, [waiting])
    else group.push(waiting)
    this.#count(network, 1)
  }

  #count(network: Network<W>, change: 1 | -1): void {
    network.size += change
    this.#size += change
  }

  /** Taken out; `undefined` when no network has more waiting than the newcomer's would. */
  #latestOfMostCrowded(newcomers: number): W | undefined {
    let crowded: Network<W> | undefined
    for (const network of this.#networks.values())
      if (crowded === undefined || network.size > crowded.size) crowded = network
    if (crowded === undefined || crowded.size <= newcomers + 1) return undefined
    let largest: [string, Array<W>] | undefined
    for (const entry of crowded.groups)
      if (largest === undefined || entry[1].length >= largest[1].length) largest = entry
    const gone = largest?.[1].pop()
    if (gone === undefined || largest === undefined) return undefined
    if (largest[1].length === 0) crowded.groups.delete(largest[0])
    this.#count(crowded, -1)
    return gone
  }
}
