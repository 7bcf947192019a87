/**
 * What the HTTP interface answers, from the services of one node.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, HashMap, Layer, Option } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { AddressBook } from "../addresses/AddressBook.ts"
import { AddressGroups } from "../addresses/AddressGroups.ts"
import * as AddressRules from "../addresses/AddressRules.ts"
import { type Ban, BanList } from "../addresses/BanList.ts"
import type { Standing, Why } from "../addresses/Book.ts"
import type { PeerAddress } from "../addresses/PeerAddress.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../chain/ProtocolVersion.ts"
import { ConnectionSlots } from "../network/ConnectionSlots.ts"
import type { ConnectError } from "../network/Connector.ts"
import { Evictions } from "../network/Evictions.ts"
import { ManualPeers, maxListed } from "../network/ManualPeers.ts"
import { Network } from "../network/Network.ts"
import { PeerSet } from "../network/PeerSet.ts"
import * as Reasons from "../network/Reasons.ts"
import { LocalNode } from "../peer/Handshake.ts"
import type { Peer } from "../peer/Peer.ts"
import { inboundLimit, outboundLimit, Policy } from "../Policy.ts"
import { originOf } from "../routing/Origin.ts"
import * as EventFeed from "./EventFeed.ts"
import type { BriefEvent } from "./EventMemory.ts"
import * as LiveFeed from "./LiveFeed.ts"
import * as LiveSource from "./LiveSource.ts"
import { type ListedNode, OtherNodes, totals, wantedPeers } from "./NodeView.ts"
import * as ProcessMetrics from "./ProcessMetrics.ts"
import { LogLevelControl } from "./LogLevelControl.ts"
import {
  AddressCounts,
  Addresses,
  AddressInfo,
  AddressWhy,
  BadRequest,
  BanInfo,
  Conflict,
  EvictionsInfo,
  Health,
  LiveHistory,
  NodeInfo,
  NotConnected,
  NotFound,
  NotReady,
  PeerDetail,
  PeerInfo,
  Ready,
  StatusApi
} from "./StatusApi.ts"

const defaultEntries = 100

/** Most events that are told of one peer. */
const eventsOfPeer = 50

const seconds = (millis: number): number => Math.floor(millis / 1000)
const secondsOf = (millis: number | undefined): number | null => (millis === undefined ? null : seconds(millis))
const durationOf = (duration: Duration.Duration | undefined): number | null =>
  duration === undefined ? null : Duration.toSeconds(duration)

const addressOf = ({ transientAddress }: Peer): string | null =>
  transientAddress === undefined ? null : PeerSocketAddress.format(transientAddress)

/** The part of the internet a peer is in. */
const networkOf = ({ transientAddress }: Peer, groups: AddressGroups): string | null =>
  transientAddress === undefined ? null : originOf(transientAddress, groups).network

/** A peer as `getpeerinfo` shows it; `network` is its part of the internet. */
export const peerInfo = (peer: Peer, network: string | null, nowNanos: bigint): PeerInfo => {
  const { negotiatedVersion, remote } = peer.info
  const traffic = peer.traffic()
  return new PeerInfo({
    id: peer.id,
    addr: addressOf(peer),
    network,
    addrlocal: PeerSocketAddress.format(remote.addressReceiver.address),
    services: remote.services.toString(16).padStart(16, "0"),
    relaytxes: remote.relay,
    lastsend: secondsOf(traffic.lastSentMillis),
    lastrecv: secondsOf(traffic.lastReceivedMillis),
    bytessent: peer.bytesWritten(),
    bytesrecv: peer.bytesRead(),
    conntime: seconds(peer.connectedAtMillis),
    timeoffset: timeOffset(remote.timestamp, seconds(peer.connectedAtMillis)),
    pingtime: durationOf(peer.roundTrip()),
    pingwait: durationOf(peer.pingWait()),
    version: remote.version,
    subver: remote.userAgent,
    inbound: peer.isInbound,
    startingheight: remote.startHeight,
    banscore: null,
    synced_headers: null,
    synced_blocks: null,
    inflight: null,
    addr_processed: null,
    addr_rate_limited: null,
    whitelisted: null,
    negotiated_version: negotiatedVersion,
    readiness: peer.readiness(),
    load_ms: peer.load(nowNanos) / 1e6,
    messagessent: Object.fromEntries(traffic.messagesSent),
    messagesrecv: Object.fromEntries(traffic.messagesReceived)
  })
}

/** A peer may state any 64-bit time; what is out of bounds is cut off there. */
const timeOffset = (theirs: bigint, ours: number): number => {
  const limit = BigInt(Number.MAX_SAFE_INTEGER)
  const offset = theirs - BigInt(ours)
  return Number(offset > limit ? limit : offset < -limit ? -limit : offset)
}

const addressInfo = (entry: PeerAddress, { group, isAnchor, table }: Standing): AddressInfo =>
  new AddressInfo({
    address: PeerSocketAddress.format(entry.address),
    state: entry.state,
    inbound: entry.isInbound,
    lastResponse: entry.lastResponseSeconds ?? null,
    lastSeen: entry.untrustedLastSeenSeconds ?? null,
    userAgent: entry.userAgent ?? null,
    group,
    table: table ?? null,
    anchor: isAnchor
  })

/** Whether an entry has a text in what one sees of it, in any case of letters. */
const fits =
  (search: string) =>
  ({ address, anchor, group, state, table, userAgent }: AddressInfo): boolean =>
    search === "" ||
    [address, state, userAgent ?? "", group, table ?? "", anchor ? "anchor" : ""]
      .join("\n")
      .toLowerCase()
      .includes(search.toLowerCase())

const whyInfo = ({ entry, ...why }: Why): AddressWhy =>
  new AddressWhy({
    address: PeerSocketAddress.format(why.address),
    entry: entry === undefined ? null : addressInfo(entry, why),
    group: why.group,
    host: why.limit.group,
    table: why.table ?? null,
    bucket: why.bucket ?? null,
    anchor: why.isAnchor,
    failures: why.failures,
    firstSuccess: why.firstSuccessSeconds ?? null,
    against: why.against ?? null
  })

const banInfo = ({ group, reason, untilSeconds }: Ban): BanInfo => new BanInfo({ group, reason, until: untilSeconds })

const nodeInfo = (node: Context.Context<ListedNode>): NodeInfo =>
  new NodeInfo({
    listen: listenText(Context.get(node, Network)),
    userAgent: Context.get(node, LocalNode).userAgent,
    version: ourProtocolVersion,
    peers: Context.get(node, PeerSet)
      .peersUnsafe()
      .map((peer) => ({
        id: peer.id,
        addr: addressOf(peer),
        inbound: peer.isInbound,
        pingtime: durationOf(peer.roundTrip()),
        version: peer.info.remote.version,
        subver: peer.info.remote.userAgent
      }))
  })

const listenText = ({ listenAddress }: Network["Service"]): string | null =>
  Option.getOrNull(Option.map(listenAddress, PeerSocketAddress.format))

/** The reason of a ban for which the operator gave none. */
export const bannedByOperator = "banned by the operator"

/** Why nothing was dialled, or why the list took nothing: something the operator can change first. */
const conflicts: Readonly<Record<string, string>> = {
  AlreadyConnected: "it is connected already",
  NoFreeSlot: "every outbound place is taken: disconnect another peer first",
  PeerBanned: "it is banned: lift the ban first",
  GroupFull: `${Reasons.inWords("GroupFull")}: disconnect one of them first`,
  ListFull: `the list holds ${maxListed} addresses: remove another one first`
}

const notConnected = (address: string, { code, reason }: ConnectError) => {
  const refused = reason._tag === "PeerRefused" ? reason.reason : undefined
  const conflict = refused === undefined ? conflicts[reason._tag] : (conflicts[refused] ?? Reasons.inWords(refused))
  return conflict === undefined
    ? new NotConnected({ detail: `${address} could not be connected: ${Reasons.ofHandshake(code)}.`, reason: code })
    : new Conflict({ detail: `No connection was made: ${conflict}.`, reason: reason._tag })
}

const noSuchPeer = (id: number) => new NotFound({ detail: `No peer has the number ${id}.` })

const badAddress = (text: string, form: string) =>
  new BadRequest({ detail: `${JSON.stringify(text)} is not an address: say ${form}.` })

/** A whole IP, with or without a port, or an IPv6 /64: whatever names a peer group. */
const groupOf = (text: string) => {
  const address = PeerSocketAddress.fromText(text.replace(/\/64$/, ""), 0)
  return address === undefined
    ? Effect.fail(badAddress(text, "an IP such as 192.0.2.10 or 2001:db8::1"))
    : Effect.succeed(address)
}

const liveness = HttpApiBuilder.group(
  StatusApi,
  "liveness",
  Effect.fnUntraced(function* (handlers) {
    const chain = yield* ChainParams
    const network = yield* Network
    const peerSet = yield* PeerSet
    const slots = yield* ConnectionSlots
    const policy = yield* Policy
    const { userAgent } = yield* LocalNode

    const ready = Effect.gen(function* () {
      const counts = yield* peerSet.counts
      const peers = counts.ready + counts.busy
      const wanted = wantedPeers(policy)
      if (peers >= wanted) return new Ready({ peers, wanted })
      return yield* new NotReady({
        detail: `${peers} of the ${wanted} peers that make this node ready are connected.`,
        peers,
        wanted
      })
    })

    return handlers
      .handle("ready", () => ready)
      .handle("health", () =>
        Effect.map(
          peerSet.counts,
          (peers) =>
            new Health({
              status: "live",
              network: chain.name,
              userAgent,
              protocolVersion: ourProtocolVersion,
              listen: listenText(network),
              wanted: wantedPeers(policy),
              peers,
              slots: {
                inbound: slots.used("inbound") + slots.used("trusted"),
                inboundLimit: inboundLimit(policy),
                outbound: slots.used("outbound"),
                outboundLimit: outboundLimit(policy)
              }
            })
        )
      )
  })
)

const reads = HttpApiBuilder.group(
  StatusApi,
  "reads",
  Effect.fnUntraced(function* (handlers) {
    const chain = yield* ChainParams
    const peerSet = yield* PeerSet
    const book = yield* AddressBook
    const bans = yield* BanList
    const evictions = yield* Evictions
    const groups = yield* AddressGroups
    const slots = yield* ConnectionSlots
    const manual = yield* ManualPeers
    const network = yield* Network
    const logLevel = yield* LogLevelControl
    const otherNodes = yield* OtherNodes
    const thisNode = yield* Effect.context<ListedNode>()

    const ofProcess = yield* ProcessMetrics.make(peerSet.peersUnsafe, () => HashMap.size(bans.bans.getUnsafe()))
    const feed = yield* EventFeed.make(network.events)
    const { pings, source } = yield* LiveSource.make
    const live = yield* LiveFeed.make(source)

    return handlers
      .handleRaw("events", ({ request }) =>
        Effect.succeed(
          HttpServerResponse.stream(feed(request.headers["last-event-id"]), { contentType: "text/event-stream" })
        )
      )
      .handleRaw("live", () =>
        Effect.succeed(HttpServerResponse.stream(live.stream, { contentType: "text/event-stream" }))
      )
      .handleAll({
        history: () => Effect.map(live.history, (history) => new LiveHistory(history)),
        peer: Effect.fnUntraced(function* ({ params }) {
          const found = peerSet.peersUnsafe().find(({ id }) => id === params.id)
          if (found === undefined) return yield* noSuchPeer(params.id)
          const address = addressOf(found)
          const group = found.transientAddress === undefined ? null : AddressRules.limitKey(found.transientAddress)
          const isAbout = (event: BriefEvent) =>
            ("connection" in event && event.connection === found.id) ||
            ("address" in event && event.address === address) ||
            ("group" in event && event.group === group)
          return new PeerDetail({
            peer: peerInfo(found, networkOf(found, groups), yield* Clock.monotonicTimeNanos),
            pings: pings.of(found.id),
            events: live.events.latest(eventsOfPeer, isAbout).map(([, event]) => event)
          })
        }),
        peers: Effect.fnUntraced(function* () {
          const nowNanos = yield* Clock.monotonicTimeNanos
          return (yield* peerSet.peers).map((peer) => peerInfo(peer, networkOf(peer, groups), nowNanos))
        }),
        addresses: Effect.fnUntraced(function* ({ query }) {
          const { limit = defaultEntries, offset = 0, search = "" } = query
          const known = yield* book.entries
          const standings = yield* book.standings(known.map(({ address }) => address))
          const entries = known.map((entry, n) => addressInfo(entry, standings[n]!)).filter(fits(search))
          if (offset > 0 && offset >= entries.length) {
            return yield* new BadRequest({
              detail: `offset ${offset} is past the end: ${search === "" ? `the book has ${entries.length} addresses` : `only ${entries.length} fit`}.`
            })
          }
          const { anchors: _, ...tables } = yield* book.sizes
          return new Addresses({
            counts: new AddressCounts(book.metrics.getUnsafe()),
            tables,
            anchors: (yield* book.anchors).map(PeerSocketAddress.format),
            offset,
            found: entries.length,
            entries: entries.slice(offset, offset + limit)
          })
        }),
        evictions: () =>
          Effect.sync(() => {
            const networks = evictions.networks().map(([network, peers]) => ({ network, peers }))
            return new EvictionsInfo({
              inbound: networks.reduce((sum, { peers }) => sum + peers, 0),
              inboundLimit: slots.limits.inbound,
              handshakePlaces: slots.limits.handshake,
              networks,
              evictions: evictions.latest().toReversed()
            })
          }),
        why: Effect.fnUntraced(function* ({ query }) {
          const address = PeerSocketAddress.fromText(query.address, chain.defaultPort)
          if (address === undefined) {
            return yield* badAddress(query.address, "ip:port or [ip6]:port")
          }
          return whyInfo(yield* book.why(address))
        }),
        bans: () => Effect.map(bans.bans.get, (bans) => [...HashMap.values(bans)].map(banInfo)),
        added: () => Effect.map(manual.list, (added) => added.map(PeerSocketAddress.format)),
        totals: () => totals,
        network: () => Effect.sync(() => [thisNode, ...otherNodes()].map(nodeInfo)),
        metrics: () => Effect.zipWith(PrometheusMetrics.format(), ofProcess, (counted, now) => `${counted}\n${now}`),
        logLevel: () => Effect.map(logLevel.get, (level) => ({ level }))
      })
  })
)

const writes = HttpApiBuilder.group(
  StatusApi,
  "writes",
  Effect.fnUntraced(function* (handlers) {
    const chain = yield* ChainParams
    const peerSet = yield* PeerSet
    const book = yield* AddressBook
    const bans = yield* BanList
    const manual = yield* ManualPeers
    const groups = yield* AddressGroups
    const logLevel = yield* LogLevelControl

    return handlers.handleAll({
      disconnect: Effect.fnUntraced(function* ({ params }) {
        const found = peerSet.peersUnsafe().find(({ id }) => id === params.id)
        if (found === undefined) return yield* noSuchPeer(params.id)
        yield* peerSet.remove(found.id)
      }),
      ban: Effect.fnUntraced(function* ({ payload }) {
        const address = yield* groupOf(payload.address)
        const ban = yield* book.ban({
          address,
          reason: payload.reason ?? bannedByOperator,
          ...(payload.seconds === undefined ? {} : { duration: Duration.seconds(payload.seconds) })
        })
        return banInfo(ban)
      }),
      unban: Effect.fnUntraced(function* ({ params }) {
        const group = AddressRules.limitKey(yield* groupOf(params.group))
        if (!(yield* bans.lift(group))) return yield* new NotFound({ detail: `${group} is not banned.` })
      }),
      connect: Effect.fnUntraced(function* ({ payload }) {
        const address = PeerSocketAddress.fromText(payload.address, chain.defaultPort)
        const invalid = address === undefined ? undefined : AddressRules.validForOutbound(address)
        if (address === undefined) return yield* badAddress(payload.address, "ip, ip:port or [ip6]:port")
        if (invalid !== undefined) {
          return yield* new BadRequest({ detail: `${payload.address} cannot be dialled: ${invalid}.` })
        }
        let peer: PeerInfo | null = null
        switch (payload.mode) {
          case "onetry": {
            const connected = yield* manual
              .connect(address)
              .pipe(Effect.mapError((error) => notConnected(payload.address, error)))
            peer = peerInfo(connected, networkOf(connected, groups), yield* Clock.monotonicTimeNanos)
            break
          }
          case "add":
            yield* Effect.mapError(
              manual.add(address),
              ({ _tag }) => new Conflict({ detail: `Nothing was added: ${conflicts[_tag]}.`, reason: _tag })
            )
            break
          case "remove":
            if (!(yield* manual.remove(address))) {
              return yield* new NotFound({ detail: `${payload.address} is not among the added addresses.` })
            }
        }
        return { peer, added: (yield* manual.list).map(PeerSocketAddress.format) }
      }),
      setLogLevel: ({ payload }) => Effect.as(logLevel.set(payload.level), payload)
    })
  })
)

/** The handlers of `StatusApi`, over the services of a node. */
export const layer = Layer.mergeAll(liveness, reads, writes)
