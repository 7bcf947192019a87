/** Whom the reference's book gives up when it is full: what looking at every entry would find, whatever happened before. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, References } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as Monotonic from "../../src/Monotonic.ts"
import { defaults } from "../../src/Policy.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { address, bookWorld, nowSeconds } from "../support/bookWorld.ts"

const textOf = (entry: PeerAddress.PeerAddress) => PeerSocketAddress.format(entry.address)

/** Of entries in their order: the last inbound one that nothing happened to of late, else the last such, else the last one. */
const victimOf = (inOrder: ReadonlyArray<PeerAddress.PeerAddress>, monotonicMillis: number) => {
  const isOfLate = ({ lastAttemptMillis, lastFailureMillis, lastResponseMillis }: PeerAddress.PeerAddress) =>
    [lastAttemptMillis, lastFailureMillis, lastResponseMillis].some(
      (millis) => millis !== undefined && monotonicMillis - millis <= 119_000
    )
  const dispensable = inOrder.filter(({ isConfigured }) => !isConfigured)
  const old = dispensable.filter((entry) => !isOfLate(entry))
  return old.findLast(({ isInbound }) => isInbound) ?? old.at(-1) ?? dispensable.at(-1)
}

describe("a full book", () => {
  it.effect("gives up whom looking at every entry would find (Q7, AB-8, EX-5; 12 stories)", () =>
    Effect.gen(function* () {
      const draw = SeededRandom.draws(9, "victims")
      const below = (limit: number) => draw() % limit
      let givenUp = 0
      for (let story = 0; story < 12; story++) {
        yield* Effect.gen(function* () {
          const book = yield* AddressBook
          for (let step = 0; step < 40; step++) {
            yield* TestClock.adjust([0, 1000, 20_000, 60_000][below(4)]!)
            const peer = address(`10.${below(3)}.0.${below(8)}:${[8233, 9000][below(2)]}`)
            const isInbound = below(3) === 0
            const changes: ReadonlyArray<PeerAddress.AddressChange> = [
              { _tag: "NewGossiped", address: peer, services: 1n, lastSeenSeconds: below(1000) },
              { _tag: "UpdateAttempt", address: peer },
              { _tag: "UpdateFailed", address: peer, services: undefined },
              { _tag: "UpdateResponded", address: peer, roundTrip: undefined },
              {
                _tag: "UpdateConnected",
                address: peer,
                services: 1n,
                isInbound,
                userAgent: "",
                negotiatedVersion: 170_190
              },
              { _tag: "NewConfigured", address: peer }
            ]
            // Three that the operator named, so that not all are.
            const change = changes[below(step < 3 ? 6 : 5)]!
            const before = yield* book.entries
            const previous = before.find((entry) => textOf(entry) === PeerSocketAddress.format(peer))
            const now = { wallSeconds: yield* nowSeconds, monotonicMillis: yield* Monotonic.millis }
            const applied = PeerAddress.apply(change, previous, now, defaults)
            const kept = yield* book.record(change)
            const all = applied === undefined ? before : [...before.filter((entry) => entry !== previous), applied]
            const inOrder = all.toSorted(PeerAddress.compare)
            const gone = inOrder.length > 6 ? victimOf(inOrder, now.monotonicMillis) : undefined
            if (gone !== undefined) givenUp++
            assert.deepStrictEqual(
              (yield* book.entries).map(textOf),
              inOrder.filter((entry) => entry !== gone).map(textOf)
            )
            assert.strictEqual(Option.isSome(kept), applied !== undefined && gone !== applied)
          }
        }).pipe(Effect.provide(bookWorld({ addressBookCapacity: 6, connectionsPerGroup: 2 })))
      }
      assert.isAbove(givenUp, 60)
    }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
  )
})
