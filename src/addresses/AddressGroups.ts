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
import { Context, Effect, type FileSystem, Layer } from "effect"
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
  /** How well the map fits some addresses; `undefined` without a map. */
  readonly health: (addresses: Iterable<PeerSocketAddress>) => AsMap.Health | undefined
}

/** By network. */
export const byNetwork: AddressGroups = { groupOf: AddressRules.networkKey, digest: "", health: () => undefined }

/** By the systems of a map, and by network where it does not say. */
export const bySystem = (map: AsMap.AsMap): AddressGroups => ({
  groupOf: (address) => {
    const system = AsMap.systemOf(map, address)
    return system === undefined ? AddressRules.networkKey(address) : `AS${system}`
  },
  digest: map.digest,
  health: (addresses) => AsMap.health(map, addresses)
})

/** Addresses from which on what a map does not know says something of the map. */
const enoughToJudge = 50

/**
 * Tells in one line how well the map fits these addresses, and warns when it knows less than half of them: it is then one of
 * another year, or of another internet. Nothing without a map.
 */
export const report = (groups: AddressGroups, addresses: Iterable<PeerSocketAddress>): Effect.Effect<void> => {
  const health = groups.health(addresses)
  if (health === undefined) return Effect.void
  const isPoor = health.addresses >= enoughToJudge && health.unmapped * 2 > health.addresses
  return (
    isPoor
      ? Effect.logWarning("the map of autonomous systems does not know most addresses: take a newer one")
      : Effect.logInfo("addresses known, by the map of autonomous systems")
  ).pipe(Effect.annotateLogs({ ...health }))
}

/** Provide `bySystem` of a map to group by it; by network otherwise. */
export const AddressGroups = Context.Reference<AddressGroups>("network-effect/addresses/AddressGroups", {
  defaultValue: () => byNetwork
})

/**
 * By the map in a file. One that is none, or cannot be read, is told in one line, and addresses are grouped by network.
 */
export const layerFile = (path: string): Layer.Layer<never, never, FileSystem.FileSystem> =>
  Layer.effect(
    AddressGroups,
    AsMap.load(path).pipe(
      Effect.map(bySystem),
      Effect.tap(({ digest }) =>
        Effect.logInfo("addresses are grouped by autonomous system").pipe(
          Effect.annotateLogs({ file: path, sha256: digest })
        )
      ),
      Effect.catch(({ message }) =>
        Effect.as(
          Effect.logWarning(`${message}; addresses are grouped by network`).pipe(Effect.annotateLogs({ file: path })),
          byNetwork
        )
      )
    )
  )

/** Whether an address counts in no group on this chain: a private network on Regtest is one host's, or one laboratory's. */
export const isExempt = ({ address }: PeerSocketAddress, chain: ChainParamsShape): boolean =>
  chain.kind === "regtest" && isNear(address)

/** Loopback, private, unique local or link-local. */
const isNear = (address: NetAddress.IpAddress): boolean =>
  NetAddress.isLoopback(address) ||
  NetAddress.isLinkLocal(address) ||
  (NetAddress.isIpv4Address(address) ? NetAddress.isPrivate(address) : NetAddress.isUniqueLocal(address))
