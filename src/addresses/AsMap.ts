/**
 * Which autonomous system (AS) an IP address is in, from a map file in the format of Bitcoin Core's `-asmap`.
 *
 * The file is a program of one bit tree, which reads an address from its first bit on:
 *
 *     RETURN as            the answer
 *     DEFAULT as           the answer if a MATCH below does not fit
 *     MATCH bits           goes on when the address has these bits, else the default is the answer
 *     JUMP n               a bit 0 goes on here, a bit 1 goes on n bits further
 *
 * Bits of the file come lowest first from each byte, those of an address highest first; an IPv4 address is read as the IPv6
 * address that maps it. AS 0 is "not in the map".
 *
 * **Security**
 *
 * A file is checked whole before it is used: every jump stays inside and meets an instruction, no path reads more bits than an
 * address has, and nothing follows the program. A look-up therefore ends after at most one pass over the file, and one that
 * is not a map is refused with a sentence.
 *
 * Source: Bitcoin Core util/asmap.cpp, `Interpret` and `SanityCheckASMap`.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import { Data, Effect, FileSystem, Result, Stream } from "effect"
import { NetAddress } from "effect/net"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import { carriedIpv4 } from "./AddressRules.ts"

/**
 * Largest file read, in bytes. A map of the whole internet has less than 2 MiB.
 *
 * Source: Bitcoin Core util/asmap.cpp, `DecodeAsmap`, 8 MiB.
 */
export const maxFileBytes = 8 * 1024 * 1024

/** Bits of every address. */
const addressBits = 128

/** A map that was checked. Only `decode` makes one. */
export interface AsMap {
  readonly bytes: Uint8Array
  /** SHA-256 of the file, in hexadecimal digits: which map it is. */
  readonly digest: string
}

/** The file is no map of autonomous systems, or cannot be read. */
export class InvalidAsMap extends Data.TaggedError("InvalidAsMap")<{
  /** What is wrong with it; names no file. */
  readonly reason: string
}> {
  override get message(): string {
    return `not a map of autonomous systems in Bitcoin Core's format: ${this.reason}`
  }
}

// -- numbers in the file -----------------------------------------------------------------------

/** How a kind of number is written: its smallest value, and the bits of each class of larger ones. */
interface NumberFormat {
  readonly smallest: number
  readonly classes: ReadonlyArray<number>
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

const instructions: NumberFormat = { smallest: 0, classes: [0, 0, 1] }
const systems: NumberFormat = { smallest: 1, classes: range(15, 24) }
const patterns: NumberFormat = { smallest: 2, classes: range(1, 8) }
const jumps: NumberFormat = { smallest: 17, classes: range(5, 30) }

const [RETURN, JUMP, MATCH, DEFAULT] = [0, 1, 2, 3]

/** A place in the bits of a map. */
class Bits {
  readonly #bytes: Uint8Array
  readonly length: number
  at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.length = bytes.length * 8
  }

  /** The next bit; `undefined` behind the last one. */
  bit(): number | undefined {
    if (this.at >= this.length) return undefined
    const bit = (this.#bytes[this.at >> 3]! >> (this.at & 7)) & 1
    this.at++
    return bit
  }

  /** The next number; `undefined` when the bits end before it does. */
  number({ classes, smallest }: NumberFormat): number | undefined {
    let value = smallest
    for (let index = 0; index < classes.length; index++) {
      const size = classes[index]!
      const isLarger = index < classes.length - 1 ? this.bit() : 0
      if (isLarger === undefined) return undefined
      if (isLarger === 1) {
        value += 2 ** size
        continue
      }
      let within = 0
      for (let left = size; left > 0; left--) {
        const bit = this.bit()
        if (bit === undefined) return undefined
        within = within * 2 + bit
      }
      return value + within
    }
    return undefined
  }
}

/** How many bits of an address a pattern asks for: all behind its first one. */
const lengthOf = (pattern: number): number => 31 - Math.clz32(pattern)

// -- a file ------------------------------------------------------------------------------------

/** The map in these bytes. */
export const decode = (bytes: Uint8Array): Result.Result<AsMap, InvalidAsMap> => {
  const wrong = bytes.length > maxFileBytes ? `it has more than ${maxFileBytes} bytes` : faultOf(bytes)
  return wrong === undefined
    ? Result.succeed({ bytes, digest: createHash("sha256").update(bytes).digest("hex") })
    : Result.fail(new InvalidAsMap({ reason: wrong }))
}

/** What is wrong with a program, or `undefined`. */
const faultOf = (bytes: Uint8Array): string | undefined => {
  const bits = new Bits(bytes)
  /** Where the second branches begin that were not read yet, and how many bits of an address are left there. */
  const branches: Array<{ readonly at: number; readonly left: number }> = []
  let left = addressBits
  let before = JUMP
  let hasShortMatch = false
  while (bits.at < bits.length) {
    const branch = branches.at(-1)
    if (branch !== undefined && bits.at >= branch.at) return "a jump leads into an instruction"
    const instruction = bits.number(instructions)
    switch (instruction) {
      case RETURN: {
        if (before === DEFAULT) return "an answer follows a default"
        if (bits.number(systems) === undefined) return "it ends within a number"
        if (branch === undefined) return faultOfPadding(bits)
        if (bits.at !== branch.at) return "a part of it is never reached"
        branches.pop()
        left = branch.left
        before = JUMP
        break
      }
      case JUMP: {
        const distance = bits.number(jumps)
        if (distance === undefined) return "it ends within a number"
        if (distance > bits.length - bits.at) return "a jump leads behind its end"
        if (left === 0) return "it reads more bits than an address has"
        left--
        const at = bits.at + distance
        if (branch !== undefined && at >= branch.at) return "two jumps cross"
        branches.push({ at, left })
        before = JUMP
        break
      }
      case MATCH: {
        const pattern = bits.number(patterns)
        if (pattern === undefined) return "it ends within a number"
        const length = lengthOf(pattern)
        if (before !== MATCH) hasShortMatch = false
        if (length < 8 && hasShortMatch) return "a pattern is written in more parts than it needs"
        hasShortMatch = length < 8
        if (left < length) return "it reads more bits than an address has"
        left -= length
        before = MATCH
        break
      }
      case DEFAULT:
        if (before === DEFAULT) return "a default follows a default"
        if (bits.number(systems) === undefined) return "it ends within a number"
        before = DEFAULT
        break
      default:
        return "it ends within an instruction"
    }
  }
  return "it ends without an answer"
}

const faultOfPadding = (bits: Bits): string | undefined => {
  if (bits.length - bits.at > 7) return "something follows its end"
  while (bits.at < bits.length) if (bits.bit() === 1) return "something follows its end"
  return undefined
}

/** Reads at most `maxFileBytes` of a file. */
export const load = (path: string): Effect.Effect<AsMap, InvalidAsMap, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const info = yield* files.stat(path)
    if (info.type !== "File") return yield* new InvalidAsMap({ reason: `it is a ${info.type.toLowerCase()}` })
    const chunks = yield* Stream.runCollect(files.stream(path, { bytesToRead: maxFileBytes + 1 }))
    return yield* Effect.fromResult(decode(Buffer.concat(chunks)))
  }).pipe(
    Effect.catchTag("PlatformError", (error) =>
      Effect.fail(new InvalidAsMap({ reason: error.reason._tag === "NotFound" ? "there is no file" : error.message }))
    )
  )

// -- look-ups ----------------------------------------------------------------------------------

/**
 * The number of the system that an address is in; `undefined` when the map does not say. Addresses that carry an IPv4 address
 * (6to4, Teredo, translation) are in that one's system.
 */
export const systemOf = (map: AsMap, { address }: PeerSocketAddress): number | undefined => {
  const octets = octetsOf(address)
  const bits = new Bits(map.bytes)
  let fallback = 0
  let read = 0
  const next = () => {
    const bit = (octets[read >> 3]! >> (7 - (read & 7))) & 1
    read++
    return bit
  }
  // Each step reads an instruction, and never goes back: a checked map ends in an answer.
  while (bits.at < bits.length) {
    switch (bits.number(instructions)) {
      case RETURN:
        return bits.number(systems) || undefined
      case JUMP: {
        const distance = bits.number(jumps) ?? 0
        if (next() === 1) bits.at += distance
        break
      }
      case MATCH: {
        const pattern = bits.number(patterns) ?? 0
        for (let place = lengthOf(pattern) - 1; place >= 0; place--) {
          if (next() !== ((pattern >> place) & 1)) return fallback || undefined
        }
        break
      }
      case DEFAULT:
        fallback = bits.number(systems) ?? 0
        break
      default:
        return undefined
    }
  }
  return undefined
}

const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]

/** The sixteen bytes that a map is asked for. */
const octetsOf = (address: NetAddress.IpAddress): ReadonlyArray<number> => {
  if (NetAddress.isIpv4Address(address)) return [...mapped, ...NetAddress.ipv4ToOctets(address)]
  const ipv4 = carriedIpv4(address)
  return ipv4 === undefined ? NetAddress.ipv6ToOctets(address) : [...mapped, ...ipv4]
}

/** How well a map fits some addresses. */
export interface Health {
  readonly addresses: number
  /** Not in the map: they are grouped by the network they are in. */
  readonly unmapped: number
  readonly systems: number
  /** Of the system with most addresses; 0 when none is in the map. */
  readonly largest: number
}

/** Whether a map says anything about these addresses: one of another year, or of another internet, does not. */
export const health = (map: AsMap, addresses: Iterable<PeerSocketAddress>): Health => {
  const members = new Map<number, number>()
  let [count, unmapped] = [0, 0]
  for (const address of addresses) {
    count++
    const system = systemOf(map, address)
    if (system === undefined) unmapped++
    else members.set(system, (members.get(system) ?? 0) + 1)
  }
  return { addresses: count, unmapped, systems: members.size, largest: Math.max(0, ...members.values()) }
}
