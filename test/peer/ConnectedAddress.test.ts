import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import {
  alternates,
  inbound as ofInbound,
  isInbound,
  isOutbound,
  describe as describeAddress,
  label,
  outbound as ofOutbound,
  shortLabel,
  transientAddress
} from "../../src/peer/ConnectedAddress.ts"
import type { ConnectedAddress } from "../../src/peer/Peer.ts"
import type { ByteStream } from "../../src/transport/Transport.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { alice, bob, mallory } from "../support/addresses.ts"

const address = PeerSocketAddress.fromStringUnsafe

const outbound: ConnectedAddress = { _tag: "OutboundDirect", address: bob }
const inbound: ConnectedAddress = { _tag: "InboundDirect", address: address("198.51.100.2:50123") }
const outboundProxy: ConnectedAddress = { _tag: "OutboundProxy", proxyAddress: alice, transientLocalAddress: mallory }
const inboundProxy: ConnectedAddress = { _tag: "InboundProxy", transientAddress: mallory }
const isolated: ConnectedAddress = { _tag: "Isolated" }

describe("how a connection came about", () => {
  it.each([
    [outbound, "198.51.100.2:8233", false, true, "v4redacted:8233", "Out", 'Out("v4redacted:8233")'],
    [inbound, "198.51.100.2:50123", true, false, "v4redacted:50123", "In", 'In("v4redacted:50123")'],
    [outboundProxy, "203.0.113.3:8233", false, true, "v4redacted:8233", "ProxOut", 'ProxOut("v4redacted:8233")'],
    [inboundProxy, "203.0.113.3:8233", true, false, "v4redacted:8233", "ProxIn", 'ProxIn("v4redacted:8233")'],
    [isolated, undefined, false, false, "isolated", "Isol", "Isol"]
  ] as const)("$0._tag has its key, direction and label (peer 70)", (...row) => {
    const [connected, key, inward, outward, text, short, described] = row
    const transient = transientAddress(connected)
    assert.strictEqual(transient === undefined ? undefined : PeerSocketAddress.format(transient), key)
    assert.strictEqual(isInbound(connected), inward)
    assert.strictEqual(isOutbound(connected), outward)
    assert.strictEqual(label(connected), text)
    assert.strictEqual(shortLabel(connected), short)
    assert.strictEqual(describeAddress(connected), described)
  })

  it("is told by the stream: direct, or through a proxy", () => {
    const stream = (proxyAddress: PeerSocketAddress.PeerSocketAddress | undefined): ByteStream => ({
      remoteAddress: bob,
      localAddress: mallory,
      proxyAddress,
      read: Effect.never,
      write: () => Effect.void,
      bytesRead: () => 0,
      bytesWritten: () => 0
    })
    const dialled = address("198.51.100.2:18233")
    assert.deepStrictEqual(ofOutbound(dialled, stream(undefined)), { _tag: "OutboundDirect", address: dialled })
    assert.deepStrictEqual(ofOutbound(dialled, stream(alice)), outboundProxy)
    assert.deepStrictEqual(ofInbound(stream(undefined)), { _tag: "InboundDirect", address: bob })
    assert.deepStrictEqual(ofInbound(stream(alice)), { _tag: "InboundProxy", transientAddress: bob })
  })

  it.each([
    ["the dialled one again", outbound, "198.51.100.2:8233", []],
    ["another port", outbound, "198.51.100.2:18233", ["198.51.100.2:18233"]],
    ["another host", outbound, "203.0.113.9:8233", ["203.0.113.9:8233"]],
    ["no host and no port, so the dialled one", outbound, "0.0.0.0:0", []],
    ["no IPv6 host, so the dialled one", outbound, "[::]:8233", []],
    ["no host but another port", outbound, "0.0.0.0:18233", ["198.51.100.2:18233"]],
    ["another host but no port", outbound, "203.0.113.9:0", ["203.0.113.9:8233"]],
    ["the host it came from", inbound, "198.51.100.2:8233", ["198.51.100.2:8233"]],
    ["another host than it came from", inbound, "203.0.113.9:8233", ["203.0.113.9:8233", "198.51.100.2:8233"]],
    ["nothing, which the book refuses later", inbound, "0.0.0.0:0", ["0.0.0.0:0", "198.51.100.2:0"]],
    ["any, through a proxy out", outboundProxy, "203.0.113.9:8233", ["203.0.113.9:8233"]],
    ["any, through a proxy in", inboundProxy, "203.0.113.9:8233", ["203.0.113.9:8233"]],
    ["any, isolated", isolated, "203.0.113.9:8233", []]
  ] as const)(
    "a remote that states %s leaves us with the right alternates (peer 70)",
    (_, connected, stated, expected) => {
      const found = alternates(connected, address(stated), 1_700_000_000)
      assert.deepStrictEqual(
        found.map(({ address }) => PeerSocketAddress.format(address)),
        [...expected]
      )
      for (const { lastSeenSeconds, services } of found) {
        assert.strictEqual(services, NODE_NETWORK)
        assert.strictEqual(lastSeenSeconds, 1_700_000_000)
      }
    }
  )
})
