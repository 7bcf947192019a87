/**
 * Where a peer comes from, for whoever has to know crowds from many. Pure.
 *
 * @module
 */
import { NetAddress } from "effect/net"
import type { AddressGroups } from "../addresses/AddressGroups.ts"
import { limitKey } from "../addresses/AddressRules.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"

/** A host and the part of the internet it is in. */
export interface Origin {
  /** `AddressRules.limitKey`. */
  readonly group: string
  /** `AddressGroups.groupOf`; of a host of this machine or of a private IPv4 network its `group`. */
  readonly network: string
}

/** Hosts of this machine and of a private network are no crowd from one corner of the internet: each stands for itself. */
export const originOf = (address: PeerSocketAddress, { groupOf }: Pick<AddressGroups, "groupOf">): Origin => {
  const group = limitKey(address)
  const { address: ip } = address
  const isNear = NetAddress.isLoopback(ip) || (NetAddress.isIpv4Address(ip) && NetAddress.isPrivate(ip))
  return { group, network: isNear ? group : groupOf(address) }
}
