/** Folders to write in: those that are missing are made, and what cannot be made is an error and never a wait. */
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeFileSystem, NodePath } from "@effect/platform-node"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Path, PlatformError } from "effect"
import * as Folders from "../src/Folders.ts"

let root = ""
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "network-effect-folders-"))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const onDisk = Layer.merge(NodeFileSystem.layer, NodePath.layer)
const modeOf = (path: string) => statSync(path).mode & 0o777

/** What was made, or the reason why not. */
const made = (path: string) =>
  Folders.make(path).pipe(
    Effect.as("made"),
    Effect.catch(({ reason }) => Effect.succeed<string>(reason._tag)),
    Effect.provide(onDisk)
  )

describe("a folder", () => {
  it.live("is made with those above it, for its owner alone, and once", () =>
    Effect.gen(function* () {
      const path = join(root, "a", "b", "c")
      assert.strictEqual(yield* made(path), "made")
      for (const folder of [join(root, "a"), join(root, "a", "b"), path]) assert.strictEqual(modeOf(folder), 0o700)
      assert.strictEqual(yield* made(path), "made")
      symlinkSync(path, join(root, "link"))
      assert.strictEqual(yield* made(join(root, "link")), "made")
      assert.strictEqual(yield* made(join(root, "link", "d")), "made")
    })
  )

  it.live("is not made of a file, below one, or of a link to nowhere", () =>
    Effect.gen(function* () {
      writeFileSync(join(root, "file"), "")
      symlinkSync(join(root, "nowhere"), join(root, "link"))
      assert.strictEqual(yield* made(join(root, "file")), "AlreadyExists")
      assert.strictEqual(yield* made(join(root, "file", "below")), "BadResource")
      assert.strictEqual(yield* made(join(root, "link")), "NotFound")
    })
  )

  it.effect("that the system denies, in a folder that is there, is asked for twice and given up", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      // As /proc answers. What makes all of a path at once would be asked for ever, on a thread that nothing ends.
      const failing = (path: string, _tag: "NotFound" | "AlreadyExists") =>
        Effect.fail(PlatformError.systemError({ _tag, module: "FileSystem", method: "mkdir", pathOrDescriptor: path }))
      const disk = FileSystem.layerNoop({
        makeDirectory: (path, options) =>
          Effect.suspend(() => {
            if (options?.recursive === true) return Effect.die("it would not come back")
            asked.push(path)
            return failing(path, path === "/proc" ? "AlreadyExists" : "NotFound")
          }),
        stat: () =>
          Effect.provide(
            Effect.flatMap(FileSystem.FileSystem, (files) => files.stat(root)),
            onDisk
          )
      })
      const { reason } = yield* Effect.flip(Folders.make("/proc/a/b")).pipe(Effect.provide([disk, Path.layer]))
      assert.strictEqual(reason._tag, "NotFound")
      assert.deepStrictEqual(asked, ["/proc/a/b", "/proc/a", "/proc", "/proc/a"])
    })
  )
})
