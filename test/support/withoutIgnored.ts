/**
 * What is left of the body of an accepted message when all is taken out that the protocol says to ignore: bytes behind the
 * end, services nobody knows, hashes of nothing, counts of headers. Written without the codec, to be compared with it.
 */
import { Result } from "effect"
import { Block } from "../../src/chain/Block.ts"
import { Transaction } from "../../src/chain/Transaction.ts"

export const withoutIgnored = (command: string, body: Uint8Array): Uint8Array => {
  const bytes = Buffer.from(body)
  switch (command) {
    case "version":
      return version(bytes)
    case "ping":
    case "pong":
      return bytes.subarray(0, 8)
    case "reject": {
      const messageEnd = 1 + bytes[0]!
      const reasonEnd = messageEnd + 2 + bytes[messageEnd + 1]!
      return bytes.subarray(0, bytes.length >= reasonEnd + 32 ? reasonEnd + 32 : reasonEnd)
    }
    case "addr":
      return addr(bytes)
    case "getblocks":
    case "getheaders":
      return bytes.subarray(0, 4 + 1 + 32 * (bytes[4]! + 1))
    case "inv":
    case "getdata":
    case "notfound":
      return inventory(bytes)
    case "headers":
      return headers(bytes)
    case "block":
      return Result.getOrThrow(Block.decode(bytes)).bytes
    case "tx":
      return Result.getOrThrow(Transaction.decode(bytes)).bytes
    case "filterload":
      return bytes
    case "filteradd":
      return bytes.subarray(0, 520)
    default:
      return bytes.subarray(0, 0)
  }
}

/** Value and width of the count at `at`, which is known to be well formed. */
const countAt = (bytes: Buffer, at: number): readonly [value: number, width: number] => {
  const first = bytes[at]!
  if (first < 0xfd) return [first, 1]
  return first === 0xfd ? [bytes.readUInt16LE(at + 1), 3] : [bytes.readUInt32LE(at + 1), 5]
}

/** Keeps the one service that is known. */
const keepKnownServices = (bytes: Buffer, at: number): void => {
  bytes[at]! &= 1
  bytes.fill(0, at + 1, at + 8)
}

const version = (bytes: Buffer): Uint8Array => {
  for (const at of [4, 20, 46]) keepKnownServices(bytes, at)
  const [length, width] = countAt(bytes, 80)
  const end = 80 + width + length + 4
  // Who does not say whether it wants transactions wants them.
  return bytes.length > end ? bytes.subarray(0, end + 1) : Buffer.concat([bytes, Uint8Array.of(1)])
}

const addr = (bytes: Buffer): Uint8Array => {
  const [count, width] = countAt(bytes, 0)
  for (let i = 0; i < count; i++) keepKnownServices(bytes, width + 30 * i + 4)
  return bytes.subarray(0, width + 30 * count)
}

const inventory = (bytes: Buffer): Uint8Array => {
  const [count, width] = countAt(bytes, 0)
  let at = width
  for (let i = 0; i < count; i++) {
    const type = bytes.readUInt32LE(at)
    if (type === 0) bytes.fill(0, at + 4, at + 36)
    at += type === 5 ? 68 : 36
  }
  return bytes.subarray(0, at)
}

const headers = (bytes: Buffer): Uint8Array => {
  const [count, width] = countAt(bytes, 0)
  const parts: Array<Uint8Array> = [bytes.subarray(0, width)]
  let at = width
  for (let i = 0; i < count; i++) {
    const [solution, solutionWidth] = countAt(bytes, at + 140)
    const end = at + 140 + solutionWidth + solution
    parts.push(bytes.subarray(at, end), Uint8Array.of(0))
    at = end + countAt(bytes, end)[1]
  }
  return Buffer.concat(parts)
}
