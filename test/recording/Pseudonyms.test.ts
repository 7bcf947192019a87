/** Made-up addresses: of the same family and group, one for each, and nobody's to undo. */
import { assert, describe, it } from "@effect/vitest"
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as Pseudonyms from "../../src/recording/Pseudonyms.ts"

const keyed = (byte: number) => Pseudonyms.make(new Uint8Array(Pseudonyms.keyBytes).fill(byte))
const pseudonym = keyed(1)
const of = (text: string, by = pseudonym) => PeerSocketAddress.format(by(PeerSocketAddress.fromStringUnsafe(text)))

describe("a pseudonym", () => {
  it("keeps the /16 of an IPv4 address and the /32 of an IPv6 address, and nothing else", () => {
    assert.match(of("203.0.113.7:8233"), /^203\.0\.\d+\.\d+:8233$/)
    assert.notStrictEqual(of("203.0.113.7:8233"), "203.0.113.7:8233")
    assert.match(of("[2001:db8:1:2:3:4:5:6]:18233"), /^\[2001:db8:[0-9a-f:]+\]:18233$/)
    assert.notInclude(of("[2001:db8:1:2:3:4:5:6]:18233"), "1:2:3:4:5:6")
  })

  it("is the same for one address, and under another key another one", () => {
    assert.strictEqual(of("203.0.113.7:8233"), of("203.0.113.7:8233"))
    assert.strictEqual(of("203.0.113.7:8233", keyed(1)), of("203.0.113.7:8233"))
    assert.notStrictEqual(of("203.0.113.7:8233", keyed(2)), of("203.0.113.7:8233"))
  })

  it("is no other address's, of all in a group", () => {
    const all = new Set<string>()
    for (let c = 0; c < 256; c++) for (let d = 0; d < 256; d++) all.add(of(`198.51.${c}.${d}:8233`))
    assert.strictEqual(all.size, 65_536)
    const inIpv6 = new Set(Array.from({ length: 5000 }, (_, n) => of(`[2001:db8::${n.toString(16)}]:8233`)))
    assert.strictEqual(inIpv6.size, 5000)
  })

  it("has the usual ports of Zcash for those, and for no other port", () => {
    const ports = Array.from({ length: 65_536 }, (_, port) => port)
    const pseudonyms = ports.map((port) => pseudonym(PeerSocketAddress.fromIp(NetAddress.ipv4Loopback, port)).port)
    assert.strictEqual(new Set(pseudonyms).size, 65_536)
    assert.deepStrictEqual(
      ports.filter((port) => pseudonyms[port] === port && [8233, 18_233, 18_344].includes(port)),
      [8233, 18_233, 18_344]
    )
    assert.isBelow(ports.filter((port) => pseudonyms[port] === port).length, 20)
  })
})
