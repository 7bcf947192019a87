/**
 * How a connection came about, and what follows from it.
 *
 * **Security**
 *
 * Nothing here but `alternates` looks at what the remote claims, and those only become gossip of that remote: a peer
 * cannot name the record that its connection changes.
 *
 * Pure.
 *
 * Source: Zebra peer/handshake.rs, `ConnectedAddr`.
 *
 * @module
 */
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { ByteStream } from "../transport/Transport.ts"
import { type GossipedAddress, NODE_NETWORK } from "../wire/AddressCodec.ts"
import type { ConnectedAddress } from "./Peer.ts"

export type { ConnectedAddress }

/** Of a stream that was dialled for the network. `dialled` is what was asked for, and all that the book will change. */
export const outbound = (
  dialled: PeerSocketAddress.PeerSocketAddress,
  { localAddress, proxyAddress }: ByteStream
): ConnectedAddress =>
  proxyAddress === undefined
    ? { _tag: "OutboundDirect", address: dialled }
    : { _tag: "OutboundProxy", proxyAddress, transientLocalAddress: localAddress }

/** Of a stream that was accepted. */
export const inbound = ({ proxyAddress, remoteAddress }: ByteStream): ConnectedAddress =>
  proxyAddress === undefined
    ? { _tag: "InboundDirect", address: remoteAddress }
    : { _tag: "InboundProxy", transientAddress: remoteAddress }

/** Key of the connection in the peer set and the inventory. Of an inbound one the port is ephemeral. */
export const transientAddress = (connected: ConnectedAddress): PeerSocketAddress.PeerSocketAddress | undefined => {
  switch (connected._tag) {
    case "OutboundDirect":
    case "InboundDirect":
      return connected.address
    case "OutboundProxy":
      return connected.transientLocalAddress
    case "InboundProxy":
      return connected.transientAddress
    case "Isolated":
      return undefined
  }
}

export const isInbound = (connected: ConnectedAddress): boolean =>
  connected._tag === "InboundDirect" || connected._tag === "InboundProxy"

/** Dialled by this node for the network; an isolated connection is not. */
export const isOutbound = (connected: ConnectedAddress): boolean =>
  connected._tag === "OutboundDirect" || connected._tag === "OutboundProxy"

/** The kind in a word, as the reference writes it. */
export const shortLabel = ({ _tag }: ConnectedAddress): "Out" | "In" | "ProxOut" | "ProxIn" | "Isol" => {
  switch (_tag) {
    case "OutboundDirect":
      return "Out"
    case "InboundDirect":
      return "In"
    case "OutboundProxy":
      return "ProxOut"
    case "InboundProxy":
      return "ProxIn"
    case "Isolated":
      return "Isol"
  }
}

/** For people who debug: the kind, and where the connection goes to, without the IP. */
export const describe = (connected: ConnectedAddress): string => {
  const address = transientAddress(connected)
  return address === undefined
    ? shortLabel(connected)
    : `${shortLabel(connected)}("${PeerSocketAddress.redacted(address)}")`
}

/** What logs and spans say: never the IP. */
export const label = (connected: ConnectedAddress): string => {
  const address = transientAddress(connected)
  return address === undefined ? "isolated" : PeerSocketAddress.redacted(address)
}

/**
 * Where else the remote may listen, by its own word and by where its stream came from: the first entries of the
 * connection's address cache.
 */
export const alternates = (
  connected: ConnectedAddress,
  stated: PeerSocketAddress.PeerSocketAddress,
  nowSeconds: number
): ReadonlyArray<GossipedAddress> =>
  alternateAddresses(connected, stated).map((address) => ({
    address,
    services: NODE_NETWORK,
    lastSeenSeconds: nowSeconds
  }))

const alternateAddresses = (
  connected: ConnectedAddress,
  stated: PeerSocketAddress.PeerSocketAddress
): ReadonlyArray<PeerSocketAddress.PeerSocketAddress> => {
  switch (connected._tag) {
    case "OutboundDirect": {
      const { address } = connected
      const completed = PeerSocketAddress.fromIp(
        NetAddress.isUnspecified(stated.address) ? address.address : stated.address,
        stated.port === 0 ? address.port : stated.port
      )
      return PeerSocketAddress.isSame(completed, address) ? [] : [completed]
    }
    case "InboundDirect": {
      const guess = PeerSocketAddress.fromIp(connected.address.address, stated.port)
      return PeerSocketAddress.isSame(guess, stated) ? [stated] : [stated, guess]
    }
    case "OutboundProxy":
    case "InboundProxy":
      return [stated]
    case "Isolated":
      return []
  }
}
