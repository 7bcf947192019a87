/**
 * What the address book costs with 500, 5,000 and 50,000 entries: per change, per candidate, per `getaddr` that a peer sends,
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
  defaults,
  InboundRequests,
  mainnet,
  NODE_NETWORK,
  BackgroundTasks,
  NodeAnswers,
  OwnAddress,
  PeerSocketAddress,
  Policy,
  type TaskNameTaken
} from "network-effect"
import { bytesInUse } from "./support/memory.ts"

/** In 16,384 networks, one after the other. */
const addressOf = (n: number) =>
  PeerSocketAddress.fromIp(
    NetAddress.ipFromStringUnsafe(`${20 + (n & 63)}.${(n >> 6) & 255}.${(n >> 14) & 255}.7`),
    8233
  )

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
  const end = process.hrtime.bigint() + BigInt(Math.round(millis * 1e6))
  while (process.hrtime.bigint() < end) {
    const started = process.hrtime.bigint()
    const times = yield* round
    best = Math.min(best, Number(process.hrtime.bigint() - started) / 1000 / times)
  }
  return best
})

type BookName = "hardened" | "reference"

/** Runs something with a book that has room for twice as many entries: no bucket is full. */
const inBook = <A, E>(
  name: BookName,
  count: number,
  use: Effect.Effect<A, E, AddressBook | InboundRequests>
): Effect.Effect<A, E | TaskNameTaken> =>
  use.pipe(
    Effect.provide(
      NodeAnswers.layer.pipe(
        Layer.provideMerge(name === "hardened" ? AddressBook.layer : AddressBook.layerReference),
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
    Effect.provideService(Policy, { ...defaults, addressBookCapacity: 2 * count }),
    Effect.provideService(References.MinimumLogLevel, "None")
  )

const measure = (count: number, millis: number) =>
  Effect.gen(function* () {
    const book = yield* fill(count)
    const entries = yield* Effect.map(book.entries, ({ length }) => length)
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
    // All of an hour's waiting is over with the first one.
    yield* book.takeCandidate
    const candidate = yield* microsOf(
      millis,
      Effect.gen(function* () {
        let taken = 0
        for (let times = 0; times < 50; times++) if (Option.isSome(yield* book.takeCandidate)) taken++
        yield* TestClock.adjust("150 seconds")
        return Math.max(1, taken)
      })
    )
    return { entries, update, candidate, getaddr, fresh, perAddress: fresh / told }
  })

/** Bytes of a book of 5,000 entries, with its tables. */
const bytesOfBook = Effect.gen(function* () {
  const before = bytesInUse()
  const book = yield* fill(5000)
  const bytes = bytesInUse() - before
  return { entries: (yield* book.entries).length, bytes }
})

export const run = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({ args: [...args], options: { millis: { type: "string", default: "500" } } })
  const millis = Number(values.millis)
  for (const name of ["hardened", "reference"] as const) {
    await Effect.runPromise(inBook(name, 500, measure(500, millis / 5)))
    const small = await Effect.runPromise(inBook(name, 500, measure(500, millis)))
    const large = await Effect.runPromise(inBook(name, 5000, measure(5000, millis)))
    const huge = await Effect.runPromise(inBook(name, 50_000, measure(50_000, millis)))
    const row = (what: string, key: keyof typeof small) => ({
      what,
      "500, µs": Number(small[key].toFixed(3)),
      "5,000, µs": Number(large[key].toFixed(3)),
      "50,000, µs": Number(huge[key].toFixed(3)),
      "5,000 : 500": Number((large[key] / small[key]).toFixed(2)),
      "50,000 : 500": Number((huge[key] / small[key]).toFixed(2))
    })
    console.log(`${name}: ${small.entries}, ${large.entries} and ${huge.entries} entries`)
    console.table([
      row("update", "update"),
      row("take candidate", "candidate"),
      row("gossip answer to one getaddr", "getaddr"),
      row("fresh gossip answer, per address told", "perAddress"),
      row("fresh gossip answer, whole", "fresh")
    ])
  }
  for (const name of ["hardened", "reference"] as const) {
    const { bytes, entries } = await Effect.runPromise(inBook(name, 5000, bytesOfBook))
    console.log(`a ${name} book of ${entries} entries with all it keeps: ${(bytes / 1e6).toFixed(2)} MB`)
  }
}
