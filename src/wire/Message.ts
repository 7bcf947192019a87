/**
 * Every message we know; frame ↔ message.
 *
 * @module
 */
import { Data } from "effect"
import type { Block, BlockHeader } from "../chain/Block.ts"
import type { BlockHash, TxId, WtxId } from "../chain/Hash.ts"
import type { Transaction } from "../chain/Transaction.ts"
import type { GossipedAddress, VersionAddress } from "./AddressCodec.ts"

/** One entry of `inv`, `getdata` or `notfound`. */
export type InventoryItem =
  | { readonly _tag: "Error" }
  | { readonly _tag: "Tx"; readonly id: TxId }
  | { readonly _tag: "Block"; readonly hash: BlockHash }
  | { readonly _tag: "FilteredBlock"; readonly hash: BlockHash }
  | { readonly _tag: "Wtx"; readonly id: WtxId }

export interface Version {
  readonly _tag: "Version"
  readonly version: number
  readonly services: bigint
  readonly timestamp: bigint
  readonly addressReceiver: VersionAddress
  readonly addressFrom: VersionAddress
  readonly nonce: bigint
  readonly userAgent: string
  readonly startHeight: number
  readonly relay: boolean
}

export type Message =
  | Version
  | { readonly _tag: "Verack" }
  | { readonly _tag: "Ping"; readonly nonce: bigint }
  | { readonly _tag: "Pong"; readonly nonce: bigint }
  | {
      readonly _tag: "Reject"
      readonly message: string
      readonly code: number
      readonly reason: string
      readonly data?: Uint8Array
    }
  | { readonly _tag: "GetAddr" }
  /** `addr` and `addrv2` alike; we only ever write `addr`. */
  | { readonly _tag: "Addr"; readonly addresses: ReadonlyArray<GossipedAddress> }
  | { readonly _tag: "GetBlocks"; readonly known: ReadonlyArray<BlockHash>; readonly stop: BlockHash | undefined }
  | { readonly _tag: "GetHeaders"; readonly known: ReadonlyArray<BlockHash>; readonly stop: BlockHash | undefined }
  | { readonly _tag: "Inv"; readonly items: ReadonlyArray<InventoryItem> }
  | { readonly _tag: "GetData"; readonly items: ReadonlyArray<InventoryItem> }
  | { readonly _tag: "NotFound"; readonly items: ReadonlyArray<InventoryItem> }
  | { readonly _tag: "Headers"; readonly headers: ReadonlyArray<BlockHeader> }
  | { readonly _tag: "Block"; readonly block: Block }
  | { readonly _tag: "Tx"; readonly transaction: Transaction }
  | { readonly _tag: "Mempool" }
  | { readonly _tag: "FilterLoad" }
  | { readonly _tag: "FilterAdd" }
  | { readonly _tag: "FilterClear" }

export class WireParse extends Data.TaggedError("WireParse")<{ readonly command: string; readonly reason: string }> {}
/** The body ended inside a field. */
export class WireEof extends Data.TaggedError("WireEof")<{ readonly command: string; readonly field: string }> {}
/** A v4 transaction with a Sapling balance but neither spends nor outputs. */
export class WireBalance extends Data.TaggedError("WireBalance")<{ readonly command: string }> {}

export type MessageError = WireParse | WireEof | WireBalance
