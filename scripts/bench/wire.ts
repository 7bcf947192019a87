/**
 * Bytes to typed messages and back, beside merely checksumming the same bytes in the same run.
 *
 *     npm run bench -- wire [--millis 1000]
 *
 * The mixed stream is what a busy node hears: 1 headers (160), 4 addr (1000), 40 inv (50), 200 inv (1), 60 ping, 60 pong.
 * The 1.9 MB block is one of the folder that NETWORK_EFFECT_VECTORS names, or else made of many small transactions. Needs
 * nothing else, writes nothing.
 */
import { hash } from "node:crypto"
import { parseArgs } from "node:util"
import { Record as Records, Result } from "effect"
import { NetAddress } from "effect/net"
import { Block, Frame, Message, mainnet, NODE_NETWORK, PeerSocketAddress, ProtocolVersion } from "network-effect"
import { checksum, sha256d, shortInputBytes } from "../../src/bytes/Hashing.ts"
import { sha256OfWords, sha256Words } from "../../src/bytes/ShortSha256.ts"
import { genesis } from "../../test/support/goldens.ts"
import { bigBlock } from "./support/block.ts"
import { hostileCases, judge } from "../../test/support/hostile.ts"

type Message = Message.Message

const options = {
  magic: mainnet.magic,
  negotiatedVersion: ProtocolVersion.ourProtocolVersion,
  maxBodyBytes: Frame.maxBodyBytes
}

const times = <A>(count: number, make: (n: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, n) => make(n))
const hashOf = (n: number) => hash("sha256", String(n)) as never
const addressOf = (n: number) =>
  PeerSocketAddress.fromIp(NetAddress.ipFromStringUnsafe(`10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`), 8233)

// -- what is decoded -----------------------------------------------------------------------------

const header = Result.getOrThrow(Block.Block.decode(genesis.mainnet.bytes)).header
const headers = (count: number): Message => Message.Message.Headers({ headers: times(count, () => header) })
const addr = (count: number): Message =>
  Message.Message.Addr({
    addresses: times(count, (n) => ({ address: addressOf(n), services: NODE_NETWORK, lastSeenSeconds: n }))
  })
const inv = (count: number): Message =>
  Message.Message.Inv({ items: times(count, (n) => ({ _tag: "Tx", id: hashOf(n) }) as const) })
const ping = Message.Message.Ping({ nonce: 1n })
const version = Message.Message.Version({
  version: ProtocolVersion.ourProtocolVersion,
  services: NODE_NETWORK,
  timestamp: 1_700_000_000n,
  addressReceiver: { address: addressOf(1), services: NODE_NETWORK },
  addressFrom: { address: addressOf(2), services: NODE_NETWORK },
  nonce: 7n,
  userAgent: "/Zebra:7.0.0/",
  startHeight: 3_600_000,
  relay: true
})

const encoded = (message: Message): Uint8Array => Result.getOrThrow(Message.encode(message, options))

const mixed = Buffer.concat(
  [
    headers(160),
    ...times(4, () => addr(1000)),
    ...times(40, () => inv(50)),
    ...times(200, () => inv(1)),
    ...times(60, () => ping),
    ...times(60, () => Message.Message.Pong({ nonce: 1n }))
  ].map(encoded)
)

/**
 * As sockets hand it over: each chunk a buffer of its own. Those of one byte are shared and out of Node's pool, or making
 * room for millions is measured.
 */
const chunked = (bytes: Uint8Array, size: number): ReadonlyArray<Uint8Array> =>
  size === 1
    ? Array.from(bytes, (byte) => singleBytes[byte]!)
    : times(Math.ceil(bytes.length / size), (n) => ownBuffer(bytes.subarray(n * size, (n + 1) * size)))

const ownBuffer = (bytes: Uint8Array): Buffer => {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}

const singleBytes = times(256, (byte) => Buffer.of(byte))

/** Whatever messages there are now. */
const drain = (decoder: Frame.FrameDecoder): number => {
  for (let messages = 0; ;) {
    const next = decoder.next()
    if (Result.isFailure(next)) throw next.failure
    if (next.success === undefined) return messages
    if (Result.getOrThrow(Message.decode(next.success, options)) !== undefined) messages++
  }
}

const decodeAll = (chunks: ReadonlyArray<Uint8Array>): number => {
  const decoder = new Frame.FrameDecoder(mainnet.magic, Frame.maxBodyBytes)
  let messages = 0
  for (let at = 0; at < chunks.length;) {
    // Apart from the decoding, so that nothing is called in a loop over single bytes.
    while (at < chunks.length && !decoder.push(chunks[at++]!)) continue
    messages += drain(decoder)
  }
  return messages
}

/** The bytes of chunks in one place: the least a decoder of such a stream can do. */
const copyAll = (chunks: ReadonlyArray<Uint8Array>, length: number): number => {
  const all = Buffer.allocUnsafeSlow(length)
  let at = 0
  for (const chunk of chunks) {
    if (chunk.byteLength === 1) all[at++] = chunk[0]!
    else {
      all.set(chunk, at)
      at += chunk.length
    }
  }
  return at
}

/** Checksums of the same bodies, and nothing else. */
const bodiesOf = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  const bodies: Array<Uint8Array> = []
  const view = Buffer.from(bytes)
  for (let at = 0; at < view.length;) {
    const length = view.readUInt32LE(at + 16)
    bodies.push(view.subarray(at + Frame.headerBytes, at + Frame.headerBytes + length))
    at += Frame.headerBytes + length
  }
  return bodies
}

const checksumAll = (bodies: ReadonlyArray<Uint8Array>): number => bodies.reduce((sum, body) => sum + checksum(body), 0)

/** SHA-256 twice as anybody would compute it. */
const plainSha256d = (bytes: Uint8Array): Buffer => hash("sha256", hash("sha256", bytes, "buffer"), "buffer")

const plainChecksumAll = (bodies: ReadonlyArray<Uint8Array>): number =>
  bodies.reduce((sum, body) => sum + plainSha256d(body).readUInt32LE(0), 0)

// -- how fast ------------------------------------------------------------------------------------

/**
 * Nanoseconds of one call of each, the best of rounds that take `millis` together. Each round has all of them, so that a
 * machine that is slower for a while is slower for all.
 */
const nanosOfEach = <Name extends string>(
  calls: Readonly<Record<Name, () => unknown>>,
  millis: number
): Readonly<Record<Name, number>> => {
  const names = Records.keys(calls)
  const best = {} as Record<Name, number>
  const repeat = {} as Record<Name, number>
  for (const name of names) {
    best[name] = Number.POSITIVE_INFINITY
    repeat[name] = 1
  }
  const end = process.hrtime.bigint() + BigInt(Math.round(millis * 1_000_000))
  while (process.hrtime.bigint() < end) {
    for (const name of names) {
      const call = calls[name]
      const started = process.hrtime.bigint()
      for (let n = 0; n < repeat[name]; n++) call()
      const nanos = Number(process.hrtime.bigint() - started)
      best[name] = Math.min(best[name], nanos / repeat[name])
      if (nanos < 5_000_000) repeat[name] *= 2
    }
  }
  return best
}

const nanosOf = (call: () => unknown, millis: number): number => nanosOfEach({ call }, millis).call

const micros = (nanos: number) => Number((nanos / 1000).toFixed(nanos < 10_000 ? 2 : 0))
const ratio = (one: number, other: number) => Number((one / other).toFixed(2))
const megabytes = (bytes: number, nanos: number) => `${Math.round((bytes / nanos) * 1000)} MB/s`

export const run = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({ args: [...args], options: { millis: { type: "string", default: "1000" } } })
  const millis = Number(values.millis)

  const bodies = bodiesOf(mixed)
  // Apart: the buffers it leaves behind would be collected while the others are measured.
  const plain = nanosOf(() => plainChecksumAll(bodies), millis)
  console.log(`The mixed stream: ${bodies.length} messages, ${mixed.length} bytes`)
  console.table(
    [65_536, 1448].map((size) => {
      const chunks = chunked(mixed, size)
      const { decoded, ours } = nanosOfEach(
        { ours: () => checksumAll(bodies), decoded: () => decodeAll(chunks) },
        2 * millis
      )
      return {
        "chunks of": size,
        "checksums, node:crypto": megabytes(mixed.length, plain),
        "checksums, ours": megabytes(mixed.length, ours),
        "decoded and checksummed": megabytes(mixed.length, decoded),
        "ratio to node:crypto": ratio(plain, decoded),
        "ratio to ours": ratio(ours, decoded)
      }
    })
  )

  console.table(
    [inv(1000), inv(50_000)].flatMap((message) => {
      const bytes = encoded(message)
      const large = chunked(bytes, 65_536)
      return [1, 100].map((size) => {
        const chunks = chunked(bytes, size)
        const { copied, decoded, whole } = nanosOfEach(
          {
            whole: () => decodeAll(large),
            decoded: () => decodeAll(chunks),
            copied: () => copyAll(chunks, bytes.length)
          },
          3 * millis
        )
        return {
          "a drip of": `${bytes.length} bytes`,
          "chunks of": size,
          ms: Number((decoded / 1e6).toFixed(2)),
          "against 64 KiB chunks": ratio(decoded, whole),
          "a mere copy of the chunks against those": ratio(copied, whole)
        }
      })
    })
  )

  const singles: ReadonlyArray<readonly [string, Message]> = [
    ["inv 1000", inv(1000)],
    ["addr 1000", addr(1000)],
    ["headers 160", headers(160)],
    ["version", version],
    ["ping", ping]
  ]
  console.table(
    singles.map(([name, message]) => {
      const bytes = encoded(message)
      const alone = nanosOf(() => checksumAll(bodiesOf(bytes)), millis / 4)
      const chunks = [bytes]
      return {
        message: name,
        bytes: bytes.length,
        "checksum µs": micros(alone),
        "decode µs": micros(nanosOf(() => decodeAll(chunks), millis / 4)),
        "encode µs": micros(nanosOf(() => encoded(message), millis / 4))
      }
    })
  )

  const block = bigBlock()
  const ofBlock = nanosOfEach(
    {
      checksum: () => sha256d(block),
      relay: () => Result.getOrThrow(Block.Block.decode(block)).hash,
      ids: () => Result.getOrThrow(Block.Block.decode(block)).transactionIds.length
    },
    2 * millis
  )
  console.table([
    { "a block": "SHA-256d of its bytes", ms: ofBlock.checksum / 1e6, ratio: 1 },
    { "a block": "its extent and its hash", ms: ofBlock.relay / 1e6, ratio: ratio(ofBlock.relay, ofBlock.checksum) },
    { "a block": "all its ids", ms: ofBlock.ids / 1e6, ratio: ratio(ofBlock.ids, ofBlock.checksum) }
  ])

  console.table(
    hostileCases.map((hostile) => ({
      hostile: hostile.name,
      verdict: hostile.verdict,
      ms: Number((nanosOf(() => judge(hostile), millis / 10) / 1e6).toFixed(3))
    }))
  )

  console.log(
    `SHA-256 twice, in µs, by size: JavaScript is used up to ${shortInputBytes} bytes, and always for the second`
  )
  console.table(
    [0, 32, 55, 64, 119, 120, 183, 256, 512, 1024, 16_384, 1_048_576].map((size) => {
      const bytes = new Uint8Array(size).fill(1)
      return {
        bytes: size,
        "node:crypto twice": micros(nanosOf(() => plainSha256d(bytes), millis / 10)),
        "JavaScript twice": micros(nanosOf(() => sha256OfWords(sha256Words(bytes)), millis / 10)),
        "as chosen": micros(nanosOf(() => sha256d(bytes), millis / 10))
      }
    })
  )
}
