/**
 * Tells the operator, now and then, what about the peers may need a hand.
 *
 * **Security**
 *
 * Peers decide neither how often it speaks nor what it says: a look every `Policy.statusLogInterval`, numbers only.
 *
 * Source: Zebra peer_set/set.rs, `log_peer_set_size`.
 *
 * @module
 */
import { Effect, Layer } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { limitKey } from "../addresses/AddressRules.ts"
import { BackgroundTasks, type TaskNameTaken } from "../BackgroundTasks.ts"
import type { Peer } from "../peer/Peer.ts"
import { Policy } from "../Policy.ts"
import { PeerSet } from "./PeerSet.ts"

/**
 * Logs every `Policy.statusLogInterval` that nobody is connected or that all peers are busy, with what the address book
 * has, and that hosts are connected more than once. Nothing while all is well.
 */
export const layer: Layer.Layer<never, TaskNameTaken, PeerSet | AddressBook | BackgroundTasks> = Layer.effectDiscard(
  Effect.gen(function* () {
    const policy = yield* Policy
    const peerSet = yield* PeerSet
    // Its published counts: the book itself may be waited for by whoever waits for a peer.
    const { metrics } = yield* AddressBook
    const tasks = yield* BackgroundTasks

    const look = Effect.gen(function* () {
      const hosts = sharedHosts(yield* peerSet.peers)
      if (hosts > 0) {
        yield* Effect.logInfo("some hosts are connected more than once").pipe(Effect.annotateLogs({ hosts }))
      }
      const { busy, ready } = yield* peerSet.counts
      if (ready > 0) return
      const line =
        busy > 0
          ? Effect.logInfo("all peers are busy")
          : Effect.logWarning("no peer is connected: check the network connection and the firewall")
      yield* Effect.annotateLogs(line, { busy, ...metrics.getUnsafe() })
    })

    yield* tasks.run("status log", Effect.forever(Effect.delay(look, policy.statusLogInterval)))
  })
)

/** Peer groups with more than one connection. */
const sharedHosts = (peers: ReadonlyArray<Peer>): number => {
  const once = new Set<string>()
  const shared = new Set<string>()
  for (const { transientAddress } of peers) {
    if (transientAddress === undefined) continue
    const group = limitKey(transientAddress)
    if (once.has(group)) shared.add(group)
    else once.add(group)
  }
  return shared.size
}
