/** Blocks, transactions and headers that are too long to be kept in records. */
import { Result } from "effect"
import { Block } from "../../src/chain/Block.ts"
import { BlockHeader } from "../../src/chain/Block.ts"
import { Transaction } from "../../src/chain/Transaction.ts"
import { genesis, transactions } from "../support/goldens.ts"

/** A Mainnet header in front of 60 transactions of version 1; `n` tells two of them apart. */
export const longBlock = (n: number): Block => {
  const header = Buffer.from(mainnetHeader.bytes)
  header.writeUInt32LE(n, 108)
  const many = Array.from({ length: 60 }, () => transactions.v1.bytes)
  return Result.getOrThrow(Block.decode(Buffer.concat([header, Buffer.of(many.length), ...many])))
}

/** A transaction of version 1 whose only input has a script of 5,000 bytes. */
export const longTransaction = (n: number): Transaction => {
  const script = Buffer.alloc(5000, n)
  const length = Buffer.of(0xfd, script.length & 0xff, script.length >> 8)
  const input = Buffer.concat([Buffer.alloc(32, 1), Buffer.alloc(4), length, script, Buffer.alloc(4)])
  const output = Buffer.concat([Buffer.alloc(8), Buffer.of(0)])
  const bytes = Buffer.concat([Buffer.of(1, 0, 0, 0), Buffer.of(1), input, Buffer.of(1), output, Buffer.alloc(4)])
  return Result.getOrThrow(Transaction.decode(bytes))
}

const mainnetHeader: BlockHeader = Result.getOrThrow(Block.decode(genesis.mainnet.bytes)).header

/** Three headers of 1,487 bytes. */
export const longHeaders: ReadonlyArray<BlockHeader> = [mainnetHeader, mainnetHeader, mainnetHeader]
