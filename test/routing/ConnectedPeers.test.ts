import { assert, describe, it } from "@effect/vitest"
import { NetAddress } from "effect/net"
import { byNetwork } from "../../src/addresses/AddressGroups.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { ConnectedPeers, Member } from "../../src/routing/ConnectedPeers.ts"
import { TrustedPeers } from "../../src/routing/TrustedPeers.ts"
import { fakePeer, type FakePeerOptions } from "../support/fakePeer.ts"

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
    // Whom we dialled may be anybody who listens there, and a proxy's address is not its guest's.
    const dialled = fakePeer({ id: 3, address: "192.0.2.7:5" })
    const connectedAddress = { _tag: "InboundProxy", transientAddress: dialled.transientAddress! } as const
    const behindProxy = { ...dialled, isInbound: true, info: { ...dialled.info, connectedAddress } }
    for (const peer of [dialled, behindProxy]) {
      assert.isFalse(new Member(peer, trustedIps, byNetwork, 0n).trusted)
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

  const outsider = (id: number, address: string, options: Partial<FakePeerOptions> = {}) =>
    new Member(fakePeer({ id, address, ...options }), trustedIps, byNetwork, 5n)

  it("moves between ready and busy, each counted once, and back to neither after it left", () => {
    const connected = new ConnectedPeers()
    const [sam, nina] = [outsider(1, "192.0.2.1:1"), outsider(2, "192.0.2.2:1", { serving: false })]
    const sizes = () => {
      const { busyOther, busyServing, readyOther, readyServing } = connected.pools
      return [readyServing.size, readyOther.size, busyServing.size, busyOther.size]
    }
    for (const member of [sam, nina]) connected.add(member)
    assert.deepStrictEqual([connected.ready, connected.busy, connected.inbound], [0, 2, 0])
    for (const member of [sam, sam, nina]) connected.markReady(member)
    assert.deepStrictEqual(sizes(), [1, 1, 0, 0])
    assert.deepStrictEqual([connected.isReady(1), connected.isReady(2), connected.isReady(3)], [true, true, false])
    for (const member of [nina, nina]) connected.markBusy(member)
    assert.deepStrictEqual(sizes(), [1, 0, 0, 1])
    assert.deepStrictEqual([connected.ready, connected.busy, connected.isReady(2)], [1, 1, false])
    for (const member of [sam, nina]) connected.remove(member.id)
    for (const member of [sam, nina]) {
      connected.markReady(member)
      connected.markBusy(member)
    }
    assert.deepStrictEqual([...sizes(), connected.size, connected.inbound], [0, 0, 0, 0, 0, 0])
  })

  it("counts a group until its last member has left", () => {
    const connected = new ConnectedPeers()
    for (const member of [outsider(1, "192.0.2.1:1"), outsider(2, "192.0.2.1:2"), outsider(3, "192.0.2.3:1")]) {
      connected.add(member)
    }
    assert.deepStrictEqual([...connected.inGroup("192.0.2.1")], [1, 2])
    connected.remove(1)
    assert.deepStrictEqual([...connected.inGroup("192.0.2.1")], [2])
    assert.deepStrictEqual([connected.at("192.0.2.1:1"), connected.at("192.0.2.1:2")], [undefined, 2])
    connected.remove(2)
    assert.deepStrictEqual([[...connected.inGroup("192.0.2.1")], [...connected.inGroup("192.0.2.3")]], [[], [3]])
    connected.add(outsider(4, "192.0.2.1:1"))
    assert.deepStrictEqual([...connected.inGroup("192.0.2.1")], [4])
  })

  it("knows who has no address by its number alone, and trusts nobody for it", () => {
    const connected = new ConnectedPeers()
    const connectedAddress = { _tag: "Isolated" } as const
    for (const id of [1, 2]) {
      const peer = fakePeer({ id, address: "127.0.0.1:1", inbound: true })
      const hidden = { ...peer, transientAddress: undefined, info: { ...peer.info, connectedAddress } }
      const member = new Member(hidden, trustedIps, byNetwork, 5n)
      assert.deepInclude(member, {
        address: undefined,
        group: undefined,
        network: undefined,
        trusted: false,
        joinedAtNanos: 5n
      })
      connected.add(member)
    }
    assert.deepStrictEqual([connected.size, connected.inbound, [...connected.trusted]], [2, 2, []])
    assert.deepStrictEqual([connected.at("127.0.0.1:1"), connected.inGroup("127.0.0.1").size], [undefined, 0])
    assert.strictEqual(connected.remove(1)?.id, 1)
    assert.deepStrictEqual(
      Array.from(connected.values(), ({ id }) => id),
      [2]
    )
  })
})
