/**
 * A login for JSON-RPC in a file, as zcashd leaves one for its tools: whoever may read the file may call.
 *
 * @module
 */
import { Effect, FileSystem, type PlatformError, Redacted, Schema } from "effect"
import { SecureRandom } from "effect/crypto"

/** User of the login in the file. Source: zcashd src/rpc/protocol.cpp. */
const user = "__cookie__"

/** Length of a login in bytes, and of any that a program like zcashd leaves. */
const maxLoginBytes = 256

/** No login is in the file. `Unwritable`: it could not be; `Foreign`: what is there is none of an earlier run, and stays. */
export class RpcCookieUnwritable extends Schema.TaggedError<RpcCookieUnwritable>()("RpcCookieUnwritable", {
  file: Schema.String,
  reason: Schema.Literals(["Unwritable", "Foreign"]),
  /** The system's, if it is. */
  cause: Schema.Defect()
}) {
  override get message(): string {
    return this.reason === "Foreign"
      ? `${this.file} is something else than a login for JSON-RPC: choose another file with --rpc-cookie.`
      : `the login for JSON-RPC cannot be written to ${this.file}: choose another file with --rpc-cookie.`
  }
}

/**
 * Writes `__cookie__:` and 64 hexadecimal digits to a file that only its owner may read, without a newline: tools would send
 * that as part of the password. The file is new each time, and gone when the scope closes unless another process wrote it since.
 * Takes the place of a login, or of an empty file, and of nothing else; so does the file it is written to first, which ends in `.tmp`.
 */
export const make = Effect.fnUntraced(function* (file: string) {
  const files = yield* FileSystem.FileSystem
  const random = yield* SecureRandom.SecureRandom
  const login = `${user}:${Buffer.from(yield* random.randomBytes(32)).toString("hex")}`
  const temporary = `${file}.tmp`
  const unwritable = Effect.mapError(
    (cause: PlatformError.PlatformError) => new RpcCookieUnwritable({ file, reason: "Unwritable", cause })
  )
  const write = Effect.gen(function* () {
    for (const each of [file, temporary]) {
      if (yield* unwritable(mayGo(each))) continue
      return yield* new RpcCookieUnwritable({ file: each, reason: "Foreign", cause: undefined })
    }
    // What is there of an earlier run may be open to others, and stay so.
    yield* files
      .remove(temporary, { force: true })
      .pipe(
        Effect.andThen(files.writeFileString(temporary, login, { flag: "wx", mode: 0o600 })),
        Effect.andThen(files.rename(temporary, file)),
        unwritable
      )
  })
  // Looked at again: to read a pipe that is there by now would take for ever.
  const remove = Effect.gen(function* () {
    if ((yield* mayGo(file)) && (yield* files.readFileString(file)) === login) yield* files.remove(file)
  }).pipe(Effect.ignore)
  yield* Effect.acquireRelease(write, () => remove)
  return Redacted.make(login)
})

/** Whether there is nothing, an empty file, or a login. One that lost its power while it wrote may have left a part of it. */
const mayGo = Effect.fnUntraced(function* (file: string) {
  const files = yield* FileSystem.FileSystem
  const info = yield* files.stat(file).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag === "NotFound",
      () => Effect.undefined
    )
  )
  if (info === undefined) return true
  if (info.type !== "File" || info.size > maxLoginBytes) return false
  const begins = `${user}:`
  return begins.startsWith((yield* files.readFileString(file)).slice(0, begins.length))
})
