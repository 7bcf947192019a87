/** The page's stream: what a reader knows after each second is what there is, however little was sent. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, PubSub, Stream } from "effect"
import type { NetworkEvent } from "../../src/network/NetworkEvents.ts"
import { apply, begin } from "../../src/status/page/state.js"
import { difference, type Look } from "../../src/status/Live.ts"
import * as LiveFeed from "../../src/status/LiveFeed.ts"
import {
  AddressCounts,
  type LiveLink,
  type LiveNode,
  type LivePeer,
  type LiveSnapshot,
  type LiveTick
} from "../../src/status/StatusApi.ts"
import { linesOf } from "../support/logs.ts"
import { elapse, settle } from "../support/time.ts"

const counts = (total: number) =>
  new AddressCounts({
    responded: total,
    neverAttempted: 0,
    failed: 0,
    attemptPending: 0,
    recentlyLive: 0,
    recentlyStoppedResponding: 0,
    total,
    limit: 5000
  })

const peer = (id: number, received = 0): LivePeer => ({
  id,
  addr: `192.0.2.${id}:8233`,
  inbound: false,
  network: "192.0",
  agent: "/a/",
  version: 170_190,
  since: 0,
  now: [id, received, 0, null, "Ready"]
})

const empty: Look = {
  totals: [0, 0],
  health: {
    network: "Regtest",
    userAgent: "/a/",
    version: 170_190,
    listen: null,
    wanted: 2,
    inboundLimit: 20,
    outboundLimit: 12
  },
  book: counts(0),
  bans: [],
  added: [],
  peers: [],
  nodes: [],
  links: []
}

/** As a snapshot would tell it. */
const snapshotOf = (look: Look): LiveSnapshot => ({
  _tag: "Snapshot",
  process: "p",
  tick: 0,
  history: { seconds: [], minutes: [] },
  events: [],
  ...look
})

/** What a page shows of it, in an order of its own. */
const shown = ({ book, bans, added, links, nodes, peers }: ReturnType<typeof begin>) => ({
  book: { ...book },
  bans,
  added,
  links: [...links.keys()].toSorted(),
  nodes: [...nodes.values()].toSorted(([a], [b]) => a - b),
  peers: [...peers.values()].toSorted((a, b) => a.id - b.id)
})

describe("what changed", () => {
  it("is nothing but the totals when nothing has", () => {
    const { changes } = difference({ ...empty, peers: [peer(1)] }, { ...empty, peers: [peer(1)] }, 1)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(changes)), { totals: [0, 0] })
  })

  it("tells a peer's bytes every other second, and none is left out", () => {
    const ids = [1, 2, 3, 4]
    const before = { ...empty, peers: ids.map((id) => peer(id)) }
    const after = { ...empty, peers: ids.map((id) => peer(id, 100)) }
    const first = difference(before, after, 1)
    assert.deepStrictEqual(
      first.changes.peersNow?.map(([id]) => id),
      [1, 3]
    )
    assert.deepStrictEqual(
      difference(first.told, after, 2).changes.peersNow?.map(([id]) => id),
      [2, 4]
    )
  })

  it("is below 5 KB a second with 60 nodes that all talk, of which a page sees connections come and go", () => {
    const look = (second: number): Look => ({
      ...empty,
      totals: [second * 100_000, second * 100_000],
      book: counts(60 + (second % 7)),
      peers: Array.from({ length: 59 }, (_, n) => ({
        ...peer(n, second * 1000),
        agent: "/network-effect:0.1.0/",
        now: [n, 1_000_000 + second * 1000, 1_000_000 + second * 900, 100 + (second % 100) / 7, "Ready"]
      })),
      nodes: Array.from({ length: 60 }, (_, n) => [n, `127.0.0.${n}:18233`, "/network-effect:0.1.0/", 170_190]),
      // Twenty of them end and twenty begin each second.
      links: Array.from({ length: 800 }, (_, n) => [(n + 20 * second) % 60, Math.floor((n + 20 * second) / 60) % 60])
    })
    let { told } = difference(empty, look(0), 0)
    let bytes = 0
    for (let second = 1; second <= 60; second++) {
      const next = difference(told, look(second), second)
      told = next.told
      bytes += JSON.stringify(next.changes).length
    }
    assert.isBelow(bytes / 60, 4000, "the rest is for the sample and the events")
    assert.isAbove(bytes / 60, 1000)
  })

  it("makes of what a page knew what there is now, over random lives", () => {
    // A small generator of its own: the same lives each time.
    let seed = 7
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
      return seed % below
    }
    const some = <A>(make: (n: number) => A) =>
      Array.from({ length: 12 }, (_, n) => n).flatMap((n) => (random(3) === 0 ? [] : [make(n)]))
    let told = empty
    const page = begin(snapshotOf(empty))
    for (let tick = 1; tick <= 150; tick++) {
      // It stays for two seconds, after which all of it is known.
      const nodes = some((n): LiveNode => [n, `127.0.0.${n}:1`, "/a/", 170_190])
      const here = new Set(nodes.map(([number]) => number))
      const links = some((n): LiveLink => [n, random(12)]).filter(([a, b]) => here.has(a) && here.has(b))
      const look = {
        ...empty,
        book: counts(random(3)),
        bans: some((n) => ({ group: `192.0.2.${n}`, reason: "", until: 1 })),
        added: some((n) => `192.0.2.${n}:1`),
        peers: some((n) => peer(n, random(5))),
        nodes,
        links
      }
      for (const turn of [2 * tick, 2 * tick + 1]) {
        const next = difference(told, look, turn)
        told = next.told
        apply(page, JSON.parse(JSON.stringify({ tick: turn, sample: [], ...next.changes })))
      }
      assert.deepStrictEqual(shown(page), shown(begin(snapshotOf(look))), `second ${tick}`)
    }
  })
})

describe("the page's stream", () => {
  const world = Effect.gen(function* () {
    const source = yield* PubSub.bounded<NetworkEvent>(1024)
    const state = { look: empty, received: 0, looks: 0, isBroken: false }
    const feed = yield* LiveFeed.make({
      events: Stream.fromPubSub(source),
      sample: Effect.sync(() => ({
        received: state.received,
        sent: 0,
        inbound: state.look.peers.length,
        outbound: 0,
        latency: null,
        responded: 0,
        neverAttempted: 0,
        attemptPending: 0,
        failed: 0
      })),
      look: Effect.sync(() => {
        state.looks++
        if (state.isBroken) throw new Error("a test")
        return state.look
      })
    })
    yield* settle
    return { feed, state, happens: (...events: ReadonlyArray<NetworkEvent>) => PubSub.publishAll(source, events) }
  })

  const parse = (pieces: Iterable<Uint8Array>): ReadonlyArray<LiveSnapshot | LiveTick> =>
    [...pieces].flatMap((piece) =>
      [
        ...Buffer.from(piece)
          .toString()
          .matchAll(/^event: (\w+)\ndata: (.*)\n\n/gm)
      ].map(([, name = "", text = ""]) => {
        const message = JSON.parse(text) as LiveSnapshot | LiveTick
        assert.strictEqual(name, message._tag.toLowerCase())
        return message
      })
    )
  const learned = (count: number): NetworkEvent => ({ _tag: "AddressesLearned", at: 0, count, added: 0 })

  it.effect("begins with all of it and the time before, and goes on with each second", () =>
    Effect.gen(function* () {
      const { feed, happens, state } = yield* world
      yield* happens(learned(1))
      state.received = 500
      yield* elapse("1 second")
      state.look = { ...empty, peers: [peer(1)] }
      state.received = 2500
      yield* elapse("1 second")
      assert.strictEqual(state.looks, 0, "nobody reads")
      const pull = yield* Stream.toPull(feed.stream)
      const [snapshot] = parse(yield* pull)
      assert.deepInclude(snapshot, { _tag: "Snapshot", peers: [peer(1)], events: [[0, learned(1)]] })
      assert.deepStrictEqual(
        snapshot?._tag === "Snapshot" ? snapshot.history.seconds.map(([, received]) => received) : [],
        [0, 500, 2000]
      )
      state.look = { ...empty, peers: [peer(1), peer(2)] }
      yield* happens(learned(2))
      yield* elapse("1 second")
      const [tick] = parse(yield* pull)
      assert.deepInclude(tick, { _tag: "Tick", peersCame: [peer(2)], events: [[1, learned(2)]] })
    }).pipe(Effect.scoped)
  )

  it.effect("keeps the time before, for readers that come later and for /history", () =>
    Effect.gen(function* () {
      const { feed } = yield* world
      yield* elapse("130 seconds")
      const { minutes, seconds } = yield* feed.history
      // The first one is taken at once; the clock began with a minute.
      assert.lengthOf(seconds, 131)
      assert.deepStrictEqual(
        minutes.map(([at]) => at),
        [59_000, 119_000]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("gives a reader that fell behind all of it again, and holds up no other", () =>
    Effect.gen(function* () {
      const { feed, state } = yield* world
      const slow = yield* Stream.toPull(feed.stream)
      yield* slow
      const quick = yield* Stream.toPull(feed.stream)
      yield* quick
      for (let n = 1; n <= LiveFeed.waitingPieces + 5; n++) {
        state.look = { ...empty, peers: [peer(n)] }
        yield* elapse("1 second")
        assert.deepInclude(parse(yield* quick)[0], { _tag: "Tick", peersCame: [peer(n)] })
      }
      assert.deepInclude(parse(yield* slow)[0], { _tag: "Snapshot", peers: [peer(LiveFeed.waitingPieces + 5)] })
      state.look = { ...empty, peers: [] }
      yield* elapse("1 second")
      assert.deepInclude(parse(yield* slow)[0], { _tag: "Tick", peersWent: [LiveFeed.waitingPieces + 5] })
    }).pipe(Effect.scoped)
  )

  it.effect("goes on with the next second after those in which looking was a bug, which is told once a minute", () =>
    Effect.gen(function* () {
      const lines = yield* linesOf(
        Effect.gen(function* () {
          const { feed, state } = yield* world
          const pull = yield* Stream.toPull(feed.stream)
          yield* pull
          state.isBroken = true
          yield* elapse("50 seconds", "1 second")
          state.isBroken = false
          state.look = { ...empty, peers: [peer(1)] }
          yield* elapse("1 second")
          // A reader that has not had a second gets all of it.
          assert.deepInclude(parse(yield* pull)[0], { _tag: "Snapshot", peers: [peer(1)] })
        }).pipe(Effect.scoped)
      )
      assert.deepStrictEqual(
        lines.map((line) => line.replace(/ Error.*/, "")),
        ["Error: the page's stream missed a second"]
      )
    })
  )

  it.effect("tells a hundred events a second, and counts the others", () =>
    Effect.gen(function* () {
      const { feed, happens } = yield* world
      const pull = yield* Stream.toPull(feed.stream)
      yield* pull
      yield* happens(...Array.from({ length: 250 }, (_, n) => learned(n)))
      yield* elapse("1 second")
      const [tick] = parse(yield* pull)
      assert.lengthOf(tick?.events ?? [], 101)
      assert.deepInclude(tick?.events?.[0]?.[1], { _tag: "EventsLost", count: 150 })
      assert.deepStrictEqual(tick?.events?.at(-1), [249, learned(249)])
    }).pipe(Effect.scoped)
  )
})
