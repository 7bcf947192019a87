/**
 * Named worlds: what happens in each, and what has to come of it.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, Option, Random, type Scope, Stream, SubscriptionRef } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { limitKey, validForOutbound } from "../addresses/AddressRules.ts"
import { testnet } from "../chain/ChainParams.ts"
import { zeroBlockHash } from "../chain/Hash.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { NetworkEvents } from "../network/NetworkEvents.ts"
import { PeerSet } from "../network/PeerSet.ts"
import type { Policy } from "../Policy.ts"
import { NODE_NETWORK } from "../wire/AddressCodec.ts"
import { Message } from "../wire/Message.ts"
import { crowd } from "./Crowd.ts"
import * as LinkRule from "./LinkRule.ts"
import { outage } from "./Outage.ts"
import { eventually, NotReached, peersOf, type Scenario, scripted, type Size } from "./Scenario.ts"
import * as ScriptedPeer from "./ScriptedPeer.ts"
import type { World, WorldNode } from "./World.ts"

// -- what scenarios are made of ------------------------------------------------------------------

/** Whether every running node can be reached from every other over connections. */
const isOneNetwork = (world: World): string | undefined => {
  const nodes = world.nodes()
  const byGroup = new Map(nodes.map((node) => [limitKey(node.host), node]))
  const [first] = nodes
  if (first === undefined) return undefined
  const reached = new Set([first])
  for (const node of reached) {
    for (const { transientAddress } of peersOf(node)) {
      const other = transientAddress === undefined ? undefined : byGroup.get(limitKey(transientAddress))
      if (other !== undefined) reached.add(other)
    }
  }
  // Connections count in both directions: one side knows the other before that one knows it.
  return reached.size === nodes.length ? undefined : `${reached.size} of ${nodes.length} nodes are connected`
}

/** Whether every running node has at least so many peers. */
const haveAtLeast = (world: World, peers: number) => (): string | undefined => {
  const poor = world.nodes().filter((node) => peersOf(node).length < peers)
  const fewest = Math.min(...poor.map((node) => peersOf(node).length))
  return poor.length === 0
    ? undefined
    : `${poor.length} of ${world.nodes().length} nodes have fewer than ${peers} peers, the poorest ${fewest}`
}

const enough = (world: World, nodes: number) => Math.min(world.policy.targetPeers, nodes - 1)

/** Starts so many nodes, two seconds apart; all know the first one, and nobody else. */
const bootstrap = (world: World, nodes: number, indexOf = (n: number) => n) =>
  Effect.gen(function* () {
    for (let n = 1; n <= nodes; n++) {
      yield* world.start(indexOf(n), n === 1 ? [] : [indexOf(1)])
      yield* Effect.sleep("2 seconds")
    }
  })

const drawNode = (world: World) =>
  Effect.gen(function* () {
    const nodes = world.nodes()
    return nodes[(yield* Random.nextIntBetween(0, Math.max(0, nodes.length - 1))) % Math.max(1, nodes.length)]
  })

/** Some node asks its network something now and then; every request ends, one way or the other. */
const askAround = (world: World) =>
  Effect.gen(function* () {
    const node = yield* drawNode(world)
    if (node === undefined) return
    const peerSet = Context.get(node.services, PeerSet)
    const request: Effect.Effect<unknown, unknown> = (yield* Random.nextBoolean)
      ? peerSet.request({ _tag: "Peers" })
      : peerSet.request({ _tag: "FindBlocks", known: [zeroBlockHash], stop: undefined })
    const tooLong = Effect.gen(function* () {
      // It may wait for a peer as long as there is none; with one, no request takes so long.
      for (let seconds = 0; seconds < 90;) {
        yield* Effect.sleep("5 seconds")
        if (peersOf(node).length > 0) seconds += 5
      }
      return yield* new NotReached({ waitedFor: "the end of a request", found: `node ${node.index} still waits` })
    })
    yield* Effect.raceFirst(Effect.exit(request), tooLong)
  }).pipe(Effect.andThen(Effect.sleep("20 seconds")), Effect.forever)

/** Runs beside the scenario; what goes wrong in it goes wrong in the scenario. */
const beside = <A>(main: Effect.Effect<A, NotReached, Scope.Scope>, other: Effect.Effect<never, NotReached>) =>
  Effect.raceFirst(main, other)

const hoursOf = ({ hours }: Size) => Duration.hours(hours)

// -- the scenarios -------------------------------------------------------------------------------

/** The age of the shared `addr` answer decides how fast a small network learns; ten minutes suit a large one. */
const policy: Partial<Policy> = { targetPeers: 8, addrAnswerAge: Duration.seconds(60) }

const bootstrapScenario: Scenario = {
  name: "bootstrap",
  description: "everybody knows one seed, and finds the others",
  size: { nodes: 20, hours: 1 },
  // The one seed has room for all: who does not get in has nobody else to ask.
  policy: ({ nodes }) => ({ ...policy, inboundMultiplier: Math.max(5, Math.ceil(nodes / 8)) }),
  run: (world, size) =>
    beside(
      Effect.gen(function* () {
        yield* bootstrap(world, size.nodes)
        yield* eventually("every node to have its peers", hoursOf(size), haveAtLeast(world, enough(world, size.nodes)))
        yield* eventually("one network", "10 minutes", () => isOneNetwork(world))
        yield* Effect.sleep(Duration.millis(Math.max(0, Duration.toMillis(hoursOf(size)) - world.nowMillis())))
      }),
      askAround(world)
    )
}

const churn: Scenario = {
  name: "churn",
  description: "nodes come and go, and ban each other for a while",
  size: { nodes: 15, hours: 1 },
  policy,
  run: (world, size) =>
    beside(
      Effect.gen(function* () {
        yield* bootstrap(world, size.nodes)
        const until = world.nowMillis() + Duration.toMillis(hoursOf(size))
        while (world.nowMillis() < until) {
          yield* Effect.sleep("20 seconds")
          const index = 2 + ((yield* Random.nextIntBetween(0, size.nodes - 2)) % Math.max(1, size.nodes - 1))
          if (world.isRunning(index)) yield* world.stop(index)
          else yield* world.start(index, [1])
          const angry = yield* drawNode(world)
          if (angry === undefined || (yield* Random.next) > 0.2) continue
          const [victim] = peersOf(angry)
          if (victim?.transientAddress === undefined) continue
          yield* Context.get(angry.services, AddressBook).ban({
            address: victim.transientAddress,
            reason: "a test",
            duration: Duration.minutes(5)
          })
        }
        for (let index = 1; index <= size.nodes; index++) yield* world.start(index, [1])
        yield* eventually("one network", "30 minutes", () => isOneNetwork(world))
      }),
      askAround(world)
    )
}

const partition: Scenario = {
  name: "partition",
  description: "the network falls in two for ten minutes, and heals",
  size: { nodes: 16, hours: 1 },
  policy,
  run: (world, size) =>
    beside(
      Effect.gen(function* () {
        yield* bootstrap(world, size.nodes)
        yield* eventually("one network", "10 minutes", () => isOneNetwork(world))
        const half = Array.from({ length: size.nodes >> 1 }, (_, i) => world.hostOf(i + 1))
        yield* Effect.scoped(
          Effect.andThen(world.network.addRule(LinkRule.partition(half)), Effect.sleep("10 minutes"))
        )
        yield* eventually("one network again", hoursOf(size), () => isOneNetwork(world))
      }),
      askAround(world)
    )
}

const seedDies: Scenario = {
  name: "seed-dies",
  description: "the only seed goes for good; the others stay together, and newcomers find them",
  size: { nodes: 12, hours: 1 },
  policy,
  run: (world, size) =>
    beside(
      Effect.gen(function* () {
        yield* bootstrap(world, size.nodes)
        // Until then some know nobody but the seed, and nobody could help them.
        yield* eventually("every node to have some peers", "1 hour", haveAtLeast(world, Math.min(3, size.nodes - 2)))
        yield* world.crash(1)
        yield* Effect.sleep("10 minutes")
        yield* world.start(size.nodes + 1, [2])
        yield* eventually("one network without its seed", hoursOf(size), () => isOneNetwork(world))
      }),
      askAround(world)
    )
}

const upgrade: Scenario = {
  name: "upgrade",
  description: "an upgrade activates: peers of an older protocol are let go, and not let in again",
  size: { nodes: 8, hours: 1 },
  chain: testnet,
  policy,
  run: (world, size) =>
    Effect.gen(function* () {
      yield* bootstrap(world, size.nodes)
      const old = size.nodes + 1
      const keepsDialling = ScriptedPeer.dial(
        world.hostOf(1),
        ScriptedPeer.compose(ScriptedPeer.honest(), ScriptedPeer.obsolete(170_150))
      ).pipe(Effect.ignore, Effect.andThen(Effect.sleep("3 minutes")), Effect.forever)
      yield* Effect.forkScoped(scripted(world, old)(keepsDialling))
      const isConnected = () =>
        world.nodes().some((node) => peersOf(node).some(({ info }) => info.remote.version < 170_160))
      yield* eventually("the old peer to be let in", "10 minutes", () => (isConnected() ? undefined : "it is out"))
      const height = world.chain.activationHeights["NU6.3"] ?? 0
      yield* SubscriptionRef.set(
        world.tip,
        Option.some({ height, hash: zeroBlockHash, blockTimeSeconds: Math.floor(world.nowMillis() / 1000) })
      )
      yield* Effect.sleep("2 minutes")
      for (let minute = 0; minute < 10; minute++) {
        if (isConnected()) {
          return yield* new NotReached({ waitedFor: "the old peer to be let go", found: "it is connected" })
        }
        yield* Effect.sleep("1 minute")
      }
      yield* eventually("one network after the upgrade", "10 minutes", () => isOneNetwork(world))
    })
}

const slowNetwork: Scenario = {
  name: "slow-network",
  description: "late, lossy and narrow links",
  size: { nodes: 12, hours: 1 },
  policy,
  run: (world, size) =>
    beside(
      Effect.gen(function* () {
        yield* world.network.addRule(LinkRule.delay(LinkRule.longTail("50 millis", "150 millis")))
        yield* world.network.addRule(LinkRule.loss(0.02))
        yield* world.network.addRule(LinkRule.bandwidth(50_000))
        yield* world.network.addRule(LinkRule.split(100))
        yield* bootstrap(world, size.nodes)
        yield* eventually("one network", hoursOf(size), () => isOneNetwork(world))
        yield* eventually("every node to have some peers", hoursOf(size), haveAtLeast(world, 3))
      }),
      askAround(world)
    )
}

const byzantineThird: Scenario = {
  name: "byzantine-third",
  description: "a third of the hosts lie, stall, flood or say nothing",
  size: { nodes: 18, hours: 1 },
  policy,
  run: (world, size) =>
    Effect.gen(function* () {
      const honest = size.nodes - Math.floor(size.nodes / 3)
      const nowhere = (n: number) => world.hostOf(20_000 + (n % 40_000))
      const lies = [
        ScriptedPeer.compose(ScriptedPeer.honest(), ScriptedPeer.lyingAddresses(nowhere, 3 * 3600)),
        ScriptedPeer.silent,
        ScriptedPeer.stalling,
        ScriptedPeer.compose(ScriptedPeer.answeringEmpty, ScriptedPeer.flooding(Message.Ping({ nonce: 1n }), 50)),
        ScriptedPeer.compose(
          ScriptedPeer.honest(),
          ScriptedPeer.lyingHeight(0x7fff_ffff),
          ScriptedPeer.lyingTime(-1e9)
        ),
        ScriptedPeer.selfConnecting
      ]
      for (let index = honest + 1; index <= size.nodes; index++) {
        const script = lies[index % lies.length] ?? ScriptedPeer.silent
        yield* scripted(world, index)(Effect.orDie(ScriptedPeer.listen(world.hostOf(index), script)))
      }
      const everyLiar = Array.from({ length: size.nodes - honest }, (_, i) => honest + 1 + i)
      for (let index = 1; index <= honest; index++) {
        yield* world.start(index, index === 1 ? everyLiar : [1, ...everyLiar])
        yield* Effect.sleep("2 seconds")
      }
      yield* eventually("one network of honest nodes", hoursOf(size), () => isOneNetwork(world))
      yield* Effect.sleep("10 minutes")
      yield* eventually("one network of honest nodes, still", "20 minutes", () => isOneNetwork(world))
    })
}

const deadAddresses: Scenario = {
  name: "dead-addresses",
  description: "hundreds of addresses where nobody is, and a few nodes among them",
  size: { nodes: 6, hours: 0.5 },
  // Only demand makes it dial: one that is lost is never made up for.
  policy: { ...policy, fillSpareSlots: false, crawlInterval: Duration.hours(10) },
  run: (world, size) =>
    Effect.gen(function* () {
      for (let index = 1; index <= size.nodes; index++) yield* world.start(index, [])
      const [first] = world.nodes()
      if (first === undefined) return
      const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      const dead = Array.from({ length: 300 }, (_, i) => ({ index: 30_000 + i, age: i }))
      // Seen last of all, so tried last of all.
      const living = Array.from({ length: size.nodes - 1 }, (_, i) => ({ index: i + 2, age: 5000 }))
      yield* Context.get(first.services, AddressBook).addGossiped(
        [...dead, ...living].map(({ age, index }) => ({
          address: world.hostOf(index),
          services: NODE_NETWORK,
          lastSeenSeconds: nowSeconds - age
        }))
      )
      yield* Context.get(first.services, PeerSet).demand.offer
      yield* eventually("a peer behind all the dead addresses", hoursOf(size), () =>
        peersOf(first).length > 0 ? undefined : "there is none"
      )
    })
}

const listenerFlood: Scenario = {
  name: "listener-flood",
  description: "more hosts than may wait knock at one node and say nothing",
  size: { nodes: 8, hours: 1 },
  policy,
  run: (world, size) =>
    Effect.gen(function* () {
      yield* bootstrap(world, size.nodes)
      yield* eventually("one network", "10 minutes", () => isOneNetwork(world))
      for (let knocker = 0; knocker < 1500; knocker++) {
        const knocks = Effect.ignore(ScriptedPeer.dial(world.hostOf(1), ScriptedPeer.silent)).pipe(
          Effect.andThen(Effect.sleep("10 seconds")),
          Effect.forever
        )
        yield* Effect.forkScoped(scripted(world, 1000 + knocker)(knocks))
      }
      yield* Effect.sleep("3 minutes")
      yield* eventually("one network in the flood", "10 minutes", () => isOneNetwork(world))
    })
}

const clockJumps: Scenario = {
  name: "clock-jumps",
  description: "wall clocks are set hours forward and back",
  size: { nodes: 12, hours: 1 },
  policy,
  run: (world, size) =>
    beside(
      Effect.gen(function* () {
        yield* bootstrap(world, size.nodes)
        const until = world.nowMillis() + Duration.toMillis(hoursOf(size))
        while (world.nowMillis() < until) {
          yield* Effect.sleep("3 minutes")
          const node = yield* drawNode(world)
          if (node === undefined) continue
          const hours = (yield* Random.nextIntBetween(0, 12)) - 6
          yield* world.jumpClock(node.index, Duration.hours(Math.abs(hours)))
          if (hours < 0) yield* world.jumpClock(node.index, Duration.negate(Duration.hours(2 * Math.abs(hours))))
        }
        yield* eventually("one network", "30 minutes", () => isOneNetwork(world))
      }),
      askAround(world)
    )
}

const crashAndRestart: Scenario = {
  name: "crash-and-restart",
  description: "nodes lose their power and come back with nothing but their disks",
  size: { nodes: 12, hours: 1 },
  chain: testnet,
  policy,
  run: (world, size) =>
    beside(
      Effect.gen(function* () {
        yield* bootstrap(world, size.nodes)
        yield* eventually("one network", "10 minutes", () => isOneNetwork(world))
        // Time for everybody to write what it knows.
        yield* Effect.sleep("6 minutes")
        const until = world.nowMillis() + Duration.toMillis(hoursOf(size))
        while (world.nowMillis() < until) {
          const node = yield* drawNode(world)
          if (node !== undefined) {
            yield* world.crash(node.index)
            yield* Effect.sleep("1 minute")
            yield* world.start(node.index, [])
          }
          yield* Effect.sleep("4 minutes")
        }
        yield* eventually("one network", "30 minutes", () => isOneNetwork(world))
      }),
      askAround(world)
    )
}

/** Hosts of the attacker that accept connections, whoever asks. */
const attackers = 64

const eclipse: Scenario = {
  name: "eclipse",
  description: "an attacker tells of its own addresses only, to hold every connection a node makes (A8)",
  size: { nodes: 16, hours: 1 },
  chain: testnet,
  // As many parts of the internet as places, as by default: 24 of both.
  policy: { ...policy, groupsForOneEach: 24 },
  run: (world, size) =>
    Effect.gen(function* () {
      const oneOf = (choices: ReadonlyArray<number>) =>
        Effect.map(Random.nextIntBetween(0, choices.length - 1), (index) => choices[index] ?? 1)
      const hostile = yield* oneOf([1, 5, 25])
      const networks = yield* oneOf([1, 8, 32, 128])
      /** Each honest node in a network of its own; the last one is the attacker's aim, and knows the first as all others do. */
      const honestIndex = (n: number) => (n === size.nodes ? 1 : (n << 8) | 1)
      const findTarget = () => world.nodes().find(({ index }) => index === 1)
      const indexOf = (n: number) => ((100 + (n % networks)) << 8) | (1 + Math.floor(n / networks))
      const hosts = Array.from({ length: attackers }, (_, n) => world.hostOf(indexOf(n)))
      const isAttacker = (address: PeerSocketAddress.PeerSocketAddress) => {
        const [, network = 0] = String(address.address).split(".").map(Number)
        return network >= 100
      }
      const bystander = world.hostOf(20_000)
      const useless = ["0.0.0.0:18233", "[::]:18233", "10.99.0.1:0", "10.99.0.1:8233"].map(
        PeerSocketAddress.fromStringUnsafe
      )
      // Half of what it tells is itself, a third one bystander whom all shall dial, and the rest what nobody can dial.
      const told = (n: number) =>
        (n % 6 < 3 ? hosts[n % attackers] : n % 6 < 5 ? bystander : useless[Math.floor(n / 6) % useless.length]) ??
        bystander
      const liar = ScriptedPeer.compose(ScriptedPeer.honest(), ScriptedPeer.lyingAddresses(told))
      for (let n = 0; n < attackers; n++) {
        const index = indexOf(n)
        yield* scripted(world, index)(Effect.orDie(ScriptedPeer.listen(world.hostOf(index), liar)))
      }
      for (let n = attackers; n < attackers + hostile; n++) {
        const keepsDialling = Effect.ignore(ScriptedPeer.dial(world.hostOf(1), liar)).pipe(
          Effect.andThen(Effect.sleep("3 minutes")),
          Effect.forever
        )
        yield* Effect.forkScoped(scripted(world, indexOf(n))(keepsDialling))
      }

      const judge = Effect.fnUntraced(function* (when: string) {
        const target = findTarget()
        if (target === undefined) return
        const entries = yield* Context.get(target.services, AddressBook).entries
        const unusable = entries.find(({ address }) => validForOutbound(address, world.chain) !== undefined)
        if (unusable !== undefined) {
          const found = PeerSocketAddress.format(unusable.address)
          return yield* new NotReached({ waitedFor: "a book of addresses that can be dialled", found })
        }
        const connected = (inbound: boolean) =>
          peersOf(target).flatMap(({ isInbound, transientAddress }) =>
            isInbound !== inbound || transientAddress === undefined ? [] : [transientAddress]
          )
        const outbound = connected(false)
        const held = outbound.filter(isAttacker).length
        const most = networks === 1 ? 2 : networks
        if (held > most) {
          const found = `${held} in ${networks} networks`
          return yield* new NotReached({ waitedFor: `an attacker with ${most} outbound connections at most`, found })
        }
        const honest = [...outbound, ...connected(true)].filter((address) => !isAttacker(address)).length
        world.measure(`honest peers, with an attacker in ${networks} networks, ${when}`, honest)
        const share = (addresses: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) =>
          `${addresses.filter(isAttacker).length} of ${addresses.length}`
        world.note(
          `${when}, ${hostile} hostile peers and ${networks} networks hold ${share(outbound)} outbound connections and ` +
            `${share(entries.map(({ address }) => address))} addresses; ${honest} honest peers are connected`
        )
      })

      yield* bootstrap(world, size.nodes, honestIndex)
      const target = findTarget()
      const tooMany = target === undefined ? Effect.never : learntTooMany(world, target)
      yield* beside(
        Effect.gen(function* () {
          const until = world.nowMillis() + Duration.toMillis(hoursOf(size))
          // Honest nodes come and go; the attacker's stay.
          for (let turn = 0; world.nowMillis() < until; turn++) {
            const index = honestIndex(2 + (turn % Math.max(1, size.nodes - 2)))
            yield* Effect.sleep("5 minutes")
            yield* world.stop(index)
            yield* Effect.sleep("5 minutes")
            yield* world.start(index, [honestIndex(1)])
          }
          yield* judge(`after ${size.hours} h`)
          yield* world.crash(1)
          yield* Effect.sleep("1 minute")
          yield* world.start(1, [])
          yield* Effect.sleep("10 minutes")
          yield* judge("after a start from its file")
        }),
        tooMany
      )
    })
}

/** Fails when one answer brought more addresses than it may. */
const learntTooMany = (world: World, node: WorldNode): Effect.Effect<never, NotReached> =>
  Context.get(node.services, NetworkEvents).stream.pipe(
    Stream.runForEach((event) =>
      event._tag === "AddressesLearned" && event.count > world.policy.addressesPerAnswer
        ? Effect.fail(new NotReached({ waitedFor: "answers within their limit", found: `one of ${event.count}` }))
        : Effect.void
    ),
    Effect.andThen(Effect.never)
  )

/** Every scenario, by what is asked of it. */
export const scenarios: ReadonlyArray<Scenario> = [
  bootstrapScenario,
  churn,
  partition,
  seedDies,
  upgrade,
  slowNetwork,
  byzantineThird,
  deadAddresses,
  listenerFlood,
  clockJumps,
  crashAndRestart,
  eclipse,
  crowd,
  outage
]
