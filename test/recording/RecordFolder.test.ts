/** Records on a disk: whose they are, how much there may be of them, and a disk that is slow, full or gone. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeCrypto, NodeFileSystem, NodePath } from "@effect/platform-node"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer, Metric, PlatformError, Path, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as RecordFolder from "../../src/recording/RecordFolder.ts"
import * as Replay from "../../src/recording/Replay.ts"
import { settle } from "../support/time.ts"
import { ping, talk } from "./talk.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "network-effect-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Metrics nobody else counts. */
const counted = Layer.sync(Metric.MetricRegistry, () => new Map())
const real = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeCrypto.layerSecureRandom, counted)

/** The records of a run that ends when `use` does. */
const run = <A>(
  options: Partial<RecordFolder.RecordOptions>,
  use: (records: RecordFolder.Records["Service"]) => A
): Effect.Effect<A, RecordFolder.RecordFolderError> =>
  Effect.map(RecordFolder.make({ directory: folder, ...options }), use).pipe(Effect.scoped, Effect.provide(real))

const talkOn = (records: RecordFolder.Records["Service"], pings: number) => {
  const { hears, step } = talk(records.recording(""))
  for (let i = 0; i < pings; i++) hears(ping)
  step({ _tag: "Message", message: { _tag: "Verack" } })
}

const files = () => readdirSync(folder).toSorted()
const replayed = () => files().map((file) => Replay.replay(readFileSync(join(folder, file), "utf8")))
const bytes = () => files().reduce((sum, file) => sum + statSync(join(folder, file)).size, 0)

describe("a folder of records", () => {
  it.live("is its owner's alone, and what was recorded is all there when the scope has closed", () =>
    Effect.gen(function* () {
      const inside = join(folder, "a", "b")
      yield* run({ directory: inside }, (records) => talkOn(records, 500))
      assert.strictEqual(statSync(inside).mode & 0o777, 0o700)
      const [file = "", ...others] = readdirSync(inside)
      assert.deepStrictEqual(others, [])
      assert.match(file, /^\d{8}T\d{6}Z-[0-9a-f]{4}-c000001-0001\.ndjson$/)
      assert.strictEqual(statSync(join(inside, file)).mode & 0o777, 0o600)
      const { difference, end, events } = Replay.replay(readFileSync(join(inside, file), "utf8"))
      assert.deepStrictEqual([difference, end, events], [undefined, "closed", 1001])
    })
  )

  it.live("keeps the latest segments of a connection when there are too many", () =>
    Effect.gen(function* () {
      yield* run({ segmentBytes: 20_000, connectionBytes: 70_000 }, (records) => talkOn(records, 2000))
      const segments = replayed()
      assert.deepStrictEqual(
        segments.filter(({ difference, end }) => difference !== undefined || end === undefined),
        []
      )
      const numbers = segments.map(({ segment }) => segment.segment)
      assert.isAbove(numbers[0] ?? 0, 2)
      assert.deepStrictEqual(
        numbers,
        numbers.map((_, at) => (numbers[0] ?? 0) + at)
      )
      assert.strictEqual(segments.at(-1)?.end, "closed")
      assert.isAtMost(bytes(), 70_000)
      assert.isAbove(bytes(), 40_000)
    })
  )

  it.live("keeps the latest of all, of earlier runs too", () =>
    Effect.gen(function* () {
      const options = { totalBytes: 60_000 }
      yield* run(options, (records) => talkOn(records, 20))
      const [earlier] = files()
      yield* run(options, (records) => {
        for (let i = 0; i < 40; i++) talkOn(records, 20)
      })
      assert.notInclude(files(), earlier)
      assert.isAtMost(bytes(), 60_000)
      assert.isAbove(files().length, 8)
      assert.include(files().at(-1), "-c000040-0001")
    })
  )

  it.live("is recorded to again with what was shrunk in it, which stays", () =>
    Effect.gen(function* () {
      yield* run({}, (records) => talkOn(records, 5))
      const fixture = (files()[0] ?? "").replace(".ndjson", ".shrunk.ndjson")
      writeFileSync(join(folder, fixture), "mine")
      yield* run({ totalBytes: 1 }, (records) => talkOn(records, 5))
      assert.strictEqual(files().length, 2)
      assert.strictEqual(readFileSync(join(folder, fixture), "utf8"), "mine")
    })
  )

  it.live("has nothing else in it: what was there is left alone, and a sentence says what to name", () =>
    Effect.gen(function* () {
      writeFileSync(join(folder, "letters.txt"), "mine")
      const other = yield* Effect.flip(run({}, () => undefined))
      assert.strictEqual(
        other.message,
        `--record ${folder} is a folder with other things in it: name a new or an empty one.`
      )
      const file = yield* Effect.flip(run({ directory: join(folder, "letters.txt") }, () => undefined))
      assert.strictEqual(file.message, `--record ${folder}/letters.txt is no folder: name a new or an empty one.`)
      assert.strictEqual(readFileSync(join(folder, "letters.txt"), "utf8"), "mine")
    })
  )
})

// -- a disk that does not do what it should -----------------------------------------------------

const full = PlatformError.systemError({ _tag: "Unknown", module: "FileSystem", method: "writeFile" })

/** A disk in memory that writes as `write` says; what it refuses is there by half. */
const disk = (write: (bytes: number) => Effect.Effect<void, PlatformError.PlatformError>) => {
  const written = new Map<string, string>()
  const layer = FileSystem.layerNoop({
    makeDirectory: () => Effect.void,
    readDirectory: () => Effect.succeed([]),
    chmod: () => Effect.void,
    access: () => Effect.void,
    remove: (path) => Effect.sync(() => written.delete(path)),
    truncate: (path, length) =>
      Effect.sync(() => written.set(path, (written.get(path) ?? "").slice(0, Number(length)))),
    writeFile: (path, data) => {
      const text = Buffer.from(data).toString("latin1")
      const add = (more: string) => Effect.sync(() => written.set(path, (written.get(path) ?? "") + more))
      return write(text.length).pipe(
        Effect.tapError(() => add(text.slice(0, text.length / 2))),
        Effect.andThen(add(text)),
        Effect.asVoid
      )
    }
  })
  return { written, layer: Layer.mergeAll(layer, Path.layer, NodeCrypto.layerSecureRandom, counted) }
}

const lost = (reason: string) =>
  Effect.map(Metric.snapshot, (metrics) =>
    metrics
      .filter(({ attributes, id }) => id === "network_effect.record.lost_segments" && attributes?.["reason"] === reason)
      .reduce((sum, { state }) => sum + Number("count" in state ? state.count : Number.NaN), 0)
  )

/** What connections still held is on its way to the disk. */
const flushed = Effect.andThen(settle, Effect.andThen(TestClock.adjust("1 second"), settle))

describe("a folder of records writes", () => {
  it.effect("what waits for a file at once: a second's worth, or a sixteenth of what may wait", () => {
    let writes = 0
    const { layer, written } = disk(() =>
      Effect.sync(() => {
        writes++
      })
    )
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pendingBytes = 4_000_000
      const records = yield* Scope.provide(RecordFolder.make({ directory: "/records", pendingBytes }), scope)
      const { hears } = talk(records.recording(""))
      const bytes = () => [...written.values()].reduce((sum, text) => sum + text.length, 0)
      yield* settle
      // Some 130 bytes each, in pieces of 65,536.
      for (let i = 0; i < 1200; i++) hears(ping)
      yield* settle
      assert.deepStrictEqual([writes, bytes()], [0, 0])
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.strictEqual(writes, 1)
      assert.isAbove(bytes(), 2 * 65_536)
      const before = bytes()
      for (let i = 0; i < 4000; i++) hears(ping)
      yield* settle
      assert.strictEqual(writes, 2)
      assert.isAbove(bytes() - before, pendingBytes / 16)
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(layer))
  })
})

describe("a disk that is", () => {
  /** A connection whose segment the disk refused to go on with, and the next one. Some 4,000 events. */
  const refusing = (room: number) => {
    let isFull = false
    const { layer, written } = disk((bytes) => (isFull && bytes > room ? Effect.fail(full) : Effect.void))
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const records = yield* Scope.provide(RecordFolder.make({ directory: "/records" }), scope)
      const { hears, machine, pass, step } = talk(records.recording(""))
      for (let i = 0; i < 400; i++) hears(ping)
      yield* flushed
      isFull = true
      for (let i = 0; i < 400; i++) hears(ping)
      yield* flushed
      for (let i = 0; i < 1200; i++) hears(ping)
      assert.strictEqual(machine.phase, "Reading")
      assert.strictEqual(yield* lost("disk"), 1)
      isFull = false
      yield* TestClock.adjust("11 seconds")
      pass(20)
      for (let i = 0; i < 10; i++) hears(ping)
      step({ _tag: "Message", message: { _tag: "Verack" } })
      yield* Scope.close(scope, Exit.void)
      const verdicts = [...written.values()].map((text) => Replay.replay(text))
      assert.deepStrictEqual(
        verdicts.map(({ difference, end, segment }) => [difference, segment.segment, end]),
        [
          [undefined, 1, verdicts[0]?.end],
          [undefined, 2, "closed"]
        ]
      )
      const [first, second] = verdicts
      return { ending: first?.end, events: first?.events, missed: second?.segment.missed, later: second?.events }
    }).pipe(Effect.provide(layer))
  }

  it.effect("full ends a segment, is counted, and the connection goes on; later there is another segment", () =>
    Effect.map(refusing(100), ({ ending, events, later, missed }) => {
      // What it took of the second 400 is not left.
      assert.deepStrictEqual([ending, events, later], ["lost", 800, 21])
      assert.strictEqual(missed, 2 * (400 + 1200))
    })
  )

  it.effect("full to the last byte leaves a segment that is cut, and the next one says what is missing", () =>
    Effect.map(refusing(0), ({ ending, events, later, missed }) => {
      assert.deepStrictEqual([ending, events, later], [undefined, 800, 21])
      assert.strictEqual(missed, 2 * (400 + 1200))
    })
  )

  it.effect("full from the start leaves no empty files, and nothing of somebody else's goes", () =>
    Effect.gen(function* () {
      const exists = PlatformError.systemError({ _tag: "AlreadyExists", module: "FileSystem", method: "writeFile" })
      for (const [error, left] of [
        [full, 0],
        [exists, 1]
      ] as const) {
        const { layer, written } = disk(() => Effect.fail(error))
        const scope = yield* Scope.make()
        const records = yield* RecordFolder.make({ directory: "/records" }).pipe(
          Scope.provide(scope),
          Effect.provide(layer)
        )
        talkOn(records, 10)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(written.size, left)
      }
    })
  )

  it.effect("slow costs no more memory than it may: segments end, are counted, and say so", () => {
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const { layer, written } = disk(() => Effect.promise(() => gate))
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const records = yield* Scope.provide(RecordFolder.make({ directory: "/records", pendingBytes: 200_000 }), scope)
      const { hears, step } = talk(records.recording(""))
      for (let i = 0; i < 20_000; i++) hears(ping)
      assert.strictEqual(yield* lost("memory"), 1)
      release()
      yield* Effect.promise(() => gate)
      yield* settle
      for (let i = 0; i < 100; i++) hears(ping)
      step({ _tag: "Message", message: { _tag: "Verack" } })
      yield* Scope.close(scope, Exit.void)
      const [first, second, ...others] = [...written.values()].map((text) => Replay.replay(text))
      assert(second !== undefined)
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual([first?.difference, first?.end], [undefined, "lost"])
      assert.deepStrictEqual([second.difference, second.end], [undefined, "closed"])
      assert.strictEqual((first?.events ?? 0) + second.segment.missed + second.events, 40_201)
      const all = [...written.values()].reduce((sum, text) => sum + text.length, 0)
      assert.isBelow(all, 250_000)
    }).pipe(Effect.provide(layer))
  })

  it.effect("gone for good keeps a node that stops for five seconds", () => {
    const { layer } = disk(() => Effect.never)
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const records = yield* Scope.provide(RecordFolder.make({ directory: "/records" }), scope)
      talkOn(records, 10)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* settle
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("5 seconds")
      yield* settle
      assert.isDefined(closing.pollUnsafe())
    }).pipe(Effect.provide(layer))
  })
})
