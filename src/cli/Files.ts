/**
 * Files that a user names: their text, and what to call them in a sentence.
 *
 * @module
 */
import { Effect, FileSystem, Path, type PlatformError } from "effect"
import { SettingsError } from "./SettingsSource.ts"

/** A file's text, or one sentence why there is none. `as` names it. */
export const readFile = (path: string, as: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(path)).pipe(
    Effect.mapError(
      (error: PlatformError.PlatformError) =>
        new SettingsError({
          message:
            error.reason._tag === "NotFound"
              ? `${as}: there is no such file`
              : `${as} cannot be read: ${error.reason._tag}`
        })
    )
  )

/** A file as somebody in this directory names it, in whole only when it is elsewhere. */
export const shortName = (file: string) =>
  Effect.map(Path.Path, (path) => {
    const fromHere = path.relative(path.resolve("."), file)
    return fromHere === "" || fromHere.startsWith("..") || path.isAbsolute(fromHere) ? file : fromHere
  })
