/** What a local network looks like to whoever watches it: figures, a table, lines and the words at the end. */
import { assert, describe, it } from "@effect/vitest"
import type { NetworkEvent } from "network-effect"
import * as DevnetView from "../../src/cli/DevnetView.ts"

const connected = (
  at: number,
  connection: number,
  direction: "inbound" | "outbound",
  address = "127.0.0.2:1"
): NetworkEvent => ({
  _tag: "PeerConnected",
  at,
  address,
  direction,
  connection,
  userAgent: "/x/",
  version: 170_190
})

/** Two nodes from the time 1000: they are connected after a second and a half, and the second ends. */
const view = () => {
  const view = DevnetView.make({ startedMillis: 1000, nodes: 2 })
  DevnetView.recordAddress(view, 1, "127.0.0.1:1")
  DevnetView.recordKnown(view, 1, 1)
  DevnetView.record(view, 2, { _tag: "DialFailed", at: 1200, address: "127.0.0.1:1", reason: "ECONNREFUSED" })
  DevnetView.record(view, 2, { _tag: "DialFailed", at: 1300, address: "127.0.0.1:1", reason: "ECONNREFUSED" })
  DevnetView.record(view, 1, connected(2400, 7, "inbound"))
  DevnetView.record(view, 2, connected(2500, 8, "outbound", "127.0.0.1:1"))
  DevnetView.recordSlots(view, 1, 1)
  DevnetView.recordSlots(view, 2, 1)
  return view
}

describe("a local network", () => {
  it("is summed up in figures: who is connected, what failed, and when all were", () => {
    assert.deepStrictEqual(DevnetView.summary(view(), 5000), {
      nodes: 2,
      readyPeers: [1, 1],
      knownAddresses: [1, 0],
      openSlots: [1, 1],
      ended: {},
      handshakes: { done: 2, failed: { ECONNREFUSED: 2 } },
      target: 1,
      secondsToTarget: 1.5,
      seconds: 4
    })
  })

  it("keeps when all were connected first, and loses who goes and who ends", () => {
    const ended = view()
    DevnetView.record(ended, 1, {
      _tag: "PeerDisconnected",
      at: 3000,
      address: "127.0.0.2:1",
      direction: "inbound",
      connection: 7,
      reason: "ConnectionClosed"
    })
    DevnetView.record(ended, 1, connected(3500, 9, "inbound"))
    DevnetView.recordEnd(ended, 2, "NodeOutdated")
    const { ended: reasons, openSlots, readyPeers, secondsToTarget } = DevnetView.summary(ended, 5000)
    assert.deepStrictEqual(
      [readyPeers, openSlots, reasons, secondsToTarget],
      [[1, 0], [1, 0], { NodeOutdated: 1 }, 1.5]
    )
    // One that listens again has not ended.
    DevnetView.record(ended, 2, { _tag: "Listening", at: 4000, address: "127.0.0.2:1" })
    assert.deepStrictEqual(DevnetView.summary(ended, 5000).ended, {})
  })

  it("is summed up in words", () => {
    assert.deepStrictEqual(DevnetView.summaryText(DevnetView.summary(view(), 5000)).split("\n"), [
      "2 nodes ran for 4 s.",
      "Every node had found all 1 others after 1.5 s.",
      "2 handshakes done (counted at both ends), failed: 2 because nobody listens there."
    ])
    const alone = DevnetView.make({ startedMillis: 0, nodes: 3 })
    assert.deepStrictEqual(DevnetView.summaryText(DevnetView.summary(alone, 500)).split("\n"), [
      "3 nodes ran for 0.5 s.",
      "Not every node found all 2 others: the least connected one has 0 peers.",
      "0 handshakes done (counted at both ends), failed: none."
    ])
  })

  it("is a table as high as the terminal, with what is left out", () => {
    const shown = view()
    const table = DevnetView.table(shown, 5000, 24)
    assert.deepStrictEqual(table, [
      "network-effect devnet  2 nodes, 4.0 s, every node had found all others after 1.5 s",
      "",
      "node  address             in  out  known  last event",
      "   1  127.0.0.1:1           1     0       1  connected from 127.0.0.2:1",
      "   2                        0     1       0  connected to 127.0.0.1:1",
      "",
      "Ctrl-C stops"
    ])
    DevnetView.recordStatus(shown, "http://127.0.0.1:8080/")
    DevnetView.recordEnd(shown, 1, "a bug")
    const low = DevnetView.table(shown, 5000, 7)
    assert.deepStrictEqual(low.slice(3), [
      "   1  127.0.0.1:1           0     0       1  ended: a bug",
      "      and 1 more",
      "",
      "status page: http://127.0.0.1:8080/  Ctrl-C stops"
    ])
    assert.include(DevnetView.table(DevnetView.make({ startedMillis: 0, nodes: 1 }), 0, 24)[0], "finding each other")
  })

  it("is told line by line, with the time since the start and the number of the node", () => {
    assert.strictEqual(
      DevnetView.eventLine(view(), 12, connected(2500, 1, "outbound")),
      "   1.500 s  node 12   connected to 127.0.0.2:1"
    )
    const evicted: NetworkEvent = {
      _tag: "PeerEvicted",
      at: 0,
      address: "redacted",
      connection: 1,
      network: "redacted",
      ofNetwork: 3,
      reason: "largest-network",
      newcomer: "redacted",
      newcomerNetwork: "redacted"
    }
    assert.strictEqual(DevnetView.describe(evicted), "let redacted go for redacted: one of 3 of its network")
    assert.include(DevnetView.describe({ ...evicted, network: "10.1" }), "one of 3 of 10.1")
  })

  it("has a name for each kind of events, and whatever else is counted keeps its own", () => {
    assert.strictEqual(DevnetView.kindInWords("PeerConnected"), "peers connected")
    assert.strictEqual(DevnetView.kindInWords("toString"), "toString")
  })

  it("has no node of another number", () => {
    assert.throws(() => DevnetView.recordKnown(view(), 3, 1), "node 3 is not one of the 2 of this view")
  })
})
