/** Every way in which bytes can be wrong, with the verdict of either phase of a connection. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { mainnet } from "../../src/chain/ChainParams.ts"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { decode, encode, Message } from "../../src/wire/Message.ts"
import { genesis, messages, transactions } from "../support/goldens.ts"

const hex = (...digits: ReadonlyArray<string>): Buffer => Buffer.from(digits.join(""), "hex")
const message = (command: string, ...parts: ReadonlyArray<Uint8Array>): Buffer =>
  Buffer.from(Frame.encode(mainnet.magic, { command, body: Buffer.concat(parts) }))

/** A message with one byte of its header changed. */
const withByte = (bytes: Buffer, at: number, byte: number): Buffer => {
  const changed = Buffer.from(bytes)
  changed[at] = byte
  return changed
}

/** A header that promises so many bytes, and nothing behind it. */
const promise = (length: number): Buffer => {
  const header = message("block")
  header.writeUInt32LE(length, 16)
  return header
}

const version = Buffer.from(messages.version.subarray(Frame.headerBytes))
const timestampAt = 12
const userAgentAt = 80
const versionWith = (at: number, ...digits: ReadonlyArray<string>): Buffer => {
  const bytes = hex(...digits)
  return Buffer.concat([version.subarray(0, at), bytes, version.subarray(at + bytes.length)])
}
const versionOfAgent = (length: string, agent: Uint8Array): Buffer =>
  Buffer.concat([version.subarray(0, userAgentAt), hex(length), agent, new Uint8Array(5)])

/** A locator as somebody states it who agreed on this version. */
const locator = (stated: number, ...rest: ReadonlyArray<Uint8Array>): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(stated)
  return Buffer.concat([bytes, ...rest])
}

const block = Buffer.from(genesis.mainnet.bytes)
const header = block.subarray(0, 1487)
const headers = (...parts: ReadonlyArray<Uint8Array>) => message("headers", hex("01"), ...parts)
/** A header whose solution has another length. */
const headerOf = (length: string, bytes: number) =>
  Buffer.concat([header.subarray(0, 140), hex(length), Buffer.alloc(bytes + 1)])

const ping = message("ping", new Uint8Array(8))
const v1 = Buffer.from(transactions.v1.bytes)
const v4 = Buffer.from(transactions.v4.bytes)
const balanceAt = v4.length - 11

/** The largest body the phase of the handshake takes. */
const tooMuchForHandshake = new Uint8Array(1025)

/** A transaction of so many bytes: one output with a long script. */
const transactionOf = (bytes: number): Buffer => {
  const script = bytes - 4 - 1 - 1 - 8 - 5 - 4
  const length = Buffer.alloc(5, 0xfe)
  length.writeUInt32LE(script, 1)
  return Buffer.concat([hex("01000000", "00", "01", "0000000000000000"), length, Buffer.alloc(script + 4)])
}

/** `accepted`, `ignored`, `more` for wanting more bytes, or the tag of the error: in the handshake, and after it. */
type Row = readonly [input: string, bytes: Buffer, handshake: string, established: string]

const both = (input: string, bytes: Buffer, verdict: string): Row => [input, bytes, verdict, verdict]
/** For what is longer than a handshake allows. */
const later = (input: string, bytes: Buffer, verdict: string): Row => [input, bytes, "BodyTooLong", verdict]

const rows: ReadonlyArray<Row> = [
  both("a wrong magic", withByte(ping, 0, 0), "WrongMagic"),
  both("a wrong magic and a length above the limit", withByte(promise(0xffff_ffff), 3, 0), "WrongMagic"),
  ["a length of 1024 in a header", promise(1024), "more", "more"],
  ["a length of 1025 in a header", promise(1025), "BodyTooLong", "more"],
  later("a length of 2 MiB in a header", promise(2_097_152), "more"),
  both("a length of 2 MiB and one in a header", promise(2_097_153), "BodyTooLong"),
  both("a length of 4 GiB in a header", promise(0xffff_ffff), "BodyTooLong"),
  both("a wrong checksum", withByte(ping, 20, 0), "BadChecksum"),
  both("a wrong checksum of an unknown command", withByte(message("hello"), 20, 0), "BadChecksum"),
  both("an unknown command", message("hello", new Uint8Array(9)), "ignored"),
  both("a command that is not ASCII", message("pi\u00ffg", new Uint8Array(8)), "ignored"),
  both("a command in capitals", message("PING", new Uint8Array(8)), "ignored"),
  both("a command with letters behind its padding", withByte(ping, 15, 0x61), "ignored"),
  both("a command with a zero before it", message("\0ping", new Uint8Array(8)), "ignored"),
  later("a long unknown command", message("hello", tooMuchForHandshake), "ignored"),

  ...["ping", "pong"].map((command) => both(`${command} of 7 bytes`, message(command, new Uint8Array(7)), "WireEof")),
  ...["reject", "addr", "addrv2", "getblocks", "getheaders", "inv", "getdata", "notfound", "headers"].map((command) =>
    both(`${command} of no bytes`, message(command), "WireEof")
  ),
  ...["block", "tx", "version"].map((command) => both(`${command} of no bytes`, message(command), "WireEof")),
  ...["verack", "getaddr", "mempool", "filterclear"].map((command) =>
    both(`${command} with bytes that nobody reads`, message(command, new Uint8Array(9)), "accepted")
  ),
  both("ping with more bytes", message("ping", new Uint8Array(9)), "accepted"),
  both("version with more bytes", message("version", version, new Uint8Array(4)), "accepted"),
  both("tx with more bytes", message("tx", v1, new Uint8Array(4)), "accepted"),
  later("block with more bytes", message("block", block, new Uint8Array(4)), "accepted"),

  ...["addr", "inv", "headers", "reject"].map((command) =>
    both(`${command} with a count that is not as short as it can be`, message(command, hex("fd0100")), "WireParse")
  ),
  ...["addr", "addrv2", "inv", "getdata", "notfound", "headers"].map((command) =>
    both(`${command} with a count above 2 MiB`, message(command, hex("fe01002000")), "WireParse")
  ),
  both("tx with a count that is not as short as it can be", message("tx", hex("01000000", "fd0100")), "WireParse"),
  both("tx with a count above 32 MiB", message("tx", hex("01000000", "fe01000002")), "WireParse"),
  both("tx with a count that its bytes cannot hold", message("tx", hex("01000000", "fe00000002")), "WireEof"),
  ...["addr", "addrv2"].map((command) => both(`${command} of 1001`, message(command, hex("fde903")), "WireParse")),
  ...["inv", "getdata", "notfound"].map((command) =>
    both(`${command} of 50,001`, message(command, hex("fd51c3")), "WireParse")
  ),
  both("headers of 161", message("headers", hex("a1")), "WireParse"),
  ...["getblocks", "getheaders"].map((command) =>
    both(`${command} of 102 hashes`, message(command, locator(ourProtocolVersion, hex("66"))), "WireParse")
  ),
  ...["getblocks", "getheaders"].map((command) =>
    both(
      `${command} of another version than agreed`,
      message(command, locator(ourProtocolVersion - 10, hex("00"), new Uint8Array(32))),
      "WireParse"
    )
  ),
  both("getheaders without a stop", message("getheaders", locator(ourProtocolVersion, hex("00"))), "WireEof"),

  both("version with a text that is no UTF-8", message("version", versionOfAgent("02", hex("c328"))), "WireParse"),
  both(
    "version with 256 bytes of name",
    message("version", versionOfAgent("fd0001", Buffer.alloc(256, 97))),
    "accepted"
  ),
  both(
    "version with 257 bytes of name",
    message("version", versionOfAgent("fd0101", Buffer.alloc(257, 97))),
    "WireParse"
  ),
  both(
    "version that ends before a name too long",
    message("version", versionOfAgent("fd0101", new Uint8Array())),
    "WireParse"
  ),
  both("version that wants neither 0 nor 1", message("version", version.subarray(0, -1), hex("02")), "WireParse"),
  both("version that does not say whether it wants", message("version", version.subarray(0, -1)), "accepted"),
  both("version without a height", message("version", version.subarray(0, -5)), "WireEof"),
  both("version that ends after its receiver, as old ones do", message("version", version.subarray(0, 46)), "WireEof"),
  both(
    "version of the moment after the last",
    message("version", versionWith(timestampAt, "806b0a9a77070000")),
    "WireParse"
  ),
  both(
    "version of the last moment there is",
    message("version", versionWith(timestampAt, "7f6b0a9a77070000")),
    "accepted"
  ),
  both("version of services nobody knows", message("version", versionWith(4, "ffffffffffffffff")), "accepted"),
  both(
    "version of version 0, which is for the handshake to judge",
    message("version", versionWith(0, "00000000")),
    "accepted"
  ),

  both("reject of a code nobody knows", message("reject", hex("00", "02", "00")), "WireParse"),
  // zcashd consensus/validation.h has these nine, and no other.
  ...[0x01, 0x10, 0x11, 0x12, 0x40, 0x41, 0x42, 0x43, 0x50].map((code) =>
    both(`reject of code ${code}`, message("reject", hex("00"), Uint8Array.of(code), hex("00")), "accepted")
  ),
  ...[0x00, 0x0f, 0x13, 0x3f, 0x44, 0x4f, 0x51].map((code) =>
    both(
      `reject of code ${code}, beside those there are`,
      message("reject", hex("00"), Uint8Array.of(code), hex("00")),
      "WireParse"
    )
  ),
  both("reject of 13 letters", message("reject", hex("0d"), Buffer.alloc(20, 97)), "WireParse"),
  both("reject for 112 letters", message("reject", hex("00", "01", "70"), Buffer.alloc(120, 97)), "WireParse"),
  both("reject with part of a hash", message("reject", hex("00", "01", "00"), new Uint8Array(31)), "accepted"),

  both("addr that ends inside an entry", message("addr", hex("01"), new Uint8Array(29)), "WireEof"),
  both(
    "addrv2 of a network nobody knows",
    message("addrv2", hex("01", "00000000", "00", "63", "00", "0000")),
    "accepted"
  ),
  both("addrv2 of 513 bytes", message("addrv2", hex("01", "00000000", "00", "63", "fd0102")), "WireParse"),
  both(
    "addrv2 of IPv4 in 5 bytes",
    message("addrv2", hex("01", "00000000", "00", "01", "05"), new Uint8Array(7)),
    "WireParse"
  ),
  both(
    "addrv2 of IPv6 in 4 bytes",
    message("addrv2", hex("01", "00000000", "00", "02", "04"), new Uint8Array(6)),
    "WireParse"
  ),
  both(
    "addrv2 of services not as short as they can be",
    message("addrv2", hex("01", "00000000", "fd0100")),
    "WireParse"
  ),

  ...["04000000", "06000000", "02000040", "ffffffff"].flatMap((type) =>
    ["inv", "getdata", "notfound"].map((command) =>
      both(`${command} of type ${type}`, message(command, hex("01", type), new Uint8Array(64)), "WireParse")
    )
  ),
  both("inv that ends inside a digest", message("inv", hex("01", "05000000"), new Uint8Array(63)), "WireEof"),
  both("inv of nothing", message("inv", hex("00")), "accepted"),
  both(
    "inv of several kinds",
    message("inv", hex("02", "01000000"), new Uint8Array(32), hex("02000000"), new Uint8Array(32)),
    "accepted"
  ),
  both("getdata of nothing", message("getdata", hex("00")), "accepted"),

  later("headers of version 3", headers(withByte(header, 0, 3), hex("00")), "WireParse"),
  later("headers with the high bit", headers(withByte(header, 3, 0x80), hex("00")), "WireParse"),
  later("headers of a version of its own", headers(withByte(header, 3, 0x20), hex("00")), "accepted"),
  later("headers with 1343 bytes of solution", headers(headerOf("fd3f05", 1343)), "WireParse"),
  both("headers with 1345 bytes of solution, before they came", headers(headerOf("fd4105", 0)), "WireParse"),
  both("headers with 35 bytes of solution", headers(headerOf("23", 35)), "WireParse"),
  both("headers with 36 bytes of solution", headers(headerOf("24", 36)), "accepted"),
  both("headers with a part of a solution", headers(headerOf("fd4005", 500)), "WireEof"),
  later("headers without a count", headers(header), "WireEof"),
  later("headers with a count", headers(header, hex("05")), "accepted"),

  later("block without its last byte", message("block", block.subarray(0, -1)), "WireEof"),
  later(
    "block of no transactions, which is for the validator to judge",
    message("block", header, hex("00")),
    "accepted"
  ),
  later("block of 37,038 transactions", message("block", header, hex("fdae90")), "WireParse"),
  later("block of 37,037 transactions that are not there", message("block", header, hex("fdad90")), "WireEof"),
  later("block of 2,000,001 bytes", message("block", header, hex("01"), transactionOf(2_000_001 - 1488)), "WireEof"),
  later("block of 2,000,000 bytes", message("block", header, hex("01"), transactionOf(2_000_000 - 1488)), "accepted"),
  later("block with a malformed transaction", message("block", header, hex("01", "00000000"), v1), "WireParse"),
  later(
    "block with an unbalanced transaction",
    message("block", header, hex("01"), withByte(v4, balanceAt, 1)),
    "WireBalance"
  ),
  both("tx without its last byte", message("tx", v1.subarray(0, -1)), "WireEof"),
  both("tx of version 0", message("tx", hex("00000000"), v1.subarray(4)), "WireParse"),
  both("tx with a version group of its own", message("tx", hex("0400008085202f88"), v4.subarray(8)), "WireParse"),
  both("tx with a balance and nothing to balance", message("tx", withByte(v4, balanceAt, 1)), "WireBalance"),
  both(
    "tx with all money there is and one more",
    message("tx", hex("01000000", "00", "01", "0140075af0750700", "00", "00000000")),
    "WireParse"
  ),
  both(
    "tx with all money there is",
    message("tx", hex("01000000", "00", "01", "0040075af0750700", "00", "00000000")),
    "accepted"
  ),
  later("tx of 2,000,001 bytes", message("tx", transactionOf(2_000_001)), "WireEof"),
  later("tx of 2,000,000 bytes", message("tx", transactionOf(2_000_000)), "accepted"),

  both("filterload of 8 bytes", message("filterload", new Uint8Array(8)), "WireParse"),
  both("filterload of 9 bytes", message("filterload", new Uint8Array(9)), "accepted"),
  later("filterload of 36,009 bytes", message("filterload", new Uint8Array(36_009)), "accepted"),
  later("filterload of 36,010 bytes", message("filterload", new Uint8Array(36_010)), "WireParse"),
  both("filteradd of more than it takes", message("filteradd", new Uint8Array(521)), "accepted"),
  both("filteradd of nothing", message("filteradd"), "accepted"),
  both("pong that nobody asked for", message("pong", new Uint8Array(8)), "accepted"),

  both("an end between messages", Buffer.alloc(0), "over"),
  both("an end inside a header", ping.subarray(0, 23), "Truncated"),
  both("an end inside a body", ping.subarray(0, -1), "Truncated"),
  both("an end after a header", ping.subarray(0, 24), "Truncated")
]

const verdict = (bytes: Buffer, maxBodyBytes: number): string => {
  const decoder = new Frame.FrameDecoder(mainnet.magic, maxBodyBytes)
  decoder.push(bytes)
  const frame = decoder.next()
  if (Result.isFailure(frame)) return frame.failure._tag
  if (frame.success === undefined) {
    // Only a header whose body may still come leaves something to wait for.
    const end = decoder.end()
    if (Result.isSuccess(end)) return "over"
    return bytes.toString("latin1", 4, 9) === "block" ? "more" : end.failure._tag
  }
  const message = decode(frame.success, { negotiatedVersion: ourProtocolVersion })
  if (Result.isFailure(message)) return message.failure._tag
  return message.success === undefined ? "ignored" : "accepted"
}

describe("what a peer may send wrongly", () => {
  for (const [input, bytes, handshake, established] of rows) {
    it(`${input}: ${handshake === established ? established : `${handshake} in the handshake, then ${established}`}`, () => {
      assert.strictEqual(verdict(bytes, Frame.maxHandshakeBodyBytes), handshake)
      assert.strictEqual(verdict(bytes, Frame.maxBodyBytes), established)
    })
  }

  it("is named, with all that its error carries", () => {
    const errorOf = (bytes: Buffer) => {
      const decoder = new Frame.FrameDecoder(mainnet.magic, Frame.maxBodyBytes)
      decoder.push(bytes)
      return Result.match(decoder.next(), {
        onFailure: (error) => ({ ...error }),
        onSuccess: (frame) =>
          Result.match(decode(frame!, { negotiatedVersion: ourProtocolVersion }), {
            onFailure: (error) => ({ ...error }),
            onSuccess: () => ({})
          })
      })
    }
    assert.deepInclude(errorOf(withByte(ping, 0, 0)), { _tag: "WrongMagic", magic: "00e92764" })
    assert.deepInclude(errorOf(promise(0xffff_ffff)), {
      _tag: "BodyTooLong",
      command: "block",
      length: 0xffff_ffff,
      limit: 2_097_152
    })
    assert.deepInclude(errorOf(withByte(ping, 20, 0)), { _tag: "BadChecksum", command: "ping" })
    assert.deepInclude(errorOf(message("ping")), { _tag: "WireEof", command: "ping", field: "nonce" })
    assert.deepInclude(errorOf(message("headers", hex("a1"))), {
      _tag: "WireParse",
      command: "headers",
      reason: "header count above its limit"
    })
    assert.deepInclude(errorOf(message("tx", withByte(v4, balanceAt, 1))), { _tag: "WireBalance", command: "tx" })
  })

  it("is none of a message as long as may be, and one more byte is too many", () => {
    const body = 8
    const encoded = (maxBodyBytes: number) =>
      encode(Message.Ping({ nonce: 1n }), { magic: mainnet.magic, negotiatedVersion: ourProtocolVersion, maxBodyBytes })
    assert.strictEqual(Result.getOrThrow(encoded(body)).length, Frame.headerBytes + body)
    const result = encoded(body - 1)
    assert.deepInclude(Result.isFailure(result) ? result.failure : {}, {
      _tag: "BodyTooLong",
      command: "ping",
      length: body,
      limit: body - 1
    })
  })
})
