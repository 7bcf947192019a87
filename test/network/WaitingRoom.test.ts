/** Who waits for a turn, and what is seen of it meanwhile. */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, FiberSet, Option, Scope } from "effect"
import { byNetwork } from "../../src/addresses/AddressGroups.ts"
import { WaitingRoom } from "../../src/network/WaitingRoom.ts"
import { originOf } from "../../src/routing/Origin.ts"
import type { ByteStream } from "../../src/transport/Transport.ts"
import { alice, bob } from "../support/addresses.ts"
import { settle } from "../support/time.ts"

const streamOf = (remoteAddress: ByteStream["remoteAddress"], read: ByteStream["read"]): ByteStream => ({
  remoteAddress,
  localAddress: alice,
  proxyAddress: undefined,
  read,
  write: () => Effect.void,
  bytesRead: () => 0,
  bytesWritten: () => 0
})

it.effect("a bug in whoever looks after a guest is told to whoever joins them, and not lost", () =>
  Effect.gen(function* () {
    const looks = yield* FiberSet.make<void>()
    const room = new WaitingRoom({ total: 9, perNetwork: 9, perGroup: 9 }, () => Effect.void, looks)
    for (const read of [Effect.never, Effect.die("a bug")]) {
      const scope = yield* Scope.fork(yield* Effect.scope)
      yield* room.offer({ stream: streamOf(bob, read), scope, ...originOf(bob, byNetwork) })
    }
    const joined = yield* Effect.exit(FiberSet.join(looks))
    assert.strictEqual(Exit.isFailure(joined) ? Cause.squash(joined.cause) : "nothing", "a bug")
  }).pipe(Effect.scoped)
)

it.effect.each([
  { bytes: [4096], isLetGo: false },
  { bytes: [4000, 96], isLetGo: false },
  { bytes: [4097], isLetGo: true },
  { bytes: [4000, 96, 1], isLetGo: true }
])("who has said $bytes bytes while it waits is let go: $isLetGo", ({ bytes, isLetGo }) =>
  Effect.gen(function* () {
    const looks = yield* FiberSet.make<void>()
    const left: Array<unknown> = []
    const room = new WaitingRoom(
      { total: 9, perNetwork: 9, perGroup: 9 },
      ({ stream }, { reason }) => Effect.sync(() => left.push([stream.remoteAddress, reason])),
      looks
    )
    const said = bytes.map((length, n) => new Uint8Array(length).fill(n + 1))
    const chunks = [...said]
    const talks = Effect.suspend(() =>
      Option.match(Option.fromUndefinedOr(chunks.shift()), { onNone: () => Effect.never, onSome: Effect.succeed })
    )
    // The first one's turn would come at once: nobody looks at what it says.
    for (const [address, read] of [
      [alice, Effect.never],
      [bob, talks]
    ] as const) {
      const scope = yield* Scope.fork(yield* Effect.scope)
      yield* room.offer({ stream: streamOf(address, read), scope, ...originOf(address, byNetwork) })
    }
    yield* settle
    assert.deepStrictEqual(left, isLetGo ? [[bob, "Local"]] : [])
    assert.strictEqual((yield* room.take()!).stream.remoteAddress, alice)
    const next = room.take()
    assert.strictEqual(next === undefined, isLetGo)
    // What it said is still there for whoever has it.
    if (next !== undefined)
      assert.deepStrictEqual(yield* (yield* next).stream.read, new Uint8Array(Buffer.concat(said)))
  }).pipe(Effect.scoped)
)
