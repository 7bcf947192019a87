/**
 * A login for JSON-RPC in a file, as zcashd leaves one for its tools: whoever may read the file may call.
 *
 * @module
 */
import { Effect, FileSystem, Redacted, Schema } from "effect"
import { SecureRandom } from "effect/crypto"

/** User of the login in the file. Source: zcashd src/rpc/protocol.cpp. */
const user = "__cookie__"

/** The file could not be written; `cause` is the system's. */
export class RpcCookieUnwritable extends Schema.TaggedError<RpcCookieUnwritable>()("RpcCookieUnwritable", {
  file: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `the login for JSON-RPC cannot be written to ${this.file}: choose another file with --rpc-cookie.`
  }
}

/**
 * Writes `__cookie__:` and 64 hexadecimal digits to a file that only its owner may read, without a newline: tools would send
 * that as part of the password. The file is new each time, and gone when the scope closes unless another process wrote it since.
 */
export const make = Effect.fnUntraced(function* (file: string) {
  const files = yield* FileSystem.FileSystem
  const random = yield* SecureRandom.SecureRandom
  const login = `${user}:${Buffer.from(yield* random.randomBytes(32)).toString("hex")}`
  const temporary = `${file}.tmp`
  // What is there of an earlier run may be open to others, and stay so.
  const write = files.remove(temporary, { force: true }).pipe(
    Effect.andThen(files.writeFileString(temporary, login, { flag: "wx", mode: 0o600 })),
    Effect.andThen(files.rename(temporary, file)),
    Effect.mapError((cause) => new RpcCookieUnwritable({ file, cause }))
  )
  const remove = files.readFileString(file).pipe(
    Effect.flatMap((current) => (current === login ? files.remove(file) : Effect.void)),
    Effect.ignore
  )
  yield* Effect.acquireRelease(write, () => remove)
  return Redacted.make(login)
})
