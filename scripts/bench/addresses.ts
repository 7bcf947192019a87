/**
 * What the address book costs with 500 entries and with 5,000: per change, per candidate, per `getaddr` that a peer sends,
 * and per answer that is made afresh.
 *
 *     npm run bench -- addresses [--millis 500]
 *
 * None of them sorts, copies or looks at the whole book. A fresh answer is made every ten minutes and shared by all peers;
 * it tells half of 500 entries and 1,000 of 5,000, so it takes four times as long, and each address it tells the same.
 * Needs nothing, writes nothing.
 */
import { parseArgs } from "node:util"
import { Clock, Effect, Layer, Option, References } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import { NetAddress } from "effect/net"
import {
  AddressBook,
  BanList,
  ChainParams,
  InboundRequests,
  mainnet,
  NODE_NETWORK,
  BackgroundTasks,
  NodeAnswers,
  OwnAddress,
  PeerSocketAddress
} from "network-effect"

const addressOf = (n: number) =>
  PeerSocketAddress.fromIp(NetAddress.ipFromStringUnsafe(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`), 8233)

/** A book with so many entries, a third of each kind that matters. */
const fill = Effect.fnUntraced(function* (count: number) {
  const book = yield* AddressBook
  const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  yield* book.addGossiped(
    Array.from({ length: count }, (_, n) => ({
      address: addressOf(n),
      services: NODE_NETWORK,
      lastSeenSeconds: seconds - n
    }))
  )
  for (let n = 0; n < count; n += 3) {
    yield* book.record({ _tag: "UpdateAttempt", address: addressOf(n) })
    yield* book.record({ _tag: "UpdateFailed", address: addressOf(n), services: undefined })
  }
  for (let n = 1; n < count; n += 3) {
    yield* book.record({ _tag: "UpdateResponded", address: addressOf(n), roundTrip: undefined })
  }
  yield* TestClock.adjust("1 hour")
  return book
})

/** Microseconds of each, the best of some rounds. */
const microsOf = Effect.fnUntraced(function* <E>(millis: number, round: Effect.Effect<number, E>) {
  let best = Number.POSITIVE_INFINITY
  const end = process.hrtime.bigint() + BigInt(millis) * 1_000_000n
  while (process.hrtime.bigint() < end) {
    const started = process.hrtime.bigint()
    const times = yield* round
    best = Math.min(best, Number(process.hrtime.bigint() - started) / 1000 / times)
  }
  return best
})

const measure = (count: number, millis: number) =>
  Effect.gen(function* () {
    const book = yield* fill(count)
    // First, while nothing is too old to be told.
    const { length: told } = yield* book.gossip
    const fresh = yield* microsOf(millis, Effect.as(book.gossip, 1))
    const { answer } = yield* InboundRequests
    const getaddr = yield* microsOf(
      millis,
      Effect.as(Effect.replicateEffect(answer({ _tag: "Peers" }), 100, { discard: true }), 100)
    )
    let n = 0
    const update = yield* microsOf(
      millis,
      Effect.gen(function* () {
        for (let times = 0; times < 200; times++) {
          n = (n + 7) % count
          yield* book.record({ _tag: "UpdateResponded", address: addressOf(n), roundTrip: undefined })
        }
        yield* TestClock.adjust("6 seconds")
        return 200
      })
    )
    yield* TestClock.adjust("1 hour")
    const candidate = yield* microsOf(
      millis,
      Effect.gen(function* () {
        let taken = 0
        for (let times = 0; times < 50; times++) if (Option.isSome(yield* book.takeCandidate)) taken++
        yield* TestClock.adjust("150 seconds")
        return Math.max(1, taken)
      })
    )
    return { update, candidate, getaddr, fresh, perAddress: fresh / told }
  }).pipe(
    Effect.provide(
      NodeAnswers.layer.pipe(
        Layer.provideMerge(AddressBook.layer),
        Layer.provide(BanList.layer),
        Layer.provide([
          BackgroundTasks.layer,
          OwnAddress.layerNone,
          Layer.succeed(ChainParams, mainnet),
          SecureRandom.layerWebCrypto
        ])
      )
    ),
    Effect.provide(TestClock.layer()),
    Effect.provideService(References.MinimumLogLevel, "None")
  )

export const run = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({ args: [...args], options: { millis: { type: "string", default: "500" } } })
  const millis = Number(values.millis)
  await Effect.runPromise(measure(500, millis / 5))
  const [small, large] = [await Effect.runPromise(measure(500, millis)), await Effect.runPromise(measure(5000, millis))]
  const row = (what: string, key: keyof typeof small) => ({
    what,
    "500 entries, µs": Number(small[key].toFixed(3)),
    "5,000 entries, µs": Number(large[key].toFixed(3)),
    ratio: Number((large[key] / small[key]).toFixed(2))
  })
  console.table([
    row("update", "update"),
    row("take candidate", "candidate"),
    row("gossip answer to one getaddr", "getaddr"),
    row("fresh gossip answer, per address told", "perAddress"),
    row("fresh gossip answer, whole", "fresh")
  ])
}
