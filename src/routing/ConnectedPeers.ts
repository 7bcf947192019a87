/**
 * Who is connected: by id, by address, by peer group, ready or busy, and in the order of find requests.
 *
 * Plain state with no waiting in it; `PeerSet.ts` decides when it changes.
 *
 * @module
 */
import { limitKey } from "../addresses/AddressRules.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { Peer } from "../peer/Peer.ts"
import type { ConnectionId } from "../peer/Request.ts"
import { NODE_NETWORK } from "../wire/AddressCodec.ts"
import { FindRotation } from "./FindRotation.ts"
import * as PeerChoice from "./PeerChoice.ts"
import type { TrustedIps } from "./TrustedPeers.ts"

/** A peer of the set. What is learnt of this connection lives here, so nothing of it can touch a later one. */
export interface Member {
  readonly peer: Peer
  readonly serving: boolean
  /** Inbound from an address the operator trusts. */
  readonly sidecar: boolean
  /** `ip:port`; absent for a peer without an address. */
  readonly address: string | undefined
  /** What limits and bans count by; absent for a peer without an address. */
  readonly group: string | undefined
  /** Find requests it failed in a row. */
  stalls: number
}

/** What the set knows of a peer before it joins. */
export const makeMember = (peer: Peer, trusted: TrustedIps): Member => {
  const address = peer.transientAddress
  return {
    peer,
    serving: (peer.info.remote.services & NODE_NETWORK) !== 0n,
    sidecar: peer.info.connectedAddress._tag === "InboundDirect" && address !== undefined && trusted.has(address),
    address: address === undefined ? undefined : PeerSocketAddress.format(address),
    group: address === undefined ? undefined : limitKey(address),
    stalls: 0
  }
}

const nobody: ReadonlySet<ConnectionId> = new Set()

export class ConnectedPeers {
  readonly pools = PeerChoice.makePools()
  readonly rotation = new FindRotation()
  readonly #members = new Map<ConnectionId, Member>()
  readonly #byAddress = new Map<string, ConnectionId>()
  readonly #groups = new Map<string, Set<ConnectionId>>()
  readonly #sidecars = new Set<ConnectionId>()
  #inbound = 0

  get size(): number {
    return this.#members.size
  }

  get inbound(): number {
    return this.#inbound
  }

  get sidecars(): ReadonlySet<ConnectionId> {
    return this.#sidecars
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

  /** Peer groups with more than one member. */
  sharedGroups(): number {
    let shared = 0
    for (const ids of this.#groups.values()) if (ids.size > 1) shared++
    return shared
  }

  values(): IterableIterator<Member> {
    return this.#members.values()
  }

  /** Joins as busy. */
  add(member: Member): void {
    const { id } = member.peer
    this.#members.set(id, member)
    if (member.address !== undefined) this.#byAddress.set(member.address, id)
    if (member.group !== undefined) {
      const group = this.#groups.get(member.group)
      if (group === undefined) this.#groups.set(member.group, new Set([id]))
      else group.add(id)
    }
    if (member.sidecar) this.#sidecars.add(id)
    if (member.peer.isInbound) this.#inbound++
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
    this.#sidecars.delete(id)
    if (member.peer.isInbound) this.#inbound--
    this.#ready(member).remove(id)
    this.#busy(member).remove(id)
    return member
  }

  isReady(id: ConnectionId): boolean {
    return this.pools.readyServing.has(id) || this.pools.readyOther.has(id)
  }

  markReady(member: Member): void {
    if (this.#busy(member).remove(member.peer.id)) this.#ready(member).add(member.peer.id)
  }

  markBusy(member: Member): void {
    if (this.#ready(member).remove(member.peer.id)) this.#busy(member).add(member.peer.id)
  }

  #ready(member: Member): PeerChoice.PeerPool {
    return member.serving ? this.pools.readyServing : this.pools.readyOther
  }

  #busy(member: Member): PeerChoice.PeerPool {
    return member.serving ? this.pools.busyServing : this.pools.busyOther
  }
}
