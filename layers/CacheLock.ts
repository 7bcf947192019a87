/**
 * One process for each cache directory and chain: two that write the same files would undo each other's work.
 *
 * The lock is one of the system, on a file that stays empty: it ends with its process, however that ends, so there is none to
 * be left over. SQLite takes it, as Node itself has no function for it. A second file says who has it.
 *
 * @module
 */
import { Clock, Duration, Effect, FileSystem, Layer, Option, Path, PlatformError } from "effect"
import { fileStem } from "../src/addresses/AddressBookFile.ts"
import { CacheDirectoryTaken } from "../src/addresses/CacheDirectoryTaken.ts"
import type { ChainParamsShape } from "../src/chain/ChainParams.ts"
import * as Folders from "../src/Folders.ts"

/** SQLite's number for a lock that somebody else has. Source: sqlite3.h, `SQLITE_BUSY`. */
const busy = 5

const isBusy = (error: unknown): boolean =>
  error instanceof Error && "errcode" in error && typeof error.errcode === "number" && (error.errcode & 0xff) === busy

/** How old a file has to be for whoever wrote it to have been killed: a write takes milliseconds. */
const oldEnough = Duration.hours(1)

/** What processes left that were killed while they wrote. Another program may share the folder, and be writing just now. */
const removeLeftovers = (folder: string, prefix: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const now = yield* Clock.currentTimeMillis
    for (const name of yield* files.readDirectory(folder)) {
      if (!name.startsWith(prefix)) continue
      const file = paths.join(folder, name)
      const { mtime } = yield* files.stat(file)
      const age = now - Option.match(mtime, { onNone: () => now, onSome: (written) => written.getTime() })
      if (age >= Duration.toMillis(oldEnough)) yield* files.remove(file)
    }
  }).pipe(Effect.ignore)

/**
 * Holds the lock until the scope closes, or fails with who has it. A directory that cannot be written is nobody's: the node
 * goes on without a lock, for it will write nothing there either, and says so. So it does where the system has no locks.
 */
export const layer = (
  directory: string,
  chain: ChainParamsShape
): Layer.Layer<never, CacheDirectoryTaken, FileSystem.FileSystem | Path.Path> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const paths = yield* Path.Path
      const stem = paths.join(directory, "network", fileStem(chain))
      const [lockFile, pidFile] = [`${stem}.lock`, `${stem}.pid`]

      const unlocked = (problem: string, reason: string) =>
        Effect.as(Effect.logWarning(problem).pipe(Effect.annotateLogs({ directory, reason })), undefined)

      const take = Effect.gen(function* () {
        yield* Folders.make(paths.dirname(lockFile))
        yield* files.writeFileString(lockFile, "", { flag: "a", mode: 0o600 })
        return yield* Effect.try({
          try: () => {
            // Not before it is wanted: Node 22 says with the import that it is an experiment.
            const { DatabaseSync } = process.getBuiltinModule("node:sqlite")
            const database = new DatabaseSync(lockFile, { timeout: 0 })
            try {
              database.exec("PRAGMA journal_mode = MEMORY; BEGIN IMMEDIATE")
            } catch (error) {
              database.close()
              throw error
            }
            return database
          },
          catch: (error) => error
        })
      })

      const holder = files.readFileString(pidFile).pipe(
        Effect.map((text) => (/^\d{1,9}$/.test(text.trim()) ? Number(text) : null)),
        Effect.orElseSucceed(() => null)
      )

      const database = yield* Effect.acquireRelease(
        take.pipe(
          Effect.catch((error) => {
            if (isBusy(error)) {
              return Effect.flatMap(holder, (pid) => Effect.fail(new CacheDirectoryTaken({ directory, pid })))
            }
            return error instanceof PlatformError.PlatformError
              ? unlocked("nothing can be kept in the cache directory; going on without it", error.message)
              : unlocked("the cache directory cannot be locked: see to it that no other node uses it", String(error))
          })
        ),
        (database) => Effect.sync(() => database?.close())
      )
      if (database === undefined) return
      yield* Effect.ignore(files.writeFileString(pidFile, String(process.pid), { mode: 0o600 }))
      yield* Effect.addFinalizer(() => Effect.ignore(files.remove(pidFile)))

      yield* removeLeftovers(paths.dirname(lockFile), `.tmp.${fileStem(chain)}.`)

      // What a node knows of others is the operator's business alone.
      const info = yield* Effect.option(files.stat(paths.dirname(lockFile)))
      const mode = Option.match(info, { onNone: () => 0, onSome: (info) => info.mode & 0o777 })
      if ((mode & 0o077) !== 0 && process.platform !== "win32") {
        yield* Effect.logWarning("others on this machine can read what the node keeps: chmod 700 the directory").pipe(
          Effect.annotateLogs({ directory: paths.dirname(lockFile), mode: mode.toString(8) })
        )
      }
    })
  )
