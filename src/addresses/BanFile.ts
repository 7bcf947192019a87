/**
 * Layer: bans that outlive the process, in a file beside the peer cache.
 *
 * One line per ban: the peer group, a space, the end in seconds since the Unix epoch. Why somebody was banned is not kept:
 * the file says nothing but what has to be remembered.
 *
 * @module
 */
import { Duration, Effect, type FileSystem, HashMap, Layer, Option, Path, Result, Stream } from "effect"
import { NetAddress } from "effect/net"
import { BackgroundTasks, type TaskNameTaken } from "../BackgroundTasks.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { Policy } from "../Policy.ts"
import { fileStem } from "./AddressBookFile.ts"
import * as AddressRules from "./AddressRules.ts"
import { type Ban, BanList } from "./BanList.ts"
import * as CacheFile from "./CacheFile.ts"

/** Shortest time between two writes. */
const writeInterval = Duration.seconds(5)

/** The reason of a ban that was read from the file. */
export const keptFromEarlier = "kept from an earlier run"

/** A line, or `undefined` for one that is none. An IPv6 address stands for its /64; other prefixes are nobody's group. */
export const parseLine = (line: string): Ban | undefined => {
  const [, ip = "", prefix, end = ""] = /^([^\s/]+)(\/64)? (\d{1,15})$/.exec(line) ?? []
  const address = NetAddress.ipFromString(ip)
  if (Result.isFailure(address)) return undefined
  const canonical = PeerSocketAddress.fromIp(address.success, 0)
  if (prefix !== undefined && canonical._tag === "InetAddressV4") return undefined
  return { group: AddressRules.limitKey(canonical), reason: keptFromEarlier, untilSeconds: Number(end) }
}

/** A ban as a line of the file. */
export const formatLine = ({ group, untilSeconds }: Ban): string => `${group} ${untilSeconds}`

/** A `BanList` with the bans of the file in it, written at most every 5 s after a change and when the scope closes. */
export const layer = (
  directory: string
): Layer.Layer<BanList, TaskNameTaken, BackgroundTasks | ChainParams | FileSystem.FileSystem | Path.Path> =>
  Layer.effect(BanList, make(directory))

const make = Effect.fnUntraced(function* (directory: string) {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const tasks = yield* BackgroundTasks
  const paths = yield* Path.Path
  const file = yield* CacheFile.make({
    path: paths.join(directory, "network", `${fileStem(chain)}.bans`),
    name: "list of bans",
    maxLines: policy.banCapacity,
    parse: parseLine,
    format: formatLine
  })
  const list = yield* BanList.make(yield* file.load)

  let written = list.bans.getUnsafe()
  /** `false` when what is banned now is not in the file. */
  const write = Effect.suspend(() => {
    const current = list.bans.getUnsafe()
    if (current === written) return Effect.succeed(true)
    return Effect.map(file.saveOrTell([...HashMap.values(current)]), (isWritten) => {
      if (isWritten) written = current
      return isWritten
    })
  })
  // After the task is gone, so two writes never meet.
  yield* Effect.addFinalizer(() => write)
  const writeAndRest = Effect.tap(write, Effect.sleep(writeInterval))
  yield* tasks.run(
    "ban file",
    list.bans.changes.pipe(
      Stream.buffer({ capacity: 1, strategy: "sliding" }),
      Stream.runForEach(() => Effect.repeat(writeAndRest, { until: (isWritten) => isWritten }))
    )
  )
  return list
})

/** For whoever names a group by hand: an IP, with or without `/64`. `None` when it is neither. */
export const groupOf = (text: string): Option.Option<string> =>
  Option.map(Option.fromUndefinedOr(parseLine(`${text} 0`)), ({ group }) => group)
