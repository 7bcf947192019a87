/**
 * A small text file of lines that survives crashes and damage.
 *
 * Written whole to a file beside it and moved over the old one, so whoever reads finds the old lines or the new ones. Read
 * up to a limit; a file that makes no sense is moved aside and reported, and nobody's start fails for it.
 *
 * @module
 */
import { Effect, FileSystem, Metric, type PlatformError, Path, Random, Stream } from "effect"
import * as Folders from "../Folders.ts"

/** Largest file read or written, in bytes: some times more than 20,000 bans need. */
export const maxFileBytes = 1_048_576

export interface CacheFile<A> {
  readonly path: string
  /** The values of the file. A missing, damaged or unreadable file has none. Never fails. */
  readonly load: Effect.Effect<ReadonlyArray<A>>
  /** Replaces the file. */
  readonly save: (values: ReadonlyArray<A>) => Effect.Effect<void, PlatformError.PlatformError>
  /** For a file whose lines are valid and make no sense together: moves it aside and says why. */
  readonly setAside: (reason: string) => Effect.Effect<void>
  /**
   * The same, for whoever goes on without: `false` when it could not be done. That is counted, and said when it begins and when
   * it is over.
   */
  readonly saveOrTell: (values: ReadonlyArray<A>) => Effect.Effect<boolean>
}

export interface CacheFileOptions<A> {
  readonly path: string
  /** What it holds, for messages: `peer cache`. */
  readonly name: string
  readonly maxLines: number
  /** `undefined` for a line that is none. */
  readonly parse: (line: string) => A | undefined
  readonly format: (value: A) => string
}

export const make = Effect.fnUntraced(function* <A>({ format, maxLines, name, parse, path }: CacheFileOptions<A>) {
  const files = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const makeFolder = Effect.provideContext(
    Folders.make(paths.dirname(path)),
    yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  )

  /** Keeps a damaged file for whoever wants to know, in place of an older one. */
  const setAside = (reason: string) =>
    files.rename(path, `${path}.corrupt`).pipe(
      Effect.matchEffect({
        onSuccess: () => Effect.logWarning(`the ${name} is damaged and was moved aside; going on without it`),
        onFailure: () => Effect.logWarning(`the ${name} is damaged and cannot be moved aside; going on without it`)
      }),
      Effect.annotateLogs({ file: path, reason }),
      Effect.as<ReadonlyArray<A>>([])
    )

  const load = Effect.gen(function* () {
    const info = yield* files.stat(path)
    if (info.type !== "File") return yield* setAside(`it is a ${info.type.toLowerCase()}`)
    // Read to the limit and not to the size, which may have changed.
    const chunks = yield* Stream.runCollect(files.stream(path, { bytesToRead: maxFileBytes + 1 }))
    const bytes = Buffer.concat(chunks)
    if (bytes.length > maxFileBytes) return yield* setAside(`it has more than ${maxFileBytes} bytes`)
    const values: Array<A> = []
    let skipped = 0
    for (const line of bytes.toString("utf8").split("\n")) {
      const text = line.endsWith("\r") ? line.slice(0, -1) : line
      const value = parse(text)
      // Nothing is skipped of a file that is empty, or whose last line an editor ended.
      if (value === undefined) skipped += text === "" ? 0 : 1
      else if (values.length < maxLines) values.push(value)
    }
    if (bytes.length > 0 && values.length === 0) return yield* setAside("it has no valid line")
    if (skipped > 0) {
      yield* Effect.logInfo(`lines of the ${name} were skipped`).pipe(Effect.annotateLogs({ file: path, skipped }))
    }
    return values
  }).pipe(
    Effect.catch((error) =>
      Effect.as(
        error.reason._tag === "NotFound"
          ? Effect.void
          : Effect.logInfo(`the ${name} cannot be read`).pipe(
              Effect.annotateLogs({ file: path, reason: error.message })
            ),
        []
      )
    )
  )

  const save = (values: ReadonlyArray<A>) =>
    Effect.gen(function* () {
      // Whom a node knows and bans is its operator's business alone.
      yield* makeFolder
      const suffix = Math.abs(yield* Random.nextInt).toString(36)
      const temporary = paths.join(paths.dirname(path), `.tmp.${paths.basename(path)}${suffix}`)
      const content = values.slice(0, maxLines).map(format).join("\n")
      yield* files.writeFileString(temporary, content, { mode: 0o600 }).pipe(
        Effect.andThen(files.rename(temporary, path)),
        Effect.onError(() => Effect.ignore(files.remove(temporary, { force: true })))
      )
    })

  let isBroken = false
  const failures = Metric.withAttributes(
    Metric.counter("network_effect.files.failed_writes", {
      description: "writes of a file that could not be done",
      incremental: true
    }),
    { file: name }
  )
  const saveOrTell = (values: ReadonlyArray<A>) =>
    Effect.matchEffect(save(values), {
      onSuccess: () => {
        if (!isBroken) return Effect.succeed(true)
        isBroken = false
        return Effect.as(Effect.logInfo(`the ${name} can be written again`), true)
      },
      onFailure: ({ message }) => {
        const counted = Effect.as(Metric.update(failures, 1), false)
        if (isBroken) return counted
        isBroken = true
        return Effect.andThen(
          Effect.logWarning(`the ${name} cannot be written; it is tried again`).pipe(
            Effect.annotateLogs({ file: path, reason: message })
          ),
          counted
        )
      }
    })

  return { path, load, save, saveOrTell, setAside: (reason) => Effect.asVoid(setAside(reason)) } satisfies CacheFile<A>
})
