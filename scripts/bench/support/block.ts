/** A block of 1.9 MB: the one of the folder that NETWORK_EFFECT_VECTORS names, or else made of many small transactions. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Result } from "effect"
import { Block } from "network-effect"
import { genesis, transactions } from "../../../test/support/goldens.ts"

export const bigBlock = (): Uint8Array => {
  const folder = process.env["NETWORK_EFFECT_VECTORS"]
  const file = folder === undefined ? undefined : join(folder, "blocks/block-test-141042.bin")
  if (file !== undefined && existsSync(file)) return readFileSync(file)
  const count = Math.floor(1_900_000 / transactions.v1.bytes.length)
  const { bytes } = Result.getOrThrow(Block.Block.decode(genesis.mainnet.bytes)).header
  return Buffer.concat([
    bytes,
    Buffer.from([0xfd, count & 0xff, count >> 8]),
    ...Array.from({ length: count }, () => transactions.v1.bytes)
  ])
}
