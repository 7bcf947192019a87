/**
 * How many more connections are wanted: a counter that never waits and never overflows.
 *
 * There are never more usable slots than the counter holds, so a signal too many is lost without harm, and whoever
 * signals can't be held up by the crawler, which makes requests itself.
 *
 * @module
 */
import { Deferred, Effect, Latch } from "effect"

export interface Demand<E> {
  /** One more. `false` when the counter is full or the network has ended. */
  readonly offer: Effect.Effect<boolean>
  /** Takes one if there is one. */
  readonly takeUnsafe: () => boolean
  /** Waits until there is one to take, and takes none; fails when the network has ended. Interrupting it loses nothing. */
  readonly awaitOne: Effect.Effect<void, E>
  /** Waits for one and takes it. Interrupting it loses nothing. */
  readonly take: Effect.Effect<void, E>
}

/** A counter up to `capacity`, for as long as `ended` has not failed. */
export const make = <E>(
  capacity: number,
  ended: Deferred.Deferred<never, E>
): { readonly demand: Demand<E>; readonly offerUnsafe: () => boolean; readonly closeUnsafe: () => void } => {
  const latch = Latch.makeUnsafe(false)
  let count = 0
  let closed = false

  const offerUnsafe = () => {
    if (closed || count >= capacity) return false
    count++
    latch.openUnsafe()
    return true
  }

  const takeUnsafe = () => {
    if (closed || count === 0) return false
    count--
    if (count === 0) latch.closeUnsafe()
    return true
  }

  const awaitDemand = Effect.suspend(() =>
    Effect.andThen(
      latch.await,
      Effect.suspend(() => (closed ? Deferred.await(ended) : Effect.void))
    )
  )

  const take: Effect.Effect<void, E> = Effect.flatMap(awaitDemand, () =>
    // Somebody else may have taken it between the latch and here.
    Effect.suspend(() => (takeUnsafe() ? Effect.void : take))
  )

  return {
    demand: { offer: Effect.sync(offerUnsafe), takeUnsafe, awaitOne: awaitDemand, take },
    offerUnsafe,
    closeUnsafe: () => {
      closed = true
      latch.openUnsafe()
    }
  }
}
