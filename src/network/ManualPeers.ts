/**
 * Peers the operator asks for: one connection now, or a list that is kept connected and outlives the process.
 *
 * They take outbound slots and the pace of all dials, but neither wait for demand nor ask the address book.
 *
 * @module
 */
import { Context, Duration, Effect, FiberSet, type FileSystem, Layer, Path, Result, Schema, Scope } from "effect"
import { fileStem } from "../addresses/AddressBookFile.ts"
import { AddressBook } from "../addresses/AddressBook.ts"
import * as CacheFile from "../addresses/CacheFile.ts"
import { BackgroundTasks, type TaskNameTaken } from "../BackgroundTasks.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { Peer } from "../peer/Peer.ts"
import { Policy } from "../Policy.ts"
import { type ConnectError, Connector } from "./Connector.ts"

/** Most addresses on the list. */
export const maxListed = 100

/** Time between two tries to write the list, after one that failed. */
const saveInterval = Duration.minutes(1)

/** The list has `maxListed` addresses. */
export class ListFull extends Schema.TaggedError<ListFull>()("ListFull", { limit: Schema.Int }) {
  override get message(): string {
    return `the list of peers to keep connected is full: it holds ${this.limit}`
  }
}

/** Peers the operator asks for. */
export class ManualPeers extends Context.Service<
  ManualPeers,
  {
    /** Dials once, and answers the peer or why there is none. It stays until it goes by itself. */
    readonly connect: (address: PeerSocketAddress.PeerSocketAddress) => Effect.Effect<Peer, ConnectError>
    /** Puts an address on the list: it is dialled now, and again whenever `Policy.reconnectDelay` passed without it. */
    readonly add: (address: PeerSocketAddress.PeerSocketAddress) => Effect.Effect<void, ListFull>
    /** Takes it off the list, and leaves its connection alone. `false` when it was not on it. */
    readonly remove: (address: PeerSocketAddress.PeerSocketAddress) => Effect.Effect<boolean>
    /** The list, in the order of adding. */
    readonly list: Effect.Effect<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>
  }
>()("network-effect/network/ManualPeers") {
  /** A list that ends with the process. */
  static readonly layer: Layer.Layer<ManualPeers, TaskNameTaken, Needs> = Layer.effect(
    ManualPeers,
    Effect.gen(() => make(undefined))
  )

  /** A list in a file beside the peer cache, one address per line. */
  static readonly layerFile = (
    directory: string
  ): Layer.Layer<ManualPeers, TaskNameTaken, Needs | ChainParams | FileSystem.FileSystem | Path.Path> =>
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

type Needs = AddressBook | BackgroundTasks | Connector

function* make(file: CacheFile.CacheFile<PeerSocketAddress.PeerSocketAddress> | undefined) {
  const policy = yield* Policy
  const connector = yield* Connector
  const book = yield* AddressBook
  const tasks = yield* BackgroundTasks
  const listed = new Map<string, PeerSocketAddress.PeerSocketAddress>()
  const kept = yield* FiberSet.make<void>().pipe(Scope.provide(tasks.scope))
  yield* tasks.run("manual peers", Effect.andThen(FiberSet.join(kept), Effect.never))

  const connect = (address: PeerSocketAddress.PeerSocketAddress) => connector.connect({ whom: address, why: "manual" })

  let isUnsaved = false
  const save = Effect.suspend(() =>
    file === undefined
      ? Effect.void
      : Effect.map(file.saveOrTell([...listed.values()]), (isSaved) => {
          isUnsaved = !isSaved
        })
  )
  if (file !== undefined) {
    const retry = Effect.suspend(() => (isUnsaved ? save : Effect.void))
    yield* FiberSet.run(kept, Effect.forever(Effect.delay(retry, saveInterval)))
  }

  /** Dials an address whenever it is not connected, for as long as it is listed. */
  const keep = Effect.fnUntraced(function* (address: PeerSocketAddress.PeerSocketAddress) {
    const text = PeerSocketAddress.format(address)
    if (listed.has(text)) return
    listed.set(text, address)
    yield* book.addPeer(address)
    const once = connect(address).pipe(
      Effect.flatMap((peer) => peer.awaitClosed),
      Effect.ignore,
      Effect.andThen(Effect.sleep(policy.reconnectDelay))
    )
    yield* FiberSet.run(kept, Effect.repeat(once, { while: () => listed.get(text) === address }), {
      startImmediately: true
    })
  })

  if (file !== undefined) for (const address of yield* file.load) yield* keep(address)

  return ManualPeers.of({
    connect,
    add: (address) =>
      Effect.suspend(() =>
        listed.size >= maxListed && !listed.has(PeerSocketAddress.format(address))
          ? Effect.fail(new ListFull({ limit: maxListed }))
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
}
