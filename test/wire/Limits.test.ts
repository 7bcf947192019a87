/** Every number a message is bounded by, at it and one beyond, read and written; and every bit of the fields that have few. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { BlockHeader } from "../../src/chain/Block.ts"
import type { BlockHash, TxId } from "../../src/chain/Hash.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { decode, encodeAddrV2, encodeBody, Message } from "../../src/wire/Message.ts"
import { genesis } from "../support/goldens.ts"

const negotiatedVersion = 170_160
const options = { negotiatedVersion }

const hex = (...digits: ReadonlyArray<string>): Buffer => Buffer.from(digits.join(""), "hex")

const read = (command: string, ...parts: ReadonlyArray<Uint8Array>) => {
  const bytes = Buffer.concat(parts)
  return decode({ command, bytes, start: 0, end: bytes.length }, options)
}
const message = (command: string, ...parts: ReadonlyArray<Uint8Array>) => Result.getOrUndefined(read(command, ...parts))

/** Which of these are taken. */
const taken = (counts: ReadonlyArray<number>, of: (count: number) => Result.Result<unknown, unknown>) =>
  counts.filter((count) => Result.isSuccess(of(count)))

/** A count as the protocol writes it. */
const compact = (count: number): Buffer => (count < 0xfd ? Buffer.of(count) : Buffer.of(0xfd, count & 0xff, count >> 8))

/** A list of so many, each with these bytes. */
const list = (count: number, element: Uint8Array): Buffer =>
  Buffer.concat([compact(count), Buffer.alloc(count * element.length).fill(element)])

const zero32 = "00".repeat(32)
const hash = "ab".repeat(32)

describe("a list is read and written", () => {
  it("up to 1,000 addresses (ZIP 155)", () => {
    const counts = [999, 1000, 1001]
    const element = hex("00000000", "0100000000000000", "00".repeat(10), "ffff", "01020304", "2029")
    assert.deepStrictEqual(
      taken(counts, (count) => read("addr", list(count, element))),
      [999, 1000]
    )
    const elementV2 = hex("00000000", "01", "01", "04", "01020304", "2029")
    assert.deepStrictEqual(
      taken(counts, (count) => read("addrv2", list(count, elementV2))),
      [999, 1000]
    )
    const one = { address: PeerSocketAddress.fromStringUnsafe("1.2.3.4:8233"), services: 1n, lastSeenSeconds: 0 }
    const addr = (count: number) => Message.Addr({ addresses: Array.from({ length: count }, () => one) })
    assert.deepStrictEqual(
      taken(counts, (count) => encodeBody(addr(count), options)),
      [999, 1000]
    )
    const whole = { ...options, magic: [0, 0, 0, 0] as const, maxBodyBytes: 1_000_000 }
    assert.deepStrictEqual(
      taken(counts, (count) => encodeAddrV2(addr(count), whole)),
      [999, 1000]
    )
  })

  it("up to 50,000 items", () => {
    const counts = [49_999, 50_000, 50_001]
    const items = Array.from({ length: 50_001 }, () => ({ _tag: "Tx", id: hash as TxId }) as const)
    for (const command of ["inv", "getdata", "notfound"]) {
      assert.deepStrictEqual(
        taken(counts, (count) => read(command, list(count, hex("01000000", hash)))),
        [49_999, 50_000]
      )
    }
    assert.deepStrictEqual(
      taken(counts, (count) => encodeBody(Message.Inv({ items: items.slice(0, count) }), options)),
      [49_999, 50_000]
    )
  })

  it("up to 101 hashes of a locator, and zero as the last one for as many as may be", () => {
    const counts = [0, 100, 101, 102]
    for (const command of ["getblocks", "getheaders"]) {
      assert.deepStrictEqual(
        taken(counts, (count) => read(command, hex("b0980200"), list(count, hex(hash)), hex(zero32))),
        [0, 100, 101]
      )
    }
    const known = Array.from({ length: 102 }, () => hash as BlockHash)
    const written = (count: number, stop?: BlockHash) =>
      encodeBody(Message.GetBlocks({ known: known.slice(0, count), stop }), options)
    assert.deepStrictEqual(
      taken(counts, (count) => written(count)),
      [0, 100, 101]
    )
    // 170,160 is 0x000298b0.
    for (const stop of [undefined, hash as BlockHash]) {
      const bytes = hex("b0980200", "01", hash, stop ?? zero32)
      assert.strictEqual(Buffer.from(Result.getOrThrow(written(1, stop))).toString("hex"), bytes.toString("hex"))
      assert.deepStrictEqual(message("getblocks", bytes), Message.GetBlocks({ known: known.slice(0, 1), stop }))
    }
  })

  it("up to 160 headers", () => {
    const header = Buffer.from(genesis.mainnet.bytes).subarray(0, 1487)
    const counts = [159, 160, 161]
    assert.deepStrictEqual(
      taken(counts, (count) => read("headers", list(count, Buffer.concat([header, Buffer.of(0)])))),
      [159, 160]
    )
    const [one] = (message("headers", hex("01"), header, hex("00")) as { readonly headers: ReadonlyArray<BlockHeader> })
      .headers
    const headers = (count: number) => Message.Headers({ headers: Array.from({ length: count }, () => one!) })
    assert.deepStrictEqual(
      taken(counts, (count) => encodeBody(headers(count), options)),
      [159, 160]
    )
    const two = Buffer.concat([hex("02"), header, hex("00"), header, hex("00")])
    assert.isTrue(two.equals(Result.getOrThrow(encodeBody(headers(2), options))))
  })
})

describe("an address of addrv2 (ZIP 155)", () => {
  const entry = (network: number, length: number) =>
    Buffer.concat([hex("01", "00000000", "01"), Buffer.of(network), compact(length), Buffer.alloc(length + 2, 1)])

  it("has as many bytes as its network says, and 512 at most where it is unknown", () => {
    const takenOf = (network: number, lengths: ReadonlyArray<number>) =>
      taken(lengths, (length) => read("addrv2", entry(network, length)))
    assert.deepStrictEqual(takenOf(1, [0, 3, 4, 5, 16]), [4])
    assert.deepStrictEqual(takenOf(2, [0, 4, 15, 16, 17]), [16])
    for (const network of [0, 3, 4, 5, 6, 255]) {
      assert.deepStrictEqual(takenOf(network, [0, 4, 16, 32, 511, 512, 513]), [0, 4, 16, 32, 511, 512])
    }
  })

  it("is passed over where its network is unknown, and what follows is read", () => {
    const body = hex(
      "05",
      // IPv4; TORV3 (4), 32 bytes; IPv6; an unknown network of one byte; IPv6 that maps IPv4.
      ["01000000", "01", "01", "04", "01020304", "2029"].join(""),
      ["02000000", "01", "04", "20", "cc".repeat(32), "2029"].join(""),
      ["03000000", "fdffff", "02", "10", "2001" + "0db8" + "00".repeat(11) + "07", "0001"].join(""),
      ["04000000", "01", "f0", "01", "cc", "2029"].join(""),
      ["05000000", "02", "02", "10", "00".repeat(10) + "ffff" + "05060708", "ffff"].join("")
    )
    const gossiped = (text: string, services: bigint, lastSeenSeconds: number) => ({
      address: PeerSocketAddress.fromStringUnsafe(text),
      services,
      lastSeenSeconds
    })
    assert.deepStrictEqual(
      message("addrv2", body),
      Message.Addr({
        addresses: [
          gossiped("1.2.3.4:8233", 1n, 1),
          gossiped("[2001:db8::7]:1", 1n, 3),
          gossiped("5.6.7.8:65535", 0n, 5)
        ]
      })
    )
  })
})

describe("an address of addr", () => {
  const entry = (services: string, ip: string, port = "2029") => hex("01", "78563412", services, ip, port)
  const ipv4 = "00".repeat(10) + "ffff" + "01020304"
  const first = (bytes: Uint8Array) => {
    const found = message("addr", bytes)
    return found?._tag === "Addr" ? found.addresses[0] : undefined
  }

  it("serves blocks by the lowest bit of its services, and by no other", () => {
    for (let bit = 0; bit < 64; bit++) {
      const services = Buffer.alloc(8)
      services[bit >> 3] = 1 << (bit & 7)
      const found = first(entry(services.toString("hex"), ipv4))
      assert.strictEqual(found?.services, bit === 0 ? 1n : 0n, String(bit))
    }
    assert.strictEqual(first(entry("ff".repeat(8), ipv4))?.services, 1n)
    assert.strictEqual(first(entry("fe" + "ff".repeat(7), ipv4))?.services, 0n)
  })

  it("is an IPv4 one when each of the twelve bytes before it is that of a mapped one", () => {
    const found = first(entry("01" + "00".repeat(7), ipv4))
    const address = PeerSocketAddress.fromStringUnsafe("1.2.3.4:8233")
    assert.deepStrictEqual(found, { address, services: 1n, lastSeenSeconds: 0x1234_5678 })
    for (let bit = 0; bit < 96; bit++) {
      const ip = Buffer.from(ipv4, "hex")
      ip[bit >> 3]! ^= 0x80 >> (bit & 7)
      assert.strictEqual(first(entry("00".repeat(8), ip.toString("hex")))?.address._tag, "InetAddressV6", String(bit))
    }
  })

  it("is written as it is read, IPv4 as a mapped one", () => {
    for (const [text, ip, port] of [
      ["1.2.3.4:8233", ipv4, "2029"],
      ["[2001:db8::7]:258", "20010db8" + "00".repeat(11) + "07", "0102"]
    ] as const) {
      const addresses = [
        { address: PeerSocketAddress.fromStringUnsafe(text), services: 1n, lastSeenSeconds: 0x1234_5678 }
      ]
      const bytes = entry("01" + "00".repeat(7), ip, port)
      assert.strictEqual(
        Buffer.from(Result.getOrThrow(encodeBody(Message.Addr({ addresses }), options))).toString("hex"),
        bytes.toString("hex")
      )
      assert.deepStrictEqual(message("addr", bytes), Message.Addr({ addresses }))
    }
  })
})

describe("a version", () => {
  const endpoint = (services: string, ip: string, port: string) => services + ip + port
  const body = (timestamp: string, agent: string, tail: string, services = "0100000000000000") =>
    hex(
      "ae980200",
      services,
      timestamp,
      endpoint("ffffffffffffffff", "00".repeat(10) + "ffff" + "01020304", "2029"),
      endpoint("feffffffffffffff", "20010db8" + "00".repeat(11) + "07", "0102"),
      "0807060504030201",
      agent,
      tail
    )
  const now = "0065cd1d00000000"

  it("says each field where it belongs, and of services the one bit that is known", () => {
    const expected = {
      version: 170_158,
      services: 1n,
      timestamp: 500_000_000n,
      addressReceiver: { address: PeerSocketAddress.fromStringUnsafe("1.2.3.4:8233"), services: 1n },
      addressFrom: { address: PeerSocketAddress.fromStringUnsafe("[2001:db8::7]:258"), services: 0n },
      nonce: 0x0102_0304_0506_0708n,
      userAgent: "/x",
      startHeight: -2,
      relay: false
    }
    const bytes = body(now, "02" + "2f78", "feffffff" + "00", "0300000000000000")
    assert.deepStrictEqual(message("version", bytes), Message.Version(expected))
    // What is not there is wanted.
    assert.deepStrictEqual(message("version", bytes.subarray(0, -1)), Message.Version({ ...expected, relay: true }))
    const again = body(now, "02" + "2f78", "feffffff" + "00")
    again.fill(0, 20, 28).writeUInt8(1, 20)
    again.fill(0, 46, 54)
    assert.strictEqual(
      Buffer.from(Result.getOrThrow(encodeBody(Message.Version(expected), options))).toString("hex"),
      again.toString("hex")
    )
    for (const [last, relay] of [
      ["00", false],
      ["01", true],
      ["02", undefined],
      ["ff", undefined]
    ] as const) {
      const found = message("version", body(now, "00", "00000000" + last))
      assert.strictEqual(found?._tag === "Version" ? found.relay : undefined, relay, last)
    }
  })

  it("is of a moment from the first to the last that the reference knows, read and written", () => {
    const golden = message("version", body(now, "00", "00000000" + "01"))
    assert(golden?._tag === "Version")
    // The years -262,143 to 262,142: chrono's `DateTime::<Utc>::MIN_UTC` and `MAX_UTC`.
    for (const [timestamp, isTaken] of [
      [-8_334_601_228_801n, false],
      [-8_334_601_228_800n, true],
      [8_210_266_876_799n, true],
      [8_210_266_876_800n, false]
    ] as const) {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64LE(timestamp)
      assert.strictEqual(
        Result.isSuccess(read("version", body(bytes.toString("hex"), "00", "00000000" + "01"))),
        isTaken
      )
      assert.strictEqual(Result.isSuccess(encodeBody({ ...golden, timestamp }, options)), isTaken)
    }
  })

  it("names itself in 256 bytes at most, read and written", () => {
    const golden = message("version", body(now, "00", "00000000" + "01"))
    assert(golden?._tag === "Version")
    const agent = (length: number) => compact(length).toString("hex") + "61".repeat(length)
    assert.deepStrictEqual(
      taken([255, 256, 257], (length) => read("version", body(now, agent(length), "00000000" + "01"))),
      [255, 256]
    )
    assert.deepStrictEqual(
      taken([255, 256, 257], (length) => encodeBody({ ...golden, userAgent: "a".repeat(length) }, options)),
      [255, 256]
    )
  })
})

describe("a reject", () => {
  it("names a message in 12 bytes and says why in 111, read and written", () => {
    const text = (length: number) => Buffer.concat([compact(length), Buffer.alloc(length, 0x61)])
    const said = (message: number, reason: number) =>
      encodeBody(Message.Reject({ message: "a".repeat(message), code: 1, reason: "a".repeat(reason) }), options)
    assert.deepStrictEqual(
      taken([11, 12, 13], (length) => read("reject", text(length), hex("01", "00"))),
      [11, 12]
    )
    assert.deepStrictEqual(
      taken([11, 12, 13], (length) => said(length, 0)),
      [11, 12]
    )
    assert.deepStrictEqual(
      taken([110, 111, 112], (length) => read("reject", hex("00", "01"), text(length))),
      [110, 111]
    )
    assert.deepStrictEqual(
      taken([110, 111, 112], (length) => said(0, length)),
      [110, 111]
    )
  })
})

describe("an element of a filter", () => {
  it("is what is there, up to 520 bytes; the rest is dropped", () => {
    for (const [length, kept] of [
      [0, 0],
      [519, 519],
      [520, 520],
      [521, 520],
      [5000, 520]
    ] as const) {
      const bytes = Uint8Array.from({ length }, (_, n) => n & 0xff)
      assert.deepStrictEqual(message("filteradd", bytes), Message.FilterAdd({ data: bytes.slice(0, kept) }))
    }
  })
})
