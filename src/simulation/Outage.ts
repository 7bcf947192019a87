/**
 * The world `outage`: a node loses everybody, for a minute or for weeks, and has to be among others again soon after one of
 * those it knows answers.
 *
 * What is out and what else happens is drawn from the seed (`OutagePlan.ts`). Of the whole world only the node of index 1 is
 * watched for this; what holds in every world (`Invariants.ts`) holds for all.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, Exit, FiberSet, Latch, Result, Scope } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { limitKey } from "../addresses/AddressRules.ts"
import * as PeerAddress from "../addresses/PeerAddress.ts"
import { testnet } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { ConnectionSlots } from "../network/ConnectionSlots.ts"
import { NODE_NETWORK } from "../wire/AddressCodec.ts"
import { Message } from "../wire/Message.ts"
import * as LinkRule from "./LinkRule.ts"
import * as OutagePlan from "./OutagePlan.ts"
import { NotReached, peersOf, type Scenario, scripted, type Size } from "./Scenario.ts"
import * as ScriptedPeer from "./ScriptedPeer.ts"
import type { Seed } from "./SeededRandom.ts"
import { cacheDirectory, type World, type WorldNode } from "./World.ts"

/** The node that is watched. */
const watched = 1

/** Time after which a node has to be connected again, from when somebody it knows answers, in milliseconds. */
export const limitMillis = 180_000

/** Time for everything to settle after the last of those that come back is there, in milliseconds. */
const afterMillis = 8 * 60_000

const cacheFile = `${cacheDirectory}/network/testnet.peers`

/** How a node that lost everybody came back, of every time it did: a measure of the world, in seconds. */
export const measured = "outbound again, seconds"

const planOf = ({ hours, nodes }: Size, seed: Seed) =>
  OutagePlan.draw(seed, nodes, Duration.toMillis(Duration.hours(hours)))

/** What the seed decides about the world. */
export const outage: Scenario = {
  name: "outage",
  description: "a node loses everybody, for a minute or for weeks, and finds them again",
  // Nodes it could know, and the longest an outage lasts.
  size: { nodes: 5, hours: 21 * 24 },
  chain: testnet,
  lookInterval: "1 minute",
  policy: (size, seed) => ({ targetPeers: planOf(size, seed).targetPeers }),
  drawn: (size, seed) => OutagePlan.describe(planOf(size, seed)),
  run: (world, size) => play(world, planOf(size, world.seed))
}

/** Makes the plan happen, and fails when the node is alone for too long. */
const play = (world: World, plan: OutagePlan.Plan): Effect.Effect<void, NotReached, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const state = yield* makeState(world, plan)
    const happenings = yield* FiberSet.make<void, never>()
    const at = <E>(millis: number, what: Effect.Effect<void, E, Scope.Scope>) =>
      FiberSet.run(
        happenings,
        Effect.sleep(Duration.millis(millis)).pipe(Effect.andThen(what), Effect.orDie, Scope.provide(scope))
      )

    for (const host of plan.hosts) yield* state.comes(host)
    if (plan.cached.length > 0) {
      const known = plan.cached.map((host) => PeerSocketAddress.format(world.hostOf(host)))
      world.diskOf(watched).put(cacheFile, known.join("\n"))
    }
    for (const [i, millis] of plan.guestsAt.entries()) yield* at(millis, state.visit(OutagePlan.firstGuest + i))
    for (const { at: millis, byMillis } of plan.clock) {
      yield* at(millis, world.jumpClock(watched, Duration.millis(byMillis)))
    }
    yield* at(plan.startsInOutage ? plan.leadMillis + 10_000 : 10_000, state.start)
    yield* at(plan.leadMillis, state.begin)
    for (const { at: millis, downMillis, isCrash } of plan.restarts) {
      // One that has not started yet has nothing to restart.
      if (plan.startsInOutage && millis < plan.leadMillis + 20_000) continue
      yield* at(
        millis,
        (isCrash ? world.crash(watched) : world.stop(watched)).pipe(
          Effect.andThen(Effect.sleep(Duration.millis(downMillis))),
          Effect.andThen(state.start)
        )
      )
    }
    yield* at(OutagePlan.endsAt(plan), state.end)

    const whole = Effect.sleep(Duration.millis(OutagePlan.allBackAt(plan) + afterMillis))
    yield* Effect.raceFirst(
      Effect.raceFirst(whole, watch(world, state)),
      // What goes wrong in one of them is a defect of the scenario.
      Effect.andThen(FiberSet.join(happenings), Effect.never)
    )
  })

/** What is up and what is not, and what changes that. */
interface State {
  /** The node could reach the host of this index: it is there, and so is the link. */
  readonly isReachable: (host: number) => boolean
  /** Hosts that names resolve to now. */
  readonly named: () => ReadonlyArray<number>
  readonly plan: OutagePlan.Plan
  /** Opens when something comes back. */
  readonly changed: Latch.Latch
  readonly comes: (host: number) => Effect.Effect<void>
  readonly begin: Effect.Effect<void>
  readonly end: Effect.Effect<void>
  readonly start: Effect.Effect<void>
  readonly visit: (guest: number) => Effect.Effect<void, never, Scope.Scope>
}

const makeState = Effect.fnUntraced(function* (world: World, plan: OutagePlan.Plan) {
  const scope = yield* Effect.scope
  const changed = Latch.makeUnsafe(false)
  const up = new Map<number, Scope.Closeable>()
  const silenced = new Map<number, Scope.Closeable>()
  let link: Scope.Closeable | undefined
  let hasBegun = false
  const { network } = world

  const isOut = (host: number) =>
    plan.what === "hosts" || (plan.what === "peers" && plan.configured.includes(host)) || plan.gone.includes(host)

  // -- what hosts say ------------------------------------------------------------------------

  /** Answers pings, and address requests with these hosts, seen now. */
  const telling = (hosts: ReadonlyArray<number>): ScriptedPeer.Script =>
    ScriptedPeer.compose(ScriptedPeer.honest(), {
      answer: Effect.fnUntraced(function* (message: Message, { say }: ScriptedPeer.Line) {
        if (message._tag !== "GetAddr") return false
        const lastSeenSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
        const addresses = hosts.map((host) => ({
          address: world.hostOf(host),
          services: NODE_NETWORK,
          lastSeenSeconds
        }))
        yield* say(Message.Addr({ addresses }))
        return true
      })
    })

  // -- hosts ---------------------------------------------------------------------------------

  const comes = Effect.fnUntraced(function* (host: number) {
    const muted = silenced.get(host)
    if (muted !== undefined) {
      silenced.delete(host)
      yield* Scope.close(muted, Exit.void)
    } else if (!up.has(host)) {
      const hostScope = yield* Scope.fork(scope)
      up.set(host, hostScope)
      if (plan.company === "nodes")
        yield* world.start(
          host,
          plan.hosts.filter((other) => other !== host)
        )
      else {
        yield* network.restart(world.hostOf(host))
        yield* ScriptedPeer.listen(world.hostOf(host), telling(plan.hosts.filter((other) => other !== host))).pipe(
          scripted(world, host),
          Effect.orDie,
          Scope.provide(hostScope)
        )
      }
    }
    yield* changed.open
  })

  const goes = Effect.fnUntraced(function* (host: number) {
    const hostScope = up.get(host)
    if (hostScope === undefined) return
    if (plan.manner === "silence") {
      const rule = yield* Scope.fork(scope)
      silenced.set(host, rule)
      const address = world.hostOf(host)
      yield* network.addRule(LinkRule.partition([address])).pipe(Scope.provide(rule))
      return
    }
    up.delete(host)
    if (plan.company === "nodes") return yield* plan.manner === "crash" ? world.crash(host) : world.stop(host)
    if (plan.manner === "crash") yield* network.crash(world.hostOf(host))
    yield* Scope.close(hostScope, Exit.void)
  })

  // -- the outage ----------------------------------------------------------------------------

  for (const { host, resolvesTo } of plan.names) {
    world.names.set(
      host,
      resolvesTo.map((index) => world.hostOf(index).address)
    )
  }
  const begin = Effect.gen(function* () {
    hasBegun = true
    for (const { host, isGoneFromOutage } of plan.names) if (isGoneFromOutage) world.names.set(host, [])
    if (plan.losesNames) world.names.behave(plan.namesManner)
    if (plan.what === "link") {
      link = yield* Scope.fork(scope)
      const guests = plan.guestsInside ? plan.guestsAt.map((_, i) => world.hostOf(OutagePlan.firstGuest + i)) : []
      yield* network.addRule(LinkRule.partition([world.hostOf(watched), ...guests])).pipe(Scope.provide(link))
    }
    for (const host of plan.hosts) if (isOut(host)) yield* goes(host)
  })

  const end = Effect.gen(function* () {
    if (link !== undefined) {
      yield* Scope.close(link, Exit.void)
      link = undefined
      yield* changed.open
    }
    const names = Effect.gen(function* () {
      yield* Effect.sleep(Duration.millis(plan.namesBackMillis))
      world.names.behave("answers")
      yield* changed.open
    })
    const back = plan.hosts.map((host, i) =>
      plan.gone.includes(host)
        ? Effect.void
        : Effect.andThen(Effect.sleep(Duration.millis(plan.hostsBackMillis[i] ?? 0)), comes(host))
    )
    yield* Effect.all([names, ...back], { concurrency: "unbounded", discard: true })
  })

  const start = Effect.asVoid(
    world.start(
      watched,
      plan.configured,
      plan.names.map(({ host }) => `${host}:${world.hostOf(watched).port}`)
    )
  )

  /** Dials the node, and again whenever it is let go. */
  const visit = (guest: number) =>
    ScriptedPeer.dial(
      world.hostOf(watched),
      telling(plan.guestsTell === "nothing" ? [] : plan.guestsTell === "hosts" ? plan.hosts : OutagePlan.absentHosts)
    ).pipe(
      scripted(world, guest),
      Effect.ignore,
      Effect.andThen(Effect.sleep("130 seconds")),
      Effect.forever,
      Effect.forkScoped,
      Effect.asVoid
    )

  const state: State = {
    plan,
    changed,
    comes,
    begin,
    end,
    start,
    visit,
    isReachable: (host) =>
      link === undefined &&
      up.has(host) &&
      !silenced.has(host) &&
      (plan.company === "scripts" || world.isRunning(host)),
    named: () =>
      world.names.manner() === "answers"
        ? plan.names.flatMap(({ isGoneFromOutage, resolvesTo }) => (isGoneFromOutage && hasBegun ? [] : resolvesTo))
        : []
  }
  return state
})

// -- the property --------------------------------------------------------------------------------

/** Fails when the node has nobody outbound for `limitMillis` although somebody it knows answers; never ends otherwise. */
const watch = (world: World, state: State): Effect.Effect<never, NotReached> =>
  Effect.gen(function* () {
    let since: number | undefined
    for (;;) {
      yield* state.changed.close
      const node = world.nodes().find(({ index }) => index === watched)
      const isAlone = node !== undefined && Context.get(node.services, ConnectionSlots).open("outbound") === 0
      const answering = isAlone ? yield* whoAnswers(world, state, node) : []
      const now = world.nowMillis()
      if (answering.length > 0) since ??= now
      else {
        // Alone again without anybody that answers is no recovery.
        if (since !== undefined && node !== undefined && !isAlone) world.measure(measured, (now - since) / 1000)
        since = undefined
      }
      if (since !== undefined && now - since > limitMillis) {
        return yield* new NotReached({
          waitedFor: `an outbound connection within ${limitMillis / 1000} s`,
          found: `there is none, and ${answering.join(", ")} could be reached all the time`
        })
      }
      // For weeks nobody could be reached whatever the node did: nothing to look at until something comes back.
      if (!state.plan.hosts.some(state.isReachable)) yield* state.changed.await
      else yield* Effect.raceFirst(state.changed.await, Effect.sleep(since === undefined ? "10 seconds" : "1 second"))
    }
  })

/** Those the node knows and could be connected to now, and where it knows them from. */
const whoAnswers = Effect.fnUntraced(function* (world: World, state: State, node: WorldNode) {
  const { plan } = state
  const reachable = plan.hosts.filter(state.isReachable)
  if (reachable.length === 0) return []
  // Whoever dialled us is connected already, and one connection is all a host may have.
  const groups = new Set(
    peersOf(node).flatMap(({ transientAddress }) =>
      transientAddress === undefined ? [] : [limitKey(transientAddress)]
    )
  )
  const free = reachable.filter((host) => !groups.has(limitKey(world.hostOf(host))))
  if (free.length === 0) return []

  const entries = yield* Context.get(node.services, AddressBook).entries
  const now = {
    wallSeconds: Math.floor(world.wallMillis(watched) / 1000),
    monotonicMillis: yield* Clock.currentTimeMillis
  }
  const inBook = entries
    .filter(
      (entry) =>
        !entry.isInbound &&
        PeerAddress.isValidForOutbound(entry, world.chain) &&
        (entry.lastResponseSeconds !== undefined || PeerAddress.isProbablyReachable(entry, now, world.policy))
    )
    .map(({ address }) => PeerSocketAddress.format(address))
  const onDisk = (world.diskOf(watched).files.get(cacheFile) ?? "").split("\n").flatMap((line) => {
    const address = PeerSocketAddress.fromString(line)
    return Result.isSuccess(address) ? [PeerSocketAddress.format(address.success)] : []
  })
  const named = state.named()
  return free.flatMap((host) => {
    const text = PeerSocketAddress.format(world.hostOf(host))
    const from = [
      plan.configured.includes(host) ? "configured" : "",
      named.includes(host) ? "named" : "",
      onDisk.includes(text) ? "cached" : "",
      inBook.includes(text) ? "in its book" : ""
    ].filter((way) => way !== "")
    return from.length === 0 ? [] : [`host ${host} (${from.join(", ")})`]
  })
})
