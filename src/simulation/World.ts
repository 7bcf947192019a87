/**
 * Nodes, hosts, disks and what happened: a whole network in memory, under the clock in force.
 *
 * What a node is made of is an argument, so a world runs `layers/Simulated` as well as a user's own composition. Each node
 * has a host, a disk, a clock that may be wrong, and its own stream of chance, so that another node changes none of its
 * choices. Everything that happens goes to one log, whose hash says whether two runs were the same.
 *
 * A `SimRuntime` runs a world, and moves its clock by itself. A `TestClock` gives the same run, several times slower, and only
 * as far as the test moves it.
 *
 * @module
 */
import {
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  HashMap,
  Layer,
  Option,
  Scheduler,
  Scope,
  Stream,
  SubscriptionRef
} from "effect"
import { type Dns, NetAddress } from "effect/net"
import { AddressBook } from "../addresses/AddressBook.ts"
import { limitKey } from "../addresses/AddressRules.ts"
import { BanList } from "../addresses/BanList.ts"
import { sha256d } from "../bytes/Hashing.ts"
import { regtest, type ChainParamsShape } from "../chain/ChainParams.ts"
import { ChainTip, type Tip } from "../chain/ChainTip.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { ConnectionSlots } from "../network/ConnectionSlots.ts"
import type { Network } from "../network/Network.ts"
import { type NetworkEvent, NetworkEvents } from "../network/NetworkEvents.ts"
import { PeerSet } from "../network/PeerSet.ts"
import type { Peer } from "../peer/Peer.ts"
import { Recording } from "../peer/Recording.ts"
import { Policy } from "../Policy.ts"
import type { Recorder } from "../recording/Recorder.ts"
import * as Invariants from "./Invariants.ts"
import * as SeededRandom from "./SeededRandom.ts"
import * as SimDisk from "./SimDisk.ts"
import * as SimNames from "./SimNames.ts"
import { SimNetwork } from "./SimNetwork.ts"

/** What a world needs of a node. */
export type NodeServices = Network | PeerSet | AddressBook | BanList | ConnectionSlots | NetworkEvents

/** What a node of a world is told. */
export interface NodeSettings {
  readonly chain: ChainParamsShape
  readonly host: PeerSocketAddress.PeerSocketAddress
  readonly listenAddress: PeerSocketAddress.PeerSocketAddress
  readonly peers?: ReadonlyArray<PeerSocketAddress.PeerSocketAddress> | undefined
  /** `host:port` entries, names among them; `peers` is left out then. */
  readonly seeds?: ReadonlyArray<string> | undefined
  readonly names: Layer.Layer<Dns.Dns>
  readonly seed: SeededRandom.Seed
  readonly cacheDirectory: string
  readonly disk: SimDisk.SimDisk["layer"]
  readonly chainTip: Layer.Layer<ChainTip>
}

/** What a world is made of. */
export interface WorldOptions {
  readonly seed: SeededRandom.Seed
  /** What a node is made of. */
  readonly node: (settings: NodeSettings) => Layer.Layer<NodeServices, unknown, SimNetwork>
  readonly chain?: ChainParamsShape
  /** Records the connections of each node, which is named for its index. It may draw nothing of the world's chance. */
  readonly recorder?: Recorder | undefined
  /** Time between two looks at all nodes, whatever happens; ten seconds unless given. */
  readonly lookInterval?: Duration.Input
}

/** Something that happened. */
export interface LogEntry {
  /** Milliseconds since the world began, by its own clock. */
  readonly atMillis: number
  readonly node: number
  readonly event: NetworkEvent
}

/** A node that runs. */
export interface WorldNode {
  readonly index: number
  readonly host: PeerSocketAddress.PeerSocketAddress
  readonly services: Context.Context<NodeServices>
}

/** A whole network in memory, while it runs. */
export interface World {
  readonly seed: SeededRandom.Seed
  readonly network: SimNetwork["Service"]
  readonly policy: Policy
  readonly chain: ChainParamsShape
  /** The best block of every node's program. */
  readonly tip: SubscriptionRef.SubscriptionRef<Option.Option<Tip>>
  /** Where node `index`, from 1, is. Each is a peer group of its own. */
  readonly hostOf: (index: number) => PeerSocketAddress.PeerSocketAddress
  /** What names resolve to, for every node. */
  readonly names: SimNames.SimNames
  /** Starts a node that knows these nodes, and these `host:port` names, with whatever its disk holds. */
  readonly start: (
    index: number,
    knows: ReadonlyArray<number>,
    seeds?: ReadonlyArray<string>
  ) => Effect.Effect<WorldNode>
  /** Stops a node in good order. */
  readonly stop: (index: number) => Effect.Effect<void>
  /** Takes the power from a node and its host. */
  readonly crash: (index: number) => Effect.Effect<void>
  /** Sets a node's wall clock, which from then on differs by so much more. Its timers do not notice. */
  readonly jumpClock: (index: number, by: Duration.Input) => Effect.Effect<void>
  /** What a node takes for the time now, in milliseconds since the Unix epoch. */
  readonly wallMillis: (index: number) => number
  /** The disk of a node, whether it runs or not. Its files are below `cacheDirectory`. */
  readonly diskOf: (index: number) => SimDisk.SimDisk
  /** Those that run now, by index. */
  readonly nodes: () => ReadonlyArray<WorldNode>
  readonly isRunning: (index: number) => boolean
  /** The latest entries, oldest first. */
  readonly recent: () => ReadonlyArray<LogEntry>
  /** How many entries there were. */
  readonly events: () => number
  /** Of every entry there was, in order. */
  readonly hash: () => string
  /** Fails with the first invariant that was broken; never succeeds. */
  readonly awaitViolation: Effect.Effect<never, InvariantBroken>
  /** Looks at every node something happened to. For runs that have steps. Every ten seconds, or `lookInterval`, all nodes are looked at anyway. */
  readonly afterStep: () => void
  /** Milliseconds since the world began. */
  readonly nowMillis: () => number
  /** Adds a figure for whoever runs the world. */
  readonly note: (figure: string) => void
  readonly notes: ReadonlyArray<string>
  /** Adds a measured value, for figures over many seeds. */
  readonly measure: (what: string, value: number) => void
  readonly measures: ReadonlyMap<string, ReadonlyArray<number>>
}

/** An invariant does not hold. */
export class InvariantBroken {
  readonly _tag = "InvariantBroken"
  readonly violation: Invariants.Violation
  constructor(violation: Invariants.Violation) {
    this.violation = violation
  }
}

/** Entries kept to be shown when something is wrong. */
const keptEntries = 2000

const port = 18233

/** Where every node keeps its files, on its own disk. */
export const cacheDirectory = "/cache"

/** `10.n.m.1`: 65,536 hosts, each an IPv4 address of its own. */
const hostOf = (index: number) =>
  PeerSocketAddress.fromIp(NetAddress.ipFromStringUnsafe(`10.${(index >> 8) & 0xff}.${index & 0xff}.1`), port)

/** A world that lasts as long as the scope. */
export const make = (options: WorldOptions): Effect.Effect<World, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const base = yield* Clock.Clock
    const scheduler = oneAfterTheOther(yield* Scheduler.Scheduler)
    const policy = yield* Policy
    const chain = options.chain ?? regtest
    const startedMillis = base.currentTimeMillisUnsafe()
    const nowMillis = () => base.currentTimeMillisUnsafe() - startedMillis
    const services = yield* Layer.build(
      SimNetwork.layer.pipe(Layer.provide(SeededRandom.layer(options.seed, "links")))
    ).pipe(Effect.provideService(Scheduler.Scheduler, scheduler))
    const network = Context.get(services, SimNetwork)
    const tip = yield* SubscriptionRef.make(Option.none<Tip>())
    const names = SimNames.make()

    const running = new Map<
      number,
      { readonly node: WorldNode; readonly scope: Scope.Closeable; readonly look: Look }
    >()
    const disks = new Map<number, SimDisk.SimDisk>()
    const clockOffsets = new Map<number, number>()
    const crashed = new Set<number>()

    // -- the log -----------------------------------------------------------------------------

    const kept: Array<LogEntry> = []
    const notes: Array<string> = []
    const measures = new Map<string, Array<number>>()
    let events = 0
    let hash: Buffer = Buffer.alloc(32)
    const violated = yield* Deferred.make<never, InvariantBroken>()
    const touched = new Set<Look>()

    const report = (violation: Invariants.Violation | undefined) => {
      if (violation !== undefined) Deferred.doneUnsafe(violated, Exit.fail(new InvariantBroken(violation)))
    }

    const record = (index: number, event: NetworkEvent) => {
      const entry = { atMillis: nowMillis(), node: index, event }
      events++
      hash = sha256d(Buffer.concat([hash, Buffer.from(JSON.stringify(entry))]))
      kept.push(entry)
      if (kept.length > 2 * keptEntries) kept.splice(0, keptEntries)
    }

    // -- nodes -------------------------------------------------------------------------------

    /** A clock whose wall time may be wrong. */
    const wallMillis = (index: number) => base.currentTimeMillisUnsafe() + (clockOffsets.get(index) ?? 0)
    const clockOf = (index: number): Clock.Clock => {
      const wall = () => wallMillis(index)
      const nanos = () => BigInt(Math.round(wall() * 1_000_000))
      return {
        ...base,
        monotonicTimeNanosUnsafe: () => base.monotonicTimeNanosUnsafe(),
        sleep: (duration) => base.sleep(duration),
        currentTimeMillisUnsafe: wall,
        currentTimeMillis: Effect.sync(wall),
        currentTimeNanosUnsafe: nanos,
        currentTimeNanos: Effect.sync(nanos)
      }
    }

    const diskOf = (index: number) => {
      const disk = disks.get(index) ?? SimDisk.make()
      disks.set(index, disk)
      return disk
    }

    const start = Effect.fnUntraced(function* (
      index: number,
      knows: ReadonlyArray<number>,
      seeds?: ReadonlyArray<string>
    ) {
      const before = running.get(index)
      if (before !== undefined) return before.node
      const host = hostOf(index)
      if (crashed.delete(index)) yield* network.restart(host)
      const disk = diskOf(index)
      disk.thaw()
      const nodeScope = yield* Scope.fork(scope)
      const node = yield* Layer.build(
        options.node({
          chain,
          host,
          listenAddress: host,
          ...(seeds === undefined
            ? { peers: knows.map(hostOf) }
            : { seeds: [...knows.map((known) => PeerSocketAddress.format(hostOf(known))), ...seeds] }),
          names: names.layer,
          seed: options.seed,
          cacheDirectory,
          disk: disk.layer,
          chainTip: ChainTip.layerRef(tip)
        })
      ).pipe(
        Effect.provideContext(Context.add(services, Scope.Scope, nodeScope)),
        Effect.provideService(Clock.Clock, clockOf(index)),
        Effect.provideService(Scheduler.Scheduler, scheduler),
        Effect.provideService(Recording, options.recorder?.recording(String(index))),
        Effect.orDie,
        Effect.map((services): WorldNode => ({ index, host, services }))
      )
      const look = lookAt(node, policy, network, clockOf(index), nowMillis)
      running.set(index, { node, scope: nodeScope, look })
      yield* Scope.addFinalizer(
        nodeScope,
        Effect.sync(() => running.delete(index))
      )
      const dials = Invariants.watchDials(index, policy)
      const tasks = Invariants.watchTasks(index)
      yield* Context.get(node.services, NetworkEvents).stream.pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => {
            record(index, event)
            report(dials(event, nowMillis()))
            report(tasks(event, nowMillis()))
            touched.add(look)
          })
        ),
        Effect.forkIn(nodeScope, { startImmediately: true }),
        Effect.provideService(Scheduler.Scheduler, scheduler)
      )
      return node
    })

    const stop = (index: number) =>
      Effect.suspend(() => {
        const node = running.get(index)
        return node === undefined ? Effect.void : Scope.close(node.scope, Exit.void)
      })

    const crash = (index: number) =>
      Effect.gen(function* () {
        if (!running.has(index)) return
        diskOf(index).freeze()
        yield* network.crash(hostOf(index))
        crashed.add(index)
        yield* stop(index)
      })

    // -- invariants --------------------------------------------------------------------------

    const afterStep = () => {
      if (touched.size === 0) return
      const looks = [...touched]
      touched.clear()
      for (const look of looks) report(look())
    }
    yield* Effect.sync(() => {
      for (const { look } of running.values()) report(look())
    }).pipe(Effect.andThen(Effect.sleep(options.lookInterval ?? "10 seconds")), Effect.forever, Effect.forkScoped)

    return {
      seed: options.seed,
      network,
      policy,
      chain,
      tip,
      hostOf,
      names,
      start,
      stop,
      crash,
      jumpClock: (index, by) =>
        Effect.sync(() => {
          const millis = Duration.toMillis(Duration.fromInputUnsafe(by))
          clockOffsets.set(index, (clockOffsets.get(index) ?? 0) + millis)
        }),
      wallMillis,
      diskOf,
      nodes: () => [...running.values()].map(({ node }) => node).toSorted((a, b) => a.index - b.index),
      isRunning: (index) => running.has(index),
      recent: () => kept.slice(-keptEntries),
      events: () => events,
      hash: () => hash.toString("hex"),
      awaitViolation: Deferred.await(violated),
      afterStep,
      nowMillis,
      note: (figure) => notes.push(figure),
      notes,
      measure: (what, value) => {
        const values = measures.get(what)
        if (values === undefined) measures.set(what, [value])
        else values.push(value)
      },
      measures
    }
  })

/** One queue for everybody. A fiber's own queue, as is usual, would let the machine decide between two of them. */
const oneAfterTheOther = (scheduler: Scheduler.Scheduler): Scheduler.Scheduler => {
  const dispatcher = scheduler.makeDispatcher()
  return {
    executionMode: scheduler.executionMode,
    shouldYield: (fiber) => scheduler.shouldYield(fiber),
    makeDispatcher: () => dispatcher
  }
}

type Look = () => Invariants.Violation | undefined

const lookAt = (
  node: WorldNode,
  policy: Policy,
  network: SimNetwork["Service"],
  clock: Clock.Clock,
  nowMillis: () => number
): Look => {
  const slots = Context.get(node.services, ConnectionSlots)
  const peerSet = Context.get(node.services, PeerSet)
  const { bans } = Context.get(node.services, BanList)
  const { metrics } = Context.get(node.services, AddressBook)
  /** At this look. */
  let peers: ReadonlyArray<Peer> = []
  const isBanned = ({ transientAddress }: Peer): boolean => {
    const ban =
      transientAddress === undefined ? Option.none() : HashMap.get(bans.getUnsafe(), limitKey(transientAddress))
    return Option.isSome(ban) && clock.currentTimeMillisUnsafe() < ban.value.untilSeconds * 1000
  }
  const look = Invariants.watch(node.index, {
    policy,
    slots,
    peers: () => peers.length,
    largestGroup: Invariants.largestGroupOf(() => peers),
    bannedPeers: () => (HashMap.isEmpty(bans.getUnsafe()) ? 0 : peers.filter(isBanned).length),
    knownAddresses: () => metrics.getUnsafe().total,
    waitingStreams: () => network.waiting(node.host)
  })
  return () => {
    peers = peerSet.peersUnsafe()
    return look(nowMillis())
  }
}
