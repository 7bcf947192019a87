/** Which addresses are dialled, which are one host, and what is believed of their times. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { NetAddress } from "effect/net"
import * as AddressRules from "../../src/addresses/AddressRules.ts"
import * as Gossip from "../../src/addresses/Gossip.ts"
import * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import { mainnet, regtest, testnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { address, gossiped } from "../support/bookWorld.ts"

const isValid = (text: string, chain?: typeof mainnet) =>
  AddressRules.validForOutbound(address(text), chain) === undefined

describe("an address to dial", () => {
  it("has an IP and a port (PR-1)", () => {
    for (const chain of [mainnet, testnet, regtest, undefined]) {
      for (const text of ["0.0.0.0:8233", "[::]:8233", "10.0.0.1:0"]) assert.isFalse(isValid(text, chain), text)
    }
  })

  it("has no port of another chain or another program (PR-2, PR-3)", () => {
    const ports = [8233, 18233, 8232, 18232, 18344, 8033, 18033, 16125, 26125, 1]
    const valid = (chain: typeof mainnet) => ports.filter((port) => isValid(`10.0.0.1:${port}`, chain))
    assert.deepStrictEqual(valid(mainnet), [8233, 1])
    assert.deepStrictEqual(valid(testnet), [18233, 1])
    assert.deepStrictEqual(valid(regtest), [18233, 1])
    // Without a chain only what is nobody's, on whichever chain.
    assert.deepStrictEqual(
      ports.filter((port) => isValid(`10.0.0.1:${port}`)),
      [8233, 18233, 8232, 18232, 1]
    )
    const reasons = [mainnet, testnet, regtest].map((chain) =>
      [8233, 18233, 8232, 18232].map((port) => AddressRules.validForListening(address(`10.0.0.1:${port}`), chain))
    )
    const rpc = ["8232 is the RPC port of Mainnet", "18232 is the RPC port of Testnet"]
    assert.deepStrictEqual(reasons, [
      [undefined, "18233 is the port of Testnet and Regtest, and this is Mainnet", ...rpc],
      ["8233 is the port of Mainnet, and this is Testnet", undefined, ...rpc],
      ["8233 is the port of Mainnet, and this is Regtest", undefined, ...rpc]
    ])
  })

  it("is preferred on the port of the chain (PR-4, PR-6)", () => {
    const preferred = (chain?: typeof mainnet) =>
      [8233, 18233, 8232].filter((port) => AddressRules.isPreferred(address(`10.0.0.1:${port}`), chain))
    assert.deepStrictEqual(preferred(mainnet), [8233])
    assert.deepStrictEqual(preferred(testnet), [18233])
    assert.deepStrictEqual(preferred(), [8233, 18233])
  })

  it("may be private, or this very host (PR-5)", () => {
    for (const text of ["10.0.0.1:8233", "192.168.1.1:8233", "127.0.0.1:8233", "[::1]:8233", "[fe80::1]:8233"]) {
      assert.isTrue(isValid(text, mainnet), text)
    }
  })
})

/** The same address with this bit another one, counted from the first, by what it says then. */
const withBit = ({ address: ip, port }: ReturnType<typeof address>, bit: number) => {
  const octets = NetAddress.isIpv4Address(ip) ? [...NetAddress.ipv4ToOctets(ip)] : [...NetAddress.ipv6ToOctets(ip)]
  octets[bit >> 3]! ^= 0x80 >> (bit & 7)
  const bytes = Uint8Array.from(octets)
  return PeerSocketAddress.fromIp(
    bytes.length === 4 ? NetAddress.ipv4FromBytesUnsafe(bytes) : NetAddress.ipv6FromBytesUnsafe(bytes),
    port
  )
}

/** Which bits of an address make a difference. */
const bitsThatCount = (text: string, of: (one: ReturnType<typeof address>) => unknown) => {
  const one = address(text)
  const bits = Array.from({ length: text.startsWith("[") ? 128 : 32 }, (_, bit) => bit)
  return bits.filter((bit) => String(of(withBit(one, bit))) !== String(of(one)))
}
const upTo = (bits: number) => Array.from({ length: bits }, (_, bit) => bit)

describe("a peer group", () => {
  it("is every bit of an IPv4 address, and the first 64 of an IPv6 one", () => {
    assert.deepStrictEqual(bitsThatCount("203.0.113.9:1", AddressRules.limitKey), upTo(32))
    assert.deepStrictEqual(bitsThatCount("[2a0e:97c0:51:9::7]:1", AddressRules.limitKey), upTo(64))
  })

  it("is one IPv4 address, or the /64 of an IPv6 one", () => {
    const groups = [
      "192.0.2.10:1",
      "[::ffff:192.0.2.10]:2",
      "192.0.2.11:1",
      "[2001:db8::dead:beef]:1",
      "[2001:db8:0:1::1]:1"
    ]
    assert.deepStrictEqual(
      groups.map((text) => AddressRules.limitKey(address(text))),
      ["192.0.2.10", "192.0.2.10", "192.0.2.11", "2001:db8::/64", "2001:db8:0:1::/64"]
    )
  })
})

describe("a part of the internet", () => {
  it("is an IPv4 /16 or an IPv6 /32, and of an IPv6 address that carries an IPv4 one where that is", () => {
    const parts = [
      ["203.0.113.9:1", "203.0"],
      ["[::ffff:203.0.113.9]:1", "203.0"],
      ["[2001:db8:ffff::1]:1", "2001:db8::/32"],
      ["[2003:cb00:7109::1]:1", "2003:cb00::/32"],
      // 6to4, Teredo, and two kinds of translation.
      ["[2002:cb00:7109::1]:1", "203.0"],
      ["[2001::34ff:8ef6]:1", "203.0"],
      ["[64:ff9b::cb00:7109]:1", "203.0"],
      ["[::ffff:0:cb00:7109]:1", "203.0"],
      // Beside them.
      ["[2001:1::34ff:8ef6]:1", "2001:1::/32"],
      ["[64:ff9b:1::cb00:7109]:1", "64:ff9b::/32"]
    ] as const
    for (const [text, part] of parts) assert.strictEqual(AddressRules.networkKey(address(text)), part, text)
  })

  it("is the first 16 bits of an IPv4 address, and the first 32 of an IPv6 one", () => {
    assert.deepStrictEqual(bitsThatCount("203.0.113.9:1", AddressRules.networkKey), upTo(16))
    assert.deepStrictEqual(bitsThatCount("[2a0e:97c0:51:9::7]:1", AddressRules.networkKey), upTo(32))
  })

  it("carries an IPv4 address when every bit of the prefix is there (RFC 3056, RFC 4380, RFC 6052, RFC 7915)", () => {
    const carried = (one: ReturnType<typeof address>) =>
      NetAddress.isIpv4Address(one.address) ? undefined : AddressRules.carriedIpv4(one.address)
    const prefixes = [
      ["[2002:cb00:7109:51::1]:1", 16, upTo(48)],
      ["[2001::51:9:34ff:8ef6]:1", 32, [...upTo(32), ...upTo(32).map((bit) => 96 + bit)]],
      ["[64:ff9b::cb00:7109]:1", 96, upTo(128)],
      ["[::ffff:0:cb00:7109]:1", 96, upTo(128)]
    ] as const
    for (const [text, prefix, bits] of prefixes) {
      assert.deepStrictEqual(carried(address(text)), [203, 0, 113, 9], text)
      for (const bit of upTo(prefix)) assert.isUndefined(carried(withBit(address(text), bit)), `${text} ${bit}`)
      assert.deepStrictEqual(bitsThatCount(text, carried), bits, text)
    }
  })
})

describe("an order of addresses", () => {
  it("has IPv4 before IPv6, then goes by each byte, then by the port", () => {
    const inOrder = [
      "1.2.3.4:5",
      "1.2.3.4:256",
      "1.2.3.5:1",
      "1.2.4.0:1",
      "1.3.0.0:1",
      "1.255.0.0:1",
      "2.0.0.0:1",
      "128.0.0.1:1",
      "255.255.255.255:65535",
      "[::1]:1",
      "[::1]:65535",
      "[::2]:1",
      "[0:0:0:1::]:1",
      "[1::]:1",
      "[8000::]:1",
      "[fe80::1]:1"
    ]
    const keys = inOrder.map((text) => AddressRules.sortKey(address(text)))
    for (const [n, key] of keys.slice(1).entries())
      assert.isBelow(PeerAddress.compareText(keys[n]!, key), 0, inOrder[n])
    assert.lengthOf(bitsThatCount("203.0.113.9:1", AddressRules.sortKey), 32)
    assert.lengthOf(bitsThatCount("[2a0e:97c0:51:9::7]:1", AddressRules.sortKey), 128)
  })
})

describe("an answer", () => {
  it("tells half of what is known, rounded up, and a thousand at most (EX-6)", () => {
    assert.deepStrictEqual(
      [0, 1, 2, 3, 1999, 2000, 2001, 5000].map((known) => Gossip.answerSize(known, 2)),
      [0, 1, 1, 2, 1000, 1000, 1000, 1000]
    )
  })
})

describe("times that others claim", () => {
  const now = 10_000_000
  const minutes = 60
  const validated = (...offsets: ReadonlyArray<number>) =>
    Gossip.validate(
      offsets.map((offset, i) => gossiped(`10.0.0.${i}:8233`, now + offset)),
      now
    ).map(({ lastSeenSeconds }) => lastSeenSeconds - now)

  it("are taken back together until none lies ahead (CS-1, CS-3)", () => {
    assert.deepStrictEqual(validated(30 * minutes, 15 * minutes, 45 * minutes), [-15 * minutes, -30 * minutes, 0])
    assert.deepStrictEqual(validated(55 * minutes, -3 * 86_400, -7200), [
      0,
      -3 * 86_400 - 55 * minutes,
      -7200 - 55 * minutes
    ])
  })

  it("stay as they are when none lies ahead (CS-2, CS-4)", () => {
    assert.deepStrictEqual(validated(-30 * minutes, -45 * minutes, -86_400), [-30 * minutes, -45 * minutes, -86_400])
    assert.deepStrictEqual(validated(0, -3 * minutes, -3600), [0, -180, -3600])
  })

  it("are all dropped when one would come before the beginning (CS-5)", () => {
    const times = [0, now, 4_294_967_295].map((time, i) => gossiped(`10.0.0.${i}:8233`, time))
    assert.isEmpty(Gossip.validate(times, now))
    // At the beginning is not before it.
    assert.deepStrictEqual(validated(5, 5 - now), [0, -now])
    assert.isEmpty(validated(5, 4 - now))
  })

  it.prop(
    "never lie ahead (CS-P1)",
    {
      times: Arbitrary.array(
        Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4_294_967_295 }))),
        {
          minLength: 1,
          maxLength: 7
        }
      ),
      limit: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4_294_967_295 })))
    },
    ({ limit, times }) => {
      const kept = Gossip.validate(
        times.map((time, i) => gossiped(`10.0.0.${i}:8233`, time)),
        limit
      )
      for (const { lastSeenSeconds } of kept) assert.isTrue(lastSeenSeconds <= limit && lastSeenSeconds >= 0)
    },
    { arbitrary: { runs: 300 } }
  )
})
