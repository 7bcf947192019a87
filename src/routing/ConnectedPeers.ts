/**
 * Who is connected: by id, by address, by peer group, ready or busy, and in the order of find requests.
 *
 * Plain state with no waiting in it; `Membership.ts` decides when it changes.
 *
 * @module
 */
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { Peer } from "../peer/Peer.ts"
import type { ConnectionId } from "../peer/Request.ts"
import { NODE_NETWORK } from "../wire/AddressCodec.ts"
import { FindRotation } from "./FindRotation.ts"
import { Merit } from "./Merit.ts"
import type { AddressGroups } from "../addresses/AddressGroups.ts"
import { originOf } from "./Origin.ts"
import * as PeerChoice from "./PeerChoice.ts"
import type { PeerCandidate } from "./PeerSelection.ts"
import type { TrustedIps } from "./TrustedPeers.ts"

/** A peer of the set. What is learnt of this connection lives here, so nothing of it can touch a later one. */
export class Member implements PeerCandidate {
  readonly peer: Peer
  readonly id: ConnectionId
  readonly isInbound: boolean
  readonly serving: boolean
  readonly trusted: boolean
  /** `ip:port`; absent for a peer without an address. */
  readonly address: string | undefined
  readonly group: string | undefined
  readonly network: string | undefined
  readonly joinedAtNanos: bigint
  /** Find requests it failed in a row. */
  stalls = 0
  /** Requests put to it that have not ended. */
  pending = 0
  readonly merit = new Merit()

  /** What is known of a peer as it joins. */
  constructor(peer: Peer, trusted: TrustedIps, groups: AddressGroups, nowNanos: bigint) {
    const address = peer.transientAddress
    this.peer = peer
    this.id = peer.id
    this.isInbound = peer.isInbound
    this.serving = (peer.info.remote.services & NODE_NETWORK) !== 0n
    this.trusted = peer.info.connectedAddress._tag === "InboundDirect" && address !== undefined && trusted.has(address)
    this.address = address === undefined ? undefined : PeerSocketAddress.format(address)
    const origin = address === undefined ? undefined : originOf(address, groups)
    this.group = origin?.group
    this.network = origin?.network
    this.joinedAtNanos = nowNanos
  }

  get credit(): number {
    return this.merit.credit
  }

  load(nowNanos: bigint): number {
    return this.peer.load(nowNanos)
  }
}

const nobody: ReadonlySet<ConnectionId> = new Set()

export class ConnectedPeers {
  readonly pools = PeerChoice.makePools()
  readonly rotation = new FindRotation()
  readonly #members = new Map<ConnectionId, Member>()
  readonly #byAddress = new Map<string, ConnectionId>()
  readonly #groups = new Map<string, Set<ConnectionId>>()
  readonly #trusted = new Set<ConnectionId>()
  #inbound = 0

  get size(): number {
    return this.#members.size
  }

  /** Ready peers. */
  get ready(): number {
    return PeerChoice.readyCount(this.pools)
  }

  /** Busy peers. */
  get busy(): number {
    return PeerChoice.busyCount(this.pools)
  }

  get inbound(): number {
    return this.#inbound
  }

  get trusted(): ReadonlySet<ConnectionId> {
    return this.#trusted
  }

  get(id: ConnectionId): Member | undefined {
    return this.#members.get(id)
  }

  at(address: string): ConnectionId | undefined {
    return this.#byAddress.get(address)
  }

  /** The members of a peer group. */
  inGroup(group: string): ReadonlySet<ConnectionId> {
    return this.#groups.get(group) ?? nobody
  }

  values(): IterableIterator<Member> {
    return this.#members.values()
  }

  /** Joins as busy. */
  add(member: Member): void {
    const { id } = member
    this.#members.set(id, member)
    if (member.address !== undefined) this.#byAddress.set(member.address, id)
    if (member.group !== undefined) {
      const group = this.#groups.get(member.group)
      if (group === undefined) this.#groups.set(member.group, new Set([id]))
      else group.add(id)
    }
    if (member.trusted) this.#trusted.add(id)
    if (member.isInbound) this.#inbound++
    this.#busy(member).add(id)
    this.rotation.join(id, member.serving)
  }

  /** `undefined` when it is not there, which is no error: it may leave for several reasons at once. */
  remove(id: ConnectionId): Member | undefined {
    const member = this.#members.get(id)
    if (member === undefined) return undefined
    this.#members.delete(id)
    if (member.address !== undefined) this.#byAddress.delete(member.address)
    if (member.group !== undefined) {
      const group = this.#groups.get(member.group)
      group?.delete(id)
      if (group?.size === 0) this.#groups.delete(member.group)
    }
    this.rotation.leave(id)
    this.#trusted.delete(id)
    if (member.isInbound) this.#inbound--
    this.#ready(member).remove(id)
    this.#busy(member).remove(id)
    return member
  }

  isReady(id: ConnectionId): boolean {
    return this.pools.readyServing.has(id) || this.pools.readyOther.has(id)
  }

  markReady(member: Member): void {
    if (this.#busy(member).remove(member.id)) this.#ready(member).add(member.id)
  }

  markBusy(member: Member): void {
    if (this.#ready(member).remove(member.id)) this.#busy(member).add(member.id)
  }

  #ready(member: Member): PeerChoice.PeerPool {
    return member.serving ? this.pools.readyServing : this.pools.readyOther
  }

  #busy(member: Member): PeerChoice.PeerPool {
    return member.serving ? this.pools.busyServing : this.pools.busyOther
  }
}
