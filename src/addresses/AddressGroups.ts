/**
 * Which part of the internet an address is in, so that no part of it gets more connections than another.
 *
 * IPv4 /16 and IPv6 /32, or the autonomous system (AS) where a map says so: one company may have thousands of /16s, and they
 * are then one group. An address that the map does not know is in the network it is in.
 *
 * Hosts are something else: `AddressRules.limitKey`.
 *
 * @module
 */
import { Context } from "effect"
import { NetAddress } from "effect/net"
import type { ChainParamsShape } from "../chain/ChainParams.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import * as AddressRules from "./AddressRules.ts"
import * as AsMap from "./AsMap.ts"

/** How addresses are grouped. */
export interface AddressGroups {
  /** `203.0/16`, `2001:db8::/32` or `AS64496`. */
  readonly groupOf: (address: PeerSocketAddress) => string
  /** Which map it goes by, to tell when another one took its place; empty without a map. */
  readonly digest: string
}

/** By network. */
export const byNetwork: AddressGroups = { groupOf: AddressRules.networkKey, digest: "" }

/** By the systems of a map, and by network where it does not say. */
export const bySystem = (map: AsMap.AsMap): AddressGroups => ({
  groupOf: (address) => {
    const system = AsMap.systemOf(map, address)
    return system === undefined ? AddressRules.networkKey(address) : `AS${system}`
  },
  digest: map.digest
})

/** Provide `bySystem` of a map to group by it; by network otherwise. */
export const AddressGroups = Context.Reference<AddressGroups>("network-effect/addresses/AddressGroups", {
  defaultValue: () => byNetwork
})

/** Whether an address counts in no group on this chain: a private network on Regtest is one host's, or one laboratory's. */
export const isExempt = ({ address }: PeerSocketAddress, chain: ChainParamsShape): boolean =>
  chain.kind === "regtest" && isNear(address)

/** Loopback, private, unique local or link-local. */
const isNear = (address: NetAddress.IpAddress): boolean =>
  NetAddress.isLoopback(address) ||
  NetAddress.isLinkLocal(address) ||
  (NetAddress.isIpv4Address(address) ? NetAddress.isPrivate(address) : NetAddress.isUniqueLocal(address))
