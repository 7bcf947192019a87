/**
 * The disk of a simulated host: small files in memory that outlive its node.
 *
 * Knows what the node's files need and no more. A frozen disk takes nothing in any more, as after a power cut.
 *
 * @module
 */
import { ByteSize, Effect, FileSystem, Layer, Option, PlatformError, Stream } from "effect"

/** A disk in memory, which survives its host. */
export interface SimDisk {
  /** Content by path. */
  readonly files: ReadonlyMap<string, string>
  /** Puts a file there, as an earlier run would have left it. */
  readonly put: (path: string, content: string) => void
  /** From now on nothing is written: for whoever stops without a word. */
  readonly freeze: () => void
  readonly thaw: () => void
  readonly layer: Layer.Layer<FileSystem.FileSystem>
}

/** An empty disk. */
export const make = (): SimDisk => {
  const files = new Map<string, string>()
  let isFrozen = false

  const missing = (method: string, path: string) =>
    Effect.fail(PlatformError.systemError({ _tag: "NotFound", module: "FileSystem", method, pathOrDescriptor: path }))
  const write = (change: () => void) =>
    Effect.sync(() => {
      if (!isFrozen) change()
    })

  return {
    files,
    put: (path, content) => files.set(path, content),
    freeze: () => {
      isFrozen = true
    },
    thaw: () => {
      isFrozen = false
    },
    layer: FileSystem.layerNoop({
      // What is no file is a folder.
      exists: () => Effect.succeed(true),
      makeDirectory: () => Effect.void,
      stat: (path) =>
        Effect.suspend((): Effect.Effect<FileSystem.File.Info, PlatformError.PlatformError> => {
          const content = files.get(path)
          return content === undefined ? missing("stat", path) : Effect.succeed(infoOf(content))
        }),
      stream: (path) =>
        Stream.suspend((): Stream.Stream<Uint8Array, PlatformError.PlatformError> => {
          const content = files.get(path)
          return content === undefined ? Stream.fromEffect(missing("open", path)) : Stream.succeed(Buffer.from(content))
        }),
      writeFileString: (path, content) => write(() => files.set(path, content)),
      rename: (from, to) =>
        Effect.suspend((): Effect.Effect<void, PlatformError.PlatformError> => {
          const content = files.get(from)
          if (isFrozen) return Effect.void
          if (content === undefined) return missing("rename", from)
          files.delete(from)
          files.set(to, content)
          return Effect.void
        }),
      remove: (path) => write(() => files.delete(path))
    })
  }
}

const infoOf = (content: string): FileSystem.File.Info => ({
  type: "File",
  mtime: Option.none(),
  atime: Option.none(),
  birthtime: Option.none(),
  dev: 0n,
  ino: Option.none(),
  mode: 0o600,
  nlink: Option.none(),
  uid: Option.none(),
  gid: Option.none(),
  rdev: Option.none(),
  size: ByteSize.bytes(content.length),
  blksize: Option.none(),
  blocks: Option.none()
})
