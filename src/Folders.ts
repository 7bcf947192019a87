/**
 * Makes folders one by one, each for its owner alone.
 *
 * Node's own way to make all of a path never ends, and no signal ends it, where the system says of a folder that is there that it
 * cannot have another: in /proc.
 *
 * @module
 */
import { Effect, type FileSystem, type Path } from "effect"

/** Makes a folder and those that it is in; nothing where it is there. Fails as the system does, also where a file has its name. */
export const make = Effect.fnUntraced(function* (files: FileSystem.FileSystem, paths: Path.Path, folder: string) {
  const missing: Array<string> = []
  for (let at = paths.resolve(folder); !(yield* files.exists(at)); at = paths.dirname(at)) {
    missing.unshift(at)
    if (paths.dirname(at) === at) break
  }
  for (const one of missing) {
    // Somebody else may have made it meanwhile.
    yield* Effect.catchReason(
      files.makeDirectory(one, { mode: 0o700 }),
      "PlatformError",
      "AlreadyExists",
      () => Effect.void
    )
  }
  // What is there may be a file, which the system tells from a folder.
  if (missing.length === 0) yield* files.makeDirectory(folder, { recursive: true })
})
