/** What a census finds, as JSON and as hosts. */
import { assert, describe, it } from "@effect/vitest"
import { Finding, hostOf, isLoopback, toJson } from "../../src/census/Finding.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"

const at = PeerSocketAddress.fromStringUnsafe
const address = at("203.0.113.7:8233")

describe("a finding in JSON", () => {
  it("has addresses as text and services as a number", () => {
    const seen = { atMillis: 1, protocolVersion: 170_190, services: 5n, userAgent: "/a/", height: null }
    const rest = { how: "Explored", clockOffsetSeconds: 0, latencyMillis: 2, told: null, claims: null } as const
    assert.deepStrictEqual(toJson(Finding.Reached({ ...seen, ...rest, address })), {
      _tag: "Reached",
      ...seen,
      ...rest,
      address: "203.0.113.7:8233",
      services: 5
    })
    assert.deepStrictEqual(toJson(Finding.Came({ ...seen, address: at("[2001:db8::1]:9") })), {
      _tag: "Came",
      ...seen,
      address: "[2001:db8::1]:9",
      services: 5
    })
    const failed = { atMillis: 3, how: "Rechecked", reason: "Refused", code: "ECONNREFUSED" } as const
    assert.deepStrictEqual(toJson(Finding.Unreachable({ ...failed, address })), {
      _tag: "Unreachable",
      ...failed,
      address: "203.0.113.7:8233"
    })
    const told = Finding.Told({ teller: address, atMillis: 4, addresses: [at("198.51.100.1:8233"), address] })
    assert.deepStrictEqual(toJson(told), {
      _tag: "Told",
      teller: "203.0.113.7:8233",
      atMillis: 4,
      addresses: ["198.51.100.1:8233", "203.0.113.7:8233"]
    })
    const progress = {
      atMillis: 5,
      elapsedMillis: 6,
      known: 7,
      visited: 8,
      reached: 9,
      dials: 10,
      underWay: 11,
      waiting: 12,
      doubtful: 13,
      end: null
    }
    assert.deepStrictEqual(toJson(Finding.Progress(progress)), { _tag: "Progress", ...progress })
  })
})

describe("what counts as one host", () => {
  it("is an IPv4 address or an IPv6 /64, and on loopback a port", () => {
    const hosts = ["203.0.113.7:1", "203.0.113.7:2", "[2001:db8::1]:1", "[2001:db8::2]:1"].map(at).map(hostOf)
    assert.strictEqual(hosts[0], hosts[1])
    assert.strictEqual(hosts[2], hosts[3])
    assert.deepStrictEqual(["127.9.9.9:1", "127.9.9.9:2", "[::1]:3"].map(at).map(hostOf), [
      "127.9.9.9:1",
      "127.9.9.9:2",
      "[::1]:3"
    ])
    assert.deepStrictEqual(
      ["127.0.0.1:1", "[::1]:1", "128.0.0.1:1", "126.255.255.255:1", "[::2]:1"].map(at).map(isLoopback),
      [true, true, false, false, false]
    )
  })
})
