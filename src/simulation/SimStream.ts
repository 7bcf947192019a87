/**
 * The two ends of a stream in memory.
 *
 *     write ─▶ outbox ─▶ on the way ─▶ inbox ─▶ read
 *              waits     └── at most windowBytes ──┘
 *              with the sender
 *
 * Bytes leave the outbox while the window has room and the link lets them pass; `write` waits until its bytes have left.
 * So whoever does not read stops whoever writes, as over TCP. Without latency a chunk is in the inbox before `write`
 * returns; nothing here has a fiber.
 *
 * @module
 */
import { type Duration, Effect } from "effect"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import type { OpenStream } from "../transport/AcceptQueue.ts"
import { StreamClosed, twoReaders } from "../transport/Transport.ts"
import type { SimLink } from "./SimLink.ts"

/** Bytes on the way or unread, per stream and direction. As much as Node buffers of a socket. */
export const windowBytes = 65_536

const eof = new StreamClosed({ reason: "Eof", code: "" })
const local = new StreamClosed({ reason: "Local", code: "" })
const reset = new StreamClosed({ reason: "Reset", code: "ECONNRESET" })

/** What one end needs to know of its world. */
export interface StreamOptions {
  readonly localAddress: PeerSocketAddress
  readonly remoteAddress: PeerSocketAddress
  /** The direction this end sends in. */
  readonly link: SimLink
  readonly closeGrace: Duration.Duration
  /** Called once, when this end is over and nothing of it waits to be sent. */
  readonly onOver: (stream: SimStream) => void
}

export class SimStream implements OpenStream {
  readonly localAddress: PeerSocketAddress
  readonly remoteAddress: PeerSocketAddress
  readonly proxyAddress = undefined
  readonly #options: StreamOptions
  readonly #link: SimLink
  #other: SimStream | undefined

  #outbox: Array<Uint8Array> = []
  /** Bytes that left the outbox and were not read yet. */
  #inWindow = 0
  #sentBytes = 0
  /** Chunks on the way, and when the last of them arrives. */
  #onTheWay = 0
  #lastArrival = 0
  /** What follows the outbox. */
  #finish: "Fin" | "Reset" | undefined
  #writers = new Set<() => void>()

  #inbox: Array<Uint8Array> = []
  #bytesRead = 0
  #bytesWritten = 0
  /** Why nothing more arrives. */
  #ended: StreamClosed | undefined
  #reader: (() => void) | undefined

  /** Why nothing more is written. */
  #closed: StreamClosed | undefined
  #isOver = false
  #onOver: (() => void) | undefined

  constructor(options: StreamOptions) {
    this.#options = options
    this.#link = options.link
    this.localAddress = options.localAddress
    this.remoteAddress = options.remoteAddress
  }

  /** Makes two ends one stream. */
  static join(one: SimStream, two: SimStream): void {
    one.#other = two
    two.#other = one
  }

  readonly bytesRead = () => this.#bytesRead
  readonly bytesWritten = () => this.#bytesWritten

  readonly read: Effect.Effect<Uint8Array, StreamClosed> = Effect.suspend(() => {
    const taken = this.#take()
    if (taken === undefined) return this.#readable
    return taken instanceof StreamClosed ? Effect.fail(taken) : Effect.succeed(taken)
  })

  readNow(onReadable: () => void): Uint8Array | StreamClosed | undefined {
    const taken = this.#take()
    if (taken === undefined) this.#awaitReadable(onReadable)
    return taken
  }

  #take(): Uint8Array | StreamClosed | undefined {
    if (this.#closed === local) return local
    const chunk = this.#inbox.shift()
    if (chunk === undefined) return this.#ended
    this.#bytesRead += chunk.length
    this.#acknowledge(chunk.length)
    return chunk
  }

  #awaitReadable(onReadable: () => void): () => void {
    if (this.#reader !== undefined) throw new Error(twoReaders)
    const wake = () => {
      if (this.#reader !== wake) return
      this.#reader = undefined
      onReadable()
    }
    this.#reader = wake
    return wake
  }

  // Resumes with the reading and not with the bytes: whoever is interrupted in between takes nothing. Here and below: a fiber may give
  // way between its look and its wait, so it looks again.
  readonly #readable = Effect.callback<Uint8Array, StreamClosed>((resume) => {
    if (this.#inbox.length > 0 || this.#ended !== undefined || this.#closed === local) return resume(this.read)
    const wake = this.#awaitReadable(() => resume(this.read))
    return Effect.sync(() => {
      if (this.#reader === wake) this.#reader = undefined
    })
  })

  readonly write = (bytes: Uint8Array): Effect.Effect<void, StreamClosed> =>
    Effect.suspend(() => {
      if (this.#closed !== undefined) return Effect.fail(this.#closed)
      // An interrupted write may have left bytes; without this each such write would add to them.
      if (this.#outbox.length > 0) return Effect.andThen(this.#sent, this.write(bytes))
      if (bytes.length === 0) return Effect.void
      this.#bytesWritten += bytes.length
      this.#outbox.push(bytes)
      this.send()
      if (this.#closed !== undefined) return Effect.fail(this.#closed)
      return this.#outbox.length === 0 ? Effect.void : this.#sent
    })

  writeNow(bytes: Uint8Array): boolean {
    if (this.#closed !== undefined || this.#outbox.length > 0) return false
    const { cutAfterBytes, passes, segmentBytes } = this.#link.conditions()
    const room = Math.min(windowBytes - this.#inWindow, segmentBytes, cutAfterBytes - this.#sentBytes)
    if (!passes || bytes.length > room) return false
    this.#bytesWritten += bytes.length
    this.#transmit(bytes)
    // Whoever gets them may have said that nobody reads them.
    return this.#closed === undefined
  }

  readonly #sent = Effect.callback<void, StreamClosed>((resume) => {
    if (this.#closed !== undefined) return resume(Effect.fail(this.#closed))
    if (this.#outbox.length === 0) return resume(Effect.void)
    const wake = () => {
      if (!this.#writers.delete(wake)) return
      resume(this.#closed === undefined ? Effect.void : Effect.fail(this.#closed))
    }
    this.#writers.add(wake)
    return Effect.sync(() => this.#writers.delete(wake))
  })

  /** Sends what the window and the link let pass. Called again whenever one of them may have changed. */
  send(): void {
    while (this.#outbox.length > 0) {
      const { cutAfterBytes, passes, segmentBytes } = this.#link.conditions()
      if (!passes) return this.#link.stall(this)
      const room = Math.min(windowBytes - this.#inWindow, segmentBytes)
      const beforeCut = cutAfterBytes - this.#sentBytes
      if (beforeCut <= 0) return this.#cut()
      if (room <= 0) return
      const head = this.#outbox[0]!
      const size = Math.min(head.length, room, beforeCut)
      if (size === head.length) this.#outbox.shift()
      else this.#outbox[0] = head.subarray(size)
      const chunk = size === head.length ? head : head.subarray(0, size)
      this.#transmit(chunk)
    }
    this.#wakeWriters()
    if (this.#finish !== undefined) this.#sendFinish(this.#finish)
  }

  #transmit(chunk: Uint8Array): void {
    this.#sentBytes += chunk.length
    this.#inWindow += chunk.length
    this.#deliver(chunk.length, (other) => other.#receive(chunk))
  }

  #sendFinish(finish: "Fin" | "Reset"): void {
    this.#finish = finish
    if (!this.#link.conditions().passes) return this.#link.stall(this)
    this.#finish = undefined
    const ended = finish === "Fin" ? eof : reset
    this.#deliver(0, (other) => other.#end(ended))
    this.#over()
  }

  /** In order: nothing overtakes what was sent before it. */
  #deliver(bytes: number, arrive: (other: SimStream) => void): void {
    const other = this.#other
    if (other === undefined) return
    const arrival = this.#link.arrival(bytes)
    if (this.#onTheWay === 0 && arrival <= this.#link.now()) return arrive(other)
    this.#lastArrival = Math.max(this.#lastArrival, arrival)
    this.#onTheWay++
    this.#link.at(this.#lastArrival, () => {
      this.#onTheWay--
      arrive(other)
    })
  }

  #receive(chunk: Uint8Array): void {
    if (this.#closed === undefined) {
      this.#inbox.push(chunk)
      return this.#wakeReader()
    }
    // Nobody will read it. A host says so with a reset, if it is there to say anything.
    if (this.#finish === undefined && this.#ended !== reset) {
      this.#ended = reset
      this.#sendFinish("Reset")
    }
  }

  /** Makes room for what the other side still sends. */
  #acknowledge(bytes: number): void {
    const other = this.#other
    if (other === undefined) return
    other.#inWindow -= bytes
    other.send()
  }

  /** The other side ended the stream; a reset ends our side too, for the reason that came first. */
  #end(reason: StreamClosed): void {
    this.#ended ??= reason
    if (reason === reset) this.#abandon(this.#ended)
    this.#wakeReader()
  }

  /** Reset in the middle, by the network: what is on the way arrives, then both sides see the end. */
  #cut(): void {
    this.#deliver(0, (other) => other.#end(reset))
    this.#ended ??= reset
    this.#abandon(reset)
  }

  /** Ends both sides at once, as a host does that has no room for the stream. */
  refuse(): void {
    this.#sendFinish("Reset")
    this.#abandon(local)
  }

  /** Ends this side without a word to the other, as when its host loses power. */
  vanish(): void {
    if (this.#closed === undefined) this.#forget()
    this.#abandon(local)
  }

  #abandon(reason: StreamClosed): void {
    this.#closed ??= reason
    this.#outbox = []
    this.#finish = undefined
    this.#wakeReader()
    this.#wakeWriters()
    this.#over()
  }

  /** Drops what was not read. */
  #forget(): void {
    const unread = this.#inbox.reduce((bytes, chunk) => bytes + chunk.length, 0)
    this.#inbox = []
    this.#acknowledge(unread)
  }

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#closed !== undefined) return Effect.void
    this.#closed = local
    this.#wakeReader()
    this.#wakeWriters()
    if (this.#outbox.length === 0) this.#sendFinish("Fin")
    else this.#finish = "Fin"
    this.#forget()
    return this.#isOver ? Effect.void : this.#flush
  })

  readonly #flush = Effect.suspend(() =>
    Effect.callback<void>((resume) => {
      if (this.#isOver) return resume(Effect.void)
      this.#onOver = () => resume(Effect.void)
    }).pipe(
      Effect.timeoutOption(this.#options.closeGrace),
      Effect.andThen(
        Effect.sync(() => {
          this.#onOver = undefined
          if (this.#outbox.length > 0) {
            this.#outbox = []
            this.#sendFinish("Reset")
          }
          // Where nothing gets through, the other side hears of the end when something does. This side is done.
          this.#over()
        })
      )
    )
  )

  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#options.onOver(this)
    if (this.#onOver !== undefined) this.#link.wake(this.#onOver)
  }

  #wakeReader(): void {
    const reader = this.#reader
    if (reader !== undefined) this.#link.wake(reader)
  }

  #wakeWriters(): void {
    for (const wake of this.#writers) this.#link.wake(wake)
  }
}
