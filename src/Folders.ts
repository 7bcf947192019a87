/**
 * A folder to write in, with those above it that are missing.
 *
 * Made one by one: Node's own way to make all of a path never ends, and lets no signal through, where the system says of a
 * folder that is there that it is not, as Linux does of what is asked for in /proc.
 *
 * @module
 */
import { Effect, FileSystem, Path, type PlatformError } from "effect"

/**
 * Makes a folder and each one above it that is missing, for their owner alone; what is there stays as it is. Fails with
 * `AlreadyExists` where the path is no folder, and with the system's error otherwise.
 */
export const make = (
  path: string
): Effect.Effect<void, PlatformError.PlatformError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const above = (yield* Path.Path).dirname(path)
    const one = files.makeDirectory(path, { mode: 0o700 }).pipe(
      Effect.catchIf(
        ({ reason }) => reason._tag === "AlreadyExists",
        (error) =>
          Effect.flatMap(files.stat(path), ({ type }) => (type === "Directory" ? Effect.void : Effect.fail(error)))
      )
    )
    yield* Effect.catchIf(
      one,
      ({ reason }) => reason._tag === "NotFound" && above !== path,
      // Once more and no oftener.
      () => Effect.andThen(make(above), one)
    )
  })
