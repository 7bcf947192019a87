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
import { Buffer } from "node:buffer"
import { Data, Result } from "effect"
import { checksum } from "../bytes/Hashing.ts"
import { asBuffer, noBytes, u32At } from "../bytes/Reader.ts"

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

/** What a stream can have wrong below the level of messages. Each ends the connection. */
export type FrameError = WrongMagic | BodyTooLong | BadChecksum | Truncated

/** The first four bytes of every message of a chain, in the order they travel. */
export type Magic = readonly [number, number, number, number]

/** Bytes before the body. */
export const headerBytes = 24

/** At its start, and enough to tell another chain, or no Zcash at all. */
const magicBytes = 4

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
  /** Holds the body from `start` to before `end`. May be a received chunk: copy what is kept. */
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

/** A message before it has a header. */
export interface Unsealed {
  readonly command: string
  readonly body: Uint8Array
}

/** The body of a frame, as a view. */
export const bodyOf = ({ bytes, end, start }: Frame): Buffer => bytes.subarray(start, end)

/**
 * Chunks shorter than this are gathered into larger pieces when something already waits, so that a stream cut into
 * single bytes costs neither an object nor a list entry for each.
 */
const gatherBelowBytes = 512

/** Consumed places of the list that are kept before it is shortened: a stream need not ever run dry. */
const forgetConsumedAt = 64

/** Memory of its own costs more than a copy below. */
const pooledBelowBytes = 2048

/** Of a piece that short chunks are gathered in, in bytes; in between it has four times what was received. */
const smallestPiece = 4096
const largestPiece = 64 * 1024

const noView = new DataView(new ArrayBuffer(0))

/**
 * Single bytes are collected in a number before they are gathered, for V8 changes a small number faster than memory. It
 * holds up to three of them, the first one highest, below a bit that tells how many there are.
 */
const wordBytes = 3
const emptyWord = 1
const fullWord = emptyWord << (8 * wordBytes)
/** A further bit, of a word that takes no more though it is not full. */
const closedWord = fullWord << 1
const noWord = closedWord | emptyWord
/** Not used at the end of a piece: too little for a full word, the next one, and a byte after it. */
const wordSpareBytes = 2 * wordBytes + 1

/** Takes a stream in whatever pieces it comes, and gives back messages whose checksum is right. Linear in the bytes. */
export class FrameDecoder {
  readonly #magic: Magic
  #maxBodyBytes: number
  /** Received and not yet consumed; the first `#offset` bytes of the first one are consumed. */
  #pieces: Array<Buffer> = []
  #first = 0
  #offset = 0
  /** Gathers short chunks; its bytes from `#gatheredFrom` to `#gatheredTo` come after all pieces. */
  #gathering = noBytes
  #gatheringView = noView
  #gatheredFrom = 0
  #gatheredTo = 0
  /** Single bytes that come after all that was gathered. */
  #word = noWord
  /** A full word is gathered and another one begun while `#gatheredTo` is below: there is room, and more is wanted. */
  #quietUntil = 0
  /** The latest chunk, which comes after those single bytes, until somebody asks. */
  #arrived: Uint8Array | undefined
  /** Bytes of the pieces that are not consumed. */
  #held = 0
  /**
   * How many bytes have to be here before there is anything to do: the magic, the header it begins, or the body of the
   * header that was read.
   */
  #wanted = magicBytes
  #inBody = false
  /** Of the message whose body is awaited. */
  #command = ""
  #checksum = 0
  /** The first error, which is final. */
  #failure: Result.Result<never, FrameError> | undefined
  /** What `next` says without a further look: nothing yet, or the error. Without one there is something to decode. */
  #answer: Result.Result<undefined, FrameError> | undefined = nothingYet
  #copied = 0
  #announced = 0
  /** Of the latest `#peek`. */
  #peekedAt = 0

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
    this.#takeArrived()
    return this.#bytesTaken()
  }

  /** Bytes of all messages so far whose header was accepted: header and body, whether the body is here or not. */
  announcedBytes(): number {
    return this.#announced
  }

  /** Bytes copied so far to gather short chunks and to join bodies. */
  copiedBytes(): number {
    this.#takeArrived()
    return this.#copied + this.#gatheredTo - this.#gatheredFrom
  }

  /**
   * Takes a received chunk. When it answers `false` there is nothing to decode and nobody needs to ask `next`. The chunk is
   * kept, not copied: whoever hands it over leaves it alone from then on.
   */
  push(chunk: Uint8Array): boolean {
    // Single bytes are the worst a stream can be cut, so as few steps as can be for them. Other chunks are only kept here: a
    // call, taken or not, would cost every turn of the caller's loop. V8 reads `byteLength` of a `Buffer` faster than `length`.
    if (chunk.byteLength === 1) {
      const word = this.#word
      if (word < fullWord) {
        this.#word = (word << 8) | chunk[0]!
        return false
      }
      const at = this.#gatheredTo
      if (at < this.#quietUntil) {
        // Three bytes in one step; the fourth is overwritten by what comes next.
        this.#gatheringView.setUint32(at, word << 8)
        this.#gatheredTo = at + wordBytes
        this.#word = (emptyWord << 8) | chunk[0]!
        return false
      }
    }
    if (this.#arrived !== undefined) this.#takeArrived()
    this.#arrived = chunk
    this.#word |= closedWord
    this.#quietUntil = 0
    return true
  }

  /** Whether `next` has something to say: a message or an error. */
  hasNext(): boolean {
    if (this.#arrived !== undefined) this.#takeArrived()
    return this.#answer !== nothingYet
  }

  /**
   * Decodes one message; `undefined` when more bytes are needed. Nothing after it is looked at, so that settings
   * changed in between hold for the next header. After an error it is the answer for ever.
   */
  next(): Result.Result<Frame | undefined, FrameError> {
    if (this.#arrived !== undefined) this.#takeArrived()
    return this.#answer ?? this.#decode()
  }

  /** The stream is over. An error if that is in the middle of a message. */
  end(): Result.Result<void, Truncated> {
    const bytesLeft = this.bufferedBytes() + (this.#inBody ? headerBytes : 0)
    return bytesLeft === 0 ? Result.void : Result.fail(new Truncated({ bytesLeft }))
  }

  /** Drops everything that is held. */
  release(): void {
    this.#pieces = []
    this.#first = 0
    this.#offset = 0
    this.#arrived = undefined
    this.#word = noWord
    this.#stopGathering()
    this.#held = 0
    this.#inBody = false
    this.#waitFor(magicBytes)
  }

  /** Gathers the single bytes, then takes the latest chunk. */
  #takeArrived(): void {
    const count = (31 - Math.clz32(this.#word & ~closedWord)) >> 3
    for (let i = count - 1; i >= 0; i--) this.#gathering[this.#gatheredTo++] = this.#word >> (8 * i)
    this.#word = noWord
    const chunk = this.#arrived
    this.#arrived = undefined
    if (chunk !== undefined && this.#failure === undefined) this.#take(chunk)
    this.#waitFor(this.#wanted)
  }

  #take(chunk: Uint8Array): void {
    const { length } = chunk
    if (length < gatherBelowBytes && this.#bytesTaken() > 0) {
      if (this.#gatheredTo + length > this.#gathering.length - wordSpareBytes) this.#gatherAnew()
      this.#gathering.set(chunk, this.#gatheredTo)
      this.#gatheredTo += length
    } else if (length > 0) {
      this.#closeGathered()
      this.#pieces.push(asBuffer(chunk))
      this.#held += length
    }
  }

  #bytesTaken(): number {
    return this.#held + this.#gatheredTo - this.#gatheredFrom
  }

  /**
   * One long method: V8 does not inline it into `next`, which therefore stays short enough to be inlined into the loop that
   * calls it, whatever was decoded before.
   */
  #decode(): Result.Result<Frame | undefined, FrameError> {
    if (!this.#inBody) {
      const isWhole = this.#bytesTaken() >= headerBytes
      const header = this.#peek(isWhole ? headerBytes : magicBytes)
      const at = this.#peekedAt
      for (let i = 0; i < magicBytes; i++) {
        if (header[at + i] !== this.#magic[i]) {
          return this.#fail(new WrongMagic({ magic: header.toString("hex", at, at + magicBytes) }))
        }
      }
      if (!isWhole) {
        this.#waitFor(headerBytes)
        return nothingYet
      }
      const command = commandAt(header, at + 4)
      const length = u32At(header, at + 16)
      const limit = this.#maxBodyBytes
      if (length > limit) return this.#fail(new BodyTooLong({ command, length, limit }))
      this.#command = command
      this.#checksum = u32At(header, at + 20)
      this.#inBody = true
      this.#announced += headerBytes + length
      this.#consume(headerBytes)
      this.#waitFor(length)
      // Nothing of a body is here before its header is.
      if (this.#answer !== undefined) return this.#answer
    }
    const command = this.#command
    const length = this.#wanted
    const bytes = this.#peek(length)
    const start = this.#peekedAt
    const end = start + length
    this.#consume(length)
    this.#inBody = false
    this.#waitFor(magicBytes)
    if (checksum(bytes, start, end) !== this.#checksum) return this.#fail(new BadChecksum({ command }))
    return Result.succeed({ command, bytes, start, end })
  }

  #fail(failure: FrameError): Result.Result<never, FrameError> {
    this.#failure = Result.fail(failure)
    this.release()
    return this.#failure
  }

  /** Nothing is to be done before so many bytes are here. To be called whenever bytes came or went. */
  #waitFor(wanted: number): void {
    const missing = wanted - this.#bytesTaken()
    this.#wanted = wanted
    this.#answer = this.#failure ?? (missing > 0 ? nothingYet : undefined)
    // Two words later one byte at least is still missing, and has room: `setUint32` writes it too.
    this.#quietUntil = Math.min(this.#gathering.length, this.#gatheredTo + missing) - 2 * wordBytes
    this.#word = this.#gatheredTo < this.#quietUntil ? emptyWord : noWord
  }

  /**
   * Begins another piece for short chunks. It grows with what was received, never with what was announced, and has room for
   * no more than what is missing.
   */
  #gatherAnew(): void {
    this.#closeGathered()
    const taken = this.#bytesTaken()
    const useful = Math.min(4 * taken, this.#wanted - taken + wordSpareBytes)
    this.#gathering = Buffer.allocUnsafeSlow(Math.min(largestPiece, Math.max(smallestPiece, useful)))
    const { buffer, byteLength, byteOffset } = this.#gathering
    this.#gatheringView = new DataView(buffer, byteOffset, byteLength)
    this.#gatheredFrom = 0
    this.#gatheredTo = 0
  }

  #stopGathering(): void {
    this.#gathering = noBytes
    this.#gatheringView = noView
    this.#gatheredFrom = 0
    this.#gatheredTo = 0
  }

  /** Moves what was gathered to the pieces, so that the order is kept. */
  #closeGathered(): void {
    if (this.#gatheredTo === this.#gatheredFrom) return
    this.#pieces.push(this.#gathering.subarray(this.#gatheredFrom, this.#gatheredTo))
    const length = this.#gatheredTo - this.#gatheredFrom
    this.#copied += length
    this.#held += length
    this.#gatheredFrom = this.#gatheredTo
  }

  /** Where the next `count` bytes are, which are there: from `#peekedAt` in a piece that has them all, else joined. */
  #peek(count: number): Buffer {
    this.#closeGathered()
    const piece = this.#pieces[this.#first]
    if (piece !== undefined && piece.length - this.#offset >= count) {
      this.#peekedAt = this.#offset
      return piece
    }
    this.#peekedAt = 0
    // Short ones out of Node's pool: what is kept of a body is copied if it is not alone in its memory.
    const joined = count < pooledBelowBytes ? Buffer.allocUnsafe(count) : Buffer.allocUnsafeSlow(count)
    let filled = 0
    let offset = this.#offset
    for (let i = this.#first; filled < count; i++) {
      const next = this.#pieces[i]!
      const taken = Math.min(next.length - offset, count - filled)
      joined.set(taken === next.length ? next : next.subarray(offset, offset + taken), filled)
      filled += taken
      offset = 0
    }
    this.#copied += count
    return joined
  }

  /** Lets go of the next `count` bytes, which are there and were gathered no longer. */
  #consume(count: number): void {
    this.#held -= count
    let left = count + this.#offset
    while (left > 0) {
      const piece = this.#pieces[this.#first]!
      if (piece.length > left) break
      left -= piece.length
      this.#pieces[this.#first++] = noBytes
    }
    this.#offset = left
    if (this.#first === this.#pieces.length) {
      this.#pieces.length = 0
      this.#first = 0
      this.#stopGathering()
    } else if (this.#first >= forgetConsumedAt) {
      this.#pieces.splice(0, this.#first)
      this.#first = 0
    }
  }
}

const nothingYet = Result.succeed(undefined)

/** The 12 bytes from `at`, one character each, without the zeros at the end. */
const commandAt = (header: Buffer, at: number): string => {
  const first = u32At(header, at)
  const second = u32At(header, at + 4)
  const third = u32At(header, at + 8)
  // Tells all commands there are apart.
  const slot = (first ^ (first >>> 9) ^ second) & (recentCommands.length - 1)
  const recent = recentCommands[slot]!
  if (recent.first === first && recent.second === second && recent.third === third) return recent.command
  let end = at + 12
  while (end > at && header[end - 1] === 0) end--
  const command = header.toString("latin1", at, end)
  recentCommands[slot] = { first, second, third, command }
  return command
}

/** Commands seen before, with their bytes: making a string costs more than the rest of a header. */
const recentCommands = Array.from({ length: 64 }, () => ({ first: 0, second: 0, third: 0, command: "" }))

/**
 * Writes the header of a message into the first 24 bytes of `to`. `command` has at most 12 characters of one byte each, `sum` is
 * the checksum of the body.
 */
export const writeHeader = (to: Buffer, magic: Magic, command: string, bodyBytes: number, sum: number): void => {
  to.set(magic, 0)
  to.fill(0, 4, 16)
  to.write(command, 4, 12, "latin1")
  to.writeUInt32LE(bodyBytes, 16)
  to.writeUInt32LE(sum, 20)
}

/** The same for a body that is already behind it. */
export const seal = (message: Buffer, magic: Magic, command: string): void =>
  writeHeader(message, magic, command, message.length - headerBytes, checksum(message, headerBytes))

/** Header and body as one. Any command and any length: for tests and scripted peers. */
export const encode = (magic: Magic, { body, command }: Unsealed): Uint8Array => {
  const message = Buffer.allocUnsafeSlow(headerBytes + body.length)
  message.set(body, headerBytes)
  seal(message, magic, command)
  return message
}
