/**
 * Peers the operator asks for: one connection now, or a list that is kept connected and outlives the process.
 *
 * They take outbound slots and the pace of all dials, but neither wait for demand nor ask the address book.
 *
 * @module
 */
import { Context, Deferred, Effect, Exit, FiberSet, Layer, Path, Result, Schema } from "effect"
import { fileStem } from "../addresses/AddressBookFile.ts"
import { AddressBook } from "../addresses/AddressBook.ts"
import { BanList } from "../addresses/BanList.ts"
import * as CacheFile from "../addresses/CacheFile.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { Peer } from "../peer/Peer.ts"
import { outboundLimit, Policy } from "../Policy.ts"
import { ConnectionSlots } from "./ConnectionSlots.ts"
import { type ConnectError, Connector } from "./Connector.ts"
import { PeerSet } from "./PeerSet.ts"

/** Most addresses on the list. */
export const maxListed = 100

/** No dial was made. */
export class NoDial extends Schema.TaggedError<NoDial>()("NoDial", {
  /**
   * `Connected`: it is a peer already. `Full`: every outbound slot, or every place of the list, is taken. `Banned`: its
   * group is. `Refused`: its group has all the connections it may have.
   */
  reason: Schema.Literals(["Connected", "Full", "Banned", "Refused"])
}) {}

/** Peers the operator asks for. */
export class ManualPeers extends Context.Service<
  ManualPeers,
  {
    /** Dials once, and answers the peer or why there is none. It stays until it goes by itself. */
    readonly connect: (address: PeerSocketAddress.PeerSocketAddress) => Effect.Effect<Peer, ConnectError | NoDial>
    /** Puts an address on the list: it is dialled now, and again whenever `Policy.reconnectDelay` passed without it. */
    readonly add: (address: PeerSocketAddress.PeerSocketAddress) => Effect.Effect<void, NoDial>
    /** Takes it off the list, and leaves its connection alone. `false` when it was not on it. */
    readonly remove: (address: PeerSocketAddress.PeerSocketAddress) => Effect.Effect<boolean>
    /** The list, in the order of adding. */
    readonly list: Effect.Effect<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>
  }
>()("network-effect/network/ManualPeers") {
  /** A list that ends with the process. */
  static readonly layer = Layer.effect(
    ManualPeers,
    Effect.suspend(() => make(undefined))
  )

  /** A list in a file beside the peer cache, one address per line. */
  static readonly layerFile = (directory: string) =>
    Layer.effect(
      ManualPeers,
      Effect.gen(function* () {
        const chain = yield* ChainParams
        const paths = yield* Path.Path
        return yield* make(
          yield* CacheFile.make({
            path: paths.join(directory, "network", `${fileStem(chain)}.added`),
            name: "list of added peers",
            maxLines: maxListed,
            parse: (line) => Result.getOrUndefined(PeerSocketAddress.fromString(line)),
            format: PeerSocketAddress.format
          })
        )
      })
    )
}

const make = Effect.fnUntraced(function* (file: CacheFile.CacheFile<PeerSocketAddress.PeerSocketAddress> | undefined) {
  const policy = yield* Policy
  const slots = yield* ConnectionSlots
  const connector = yield* Connector
  const peerSet = yield* PeerSet
  const book = yield* AddressBook
  const bans = yield* BanList
  const listed = new Map<string, PeerSocketAddress.PeerSocketAddress>()
  const connections = yield* FiberSet.make<void>()

  const isConnected = (text: string) =>
    Effect.map(peerSet.peers, (peers) =>
      peers.some(
        ({ transientAddress }) => transientAddress !== undefined && PeerSocketAddress.format(transientAddress) === text
      )
    )

  /** A connection from its dial to its end. `tell` hears of the peer, or of why there is none. */
  const hold = (
    address: PeerSocketAddress.PeerSocketAddress,
    tell: (exit: Exit.Exit<Peer, ConnectError | NoDial>) => Effect.Effect<unknown>
  ) =>
    Effect.gen(function* () {
      if (yield* isConnected(PeerSocketAddress.format(address))) {
        return yield* new NoDial({ reason: "Connected" })
      }
      if (yield* bans.isBanned(address)) return yield* new NoDial({ reason: "Banned" })
      if (slots.used("outbound") >= outboundLimit(policy)) return yield* new NoDial({ reason: "Full" })
      const slot = yield* slots.reserve("outbound")
      yield* connector.takeTurn
      const peer = yield* connector.connect(address, slot)
      if (peer.readiness() === "Failed") return yield* new NoDial({ reason: "Refused" })
      yield* tell(Exit.succeed(peer))
      yield* peer.awaitClosed
    }).pipe(
      Effect.onError((cause) => tell(Exit.failCause(cause))),
      Effect.ignore,
      Effect.scoped
    )

  const save = Effect.suspend(() =>
    file === undefined
      ? Effect.void
      : Effect.catch(file.save([...listed.values()]), (error) =>
          Effect.logWarning("the list of added peers cannot be written").pipe(
            Effect.annotateLogs({ file: file.path, reason: error.message })
          )
        )
  )

  /** Dials an address whenever it is not connected, for as long as it is listed. */
  const keep = Effect.fnUntraced(function* (address: PeerSocketAddress.PeerSocketAddress) {
    const text = PeerSocketAddress.format(address)
    if (listed.has(text)) return
    listed.set(text, address)
    yield* book.addPeer(address)
    const once = Effect.andThen(
      hold(address, () => Effect.void),
      Effect.sleep(policy.reconnectDelay)
    )
    yield* FiberSet.run(
      connections,
      Effect.asVoid(Effect.repeat(once, { while: () => listed.get(text) === address })),
      { startImmediately: true }
    )
  })

  if (file !== undefined) for (const address of yield* file.load) yield* keep(address)

  return ManualPeers.of({
    connect: Effect.fnUntraced(function* (address) {
      const outcome = yield* Deferred.make<Peer, ConnectError | NoDial>()
      yield* FiberSet.run(
        connections,
        hold(address, (exit) => Deferred.done(outcome, exit)),
        { startImmediately: true }
      )
      return yield* Deferred.await(outcome)
    }),
    add: (address) =>
      Effect.suspend(() =>
        listed.size >= maxListed && !listed.has(PeerSocketAddress.format(address))
          ? Effect.fail(new NoDial({ reason: "Full" }))
          : Effect.andThen(keep(address), save)
      ),
    remove: (address) =>
      Effect.suspend(() => {
        const text = PeerSocketAddress.format(address)
        if (!listed.delete(text)) return Effect.succeed(false)
        // Its connection, if it has one, goes on: only dialling it again stops.
        return Effect.as(save, true)
      }),
    list: Effect.sync(() => [...listed.values()])
  })
})
