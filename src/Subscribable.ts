/**
 * A value that changes, for those who may only look at it. Whoever makes it keeps the `SubscriptionRef` and alone can set it.
 *
 * @module
 */
import { Effect, type Stream, SubscriptionRef } from "effect"

/** A value that changes. */
export interface Subscribable<out A> {
  /** As it is now. */
  readonly get: Effect.Effect<A>
  /** As it is now, for code that runs in no fiber. */
  readonly getUnsafe: () => A
  /** As it is now, then each later value, in order. Read on at once: what waits for a reader is kept. */
  readonly changes: Stream.Stream<A>
}

/** What others may see of a reference. */
export const fromRef = <A>(ref: SubscriptionRef.SubscriptionRef<A>): Subscribable<A> => ({
  get: SubscriptionRef.get(ref),
  getUnsafe: () => SubscriptionRef.getUnsafe(ref),
  changes: SubscriptionRef.changes(ref)
})
