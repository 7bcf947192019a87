/**
 * Stream of bytes ↔ messages.
 *
 *     read ─▶ chunk ─▶ FrameDecoder ─▶ frame ─▶ Message       poll, or receive
 *     write ◀─────────────────────────── bytes ◀─ Message     send
 *
 * A long body is decoded in slices, and whoever polls lets others have a turn between them (`isDecoding`).
 *
 * **Security**
 *
 * A chunk is read only when no whole message is left of the last ones, so at most one unfinished message and one chunk
 * are held (`maxBufferedBytes`, 2.1 MB), and a peer that floods us fills its own window. One message is encoded at a time,
 * and the next only when the transport took it, so a peer that does not read costs one message above the transport's
 * high-water mark (`maxUnsentBytes`, 2.1 MB). Every write has a time limit.
 *
 * @module
 */
import { Clock, Context, Effect, Result } from "effect"
import { ourProtocolVersion } from "../chain/ProtocolVersion.ts"
import type { Policy } from "../Policy.ts"
import type { ByteStream, StreamClosed } from "../transport/Transport.ts"
import {
  FrameDecoder,
  type FrameError,
  headerBytes,
  type Magic,
  maxBodyBytes,
  maxHandshakeBodyBytes
} from "../wire/Frame.ts"
import * as Wire from "../wire/Message.ts"
import { ConnectionClosed, ConnectionSendTimeout, Serialization, type Traffic } from "./Peer.ts"
import * as PeerMetrics from "./PeerMetrics.ts"
import * as TimeLimit from "./TimeLimit.ts"

/**
 * Largest chunk a transport hands over at once, in bytes: what Node reads from a socket, and `SimNetwork` keeps to it.
 *
 * Source: Node lib/net.js and libuv, the read buffer of a stream.
 */
const maxChunkBytes = 65_536

/** Bytes of input one connection holds, at most: a message that lacks its last byte, and the chunk that brings it. */
export const maxBufferedBytes = headerBytes + maxBodyBytes + maxChunkBytes

/** Bytes of output one connection holds, at most: a message, above a transport that is full to its high-water mark. */
export const maxUnsentBytes = headerBytes + maxBodyBytes + maxChunkBytes

/** Why nothing more is received. */
export type ReceiveError = ConnectionClosed | Serialization

/** Why a message was not sent; nothing more may be sent then, for part of it may be on the way. */
export type SendError = ConnectionClosed | Serialization | ConnectionSendTimeout

type Decoding = ReturnType<typeof Wire.decodeSlices>

const nothingYet = Result.succeed(undefined)

export class MessageStream {
  readonly #stream: ByteStream
  readonly #magic: Magic
  readonly #policy: Pick<Policy, "requestTimeout">
  readonly #context: Context.Context<never>
  readonly #decoder: FrameDecoder
  readonly #clock: Clock.Clock
  readonly #received = new Map<string, number>()
  readonly #sent = new Map<string, number>()
  /** Of the bytes that were announced. */
  #counted = 0
  #lastReceivedMillis: number | undefined
  #lastSentMillis: number | undefined
  #negotiatedVersion = ourProtocolVersion
  #maxBodyBytes = maxHandshakeBodyBytes
  /** What `poll` is at, if that takes several goes. */
  #decoding: Decoding | undefined
  #isReading = false
  /** There may be more to read than was read. */
  #isReadable = false
  #onRead: (() => void) | undefined
  #goOn: ((continuation: Effect.Effect<void>) => void) | undefined
  /** What comes after the last message. */
  #end: Result.Result<undefined, ReceiveError> = nothingYet

  /** In the state of before the handshake. `context` is where metrics are registered, and has the clock. */
  constructor(
    stream: ByteStream,
    magic: Magic,
    policy: Pick<Policy, "requestTimeout">,
    context: Context.Context<never>
  ) {
    this.#stream = stream
    this.#magic = magic
    this.#policy = policy
    this.#context = context
    this.#clock = Context.get(context, Clock.Clock)
    this.#decoder = new FrameDecoder(magic, maxHandshakeBodyBytes)
  }

  /** The handshake succeeded: from the next message on, bodies may be long, and locators state the agreed version. */
  agree(negotiatedVersion: number): void {
    this.#negotiatedVersion = negotiatedVersion
    this.#maxBodyBytes = maxBodyBytes
    this.#decoder.setMaxBodyBytes(maxBodyBytes)
  }

  bytesRead(): number {
    return this.#stream.bytesRead()
  }

  bytesWritten(): number {
    return this.#stream.bytesWritten()
  }

  traffic(): Traffic {
    return {
      messagesReceived: this.#received,
      messagesSent: this.#sent,
      lastReceivedMillis: this.#lastReceivedMillis,
      lastSentMillis: this.#lastSentMillis
    }
  }

  /** Bytes received and not yet decoded: at most `maxBufferedBytes`. */
  bufferedBytes(): number {
    return this.#decoder.bufferedBytes()
  }

  /** Whether `poll` has begun with a message that is too long for one go: others should have a turn before it goes on. */
  get isDecoding(): boolean {
    return this.#decoding !== undefined
  }

  /**
   * The next message of what was read already; `undefined` when more has to be read, or decoded. Unknown commands are passed
   * over.
   */
  poll(): Result.Result<Wire.Message | undefined, ReceiveError> {
    if (this.#isReadable) this.#readUp()
    for (;;) {
      const message = this.#decoding === undefined ? this.#pollFrame() : this.#decodeOn(this.#decoding)
      if (message === undefined) return this.isDecoding ? nothingYet : this.#end
      if (Result.isFailure(message)) return failed(message.failure)
      if (message.success === undefined) continue
      increment(this.#received, Wire.commandOf(message.success))
      this.#lastReceivedMillis = this.#clock.currentTimeMillisUnsafe()
      return Result.succeed(message.success)
    }
  }

  #pollFrame(): Result.Result<Wire.Message | undefined, FrameError | Wire.MessageError> | undefined {
    const frame = this.#decoder.next()
    this.#countAnnounced()
    if (Result.isFailure(frame)) return Result.fail(frame.failure)
    if (frame.success === undefined) return undefined
    const options = { negotiatedVersion: this.#negotiatedVersion }
    if (frame.success.end - frame.success.start <= Wire.wholeBodyBytes) return Wire.decode(frame.success, options)
    // Its checksum alone took a slice's time.
    this.#decoding = Wire.decodeSlices(frame.success, options)
    return undefined
  }

  #decodeOn(decoding: Decoding) {
    const slice = decoding.next()
    if (slice.done !== true) return undefined
    this.#decoding = undefined
    return slice.value
  }

  /**
   * Reads until there is something for `poll`. Only when that found nothing: it keeps what is held within
   * `maxBufferedBytes`. Bytes that complete nothing wake nobody.
   */
  get fill(): Effect.Effect<void, ReceiveError> {
    const fill: Effect.Effect<void, ReceiveError> = Effect.matchEffect(this.#stream.read, {
      onSuccess: (chunk) => (this.#decoder.push(chunk) && this.#decoder.hasNext() ? Effect.void : fill),
      onFailure: (closed) => Effect.fail(this.#endOf(closed))
    })
    return fill
  }

  /** Whether more was asked for with `readOn` and has not come. */
  get isReading(): boolean {
    return this.#isReading
  }

  /** Reads up to the next message; done at once if the transport has it. */
  readOn(): void {
    this.#isReading = true
    if (this.#stream.readNow === undefined) this.#goOn?.(Effect.void)
    else this.#readUp()
  }

  /** Reads what there is. It is called by whoever polls, for what goes wrong in it is theirs. */
  #readUp(): void {
    this.#isReadable = false
    while (this.#isReading) {
      const taken = this.#stream.readNow?.(this.#whenReadable)
      if (taken === undefined) return
      if (!(taken instanceof Uint8Array)) this.#hasRead(this.#endOf(taken))
      else if (this.#decoder.push(taken) && this.#decoder.hasNext()) this.#hasRead()
    }
  }

  readonly #whenReadable = () => {
    this.#isReadable = true
    this.#onRead?.()
  }

  #hasRead(end?: ReceiveError): void {
    this.#isReading = false
    if (end !== undefined) this.#end = Result.fail(end)
  }

  /**
   * From here on `readOn` may be called; `onRead` hears when there is something to poll, and the end of the stream is that too,
   * once. What is left to do beside whoever polls, where the stream has to be read by a fiber.
   */
  reading(onRead: () => void): Effect.Effect<void> | undefined {
    this.#onRead = onRead
    return this.#stream.readNow === undefined ? this.#fiberReading(onRead) : undefined
  }

  #fiberReading(onRead: () => void): Effect.Effect<void> {
    const asked = Effect.callback<void>((resume) => {
      if (this.#isReading) resume(Effect.void)
      else this.#goOn = resume
    })
    const hasRead = (end: ReceiveError | void) => {
      this.#goOn = undefined
      this.#hasRead(end ?? undefined)
      onRead()
    }
    const read = Effect.match(this.fill, { onSuccess: hasRead, onFailure: hasRead })
    return forever(() => (this.#isReading ? read : asked))
  }

  /** The next message. Interrupting it loses none. */
  get receive(): Effect.Effect<Wire.Message, ReceiveError> {
    return Effect.suspend(() => {
      const polled = this.poll()
      if (Result.isFailure(polled)) return Effect.fail(polled.failure)
      if (polled.success !== undefined) return Effect.succeed(polled.success)
      return Effect.flatMap(this.isDecoding ? Effect.yieldNow : this.fill, () => this.receive)
    })
  }

  /** Drops what was received: nobody will look at it. */
  release(): void {
    this.#decoder.release()
    this.#decoding = undefined
    this.#onRead = undefined
  }

  /** Hands one message to the transport, within `Policy.requestTimeout`. Fails before the first byte when it is too long. */
  send(message: Wire.Message): Effect.Effect<void, SendError> {
    return Effect.suspend(() => this.begin(message) ?? Effect.void)
  }

  /** The same for whoever has no need of an effect where there is nothing to wait for: what is left to do, if anything is. */
  begin(message: Wire.Message): Effect.Effect<void, SendError> | undefined {
    const encoded = Wire.encodeInPieces(message, {
      magic: this.#magic,
      negotiatedVersion: this.#negotiatedVersion,
      maxBodyBytes: this.#maxBodyBytes
    })
    if (Result.isFailure(encoded)) return Effect.fail(new Serialization({ cause: encoded.failure }))
    const { first, rest } = encoded.success
    PeerMetrics.bytesSent.updateUnsafe(first.length + (rest?.length ?? 0), this.#context)
    increment(this.#sent, Wire.commandOf(message))
    this.#lastSentMillis = this.#clock.currentTimeMillisUnsafe()
    return rest === undefined && this.#stream.writeNow?.(first) === true ? undefined : this.#write(first, rest)
  }

  #write(first: Uint8Array, rest: Uint8Array | undefined): Effect.Effect<void, SendError> {
    const written = this.#stream.write(first)
    // Nobody else writes in between, and whoever gives up ends the connection.
    const all = rest === undefined ? written : Effect.andThen(written, this.#stream.write(rest))
    return TimeLimit.within(
      // Of a peer that has ended the stream that is what everybody hears, whoever notices first.
      Effect.mapError(all, (cause) => (cause.reason === "Eof" ? new ConnectionClosed() : new Serialization({ cause }))),
      this.#policy.requestTimeout,
      () => Effect.fail(new ConnectionSendTimeout())
    )
  }

  /** Counted when the header is read, as the reference does: a body that never comes is in the count. */
  #countAnnounced(): void {
    const announced = this.#decoder.announcedBytes()
    if (announced === this.#counted) return
    PeerMetrics.bytesReceived.updateUnsafe(announced - this.#counted, this.#context)
    this.#counted = announced
  }

  #endOf(closed: StreamClosed): ReceiveError {
    if (closed.reason !== "Eof") return new Serialization({ cause: closed })
    const end = this.#decoder.end()
    return Result.isFailure(end) ? new Serialization({ cause: end.failure }) : new ConnectionClosed()
  }
}

const increment = (counts: Map<string, number>, command: string) => counts.set(command, (counts.get(command) ?? 0) + 1)

/** One thing after the other, without end. */
export const forever = (body: () => Effect.Effect<unknown>): Effect.Effect<void> =>
  Effect.whileLoop({ while: always, body, step: ignore })

const always = () => true
const ignore = () => undefined

const failed = (cause: Serialization["cause"]) => Result.fail(new Serialization({ cause }))
