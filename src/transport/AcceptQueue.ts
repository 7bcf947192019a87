/**
 * Streams that wait to be accepted: first come, first served, up to `maxWaitingStreams`.
 *
 * @module
 */
import { Effect, Exit, Queue, type Scope } from "effect"
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

  /** Empties the queue for good; the caller closes what comes out. */
  readonly drain: Effect.Effect<ReadonlyArray<A>>
}

/** `open` answers nothing for a stream that broke while it waited; the next one is taken then. */
export const make = Effect.fnUntraced(function* <A>(open: (waiting: A) => OpenStream | undefined) {
  const waiting = yield* Queue.dropping<A>(maxWaitingStreams)

  const queue: AcceptQueue<A> = {
    offer: (arrived) => Queue.offerUnsafe(waiting, arrived),

    // Only the waiting can be interrupted, and takes nothing: a stream that was taken is in the scope.
    accept: Effect.uninterruptibleMask((restore) => {
      const next: Effect.Effect<ByteStream, never, Scope.Scope> = Effect.suspend(() => {
        const oldest = Queue.takeUnsafe(waiting)
        if (oldest === undefined || Exit.isFailure(oldest)) return Effect.andThen(restore(Queue.peek(waiting)), next)
        const stream = open(oldest.value)
        return stream === undefined
          ? next
          : Effect.as(
              Effect.addFinalizer(() => stream.close),
              stream
            )
      })
      return next
    }),

    size: () => Queue.sizeUnsafe(waiting),

    drain: Queue.clear(waiting)
  }
  return queue
})
