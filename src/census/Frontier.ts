/**
 * The hosts a run knows, and which of them is dialled next. Pure but for its own state; time is an argument.
 *
 *     told ─▶ waiting ─take─▶ under way ─┬─ reached ──▶ visited ─ half an hour ─▶ waiting
 *       │        ▲                       └─ unreachable ─▶ next port, or visited
 *       ▼        │
 *     doubtful ──┘  another teller, or one of its tellers proved right
 *
 * **Security**
 *
 * Whoever answers `getaddr` may invent a thousand addresses. A host is dialled only on the word of a teller with credit.
 * Each host on whose word nobody answers costs its teller one, each that answers gains its tellers some: who only invents is
 * believed `credit` times, and the run ends. A host has at most one connection and `portsPerHost` ports a round, so nobody
 * makes us scan a third party.
 *
 * @module
 */
import { Duration } from "effect"
import { format, type PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import type { CensusNumbers } from "./CensusPolicy.ts"
import { groupOf, type How, hostOf, isLoopback } from "./Finding.ts"

/** A dial to make now. Ends with `reached` or `unreachable`. */
export interface Visit {
  readonly host: string
  readonly address: PeerSocketAddress
  readonly how: How
}

interface Teller {
  credit: number
  /** Hosts that wait for anybody who told of them to be believed again. */
  readonly doubtful: Set<Host>
}

interface Host {
  readonly key: string
  readonly group: Group
  how: How
  /** Told, at most `portsPerHost`; the first `tried` of them were dialled. */
  addresses: Array<PeerSocketAddress>
  /** Where it answered: the only address that later rounds dial. */
  at: PeerSocketAddress | undefined
  tried: number
  state: "New" | "Waiting" | "Doubtful" | "UnderWay" | "Visited" | "Left"
  /** Empty: from the list the run began with, which is believed. */
  readonly tellers: Array<Teller>
  /** On whose word it is dialled. */
  voucher: Teller | undefined
}

interface Group {
  /** First come, first dialled, from `next` on. */
  queue: Array<Host>
  next: number
  /** Whether it is in `ready` or `resting`. */
  isListed: boolean
  readyAt: number
  readonly hasPace: boolean
}

type Numbers = Pick<
  CensusNumbers,
  "askAgain" | "credit" | "creditPerHit" | "groupInterval" | "maxHosts" | "portsPerHost" | "tellersPerHost"
>

export class Frontier {
  readonly #numbers: Numbers
  readonly #groupMillis: number
  readonly #askAgainMillis: number
  readonly #hosts = new Map<string, Host>()
  readonly #groups = new Map<string, Group>()
  readonly #tellers = new Map<string, Teller>()
  /** Groups that may be dialled, and those that rest; every rest is equally long, so the first in is the first out. */
  #ready: Array<Group> = []
  #readyNext = 0
  #resting: Array<Group> = []
  #restingNext = 0
  /** Hosts that answered, by when they may be asked again. */
  #again: Array<{ readonly host: Host; readonly at: number }> = []
  #againNext = 0
  #isExploring = true
  #waiting = 0
  #left = 0
  /** Whom nobody is believed about, oldest first; and how many of them were forgotten to make room. */
  readonly #doubted = new Set<Host>()
  #forgotten = 0
  #underWay = 0
  #visited = 0
  #reached = 0
  #dials = 0

  constructor(numbers: Numbers) {
    this.#numbers = numbers
    this.#groupMillis = Duration.toMillis(numbers.groupInterval)
    this.#askAgainMillis = Duration.toMillis(numbers.askAgain)
  }

  counts() {
    return {
      known: this.#hosts.size + this.#forgotten,
      groups: this.#groups.size,
      waiting: this.#waiting + this.#left,
      doubtful: this.#doubted.size + this.#forgotten,
      underWay: this.#underWay,
      visited: this.#visited,
      reached: this.#reached,
      dials: this.#dials
    }
  }

  /** Takes an address that may be dialled; `teller` is the host that told of it. Returns whether the host was new. */
  add(address: PeerSocketAddress, teller?: string): boolean {
    const key = hostOf(address)
    const known = this.#hosts.get(key)
    if (known !== undefined) {
      this.#toldAgain(known, address, teller)
      return false
    }
    if (this.#hosts.size >= this.#numbers.maxHosts && !this.#forget()) return false
    const tellers = teller === undefined ? [] : [this.#tellerOf(teller)]
    this.#place(this.#insert(key, address, tellers))
    return true
  }

  /**
   * Ends exploring: what waits is left, and so is what is told from now on. Then takes hosts of earlier runs, except those
   * that were dialled in this one.
   */
  recheck(addresses: Iterable<PeerSocketAddress>): void {
    this.#isExploring = false
    for (const group of this.#groups.values()) {
      for (let host = nextOf(group); host !== undefined; host = nextOf(group)) this.#leave(host)
    }
    for (const address of addresses) {
      const key = hostOf(address)
      const known = this.#hosts.get(key) ?? this.#insert(key, address, [])
      if (known.state === "Doubtful") this.#undoubt(known)
      else if (known.state === "Left") this.#left--
      else if (known.state !== "New") continue
      known.how = "Rechecked"
      known.addresses = [address]
      known.tried = 0
      // An earlier run vouches for it.
      known.tellers.length = 0
      this.#enqueue(known)
    }
  }

  /** The next dial; or how long to wait for it, in milliseconds; `undefined` when nothing is left to dial. */
  take(now: number): Visit | number | undefined {
    this.#wakeHosts(now)
    this.#wakeGroups(now)
    if (this.#waiting === 0) this.#believeAgain()
    while (this.#readyNext < this.#ready.length) {
      const group = this.#ready[this.#readyNext++]!
      this.#tidy()
      group.isListed = false
      const host = nextOf(group)
      if (host === undefined) continue
      this.#waiting--
      const isBelieved = this.#isBelieved(host)
      if (!isBelieved) this.#doubt(host)
      else if (group.hasPace) group.readyAt = now + this.#groupMillis
      this.#list(group, now)
      if (isBelieved) return this.#begin(host)
      if (this.#waiting === 0) this.#believeAgain()
    }
    if (this.#waiting === 0) return undefined
    const next = this.#resting[this.#restingNext]
    return next === undefined ? undefined : Math.max(0, next.readyAt - now)
  }

  /** The dial found a node. */
  reached({ address, host: key }: Visit, now: number): void {
    const host = this.#hosts.get(key)
    if (host === undefined || host.state !== "UnderWay") return
    this.#underWay--
    host.state = "Visited"
    if (host.at === undefined) {
      this.#visited++
      this.#reached++
    }
    host.at = address
    if (host.voucher !== undefined) host.voucher.credit++
    for (const teller of host.tellers) teller.credit += this.#numbers.creditPerHit
    this.#again.push({ host, at: now + this.#askAgainMillis })
  }

  /** The dial found nobody. Another port of the host may follow. */
  unreachable({ host: key }: Visit): void {
    const host = this.#hosts.get(key)
    if (host === undefined || host.state !== "UnderWay") return
    this.#underWay--
    // It answered in an earlier round: gone, and nobody's fault.
    if (host.at !== undefined) {
      host.state = "Visited"
      return
    }
    if (host.tried < host.addresses.length) {
      this.#enqueue(host)
      return
    }
    host.state = "Visited"
    this.#visited++
  }

  #tellerOf(key: string): Teller {
    const known = this.#tellers.get(key)
    if (known !== undefined) return known
    const teller = { credit: this.#numbers.credit, doubtful: new Set<Host>() }
    this.#tellers.set(key, teller)
    return teller
  }

  #insert(key: string, address: PeerSocketAddress, tellers: Array<Teller>): Host {
    const host: Host = {
      key,
      group: this.#groupFor(address),
      how: "Explored",
      addresses: [address],
      at: undefined,
      tried: 0,
      state: "New",
      tellers,
      voucher: undefined
    }
    this.#hosts.set(key, host)
    return host
  }

  #groupFor(address: PeerSocketAddress): Group {
    const key = groupOf(address)
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    const group: Group = { queue: [], next: 0, isListed: false, readyAt: 0, hasPace: !isLoopback(address) }
    this.#groups.set(key, group)
    return group
  }

  #toldAgain(host: Host, address: PeerSocketAddress, key: string | undefined): void {
    const isOpen = host.at === undefined && host.state !== "Visited" && host.state !== "Left"
    const hasRoom = host.addresses.length < this.#numbers.portsPerHost
    if (isOpen && hasRoom && !host.addresses.some((other) => isSame(other, address))) host.addresses.push(address)
    if (key === undefined) return
    const teller = this.#tellerOf(key)
    // No tellers: it is from the list, and needs nobody's word.
    if (host.tellers.length === 0 || host.tellers.includes(teller)) return
    if (host.tellers.length >= this.#numbers.tellersPerHost) return
    host.tellers.push(teller)
    if (host.at !== undefined) teller.credit += this.#numbers.creditPerHit
    else if (host.state === "Doubtful" && teller.credit > 0 && this.#isExploring) this.#believe(host)
    else if (host.state === "Doubtful") teller.doubtful.add(host)
  }

  #isBelieved(host: Host): boolean {
    return host.tellers.length === 0 || host.tellers.some(({ credit }) => credit > 0)
  }

  #place(host: Host): void {
    if (!this.#isExploring) {
      host.state = "Left"
      this.#left++
    } else if (this.#isBelieved(host)) this.#enqueue(host)
    else this.#doubt(host)
  }

  /** It waited, and will not be dialled. */
  #leave(host: Host): void {
    this.#waiting--
    // One that answered was only to be asked again.
    host.state = host.at === undefined ? "Left" : "Visited"
    if (host.at === undefined) this.#left++
  }

  /** Makes room: of those nobody is believed about, whoever has been one longest. */
  #forget(): boolean {
    for (const host of this.#doubted) {
      this.#undoubt(host)
      this.#hosts.delete(host.key)
      this.#forgotten++
      return true
    }
    return false
  }

  #doubt(host: Host): void {
    host.state = "Doubtful"
    this.#doubted.add(host)
    for (const teller of host.tellers) teller.doubtful.add(host)
  }

  #undoubt(host: Host): void {
    this.#doubted.delete(host)
    for (const teller of host.tellers) teller.doubtful.delete(host)
  }

  #believe(host: Host): void {
    this.#undoubt(host)
    this.#enqueue(host)
  }

  /** Tellers that were right since then: as many of their hosts as they have credit for. */
  #believeAgain(): void {
    if (!this.#isExploring) return
    for (const { credit, doubtful } of this.#tellers.values()) {
      let left = credit
      if (left > 0) {
        for (const host of doubtful) {
          if (left-- <= 0) break
          this.#believe(host)
        }
      }
    }
  }

  #enqueue(host: Host): void {
    host.state = "Waiting"
    host.group.queue.push(host)
    this.#waiting++
    if (host.group.isListed) return
    host.group.isListed = true
    this.#ready.push(host.group)
  }

  /** Puts a group where it belongs; one without hosts rests too, for its pace counts when some come. */
  #list(group: Group, now: number): void {
    const rests = group.hasPace && group.readyAt > now
    if (!rests && group.next >= group.queue.length) return
    group.isListed = true
    ;(rests ? this.#resting : this.#ready).push(group)
  }

  #begin(host: Host): Visit {
    host.state = "UnderWay"
    const address = host.at ?? host.addresses[host.tried++]!
    host.voucher = host.at === undefined ? host.tellers.find(({ credit }) => credit > 0) : undefined
    // Before it is known: else one who invents is believed as often as dials are under way.
    if (host.voucher !== undefined) host.voucher.credit--
    this.#underWay++
    this.#dials++
    return { host: host.key, address, how: host.how }
  }

  #wakeHosts(now: number): void {
    for (let next = this.#again[this.#againNext]; next !== undefined && next.at <= now;) {
      this.#againNext++
      if (this.#isExploring) this.#enqueue(next.host)
      next = this.#again[this.#againNext]
    }
  }

  #wakeGroups(now: number): void {
    for (let next = this.#resting[this.#restingNext]; next !== undefined && next.readyAt <= now;) {
      this.#restingNext++
      next.isListed = false
      this.#list(next, now)
      next = this.#resting[this.#restingNext]
    }
  }

  /** Arrays that are read from the front lose what was read, now and then. */
  #tidy(): void {
    if (this.#readyNext > 1024 && this.#readyNext * 2 > this.#ready.length) {
      this.#ready = this.#ready.slice(this.#readyNext)
      this.#readyNext = 0
    }
    if (this.#restingNext > 1024 && this.#restingNext * 2 > this.#resting.length) {
      this.#resting = this.#resting.slice(this.#restingNext)
      this.#restingNext = 0
    }
    if (this.#againNext > 1024 && this.#againNext * 2 > this.#again.length) {
      this.#again = this.#again.slice(this.#againNext)
      this.#againNext = 0
    }
  }
}

/** Takes the first of a queue, which loses what was read now and then. */
const nextOf = (group: Group): Host | undefined => {
  const host = group.queue[group.next]
  if (host === undefined) return undefined
  group.next++
  if (group.next > 64 && group.next * 2 > group.queue.length) {
    group.queue = group.queue.slice(group.next)
    group.next = 0
  }
  return host
}

/** Whether two addresses of one host are one: most are told of again and again, so the port decides first. */
const isSame = (a: PeerSocketAddress, b: PeerSocketAddress): boolean =>
  a.port === b.port && (a._tag === "InetAddressV4" || format(a) === format(b))
