/** A peer set among scripted peers. */
import { Context, Effect, type Fiber, Layer, Option, Stream, SubscriptionRef } from "effect"
import { NetAddress } from "effect/net"
import { BanList } from "../../src/addresses/BanList.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import { ChainParams, type ChainParamsShape, mainnet } from "../../src/chain/ChainParams.ts"
import { ChainTip, type Tip } from "../../src/chain/ChainTip.ts"
import { type BlockHash, zeroBlockHash } from "../../src/chain/Hash.ts"
import { InventoryRegistry } from "../../src/routing/InventoryRegistry.ts"
import { type PeerRefused, PeerSet } from "../../src/network/PeerSet.ts"
import { TrustedPeers } from "../../src/routing/TrustedPeers.ts"
import type { Peer } from "../../src/peer/Peer.ts"
import type { BlocksByHash } from "../../src/peer/Request.ts"
import { defaults, Policy } from "../../src/Policy.ts"
import * as Subscribable from "../../src/Subscribable.ts"
import { fakePeer, type FakePeer, type FakePeerOptions } from "./fakePeer.ts"

export interface WorldOptions {
  readonly chain?: ChainParamsShape
  readonly policy?: Partial<Policy>
  readonly trusted?: ReadonlyArray<string>
  readonly registry?: typeof InventoryRegistry.layer
  /** Built before the peer set. */
  readonly below?: Layer.Layer<never, never, BackgroundTasks>
  /** Nobody is told when the tip moves or somebody is banned: it is seen with whatever happens next. */
  readonly quiet?: boolean
}

/** The tip of the program that uses us, for `reach` to move. */
export class MovableTip extends Context.Service<MovableTip, SubscriptionRef.SubscriptionRef<Option.Option<Tip>>>()(
  "network-effect/test/MovableTip"
) {}

const movableTip = (isQuiet: boolean) =>
  Layer.effect(
    ChainTip,
    Effect.map(MovableTip, (ref) => {
      const tip = Subscribable.fromRef(ref)
      return ChainTip.of({ tip: isQuiet ? { ...tip, changes: Stream.never } : tip })
    })
  ).pipe(Layer.provideMerge(Layer.effect(MovableTip, SubscriptionRef.make(Option.none<Tip>()))))

const banList = (isQuiet: boolean) =>
  isQuiet
    ? Layer.effect(
        BanList,
        Effect.map(BanList.make([]), (list) => ({ ...list, bans: { ...list.bans, changes: Stream.never } }))
      )
    : BanList.layer

/** Any number of connections per host, unless the policy says otherwise. */
export const world = (options: WorldOptions = {}) =>
  PeerSet.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        options.registry ?? InventoryRegistry.layer,
        movableTip(options.quiet ?? false),
        banList(options.quiet ?? false),
        options.below ?? Layer.empty
      )
    ),
    Layer.provideMerge(BackgroundTasks.layer),
    Layer.provide(
      Layer.mergeAll(
        Layer.succeed(ChainParams, options.chain ?? mainnet),
        TrustedPeers.layer((options.trusted ?? []).map(NetAddress.ipFromStringUnsafe))
      )
    ),
    Layer.provideMerge(Layer.succeed(Policy, { ...defaults, connectionsPerGroup: 1000, ...options.policy }))
  )

/** Runs until it waits. */
export const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

export const isPending = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.pollUnsafe() === undefined

/** A peer of this number at 127.0.0.1, connected. */
export const join = (
  id: number,
  options: Partial<FakePeerOptions> = {}
): Effect.Effect<FakePeer, PeerRefused, PeerSet> =>
  Effect.gen(function* () {
    const peer = fakePeer({ id, address: `127.0.0.1:${id}`, ...options })
    // Whether it was refused is what some tests are about.
    yield* refusalOf(peer)
    return peer
  })

/** Why the peer set does not take in a peer; `undefined` when it does. */
export const refusalOf = (peer: Peer) =>
  Effect.flatMap(PeerSet, (peerSet) =>
    Effect.match(peerSet.add(peer), { onFailure: ({ reason }) => reason, onSuccess: () => undefined })
  )

/** A hash of 32 bytes of the same value. */
export const blockHash = (byte: number): BlockHash =>
  byte === 0 ? zeroBlockHash : (byte.toString(16).padStart(2, "0").repeat(32) as BlockHash)

/** A request for the block of 32 bytes of the same value. */
export const block = (byte: number): BlocksByHash => ({ _tag: "BlocksByHash", hashes: new Set([blockHash(byte)]) })

/** The number of the block that a request asks for. */
export const numberOf = (request: { readonly _tag: string }): number | string => {
  const { hash, hashes } = request as { readonly hash?: BlockHash; readonly hashes?: ReadonlySet<BlockHash> }
  const [asked = hash] = hashes ?? []
  return asked === undefined ? request._tag : Number.parseInt(asked.slice(0, 2), 16)
}

/** The tip of the program that uses us reaches a height, with a block from long ago unless said otherwise. */
export const reach = (height: number, blockTimeSeconds = -1_000_000): Effect.Effect<void, never, MovableTip> =>
  Effect.flatMap(MovableTip, (tip) =>
    SubscriptionRef.set(tip, Option.some({ height, hash: zeroBlockHash, blockTimeSeconds }))
  )
