/**
 * How a connection that shook hands becomes a peer of this node, and what it tells the node while it lives: the address book,
 * the inventory registry, the peer set and the events.
 *
 * `addresses` and `peer` do not know each other; this is where a report of a connection becomes a change of an address.
 * Neither depends on what the remote claims in its `version` message: only the address we dialled, or the one the
 * stream came from, is ever touched, so no peer can overwrite another's record.
 *
 * @module
 */
import { Context, Effect, Layer, Option, type Scope } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import type { AddressChange } from "../addresses/PeerAddress.ts"
import { BanList } from "../addresses/BanList.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import { ChainTip } from "../chain/ChainTip.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { minimumVersion } from "../chain/ProtocolVersion.ts"
import * as ConnectedAddress from "../peer/ConnectedAddress.ts"
import { ClientDropped, codeOf, type ConnectionHost, type ConnectionInfo, type Peer } from "../peer/Peer.ts"
import type { ConnectionId } from "../peer/Request.ts"
import type { InventoryItem } from "../wire/Message.ts"
import type { Slot } from "./ConnectionSlots.ts"
import { InventoryRegistry } from "../routing/InventoryRegistry.ts"
import type { Room } from "../routing/Membership.ts"
import { type Evicted, Evictions } from "./Evictions.ts"
import { NetworkEvents } from "./NetworkEvents.ts"
import { PeerRefused, PeerSet } from "./PeerSet.ts"

/** What connections tell their node: to the address book, the inventory registry, the peer set and the events. */
export class PeerAdmission extends Context.Service<
  PeerAdmission,
  {
    /** Given to each connection when it is made. */
    readonly hostFor: (connected: ConnectedAddress.ConnectedAddress) => ConnectionHost
    /**
     * The handshake succeeded: brings the peer into the peer set, which looks at bans and limits in that very step, marks its
     * slot open and says so. In a `handshake` place it gets the place of a peer that has to go, if one does (`Evictions.ts`).
     * When the scope closes, the peer goes and its going is told with the error it went with. A peer that is refused is
     * closed, and was never asked anything.
     */
    readonly admit: (peer: Peer, slot: Slot) => Effect.Effect<void, PeerRefused, Scope.Scope>
  }
>()("network-effect/network/PeerAdmission") {
  /** Admits to the peer set it is given, and changes the records of the book by what connections report. */
  static readonly layer: Layer.Layer<
    PeerAdmission,
    never,
    ChainParams | ChainTip | AddressBook | BanList | Evictions | InventoryRegistry | PeerSet | NetworkEvents
  > = Layer.effect(
    PeerAdmission,
    Effect.gen(function* () {
      const chain = yield* ChainParams
      const { tip } = yield* ChainTip
      const book = yield* AddressBook
      const bans = yield* BanList
      const registry = yield* InventoryRegistry
      const peerSet = yield* PeerSet
      const events = yield* NetworkEvents
      const evictions = yield* Evictions

      const mayAdvertise = (connected: ConnectedAddress.ConnectedAddress) => (info: ConnectionInfo) =>
        Effect.gen(function* () {
          const height = Option.match(yield* tip.get, { onNone: () => 0, onSome: (tip) => tip.height })
          if (info.remote.version < minimumVersion(chain, height)) return false
          const address = ConnectedAddress.transientAddress(connected)
          return address === undefined || !(yield* bans.isBanned(address))
        })

      const hostFor = (connected: ConnectedAddress.ConnectedAddress): ConnectionHost => {
        const address = bookAddress(connected)
        const record = (change: (address: PeerSocketAddress.PeerSocketAddress) => AddressChange) =>
          address === undefined ? Effect.void : Effect.asVoid(book.record(change(address)))
        return {
          mayAdvertise: mayAdvertise(connected),
          report: (connection, report) => {
            switch (report._tag) {
              case "Connected":
                return record((address) => ({
                  _tag: "UpdateConnected",
                  address,
                  services: report.info.remote.services,
                  isInbound: connected._tag === "InboundDirect",
                  userAgent: report.info.remote.userAgent,
                  negotiatedVersion: report.info.negotiatedVersion
                }))
              case "PingSent":
                return record((address) => ({ _tag: "UpdatePingSent", address, sentAtMillis: report.sentAtMillis }))
              case "Responded":
                return record((address) => ({ _tag: "UpdateResponded", address, roundTrip: report.roundTrip }))
              case "Failed":
                return record((address) => ({ _tag: "UpdateFailed", address, services: report.services }))
              case "InventoryAvailable":
                return Effect.andThen(
                  registry.register(connection, "available", report.items),
                  events.publish({ _tag: "InventoryAdvertised", connection, ...idsOf(report.items) })
                )
              case "InventoryMissing":
                return registry.register(connection, "missing", report.items)
            }
          }
        }
      }

      const admit = Effect.fnUntraced(function* (peer: Peer, slot: Slot) {
        const address = peer.transientAddress
        let evicted: Evicted | undefined
        const makeRoom = (): Room => {
          const made = evictions.makeRoom(peer, slot)
          evicted = made.evicted
          return made.room
        }
        yield* peerSet.add(peer, slot.kind === "handshake" ? makeRoom : undefined)
        yield* slot.markOpen
        if (peer.isInbound) evictions.joined(peer.id, slot)
        if (evicted !== undefined) yield* events.publish({ _tag: "PeerEvicted", ...evicted })
        const facts: Facts = {
          address: address === undefined ? "isolated" : PeerSocketAddress.format(address),
          direction: peer.isInbound ? "inbound" : "outbound",
          connection: peer.id
        }
        yield* events.publish({
          _tag: "PeerConnected",
          ...facts,
          userAgent: peer.info.remote.userAgent,
          version: peer.info.remote.version
        })
        yield* Effect.addFinalizer(() => leave(peer, facts))
      }, Effect.uninterruptible)

      const leave = Effect.fnUntraced(function* (peer: Peer, facts: Facts) {
        evictions.gone(peer.id)
        // The scope may also close because we stop: then the peer is closed here, by us.
        yield* peer.close(new ClientDropped())
        const error = yield* peer.awaitClosed
        yield* events.publish({ _tag: "PeerDisconnected", ...facts, reason: codeOf(error) })
      })

      return PeerAdmission.of({ hostFor, admit })
    })
  )
}

/** What both events of a connection say. */
interface Facts {
  readonly address: string
  readonly direction: "inbound" | "outbound"
  readonly connection: ConnectionId
}

const idsOf = (items: ReadonlyArray<InventoryItem>) => ({
  blocks: items.flatMap((item) => (item._tag === "Block" ? [item.hash] : [])),
  transactions: items.flatMap((item) => (item._tag === "Tx" || item._tag === "Wtx" ? [item.id] : []))
})

/** The address the book knows a connection by. Proxied and isolated ones never touch it. */
const bookAddress = (connected: ConnectedAddress.ConnectedAddress) =>
  connected._tag === "OutboundDirect" || connected._tag === "InboundDirect" ? connected.address : undefined
