import { assert, describe, it } from "@effect/vitest"
import { NetAddress } from "effect/net"
import { byNetwork } from "../../src/addresses/AddressGroups.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { ConnectedPeers, Member } from "../../src/routing/ConnectedPeers.ts"
import { TrustedPeers } from "../../src/routing/TrustedPeers.ts"
import { fakePeer } from "../support/fakePeer.ts"

describe("ConnectedPeers", () => {
  const rings = { serving: true, others: true }
  const trustedIps = TrustedPeers.make(
    ["127.0.0.1", "::ffff:192.0.2.7", "192.0.2.7"].map(NetAddress.ipFromStringUnsafe)
  )
  const trusted = new Member(fakePeer({ id: 1, address: "127.0.0.1:1", inbound: true }), trustedIps, byNetwork, 0n)

  it("trusts a host however its IP was written, once, and no other (advisory A1)", () => {
    assert.strictEqual(trustedIps.size, 2)
    for (const [address, isTrusted] of [
      ["192.0.2.7:5", true],
      ["[::ffff:192.0.2.7]:5", true],
      ["192.0.2.8:5", false]
    ] as const) {
      assert.strictEqual(
        new Member(fakePeer({ id: 2, address, inbound: true }), trustedIps, byNetwork, 0n).trusted,
        isTrusted
      )
    }
  })

  it("has whoever joined in each of its lists, trusted ones among the trusted", () => {
    const connected = new ConnectedPeers()
    connected.add(trusted)
    assert.strictEqual(trusted.peer.info.remote.services, NODE_NETWORK)
    assert.deepStrictEqual([connected.size, connected.inbound, [...connected.trusted]], [1, 1, [1]])
    assert.deepStrictEqual([connected.at("127.0.0.1:1"), connected.inGroup("127.0.0.1").size], [1, 1])
    assert.strictEqual(connected.pools.busyServing.size, 1)
    assert.strictEqual(
      connected.rotation.next(() => true, rings),
      1
    )
  })

  it("has nobody who left in any, so that no place, turn or privilege outlives a connection", () => {
    const connected = new ConnectedPeers()
    connected.add(trusted)
    connected.markReady(trusted)
    assert.strictEqual(connected.remove(1), trusted)
    assert.deepStrictEqual([connected.size, connected.inbound, [...connected.trusted]], [0, 0, []])
    assert.deepStrictEqual([connected.at("127.0.0.1:1"), connected.inGroup("127.0.0.1").size], [undefined, 0])
    assert.strictEqual(connected.pools.readyServing.size + connected.pools.busyServing.size, 0)
    assert.isUndefined(connected.rotation.next(() => true, rings))
    assert.isUndefined(connected.remove(1))
  })
})
