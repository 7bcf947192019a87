/**
 * What is shown of a node, of the process' other nodes and of all its connections together.
 *
 * @module
 */
import { Context, Effect, Metric } from "effect"
import type { Network } from "../network/Network.ts"
import type { PeerSet } from "../network/PeerSet.ts"
import type { Policy } from "../Policy.ts"
import { Totals } from "./StatusApi.ts"

/** What of a node is shown. */
export type ListedNode = Network | PeerSet

/** The other nodes of this process, when it runs several; they come and go. */
export const OtherNodes = Context.Reference<() => ReadonlyArray<Context.Context<ListedNode>>>(
  "network-effect/status/OtherNodes",
  { defaultValue: () => () => [] }
)

/** Peers from which on a node is ready. */
export const wantedPeers = ({ readyPeers, targetPeers }: Policy): number => readyPeers ?? Math.ceil(targetPeers / 2)

/** Bytes and messages of all connections, as they are counted for `/metrics`. */
export const totals = Effect.map(Metric.snapshot, (metrics) => {
  const bytes = { "zcash.net.in.bytes.total": 0, "zcash.net.out.bytes.total": 0 }
  const messages: Record<"zcash.net.in.messages" | "zcash.net.out.messages", Record<string, number>> = {
    "zcash.net.in.messages": {},
    "zcash.net.out.messages": {}
  }
  for (const metric of metrics) {
    if (metric.type !== "Counter") continue
    const count = Number(metric.state.count)
    if (metric.id === "zcash.net.in.bytes.total" || metric.id === "zcash.net.out.bytes.total") bytes[metric.id] += count
    if (metric.id === "zcash.net.in.messages" || metric.id === "zcash.net.out.messages") {
      messages[metric.id][metric.attributes?.["command"] ?? "other"] = count
    }
  }
  return new Totals({
    bytesReceived: bytes["zcash.net.in.bytes.total"],
    bytesSent: bytes["zcash.net.out.bytes.total"],
    messagesReceived: messages["zcash.net.in.messages"],
    messagesSent: messages["zcash.net.out.messages"]
  })
})
