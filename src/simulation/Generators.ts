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

export const blockHash = hexOf(32) as Arbitrary.Arbitrary<BlockHash>
export const txId = hexOf(32) as Arbitrary.Arbitrary<TxId>
export const wtxId = hexOf(64) as Arbitrary.Arbitrary<WtxId>

const ipv4 = Arbitrary.map(bytesOf(4), (bytes) => NetAddress.ipFromStringUnsafe([...bytes].join(".")))
const ipv6 = Arbitrary.map(bytesOf(16), (bytes) => NetAddress.ipv6FromBytesUnsafe(bytes))

/** Any canonical address, of a peer or not. */
export const peerSocketAddress: Arbitrary.Arbitrary<PeerSocketAddress.PeerSocketAddress> = Arbitrary.map(
  Arbitrary.all([oneOf<NetAddress.IpAddress>(ipv4, ipv6), int(0, 65_535)]),
  ([ip, port]) => PeerSocketAddress.fromIp(ip, port)
)

const services = Arbitrary.map(int(0, 1), (bit) => (bit === 1 ? NODE_NETWORK : 0n))

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

const script = Arbitrary.map(bytesUpTo(40), (bytes) => [bytes.length, ...bytes])
const outpoint = Arbitrary.map(Arbitrary.all([bytesOf(32), bytesOf(4)]), ([hash, index]) => {
  // Never the null outpoint: that is a coinbase's, whose script has a form of its own.
  if (hash[0] === 0) hash[0] = 1
  return [...hash, ...index]
})
const input = Arbitrary.map(Arbitrary.all([outpoint, script, bytesOf(4)]), ([outpoint, script, sequence]) => [
  ...outpoint,
  ...script,
  ...sequence
])
const output = Arbitrary.map(Arbitrary.all([bytesOf(6), script]), ([value, script]) => [...value, 0, 0, ...script])
const listOf = (items: Arbitrary.Arbitrary<ReadonlyArray<number>>) =>
  Arbitrary.map(Arbitrary.array(items, { maxLength: 4 }), (items) => [items.length, ...items.flat()])

const nu5 = [0xb4, 0xd0, 0xd6, 0xc2]
const nu7 = [0xd9, 0x0a, 0x19, 0x77]

/** Transparent ones of versions 1, 4, 5 and 6. */
export const transaction: Arbitrary.Arbitrary<Transaction> = Arbitrary.map(
  Arbitrary.all([int(0, 3), listOf(input), listOf(output), bytesOf(4), int(0, 499_999_999)]),
  ([form, inputs, outputs, lockTime, expiry]) => {
    const expiryBytes = [expiry & 0xff, (expiry >> 8) & 0xff, (expiry >> 16) & 0xff, (expiry >> 24) & 0xff]
    const transparent = [...inputs, ...outputs]
    const bytes = [
      [1, 0, 0, 0, ...transparent, ...lockTime],
      [4, 0, 0, 0x80, 0x85, 0x20, 0x2f, 0x89, ...transparent, ...lockTime, ...expiryBytes, ...zeros(11)],
      [5, 0, 0, 0x80, 0x0a, 0x27, 0xa7, 0x26, ...nu5, ...lockTime, ...expiryBytes, ...transparent, ...zeros(3)],
      [6, 0, 0, 0x80, 0x98, 0xb6, 0x84, 0xd8, ...nu7, ...lockTime, ...expiryBytes, ...transparent, ...zeros(4)]
    ]
    return Result.getOrThrow(Transaction.decode(Uint8Array.from(bytes[form] ?? [])))
  }
)

const zeros = (count: number): ReadonlyArray<number> => Array.from({ length: count }, () => 0)

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

export const inventoryItem: Arbitrary.Arbitrary<InventoryItem> = oneOf<InventoryItem>(
  Arbitrary.Constant({ _tag: "Error" }),
  Arbitrary.map(txId, (id) => ({ _tag: "Tx", id })),
  Arbitrary.map(blockHash, (hash) => ({ _tag: "Block", hash })),
  Arbitrary.map(blockHash, (hash) => ({ _tag: "FilteredBlock", hash })),
  Arbitrary.map(wtxId, (id) => ({ _tag: "Wtx", id }))
)

const inventory = Arbitrary.array(inventoryItem, { maxLength: 60 })

const version = Arbitrary.map(
  Arbitrary.all([u32, services, u64, peerSocketAddress, peerSocketAddress, u64, text(256), u32, int(0, 1)]),
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

/** Every kind of message, each as likely. Locators state the version that is negotiated by default. */
export const message: Arbitrary.Arbitrary<Message> = oneOf<Message>(
  version,
  Arbitrary.Constant(Message.Verack()),
  Arbitrary.map(u64, (nonce) => Message.Ping({ nonce })),
  Arbitrary.map(u64, (nonce) => Message.Pong({ nonce })),
  reject,
  Arbitrary.Constant(Message.GetAddr()),
  Arbitrary.map(Arbitrary.array(gossipedAddress, { maxLength: 50 }), (addresses) => Message.Addr({ addresses })),
  Arbitrary.map(locator, (locator) => Message.GetBlocks(locator)),
  Arbitrary.map(locator, (locator) => Message.GetHeaders(locator)),
  Arbitrary.map(inventory, (items) => Message.Inv({ items })),
  Arbitrary.map(inventory, (items) => Message.GetData({ items })),
  Arbitrary.map(inventory, (items) => Message.NotFound({ items })),
  Arbitrary.map(Arbitrary.array(blockHeader, { maxLength: 5 }), (headers) => Message.Headers({ headers })),
  Arbitrary.map(block, (block) => Message.Block({ block })),
  Arbitrary.map(transaction, (transaction) => Message.Tx({ transaction })),
  Arbitrary.Constant(Message.Mempool()),
  filterLoad,
  Arbitrary.map(bytesUpTo(520), (data) => Message.FilterAdd({ data })),
  Arbitrary.Constant(Message.FilterClear())
)

/** What `message` expects to have been negotiated. */
export const negotiatedVersion = ourProtocolVersion
