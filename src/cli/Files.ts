/**
 * Files that a user names: their text, and what to call them in a sentence.
 *
 * @module
 */
import { Effect, FileSystem, Path, type PlatformError } from "effect"
import { SettingsError } from "./SettingsSource.ts"

/** Largest file of settings that is taken into memory: a thousand times what anybody writes. */
const maxBytes = 1_048_576

/** A file's text, or one sentence why there is none. `as` names it. */
export const readFile = Effect.fnUntraced(
  function* (path: string, as: string) {
    const files = yield* FileSystem.FileSystem
    const { size } = yield* files.stat(path)
    if (Number(size) > maxBytes) {
      return yield* new SettingsError({
        message: `${as} has ${size} bytes, so it is no settings file: one has at most ${maxBytes}`
      })
    }
    return yield* files.readFileString(path)
  },
  (effect, _path, as) =>
    Effect.catchTag(effect, "PlatformError", ({ reason }: PlatformError.PlatformError) =>
      Effect.fail(
        new SettingsError({
          message: reason._tag === "NotFound" ? `${as}: there is no such file` : `${as} cannot be read: ${reason._tag}`
        })
      )
    )
)

/** A file as somebody in this directory names it, in whole only when it is elsewhere. */
export const shortName = (file: string) =>
  Effect.map(Path.Path, (path) => {
    const fromHere = path.relative(path.resolve("."), file)
    return fromHere === "" || fromHere.startsWith("..") || path.isAbsolute(fromHere) ? file : fromHere
  })
