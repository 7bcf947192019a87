/**
 * The first addresses and the first dials, at the start and whenever a node has nobody left.
 *
 *     anchors ────────┐
 *     names ──────────┤                          ┌─ start: as many as `Policy.targetPeers`
 *     cache file ─────┼─▶ book, and those due ──▶┤
 *     book: once met ─┘                          └─ alone: each once in `Policy.reconnectDelay`, for as long as it takes
 *
 * Nothing waits for names: whatever else is known is dialled meanwhile, and what they give joins when it comes.
 *
 * A node is alone when it has no outbound connection, whoever dialled it: those who come to us may all be one attacker. It is
 * nobody's turn but ours only when the crawler has no candidate; while it has some, it is asked to dial them now. What was
 * met once is tried again however long ago that was, so no outage is too long.
 *
 * Source: Zebra peer_set/initialize.rs, `limit_initial_peers` and `add_initial_peers`. Starting over is ours.
 *
 * @module
 */
import { Context, Deferred, Duration, Effect, FiberSet, Layer, Option, Random, Scope } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { PeerCache } from "../addresses/AddressBookFile.ts"
import { AddressGroups, isExempt, report as reportGroups } from "../addresses/AddressGroups.ts"
import * as AddressRules from "../addresses/AddressRules.ts"
import { BanList } from "../addresses/BanList.ts"
import { DnsSeeds } from "../addresses/DnsSeeds.ts"
import { RecentTimes } from "../addresses/RecentTimes.ts"
import { BackgroundTasks, CurrentWait, type NetworkEnd, type TaskNameTaken } from "../BackgroundTasks.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as LimitedLog from "../LimitedLog.ts"
import * as Monotonic from "../Monotonic.ts"
import { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { Connector } from "./Connector.ts"
import { ConnectionSlots } from "./ConnectionSlots.ts"
import { Crawler } from "./Crawler.ts"
import { NetworkEvents } from "./NetworkEvents.ts"
import { PeerSet } from "./PeerSet.ts"

type Address = PeerSocketAddress.PeerSocketAddress

/** Dials the first peers, and starts over when no outbound connection is left. */
export class InitialPeers extends Context.Service<
  InitialPeers,
  {
    /**
     * The first dials are known to have succeeded or failed, and the first crawl is over: more peers are looked for from now
     * on. Waits for names for twice `Policy.dnsTimeout` at most, and only while there is nobody else to dial; what they give
     * later is dialled as it comes. Fails when the network ends before, and after that.
     */
    readonly awaitStarted: Effect.Effect<void, NetworkEnd>
  }
>()("network-effect/network/InitialPeers") {
  /**
   * Gathers, tells the book, dials up to `Policy.targetPeers`, has one of them asked for addresses, and wants as many more as
   * the target lacks. From then on, whenever no outbound connection is open: has ready candidates dialled at once, or without
   * any gathers again, at most once every `Policy.reconnectDelay`, and dials all that was not dialled in that time.
   */
  static readonly layer: Layer.Layer<
    InitialPeers,
    TaskNameTaken,
    | AddressBook
    | BackgroundTasks
    | BanList
    | ChainParams
    | ConnectionSlots
    | Connector
    | Crawler
    | DnsSeeds
    | NetworkEvents
    | PeerCache
    | PeerSet
  > = Layer.effect(InitialPeers, Effect.gen(make))
}

function* make() {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const seeds = yield* DnsSeeds
  const cache = yield* PeerCache
  const book = yield* AddressBook
  const bans = yield* BanList
  const connector = yield* Connector
  const slots = yield* ConnectionSlots
  const peerSet = yield* PeerSet
  const events = yield* NetworkEvents
  const crawler = yield* Crawler
  const tasks = yield* BackgroundTasks
  const groups = yield* AddressGroups
  const started = yield* Deferred.make<void>()
  const fibers = yield* FiberSet.make<void, never>().pipe(Scope.provide(tasks.scope))
  const limitedLog = LimitedLog.make(policy.statusLogInterval)
  const delayMillis = Duration.toMillis(policy.reconnectDelay)

  // -- who there is --------------------------------------------------------------------------

  /** Those that the operator named are candidates for ever. */
  const configured = new Set(seeds.literals.map(PeerSocketAddress.format))
  /** The latest answers, by address. */
  let named = new Map<string, Address>()
  let atHand = new Map<string, Address>()
  /** The outbound peers of longest standing of the last run: dialled before all others. */
  const anchors = yield* book.anchors
  /** Grows with each answer. */
  let answers = 0
  let gatheredMillis = Number.NEGATIVE_INFINITY
  let hasStarted = false
  /** Open while names are asked. */
  let asking: Deferred.Deferred<void> | undefined

  /** Preferred ones first, and otherwise in random order. */
  const inOrder = Effect.fnUntraced(function* (addresses: Iterable<Address>) {
    const shuffled = yield* Random.shuffle(addresses)
    return [
      ...shuffled.filter((address) => AddressRules.isPreferred(address, chain)),
      ...shuffled.filter((address) => !AddressRules.isPreferred(address, chain))
    ]
  })

  /** What a source gave: the valid ones are told to the book and returned. */
  const learn = Effect.fnUntraced(function* (found: ReadonlyArray<Address>) {
    const unique = new Map(found.map((address) => [PeerSocketAddress.format(address), address]))
    yield* events.publish({ _tag: "InitialPeersFound", count: unique.size })
    if (unique.size > policy.targetPeers) {
      yield* limitedLog(
        "more than needed",
        Effect.logInfo("more initial peers than needed").pipe(
          Effect.annotateLogs({ found: unique.size, dialled: policy.targetPeers })
        )
      )
    }
    for (const [text, address] of unique) {
      const invalid = AddressRules.validForOutbound(address, chain)
      if (invalid === undefined) continue
      unique.delete(text)
      const line = Effect.logInfo("initial peer ignored").pipe(
        PeerSocketAddress.annotateLogs("address", address),
        Effect.annotateLogs({ reason: invalid })
      )
      yield* hasStarted ? limitedLog("ignored", line) : line
    }
    for (const address of yield* inOrder(unique.values())) {
      const isConfigured = configured.has(PeerSocketAddress.format(address))
      yield* book.record({ _tag: isConfigured ? "NewConfigured" : "NewInitial", address })
    }
    return unique
  })

  /** Asks for candidates to be dialled, as far as there are slots. */
  const demand = Effect.fnUntraced(function* (wanted: number) {
    for (let left = Math.min(wanted, slots.limits.outbound - slots.used("outbound")); left > 0; left--) {
      if (!(yield* peerSet.demand.offer)) return
    }
  })

  /** Asks names beside everything else, unless they are being asked. */
  const askNames = Effect.suspend(() => {
    if (asking !== undefined) return Effect.void
    const answered = Deferred.makeUnsafe<void>()
    asking = answered
    const ask = Effect.gen(function* () {
      named = yield* learn(yield* seeds.resolve)
      answers++
      // Who is new is a candidate, and should not wait for the crawler's next tick.
      if (hasStarted) yield* demand(Math.min(named.size, policy.targetPeers - slots.used("outbound")))
    }).pipe(
      Effect.ensuring(
        Effect.suspend(() => {
          asking = undefined
          return Deferred.succeed(answered, undefined)
        })
      )
    )
    return FiberSet.run(fibers, ask, { startImmediately: true })
  })

  const gather = Effect.gen(function* () {
    gatheredMillis = yield* Monotonic.millis
    yield* askNames
    const written = asking === undefined ? [] : seeds.literals
    const found = [...anchors, ...written, ...(chain.kind === "regtest" ? [] : yield* cache.load)]
    if (found.length === 0) return
    atHand = yield* learn(found)
    answers++
  })

  // -- who is dialled ------------------------------------------------------------------------

  /** Those that were dialled from here within `Policy.reconnectDelay`. */
  const dialled = new RecentTimes(delayMillis)
  /** Groups of first dials under way: the book knows those of all others. */
  const underWay = new Set<string>()

  /** One in each part of the internet, unless the operator named it. */
  const hasRoom = (address: Address) =>
    configured.has(PeerSocketAddress.format(address)) || isExempt(address, chain)
      ? Effect.succeed(true)
      : hasStarted || !underWay.has(groups.groupOf(address))
        ? book.hasRoom(address)
        : Effect.succeed(false)

  /** Nobody dialled it within `Policy.reconnectDelay`, and nothing else speaks against it now. */
  const isDue = (address: Address): Effect.Effect<boolean> =>
    Effect.flatMap(Monotonic.millis, (now) => {
      // Most that are looked at while nobody answers; what they would be asked next costs more.
      return dialled.has(PeerSocketAddress.format(address), now) ? Effect.succeed(false) : isFree(address, now)
    })

  const isFree = Effect.fnUntraced(function* (address: Address, now: number) {
    const entry = Option.getOrUndefined(yield* book.get(address))
    const attempted = entry?.lastAttemptMillis ?? Number.NEGATIVE_INFINITY
    if (now - attempted <= delayMillis) return false
    // A change so soon after another would not count, and the crawler would not know of this dial.
    const failed = entry?.lastFailureMillis ?? Number.NEGATIVE_INFINITY
    if (now - failed <= Duration.toMillis(policy.concurrentChangePeriod)) return false
    if (yield* bans.isBanned(address)) return false
    if (!(yield* hasRoom(address))) return false
    const group = AddressRules.limitKey(address)
    const connected = (yield* peerSet.peers).filter(
      ({ transientAddress }) => transientAddress !== undefined && AddressRules.limitKey(transientAddress) === group
    )
    return connected.length < policy.connectionsPerGroup
  })

  const hasSlot = () => slots.hasRoom("outbound")

  /** One connection. `isKnown` once its dial has succeeded or failed. */
  const connect = (address: Address, isKnown: Deferred.Deferred<void>) =>
    connector.connect({ whom: address, why: hasStarted ? "recovery" : "initial" }).pipe(
      Effect.catch((error) => {
        // No such IP family on this host says nothing about the peer.
        const log = error.code === "EADDRNOTAVAIL" ? Effect.logDebug : Effect.logInfo
        const line = log("initial peer not reached").pipe(
          PeerSocketAddress.annotateLogs("address", address),
          Effect.annotateLogs({ reason: error.code })
        )
        return hasStarted ? limitedLog("not reached", line) : line
      }),
      Effect.asVoid,
      Effect.ensuring(Deferred.succeed(isKnown, undefined))
    )

  const dial = Effect.fnUntraced(function* (address: Address) {
    const isKnown = Deferred.makeUnsafe<void>()
    // Before its turn: until then nobody else takes it.
    const now = yield* Monotonic.millis
    dialled.note(PeerSocketAddress.format(address), now, now)
    if (hasStarted) yield* book.record({ _tag: "UpdateAttempt", address })
    const group = groups.groupOf(address)
    underWay.add(group)
    const attempt = Effect.ensuring(
      connect(address, isKnown),
      Effect.sync(() => underWay.delete(group))
    )
    yield* FiberSet.run(fibers, attempt, { startImmediately: true })
    return isKnown
  })

  /**
   * Dials those that are due, `Policy.dialInterval` apart, while `isWanted`. What names and the cache give meanwhile joins at
   * once, so that a slow answer has its share. Returns what tells when each dial is over.
   */
  const dialDue = Effect.fnUntraced(function* (more: ReadonlyArray<Address>, isWanted: (dials: number) => boolean) {
    const dials: Array<Deferred.Deferred<void>> = []
    let seen = -1
    let left: Array<Address> = []
    while (isWanted(dials.length) && hasSlot()) {
      if (seen !== answers) {
        seen = answers
        const all = new Map([
          ...more.map((address) => [PeerSocketAddress.format(address), address] as const),
          ...atHand,
          ...named
        ])
        const first = new Set(anchors.map(PeerSocketAddress.format))
        const others = yield* inOrder([...all].filter(([text]) => !first.has(text)).map(([, address]) => address))
        left = [...anchors, ...others]
      }
      const address = left.shift()
      if (address === undefined) break
      if (!(yield* isDue(address))) continue
      if (dials.length > 0) {
        yield* Effect.sleep(policy.dialInterval)
        // What was true before the wait is looked at again.
        if (seen !== answers) continue
        if (!isWanted(dials.length) || !hasSlot() || !(yield* isDue(address))) continue
      }
      dials.push(yield* dial(address))
    }
    return dials
  })

  // -- when ----------------------------------------------------------------------------------

  const allKnown = (dials: ReadonlyArray<Deferred.Deferred<void>>) =>
    // Remote peers must not keep everybody else waiting by answering all at once.
    Effect.forEach(dials, (isKnown) => Effect.andThen(Deferred.await(isKnown), Effect.yieldNow), { discard: true })

  const start = Effect.gen(function* () {
    yield* gather
    const patience = Duration.times(policy.dnsTimeout, 2)
    const dials: Array<Deferred.Deferred<void>> = []
    for (;;) {
      dials.push(...(yield* dialDue([], (more) => dials.length + more < policy.targetPeers)))
      if (asking === undefined || dials.length === policy.targetPeers) break
      const meanwhile = dials.length === 0 ? Effect.sleep(patience) : allKnown(dials)
      yield* Effect.raceFirst(Deferred.await(asking), meanwhile)
      if (asking !== undefined) break
    }
    yield* allKnown(dials)
    hasStarted = true
    yield* Effect.logInfo("initial peers dialled").pipe(
      Effect.annotateLogs({ dialled: dials.length, connected: slots.open("outbound") })
    )
  }).pipe(Spans.within("add_initial_peers"))

  const startUp = Effect.gen(function* () {
    yield* start
    // Those that live now. Some nodes answer address requests only once per connection: this one must not be lost.
    yield* crawler.crawlOnce(slots.open("outbound"))
    yield* demand(policy.targetPeers - slots.used("outbound"))
    // Once, now that there are addresses to judge the map by.
    if (groups.digest !== "") {
      yield* reportGroups(
        groups,
        (yield* book.entries).map(({ address }) => address)
      )
    }
    yield* Deferred.succeed(started, undefined)
  })

  const isAlone = () => slots.open("outbound") === 0

  const startOver = Effect.gen(function* () {
    if (!isAlone()) return
    const ready = yield* book.readyCount
    if (ready > 0) return yield* demand(policy.fillSpareSlots ? ready : 1)
    if ((yield* Monotonic.millis) - gatheredMillis >= delayMillis) yield* gather
    const known = yield* book.recoverable
    // As at the start, but for the first one's moment: another may be connected now.
    if (isAlone()) yield* dialDue(known, () => slots.open("outbound") < policy.targetPeers)
  }).pipe(Effect.delay(policy.recoveryInterval), Effect.forever)

  yield* tasks.run(
    "initial peers",
    Effect.raceFirst(
      Effect.andThen(startUp, startOver),
      // A defect in one of the fibers is ours and must not go unnoticed.
      Effect.andThen(FiberSet.join(fibers), Effect.never)
    )
  )

  return InitialPeers.of({
    awaitStarted: tasks
      .untilEnd(Deferred.await(started))
      .pipe(Effect.provideService(CurrentWait, "the first dials and the first crawl"))
  })
}
