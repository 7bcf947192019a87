import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Duration, Effect, Exit, Fiber, Layer, Metric, Option, References, Stream } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook, type AddressBookChange } from "../../src/addresses/AddressBook.ts"
import { byNetwork } from "../../src/addresses/AddressGroups.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import * as HardenedBook from "../../src/addresses/HardenedBook.ts"
import * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import { BackgroundTaskExited, BackgroundTasks, NetworkClosed } from "../../src/BackgroundTasks.ts"
import { ChainParams, mainnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ConnectionSlots } from "../../src/network/ConnectionSlots.ts"
import { makePace } from "../../src/network/Connector.ts"
import { Crawler } from "../../src/network/Crawler.ts"
import * as Dialer from "../../src/network/Dialer.ts"
import { NetworkEvents } from "../../src/network/NetworkEvents.ts"
import { PeerSet, RequestError } from "../../src/network/PeerSet.ts"
import { ClientDropped, ConnectionReceiveTimeout } from "../../src/peer/Peer.ts"
import { defaults, outboundLimit, Policy } from "../../src/Policy.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { SimRuntime } from "../../src/simulation/SimRuntime.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import { type FakePeer, fakePeer } from "../support/fakePeer.ts"
import { int } from "../support/addressChanges.ts"
import { type BookName, books } from "../support/bookWorld.ts"
import { elapse, turnsOfOthers } from "../support/time.ts"
import { type GossipedAddress, NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import {
  collectEvents,
  type DialLog,
  dialWorld,
  type DialWorldOptions,
  emptyLog,
  gossip,
  type Outcome
} from "../support/dialWorld.ts"

const nobodyAnswers = Effect.fail(new RequestError({ reason: new ConnectionReceiveTimeout() }))

const quick: Partial<Policy> = { crawlInterval: Duration.millis(100) }

/** Runs the crawler for 10 seconds with more addresses than it may connect to, and as much demand. */
const crawlFor10Seconds = (book: BookName, targetPeers: number, outcome: (address: string) => Outcome) => {
  const log = emptyLog()
  const policy = { ...quick, targetPeers }
  const count = 2 * outboundLimit({ ...defaults, ...policy }) + 1
  return Effect.gen(function* () {
    const peerSet = yield* PeerSet
    yield* gossip(count)
    for (let n = 0; n < count; n++) yield* peerSet.demand.offer
    const running = yield* Effect.forkChild(Dialer.run, { startImmediately: true })
    yield* elapse("10 seconds")
    assert.isUndefined(running.pollUnsafe())
    const { connected, dials } = log
    const held = log.held.size
    yield* Fiber.interrupt(running)
    yield* (yield* BackgroundTasks).end(new NetworkClosed())
    assert.strictEqual(log.held.size, 0)
    assert.strictEqual((yield* ConnectionSlots).used("outbound"), 0)
    assert.strictEqual((yield* (yield* AddressBook).entries).length, count)
    return { connected, held, dials }
  }).pipe(Effect.scoped, Effect.provide(dialWorld(log, { book, policy, outcome })), quietly)
}

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

describe.each(books)("the crawler's limit of connections (NB-7), %s", (book) => {
  it.effect("of zero lets nobody be dialled (network 15, crawler_peer_limit_zero_connect_panic)", () =>
    Effect.gen(function* () {
      const { connected, dials } = yield* crawlFor10Seconds(book, 0, () => "stays")
      assert.deepStrictEqual([connected, dials.length], [0, 0])
    })
  )

  for (const [targetPeers, number, name] of [
    [1, 16, "crawler_peer_limit_one_connect_error"],
    [25, 19, "crawler_peer_limit_default_connect_error"]
  ] as const) {
    it.effect(
      `is no reason to stop when every dial fails, with a target of ${targetPeers} (network ${number}, ${name})`,
      () =>
        Effect.gen(function* () {
          const { connected, dials, held } = yield* crawlFor10Seconds(book, targetPeers, () => "fails")
          assert.deepStrictEqual([connected, held], [0, 0])
          assert.isAtLeast(dials.length, targetPeers === 1 ? 7 : 95)
        })
    )
  }

  for (const [targetPeers, number, name] of [
    [1, 17, "crawler_peer_limit_one_connect_ok_then_drop"],
    [15, 20, "crawler_peer_limit_default_connect_ok_then_drop"]
  ] as const) {
    it.effect(`is free again when peers leave, with a target of ${targetPeers} (network ${number}, ${name})`, () =>
      Effect.gen(function* () {
        const { connected } = yield* crawlFor10Seconds(book, targetPeers, () => "leaves")
        assert.isAbove(connected, 3 * targetPeers)
      })
    )
  }

  for (const [targetPeers, number, name] of [
    [1, 18, "crawler_peer_limit_one_connect_ok_stay_open"],
    [25, 21, "crawler_peer_limit_default_connect_ok_stay_open"]
  ] as const) {
    it.effect(`is kept when peers stay, with a target of ${targetPeers} (network ${number}, ${name})`, () =>
      Effect.gen(function* () {
        const { connected, held } = yield* crawlFor10Seconds(book, targetPeers, () => "stays")
        assert.strictEqual(held, 3 * targetPeers)
        assert.strictEqual(connected, held)
      })
    )
  }

  it.effect(
    "is filled by the timer, and refilled (network 22, crawler_refills_spare_outbound_capacity_on_timer; NB-6)",
    () => {
      const log = emptyLog()
      return Effect.gen(function* () {
        yield* gossip(7)
        yield* Effect.forkScoped(Dialer.run, { startImmediately: true })
        yield* elapse("5 seconds")
        assert.deepStrictEqual([log.connected, log.held.size], [3, 3])
        for (const peer of [...log.held].slice(0, 2)) yield* peer.close(new ClientDropped())
        yield* elapse("5 seconds")
        assert.deepStrictEqual([log.connected, log.held.size], [5, 3])
      }).pipe(
        Effect.scoped,
        Effect.provide(
          dialWorld(log, {
            book,
            policy: { targetPeers: 1, crawlInterval: Duration.millis(200) },
            outcome: () => "stays"
          })
        ),
        quietly
      )
    }
  )
})

/** The crawler at work beside the test. */
const runningWith =
  (book: BookName) =>
  <A, E>(
    options: DialWorldOptions,
    test: (log: DialLog) => Effect.Effect<A, E, Layer.Success<ReturnType<typeof dialWorld>>>
  ) => {
    const log = emptyLog()
    return test(log).pipe(Effect.provide(dialWorld(log, { book, ...options })), quietly)
  }

describe.each(books)("dials (%s)", (book) => {
  const running = runningWith(book)

  it.effect("start at least 100 ms apart and record their failures, each with one demand (NB-4)", () =>
    running({ policy: { crawlInterval: Duration.hours(10) }, answer: nobodyAnswers }, (log) =>
      Effect.gen(function* () {
        yield* gossip(5)
        const book = yield* AddressBook
        const failures: Array<AddressBookChange> = []
        yield* book.changes.pipe(
          Stream.filter((change) => change._tag === "Updated" && change.entry.state === "Failed"),
          Stream.runForEach((change) => Effect.sync(() => failures.push(change))),
          Effect.forkChild({ startImmediately: true })
        )
        const crawling = yield* Effect.forkChild(Dialer.run, { startImmediately: true })
        yield* elapse("10 seconds")
        yield* Fiber.interrupt(crawling)
        // The timer wants each candidate, and each failure another one.
        assert.deepStrictEqual([log.dials.length, failures.length, log.demands], [5, 5, 5 + 5])
        for (const [i, { atMillis }] of log.dials.entries()) {
          const before = log.dials[i - 1]
          if (before !== undefined) assert.isAtLeast(atMillis - before.atMillis, 100)
        }
        const states = (yield* book.entries).map(({ services, state }) => [state, services])
        assert.deepStrictEqual(
          states,
          Array.from({ length: 5 }, () => ["Failed", NODE_NETWORK])
        )
      })
    )
  )

  it.effect("that succeed send neither a failure nor demand", () =>
    running({ policy: { fillSpareSlots: false }, outcome: () => "stays" }, (log) =>
      Effect.gen(function* () {
        yield* gossip(3)
        const peerSet = yield* PeerSet
        yield* peerSet.demand.offer
        yield* peerSet.demand.offer
        const crawling = yield* Effect.forkChild(Dialer.run, { startImmediately: true })
        yield* elapse("1 second")
        // Two for the demand there was, one because the first crawl was answered.
        assert.strictEqual(log.dials.length, 3)
        assert.isFalse(peerSet.demand.takeUnsafe())
        const states = (yield* (yield* AddressBook).entries).map(({ state }) => state)
        assert.deepStrictEqual(states, ["AttemptPending", "AttemptPending", "AttemptPending"])
        yield* Fiber.interrupt(crawling)
      })
    )
  )

  it.effect("come after the timer when both are due", () => {
    const order: Array<string> = []
    const answer = Effect.andThen(
      Effect.sync(() => order.push("crawl")),
      nobodyAnswers
    )
    const outcome = () => {
      order.push("dial")
      return "stays" as const
    }
    return running({ answer, outcome }, () =>
      Effect.gen(function* () {
        yield* gossip(1)
        yield* (yield* PeerSet).demand.offer
        const crawling = yield* Effect.forkChild(Dialer.run, { startImmediately: true })
        yield* elapse("1 millis")
        assert.deepStrictEqual(order, ["crawl", "dial"])
        yield* Fiber.interrupt(crawling)
      })
    )
  })

  it.effect("end the crawler, and leave nothing, when the address book dies", () => {
    const dying = Layer.effect(
      AddressBook,
      Effect.map(AddressBook, (book) => ({ ...book, takeCandidate: Effect.die("the book is gone") }))
    )
    const log = emptyLog()
    return Effect.gen(function* () {
      yield* (yield* PeerSet).demand.offer
      const exit = yield* Effect.exit(Dialer.run)
      assert.deepStrictEqual(exit, Exit.die("the book is gone"))
      assert.deepStrictEqual([(yield* ConnectionSlots).used("outbound"), log.dials.length], [0, 0])
    }).pipe(Effect.provide(dying.pipe(Layer.provideMerge(dialWorld(log)))), quietly)
  })

  it.effect("follow a tick without a crawl only while nobody is connected, when spare slots are not filled", () =>
    running({ policy: { ...quick, fillSpareSlots: false }, outcome: () => "stays" }, (log) =>
      Effect.gen(function* () {
        yield* gossip(10)
        const crawling = yield* Effect.forkChild(Dialer.run, { startImmediately: true })
        yield* elapse("1 second")
        // The first tick crawled and dialled; from then on somebody was connected.
        assert.strictEqual(log.dials.length, 1)
        const [first] = log.held
        yield* first!.close(new ClientDropped())
        yield* elapse("100 millis")
        yield* elapse("100 millis")
        assert.strictEqual(log.dials.length, 2)
        yield* Fiber.interrupt(crawling)
      })
    )
  )

  it.effect("take their turns in the order of asking, and whoever gives up leaves the others theirs (EX-11)", () =>
    running({}, () =>
      Effect.gen(function* () {
        const takeTurn = yield* makePace(defaults.dialInterval)
        const turns: Array<string> = []
        const taking = yield* Effect.forEach(["a", "b", "c", "d"], (name) =>
          Effect.forkChild(
            Effect.gen(function* () {
              yield* takeTurn
              turns.push(`${name} ${yield* Effect.clockWith((clock) => clock.currentTimeMillis)}`)
            }),
            { startImmediately: true }
          )
        )
        yield* Fiber.interrupt(taking[1]!)
        yield* elapse("1 second")
        assert.deepStrictEqual(turns, ["a 0", "c 100", "d 200"])
      })
    )
  )

  /** Takes some candidates, is idle, takes more; every one in its turn. */
  const takesInTurn = (addresses: ReadonlyArray<string>, first: number, second: number) =>
    running({}, () =>
      Effect.gen(function* () {
        const takeTurn = yield* makePace(defaults.dialInterval)
        const book = yield* AddressBook
        for (const text of addresses) yield* book.addPeer(PeerSocketAddress.fromStringUnsafe(text))
        const taken: Array<string> = []
        const turns: Array<number> = []
        const take = (count: number) =>
          Effect.forEach(Array.from({ length: count }), () =>
            Effect.gen(function* () {
              taken.push(PeerSocketAddress.format(Option.getOrThrow(yield* book.takeCandidate).address))
              yield* takeTurn
              turns.push(yield* Effect.clockWith((clock) => clock.currentTimeMillis))
            })
          )
        for (const count of [first, second]) {
          const taking = yield* Effect.forkChild(take(count), { startImmediately: true })
          yield* elapse("400 millis")
          yield* Fiber.join(taking)
        }
        assert.strictEqual(new Set(taken).size, first + second)
        const all = (count: number, from: number) => Array.from({ length: count }, (_, i) => from + i * 100)
        assert.deepStrictEqual(turns, [...all(first, 0), ...all(second, 400)])
      })
    )

  it.effect.prop(
    "take their turns without credit for idle time (CS-P3, new_outbound_peer_connections_are_rate_limited)",
    {
      hosts: Arbitrary.array(int(1, 0xffff), { minLength: 8, maxLength: 8 }),
      first: int(0, 3),
      second: int(0, 3)
    },
    ({ first, hosts, second }) =>
      takesInTurn(
        hosts.map((host, i) => `10.${i}.${host >> 8}.${host & 255}:8233`),
        first,
        second
      ),
    { arbitrary: { runs: 16 } }
  )

  it.effect("do so with an unspecified address among them, and one in two spellings (CS-P3)", () =>
    takesInTurn(
      [
        "0.0.0.0:8233",
        "[::]:8233",
        "127.0.0.1:8233",
        "[::ffff:127.0.0.1]:8233",
        "10.0.0.1:8233",
        "10.2.0.1:8233",
        "10.3.0.1:8233",
        "10.4.0.1:8233",
        "10.5.0.1:8233"
      ],
      3,
      3
    )
  )
})

describe.each(books)("the crawler's loop (%s)", (book) => {
  const running = runningWith(book)

  const rarely = { crawlInterval: Duration.hours(10) }

  it.effect("gives everybody else a turn after each demand it looked at", () =>
    running({ policy: rarely }, () =>
      Effect.gen(function* () {
        const turns = yield* turnsOfOthers
        const { demand } = yield* PeerSet
        yield* gossip(75)
        while (yield* demand.offer) continue
        const before = turns()
        yield* Effect.forkScoped(Dialer.run, { startImmediately: true })
        while (demand.takeUnsafe()) yield* Effect.yieldNow
        // Half of them may have been taken here.
        assert.isAtLeast(turns() - before, 37)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("looks once when nobody is due, however many are wanted", () => {
    let looked = 0
    const counting = Layer.effect(
      AddressBook,
      Effect.map(AddressBook, (book) => ({
        ...book,
        takeCandidate: Effect.suspend(() => {
          looked++
          return book.takeCandidate
        })
      }))
    )
    return Effect.gen(function* () {
      const { demand } = yield* PeerSet
      while (yield* demand.offer) continue
      yield* Effect.forkScoped(Dialer.run, { startImmediately: true })
      yield* elapse("1 millis")
      assert.strictEqual(looked, 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(counting.pipe(Layer.provideMerge(dialWorld(emptyLog(), { policy: rarely })))),
      quietly
    )
  })

  it.effect("asks for more only after a crawl that really ran, so that an idle node is idle", () =>
    running({ policy: rarely }, (log) =>
      Effect.gen(function* () {
        const { demand } = yield* PeerSet
        yield* demand.offer
        yield* Effect.forkScoped(Dialer.run, { startImmediately: true })
        yield* elapse("10 seconds", "1 second")
        assert.strictEqual(log.crawls.length, 1)
        for (let n = 0; n < 10; n++) {
          assert.isFalse(demand.takeUnsafe())
          yield* Effect.yieldNow
        }
      }).pipe(Effect.scoped)
    )
  )

  it.effect("counts what is under way, and nothing any more when it is over (network 4.1)", () =>
    running({ policy: rarely, outcome: () => "stays" }, (log) =>
      Effect.gen(function* () {
        const inFlight = Effect.map(
          Metric.snapshot,
          (metrics) => metrics.find(({ id }) => id === "crawler.in_flight_handshakes")?.state
        )
        yield* gossip(3)
        yield* Effect.forkScoped(Dialer.run, { startImmediately: true })
        // The third dial waits for its turn.
        yield* elapse("150 millis")
        assert.deepInclude(yield* inFlight, { value: 1 })
        yield* elapse("10 seconds", "1 second")
        assert.strictEqual(log.held.size, 3)
        assert.deepInclude(yield* inFlight, { value: 0 })
      }).pipe(Effect.scoped, Effect.provideService(Metric.MetricRegistry, new Map()))
    )
  )

  it.effect("goes on while dials wait for their turns", () =>
    running({ policy: { crawlInterval: Duration.seconds(31), dialInterval: Duration.minutes(10) } }, (log) =>
      Effect.gen(function* () {
        yield* gossip(10)
        yield* Effect.forkScoped(Dialer.run, { startImmediately: true })
        yield* elapse("63 seconds", "1 second")
        assert.strictEqual(log.dials.length, 1)
        assert.deepStrictEqual(log.crawls, [0, 31_000, 62_000])
      }).pipe(Effect.scoped)
    )
  )
})

describe.each(books)("crawls (%s)", (book) => {
  const running = runningWith(book)

  const crawlLimit = { policy: { crawlInterval: Duration.hours(10) } }

  it.effect("ask once in 31 seconds, however often they are wanted (CS-6)", () =>
    running(crawlLimit, (log) =>
      Effect.gen(function* () {
        const crawler = yield* Crawler
        const answered: Array<boolean> = []
        for (let n = 0; n < 9; n++) {
          answered.push(yield* crawler.crawlOnce())
          yield* elapse("10334 millis", "1 second")
        }
        assert.deepStrictEqual(log.crawls, [0, 31_002, 62_004])
        assert.deepStrictEqual(answered, [true, false, false, true, false, false, true, false, false])
      })
    )
  )

  it.effect("of a start count for the limit like any other (CS-7)", () =>
    running(crawlLimit, (log) =>
      Effect.gen(function* () {
        const crawler = yield* Crawler
        assert.isTrue(yield* crawler.crawlOnce(1))
        assert.isFalse(yield* crawler.crawlOnce())
        yield* elapse("15500 millis", "1 second")
        assert.isFalse(yield* crawler.crawlOnce())
        yield* elapse("31 seconds", "1 second")
        assert.isTrue(yield* crawler.crawlOnce())
        assert.strictEqual(log.crawls.length, 2)
      })
    )
  )

  it.effect("that ask nobody cost nothing", () =>
    running(crawlLimit, (log) =>
      Effect.gen(function* () {
        const crawler = yield* Crawler
        assert.isFalse(yield* crawler.crawlOnce(0))
        assert.isTrue(yield* crawler.crawlOnce(1))
        assert.strictEqual(log.crawls.length, 1)
      })
    )
  )

  it.effect("under way let no other begin, and end after 8 seconds (CS-8)", () =>
    running({ ...crawlLimit, answer: Effect.never }, (log) =>
      Effect.gen(function* () {
        const crawler = yield* Crawler
        const first = yield* Effect.forkChild(crawler.crawlOnce(), { startImmediately: true })
        yield* elapse("7 seconds")
        assert.isFalse(yield* crawler.crawlOnce())
        yield* elapse("1 second")
        assert.isFalse(yield* Fiber.join(first))
        assert.strictEqual(log.crawls.length, 1)
        yield* elapse("30 seconds", "1 second")
        assert.isFalse(yield* crawler.crawlOnce())
        yield* elapse("1 second")
        yield* Effect.forkChild(crawler.crawlOnce(), { startImmediately: true })
        assert.strictEqual(log.crawls.length, 2)
      })
    )
  )

  it.effect("that fail, or are interrupted, let the next one begin in its time (CS-9, EX-12)", () =>
    running({ ...crawlLimit, answer: nobodyAnswers }, (log) =>
      Effect.gen(function* () {
        const crawler = yield* Crawler
        assert.isFalse(yield* crawler.crawlOnce())
        yield* elapse("60 seconds", "1 second")
        const interrupted = yield* Effect.forkChild(crawler.crawlOnce(), { startImmediately: true })
        yield* Fiber.interrupt(interrupted)
        yield* elapse("60 seconds", "1 second")
        yield* crawler.crawlOnce()
        assert.deepStrictEqual(log.crawls, [0, 60_000, 120_000])
      })
    )
  )

  it.effect("add everything one answer tells to the book, in pieces (CS-10)", () => {
    const addresses = Array.from({ length: 250 }, (_, i) => ({
      address: PeerSocketAddress.fromStringUnsafe(`20.${i}.1.1:8233`),
      services: NODE_NETWORK,
      lastSeenSeconds: 0
    }))
    return running({ ...crawlLimit, answer: Effect.succeed({ _tag: "Peers", addresses }) }, () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        const totals: Array<number> = []
        yield* book.metrics.changes.pipe(
          Stream.runForEach(({ total }) => Effect.sync(() => totals.push(total))),
          Effect.forkChild({ startImmediately: true })
        )
        yield* elapse("1 millis")
        assert.isTrue(yield* (yield* Crawler).crawlOnce(1))
        yield* elapse("1 millis")
        assert.deepStrictEqual(totals, [0, 100, 200, 250])
      })
    )
  })

  it.effect(
    "believe nobody who was seen later than now, and take all of such an answer back by as much (CS-P3)",
    () => {
      const now = 1_000_000_000
      const addresses = [now + 300, now - 1000].map((lastSeenSeconds, i) => ({
        address: PeerSocketAddress.fromStringUnsafe(`20.${i}.1.1:8233`),
        services: NODE_NETWORK,
        lastSeenSeconds
      }))
      return running({ ...crawlLimit, answer: Effect.succeed({ _tag: "Peers", addresses }) }, () =>
        Effect.gen(function* () {
          yield* TestClock.setTime(now * 1000 + 999)
          const events = yield* collectEvents
          yield* (yield* Crawler).crawlOnce(1)
          yield* elapse("1 millis")
          assert.deepStrictEqual(events, [{ _tag: "AddressesLearned", count: 2, added: 2, at: now * 1000 + 999 }])
          const entries = yield* (yield* AddressBook).entries
          assert.sameMembers(entries.map(PeerAddress.lastSeenSeconds), [now, now - 1300])
        }).pipe(Effect.scoped)
      )
    }
  )

  it.effect("end the crawler when the peer set has ended", () => {
    const error = new BackgroundTaskExited({ task: "listener", cause: "gone" })
    return running({ policy: quick }, () =>
      Effect.gen(function* () {
        const crawling = yield* Effect.forkChild(Dialer.run, { startImmediately: true })
        yield* elapse("1 second")
        assert.isUndefined(crawling.pollUnsafe())
        yield* Fiber.interrupt(crawling)
      })
    ).pipe(
      Effect.andThen(
        running({ policy: quick, answer: Effect.fail(new RequestError({ reason: error })) }, () =>
          Effect.gen(function* () {
            assert.strictEqual(yield* Effect.flip(Dialer.run), error)
          })
        )
      )
    )
  })

  it.effect("that find no candidate take no turn (CS-P2, EX-11)", () =>
    running({ policy: quick }, (log) =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        const before = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        for (let n = 0; n < 7; n++) assert.isTrue((yield* book.takeCandidate)._tag === "None")
        assert.strictEqual(yield* Effect.clockWith((clock) => clock.currentTimeMillis), before)
        assert.isEmpty(log.dials)
      })
    )
  )
})

describe("whom a crawl asks (E8)", () => {
  /** A crawler among these peers, who are asked `answers` by the id of who is asked. */
  const among = (
    peers: ReadonlyArray<FakePeer>,
    answers: (id: number) => Effect.Effect<ReadonlyArray<GossipedAddress>>,
    policy: Partial<Policy> = {}
  ) => {
    const asked: Array<number> = []
    const peerSet = PeerSet.layerTest({
      peersUnsafe: () => peers,
      request: {
        Peers: (_request, options) =>
          Effect.suspend(() => {
            // Nobody else is left.
            const [peer, ...others] = peers.filter(({ id }) => options?.exclude?.has(id) !== true)
            assert.isEmpty(others)
            asked.push(peer!.id)
            return Effect.map(answers(peer!.id), (addresses) => ({ _tag: "Peers" as const, addresses }))
          })
      }
    })
    const layer = Crawler.layer.pipe(
      Layer.provideMerge(Layer.mergeAll(peerSet, AddressBook.layer.pipe(Layer.provideMerge(BanList.layer)))),
      Layer.provideMerge(
        Layer.mergeAll(
          BackgroundTasks.layer,
          NetworkEvents.layer,
          OwnAddress.layerNone,
          SeededRandom.layer(7, "chance")
        )
      ),
      Layer.provideMerge(Layer.succeed(ChainParams, mainnet)),
      Layer.provideMerge(Policy.layer(policy))
    )
    return { asked, layer }
  }
  /** Peer `id`, of network `network`. */
  const peer = (id: number, network: number, inbound = false) =>
    fakePeer({ id, address: `40.${network}.${id}.7:8233`, inbound })
  const told = (text: string): GossipedAddress => ({
    address: PeerSocketAddress.fromStringUnsafe(text),
    services: NODE_NETWORK,
    lastSeenSeconds: 0
  })
  const nothing = () => Effect.succeed([])

  it.effect("is three outbound peers of distinct networks, in turn, and none of a crowd more often than others", () => {
    const crowd = Array.from({ length: 20 }, (_, n) => peer(n, 1))
    const { asked, layer } = among([...crowd, peer(30, 2), peer(31, 3), peer(32, 4), peer(33, 5), peer(34, 6)], nothing)
    return Effect.gen(function* () {
      const crawler = yield* Crawler
      const networks: Array<number> = []
      for (let crawl = 0; crawl < 4; crawl++) {
        const before = asked.length
        assert.isTrue(yield* crawler.crawlOnce())
        const now = asked.slice(before).map((id) => (id < 30 ? 1 : id - 28))
        assert.strictEqual(new Set(now).size, 3)
        networks.push(...now)
        yield* elapse("32 seconds", "1 second")
      }
      const turns = [1, 2, 3, 4, 5, 6].map((network) => networks.filter((one) => one === network).length)
      assert.deepStrictEqual(turns, [2, 2, 2, 2, 2, 2])
    }).pipe(Effect.provide(layer), quietly)
  })

  it.effect("is as many of distinct groups as the policy says", () => {
    const peers = [peer(1, 1), peer(2, 2), peer(3, 3), peer(4, 4)]
    const { asked, layer } = among(peers, nothing, { crawlGroups: 2, crawlFanout: 4 })
    return Effect.gen(function* () {
      yield* (yield* Crawler).crawlOnce()
      assert.lengthOf(asked, 2)
    }).pipe(Effect.provide(layer), quietly)
  })

  it.effect("is whomever the peer set chooses, so many times, where the reference's crawler runs", () => {
    let asked = 0
    const peerSet = PeerSet.layerTest({
      peersUnsafe: () => [peer(1, 1), peer(2, 2)],
      request: {
        Peers: (_request, options) =>
          Effect.sync(() => {
            assert.isUndefined(options?.exclude)
            return { _tag: "Peers" as const, addresses: [told(`50.${++asked}.1.1:8233`)] }
          })
      }
    })
    return Effect.gen(function* () {
      const crawler = yield* Crawler
      assert.isTrue(yield* crawler.crawlOnce())
      assert.strictEqual(asked, 4)
      assert.lengthOf(yield* (yield* AddressBook).entries, 4)
      yield* elapse("32 seconds", "1 second")
      assert.isTrue(yield* crawler.crawlOnce(3))
      assert.strictEqual(asked, 4 + 3)
      yield* elapse("32 seconds", "1 second")
      // More than that is never asked.
      assert.isTrue(yield* crawler.crawlOnce(5))
      assert.strictEqual(asked, 4 + 3 + 4)
    }).pipe(
      Effect.provide(
        Crawler.layerReference.pipe(
          Layer.provideMerge(
            Layer.mergeAll(peerSet, AddressBook.layerReference.pipe(Layer.provideMerge(BanList.layer)))
          ),
          Layer.provideMerge(Layer.mergeAll(BackgroundTasks.layer, NetworkEvents.layer, OwnAddress.layerNone)),
          Layer.provideMerge(Layer.succeed(ChainParams, mainnet)),
          Layer.provideMerge(Policy.layer({ crawlGroups: 1, crawlFanout: 4 }))
        )
      ),
      quietly
    )
  })

  it.effect("waits for none of the others: what two tell is in the book while the third says nothing", () => {
    const { layer } = among([peer(1, 1), peer(2, 2), peer(3, 3)], (id) =>
      id === 2 ? Effect.never : Effect.succeed([told(`50.${id}.1.1:8233`)])
    )
    return Effect.gen(function* () {
      const crawling = yield* Effect.forkChild((yield* Crawler).crawlOnce(), { startImmediately: true })
      yield* elapse("10 millis")
      const known = (yield* (yield* AddressBook).entries).map(({ address }) => PeerSocketAddress.format(address))
      assert.sameMembers(known, ["50.1.1.1:8233", "50.3.1.1:8233"])
      yield* Fiber.interrupt(crawling)
    }).pipe(Effect.provide(layer), quietly)
  })

  it.effect("believes one that dialled us what it says of itself, and of others three", () => {
    const { asked, layer } = among([peer(1, 1), peer(9, 9, true)], (id) =>
      Effect.succeed(
        id === 1 ? [] : [told("40.9.9.7:8233"), ...Array.from({ length: 30 }, (_, n) => told(`50.${n}.1.1:8233`))]
      )
    )
    return Effect.gen(function* () {
      yield* (yield* Crawler).crawlOnce()
      assert.deepStrictEqual(asked, [1, 9])
      const known = (yield* (yield* AddressBook).entries).map(({ address }) => PeerSocketAddress.format(address))
      assert.sameMembers(known, ["40.9.9.7:8233", "50.0.1.1:8233", "50.1.1.1:8233", "50.2.1.1:8233"])
    }).pipe(Effect.provide(layer), quietly)
  })
})

describe("places for those met a day ago (E6)", () => {
  it.effect("are a quarter of the outbound ones: they have them when they come back, whoever asked first", () => {
    const log = emptyLog()
    const text = (network: number) => `40.${network}.1.1:8233`
    const old = [1, 2, 3, 4].map(text)
    const newcomers = Array.from({ length: 60 }, (_, n) => text(100 + n))
    let areOldBack = false
    const saved = old.map((one) => ({
      address: PeerSocketAddress.fromStringUnsafe(one),
      table: "tried" as const,
      source: "40.0",
      services: NODE_NETWORK,
      untrustedLastSeenSeconds: undefined,
      lastResponseSeconds: -3600,
      firstSuccessSeconds: -86_400,
      failures: 0
    }))
    const book = Layer.effect(
      AddressBook,
      Effect.map(
        HardenedBook.makeFrom({
          key: new Uint8Array(32),
          groups: byNetwork,
          rules: HardenedBook.allRules,
          saved,
          anchors: []
        }),
        (made) => made.book
      )
    )
    const held = () => [...log.held].map(({ transientAddress }) => PeerSocketAddress.format(transientAddress!))
    return Effect.gen(function* () {
      const known = yield* AddressBook
      yield* known.addGossiped(
        newcomers.map((one) => ({
          address: PeerSocketAddress.fromStringUnsafe(one),
          services: NODE_NETWORK,
          lastSeenSeconds: 0
        }))
      )
      yield* Effect.forkScoped(Dialer.run, { startImmediately: true })
      for (let minute = 0; minute < 20; minute++) {
        areOldBack = minute >= 3
        for (let part = 0; part < 6; part++) {
          yield* Effect.sleep("10 seconds")
          for (const one of held()) {
            const address = PeerSocketAddress.fromStringUnsafe(one)
            if (part === 0) yield* known.record({ _tag: "UpdateResponded", address, roundTrip: undefined })
          }
          // Of twelve places three are theirs, whether they are there or not.
          assert.isAtMost(held().filter((one) => newcomers.includes(one)).length, 9)
        }
      }
      assert.strictEqual((yield* ConnectionSlots).used("outbound"), 12)
      assert.lengthOf(
        held().filter((one) => old.includes(one)),
        3
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(
        dialWorld(log, {
          book,
          policy: { targetPeers: 4 },
          outcome: (one) => (old.includes(one) && !areOldBack ? "fails" : "stays")
        })
      ),
      quietly,
      SimRuntime.within("1 hour")
    )
  })
})
