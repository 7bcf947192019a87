/**
 * A whole node among scripted peers, in a simulated network: what can be seen of it from outside, and when.
 *
 * A world runs under a clock of its own, in no real time, the same way every time.
 */
import { Cause, Clock, Context, Duration, Effect, Exit, FiberSet, Layer, References, Scope, Stream } from "effect"
import { NetAddress } from "effect/net"
import {
  AddressBook,
  type Answers,
  BlockAdvertiser,
  type ByteStream,
  ChainParams,
  type ChainParamsShape,
  ChainTip,
  defaults,
  Evictions,
  type GossipedAddress,
  mainnet,
  ManualPeers,
  Network,
  type NetworkEvent,
  NetworkEvents,
  NODE_NETWORK,
  NodeAnswers,
  PeerSet,
  PeerSocketAddress,
  Policy
} from "network-effect"
import { Node, Simulated } from "network-effect/layers"
import { ScriptedPeer, SeededRandom, SimNetwork, SimRuntime } from "network-effect/simulation"
import { alice } from "./addresses.ts"

type Address = PeerSocketAddress.PeerSocketAddress

/** Ten days after the epoch, when every world begins: nothing is at the beginning of time, and nanoseconds are exact. */
const beginning = 864_000_000

/** Milliseconds since the world began. */
export const elapsed: Effect.Effect<number> = Effect.map(Clock.currentTimeMillis, (now) => now - beginning)

/** Waits until so much time has passed since the world began. */
export const until = (time: Duration.Input) =>
  Effect.flatMap(elapsed, (now) => Effect.sleep(Duration.millis(Duration.toMillis(time) - now)))

/** Runs a test in a world of its own. */
export const inWorld = <E>(test: Effect.Effect<void, E, SimNetwork | Scope.Scope>): void => {
  const world = test.pipe(
    Effect.scoped,
    Effect.provide(SimNetwork.layer.pipe(Layer.provideMerge(SeededRandom.layer(1)))),
    Effect.provideService(References.MinimumLogLevel, "None")
  )
  const ending = new SimRuntime(beginning).run(world, Duration.toMillis("1 day"))
  if (ending._tag !== "Done") throw new Error(`the test still waits: ${ending._tag}`)
  if (Exit.isFailure(ending.exit)) throw Cause.squash(ending.exit.cause)
}

// -- the node ------------------------------------------------------------------------------------

/** What a test wants of its node. Everything else is as a node on Mainnet has it that listens at Alice's. */
export interface NodeSettings {
  readonly chain?: ChainParamsShape
  readonly listenAddress?: Address
  readonly externalAddress?: Address
  /** Its initial peers. */
  readonly peers?: ReadonlyArray<Address>
  /** IPs, in whatever spelling. */
  readonly trustedPeers?: ReadonlySet<string>
  /** What its program answers. */
  readonly answers?: Answers
  readonly chainTip?: Layer.Layer<ChainTip>
  readonly policy?: Partial<Policy>
  /** That of the world unless given. */
  readonly clock?: Clock.Clock
}

/** A node until the scope closes. What it is made of is said here and nowhere else. */
export const startNode = Effect.fnUntraced(function* ({
  answers = {},
  chainTip = ChainTip.layerNone,
  clock,
  policy,
  trustedPeers,
  ...settings
}: NodeSettings = {}) {
  const options = {
    chain: mainnet,
    listenAddress: alice,
    peers: [],
    trustedPeers: Array.from(trustedPeers ?? [], NetAddress.ipFromStringUnsafe),
    ...settings
  }
  const parts = { ...Node.parts(options), chainTip, answers: NodeAnswers.layerWith(answers) }
  const services = yield* Layer.build(
    Node.compose(options, parts).pipe(Layer.provide(Simulated.machine({ host: alice, seed: 1 })))
  ).pipe(
    Effect.provideService(Policy, { ...defaults, ...policy }),
    Effect.provideService(Clock.Clock, clock ?? (yield* Clock.Clock))
  )
  const events: Array<NetworkEvent> = []
  yield* Context.get(services, NetworkEvents).stream.pipe(
    Stream.runForEach((event) => Effect.sync(() => events.push(event))),
    Effect.forkScoped({ startImmediately: true })
  )
  return {
    network: Context.get(services, Network),
    book: Context.get(services, AddressBook),
    peerSet: Context.get(services, PeerSet),
    advertiser: Context.get(services, BlockAdvertiser),
    manual: Context.get(services, ManualPeers),
    evictions: Context.get(services, Evictions),
    /** Everything that happened, as it comes. */
    events
  }
})

/** What a peer tells of these: they have blocks to serve, and were seen when the world began. */
export const told = (addresses: ReadonlyArray<Address>): ReadonlyArray<GossipedAddress> =>
  addresses.map((address) => ({ address, services: NODE_NETWORK, lastSeenSeconds: beginning / 1000 }))

/** Tells a node of these, as if a peer had: seen this moment, with blocks to serve. */
export const gossip = Effect.fnUntraced(function* (book: AddressBook["Service"], addresses: ReadonlyArray<Address>) {
  const lastSeenSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  return yield* book.addGossiped(told(addresses).map((gossiped) => ({ ...gossiped, lastSeenSeconds })))
})

/** Whom a node has dialled, and when, in milliseconds since the world began. */
export const dialsOf = (events: ReadonlyArray<NetworkEvent>) =>
  events.flatMap((event) =>
    event._tag === "DialStarted" ? [{ address: event.address, atMillis: event.at - beginning }] : []
  )

/** So many events of a kind. */
export const countOf = (events: ReadonlyArray<NetworkEvent>, tag: NetworkEvent["_tag"]): number =>
  events.filter((event) => event._tag === tag).length

/** A clock that stands still for a while, as for a process that got no turn: who would wake in it wakes when it is over. */
export const standingStill = (clock: Clock.Clock, from: Duration.Input, to: Duration.Input): Clock.Clock => {
  const [fromMillis, toMillis] = [from, to].map((time) => beginning + Duration.toMillis(time)) as [number, number]
  return {
    ...clock,
    sleep: (duration) =>
      Effect.suspend(() => {
        const now = clock.currentTimeMillisUnsafe()
        const end = now + Duration.toMillis(duration)
        return clock.sleep(end >= fromMillis && end < toMillis ? Duration.millis(toMillis - now) : duration)
      })
  }
}

// -- others --------------------------------------------------------------------------------------

/** What a scripted peer saw of a node. Times in milliseconds since the world began. */
export interface Seen {
  /** When each connection began. */
  readonly connections: Array<number>
  /** What was said after the handshake. */
  readonly heard: Array<{ readonly tag: string; readonly atMillis: number }>
  /** Connections that last. */
  open: number
}

const nothingSeen = (): Seen => ({ connections: [], heard: [], open: 0 })

/** Plays a script for so long, unless the other side ends it before. */
const play = (stream: ByteStream, script: ScriptedPeer.Script, stays: Duration.Input, seen: Seen) => {
  const listening: ScriptedPeer.Script = {
    answer: ({ _tag }) =>
      Effect.map(elapsed, (atMillis) => {
        seen.heard.push({ tag: _tag, atMillis })
        // What is said to it is the script's.
        return false
      })
  }
  return Effect.gen(function* () {
    seen.connections.push(yield* elapsed)
    seen.open++
    return yield* ScriptedPeer.run(stream, ScriptedPeer.compose(script, listening))
  }).pipe(
    Effect.timeoutOption(stays),
    Effect.ignore,
    Effect.ensuring(Effect.sync(() => seen.open--)),
    Effect.provideService(ChainParams, mainnet)
  )
}

/** A peer that lets everybody in, and plays the script with each. */
export const peerAt = Effect.fnUntraced(function* (
  address: Address,
  script: ScriptedPeer.Script = ScriptedPeer.honest(),
  stays: Duration.Input = Duration.infinity
) {
  const seen = nothingSeen()
  const scope = yield* Effect.scope
  const listener = yield* (yield* SimNetwork).host(address).listen(address)
  const connections = yield* FiberSet.make<void>()
  yield* Effect.gen(function* () {
    const ofStream = yield* Scope.fork(scope)
    const stream = yield* Scope.provide(listener.accept, ofStream)
    yield* FiberSet.run(
      connections,
      Effect.ensuring(play(stream, script, stays, seen), Scope.close(ofStream, Exit.void))
    )
  }).pipe(Effect.forever, Effect.forkScoped({ startImmediately: true }))
  return seen
})

/** A peer that dials the node from there, at once, and plays the script. */
export const peerFrom = Effect.fnUntraced(function* (
  address: Address,
  script: ScriptedPeer.Script = ScriptedPeer.honest(),
  stays: Duration.Input = Duration.infinity
) {
  const seen = nothingSeen()
  const transport = (yield* SimNetwork).host(address)
  yield* transport.dial(alice).pipe(
    Effect.flatMap((stream) => play(stream, script, stays, seen)),
    Effect.scoped,
    Effect.ignore,
    Effect.forkScoped({ startImmediately: true })
  )
  return seen
})
