/**
 * 24-byte header; finds messages in a stream of bytes.
 *
 * @module
 */
import { Data } from "effect"

/** Another chain, or no Zcash at all. */
export class WrongMagic extends Data.TaggedError("WrongMagic")<{ readonly magic: string }> {}
export class BodyTooLong extends Data.TaggedError("BodyTooLong")<{
  readonly command: string
  readonly length: number
  readonly limit: number
}> {}
export class BadChecksum extends Data.TaggedError("BadChecksum")<{ readonly command: string }> {}
/** The stream ended inside a message. */
export class Truncated extends Data.TaggedError("Truncated")<{ readonly bytesLeft: number }> {}

export type FrameError = WrongMagic | BodyTooLong | BadChecksum | Truncated
