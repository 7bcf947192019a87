/**
 * The peer cache: addresses kept on disk for a start without DNS. Zebra's format, so both read each other's file.
 *
 * Source: Zebra peer_cache_updater.rs and config.rs, `load_peer_cache` and `update_peer_cache`.
 *
 * @module
 */
import { Context, Effect, type FileSystem, Layer, Metric, Path, Result } from "effect"
import { BackgroundTasks, type TaskNameTaken } from "../BackgroundTasks.ts"
import { ChainParams, type ChainParamsShape } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { AddressBook } from "./AddressBook.ts"
import * as CacheFile from "./CacheFile.ts"

/** Most lines read: what a full book holds. */
const maxLines = 5000

/** Addresses on disk, so that a node need not begin with the seeds again. */
export class PeerCache extends Context.Service<
  PeerCache,
  {
    /** What an earlier run kept; nothing when there is no file or none is wanted. Never fails. */
    readonly load: Effect.Effect<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>
    /** Writes once. `false` when there was nothing to keep, and so nothing was written, or when writing failed. */
    readonly writeOnce: Effect.Effect<boolean>
  }
>()("network-effect/addresses/PeerCache") {
  /**
   * Under `directory`, which is made when something is kept. Written every `Policy.cacheFirstWrite` until something was kept,
   * then every `Policy.cacheInterval`.
   */
  static readonly layer = (
    directory: string
  ): Layer.Layer<
    PeerCache,
    TaskNameTaken,
    AddressBook | BackgroundTasks | ChainParams | FileSystem.FileSystem | Path.Path
  > => Layer.effect(PeerCache, make(directory))

  /** Keeps nothing. */
  static readonly layerNone: Layer.Layer<PeerCache> = Layer.succeed(
    PeerCache,
    PeerCache.of({ load: Effect.succeed([]), writeOnce: Effect.succeed(false) })
  )
}

/**
 * Name of a chain's files without their extension. Other Testnets carry their magic: two of one name are two chains.
 *
 * Source: Zebra config.rs, `peer_cache_file_path`.
 */
export const fileStem = (chain: ChainParamsShape): string => {
  const name = chain.name.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  return chain.custom ? `${name}-${Buffer.from(chain.magic).toString("hex")}` : name
}

const make = Effect.fnUntraced(function* (directory: string) {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const book = yield* AddressBook
  const tasks = yield* BackgroundTasks
  const paths = yield* Path.Path
  const file = yield* CacheFile.make({
    path: paths.join(directory, "network", `${fileStem(chain)}.peers`),
    name: "peer cache",
    maxLines,
    parse: (line) => Result.getOrUndefined(PeerSocketAddress.fromString(line)),
    format: PeerSocketAddress.format
  })
  const count = (name: string, description: string, addresses: number) =>
    Metric.update(
      Metric.withAttributes(Metric.counter(name, { description, incremental: true }), {
        network: chain.kind,
        cache: file.path
      }),
      addresses
    )

  const load = Effect.tap(file.load, (addresses) =>
    count("zcash.net.peers.initial", "addresses from seeds and the cache file", addresses.length)
  )

  const writeOnce = Effect.gen(function* () {
    const addresses = yield* book.cacheable
    // An old list is worth more than none.
    if (addresses.length === 0) return false
    const sorted = addresses.toSorted((a, b) => (PeerSocketAddress.format(a) < PeerSocketAddress.format(b) ? -1 : 1))
    if (!(yield* file.saveOrTell(sorted))) return false
    yield* count("zcash.net.peers.cache", "addresses written to the cache file", addresses.length)
    return true
  })

  const often = Effect.repeat(Effect.delay(writeOnce, policy.cacheFirstWrite), { until: (hasWritten) => hasWritten })
  const rarely = Effect.forever(Effect.delay(writeOnce, policy.cacheInterval))
  yield* tasks.run("peer cache", Effect.andThen(often, rarely).pipe(Spans.within("peer_cache_updater")))

  return PeerCache.of({ load, writeOnce })
})
