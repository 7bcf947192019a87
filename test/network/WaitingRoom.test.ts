/** Who waits for a turn, and what is seen of it meanwhile. */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, FiberSet, Scope } from "effect"
import { byNetwork } from "../../src/addresses/AddressGroups.ts"
import { WaitingRoom } from "../../src/network/WaitingRoom.ts"
import { originOf } from "../../src/routing/Origin.ts"
import type { ByteStream } from "../../src/transport/Transport.ts"
import { alice, bob } from "../support/addresses.ts"

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
