/** A crawler, or whoever else dials, with a real address book and slots; whom it reaches and what they say is the test's. */
import { Clock, Effect, Equal, Layer, Stream } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BackgroundTasks, type NetworkEnd } from "../../src/BackgroundTasks.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { ChainParams, type ChainParamsShape, mainnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ConnectionSlots } from "../../src/network/ConnectionSlots.ts"
import { Connector } from "../../src/network/Connector.ts"
import { Crawler } from "../../src/network/Crawler.ts"
import * as Demand from "../../src/network/Demand.ts"
import { type NetworkEvent, NetworkEvents } from "../../src/network/NetworkEvents.ts"
import { PeerSet, type RequestError } from "../../src/network/PeerSet.ts"
import { PeerAdmission } from "../../src/network/PeerAdmission.ts"
import { Handshake } from "../../src/peer/Handshake.ts"
import { ClientDropped, type Peer } from "../../src/peer/Peer.ts"
import type { PeersResponse } from "../../src/peer/Request.ts"
import { defaults, outboundLimit, Policy } from "../../src/Policy.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import { type ByteStream, DialError, OutboundTransport } from "../../src/transport/Transport.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import type { BookName } from "./bookWorld.ts"
import { fakePeer } from "./fakePeer.ts"

/** How a dial ends: with a peer that stays, one that leaves at once, or an error. */
export type Outcome = "stays" | "leaves" | "fails"

export interface DialWorldOptions {
  readonly policy?: Partial<Policy>
  readonly chain?: ChainParamsShape
  /** The hardened one unless said otherwise. */
  readonly book?: BookName | Layer.Layer<AddressBook, never, BanList | ChainParams | OwnAddress>
  readonly outcome?: (address: string) => Outcome
  /** What peers answer to a crawl; nothing new unless said otherwise. */
  readonly answer?: Effect.Effect<PeersResponse, RequestError>
}

/** What was dialled, when, and who is held. */
export interface DialLog {
  readonly dials: Array<{ readonly address: string; readonly atMillis: number }>
  /** When each crawl asked, in milliseconds. */
  readonly crawls: Array<number>
  readonly held: Set<Peer>
  /** Every peer there ever was. */
  connected: number
  /** Every signal of demand, whoever sent it. */
  demands: number
}

export const emptyLog = (): DialLog => ({ dials: [], crawls: [], held: new Set(), connected: 0, demands: 0 })

const nobodyNew: Effect.Effect<PeersResponse> = Effect.succeed({ _tag: "Peers", addresses: [] })

/** What nobody reads or writes: agreement is scripted. */
const silentStream = (address: PeerSocketAddress.PeerSocketAddress): ByteStream => ({
  remoteAddress: address,
  localAddress: address,
  proxyAddress: undefined,
  read: Effect.never,
  write: () => Effect.never,
  bytesRead: () => 0,
  bytesWritten: () => 0
})

/** Dials, agreement and admission as the test wants them, below a real connector. */
const scripted = (log: DialLog, outcome: (address: string) => Outcome) => {
  const outcomes = new Map<string, Outcome>()
  return Layer.mergeAll(
    Layer.succeed(
      OutboundTransport,
      OutboundTransport.of({
        dial: Effect.fnUntraced(function* (address) {
          const text = PeerSocketAddress.format(address)
          log.dials.push({ address: text, atMillis: yield* Clock.currentTimeMillis })
          outcomes.set(text, outcome(text))
          if (outcomes.get(text) === "fails") {
            return yield* new DialError({ address: text, code: "ECONNREFUSED", cause: "scripted" })
          }
          return silentStream(address)
        })
      })
    ),
    Layer.mock(Handshake, {
      run: ({ remoteAddress }) =>
        Effect.sync(() => fakePeer({ id: ++log.connected, address: PeerSocketAddress.format(remoteAddress) }))
    }),
    Layer.succeed(
      PeerAdmission,
      PeerAdmission.of({
        hostFor: () => ({ report: () => Effect.void, mayAdvertise: () => Effect.succeed(true) }),
        admit: Effect.fnUntraced(function* (peer, slot) {
          yield* slot.markOpen
          log.held.add(peer)
          yield* Effect.addFinalizer(() => Effect.sync(() => log.held.delete(peer)))
          const address = peer.transientAddress
          if (address !== undefined && outcomes.get(PeerSocketAddress.format(address)) === "leaves") {
            yield* peer.close(new ClientDropped())
          }
        })
      })
    )
  )
}

const peerSetLayer = (log: DialLog, answer: Effect.Effect<PeersResponse, RequestError>) =>
  Layer.effect(
    PeerSet,
    Effect.gen(function* () {
      const policy = yield* Policy
      const { demand, endUnsafe } = yield* Demand.make<NetworkEnd>(outboundLimit(policy))
      yield* (yield* BackgroundTasks).onEnd(endUnsafe)
      const partial: Partial<PeerSet["Service"]> = {
        demand: {
          ...demand,
          offer: Effect.suspend(() => {
            log.demands++
            return demand.offer
          })
        },
        // Crawls ask for nothing but addresses.
        request: (() =>
          Effect.gen(function* () {
            log.crawls.push(yield* Clock.currentTimeMillis)
            return yield* answer
          })) as never,
        peers: Effect.sync(() => [...log.held]),
        peersUnsafe: () => [...log.held],
        hasAddressUnsafe: (address) => [...log.held].some((peer) => Equal.equals(peer.transientAddress, address))
      }
      return PeerSet.of(partial as PeerSet["Service"])
    })
  )

const bookOf = (book: NonNullable<DialWorldOptions["book"]>) => {
  if (book === "reference") return AddressBook.layerReference
  return book === "hardened" ? AddressBook.layer.pipe(Layer.provide(SeededRandom.layer(1, "book"))) : book
}

/** Everything but what dials, and a crawler that nobody uses yet. */
export const dialWorld = (log: DialLog, options: DialWorldOptions = {}) =>
  Layer.mergeAll(Connector.layer, Crawler.layer).pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        scripted(log, options.outcome ?? (() => "fails")),
        peerSetLayer(log, options.answer ?? nobodyNew),
        bookOf(options.book ?? "hardened").pipe(Layer.provideMerge(BanList.layer))
      )
    ),
    Layer.provideMerge(
      Layer.mergeAll(BackgroundTasks.layer, ConnectionSlots.layer, NetworkEvents.layer, OwnAddress.layerNone)
    ),
    Layer.provideMerge(Layer.succeed(ChainParams, options.chain ?? mainnet)),
    Layer.provideMerge(Layer.succeed(Policy, { ...defaults, ...options.policy }))
  )

/** So many addresses that were gossiped and may be dialled, each in a network of its own: `20.n.1.1` and on, port 1. */
export const gossip = Effect.fnUntraced(function* (count: number) {
  const book = yield* AddressBook
  const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  yield* book.addGossiped(
    Array.from({ length: count }, (_, i) => ({
      address: PeerSocketAddress.fromStringUnsafe(`${20 + (i >> 8)}.${i & 0xff}.1.1:1`),
      services: NODE_NETWORK,
      lastSeenSeconds: nowSeconds
    }))
  )
})

/** The events so far, filled as they come. */
export const collectEvents = Effect.gen(function* () {
  const seen: Array<NetworkEvent> = []
  yield* (yield* NetworkEvents).stream.pipe(
    Stream.runForEach((event) => Effect.sync(() => seen.push(event))),
    Effect.forkScoped({ startImmediately: true })
  )
  return seen
})
