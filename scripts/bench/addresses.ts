/**
 * What the address book costs with 500, 5,000 and 50,000 entries: per change, per candidate, per `getaddr` that a peer sends,
 * and per answer that is made afresh.
 *
 *     npm run bench -- addresses [--millis 500]
 *
 * None of them sorts, copies or looks at the whole book. A fresh answer is made every ten minutes and shared by all peers;
 * it tells half of 500 entries and 1,000 of 5,000, so it takes four times as long, and each address it tells the same.
 *
 * The three books are there together and measured in turn, a round of each, so whatever else the machine does slows all of
 * them down; what is told is the median of the rounds. Candidates are taken from books all of whose entries were met: whoever
 * is taken answers before the next round, so a take finds every book as the one before did, however often it was taken from.
 * The small book is then in the processor's caches, and of the large one every entry is a new one: this is in the ratio.
 * Needs nothing, writes nothing.
 */
import { parseArgs } from "node:util"
import { Clock, Effect, Layer, ManagedRuntime, Option, References } from "effect"
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
  Policy
} from "network-effect"
import { median } from "./support/figures.ts"
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

/** A handshake with it. */
const answers = Effect.fnUntraced(function* (address: PeerSocketAddress.PeerSocketAddress) {
  const book = yield* AddressBook
  yield* book.record({
    _tag: "UpdateConnected",
    address,
    services: NODE_NETWORK,
    isInbound: false,
    userAgent: "/bench/",
    negotiatedVersion: 170_190
  })
})

type BookName = "hardened" | "reference"

/** A book that has room for twice as many entries: no bucket is full. */
const layerOf = (name: BookName, count: number) =>
  NodeAnswers.layer.pipe(
    Layer.provideMerge(name === "hardened" ? AddressBook.layer : AddressBook.layerReference),
    Layer.provide(BanList.layer),
    Layer.provide([
      BackgroundTasks.layer,
      OwnAddress.layerNone,
      Layer.succeed(ChainParams, mainnet),
      SecureRandom.layerWebCrypto
    ]),
    Layer.provideMerge(TestClock.layer()),
    Layer.provideMerge(Layer.succeed(Policy, { ...defaults, addressBookCapacity: 2 * count })),
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
  )

/** Microseconds since then. */
const microsSince = (started: bigint) => Number(process.hrtime.bigint() - started) / 1000

const takes = 50

/** One round of each: microseconds of one of its kind. What is not measured makes the book ready for the next round. */
const roundsOf = Effect.fnUntraced(function* (count: number) {
  const book = yield* fill(count)
  const { answer } = yield* InboundRequests
  let n = 0
  const fresh = Effect.gen(function* () {
    const started = process.hrtime.bigint()
    yield* book.gossip
    return microsSince(started)
  })
  const getaddr = Effect.gen(function* () {
    const started = process.hrtime.bigint()
    yield* Effect.replicateEffect(answer({ _tag: "Peers" }), 100, { discard: true })
    return microsSince(started) / 100
  })
  const update = Effect.gen(function* () {
    const started = process.hrtime.bigint()
    for (let times = 0; times < 200; times++) {
      n = (n + 7) % count
      yield* book.record({ _tag: "UpdateResponded", address: addressOf(n), roundTrip: undefined })
    }
    const micros = microsSince(started) / 200
    yield* TestClock.adjust("6 seconds")
    return micros
  })
  /** Before the first candidate. */
  const meetAll = Effect.gen(function* () {
    yield* TestClock.adjust("1 hour")
    for (let n = 0; n < count; n++) {
      yield* book.record({ _tag: "UpdateAttempt", address: addressOf(n) })
      yield* answers(addressOf(n))
      if (n % takes === 0) yield* TestClock.adjust("150 seconds")
    }
    // All of an hour's waiting is over with the first one.
    yield* TestClock.adjust("1 hour")
    yield* book.takeCandidate
    yield* TestClock.adjust("150 seconds")
  })
  const candidate = Effect.gen(function* () {
    const taken: Array<PeerSocketAddress.PeerSocketAddress> = []
    const started = process.hrtime.bigint()
    for (let times = 0; times < takes; times++) {
      const entry = yield* book.takeCandidate
      if (Option.isSome(entry)) taken.push(entry.value.address)
    }
    const micros = microsSince(started) / Math.max(1, taken.length)
    for (const address of taken) yield* answers(address)
    yield* TestClock.adjust("150 seconds")
    return micros
  })
  // First, while nothing is too old to be told.
  const { length: told } = yield* book.gossip
  const { length: entries } = yield* book.entries
  return { entries, told, fresh, getaddr, update, meetAll, candidate }
})

const sizes = [500, 5000, 50_000] as const

/** Rounds before those that count, and so many that count at least. */
const [warmUp, fewest] = [20, 20]

/** Microseconds with each size, the smallest first. */
const inTurn = async (millis: number, rounds: ReadonlyArray<() => Promise<number>>): Promise<ReadonlyArray<number>> => {
  const micros = rounds.map((): Array<number> => [])
  let end = process.hrtime.bigint()
  for (let round = 0; round < warmUp + fewest || process.hrtime.bigint() < end; round++) {
    if (round === warmUp) end = process.hrtime.bigint() + BigInt(Math.round(millis * rounds.length * 1e6))
    for (const [index, measure] of rounds.entries()) {
      const one = await measure()
      if (round >= warmUp) micros[index]?.push(one)
    }
  }
  return micros.map(median)
}

const measure = async (name: BookName, millis: number) => {
  const books = await Promise.all(
    sizes.map(async (count) => {
      const runtime = ManagedRuntime.make(layerOf(name, count))
      return { runtime, rounds: await runtime.runPromise(roundsOf(count)) }
    })
  )
  const of = (what: "fresh" | "getaddr" | "update" | "candidate") =>
    inTurn(
      millis,
      books.map(
        ({ rounds, runtime }) =>
          () =>
            runtime.runPromise(rounds[what])
      )
    )
  const fresh = await of("fresh")
  const getaddr = await of("getaddr")
  const update = await of("update")
  for (const { rounds, runtime } of books) await runtime.runPromise(rounds.meetAll)
  const candidate = await of("candidate")
  for (const { runtime } of books) await runtime.dispose()
  const perAddress = fresh.map((micros, index) => micros / (books[index]?.rounds.told ?? 1))
  return { entries: books.map(({ rounds }) => rounds.entries), fresh, getaddr, update, candidate, perAddress }
}

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
    const { entries, ...micros } = await measure(name, millis)
    const row = (what: string, key: keyof typeof micros) => {
      const [small = 0, large = 0, huge = 0] = micros[key]
      return {
        what,
        "500, µs": Number(small.toFixed(3)),
        "5,000, µs": Number(large.toFixed(3)),
        "50,000, µs": Number(huge.toFixed(3)),
        "5,000 : 500": Number((large / small).toFixed(2)),
        "50,000 : 500": Number((huge / small).toFixed(2))
      }
    }
    console.log(`${name}: ${entries.join(", ")} entries`)
    console.table([
      row("update", "update"),
      row("take candidate", "candidate"),
      row("gossip answer to one getaddr", "getaddr"),
      row("fresh gossip answer, per address told", "perAddress"),
      row("fresh gossip answer, whole", "fresh")
    ])
  }
  for (const name of ["hardened", "reference"] as const) {
    const { bytes, entries } = await Effect.runPromise(Effect.provide(bytesOfBook, layerOf(name, 5000)))
    console.log(`a ${name} book of ${entries} entries with all it keeps: ${(bytes / 1e6).toFixed(2)} MB`)
  }
}
