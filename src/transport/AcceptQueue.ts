/**
 * Streams that wait to be accepted: first come, first served, up to `maxWaitingStreams`.
 *
 * @module
 */
import { Effect, type Scope } from "effect"
import { type ByteStream, maxWaitingStreams } from "./Transport.ts"

/** A stream and how it ends. */
export interface OpenStream extends ByteStream {
  /** Flushes for at most `Policy.closeGrace`, then cuts. Ends nothing twice. */
  readonly close: Effect.Effect<void>
}

export interface AcceptQueue<A> {
  /** `false` when there is no room: the caller refuses what it offered. Wakes whoever accepts. */
  readonly offer: (arrived: A) => boolean

  /** Takes the oldest and opens it in the caller's scope. Interrupting it leaves the queue as it was. */
  readonly accept: Effect.Effect<ByteStream, never, Scope.Scope>

  /** How many wait. */
  readonly size: () => number

  /** Empties the queue; the caller closes what comes out. */
  readonly drain: () => ReadonlyArray<A>
}

/** `open` answers nothing for a stream that broke while it waited; the next one is taken then. */
export const make = <A>(open: (waiting: A) => OpenStream | undefined): AcceptQueue<A> => {
  const waiting: Array<A> = []
  const acceptors = new Set<() => void>()

  const arrival = Effect.callback<void>((resume) => {
    const wake = () => {
      acceptors.delete(wake)
      resume(Effect.void)
    }
    acceptors.add(wake)
    return Effect.sync(() => acceptors.delete(wake))
  })

  return {
    offer: (arrived) => {
      if (waiting.length >= maxWaitingStreams) return false
      waiting.push(arrived)
      // A copy: whoever is woken may wait again before we are through.
      for (const wake of Array.from(acceptors)) wake()
      return true
    },

    // Only the waiting can be interrupted: a stream that was taken is in the scope.
    accept: Effect.uninterruptibleMask((restore) => {
      const next: Effect.Effect<ByteStream, never, Scope.Scope> = Effect.suspend(() => {
        const oldest = waiting.shift()
        if (oldest === undefined) return Effect.andThen(restore(arrival), next)
        const stream = open(oldest)
        return stream === undefined
          ? next
          : Effect.as(
              Effect.addFinalizer(() => stream.close),
              stream
            )
      })
      return next
    }),

    size: () => waiting.length,

    drain: () => waiting.splice(0)
  }
}
