/**
 * Layer: an address book that outlives the process, in a file beside the peer cache.
 *
 *     network-effect address book 1
 *     sha256 <of all lines below but the key, as they are in the file>
 *     chain mainnet
 *     groups <SHA-256 of the map they go by, or ->
 *     key <the secret, 64 hexadecimal digits>
 *     anchor 192.0.2.10:8233
 *     new 198.51.100.7:8233 203.0 1 1767225600 - - 0
 *
 * An entry says its table, address and source, and then, or `-`: services, when others saw it, when it answered last, when it
 * answered first (seconds since the Unix epoch), and how often in a row it failed. The file holds a secret, so only its owner
 * may read it. One from which the secret was taken out, to show it to somebody, is still good: there is a new one then.
 *
 * A file that is damaged, too large, of another chain or of another version is moved aside with one line in the log, and the
 * node goes on with an empty book: seeds and the peer cache are still there.
 *
 * @module
 */
import { createHash } from "node:crypto"
import { Effect, type FileSystem, Layer, Path, Result } from "effect"
import type { SecureRandom } from "effect/crypto"
import { BackgroundTasks, type TaskNameTaken } from "../BackgroundTasks.ts"
import { ChainParams, type ChainParamsShape } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { Policy } from "../Policy.ts"
import type { OwnAddress } from "../transport/OwnAddress.ts"
import { AddressBook } from "./AddressBook.ts"
import { fileStem } from "./AddressBookFile.ts"
import { AddressGroups } from "./AddressGroups.ts"
import type { BanList } from "./BanList.ts"
import * as CacheFile from "./CacheFile.ts"
import * as HardenedBook from "./HardenedBook.ts"

const title = "network-effect address book"
const version = 1

/** Entries that are kept: a full book. Of a larger one those that answered come first. */
const maxEntries = 5000

/** Lines of a file: the entries, the anchors and what stands above them. */
const maxLines = maxEntries + 20

/** What a file says. */
export interface Content extends HardenedBook.Saved {
  /** Absent in a file from which it was taken out, or where it is damaged. */
  readonly key: Uint8Array | undefined
  /** Which map the sources of the entries go by. */
  readonly groups: string
}

// -- lines ---------------------------------------------------------------------------------------

const number = (value: number | bigint | undefined): string =>
  value === undefined ? "-" : String(value < 0 ? 0 : value)

const formatEntry = (entry: HardenedBook.SavedEntry): string =>
  [
    entry.table ?? "-",
    PeerSocketAddress.format(entry.address),
    entry.source ?? "-",
    number(entry.services),
    number(entry.untrustedLastSeenSeconds),
    number(entry.lastResponseSeconds),
    number(entry.firstSuccessSeconds),
    number(entry.failures)
  ].join(" ")

const isKey = (line: string): boolean => line.startsWith("key ")

/** Without the secret, so that a file has the same one when that was taken out. */
const checksum = (lines: ReadonlyArray<string>): string =>
  createHash("sha256")
    .update(lines.filter((line) => !isKey(line)).join("\n"))
    .digest("hex")

/** The lines of a file. */
export const encode = (chain: ChainParamsShape, { anchors, entries, groups, key }: Content): ReadonlyArray<string> => {
  const below = [
    `chain ${fileStem(chain)}`,
    `groups ${groups === "" ? "-" : groups}`,
    ...(key === undefined ? [] : [`key ${Buffer.from(key).toString("hex")}`]),
    ...anchors.map((address) => `anchor ${PeerSocketAddress.format(address)}`),
    ...entries
      .toSorted((a, b) => Number(b.table === "tried") - Number(a.table === "tried"))
      .slice(0, maxEntries)
      .map(formatEntry)
  ]
  return [`${title} ${version}`, `sha256 ${checksum(below)}`, ...below]
}

/** A whole number up to 2^53, or nothing for `-`. */
const readNumber = (text: string | undefined): Result.Result<number | undefined, string> => {
  if (text === "-") return Result.succeed(undefined)
  const value = /^\d{1,16}$/.test(text ?? "") ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? Result.succeed(value) : Result.fail("a line of it is no entry")
}

const parseEntry = (line: string): Result.Result<HardenedBook.SavedEntry, string> =>
  Result.gen(function* () {
    const words = line.split(" ")
    const [table, text = "", source = ""] = words
    const address = yield* Result.mapError(PeerSocketAddress.fromString(text), () => "a line of it is no entry")
    if (
      (table !== "new" && table !== "tried" && table !== "-") ||
      !/^[-\w.:/]{1,64}$/.test(source) ||
      words.length !== 8
    ) {
      return yield* Result.fail("a line of it is no entry")
    }
    const services = yield* readNumber(words[3])
    return {
      address,
      table: table === "-" ? undefined : table,
      source: source === "-" ? undefined : source,
      services: services === undefined ? undefined : BigInt(services),
      untrustedLastSeenSeconds: yield* readNumber(words[4]),
      lastResponseSeconds: yield* readNumber(words[5]),
      firstSuccessSeconds: yield* readNumber(words[6]),
      failures: (yield* readNumber(words[7])) ?? 0
    }
  })

/** What the lines of a file say, or what is wrong with it. */
export const decode = (chain: ChainParamsShape, lines: ReadonlyArray<string>): Result.Result<Content, string> =>
  Result.gen(function* () {
    // An editor ends the last line.
    const [first = "", second = "", ...below] = lines.at(-1) === "" ? lines.slice(0, -1) : lines
    if (!first.startsWith(`${title} `)) return yield* Result.fail("it is no address book")
    const given = first.slice(title.length + 1)
    if (given !== String(version)) {
      return yield* Result.fail(`it is of version ${given.slice(0, 16)}, and this program reads version ${version}`)
    }
    if (second !== `sha256 ${checksum(below)}`) return yield* Result.fail("its checksum is wrong")
    let groups = ""
    let key: Uint8Array | undefined
    const anchors: Array<PeerSocketAddress.PeerSocketAddress> = []
    const entries: Array<HardenedBook.SavedEntry> = []
    for (const line of below) {
      const [word, value = ""] = line.split(" ", 2)
      if (word === "chain") {
        if (value !== fileStem(chain)) return yield* Result.fail("it is another chain's")
      } else if (word === "groups") groups = value === "-" ? "" : value
      else if (isKey(line)) key = /^[0-9a-f]{64}$/.test(value) ? Buffer.from(value, "hex") : undefined
      else if (word === "anchor") {
        anchors.push(yield* Result.mapError(PeerSocketAddress.fromString(value), () => "a line of it is no anchor"))
      } else entries.push(yield* parseEntry(line))
    }
    return { groups, key, anchors, entries }
  })

// -- the layer -----------------------------------------------------------------------------------

/**
 * A hardened `AddressBook` with what the file holds in it. Written as often as the peer cache, and when the scope closes.
 * Nothing is read or written on Regtest.
 */
export const layer = (
  directory: string
): Layer.Layer<
  AddressBook,
  TaskNameTaken,
  BackgroundTasks | BanList | ChainParams | FileSystem.FileSystem | OwnAddress | Path.Path | SecureRandom.SecureRandom
> => Layer.effect(AddressBook, make(directory))

const make = Effect.fnUntraced(function* (directory: string) {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const tasks = yield* BackgroundTasks
  const groups = yield* AddressGroups
  const paths = yield* Path.Path
  // As the reference's peer cache: a chain of one laboratory begins anew each time.
  if (chain.kind === "regtest") return yield* HardenedBook.make()
  const file = yield* CacheFile.make({
    path: paths.join(directory, "network", `${fileStem(chain)}.book`),
    name: "address book",
    maxLines,
    parse: (line) => line,
    format: (line: string) => line
  })

  const lines = yield* file.load
  const found = lines.length === 0 ? undefined : decode(chain, lines)
  if (found !== undefined && Result.isFailure(found)) yield* file.setAside(found.failure)
  const content = found !== undefined && Result.isSuccess(found) ? found.success : undefined
  if (content !== undefined && content.key === undefined) {
    yield* Effect.logWarning("the address book has lost its secret; it goes on with a new one").pipe(
      Effect.annotateLogs({ file: file.path })
    )
  }
  const key = content?.key ?? (yield* HardenedBook.newKey)
  // Sources are named as the map names them: with another map they mean nothing.
  const saved = (content?.entries ?? []).map((entry) =>
    content?.groups === groups.digest ? entry : { ...entry, source: undefined }
  )
  const { book, save } = yield* HardenedBook.makeFrom({
    key,
    groups,
    rules: HardenedBook.allRules,
    saved,
    anchors: content?.anchors ?? []
  })

  const write = Effect.gen(function* () {
    const { anchors, entries } = yield* save
    // An old book is worth more than none.
    if (entries.length === 0) return
    yield* file.saveOrTell(encode(chain, { anchors, entries, groups: groups.digest, key }))
  })
  // After the task is gone, so two writes never meet.
  yield* Effect.addFinalizer(() => write)
  yield* tasks.run(
    "address book file",
    Effect.andThen(
      Effect.delay(write, policy.cacheFirstWrite),
      Effect.forever(Effect.delay(write, policy.cacheInterval))
    )
  )
  return book
})
