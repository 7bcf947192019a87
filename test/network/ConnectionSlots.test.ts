import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Random, Result, Scope } from "effect"
import { NetAddress } from "effect/net"
import { ConnectionSlots, type Slot } from "../../src/network/ConnectionSlots.ts"
import { defaults, Policy } from "../../src/Policy.ts"
import { TrustedPeers } from "../../src/routing/TrustedPeers.ts"

describe("ConnectionSlots", () => {
  it.effect("counts a place from its reservation to the end of its scope", () =>
    Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      const scope = yield* Scope.make()
      const slot = yield* slots.reserve("outbound").pipe(Scope.provide(scope))
      assert.deepStrictEqual([slots.used("outbound"), slots.open("outbound"), slots.used("inbound")], [1, 0, 0])
      yield* slot.markOpen
      yield* slot.markOpen
      assert.deepStrictEqual([slots.used("outbound"), slots.open("outbound")], [1, 1])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([slots.used("outbound"), slots.open("outbound")], [0, 0])
      // A connection that outlives its slot cannot take it back.
      yield* slot.markOpen
      assert.deepStrictEqual([slots.used("outbound"), slots.open("outbound")], [0, 0])
    }).pipe(Effect.provide(ConnectionSlots.layer))
  )

  it.effect.each([
    { targetPeers: 0, hosts: 3, inbound: 0, trusted: 0 },
    { targetPeers: 1, hosts: 0, inbound: 5, trusted: 0 },
    { targetPeers: 1, hosts: 3, inbound: 2, trusted: 3 },
    { targetPeers: 1, hosts: 4, inbound: 1, trusted: 4 },
    { targetPeers: 1, hosts: 5, inbound: 1, trusted: 4 },
    { targetPeers: 1, hosts: 9, inbound: 1, trusted: 4 }
  ])("keeps $trusted places for $hosts trusted hosts, of a target of $targetPeers: one stays public", (_) =>
    Effect.gen(function* () {
      const { limits } = yield* ConnectionSlots
      assert.deepInclude(limits, { inbound: _.inbound, trusted: _.trusted })
      const isNone = _.targetPeers === 0
      assert.deepInclude(limits, { outbound: isNone ? 0 : 3, handshake: isNone ? 0 : defaults.handshakePlaces })
      assert.strictEqual(limits["stale tip"], isNone ? 0 : 1)
    }).pipe(
      Effect.provide(ConnectionSlots.layer),
      Effect.provide(
        Layer.mergeAll(
          Policy.layer({ targetPeers: _.targetPeers }),
          TrustedPeers.layer(
            Array.from({ length: _.hosts }, (_, n) => NetAddress.ipFromStringUnsafe(`192.0.2.${n + 1}`))
          )
        )
      )
    )
  )

  const exits = {
    success: Effect.void,
    "a typed error": Effect.fail("refused"),
    "a defect": Effect.die("bug"),
    interruption: Effect.interrupt
  }
  for (const [name, end] of Object.entries(exits)) {
    it.effect(`is free again after ${name}, open or not`, () =>
      Effect.gen(function* () {
        const slots = yield* ConnectionSlots
        for (const open of [false, true]) {
          const use = Effect.gen(function* () {
            const slot = yield* slots.reserve("inbound")
            if (open) yield* slot.markOpen
            yield* end
          })
          yield* Effect.exit(Effect.scoped(use))
          assert.deepStrictEqual([slots.used("inbound"), slots.open("inbound")], [0, 0])
        }
      }).pipe(Effect.provide(ConnectionSlots.layer))
    )
  }

  it.effect("reserves before the fiber that asked for it waits for anything", () =>
    Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      const gate = yield* Deferred.make<void>()
      const child = yield* slots
        .reserve("outbound")
        .pipe(Effect.andThen(Deferred.await(gate)), Effect.scoped, Effect.forkChild({ startImmediately: true }))
      assert.strictEqual(slots.used("outbound"), 1)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(child)
      assert.strictEqual(slots.used("outbound"), 0)
    }).pipe(Effect.provide(ConnectionSlots.layer))
  )

  const few = (trusted: ReadonlyArray<string>) =>
    ConnectionSlots.layer.pipe(
      Layer.provide(Layer.succeed(Policy, { ...defaults, targetPeers: 1 })),
      Layer.provide(TrustedPeers.layer(trusted.map(NetAddress.ipFromStringUnsafe)))
    )

  it.effect("refuses one more than there are, until one is free, whoever asks", () =>
    Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      const scope = yield* Scope.make()
      yield* slots.reserve("outbound").pipe(Scope.provide(scope))
      for (let n = 0; n < 2; n++) yield* slots.reserve("outbound")
      assert.isFalse(slots.hasRoom("outbound"))
      const error = yield* Effect.flip(slots.reserve("outbound"))
      assert.deepInclude(error, { _tag: "NoFreeSlot", kind: "outbound", limit: 3 })
      assert.strictEqual(slots.used("outbound"), 3)
      assert.isTrue(slots.hasRoom("inbound"))
      yield* Scope.close(scope, Exit.void)
      yield* slots.reserve("outbound")
      assert.strictEqual(slots.used("outbound"), 3)
    }).pipe(Effect.scoped, Effect.provide(few([])))
  )

  it.effect("refuses whoever looks at the same time as the one who gets the last", () =>
    Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      const looking = yield* Effect.forEach([1, 2, 3, 4, 5], () =>
        Effect.forkChild(Effect.result(slots.reserve("outbound")), { startImmediately: true })
      )
      const results = yield* Effect.forEach(looking, Fiber.join)
      assert.strictEqual(results.filter(Result.isSuccess).length, 3)
      assert.strictEqual(slots.used("outbound"), 3)
    }).pipe(Effect.scoped, Effect.provide(few([])))
  )

  it.effect("keeps places for whom the operator trusts, and gives them public ones beyond that", () =>
    Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      assert.deepStrictEqual(slots.limits, { outbound: 3, inbound: 3, trusted: 2, handshake: 8, "stale tip": 1 })
      for (let n = 0; n < 3; n++) yield* slots.reserve("inbound")
      assert.isFalse(slots.hasRoom("inbound"))
      assert.strictEqual((yield* slots.reserve("trusted")).kind, "trusted")
      assert.strictEqual((yield* slots.reserve("trusted")).kind, "trusted")
      assert.deepInclude(yield* Effect.flip(slots.reserve("trusted")), { _tag: "NoFreeSlot", kind: "trusted" })
    }).pipe(Effect.scoped, Effect.provide(few(["127.0.0.1", "127.0.0.2"])))
  )

  it.effect("counts a trusted one beyond its places as public, and frees it there", () =>
    Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      const scope = yield* Scope.make()
      yield* slots.reserve("trusted")
      assert.strictEqual((yield* slots.reserve("trusted").pipe(Scope.provide(scope))).kind, "inbound")
      assert.deepStrictEqual([slots.used("trusted"), slots.used("inbound")], [1, 1])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([slots.used("trusted"), slots.used("inbound")], [1, 0])
    }).pipe(Effect.scoped, Effect.provide(few(["127.0.0.1"])))
  )

  it.effect("lets a newcomer change places with one that has to go, which is counted until it is closed", () =>
    Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      const leaving = yield* Scope.make()
      const old = yield* slots.reserve("inbound").pipe(Scope.provide(leaving))
      yield* old.markOpen
      for (let n = 0; n < 4; n++) yield* slots.reserve("inbound")
      const newcomer = yield* slots.reserve("handshake")
      assert.isFalse(slots.settle(newcomer))
      assert.isTrue(slots.exchange(newcomer, old))
      assert.deepStrictEqual([newcomer.kind, old.kind], ["inbound", "handshake"])
      yield* newcomer.markOpen
      const used = () => [slots.used("inbound"), slots.open("inbound"), slots.used("handshake")]
      assert.deepStrictEqual(used(), [5, 1, 1])
      assert.isFalse(slots.exchange(newcomer, old))
      yield* Scope.close(leaving, Exit.void)
      assert.deepStrictEqual(used(), [5, 1, 0])
      assert.isFalse(slots.exchange(yield* slots.reserve("handshake"), old))
    }).pipe(Effect.scoped, Effect.provide(few([])))
  )

  it.effect("passes no limit, whatever is reserved, opened, exchanged, settled and freed, in any order", () =>
    Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      const held: Array<{ readonly slot: Slot; readonly scope: Scope.Closeable; isOpen: boolean }> = []
      for (let step = 0; step < 5000; step++) {
        const [one, other] = [held[yield* Random.nextIntBetween(0, 20)], held[yield* Random.nextIntBetween(0, 20)]]
        const action = yield* Random.nextIntBetween(0, 6)
        if (action < 3) {
          const kind = (["inbound", "trusted", "handshake"] as const)[action]!
          const scope = yield* Scope.make()
          const slot = yield* Effect.option(Scope.provide(slots.reserve(kind), scope))
          if (Option.isSome(slot)) held.push({ slot: slot.value, scope, isOpen: false })
        } else if (one !== undefined && action === 3) {
          yield* one.slot.markOpen
          one.isOpen = true
        } else if (one !== undefined && action === 4) {
          yield* Scope.close(one.scope, Exit.void)
          held.splice(held.indexOf(one), 1)
        } else if (one !== undefined && other !== undefined && action === 5) {
          if (!slots.settle(one.slot)) slots.exchange(one.slot, other.slot)
        }
        for (const kind of ["inbound", "trusted", "handshake"] as const) {
          const there = held.filter(({ slot }) => slot.kind === kind)
          const counted = [slots.used(kind), slots.open(kind)]
          assert.deepStrictEqual(counted, [there.length, there.filter(({ isOpen }) => isOpen).length])
          assert.isAtMost(there.length, slots.limits[kind])
        }
      }
    }).pipe(Effect.provide(few(["127.0.0.1"])), Random.withSeed("slots"))
  )
})
