/**
 * Generators of everything that travels, for property tests: of this package and of whoever uses it.
 *
 *     it.prop("…", { message: Generators.message }, ({ message }) => …)
 *
 * Every generated message can be written, and is the same when it is read again.
 *
 * @module
 */
import { Arbitrary, Result, Schema } from "effect"
import { NetAddress } from "effect/net"
import { Block, BlockHeader } from "../chain/Block.ts"
import type { BlockHash, TxId, WtxId } from "../chain/Hash.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../chain/ProtocolVersion.ts"
import { Transaction } from "../chain/Transaction.ts"
import { type GossipedAddress, NODE_NETWORK } from "../wire/AddressCodec.ts"
import { rejectCodes } from "../wire/ControlMessages.ts"
import { maxTimestamp, minTimestamp } from "../wire/HandshakeMessages.ts"
import { type InventoryItem, Message } from "../wire/Message.ts"

const int = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const oneOf = <A>(...choices: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(int(0, choices.length - 1), (index) => choices[index] ?? neverChosen())

const neverChosen = (): never => {
  throw new Error("an index is out of its range")
}

const byte = int(0, 255)
const u32 = int(0, 0xffff_ffff)
const i32 = int(-0x8000_0000, 0x7fff_ffff)
const u64 = Arbitrary.map(Arbitrary.all([u32, u32]), ([high, low]) => (BigInt(high) << 32n) | BigInt(low))

/** So many bytes. */
export const bytesOf = (length: number): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.map(Arbitrary.array(byte, { minLength: length, maxLength: length }), (bytes) => Uint8Array.from(bytes))

/** Up to so many bytes. */
export const bytesUpTo = (maxLength: number): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.map(Arbitrary.array(byte, { maxLength }), (bytes) => Uint8Array.from(bytes))

const hexOf = (length: number): Arbitrary.Arbitrary<string> =>
  // Eight words are enough to tell hashes apart, and much quicker than so many bytes.
  Arbitrary.map(Arbitrary.array(u32, { minLength: length / 4, maxLength: length / 4 }), (words) =>
    words.map((word) => word.toString(16).padStart(8, "0")).join("")
  )

/** Any hash of a block. */
export const blockHash = hexOf(32) as Arbitrary.Arbitrary<BlockHash>
/** Any id of a transaction of version 1 to 4. */
export const txId = hexOf(32) as Arbitrary.Arbitrary<TxId>
/** Any id of a transaction of version 5 or later. */
export const wtxId = hexOf(64) as Arbitrary.Arbitrary<WtxId>

const ipv4 = Arbitrary.map(bytesOf(4), (bytes) => NetAddress.ipFromStringUnsafe([...bytes].join(".")))
const ipv6 = Arbitrary.map(bytesOf(16), (bytes) => NetAddress.ipv6FromBytesUnsafe(bytes))

/** Any canonical address, of a peer or not. */
export const peerSocketAddress: Arbitrary.Arbitrary<PeerSocketAddress.PeerSocketAddress> = Arbitrary.map(
  Arbitrary.all([oneOf<NetAddress.IpAddress>(ipv4, ipv6), int(0, 65_535)]),
  ([ip, port]) => PeerSocketAddress.fromIp(ip, port)
)

const services = Arbitrary.map(int(0, 1), (bit) => (bit === 1 ? NODE_NETWORK : 0n))

/** Any address with what gossip says of it. */
export const gossipedAddress: Arbitrary.Arbitrary<GossipedAddress> = Arbitrary.map(
  Arbitrary.all([peerSocketAddress, services, u32]),
  ([address, services, lastSeenSeconds]) => ({ address, services, lastSeenSeconds })
)

/** Text of at most so many bytes of UTF-8. */
const text = (maxBytes: number): Arbitrary.Arbitrary<string> =>
  Arbitrary.map(Arbitrary.array(int(0, 0x10_fffe), { maxLength: Math.floor(maxBytes / 4) }), (points) =>
    String.fromCodePoint(...points.map((point) => (point >= 0xd800 && point <= 0xdfff ? 0x20 : point)))
  )

const headerBytes = (solutionBytes: number): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.map(Arbitrary.all([bytesOf(136), bytesUpTo(solutionBytes)]), ([fields, filled]) => {
    const length = solutionBytes < 253 ? [solutionBytes] : [0xfd, solutionBytes & 0xff, solutionBytes >> 8]
    const solution = new Uint8Array(solutionBytes)
    solution.set(filled)
    return Uint8Array.from([4, 0, 0, 0, ...fields, ...length, ...solution])
  })

/** Of any network: with the solution of the public ones or that of Regtest. */
export const blockHeader: Arbitrary.Arbitrary<BlockHeader> = Arbitrary.map(
  oneOf(headerBytes(36), headerBytes(1344)),
  (bytes) => Result.getOrThrow(BlockHeader.decode(bytes))
)

type Bytes = ReadonlyArray<number>

const zeros = (count: number): Bytes => Array.from({ length: count }, () => 0)

const compactSize = (value: number): Bytes => (value < 253 ? [value] : [0xfd, value & 0xff, value >> 8])

/** So many bytes that differ from place to place and from draw to draw, for what nobody looks into. */
const filler = (length: number): Arbitrary.Arbitrary<Bytes> =>
  Arbitrary.map(u32, (seed) => Array.from({ length }, (_, i) => ((seed >>> (i & 15)) + 31 * i) & 0xff))

/** So many times what `item` gives, one after the other. */
const repeated = (count: number, item: Arbitrary.Arbitrary<Bytes>): Arbitrary.Arbitrary<Bytes> =>
  Arbitrary.map(Arbitrary.array(item, { minLength: count, maxLength: count }), (items) => items.flat())

const joined = (...parts: ReadonlyArray<Arbitrary.Arbitrary<Bytes>>): Arbitrary.Arbitrary<Bytes> =>
  Arbitrary.map(Arbitrary.all(parts), (parts) => parts.flat())

const bytes4 = Arbitrary.map(bytesOf(4), (bytes): Bytes => [...bytes])
/** Of 8 bytes, below 2^48: within all money there is. */
const amount = Arbitrary.map(bytesOf(6), (bytes): Bytes => [...bytes, 0, 0])

const script = Arbitrary.map(bytesUpTo(40), (bytes): Bytes => [bytes.length, ...bytes])
const outpoint = Arbitrary.map(Arbitrary.all([bytesOf(32), bytesOf(4)]), ([hash, index]): Bytes => {
  // Never the null outpoint: that is a coinbase's, whose script has a form of its own.
  if (hash[0] === 0) hash[0] = 1
  return [...hash, ...index]
})
const listOf = (items: Arbitrary.Arbitrary<Bytes>): Arbitrary.Arbitrary<Bytes> =>
  Arbitrary.map(Arbitrary.array(items, { maxLength: 4 }), (items) => [items.length, ...items.flat()])

const outputs = listOf(joined(amount, script))
const spending = joined(listOf(joined(outpoint, script, bytes4)), outputs)
/** One input with the null outpoint, whose script states height 500,000. */
const minting = joined(
  Arbitrary.Constant<Bytes>([1, ...zeros(32), 255, 255, 255, 255, 6, 3, 0x20, 0xa1, 7, 1, 2, 255, 255, 255, 255]),
  outputs
)

/** A count, and for each JoinSplit two amounts and a rest; if there are any, a key and a signature. */
const joinSplits = (count: number, restBytes: number): Arbitrary.Arbitrary<Bytes> =>
  joined(
    Arbitrary.Constant<Bytes>([count]),
    repeated(count, joined(amount, amount, filler(restBytes))),
    filler(count > 0 ? 96 : 0)
  )

const saplingVersion4 = (spends: number, outputs: number): Arbitrary.Arbitrary<Bytes> =>
  joined(
    spends + outputs > 0 ? amount : Arbitrary.Constant(zeros(8)),
    Arbitrary.Constant<Bytes>([spends]),
    repeated(spends, filler(384)),
    Arbitrary.Constant<Bytes>([outputs]),
    repeated(outputs, filler(948))
  )

const saplingVersion5 = (spends: number, outputs: number): Arbitrary.Arbitrary<Bytes> =>
  joined(
    Arbitrary.Constant<Bytes>([spends]),
    repeated(spends, filler(96)),
    Arbitrary.Constant<Bytes>([outputs]),
    repeated(outputs, filler(756)),
    spends + outputs > 0 ? amount : Arbitrary.Constant<Bytes>([]),
    filler((spends > 0 ? 32 : 0) + 256 * spends + 192 * outputs + (spends + outputs > 0 ? 64 : 0))
  )

/** Actions of Orchard or Ironwood, with flags up to the given ones. */
const actions = (count: number, maxFlags: number): Arbitrary.Arbitrary<Bytes> => {
  if (count === 0) return Arbitrary.Constant<Bytes>([0])
  const proofBytes = 2720 + 2272 * count
  return joined(
    Arbitrary.Constant<Bytes>([count]),
    filler(820 * count),
    Arbitrary.map(int(0, maxFlags), (flags): Bytes => [flags]),
    amount,
    filler(32),
    Arbitrary.Constant(compactSize(proofBytes)),
    filler(proofBytes + 64 * count + 64)
  )
}

const nu5: Bytes = [0xb4, 0xd0, 0xd6, 0xc2]
const nu63: Bytes = [0x5b, 0x16, 0xa5, 0x37]
const nu7: Bytes = [0xd9, 0x0a, 0x19, 0x77]
const choice = (...choices: ReadonlyArray<Bytes>): Arbitrary.Arbitrary<Bytes> =>
  oneOf(...choices.map((choice) => Arbitrary.Constant(choice)))

/** What is in a transaction: how much of each part, as far as its version has it. */
interface Parts {
  readonly transparent: Arbitrary.Arbitrary<Bytes>
  readonly joinSplits: number
  readonly spends: number
  readonly saplingOutputs: number
  readonly orchard: number
  readonly ironwood: number
}

const version4 = ({ transparent, joinSplits: count, saplingOutputs, spends }: Parts) =>
  joined(
    Arbitrary.Constant<Bytes>([4, 0, 0, 0x80, 0x85, 0x20, 0x2f, 0x89]),
    transparent,
    filler(8),
    saplingVersion4(spends, saplingOutputs),
    joinSplits(count, 1682),
    filler(spends + saplingOutputs > 0 ? 64 : 0)
  )

const version5 = ({ orchard, saplingOutputs, spends, transparent }: Parts) =>
  joined(
    Arbitrary.Constant<Bytes>([5, 0, 0, 0x80, 0x0a, 0x27, 0xa7, 0x26]),
    choice(nu5, nu63, nu7),
    filler(8),
    transparent,
    saplingVersion5(spends, saplingOutputs),
    actions(orchard, 0b011)
  )

const version6 = ({ ironwood, orchard, saplingOutputs, spends, transparent }: Parts) =>
  joined(
    Arbitrary.Constant<Bytes>([6, 0, 0, 0x80, 0x98, 0xb6, 0x84, 0xd8]),
    choice(nu63, nu7),
    filler(8),
    transparent,
    saplingVersion5(spends, saplingOutputs),
    actions(orchard, 0b011),
    actions(ironwood, 0b111)
  )

const legacy = (header: Bytes, times: number, { joinSplits: count, transparent }: Parts) =>
  joined(Arbitrary.Constant(header), transparent, filler(times), joinSplits(count, 1786))

const transactionBytes = Arbitrary.flatMap(
  Arbitrary.all([int(0, 5), int(0, 4), int(0, 1), int(0, 2), int(0, 2), int(0, 1), int(0, 1)]),
  ([version, one, joinSplits, spends, saplingOutputs, orchard, ironwood]) => {
    const isCoinbase = one === 0
    const parts: Parts = {
      transparent: isCoinbase ? minting : spending,
      joinSplits,
      // A coinbase spends nothing.
      spends: isCoinbase ? 0 : spends,
      saplingOutputs,
      orchard,
      ironwood
    }
    switch (version) {
      case 0:
        return joined(Arbitrary.Constant<Bytes>([1, 0, 0, 0]), parts.transparent, bytes4)
      case 1:
        return legacy([2, 0, 0, 0], 4, parts)
      case 2:
        return legacy([3, 0, 0, 0x80, 0x70, 0x82, 0xc4, 3], 8, parts)
      case 3:
        return version4(parts)
      case 4:
        return version5(parts)
      default:
        return version6(parts)
    }
  }
)

/** Of versions 1 to 6, with any of the parts they have. Whether its proofs prove anything is another question. */
export const transaction: Arbitrary.Arbitrary<Transaction> = Arbitrary.map(transactionBytes, (bytes) =>
  Result.getOrThrow(Transaction.decode(Uint8Array.from(bytes)))
)

/** With up to three transactions. Whether they make a valid block is another question. */
export const block: Arbitrary.Arbitrary<Block> = Arbitrary.map(
  Arbitrary.all([blockHeader, Arbitrary.array(transaction, { maxLength: 3 })]),
  ([header, transactions]) =>
    Result.getOrThrow(
      Block.decode(
        Buffer.concat([header.bytes, Uint8Array.of(transactions.length), ...transactions.map(({ bytes }) => bytes)])
      )
    )
)

/** An item of any kind. */
export const inventoryItem: Arbitrary.Arbitrary<InventoryItem> = oneOf<InventoryItem>(
  Arbitrary.Constant({ _tag: "Error" }),
  Arbitrary.map(txId, (id) => ({ _tag: "Tx", id })),
  Arbitrary.map(blockHash, (hash) => ({ _tag: "Block", hash })),
  Arbitrary.map(blockHash, (hash) => ({ _tag: "FilteredBlock", hash })),
  Arbitrary.map(wtxId, (id) => ({ _tag: "Wtx", id }))
)

const inventory = Arbitrary.array(inventoryItem, { maxLength: 60 })

const version = Arbitrary.map(
  Arbitrary.all([u32, services, u64, peerSocketAddress, peerSocketAddress, u64, text(256), i32, int(0, 1)]),
  ([version, services, time, addressReceiver, addressFrom, nonce, userAgent, startHeight, relay]) =>
    Message.Version({
      version,
      services,
      timestamp: minTimestamp + (time % (maxTimestamp - minTimestamp + 1n)),
      addressReceiver: { address: addressReceiver, services },
      addressFrom: { address: addressFrom, services },
      nonce,
      userAgent,
      startHeight,
      relay: relay === 1
    })
)

const reject = Arbitrary.map(
  Arbitrary.all([text(12), int(0, rejectCodes.size - 1), text(111), oneOf(bytesOf(32), Arbitrary.Constant(undefined))]),
  ([message, index, reason, data]) =>
    Message.Reject({
      message,
      code: [...rejectCodes][index] ?? 1,
      reason,
      ...(data === undefined ? {} : { data })
    })
)

const locator = Arbitrary.map(
  Arbitrary.all([
    Arbitrary.array(blockHash, { maxLength: 101 }),
    oneOf<BlockHash | undefined>(blockHash, Arbitrary.Constant(undefined))
  ]),
  ([known, stop]) => ({ known, stop })
)

const filterLoad = Arbitrary.map(
  Arbitrary.all([bytesUpTo(200), u32, u32, byte]),
  ([filter, hashFunctions, tweak, flags]) => Message.FilterLoad({ filter, hashFunctions, tweak, flags })
)

const messages: { readonly [Tag in Message["_tag"]]: Arbitrary.Arbitrary<Extract<Message, { readonly _tag: Tag }>> } = {
  Version: version,
  Verack: Arbitrary.Constant(Message.Verack()),
  Ping: Arbitrary.map(u64, (nonce) => Message.Ping({ nonce })),
  Pong: Arbitrary.map(u64, (nonce) => Message.Pong({ nonce })),
  Reject: reject,
  GetAddr: Arbitrary.Constant(Message.GetAddr()),
  Addr: Arbitrary.map(Arbitrary.array(gossipedAddress, { maxLength: 50 }), (addresses) => Message.Addr({ addresses })),
  GetBlocks: Arbitrary.map(locator, (locator) => Message.GetBlocks(locator)),
  GetHeaders: Arbitrary.map(locator, (locator) => Message.GetHeaders(locator)),
  Inv: Arbitrary.map(inventory, (items) => Message.Inv({ items })),
  GetData: Arbitrary.map(inventory, (items) => Message.GetData({ items })),
  NotFound: Arbitrary.map(inventory, (items) => Message.NotFound({ items })),
  Headers: Arbitrary.map(Arbitrary.array(blockHeader, { maxLength: 5 }), (headers) => Message.Headers({ headers })),
  Block: Arbitrary.map(block, (block) => Message.Block({ block })),
  Tx: Arbitrary.map(transaction, (transaction) => Message.Tx({ transaction })),
  Mempool: Arbitrary.Constant(Message.Mempool()),
  FilterLoad: filterLoad,
  FilterAdd: Arbitrary.map(bytesUpTo(520), (data) => Message.FilterAdd({ data })),
  FilterClear: Arbitrary.Constant(Message.FilterClear())
}

/** Every kind of message, each as likely. Locators state the version that is negotiated by default. */
export const message: Arbitrary.Arbitrary<Message> = oneOf<Message>(...Object.values(messages))

/** What `message` expects to have been negotiated. */
export const negotiatedVersion = ourProtocolVersion

/** The same bytes after up to four of: a byte changed, a bit turned, a part cut off, bytes put in, the largest count put in. */
export const mutated = (bytes: Uint8Array): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.map(
    Arbitrary.array(Arbitrary.all([int(0, 4), u32, byte, bytesUpTo(9)]), { minLength: 1, maxLength: 4 }),
    (changes) => changes.reduce(changed, bytes)
  )

const largestCount = new Uint8Array(9).fill(0xff)

const changed = (
  bytes: Uint8Array,
  [kind, place, value, more]: readonly [number, number, number, Uint8Array]
): Uint8Array => {
  const at = place % (bytes.length + 1)
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
  switch (kind) {
    case 0:
      return after.length === 0 ? bytes : Buffer.concat([before, Uint8Array.of(value), after.subarray(1)])
    case 1:
      return after.length === 0
        ? bytes
        : Buffer.concat([before, Uint8Array.of(after[0]! ^ (1 << (value & 7))), after.subarray(1)])
    case 2:
      return before
    case 3:
      return Buffer.concat([before, more, after])
    default:
      return Buffer.concat([before, largestCount, after.subarray(1)])
  }
}
