/** What went wrong in other programs' decoders, tried on ours. The names are those of the table in ARCHITECTURE.md. */
import { assert, describe, it } from "@effect/vitest"
import { Option, Result } from "effect"
import { Block } from "../../src/chain/Block.ts"
import { mainnet } from "../../src/chain/ChainParams.ts"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import { Transaction } from "../../src/chain/Transaction.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { decode, type Message } from "../../src/wire/Message.ts"
import { genesis, transactions } from "../support/goldens.ts"

const options = { negotiatedVersion: ourProtocolVersion }

/** The message of a body, or the tag of the error. */
const verdict = (command: string, body: Uint8Array, maxBodyBytes = Frame.maxBodyBytes): string | Message => {
  const decoder = new Frame.FrameDecoder(mainnet.magic, maxBodyBytes)
  decoder.push(Frame.encode(mainnet.magic, { command, body }))
  const frame = decoder.next()
  if (Result.isFailure(frame)) return frame.failure._tag
  if (frame.success === undefined) return "nothing yet"
  const message = decode(frame.success, options)
  if (Result.isFailure(message)) return message.failure._tag
  return message.success ?? "ignored"
}

const isAccepted = (command: string, body: Uint8Array) => typeof verdict(command, body) !== "string"

const hex = (text: string) => Buffer.from(text, "hex")
const compactSize = (n: number): Buffer => {
  if (n < 253) return Buffer.from([n])
  if (n < 65_536) return Buffer.from([0xfd, n & 0xff, n >> 8])
  const bytes = Buffer.alloc(5, 0xfe)
  bytes.writeUInt32LE(n, 1)
  return bytes
}
const header = Buffer.from(Result.getOrThrow(Block.decode(genesis.mainnet.bytes)).header.bytes)
const version = Buffer.alloc(4)
version.writeUInt32LE(ourProtocolVersion)

describe("advisory W1: a stranger's message", () => {
  it("is refused from its header above 1024 bytes, and nothing of it is held", () => {
    const head = Buffer.from(Frame.encode(mainnet.magic, { command: "tx", body: new Uint8Array() }))
    for (const length of [1025, 2_097_152]) {
      head.writeUInt32LE(length, 16)
      const decoder = new Frame.FrameDecoder(mainnet.magic, Frame.maxHandshakeBodyBytes)
      decoder.push(head)
      const result = decoder.next()
      assert.strictEqual(Result.isFailure(result) ? result.failure._tag : "", "BodyTooLong")
      assert.strictEqual(decoder.bufferedBytes(), 0)
    }
  })
})

describe("advisory W2: addresses", () => {
  const v2 = (count: number) =>
    Buffer.concat([compactSize(count), ...Array.from({ length: count }, () => hex("29ab5f4900ff000000"))])
  it("are a thousand at most, of either form (addresses NB-8)", () => {
    assert.strictEqual(verdict("addrv2", v2(1001)), "WireParse")
    assert.strictEqual(verdict("addrv2", v2(233_016)), "WireParse")
    const most = verdict("addrv2", v2(1000))
    assert.deepStrictEqual(most, { _tag: "Addr", addresses: [] } as never)
    assert.isTrue(isAccepted("addr", Buffer.concat([compactSize(1000), Buffer.alloc(30_000)])))
    assert.strictEqual(verdict("addrv2", Buffer.concat([hex("0129ab5f4900ff"), compactSize(513)])), "WireParse")
  })
})

describe("advisory W3: headers", () => {
  it("are 160 at most, with a solution of one of two lengths", () => {
    const many = (count: number) =>
      Buffer.concat([
        compactSize(count),
        ...Array.from({ length: count }, () => Buffer.concat([header, Buffer.alloc(1)]))
      ])
    assert.isTrue(isAccepted("headers", many(160)))
    assert.strictEqual(verdict("headers", many(161)), "WireParse")
    for (const length of ["fd4105", "fe00002000", "fd3f05"]) {
      const changed = Buffer.concat([hex("01"), header.subarray(0, 140), hex(length), Buffer.alloc(2000)])
      assert.strictEqual(verdict("headers", changed), "WireParse", length)
    }
  })
})

describe("advisory W4: locators", () => {
  it("hold 101 hashes at most", () => {
    const locator = (count: number) => Buffer.concat([version, compactSize(count), Buffer.alloc(32 * (count + 1), 1)])
    for (const command of ["getblocks", "getheaders"]) {
      assert.isTrue(isAccepted(command, locator(101)))
      assert.strictEqual(verdict(command, locator(102)), "WireParse")
      assert.strictEqual(verdict(command, Buffer.concat([version, hex("fdffff")])), "WireParse")
    }
  })
})

describe("advisories W5 and W11: a length that is only claimed", () => {
  it("reserves nothing, in any field that has one", () => {
    const claims = hex("fe00002000")
    const before = process.memoryUsage().arrayBuffers
    for (let times = 0; times < 1000; times++) {
      for (const command of ["inv", "getdata", "notfound", "addr", "addrv2", "headers"]) {
        assert.isString(verdict(command, claims))
      }
      // A script in a transaction, a user agent, the text of a reject.
      assert.isString(verdict("tx", Buffer.concat([hex("0100000001"), Buffer.alloc(36, 1), hex("fefbff1f0000000000")])))
      assert.isString(verdict("version", Buffer.concat([Buffer.alloc(80), hex("fefbff1f0000000000")])))
      assert.isString(verdict("reject", hex("fefbff1f0000000000")))
    }
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 10_000_000)
  })

  it("in a header holds no more than what came", () => {
    const head = Buffer.from(Frame.encode(mainnet.magic, { command: "tx", body: new Uint8Array() }))
    head.writeUInt32LE(2_097_152, 16)
    const before = process.memoryUsage().arrayBuffers
    const decoders = Array.from({ length: 200 }, () => new Frame.FrameDecoder(mainnet.magic, Frame.maxBodyBytes))
    for (const decoder of decoders) {
      decoder.push(Uint8Array.from(head))
      assert.isUndefined(Result.getOrThrow(decoder.next()))
      assert.strictEqual(decoder.bufferedBytes(), 0)
    }
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 2_000_000)
  })
})

describe("advisories W6, W7 and W13: a transaction that is accepted", () => {
  it("can be hashed and said again, whatever was changed in it", () => {
    const draw = SeededRandom.draws(1, "mutations")
    for (const { bytes } of Object.values(transactions)) {
      for (let n = 0; n < 400; n++) {
        const changed = Buffer.from(bytes)
        for (let changes = 1 + (draw() % 3); changes > 0; changes--) changed[draw() % changed.length] = draw() & 0xff
        const result = Transaction.decode(changed)
        if (Result.isFailure(result)) continue
        const { authDigest, id, inputs, outputs } = result.success
        assert.strictEqual(id.length, Option.isSome(authDigest) ? 128 : 64)
        assert.isTrue(inputs.length >= 0 && outputs.length >= 0)
        assert.deepStrictEqual(Buffer.from(result.success.bytes), changed.subarray(0, result.success.bytes.length))
      }
    }
  })

  it("has an upgrade that fits its version, or is refused", () => {
    const ids = ["00000000", "b4d0d6c2", "5510e7c8", "f04dec4d", "30f33754", "5b16a537", "d90a1977", "ffffffff"]
    const accepted = (golden: { readonly bytes: Uint8Array }) =>
      ids.filter((id) => {
        const bytes = Buffer.from(golden.bytes)
        hex(id).copy(bytes, 8)
        return Result.isSuccess(Transaction.decode(bytes))
      })
    // 0 stands for the time before there were branches; only version 5 may still say it.
    assert.deepStrictEqual(accepted(transactions.v5Nu7), ids.slice(0, 7))
    assert.deepStrictEqual(accepted(transactions.v6Nu7), ["5b16a537", "d90a1977"])
  })

  it("may have a key that no verifier takes: that is for the verifier to say (W7)", () => {
    const { bytes } = transactions.v5Orchard
    const transaction = Result.getOrThrow(Transaction.decode(bytes))
    const [nullifier] = Option.getOrThrow(transaction.orchard).nullifiers
    // The key stands right behind it.
    const key = Buffer.from(bytes).indexOf(nullifier!) + 32
    for (const fill of [0x00, 0xff]) {
      const changed = Buffer.from(bytes).fill(fill, key, key + 32)
      const again = Transaction.decode(changed)
      assert.isTrue(Result.isSuccess(again))
      assert.notStrictEqual(Result.getOrThrow(again).txId, transaction.txId)
    }
  })

  it("without Sapling parts has no Sapling balance (W13)", () => {
    for (const [balance, tag] of [
      ["0100000000000000", "WireBalance"],
      ["ffffffffffffffff", "WireBalance"],
      // No amount at all.
      ["0000000000000080", "WireParse"],
      ["ffffffffffffff7f", "WireParse"]
    ] as const) {
      const bytes = Buffer.from(transactions.v4.bytes)
      hex(balance).copy(bytes, bytes.length - 11)
      assert.strictEqual(verdict("tx", bytes), tag, balance)
    }
  })
})

describe("advisory W8: the largest that is legal", () => {
  it("is accepted, and one more is not", () => {
    const output = Buffer.alloc(9)
    const outputs = (count: number) =>
      Buffer.concat([
        hex("01000000"),
        hex("01"),
        Buffer.alloc(36, 1),
        hex("00ffffffff"),
        compactSize(count),
        ...Array.from({ length: count }, () => output),
        Buffer.alloc(4)
      ])
    assert.isTrue(isAccepted("tx", outputs(222_000)))
    const inputs = (count: number) => {
      const input = Buffer.concat([Buffer.alloc(36, 1), hex("00ffffffff")])
      return Buffer.concat([hex("01000000"), compactSize(count), Buffer.alloc(41 * count, input), Buffer.alloc(5)])
    }
    // What fits 2,000,000 bytes, of each and of both, and one more.
    assert.isTrue(isAccepted("tx", inputs(48_780)))
    assert.strictEqual(verdict("tx", inputs(48_781)), "WireEof")
    assert.isTrue(isAccepted("tx", outputs(222_216)))
    assert.strictEqual(verdict("tx", outputs(222_217)), "WireEof")
    assert.isTrue(isAccepted("inv", Buffer.concat([compactSize(50_000), Buffer.alloc(36 * 50_000)])))
    assert.strictEqual(verdict("inv", Buffer.concat([compactSize(50_001), Buffer.alloc(36 * 50_001)])), "WireParse")
    const agent = (length: number) =>
      Buffer.concat([Buffer.alloc(80), compactSize(length), Buffer.alloc(length, 0x61), Buffer.alloc(5)])
    assert.isTrue(isAccepted("version", agent(256)))
    assert.strictEqual(verdict("version", agent(257)), "WireParse")
    assert.strictEqual(verdict("other", new Uint8Array(Frame.maxBodyBytes)), "ignored")
  })
})

describe("advisory W9: filters", () => {
  it("are read, within their limits, and nothing is done with them", () => {
    for (const [length, ok] of [
      [0, false],
      [8, false],
      [9, true],
      [10, true],
      [36_009, true],
      [36_010, false]
    ] as const) {
      assert.strictEqual(isAccepted("filterload", new Uint8Array(length).fill(0xff)), ok, String(length))
    }
    for (const length of [0, 520, 521, Frame.maxBodyBytes]) {
      const message = verdict("filteradd", new Uint8Array(length))
      assert.strictEqual(
        typeof message === "string" || message._tag !== "FilterAdd" ? -1 : message.data.length,
        Math.min(length, 520)
      )
    }
    assert.isTrue(isAccepted("filterclear", new Uint8Array(5)))
  })
})

describe("advisory W10: a time in a version", () => {
  it("is refused outside of what a calendar has", () => {
    const at = (time: bigint) => {
      const body = Buffer.alloc(86)
      body.writeBigInt64LE(time, 12)
      return typeof verdict("version", body) === "string" ? "refused" : "accepted"
    }
    const times = [
      -(2n ** 63n),
      -8_334_601_228_801n,
      -8_334_601_228_800n,
      0n,
      8_210_266_876_799n,
      8_210_266_876_800n,
      2n ** 63n - 1n
    ]
    assert.deepStrictEqual(times.map(at), [
      "refused",
      "refused",
      "accepted",
      "accepted",
      "accepted",
      "refused",
      "refused"
    ])
  })
})

describe("advisory W12: a small message of very many things", () => {
  it("makes no more of them than its bytes allow", () => {
    const empty = Buffer.concat([hex("0400008085202f89"), Buffer.alloc(21)])
    // What fits a block at the least a transaction has.
    const count = 37_037
    const body = Buffer.concat([header, compactSize(count), ...Array.from({ length: count }, () => empty)])
    const message = verdict("block", body)
    if (typeof message === "string" || message._tag !== "Block") return assert.fail(JSON.stringify(message))
    // To relay it, none is made.
    assert.strictEqual(message.block.transactionCount, count)
    assert.strictEqual(message.block.hash.length, 64)
  })
})
