/**
 * What the page's stream looks at: one node, and the other nodes of its process.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, HashMap, Option } from "effect"
import { AddressGroups } from "../addresses/AddressGroups.ts"
import { AddressBook } from "../addresses/AddressBook.ts"
import { BanList } from "../addresses/BanList.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../chain/ProtocolVersion.ts"
import { ManualPeers } from "../network/ManualPeers.ts"
import { Network } from "../network/Network.ts"
import { PeerSet } from "../network/PeerSet.ts"
import { LocalNode } from "../peer/Handshake.ts"
import type { Peer } from "../peer/Peer.ts"
import { inboundLimit, outboundLimit, Policy } from "../Policy.ts"
import { originOf } from "../routing/Origin.ts"
import { median, PingHistory } from "./History.ts"
import type * as Live from "./Live.ts"
import type { Source } from "./LiveFeed.ts"
import { AddressCounts, BanInfo, type LiveLink, type LivePeer } from "./StatusApi.ts"
import { type ListedNode, OtherNodes, totals, wantedPeers } from "./NodeView.ts"

/** Most other nodes of a process that are shown, and most of their connections: a picture of more says nothing. */
const maxNodes = 500
const maxLinks = 30_000

const millisOf = (duration: Duration.Duration): number => Math.round(Duration.toMillis(duration) * 100) / 100

/** Texts of the peers' addresses, which never change. */
const makeAddressOf = () => {
  const texts = new WeakMap<Peer, string>()
  return (peer: Peer): string | null => {
    if (peer.transientAddress === undefined) return null
    const known = texts.get(peer) ?? PeerSocketAddress.format(peer.transientAddress)
    texts.set(peer, known)
    return known
  }
}

/** The node whose services these are. */
export const make = Effect.gen(function* () {
  const book = yield* AddressBook
  const bans = yield* BanList
  const chain = yield* ChainParams
  const local = yield* LocalNode
  const manual = yield* ManualPeers
  const network = yield* Network
  const peerSet = yield* PeerSet
  const policy = yield* Policy
  const groups = yield* AddressGroups
  const otherNodes = yield* OtherNodes
  const thisNode = yield* Effect.context<ListedNode>()

  const pings = new PingHistory<Duration.Duration>()
  const addressOf = makeAddressOf()
  /** Numbers of the process' nodes by where they listen; never used again. */
  const numbers = new Map<string, number>()
  const numberOf = (listen: string): number => {
    const number = numbers.get(listen) ?? numbers.size
    numbers.set(listen, number)
    return number
  }

  const sample = Effect.gen(function* () {
    const at = yield* Clock.currentTimeMillis
    const peers = peerSet.peersUnsafe()
    pings.note(
      at,
      peers.map((peer) => ({ id: peer.id, roundTrip: peer.roundTrip() })),
      millisOf
    )
    const { bytesReceived, bytesSent } = yield* totals
    const { attemptPending, failed, neverAttempted, responded } = book.metrics.getUnsafe()
    const inbound = peers.filter(({ isInbound }) => isInbound).length
    return {
      received: bytesReceived,
      sent: bytesSent,
      inbound,
      outbound: peers.length - inbound,
      latency: median(
        peers.flatMap((peer) => {
          const roundTrip = peer.roundTrip()
          return roundTrip === undefined ? [] : [millisOf(roundTrip)]
        })
      ),
      responded,
      neverAttempted,
      attemptPending,
      failed
    }
  })

  const peerNow = (peer: Peer): LivePeer => {
    const roundTrip = peer.roundTrip()
    return {
      id: peer.id,
      addr: addressOf(peer),
      inbound: peer.isInbound,
      network: peer.transientAddress === undefined ? null : originOf(peer.transientAddress, groups).network,
      agent: peer.info.remote.userAgent,
      version: peer.info.remote.version,
      since: Math.floor(peer.connectedAtMillis / 1000),
      now: [
        peer.id,
        peer.bytesRead(),
        peer.bytesWritten(),
        roundTrip === undefined ? null : millisOf(roundTrip),
        peer.readiness()
      ]
    }
  }

  /** All nodes of this process with the connections among them, each told by who dialled. */
  const nodesNow = (): Pick<Live.Look, "nodes" | "links"> => {
    const others = otherNodes()
    if (others.length === 0) return { nodes: [], links: [] }
    const listed = [thisNode, ...others].slice(0, maxNodes).flatMap((node) =>
      Option.match(Context.get(node, Network).listenAddress, {
        onNone: () => [],
        onSome: (address) => [{ node, number: numberOf(PeerSocketAddress.format(address)), address }]
      })
    )
    const here = new Set(listed.map(({ number }) => number))
    const links = listed.flatMap(({ node, number }) =>
      Context.get(node, PeerSet)
        .peersUnsafe()
        .flatMap((peer): ReadonlyArray<LiveLink> => {
          const address = peer.isInbound ? null : addressOf(peer)
          const to = address === null ? undefined : numbers.get(address)
          return to === undefined || !here.has(to) ? [] : [[number, to]]
        })
    )
    return {
      nodes: listed.map(({ address, node, number }) => [
        number,
        PeerSocketAddress.format(address),
        Context.get(node, LocalNode).userAgent,
        ourProtocolVersion
      ]),
      links: links.slice(0, maxLinks)
    }
  }

  const look = Effect.gen(function* () {
    const { bytesReceived, bytesSent } = yield* totals
    const banned = yield* bans.bans.get
    const added = yield* manual.list
    return {
      totals: [bytesReceived, bytesSent],
      health: {
        network: chain.name,
        userAgent: local.userAgent,
        version: ourProtocolVersion,
        listen: Option.getOrNull(Option.map(network.listenAddress, PeerSocketAddress.format)),
        wanted: wantedPeers(policy),
        inboundLimit: inboundLimit(policy),
        outboundLimit: outboundLimit(policy)
      },
      book: new AddressCounts(book.metrics.getUnsafe()),
      bans: [...HashMap.values(banned)].map(
        ({ group, reason, untilSeconds }) => new BanInfo({ group, reason, until: untilSeconds })
      ),
      added: added.map(PeerSocketAddress.format),
      peers: peerSet.peersUnsafe().map(peerNow),
      ...nodesNow()
    } satisfies Live.Look
  })

  return { source: { events: network.events, sample, look } satisfies Source, pings }
})
