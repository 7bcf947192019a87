/** Messages as other programs write them, valid, ignored and malformed. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { NetAddress } from "effect/net"
import { type ChainParamsShape, mainnet, regtest, testnet } from "../../src/chain/ChainParams.ts"
import type * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { decode, encode, encodeAddrV2, type Message } from "../../src/wire/Message.ts"
import { withoutIgnored } from "../support/withoutIgnored.ts"
import { hasVectors, readBytes, readJson } from "../support/vectors.ts"

interface Case {
  readonly name: string
  readonly network: "main" | "test" | "regtest"
  readonly phase: "handshake" | "established"
  readonly expect: "message" | "error" | "ignored"
  readonly error?: string
  readonly message: string
  readonly body: string
  readonly decoded?: Record<string, unknown>
}

const chains: Record<Case["network"], ChainParamsShape> = { main: mainnet, test: testnet, regtest }

/** What the vectors negotiated. */
const negotiatedVersion = 170_160

const decoderFor = ({ network, phase }: Case) =>
  new Frame.FrameDecoder(
    chains[network].magic,
    phase === "handshake" ? Frame.maxHandshakeBodyBytes : Frame.maxBodyBytes
  )

/** The tag of the error, `ignored`, or the message. */
const verdict = (each: Case, chunks: ReadonlyArray<Uint8Array>): string | Message => {
  const decoder = decoderFor(each)
  for (const chunk of chunks) {
    decoder.push(chunk)
    const frame = decoder.next()
    if (Result.isFailure(frame)) return frame.failure._tag
    if (frame.success === undefined) continue
    const message = decode(frame.success, { negotiatedVersion })
    if (Result.isFailure(message)) return message.failure._tag
    return message.success ?? "ignored"
  }
  return "nothing yet"
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const endpoint = ({
  address,
  services
}: {
  readonly address: PeerSocketAddress.PeerSocketAddress
  readonly services: bigint
}) => ({
  services: String(services),
  ip: NetAddress.formatIp(address.address),
  port: address.port
})

/** A message in the words of the vectors. */
const inTheirWords = (message: Message): Record<string, unknown> => {
  switch (message._tag) {
    case "Version":
      return {
        version: message.version,
        services: String(message.services),
        timestamp: String(message.timestamp),
        addr_recv: endpoint(message.addressReceiver),
        addr_from: endpoint(message.addressFrom),
        nonce: `0x${message.nonce.toString(16).padStart(16, "0")}`,
        user_agent: message.userAgent,
        start_height: message.startHeight,
        relay: message.relay
      }
    case "Ping":
    case "Pong":
      return { nonce: `0x${message.nonce.toString(16).padStart(16, "0")}` }
    case "Reject":
      return {
        message: message.message,
        ccode: message.code,
        reason: message.reason,
        data: message.data === undefined ? null : hex(message.data)
      }
    case "Addr":
      return {
        addrs: message.addresses.map(({ lastSeenSeconds, ...rest }) => ({ time: lastSeenSeconds, ...endpoint(rest) }))
      }
    case "GetBlocks":
    case "GetHeaders":
      return { known_blocks: message.known, stop: message.stop ?? null, known_blocks_count: message.known.length }
    case "Inv":
    case "GetData":
    case "NotFound":
      return {
        count: message.items.length,
        items: message.items.map((item) => {
          switch (item._tag) {
            case "Error":
              return { type: "Error" }
            case "Tx":
              return { type: "Tx", hash: item.id }
            case "Wtx":
              return { type: "Wtx", txid: item.id.slice(0, 64), auth_digest: item.id.slice(64) }
            default:
              return { type: item._tag, hash: item.hash }
          }
        })
      }
    case "Headers":
      return {
        count: message.headers.length,
        headers: message.headers.map(({ hash }) => hash),
        hash: message.headers[0]?.hash
      }
    case "Block":
      return { hash: message.block.hash, bytes: message.block.bytes.length, height: 0 }
    case "Tx":
      return {
        txid: message.transaction.txId,
        version: message.transaction.version,
        bytes: message.transaction.bytes.length
      }
    case "FilterLoad":
      return {
        filter: hex(message.filter),
        hash_functions_count: message.hashFunctions,
        tweak: message.tweak,
        flags: message.flags
      }
    case "FilterAdd":
      return { data: hex(message.data) }
    default:
      return {}
  }
}

/** `addrv2` without anything that is dropped in it. */
const wholeAddrV2: ReadonlySet<string> = new Set(["addrv2-ipv4-ipv6", "addrv2-empty"])

describe.skipIf(!hasVectors)("messages of other programs", () => {
  const cases = hasVectors ? readJson<{ readonly cases: ReadonlyArray<Case> }>("messages/messages.json").cases : []

  it("are 112", () => {
    assert.strictEqual(cases.length, 112)
  })

  for (const each of cases) {
    it(`${each.name}: ${each.error ?? each.expect}`, () => {
      const bytes = Buffer.from(each.message, "hex")
      const whole = verdict(each, [bytes])
      if (each.expect === "ignored") return assert.strictEqual(whole, "ignored")
      if (each.expect === "error") {
        const tags: Record<string, ReadonlyArray<string>> = {
          Parse: ["WrongMagic", "BodyTooLong", "BadChecksum", "WireParse"],
          "Io/UnexpectedEof": ["WireEof"]
        }
        return assert.include(tags[each.error ?? ""] ?? [], String(whole))
      }
      if (typeof whole === "string") return assert.fail(whole)
      const theirs = { ...each.decoded }
      const ours = inTheirWords(whole)
      for (const key of Object.keys(theirs)) {
        assert.deepStrictEqual(ours[key], theirs[key], key)
      }
      // Cut anywhere, it is the same.
      for (const at of [1, 4, 23, 24, 25, bytes.length - 1]) {
        if (at >= bytes.length) continue
        assert.deepStrictEqual(verdict(each, [bytes.subarray(0, at), bytes.subarray(at)]), whole)
      }
      const options = { magic: chains[each.network].magic, negotiatedVersion, maxBodyBytes: Frame.maxBodyBytes }
      const command = bytes.toString("latin1", 4, 16).replaceAll("\0", "")
      if (command === "addrv2") {
        if (!wholeAddrV2.has(each.name) || whole._tag !== "Addr") return
        return assert.strictEqual(hex(Result.getOrThrow(encodeAddrV2(whole, options))), each.message)
      }
      const body = withoutIgnored(command, bytes.subarray(Frame.headerBytes))
      const expected = Frame.encode(chains[each.network].magic, { command, body })
      assert.strictEqual(hex(Result.getOrThrow(encode(whole, options))), hex(expected))
    })
  }

  it("hold ten headers of Mainnet", () => {
    const message = verdict({ network: "main", phase: "established" } as Case, [
      readBytes("headers/headers-main-1-10.message.hex")
    ])
    if (typeof message === "string" || message._tag !== "Headers") return assert.fail(JSON.stringify(message))
    assert.strictEqual(message.headers.length, 10)
    const manifest =
      readJson<ReadonlyArray<{ readonly network: string; readonly height: number; readonly hash: string }>>(
        "blocks/manifest.json"
      )
    for (const [i, header] of message.headers.entries()) {
      const expected = manifest.find(({ height, network }) => network === "main" && height === i + 1)
      assert.strictEqual(header.hash, expected?.hash as never)
    }
  })
})
