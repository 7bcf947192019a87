/**
 * Records in a folder: a file for each segment, and never more of them than there is room for.
 *
 *     DIR/20261129T041500Z-5f1c-c000012-0003.ndjson
 *         start of this process    │       third segment
 *                                  connection; `n3-c000012` is one of node 3 of several
 *
 * Whole segments go, oldest first, when those of one connection, or all of them, become too many; those of earlier runs are
 * among them. What is to be written waits in memory up to `pendingBytes`. Beyond that, and when the disk refuses,
 * segments end and are counted; the node notices nothing. Such a segment says that it ends for want of room. When the disk has
 * none for that either, it is without its last line, as that of a node that was killed.
 *
 * **Security**
 *
 * The folder is its owner's alone (0700, files 0600): a record says what this node asked for and was told, and its
 * pseudonyms hide hosts only within their group. A file is created, never opened, so nobody's link is followed.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import {
  Clock,
  Context,
  Data,
  DateTime,
  Deferred,
  Duration,
  Effect,
  FileSystem,
  Latch,
  Layer,
  Metric,
  Path,
  type PlatformError,
  Queue,
  Schedule,
  type Scope
} from "effect"
import { SecureRandom } from "effect/crypto"
import { runBeside } from "../BackgroundTasks.ts"
import { ShowAddresses } from "../chain/PeerSocketAddress.ts"
import * as Folders from "../Folders.ts"
import * as LimitedLog from "../LimitedLog.ts"
import { Recording } from "../peer/Recording.ts"
import { Policy } from "../Policy.ts"
import * as Pseudonyms from "./Pseudonyms.ts"
import { type Contents, endLine, Recorder, type SegmentName, type Sink } from "./Recorder.ts"

/** Where records go, and how much there may be of them. */
export interface RecordOptions {
  /** Made if it is not there; otherwise nothing but records, and what they were shrunk to, may be in it. */
  readonly directory: string
  /** Bodies of any length are kept, and not only those of up to `Format.keptBodyBytes`. Off unless told. */
  readonly keepsBodies?: boolean | undefined
  /** Addresses are as they are, and not pseudonyms. As `ShowAddresses` unless told. */
  readonly showsAddresses?: boolean | undefined
  /** Longest segment in bytes; 1 MiB unless told. */
  readonly segmentBytes?: number | undefined
  /** Most bytes of one connection; 16 MiB unless told. */
  readonly connectionBytes?: number | undefined
  /** Most bytes of all connections; 1 GiB unless told. */
  readonly totalBytes?: number | undefined
  /** Most bytes in memory that wait to be written; 16 MiB unless told. */
  readonly pendingBytes?: number | undefined
}

const mebibyte = 1_048_576

/** The folder cannot be recorded to. `message` is a sentence for whoever named it. */
export class RecordFolderError extends Data.TaggedError("RecordFolderError")<{ readonly message: string }> {}

/** Records connections of the nodes of this process. */
export class Records extends Context.Service<
  Records,
  {
    /** For one node, named if there are several. */
    readonly recording: (node: string) => Recording
  }
>()("network-effect/recording/Records") {}

/** Most files, so that connections that end at once do not become files without end. */
const maxFiles = 10_000

/** What a file is counted as, at least: what a disk takes for it. */
const fileBytes = 4096

/** Time without a new segment after the disk refused one. */
const pause = Duration.seconds(10)

/** How long what was recorded stays in memory only. More than a sixteenth of `pendingBytes` is not waited with. */
const flushInterval = Duration.seconds(1)

/** How long a node that stops waits for what is not yet written. */
const closeGrace = Duration.seconds(5)

/** Chunks that wait; `pendingBytes` is what usually ends first. */
const maxJobs = 16_384

const isRecord = (file: string): boolean => /^\d{8}T\d{6}Z-[0-9a-f]{4}-(n\d+-)?c\d+-\d+\.ndjson$/.test(file)

/** A record, or what `replay --shrink` made of one, which stays and counts for nothing. */
const isOfRecords = (file: string): boolean => isRecord(file.replace(/(\.shrunk)+\.ndjson$/, ".ndjson"))

const lostSegments = (reason: "disk" | "memory") =>
  Metric.counter("network_effect.record.lost_segments", {
    description: "segments of records that ended for want of room",
    incremental: true,
    attributes: { reason }
  })

const bytesOnDisk = Metric.gauge("network_effect.record.bytes", { description: "bytes of the records in the folder" })

/** A file that is being written, or was. */
interface SegmentFile {
  readonly path: string
  /** Of which connection, unlike any other in the folder. */
  readonly connection: string
  /** What it is counted as. */
  bytes: number
  /** Bytes that were written, and what they are of the segment. */
  length: number
  contents: Contents
  /** Hears of events that were not written. */
  readonly lost: (events: number) => void
  isFailed: boolean
  isRemoved: boolean
}

interface Job {
  readonly file: SegmentFile
  readonly lines: Buffer
  /** Of the segment up to their end. */
  readonly contents: Contents
}

const nothing: Contents = { events: 0, crc32: 0 }

/** What waits for one file. */
interface Waiting {
  readonly copies: Array<Buffer>
  contents: Contents
}

/** In the order of their first lines. */
const byFile = (jobs: ReadonlyArray<Job>): ReadonlyMap<SegmentFile, Waiting> => {
  const files = new Map<SegmentFile, Waiting>()
  for (const { contents, file, lines } of jobs) {
    const earlier = files.get(file)
    if (earlier === undefined) files.set(file, { copies: [lines], contents })
    else {
      earlier.copies.push(lines)
      earlier.contents = contents
    }
  }
  return files
}

/** What most connections that say much hand over at a time, and the rest of a line. */
const blockBytes = 81_920

/** Blocks that are kept for what comes next. */
const maxSpareBlocks = 32

/**
 * Memory for lines that wait. That of long pieces is used again: to have the system make room for each of them costs more than
 * to write it.
 */
class Blocks {
  readonly #spare: Array<Buffer> = []
  #joined: Buffer = Buffer.alloc(0)

  copyOf(lines: Buffer): Buffer {
    if (lines.length < blockBytes / 2 || lines.length > blockBytes) return Buffer.from(lines)
    const block = this.#spare.pop() ?? Buffer.allocUnsafeSlow(blockBytes)
    lines.copy(block)
    return block.subarray(0, lines.length)
  }

  /** Of copies that nobody needs any more. */
  giveBack(copies: ReadonlyArray<Buffer>): void {
    for (const { buffer } of copies) {
      if (buffer.byteLength !== blockBytes) continue
      if (this.#spare.length < maxSpareBlocks) this.#spare.push(Buffer.from(buffer))
    }
  }

  /** One after the other, as they are until the next call. */
  joined(copies: ReadonlyArray<Buffer>): Buffer {
    if (copies.length === 1) return copies[0]!
    const length = lengthOf(copies)
    if (length > maxSpareBlocks * blockBytes) return Buffer.concat(copies)
    if (length > this.#joined.length) this.#joined = Buffer.allocUnsafeSlow(length)
    let at = 0
    for (const copy of copies) at += copy.copy(this.#joined, at)
    return this.#joined.subarray(0, length)
  }
}

const lengthOf = (copies: ReadonlyArray<Buffer>): number => copies.reduce((sum, { length }) => sum + length, 0)

/** Records to a folder, for as long as the scope; what is not yet written then has five seconds. */
export const make = Effect.fnUntraced(function* (
  options: RecordOptions
): Effect.fn.Return<
  Records["Service"],
  RecordFolderError,
  FileSystem.FileSystem | Path.Path | Scope.Scope | SecureRandom.SecureRandom
> {
  const files = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const context = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  const policy = yield* Policy
  const secure = yield* SecureRandom.SecureRandom
  const showsAddresses = options.showsAddresses ?? (yield* ShowAddresses)
  const connectionBytes = options.connectionBytes ?? 16 * mebibyte
  const totalBytes = options.totalBytes ?? 1024 * mebibyte
  const pendingBytes = options.pendingBytes ?? 16 * mebibyte
  const log = LimitedLog.make(policy.statusLogInterval)

  yield* prepare(options.directory)
  const run = yield* Effect.map(Effect.all([DateTime.now, secure.randomBytes(2)]), ([now, bytes]) => {
    const time = DateTime.formatIso(now).replaceAll(/[-:]|\.\d+/g, "")
    return `${time}-${Buffer.from(bytes).toString("hex")}`
  })

  // -- what is there, oldest first --------------------------------------------------------------

  const kept: Set<SegmentFile> = new Set()
  const bytesOf = new Map<string, number>()
  let total = 0
  const change = (file: SegmentFile, bytes: number) => {
    total += bytes
    bytesOf.set(file.connection, (bytesOf.get(file.connection) ?? 0) + bytes)
    if (bytesOf.get(file.connection) === 0) bytesOf.delete(file.connection)
    bytesOnDisk.updateUnsafe(total, context)
  }
  const keep = (path: string, connection: string, lost: SegmentFile["lost"] = () => {}): SegmentFile => {
    const file = { path, connection, bytes: 0, length: 0, contents: nothing, lost, isFailed: false, isRemoved: false }
    kept.add(file)
    return file
  }
  for (const { name, size } of yield* recordsIn(options.directory)) {
    const file = keep(paths.join(options.directory, name), name.replace(/-\d+\.ndjson$/, ""))
    file.bytes = Math.max(size, fileBytes)
    change(file, file.bytes)
  }

  /** Removes the oldest until the rest is within its bounds. The one that is written stays. */
  const trim = Effect.fnUntraced(function* (current: SegmentFile) {
    const remove = (file: SegmentFile) => {
      kept.delete(file)
      file.isRemoved = true
      change(file, -file.bytes)
      return Effect.ignore(files.remove(file.path))
    }
    if ((bytesOf.get(current.connection) ?? 0) > connectionBytes) {
      for (const file of kept) {
        if ((bytesOf.get(current.connection) ?? 0) <= connectionBytes) break
        if (file.connection === current.connection && file !== current) yield* remove(file)
      }
    }
    for (const file of kept) {
      if (total <= totalBytes && kept.size <= maxFiles) break
      if (file !== current) yield* remove(file)
    }
  })

  // -- what is to be written ---------------------------------------------------------------------

  const jobs = yield* Queue.dropping<Job>(maxJobs)
  const drained = yield* Deferred.make<void>()
  const blocks = new Blocks()
  let pending = 0
  let isClosing = false
  let pausedUntilNanos: bigint | undefined

  /** Opens when it is time to write. */
  const isDue = yield* Latch.make(false)

  const write = Effect.fnUntraced(function* (file: SegmentFile, lines: Buffer, contents: Contents) {
    const isFirst = file.length === 0
    yield* files.writeFile(file.path, lines, { flag: isFirst ? "wx" : "a", mode: 0o600 })
    file.length += lines.length
    file.contents = contents
    const bytes = isFirst ? Math.max(lines.length, fileBytes) : lines.length
    file.bytes += bytes
    change(file, bytes)
    yield* trim(file)
  })

  /** What the disk took of a write that it refused goes, and the segment gets its last line, if there is room for that. */
  const mark = Effect.fnUntraced(
    function* (file: SegmentFile, { reason }: PlatformError.PlatformError) {
      if (file.length === 0) {
        kept.delete(file)
        // Somebody else's.
        if (reason._tag === "AlreadyExists") return
        return yield* files.remove(file.path)
      }
      yield* files.truncate(file.path, file.length)
      yield* files.writeFile(file.path, endLine("lost", file.contents), { flag: "a" })
    },
    (marked) => Effect.ignore(marked)
  )

  const refused = (file: SegmentFile, error: PlatformError.PlatformError) => {
    file.isFailed = true
    pausedUntilNanos = clock.monotonicTimeNanosUnsafe() + Duration.toNanosUnsafe(pause)
    lostSegments("disk").updateUnsafe(1, context)
    return log(
      "record",
      Effect.logWarning("a record cannot be written; the node goes on without").pipe(
        Effect.annotateLogs({ folder: options.directory, reason: error.reason._tag })
      )
    )
  }

  /** What waits for a file is written at once: a file is opened and closed each time. */
  const work = Effect.gen(function* () {
    yield* isDue.await
    isDue.closeUnsafe()
    for (const [file, { contents, copies }] of byFile(yield* Queue.takeAll(jobs))) {
      if (!file.isFailed && !file.isRemoved) {
        yield* Effect.catch(write(file, blocks.joined(copies), contents), (error) =>
          Effect.andThen(refused(file, error), mark(file, error))
        )
      }
      if (file.isFailed) {
        file.lost(contents.events - file.contents.events)
        file.contents = contents
      }
      pending -= lengthOf(copies)
      blocks.giveBack(copies)
    }
    if (isClosing && pending === 0) yield* Deferred.succeed(drained, undefined)
  })

  const add = (file: SegmentFile, lines: Buffer, contents: Contents, limit: number): boolean => {
    if (file.isFailed || file.isRemoved || pending + lines.length > limit) return false
    if (!Queue.offerUnsafe(jobs, { file, lines: blocks.copyOf(lines), contents })) return false
    pending += lines.length
    if (isClosing || pending > pendingBytes / 16) isDue.openUnsafe()
    return true
  }

  const sink: Sink = {
    open: (name, nowNanos, lost) => {
      // Half of the room, so that one that is opened has some.
      if (pending > pendingBytes / 2) return undefined
      if (pausedUntilNanos !== undefined && nowNanos < pausedUntilNanos) return undefined
      const file = keep(paths.join(options.directory, fileName(run, name)), connectionOf(run, name), lost)
      let taken: Contents | undefined
      return {
        write: (lines, contents) => {
          const isTaken = add(file, lines, contents, pendingBytes)
          if (isTaken) taken = contents
          else if (!file.isFailed && !file.isRemoved) lostSegments("memory").updateUnsafe(1, context)
          return isTaken
        },
        // The last line always finds room: it is short, and there is one for each file.
        end: (line) => void (taken === undefined ? kept.delete(file) : add(file, line, taken, pendingBytes * 2))
      }
    }
  }

  const key = yield* secure.randomBytes(Pseudonyms.keyBytes)
  const recorder = new Recorder({
    sink,
    segmentBytes: options.segmentBytes ?? mebibyte,
    pseudonym: showsAddresses ? Pseudonyms.none : Pseudonyms.make(key),
    showsAddresses,
    keepsBodies: options.keepsBodies ?? false,
    nowMillis: () => clock.currentTimeMillisUnsafe()
  })

  yield* runBeside("writing records", Effect.forever(work))
  yield* runBeside(
    "flushing records",
    Effect.repeat(
      Effect.sync(() => {
        recorder.flush()
        if (pending > 0) isDue.openUnsafe()
      }),
      Schedule.spaced(flushInterval)
    )
  )
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      recorder.stop()
      isClosing = true
      isDue.openUnsafe()
      return pending === 0
        ? Effect.void
        : Effect.asVoid(Effect.timeoutOption(Effect.interruptible(Deferred.await(drained)), closeGrace))
    })
  )
  return Records.of({ recording: (node) => recorder.recording(node) })
})

/** `Records` in a folder. */
export const layer = (
  options: RecordOptions
): Layer.Layer<Records, RecordFolderError, FileSystem.FileSystem | Path.Path | SecureRandom.SecureRandom> =>
  Layer.effect(Records, make(options))

/** For one node: what it is built with is recorded to a folder. */
export const layerRecording = (
  options: RecordOptions
): Layer.Layer<never, RecordFolderError, FileSystem.FileSystem | Path.Path | SecureRandom.SecureRandom> =>
  Layer.effect(
    Recording,
    Effect.map(make(options), (records) => records.recording(""))
  )

const connectionOf = (run: string, { connection, node }: SegmentName): string =>
  `${run}-${node === "" ? "" : `n${node}-`}c${String(connection).padStart(6, "0")}`

const fileName = (run: string, name: SegmentName): string =>
  `${connectionOf(run, name)}-${String(name.segment).padStart(4, "0")}.ndjson`

/** Makes the folder, or sees that it is one of records. */
const prepare = Effect.fnUntraced(
  function* (directory: string) {
    const files = yield* FileSystem.FileSystem
    yield* Folders.make(directory)
    const others = (yield* files.readDirectory(directory)).filter((file) => !isOfRecords(file))
    if (others.length > 0) {
      return yield* new RecordFolderError({
        message: `--record ${directory} is a folder with other things in it: name a new or an empty one.`
      })
    }
    yield* files.chmod(directory, 0o700)
    return yield* files.access(directory, { writable: true })
  },
  (effect, directory) =>
    Effect.catchTag(effect, "PlatformError", ({ reason }) =>
      Effect.fail(
        new RecordFolderError({
          message:
            reason._tag === "AlreadyExists" || reason._tag === "BadResource"
              ? `--record ${directory} is no folder: name a new or an empty one.`
              : `--record ${directory} cannot be written to (${reason._tag}): name a folder of yours.`
        })
      )
    )
)

/** Those of earlier runs, oldest first. */
const recordsIn = (directory: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const found: Array<{ readonly name: string; readonly size: number }> = []
    for (const name of (yield* files.readDirectory(directory)).filter(isRecord).toSorted()) {
      const { size } = yield* files.stat(paths.join(directory, name))
      found.push({ name, size: Number(size) })
    }
    return found
  }).pipe(
    Effect.catch(({ reason }) =>
      Effect.fail(new RecordFolderError({ message: `--record ${directory} cannot be read (${reason._tag}).` }))
    )
  )
