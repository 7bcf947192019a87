/**
 * Streams that wait for a turn, each for as long as its guest stays.
 *
 * What comes on a stream that waits is read at once, and given to whoever reads it later: only so is it seen when the other side
 * has gone, and its descriptor is free then and not at its turn. Whoever has gone has no turn, whatever it said before: nobody is
 * there to shake hands with.
 *
 * **Security**
 *
 * Nobody has more to say before it hears our `version` than its own; whoever says more than `mostSaid` is let go, for so many bytes
 * of each that waits would be many. How many may wait is `FairQueue`'s.
 *
 * @module
 */
import { Effect, Exit, Fiber, FiberSet, Scope } from "effect"
import { type ByteStream, StreamClosed } from "../transport/Transport.ts"
import { FairQueue, type Shares, type Waiting } from "./FairQueue.ts"

/** Bytes of somebody who waits: a `version`, which is at most 1,048 with its header, and some more. */
const mostSaid = 4096

const tooMuch = new StreamClosed({ reason: "Local", code: "" })

/** Somebody who waits for a turn; its stream ends with the scope. */
export interface Arrival extends Waiting {
  readonly stream: ByteStream
  readonly scope: Scope.Closeable
}

/** Who waits, and what is seen of it meanwhile. */
interface Guest extends Arrival {
  said?: Uint8Array
  /** Reads until the end, or its turn. */
  look?: Fiber.Fiber<unknown, unknown>
  isTaken?: true
}

export class WaitingRoom {
  readonly #queue: FairQueue<Guest>
  readonly #left: (arrival: Arrival, reason: StreamClosed) => Effect.Effect<void>
  readonly #looks: FiberSet.FiberSet<void>

  /**
   * `left` is told of each whose guest has gone, before its stream is closed. Who looks after guests is one of `looks`, which
   * somebody has to join: what dies there is a bug of ours.
   */
  constructor(
    shares: Shares,
    left: (arrival: Arrival, reason: StreamClosed) => Effect.Effect<void>,
    looks: FiberSet.FiberSet<void>
  ) {
    this.#queue = new FairQueue(shares)
    this.#left = left
    this.#looks = looks
  }

  /** As `FairQueue.offer`. */
  offer(arrival: Arrival): Effect.Effect<Arrival | undefined> {
    return Effect.suspend(() => {
      const guest: Guest = { ...arrival }
      const gone = this.#queue.offer(guest)
      if (gone === guest) return Effect.succeed(gone)
      // Whoever is alone has its turn in a moment.
      const look = this.#queue.size === 1 ? Effect.void : this.#lookAfter(guest)
      return Effect.as(look, gone)
    })
  }

  /** The next one, with nothing of its stream read. */
  take(): Effect.Effect<Arrival> | undefined {
    const guest = this.#queue.take()
    if (guest === undefined) return undefined
    guest.isTaken = true
    if (guest.look === undefined) return Effect.succeed(guest)
    return Effect.map(Fiber.interrupt(guest.look), () => ({
      ...guest,
      stream: startingWith(guest.said, guest.stream)
    }))
  }

  #lookAfter(guest: Guest): Effect.Effect<void> {
    const look = Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        // A stream has one reader. It was in the queue before this began.
        if (guest.isTaken === true) return Effect.void
        const fiber = Fiber.getCurrent()
        if (fiber !== undefined) guest.look = fiber
        return this.#listen(guest, restore(guest.stream.read))
      })
    )
    return Effect.asVoid(FiberSet.run(this.#looks, look, { startImmediately: true }))
  }

  #listen(guest: Guest, read: ByteStream["read"]): Effect.Effect<void> {
    return Effect.matchEffect(read, {
      onSuccess: (chunk) =>
        Effect.suspend(() => {
          guest.said = guest.said === undefined ? chunk : Buffer.concat([guest.said, chunk])
          return guest.said.length > mostSaid ? this.#letGo(guest, tooMuch) : this.#listen(guest, read)
        }),
      onFailure: (reason) => this.#letGo(guest, reason)
    })
  }

  /** Its turn may have come meanwhile; then whoever has it hears of the end. */
  #letGo(guest: Guest, reason: StreamClosed): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.#queue.remove(guest)
        ? Effect.andThen(this.#left(guest, reason), Scope.close(guest.scope, Exit.void))
        : Effect.void
    )
  }
}

/** The stream as if `chunk` had not been read. */
const startingWith = (chunk: Uint8Array | undefined, stream: ByteStream): ByteStream => {
  if (chunk === undefined) return stream
  let first: Uint8Array | undefined = chunk
  const takeFirst = () => {
    const taken = first
    first = undefined
    return taken
  }
  return {
    remoteAddress: stream.remoteAddress,
    localAddress: stream.localAddress,
    proxyAddress: stream.proxyAddress,
    write: (bytes) => stream.write(bytes),
    writeNow: (bytes) => stream.writeNow?.(bytes) ?? false,
    bytesRead: () => stream.bytesRead(),
    bytesWritten: () => stream.bytesWritten(),
    read: Effect.suspend(() => {
      const taken = takeFirst()
      return taken === undefined ? stream.read : Effect.succeed(taken)
    }),
    readNow: stream.readNow && ((onReadable) => takeFirst() ?? stream.readNow?.(onReadable))
  }
}
