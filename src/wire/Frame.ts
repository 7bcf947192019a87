/**
 * 24-byte header; finds messages in a stream of bytes.
 *
 *     magic 4 | command 12 | body length 4, little-endian | checksum 4 | body
 *
 * The decoder waits for the next 24 bytes, judges them, then waits for the body. The first error is final: there is
 * no way to find the next message in a stream that lied.
 *
 * **Security**
 *
 * Nothing is reserved for a length the peer declared: received chunks are kept as they came and joined once, when the
 * whole body is there. A length above the limit is refused from its header, before any byte of the body is waited for.
 *
 * Source: Zebra codec.rs; zcashd src/net.h.
 *
 * @module
 */
import { Data, Result } from "effect"
import { sha256d } from "../bytes/Hashing.ts"

/** Another chain, or no Zcash at all. */
export class WrongMagic extends Data.TaggedError("WrongMagic")<{
  /** The four bytes received, as hexadecimal digits. */
  readonly magic: string
}> {}
/** The body is longer than the phase of the connection allows. */
export class BodyTooLong extends Data.TaggedError("BodyTooLong")<{
  readonly command: string
  readonly length: number
  readonly limit: number
}> {}
/** The body is not the one its header was written for. */
export class BadChecksum extends Data.TaggedError("BadChecksum")<{ readonly command: string }> {}
/** The stream ended inside a message. */
export class Truncated extends Data.TaggedError("Truncated")<{
  /** Bytes received of the message that never became whole. */
  readonly bytesLeft: number
}> {}

export type FrameError = WrongMagic | BodyTooLong | BadChecksum | Truncated

/** The first four bytes of every message of a chain, in the order they travel. */
export type Magic = readonly [number, number, number, number]

/** Bytes before the body. */
export const headerBytes = 24

/**
 * Longest body until the peer's `verack` was accepted, in bytes. The longest legal `version` has 344.
 *
 * Source: Zebra constants.rs and codec.rs, the limit of the handshake.
 */
export const maxHandshakeBodyBytes = 1024

/**
 * Longest body after the handshake: 2 MiB.
 *
 * Source: zcashd src/net.h, `MAX_PROTOCOL_MESSAGE_LENGTH`; Zebra, `MAX_PROTOCOL_MESSAGE_LEN`.
 */
export const maxBodyBytes = 2 * 1024 * 1024

/** One message whose checksum is right. */
export interface Frame {
  /** The 12 bytes, one character each, without the zeros at the end. */
  readonly command: string
  /** May be a view of a received chunk: copy what is kept. */
  readonly body: Uint8Array
}

/**
 * Chunks shorter than this are gathered into larger pieces when something already waits, so that a stream cut into
 * single bytes costs neither an object nor a list entry for each.
 */
const gatherBelowBytes = 512

/** Consumed places of the list that are kept before it is shortened: a stream need not ever run dry. */
const forgetConsumedAt = 64

const smallestPiece = 1024
const largestPiece = 64 * 1024

/** What is known of the message whose body is awaited. */
interface Head {
  readonly command: string
  readonly length: number
  readonly checksum: number
}

export class FrameDecoder {
  readonly #magic: Magic
  #maxBodyBytes: number
  /** Received and not yet consumed; the first `#offset` bytes of the first one are consumed. */
  #pieces: Array<Buffer> = []
  #first = 0
  #offset = 0
  /** Gathers short chunks; its bytes from `#gatheredFrom` to `#gatheredTo` come after all pieces. */
  #gathering: Buffer | undefined
  #gatheredFrom = 0
  #gatheredTo = 0
  #buffered = 0
  #magicSeen = false
  #head: Head | undefined
  #failure: FrameError | undefined
  #copied = 0

  constructor(magic: Magic, maxBodyBytes: number) {
    this.#magic = magic
    this.#maxBodyBytes = maxBodyBytes
  }

  /** The limit for headers not yet decoded. */
  setMaxBodyBytes(maxBodyBytes: number): void {
    this.#maxBodyBytes = maxBodyBytes
  }

  /** Bytes received and not yet decoded. */
  bufferedBytes(): number {
    return this.#buffered
  }

  /** Bytes copied so far to gather short chunks and to join bodies. */
  copiedBytes(): number {
    return this.#copied
  }

  /** Takes a received chunk. It is kept, not copied: whoever hands it over leaves it alone from then on. */
  push(chunk: Uint8Array): void {
    if (this.#failure !== undefined || chunk.length === 0) return
    if (this.#buffered > 0 && chunk.length < gatherBelowBytes) this.#gather(chunk)
    else {
      this.#closeGathered()
      this.#pieces.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    }
    this.#buffered += chunk.length
  }

  /**
   * Decodes one message; `undefined` when more bytes are needed. Nothing after it is looked at, so that settings
   * changed in between hold for the next header. After an error it is the answer for ever.
   */
  next(): Result.Result<Frame | undefined, FrameError> {
    if (this.#failure !== undefined) return Result.fail(this.#failure)
    if (this.#buffered < this.#wanted()) return nothingYet
    const head = this.#head ?? this.#decodeHead()
    if (this.#failure !== undefined) return Result.fail(this.#failure)
    if (head === undefined || this.#buffered < head.length) return nothingYet
    const body = this.#take(head.length)
    this.#head = undefined
    this.#magicSeen = false
    if (sha256d(body).readUInt32LE(0) !== head.checksum) return this.#fail(new BadChecksum({ command: head.command }))
    return Result.succeed({ command: head.command, body })
  }

  /** How many bytes have to be here before there is anything to do. */
  #wanted(): number {
    if (this.#head !== undefined) return this.#head.length
    return this.#magicSeen ? headerBytes : 4
  }

  /** The stream is over. An error if that is in the middle of a message. */
  end(): Result.Result<void, Truncated> {
    const bytesLeft = this.#buffered + (this.#head === undefined ? 0 : headerBytes)
    return bytesLeft === 0 ? Result.void : Result.fail(new Truncated({ bytesLeft }))
  }

  /** Drops everything that is held. */
  release(): void {
    this.#pieces = []
    this.#first = 0
    this.#offset = 0
    this.#gathering = undefined
    this.#gatheredFrom = 0
    this.#gatheredTo = 0
    this.#buffered = 0
    this.#head = undefined
    this.#magicSeen = false
  }

  #fail(failure: FrameError): Result.Result<never, FrameError> {
    this.release()
    this.#failure = failure
    return Result.fail(failure)
  }

  #decodeHead(): Head | undefined {
    // As soon as it is here: a peer of another chain should fail on its first four bytes.
    if (!this.#magicSeen) {
      if (this.#buffered < 4) return undefined
      const magic = this.#peek(4)
      for (let i = 0; i < 4; i++) {
        if (magic[i] !== this.#magic[i]) {
          this.#fail(new WrongMagic({ magic: magic.toString("hex") }))
          return undefined
        }
      }
      this.#magicSeen = true
    }
    if (this.#buffered < headerBytes) return undefined
    const header = this.#take(headerBytes)
    const command = commandFromBytes(header)
    const length = header.readUInt32LE(16)
    if (length > this.#maxBodyBytes) {
      this.#fail(new BodyTooLong({ command, length, limit: this.#maxBodyBytes }))
      return undefined
    }
    this.#head = { command, length, checksum: header.readUInt32LE(20) }
    return this.#head
  }

  #gather(chunk: Uint8Array): void {
    if (this.#gathering === undefined || this.#gatheredTo + chunk.length > this.#gathering.length) {
      this.#closeGathered()
      // Grows with what was received, never with what was announced.
      this.#gathering = Buffer.allocUnsafeSlow(Math.min(largestPiece, Math.max(smallestPiece, this.#buffered)))
      this.#gatheredFrom = 0
      this.#gatheredTo = 0
    }
    if (chunk.length === 1) this.#gathering[this.#gatheredTo] = chunk[0]!
    else this.#gathering.set(chunk, this.#gatheredTo)
    this.#gatheredTo += chunk.length
    this.#copied += chunk.length
  }

  /** Moves what was gathered to the pieces, so that the order is kept. */
  #closeGathered(): void {
    if (this.#gathering === undefined || this.#gatheredTo === this.#gatheredFrom) return
    this.#pieces.push(this.#gathering.subarray(this.#gatheredFrom, this.#gatheredTo))
    this.#gatheredFrom = this.#gatheredTo
  }

  /** The next `count` bytes, which are there, left where they are. */
  #peek(count: number): Buffer {
    this.#closeGathered()
    const piece = this.#pieces[this.#first]
    if (piece !== undefined && piece.length - this.#offset >= count) {
      return piece.subarray(this.#offset, this.#offset + count)
    }
    return this.#join(count)
  }

  /** Consumes the next `count` bytes, which are there: a view if one piece has them all, else joined. */
  #take(count: number): Buffer {
    const taken = this.#peek(count)
    this.#buffered -= count
    let left = count + this.#offset
    while (left > 0) {
      const piece = this.#pieces[this.#first]!
      if (piece.length > left) break
      left -= piece.length
      this.#pieces[this.#first++] = consumed
    }
    this.#offset = left
    if (this.#first === this.#pieces.length) {
      this.#pieces.length = 0
      this.#first = 0
      this.#gathering = undefined
    } else if (this.#first >= forgetConsumedAt) {
      this.#pieces.splice(0, this.#first)
      this.#first = 0
    }
    return taken
  }

  #join(count: number): Buffer {
    const joined = Buffer.allocUnsafeSlow(count)
    let filled = 0
    let offset = this.#offset
    for (let i = this.#first; filled < count; i++) {
      const piece = this.#pieces[i]!
      filled += piece.copy(joined, filled, offset, offset + count - filled)
      offset = 0
    }
    this.#copied += count
    return joined
  }
}

const nothingYet = Result.succeed(undefined)
const consumed = Buffer.alloc(0)

const commandFromBytes = (header: Buffer): string => {
  let end = 16
  while (end > 4 && header[end - 1] === 0) end--
  return header.toString("latin1", 4, end)
}

/**
 * Writes the header of a message into its first 24 bytes; the body is already behind them. `command` has at most 12
 * characters of one byte each.
 */
export const seal = (message: Buffer, magic: Magic, command: string): void => {
  message.set(magic, 0)
  message.fill(0, 4, 16)
  message.write(command, 4, 12, "latin1")
  message.writeUInt32LE(message.length - headerBytes, 16)
  sha256d(message.subarray(headerBytes)).copy(message, 20, 0, 4)
}

/** Header and body as one. Any command and any length: for tests and scripted peers. */
export const encode = (magic: Magic, frame: Frame): Uint8Array => {
  const message = Buffer.allocUnsafeSlow(headerBytes + frame.body.length)
  message.set(frame.body, headerBytes)
  seal(message, magic, frame.command)
  return message
}
