/** A crawler, or whoever else dials, with a real address book and slots; whom it reaches and what they say is the test's. */
import { Clock, Effect, Layer, type Scope, Stream } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { BackgroundTasks, type NetworkEnd } from "../../src/BackgroundTasks.ts"
import { ChainParams, type ChainParamsShape, mainnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ConnectionSlots, type Slot } from "../../src/network/ConnectionSlots.ts"
import { type ConnectError, Connector, makePace } from "../../src/network/Connector.ts"
import { Crawler } from "../../src/network/Crawler.ts"
import * as Demand from "../../src/network/Demand.ts"
import { type NetworkEvent, NetworkEvents } from "../../src/network/NetworkEvents.ts"
import { PeerSet, type RequestError } from "../../src/network/PeerSet.ts"
import { ClientDropped, type Peer } from "../../src/peer/Peer.ts"
import type { PeersResponse } from "../../src/peer/Request.ts"
import { defaults, outboundLimit, Policy } from "../../src/Policy.ts"
import { DialError } from "../../src/transport/Transport.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { fakePeer } from "./fakePeer.ts"

/** How a dial ends: with a peer that stays, one that leaves at once, or an error. */
export type Outcome = "stays" | "leaves" | "fails"

export interface DialWorldOptions {
  readonly policy?: Partial<Policy>
  readonly chain?: ChainParamsShape
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

const connectorLayer = (log: DialLog, outcome: (address: string) => Outcome) =>
  Layer.effect(
    Connector,
    Effect.gen(function* () {
      const policy = yield* Policy
      const connect = (
        address: PeerSocketAddress.PeerSocketAddress,
        slot: Slot
      ): Effect.Effect<Peer, ConnectError, Scope.Scope> =>
        Effect.gen(function* () {
          const text = PeerSocketAddress.format(address)
          log.dials.push({ address: text, atMillis: yield* Clock.currentTimeMillis })
          const how = outcome(text)
          if (how === "fails") {
            return yield* new DialError({ address: text, code: "ECONNREFUSED", cause: "scripted" })
          }
          yield* slot.markOpen
          const peer = fakePeer({ id: ++log.connected, address: text })
          log.held.add(peer)
          yield* Effect.addFinalizer(() => Effect.sync(() => log.held.delete(peer)))
          if (how === "leaves") yield* peer.close(new ClientDropped())
          return peer
        })
      return Connector.of({ connect, takeTurn: yield* makePace(policy.dialInterval) })
    })
  )

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
        peers: Effect.sync(() => [...log.held])
      }
      return PeerSet.of(partial as PeerSet["Service"])
    })
  )

/** Everything but the crawler. */
export const dialWorld = (log: DialLog, options: DialWorldOptions = {}) =>
  Layer.mergeAll(
    connectorLayer(log, options.outcome ?? (() => "fails")),
    peerSetLayer(log, options.answer ?? nobodyNew),
    ConnectionSlots.layer,
    NetworkEvents.layer,
    AddressBook.layer.pipe(Layer.provideMerge(BanList.layer))
  ).pipe(
    Layer.provideMerge(Layer.mergeAll(Layer.succeed(ChainParams, options.chain ?? mainnet), BackgroundTasks.layer)),
    Layer.provideMerge(Layer.succeed(Policy, { ...defaults, ...options.policy }))
  )

export const crawlerWorld = (log: DialLog, options: DialWorldOptions = {}) =>
  Crawler.layer.pipe(Layer.provideMerge(dialWorld(log, options)))

/** So many addresses that were gossiped and may be dialled: `127.1.n.m`, port 1. */
export const gossip = Effect.fnUntraced(function* (count: number) {
  const book = yield* AddressBook
  const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  yield* book.addGossiped(
    Array.from({ length: count }, (_, i) => ({
      address: PeerSocketAddress.fromStringUnsafe(`127.1.${i >> 8}.${i & 0xff}:1`),
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
