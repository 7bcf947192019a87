/**
 * The height of its block, which the script of a coinbase input begins with.
 *
 * Source: zebra-chain transparent/serialize.rs; BIP 34, with the encoding checked in full.
 *
 * @module
 */
import { Result } from "effect"

/** Bytes of a coinbase script, both inclusive. */
const minScriptBytes = 2
const maxScriptBytes = 100

/** Highest height there can be, and the highest that a `version` can state. Source: Zebra height.rs, `Height::MAX`; ZIP 204. */
export const maxHeight = 0x7fff_ffff

/** The script of the genesis blocks of all three networks. */
const genesisScript = Buffer.from(
  "\u0004\u00ff\u00ff\u0007\u001f\u0001\u0004EZcash0b9c4eef8b7cc417ee5001e3500984b6fea35683a7cac141a043c42064835d34",
  "latin1"
)

/**
 * The height in the script of `length` bytes at `at`, or why it cannot be the script of a coinbase input. It must begin
 * with the height, pushed as the shortest script number: 1 to 16 as one byte `51` to `60`, others as their length and
 * the fewest little-endian bytes whose top bit is clear. Only the genesis script means height 0.
 */
export const coinbaseHeight = (bytes: Buffer, at: number, length: number): Result.Result<number, string> => {
  if (length < minScriptBytes || length > maxScriptBytes) {
    return Result.fail("coinbase script of another length than 2 to 100")
  }
  const first = bytes[at]!
  if (first >= 0x51 && first <= 0x60) return Result.succeed(first - 0x50)
  if (first < 1 || first > 5) return Result.fail("coinbase script without a height")
  if (length < 1 + first) return Result.fail("coinbase height longer than its script")
  const height = bytes.readUIntLE(at + 1, first)
  if (height > maxHeight) return Result.fail("coinbase height above 2^31 - 1")
  if (height <= 16 || first !== scriptNumberBytes(height)) {
    return Result.fail("coinbase height not in its shortest form")
  }
  return Result.succeed(genesisScript.equals(bytes.subarray(at, at + length)) ? 0 : height)
}

/** Bytes of a positive script number: its top bit is the sign. */
const scriptNumberBytes = (height: number): number =>
  height < 0x80 ? 1 : height < 0x8000 ? 2 : height < 0x80_0000 ? 3 : 4
