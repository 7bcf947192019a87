/**
 * How many more connections are wanted: a counter that never waits and never overflows.
 *
 * There are never more usable slots than the counter holds, so a signal too many is lost without harm, and whoever
 * signals can't be held up by the crawler, which makes requests itself.
 *
 * @module
 */
import { Cause, Effect, Exit, Queue } from "effect"

/** Ends with an `E`. */
export interface Demand<E> {
  /** One more. `false` when the counter is full or the network has ended. */
  readonly offer: Effect.Effect<boolean>
  /** Takes one if there is one. */
  readonly takeUnsafe: () => boolean
  /** Waits until there is one to take, and takes none; fails when the network has ended. Interrupting it loses nothing. */
  readonly awaitOne: Effect.Effect<void, E>
}

/** A demand, for whoever decides about it. */
export interface OwnDemand<E> {
  readonly demand: Demand<E>
  readonly offerUnsafe: () => boolean
  /** From now on nothing is wanted. */
  readonly endUnsafe: (reason: E) => void
}

/** A counter up to `capacity`. */
export const make = <E>(capacity: number): Effect.Effect<OwnDemand<E>> =>
  Effect.map(Queue.dropping<void, E>(capacity), (signals) => {
    const offerUnsafe = () => Queue.offerUnsafe(signals, undefined)
    const takeUnsafe = () => {
      const taken = Queue.takeUnsafe(signals)
      return taken !== undefined && Exit.isSuccess(taken)
    }
    return {
      demand: { offer: Effect.sync(offerUnsafe), takeUnsafe, awaitOne: Queue.peek(signals) },
      offerUnsafe,
      endUnsafe: (reason) => {
        // What is left over would be given out first.
        while (takeUnsafe()) continue
        Queue.failCauseUnsafe(signals, Cause.fail(reason))
      }
    }
  })
