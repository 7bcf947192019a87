/**
 * The disk of a simulated host: small files in memory that outlive its node.
 *
 * Knows what the node's files need and no more. A frozen disk takes nothing in any more, as after a power cut.
 *
 * @module
 */
import { ByteSize, Effect, FileSystem, Layer, Option, PlatformError, Stream } from "effect"

export interface SimDisk {
  /** Content by path. */
  readonly files: ReadonlyMap<string, string>
  /** From now on nothing is written: for whoever stops without a word. */
  readonly freeze: () => void
  readonly thaw: () => void
  readonly layer: Layer.Layer<FileSystem.FileSystem>
}

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
    freeze: () => {
      isFrozen = true
    },
    thaw: () => {
      isFrozen = false
    },
    layer: FileSystem.layerNoop({
      makeDirectory: () => Effect.void,
      stat: (path) =>
        files.has(path)
          ? Effect.succeed({
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
              size: ByteSize.bytes(files.get(path)?.length ?? 0),
              blksize: Option.none(),
              blocks: Option.none()
            })
          : missing("stat", path),
      stream: (path) => {
        const content = files.get(path)
        return content === undefined ? Stream.fromEffect(missing("open", path)) : Stream.succeed(Buffer.from(content))
      },
      writeFileString: (path, content) => write(() => files.set(path, content)),
      rename: (from, to) => {
        const content = files.get(from)
        if (content === undefined) return isFrozen ? Effect.void : missing("rename", from)
        return write(() => {
          files.delete(from)
          files.set(to, content)
        })
      },
      remove: (path) => write(() => files.delete(path))
    })
  }
}
