/**
 * Makes room for newcomers while every inbound place is taken, and remembers who had to go.
 *
 * `Eviction.ts` decides; this keeps the secret key, the window and what happened. A newcomer has shaken hands in one of the
 * places that are kept for that, and may join as far as the peer set is concerned, before anybody is asked to go for it.
 * That, its coming in and the exchange of their two slots are one step, so no limit is passed at any time.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, Layer, Metric } from "effect"
import { SecureRandom } from "effect/crypto"
import { AddressGroups } from "../addresses/AddressGroups.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { sha256d } from "../bytes/Hashing.ts"
import type { Peer } from "../peer/Peer.ts"
import type { ConnectionId } from "../peer/Request.ts"
import { Policy } from "../Policy.ts"
import type { Room } from "../routing/Membership.ts"
import { originOf } from "../routing/Origin.ts"
import { ConnectionSlots, type Slot } from "./ConnectionSlots.ts"
import * as Eviction from "./Eviction.ts"
import { type PeerStanding, PeerSet } from "./PeerSet.ts"

/** Somebody who had to go. */
export interface Evicted {
  /** Milliseconds since the Unix epoch. */
  readonly at: number
  readonly connection: ConnectionId
  /** `ip:port`. */
  readonly address: string
  readonly network: string
  /** Inbound peers of that network, this one included. */
  readonly ofNetwork: number
  readonly reason: Eviction.EvictionReason
  /** Whom it had to make room for: `ip:port`. */
  readonly newcomer: string
  readonly newcomerNetwork: string
}

/** Evictions that are remembered. */
export const rememberedEvictions = 100

/** A newcomer's slot may be exchanged, or a place has become free meanwhile. */
export interface MadeRoom {
  readonly room: Room
  readonly evicted: Evicted | undefined
}

/** Who had to go so that others could come. */
export class Evictions extends Context.Service<
  Evictions,
  {
    /** Whether a newcomer from this address would get a place now, if it shook hands now. */
    readonly mightMakeRoom: (address: PeerSocketAddress.PeerSocketAddress) => boolean
    /**
     * A place for a peer that shook hands in a `handshake` place, in this very step: a free one, or that of somebody who is
     * to be removed in the same step. Then the slots have changed places already.
     */
    readonly makeRoom: (peer: Peer, slot: Slot) => MadeRoom
    /** The slot of an inbound peer, until `gone`. */
    readonly joined: (id: ConnectionId, slot: Slot) => void
    readonly gone: (id: ConnectionId) => void
    /** The latest, oldest first, at most `rememberedEvictions`. */
    readonly latest: () => ReadonlyArray<Evicted>
    /** Inbound peers by network, the largest first. */
    readonly networks: () => ReadonlyArray<readonly [network: string, peers: number]>
  }
>()("network-effect/network/Evictions") {
  /** With a key that is drawn anew for each process: nobody can have learnt it from an earlier one. */
  static readonly layer: Layer.Layer<
    Evictions,
    never,
    ChainParams | ConnectionSlots | PeerSet | SecureRandom.SecureRandom
  > = Layer.effect(Evictions, Effect.gen(make))

  /** Nobody ever goes: a full listener refuses whoever comes, as the reference does. */
  static readonly layerNone: Layer.Layer<Evictions> = Layer.succeed(Evictions, {
    mightMakeRoom: () => false,
    makeRoom: () => full,
    joined: () => undefined,
    gone: () => undefined,
    latest: () => [],
    networks: () => []
  })
}

const full: MadeRoom = { room: { _tag: "Full" }, evicted: undefined }

function* make() {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const slots = yield* ConnectionSlots
  const peerSet = yield* PeerSet
  const clock = yield* Clock.Clock
  const groups = yield* AddressGroups
  const secureRandom = yield* SecureRandom.SecureRandom
  const key = yield* secureRandom.randomBytes(32)
  const metrics = metricsOf(chain.kind, yield* Effect.context<never>())

  const slotOf = new Map<ConnectionId, Slot>()
  const picks = new Map<string, string>()
  const latest: Array<Evicted> = []
  const windowNanos = BigInt(Duration.toMillis(policy.evictionWindow)) * 1_000_000n
  const lost = new Map<string, bigint>()
  const brought = new Map<string, bigint>()

  /** Keyed, and remembered for networks that have a peer. */
  const pickOf = (network: string): string => {
    const known = picks.get(network)
    if (known !== undefined) return known
    const pick = sha256d(Buffer.concat([key, Buffer.from(network)])).toString("hex")
    if (picks.size > 2 * slots.limits.inbound) picks.clear()
    picks.set(network, pick)
    return pick
  }

  /** Those whose place may be given away: inbound, public, with an address. */
  const residents = (): ReadonlyArray<Eviction.Resident & { readonly standing: PeerStanding }> => {
    const all: Array<Eviction.Resident & { readonly standing: PeerStanding }> = []
    for (const standing of peerSet.standingsUnsafe()) {
      const { id, isInbound, joinedAtNanos, merit, network, peer, trusted } = standing
      if (!isInbound || trusted || network === undefined || slotOf.get(id)?.kind !== "inbound") continue
      const roundTrip = peer.roundTrip()
      all.push({
        standing,
        id,
        network,
        pick: pickOf(network),
        joinedAtNanos,
        roundTripMillis: roundTrip === undefined ? undefined : Duration.toMillis(roundTrip),
        blockAtNanos: merit.blockAtNanos,
        transactionAtNanos: merit.transactionAtNanos,
        provenAddresses: merit.provenAddresses
      })
    }
    return all
  }

  /** What is older than the window counts no more. */
  const recent = () => {
    const since = clock.monotonicTimeNanosUnsafe() - windowNanos
    for (const times of [lost, brought]) {
      for (const [network, at] of times) if (at <= since) times.delete(network)
    }
    return { toLose: (network: string) => lost.has(network), toBring: (network: string) => brought.has(network) }
  }

  const verdictFor = (address: PeerSocketAddress.PeerSocketAddress) => {
    const all = residents()
    return { all, verdict: Eviction.choose(all, originOf(address, groups).network, policy, recent()) }
  }

  const mightMakeRoom = (address: PeerSocketAddress.PeerSocketAddress): boolean => {
    const { verdict } = verdictFor(address)
    if (verdict._tag === "Evict") return true
    metrics.refused(verdict.reason)
    return false
  }

  const makeRoom = (peer: Peer, slot: Slot): MadeRoom => {
    if (slots.settle(slot)) return { room: { _tag: "Free" }, evicted: undefined }
    const address = peer.transientAddress
    if (address === undefined) return full
    const { all, verdict } = verdictFor(address)
    if (verdict._tag === "Refuse") {
      metrics.refused(verdict.reason)
      return full
    }
    const leaving = slotOf.get(verdict.id)
    const resident = all.find(({ id }) => id === verdict.id)
    if (leaving === undefined || resident === undefined || !slots.exchange(slot, leaving)) return full
    const { network } = originOf(address, groups)
    const nowNanos = clock.monotonicTimeNanosUnsafe()
    lost.set(verdict.network, nowNanos)
    brought.set(network, nowNanos)
    metrics.evicted(verdict.reason)
    const { transientAddress } = resident.standing.peer
    const evicted: Evicted = {
      at: clock.currentTimeMillisUnsafe(),
      connection: verdict.id,
      address: transientAddress === undefined ? "" : PeerSocketAddress.format(transientAddress),
      network: verdict.network,
      ofNetwork: verdict.ofNetwork,
      reason: verdict.reason,
      newcomer: PeerSocketAddress.format(address),
      newcomerNetwork: network
    }
    latest.push(evicted)
    if (latest.length > rememberedEvictions) latest.shift()
    return { room: { _tag: "Evict", id: verdict.id }, evicted }
  }

  const networks = () => [...Eviction.sizesOf(residents())].sort((a, b) => b[1] - a[1])
  const largestShare = () => {
    const sizes = networks()
    const inbound = sizes.reduce((sum, [, size]) => sum + size, 0)
    return inbound === 0 ? 0 : (sizes[0]?.[1] ?? 0) / inbound
  }
  let shown: Metric.Registration
  // Anew each time: of nodes that share a registry the one that changed last is shown, as by any gauge.
  const show = () => {
    shown = metrics.showLargestShare(largestShare)
  }
  show()
  yield* Effect.addFinalizer(() => Effect.sync(() => shown.remove()))

  return Evictions.of({
    mightMakeRoom,
    makeRoom,
    joined: (id, slot) => {
      slotOf.set(id, slot)
      show()
    },
    gone: (id) => {
      if (slotOf.delete(id)) show()
    },
    latest: () => [...latest],
    networks
  })
}

const refusals: ReadonlyArray<Eviction.Refusal> = ["no-larger-network", "newcomer-too-soon", "too-soon", "protected"]
const reasons: ReadonlyArray<Eviction.EvictionReason> = ["largest-network", "next-largest-network"]

/** What is counted. No label depends on a peer. */
const metricsOf = (network: string, context: Context.Context<never>) => {
  const counters = <R extends string>(name: string, description: string, all: ReadonlyArray<R>) => {
    const byReason = new Map(
      all.map((reason) => {
        const counter = Metric.withAttributes(Metric.counter(name, { description, incremental: true }), {
          network,
          reason
        })
        // Zero from the start: whoever watches a rate needs the value before the first change.
        counter.updateUnsafe(0, context)
        return [reason, counter] as const
      })
    )
    return (reason: R) => byReason.get(reason)?.updateUnsafe(1, context)
  }
  const share = Metric.withAttributes(
    Metric.gauge("zcash.net.inbound.largest_network.share", {
      description:
        "share of the public inbound peers that the network (IPv4 /16, IPv6 /32 or autonomous system) with most of them has, 0 to 1"
    }),
    { network }
  )
  return {
    evicted: counters("zcash.net.inbound.evictions", "inbound peers that had to go for a newcomer", reasons),
    refused: counters(
      "zcash.net.inbound.evictions.refused",
      "newcomers that found every inbound place taken and nobody who had to go",
      refusals
    ),
    /** Looked at when somebody reads it, for it takes a look at all peers. */
    showLargestShare: (look: () => number) =>
      Metric.registerUnsafe(share, context, {
        get: () => ({ value: look() }),
        update: () => undefined,
        modify: () => undefined
      })
  }
}
