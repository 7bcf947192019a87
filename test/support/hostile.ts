/** The hostile messages, for the tests and for the benchmark that times them. */
import { Result } from "effect"
import { mainnet } from "../../src/chain/ChainParams.ts"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { decode, type Message } from "../../src/wire/Message.ts"

export interface Hostile {
  readonly name: string
  readonly bytes: Uint8Array
  /** `ignored`, `accepted`, or the tag of the error. */
  readonly verdict: string
  /** Bytes that arrive at once; all of them unless said otherwise. */
  readonly chunkBytes?: number
}

const framed = (command: string, body: Uint8Array): Buffer =>
  Buffer.from(Frame.encode(mainnet.magic, { command, body }))

/** A header that promises `length` bytes, and the few that come. */
const promised = (command: string, length: number, body: Uint8Array): Buffer => {
  const message = framed(command, body)
  message.writeUInt32LE(length, 16)
  return message
}

const changed = (message: Buffer, at: number, value: number): Buffer => {
  message[at] = value
  return message
}

const count = (entries: number) => {
  const bytes = Buffer.alloc(5, 0xfe)
  bytes.writeUInt32LE(entries, 1)
  return bytes
}

const ping = framed("ping", new Uint8Array(8))

/** A `version` whose user agent has so many bytes. */
const versionWith = (userAgentBytes: number) =>
  framed(
    "version",
    Buffer.concat([
      Buffer.alloc(80),
      count(userAgentBytes).fill(0xfd, 0, 1).subarray(0, 3),
      Buffer.alloc(userAgentBytes, 0x61)
    ])
  )

/** Of transactions, each another one. */
const inventory = (items: number) => {
  const body = Buffer.alloc(3 + 36 * items)
  body[0] = 0xfd
  body.writeUInt16LE(items, 1)
  for (let item = 0; item < items; item++) {
    body.writeUInt32LE(1, 3 + 36 * item)
    body.writeUInt32LE(item, 7 + 36 * item)
  }
  return framed("inv", body)
}

export const hostileCases: ReadonlyArray<Hostile> = [
  { name: "a length of 1 GiB", bytes: promised("block", 2 ** 30, new Uint8Array(100)), verdict: "BodyTooLong" },
  { name: "a wrong checksum", bytes: changed(Buffer.from(ping), 20, 0), verdict: "BadChecksum" },
  { name: "a wrong magic", bytes: changed(Buffer.from(ping), 0, 0), verdict: "WrongMagic" },
  { name: "an inv of 5 million, without them", bytes: framed("inv", count(5_000_000)), verdict: "WireParse" },
  { name: "an addr of 5 million, without them", bytes: framed("addr", count(5_000_000)), verdict: "WireParse" },
  { name: "headers of 5 million, without them", bytes: framed("headers", count(5_000_000)), verdict: "WireParse" },
  {
    name: "a count that is not written as short as it could be",
    bytes: framed("inv", Buffer.from([0xfd, 1, 0, ...new Uint8Array(36)])),
    verdict: "WireParse"
  },
  { name: "bytes after the end", bytes: framed("ping", new Uint8Array(20)), verdict: "accepted" },
  {
    name: "an addr of 1001",
    bytes: framed("addr", Buffer.concat([Buffer.from([0xfd, 0xe9, 0x03]), new Uint8Array(30 * 1001)])),
    verdict: "WireParse"
  },
  {
    name: "an inv of 50,001",
    bytes: framed("inv", Buffer.concat([Buffer.from([0xfd, 0x51, 0xc3]), new Uint8Array(36 * 50_001)])),
    verdict: "WireParse"
  },
  { name: "a user agent of 60 kB", bytes: versionWith(60_000), verdict: "WireParse" },
  { name: "an unknown command", bytes: framed("hello", new Uint8Array(1000)), verdict: "ignored" },
  { name: "letters after the end of a command", bytes: changed(Buffer.from(ping), 15, 0x61), verdict: "ignored" },
  { name: "36 kB one byte at a time", bytes: inventory(1000), verdict: "accepted", chunkBytes: 1 },
  { name: "1.8 MB 100 bytes at a time", bytes: inventory(50_000), verdict: "accepted", chunkBytes: 100 }
]

/** Entries of a message that had to be built one by one. */
const elementsOf = (message: Message): number => {
  switch (message._tag) {
    case "Inv":
      return message.items.length
    case "Addr":
      return message.addresses.length
    case "Headers":
      return message.headers.length
    default:
      return 0
  }
}

/** Feeds a case to a decoder, and says what came of it: the verdict, the most that was held, and what was built. */
export const judge = ({ bytes, chunkBytes = bytes.length }: Hostile) => {
  const decoder = new Frame.FrameDecoder(mainnet.magic, Frame.maxBodyBytes)
  const options = { negotiatedVersion: ourProtocolVersion }
  let maxBuffered = 0
  let elements = 0
  const verdict = (): string => {
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      decoder.push(bytes.subarray(at, at + chunkBytes))
      maxBuffered = Math.max(maxBuffered, decoder.bufferedBytes())
      const frame = decoder.next()
      if (Result.isFailure(frame)) return frame.failure._tag
      if (frame.success === undefined) continue
      const message = decode(frame.success, options)
      if (Result.isFailure(message)) return message.failure._tag
      if (message.success === undefined) return "ignored"
      elements = elementsOf(message.success)
      return "accepted"
    }
    return "nothing yet"
  }
  return { verdict: verdict(), maxBuffered, elements }
}
