/**
 * Port: how far the program that uses us has validated the chain.
 *
 * The network layer asks only for height, hash and block time of one and the same block. They decide which peers are
 * too old (`ProtocolVersion.minimumVersion`) and whether we are still catching up.
 *
 * @module
 */
import { Context, Duration, Effect, Layer, Option, SubscriptionRef } from "effect"
import * as Subscribable from "../Subscribable.ts"
import { maxHeight } from "./CoinbaseHeight.ts"
import type { BlockHash } from "./Hash.ts"

/** What peers are told of a tip: its height, 0 without one. Never a number that a `version` cannot state. */
export const statedHeight = (tip: Option.Option<Tip>): number =>
  // `NaN` is no height either, and `||` makes it 0.
  Option.isNone(tip) ? 0 : Math.min(Math.max(Math.trunc(tip.value.height) || 0, 0), maxHeight)

/** The best block of the program that uses us. */
export interface Tip {
  /** 0 to 2,147,483,647. Peers are told the nearest of these when it is another number. */
  readonly height: number
  readonly hash: BlockHash
  /** Seconds since the Unix epoch, from the block's header. */
  readonly blockTimeSeconds: number
}

/** Port: the best block of the program that uses us. */
export class ChainTip extends Context.Service<
  ChainTip,
  {
    /** `None` while nothing is known: the least demanding versions are accepted, and we count as catching up. */
    readonly tip: Subscribable.Subscribable<Option.Option<Tip>>
  }
>()("network-effect/chain/ChainTip") {
  /** For programs without a chain: never any tip. */
  static readonly layerNone: Layer.Layer<ChainTip> = Layer.effect(
    ChainTip,
    Effect.map(SubscriptionRef.make(Option.none<Tip>()), (tip) => ChainTip.of({ tip: Subscribable.fromRef(tip) }))
  )

  /** A tip that the holder of the reference moves. */
  static readonly layerRef = (tip: SubscriptionRef.SubscriptionRef<Option.Option<Tip>>): Layer.Layer<ChainTip> =>
    Layer.succeed(ChainTip, ChainTip.of({ tip: Subscribable.fromRef(tip) }))
}

/**
 * Whether a tip is at or near the tip of the network: its block is at most `nearTipAge` old, inclusive. A time in the
 * future counts as near; no tip does not.
 *
 * Source: zebra-chain chain_tip.rs, `is_at_or_near_network_tip`.
 */
export const isNearTip = (tip: Option.Option<Tip>, nowSeconds: number, nearTipAge: Duration.Duration): boolean =>
  Option.isSome(tip) && nowSeconds - tip.value.blockTimeSeconds <= Duration.toSeconds(nearTipAge)
