/**
 * One node whose outbound connections an attacker wants, for a day or for weeks: how many of them it gets.
 *
 *     what is real        AddressBook, Crawler, Dialer, ConnectionSlots, and their pace
 *     what is played      hosts, dials, connections and answers to `getaddr`; there are no bytes and no messages
 *
 * So a day takes seconds, and a hundred of them show what is luck. Everything that happens is decided by the seed.
 *
 * **The world**
 *
 * 140 honest hosts that answer, 2,140 addresses where nobody is, and 2,000 hosts of the attacker in some groups, all of
 * them there all the time. The node knows 25 honest hosts and has 65 inbound connections, 25 of them the attacker's.
 * Connections with honest hosts last two hours in the mean. An honest host tells 37 addresses drawn from all there are, the
 * attacker's too once the attack has begun, each seen at some time of the last three hours. An attacker tells 37 of its own
 * and says it saw them just now.
 *
 * Source: of 2,280 addresses told on Mainnet 136 accepted connections (Zebra issue 7787).
 *
 * @module
 */
import { Clock, Duration, Effect, Exit, FiberSet, Layer, References, Scope } from "effect"
import type { SecureRandom } from "effect/crypto"
import { NetAddress } from "effect/net"
import { AddressBook } from "../addresses/AddressBook.ts"
import { byNetwork } from "../addresses/AddressGroups.ts"
import { BanList } from "../addresses/BanList.ts"
import * as HardenedBook from "../addresses/HardenedBook.ts"
import { BackgroundTasks, type NetworkEnd } from "../BackgroundTasks.ts"
import { ChainParams, mainnet } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../chain/ProtocolVersion.ts"
import { ConnectionSlots } from "../network/ConnectionSlots.ts"
import { ConnectError, Connector, makePace, type Wanted } from "../network/Connector.ts"
import { Crawler } from "../network/Crawler.ts"
import * as Demand from "../network/Demand.ts"
import * as Dialer from "../network/Dialer.ts"
import * as Feelers from "../network/Feelers.ts"
import { NetworkEvents } from "../network/NetworkEvents.ts"
import { PeerSet } from "../network/PeerSet.ts"
import type { Peer } from "../peer/Peer.ts"
import { defaults, outboundLimit, Policy } from "../Policy.ts"
import { OwnAddress } from "../transport/OwnAddress.ts"
import { DialError } from "../transport/Transport.ts"
import { type GossipedAddress, NODE_NETWORK } from "../wire/AddressCodec.ts"
import * as SeededRandom from "./SeededRandom.ts"
import { SimRuntime } from "./SimRuntime.ts"

type Address = PeerSocketAddress.PeerSocketAddress

type BookNeeds = BanList | ChainParams | OwnAddress | SecureRandom.SecureRandom

/** Which book the node has. */
export type BookName = "reference" | "hardened"

/** What is played. */
export interface Options {
  readonly seed: SeededRandom.Seed
  readonly book: BookName
  /** All but in measurements of what one is worth. */
  readonly rules?: Partial<HardenedBook.Rules>
  /** Groups that the attacker's hosts are in; without any there is no attacker. */
  readonly groups: number
  /** Hours that the attack lasts. */
  readonly hours?: number
  /** Hours before it. */
  readonly cleanHours?: number
  /** `distinct`: every honest host in a group of its own. `crowded`: all in 45 groups, the largest with 28 of them. */
  readonly world?: "distinct" | "crowded"
  /** Inbound connections that are the attacker's, of 65. */
  readonly hostileInbound?: number
  /** Part of the first 25 addresses that is the attacker's. */
  readonly hostileSeeds?: number
  /** Where its hosts are: in `groups` IPv4 /16s unless given, or all in one network that is as large. */
  readonly rented?: "ipv6/48" | "ipv4/24" | "ipv4/16"
  /** What it tells: its own hosts, or addresses where nobody is, in all parts of the internet or in those of honest hosts. */
  readonly tells?: "itself" | "trash" | "beside"
  /** Whether the node restarts at the end, without names: with its book and cache file, and a quarter of an hour. */
  readonly restarts?: boolean
  /** Whether half of the honest hosts are out of reach for an hour, from half of the time on. */
  readonly partition?: boolean
}

/** How it went. */
export interface Figures {
  /** Outbound connections at the end. */
  readonly attacker: number
  readonly honest: number
  /** Attacker's part of all outbound places. */
  readonly share: number
  /** Attacker's part of the addresses in the book, and of what the cache file would keep. */
  readonly shareOfBook: number
  readonly shareOfCache: number
  /** Seconds from the start; absent when it never came to that. */
  readonly secondsTo8: number | undefined
  readonly secondsTo75: number | undefined
  /** Hours from the beginning of the attack until so much of all places was the attacker's. */
  readonly hoursToHalf: number | undefined
  readonly hoursTo90: number | undefined
  readonly dials: number
  /** Part of the dials that met nobody. */
  readonly wasted: number
  /** Least time between two dials of one address, in seconds; infinite when none was dialled twice. */
  readonly leastRedialSeconds: number
  /** Honest part of the book. */
  readonly honestOfBook: number
  /** Honest outbound connections a minute after the restart. */
  readonly honestAfterRestart: number | undefined
  /** Seconds from the end of the partition until both sides were among the outbound connections. */
  readonly secondsToMixed: number | undefined
}

const honestHosts = 140
const deadAddresses = 2140
const attackerHosts = 2000
const inboundPeers = 65
const meanSessionMillis = 2 * 3600_000
/** Until a dial that meets nobody is known to have failed. */
const failureMillis = 1000
/** Between two answers of a connected peer that the book hears of: as rarely as it still counts as alive. */
const beatMillis = 118_000

/** 1 January 2026. */
const startMillis = 1_767_225_600_000

interface Host {
  readonly address: Address
  readonly text: string
  readonly kind: "honest" | "dead" | "attacker"
}

const hostAt = (kind: Host["kind"], ip: string): Host => {
  const address = PeerSocketAddress.fromIp(NetAddress.ipFromStringUnsafe(ip), mainnet.defaultPort)
  return { address, text: PeerSocketAddress.format(address), kind }
}

/** How many hosts are in each of 45 groups: 28 in the largest, and ever fewer, at least one. */
export const crowds = (): ReadonlyArray<number> => {
  const sizes = Array.from({ length: 45 }, (_, group) => (group === 0 ? 28 : 1))
  for (let left = honestHosts - 28 - 44, group = 1; left > 0; left--) {
    sizes[group]!++
    // Each gets about as much as its rank leaves it.
    group = sizes[group]! > 14 / group ? (group % 44) + 1 : group
  }
  return sizes
}

/** Where the attacker's host `n` is. */
const attackerIp = (n: number, { groups, rented }: Options): string => {
  switch (rented ?? "groups") {
    case "ipv6/48":
      return `2a0e:97c0:1:${n.toString(16)}::1`
    case "ipv4/24":
      return `11.7.7.${n & 255}`
    case "ipv4/16":
      return `11.7.${n >> 8}.${n & 255}`
    case "groups": {
      const [group, place] = [n % groups, Math.floor(n / groups)]
      return `${11 + (group >> 8)}.${group & 255}.${place >> 8}.${place & 255}`
    }
  }
}

const hostsOf = (options: Options, below: (limit: number) => number) => {
  const { groups, rented, world } = options
  const honest =
    world === "crowded"
      ? crowds().flatMap((size, group) =>
          Array.from({ length: size }, (_, n) => hostAt("honest", `40.${group}.${n + 1}.7`))
        )
      : Array.from({ length: honestHosts }, (_, n) => hostAt("honest", `40.${n}.7.7`))
  const dead = Array.from({ length: deadAddresses }, (_, n) =>
    hostAt("dead", `${60 + below(100)}.${below(256)}.${n >> 8}.${n & 255}`)
  )
  const count = groups === 0 ? 0 : rented === "ipv4/24" ? 256 : attackerHosts
  const attackers = Array.from({ length: count }, (_, n) => hostAt("attacker", attackerIp(n, options)))
  return { honest, dead, attackers }
}

/** A peer of which only the address, the direction and the end matter. */
const peerOf = (
  id: number,
  address: Address,
  isInbound: boolean,
  close: Effect.Effect<void>,
  nowMillis: number
): Peer => {
  const here = { services: NODE_NETWORK, address }
  const nothing = {
    messagesReceived: new Map(),
    messagesSent: new Map(),
    lastReceivedMillis: undefined,
    lastSentMillis: undefined
  }
  return {
    id,
    info: {
      connectedAddress: { _tag: isInbound ? "InboundDirect" : "OutboundDirect", address },
      remote: {
        _tag: "Version",
        version: ourProtocolVersion,
        services: NODE_NETWORK,
        timestamp: 0n,
        addressReceiver: here,
        addressFrom: here,
        nonce: 0n,
        userAgent: "/played/",
        startHeight: 0,
        relay: true
      },
      negotiatedVersion: ourProtocolVersion
    },
    transientAddress: address,
    isInbound,
    readiness: () => "Ready",
    awaitReady: Effect.void,
    enqueueUnsafe: () => Effect.die("nobody asks a played peer"),
    request: () => Effect.die("nobody asks a played peer"),
    advertiseBlock: () => Effect.void,
    awaitClosed: Effect.never,
    onClosed: () => undefined,
    ping: Effect.void,
    close: () => close,
    load: () => 1,
    roundTrip: () => undefined,
    pingWait: () => undefined,
    connectedAtMillis: nowMillis,
    bytesRead: () => 0,
    bytesWritten: () => 0,
    traffic: () => nothing
  }
}

/** The rules of the hardened book that can be off. */
export const rules: HardenedBook.Rules = HardenedBook.allRules

/** What an attacker does, by name. */
export const scripts: Readonly<Record<string, Partial<Options>>> = {
  /** X1: every answer of its own is of its own hosts, seen just now. */
  "front-run": {},
  /** X2: one of the first 25 peers is hostile; or so many of those that dialled us. */
  "one-responder": { hostileInbound: 0, hostileSeeds: 0.04 },
  "inbound-5": { hostileInbound: 5 },
  "inbound-10": { hostileInbound: 10 },
  /** X3: one machine, one rented network. */
  "ipv6-48": { groups: 1, rented: "ipv6/48" },
  "ipv4-24": { groups: 1, rented: "ipv4/24" },
  "ipv4-16": { groups: 1, rented: "ipv4/16" },
  /** X5: a restart after the attack, without names. */
  restart: { restarts: true },
  /** X6: a hostile seeder gave half of the first addresses. */
  seeder: { hostileSeeds: 0.5 },
  /** X7 and X8: addresses where nobody is, without end. */
  trash: { tells: "trash" },
  /** The same in the parts of honest hosts, so that a draw of such a part finds nobody. */
  beside: { tells: "beside" },
  /** X10: weeks, with one hostile peer among those that dialled us. */
  slow: { hostileInbound: 1, hours: 21 * 24 },
  /** X11: no attacker, and half of the network gone for an hour. */
  none: { groups: 0 },
  partition: { groups: 0, hours: 6, partition: true },
  /** A day without an attacker, and then one. */
  settled: { cleanHours: 24 }
}

/** The value that so much of all values are below: 0.5 for the median. */
export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  const ordered = values.toSorted((a, b) => a - b)
  return ordered[Math.min(ordered.length - 1, Math.floor(share * ordered.length))] ?? Number.NaN
}

/** Plays one seed to its end. */
export const run = (options: Options): Figures => {
  const runtime = new SimRuntime(startMillis)
  const { cleanHours = 0, hours = 24 } = options
  const ending = runtime.run(
    play(options).pipe(
      Effect.scoped,
      Effect.provideService(Policy, defaults),
      Effect.provideService(References.MinimumLogLevel, "None")
    ),
    (hours + cleanHours + 2) * 3_600_000
  )
  if (ending._tag !== "Done") throw new Error(`the world ${options.seed} did not end: ${ending._tag}`)
  if (ending.exit._tag === "Failure")
    throw new Error(`the world ${options.seed} failed: ${ending.exit.cause.toString()}`)
  return ending.exit.value
}

const play = (options: Options) =>
  Effect.gen(function* () {
    const { book: bookName, cleanHours = 0, hostileInbound = 25, hostileSeeds = 0, hours = 24, seed } = options
    const rules = { ...HardenedBook.allRules, ...options.rules }
    const draw = SeededRandom.draws(seed, "world")
    const fraction = SeededRandom.fractions(draw)
    const below = (limit: number) => Math.floor(fraction() * limit)
    const oneOf = <A>(items: ReadonlyArray<A>): A => items[below(items.length)]!
    const hosts = hostsOf(options, below)
    const byText = new Map(
      [...hosts.honest, ...hosts.dead, ...hosts.attackers].map((host) => [host.text, host] as const)
    )
    const all = { clean: [...hosts.honest, ...hosts.dead], attacked: [...byText.values()] }
    const policy = yield* Policy
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe() - startMillis
    const attackAt = cleanHours * 3_600_000
    const isAttacked = () => now() >= attackAt && hosts.attackers.length > 0
    const wholeMillis = (hours + cleanHours) * 3_600_000
    /** Half of the honest hosts are on the other side. */
    const isApart = ({ kind, text }: Host) =>
      kind === "honest" && [...text].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 2 === 1
    const isCut = () => options.partition === true && now() >= wholeMillis / 2 && now() < wholeMillis / 2 + 3_600_000
    const fibers = yield* FiberSet.make<void>()
    const fork = yield* FiberSet.runtime(fibers)<never>()

    // -- who is connected ----------------------------------------------------------------------

    interface Connection {
      readonly host: Host
      readonly peer: Peer
      readonly end: Effect.Effect<void>
    }
    const outbound = new Map<string, Connection>()
    const inbound: Array<Peer> = []
    const isHostile = new Set<number>()
    const counts = { attacker: 0, honest: 0, dead: 0 }
    const figures = {
      secondsTo8: undefined as number | undefined,
      secondsTo75: undefined as number | undefined,
      hoursToHalf: undefined as number | undefined,
      hoursTo90: undefined as number | undefined,
      honestAfterRestart: undefined as number | undefined,
      secondsToMixed: undefined as number | undefined
    }
    let [ids, dials, wasted, leastRedial] = [0, 0, 0, Number.POSITIVE_INFINITY]
    const dialledAt = new Map<string, number>()
    const places = outboundLimit(policy)

    const look = () => {
      const open = counts.attacker + counts.honest
      if (open >= 8) figures.secondsTo8 ??= now() / 1000
      if (open >= places) figures.secondsTo75 ??= now() / 1000
      if (counts.attacker >= places * 0.5) figures.hoursToHalf ??= (now() - attackAt) / 3_600_000
      if (counts.attacker >= places * 0.9) figures.hoursTo90 ??= (now() - attackAt) / 3_600_000
    }

    const peers = () => [...Array.from(outbound.values(), ({ peer }) => peer), ...inbound]

    // -- what they answer ----------------------------------------------------------------------

    const nowSeconds = () => Math.floor(clock.currentTimeMillisUnsafe() / 1000)
    const told = ({ address }: Host, lastSeenSeconds: number): GossipedAddress => ({
      address,
      services: NODE_NETWORK,
      lastSeenSeconds
    })
    const trash = (): Host => hostAt("dead", `${20 + below(180)}.${below(256)}.${below(256)}.${below(256)}`)
    /** In the /16 of an honest host. */
    const beside = (): Host =>
      hostAt("dead", oneOf(hosts.honest).text.replace(/\d+\.\d+:\d+$/, `${below(256)}.${1 + below(255)}`))
    const hostileHost = () => {
      if (options.tells === "trash") return trash()
      return options.tells === "beside" ? beside() : oneOf(hosts.attackers)
    }
    const answerOf = (peer: Peer): ReadonlyArray<GossipedAddress> => {
      const among = isAttacked() ? all.attacked : all.clean
      return Array.from({ length: policy.addressesPerAnswer }, () =>
        isHostile.has(peer.id) && isAttacked()
          ? told(hostileHost(), nowSeconds())
          : told(oneOf(among), nowSeconds() - 1800 * below(6))
      )
    }

    const { demand } = yield* Demand.make<NetworkEnd>(places)
    const peerSet = PeerSet.layerTest({
      demand,
      peersUnsafe: peers,
      request: {
        Peers: (_request, asked) =>
          Effect.sync(() => {
            const everybody = peers()
            const { exclude } = asked ?? {}
            const peer =
              (exclude === undefined ? undefined : everybody.find(({ id }) => !exclude.has(id))) ?? oneOf(everybody)
            return { _tag: "Peers" as const, addresses: peer === undefined ? [] : answerOf(peer) }
          })
      }
    })

    // -- whom it dials -------------------------------------------------------------------------

    const connectorLayer = Layer.effect(
      Connector,
      Effect.gen(function* () {
        const book = yield* AddressBook
        const slots = yield* ConnectionSlots
        const takeTurn = yield* makePace(policy.dialInterval)
        const failed = (text: string) =>
          new ConnectError({ reason: new DialError({ address: text, code: "ECONNREFUSED", cause: "nobody is there" }) })

        const note = (text: string) => {
          dials++
          leastRedial = Math.min(leastRedial, now() - (dialledAt.get(text) ?? Number.NEGATIVE_INFINITY))
          dialledAt.set(text, now())
        }
        const agreed = (address: Address) =>
          ({
            _tag: "UpdateConnected",
            address,
            services: NODE_NETWORK,
            isInbound: false,
            userAgent: "/played/",
            negotiatedVersion: ourProtocolVersion
          }) as const

        const connect = Effect.fnUntraced(function* <E>({ whom }: Wanted<E>) {
          const scope = yield* Scope.make()
          const free = Scope.close(scope, Exit.void)
          return yield* Effect.gen(function* () {
            const slot = yield* slots.reserve("outbound").pipe(
              Scope.provide(scope),
              Effect.mapError((reason) => new ConnectError({ reason }))
            )
            const address = Effect.isEffect(whom) ? yield* whom : whom
            yield* takeTurn
            const text = PeerSocketAddress.format(address)
            const host = byText.get(text)
            note(text)
            if (host === undefined || host.kind === "dead" || outbound.has(text) || (isCut() && isApart(host))) {
              wasted++
              yield* Effect.sleep(Duration.millis(failureMillis))
              yield* book.record({ _tag: "UpdateFailed", address, services: undefined })
              return yield* failed(text)
            }
            const id = ids++
            if (host.kind === "attacker") isHostile.add(id)
            const end = Effect.suspend(() => {
              if (!outbound.delete(text)) return Effect.void
              isHostile.delete(id)
              counts[host.kind]--
              return Effect.andThen(book.record({ _tag: "UpdateFailed", address, services: NODE_NETWORK }), free)
            })
            const peer = peerOf(id, address, false, end, clock.currentTimeMillisUnsafe())
            outbound.set(text, { host, peer, end })
            counts[host.kind]++
            yield* slot.markOpen
            yield* book.record(agreed(address))
            look()
            if (host.kind === "honest") {
              fork(Effect.andThen(Effect.sleep(Duration.millis(-Math.log(1 - fraction()) * meanSessionMillis)), end))
            }
            return peer
          }).pipe(Effect.tapError(() => free))
        })
        /** Who is there is told apart from who is not, and nobody stays. */
        const feel = Effect.fnUntraced(function* (address: Address) {
          yield* takeTurn
          const text = PeerSocketAddress.format(address)
          const host = byText.get(text)
          note(text)
          if (host === undefined || host.kind === "dead" || (isCut() && isApart(host))) {
            yield* Effect.sleep(Duration.millis(failureMillis))
            yield* book.record({ _tag: "UpdateFailed", address, services: undefined })
            return yield* failed(text)
          }
          yield* book.record(agreed(address))
        })
        return Connector.of({ connect, feel })
      })
    )

    const crawlerLayer = bookName === "reference" ? Crawler.layerReference : Crawler.layer
    const node = (bookLayer: Layer.Layer<AddressBook, never, BookNeeds>) =>
      Layer.mergeAll(crawlerLayer, connectorLayer).pipe(
        Layer.provideMerge(Layer.mergeAll(peerSet, bookLayer)),
        Layer.provideMerge(
          Layer.mergeAll(BanList.layer, ConnectionSlots.layer, NetworkEvents.layer, OwnAddress.layerNone)
        ),
        Layer.provideMerge(Layer.mergeAll(BackgroundTasks.layer, SeededRandom.layer(seed, "node"))),
        Layer.provideMerge(Layer.succeed(ChainParams, mainnet))
      )

    /** What the hardened book would have on disk, as it says itself; the reference has its cache file alone. */
    let saved: Effect.Effect<HardenedBook.Saved> = Effect.succeed({ entries: [], anchors: [] })
    const bookLayer = (from: HardenedBook.Saved): Layer.Layer<AddressBook, never, BookNeeds> =>
      bookName === "reference"
        ? AddressBook.layerReference
        : Layer.effect(
            AddressBook,
            Effect.gen(function* () {
              const key = yield* HardenedBook.newKey
              const made = yield* HardenedBook.makeFrom({
                key,
                groups: byNetwork,
                rules,
                saved: from.entries,
                anchors: from.anchors
              })
              saved = made.save
              return made.book
            })
          )

    /** From the first dials on, for so long. */
    const live = (first: ReadonlyArray<Address>, forMillis: number, look: Effect.Effect<void>) =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        const connector = yield* Connector
        const crawler = yield* Crawler
        const groups = new Set<string>()
        for (const address of first) {
          yield* book.record({ _tag: "NewInitial", address })
          // As `InitialPeers`: one of each group.
          const group = byNetwork.groupOf(address)
          if (bookName === "hardened" && rules.groupLimit && groups.has(group)) continue
          groups.add(group)
          yield* Effect.forkScoped(Effect.ignore(connector.connect({ whom: address, why: "initial" })), {
            startImmediately: true
          })
        }
        yield* Effect.sleep("5 seconds")
        yield* crawler.crawlOnce()
        const beats = Effect.gen(function* () {
          for (const { host } of outbound.values()) {
            yield* book.record({ _tag: "UpdateResponded", address: host.address, roundTrip: undefined })
          }
        }).pipe(Effect.delay(Duration.millis(beatMillis)), Effect.forever)
        const looks = Effect.forever(Effect.delay(look, "10 seconds"))
        yield* Effect.raceFirst(
          Effect.sleep(Duration.millis(forMillis - 5000)),
          Effect.raceFirst(
            Effect.raceFirst(Effect.orDie(Dialer.run), Effect.orDie(Feelers.run)),
            Effect.raceFirst(beats, looks)
          )
        )
      })

    const shuffled = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> => {
      const left = [...items]
      return items.map(() => left.splice(below(left.length), 1)[0]!)
    }

    const isMixed = () => {
      const sides = new Set(
        [...outbound.values()].filter(({ host }) => host.kind === "honest").map(({ host }) => isApart(host))
      )
      return sides.size === 2
    }
    let wasCut = false
    const watch = Effect.gen(function* () {
      if (isCut() && !wasCut) {
        wasCut = true
        for (const { end, host } of outbound.values()) if (isApart(host)) yield* end
      }
      if (wasCut && !isCut() && figures.secondsToMixed === undefined && isMixed()) {
        figures.secondsToMixed = (now() - wholeMillis / 2) / 1000 - 3600
      }
    })

    const story = Effect.gen(function* () {
      const book = yield* AddressBook
      for (let n = 0; n < inboundPeers; n++) {
        const isAttackers = n < hostileInbound && hosts.attackers.length > 0
        const ip = isAttackers ? `11.${n % options.groups}.250.${n}` : `200.${n}.1.1`
        const id = ids++
        if (isAttackers) isHostile.add(id)
        inbound.push(peerOf(id, hostAt("honest", ip).address, true, Effect.void, clock.currentTimeMillisUnsafe()))
      }
      const bad = Math.round(policy.targetPeers * hostileSeeds)
      const first = [
        ...shuffled(hosts.attackers).slice(0, bad),
        ...shuffled(hosts.honest).slice(0, policy.targetPeers - bad)
      ].map(({ address }) => address)
      yield* live(shuffled(first), wholeMillis, watch)
      const entries = yield* book.entries
      const cache = yield* book.cacheable
      const shareOf = (addresses: ReadonlyArray<Address>, kind: Host["kind"] = "attacker") =>
        addresses.filter((address) => byText.get(PeerSocketAddress.format(address))?.kind === kind).length /
        Math.max(1, addresses.length)
      return {
        attacker: counts.attacker,
        honest: counts.honest,
        share: counts.attacker / places,
        shareOfBook: shareOf(entries.map(({ address }) => address)),
        shareOfCache: shareOf(cache),
        honestOfBook: shareOf(
          entries.map(({ address }) => address),
          "honest"
        ),
        ...figures,
        dials,
        wasted: wasted / Math.max(1, dials),
        leastRedialSeconds: leastRedial / 1000,
        cache,
        kept: yield* saved
      }
    })
    const { cache, kept, ...result } = yield* Effect.scoped(
      Effect.provide(story, node(bookLayer({ entries: [], anchors: [] })))
    )
    if (options.restarts === true) {
      for (const { end } of outbound.values()) yield* end
      const first = [...kept.anchors, ...shuffled(cache).slice(0, policy.targetPeers)]
      const began = now()
      const count = Effect.sync(() => {
        if (now() - began >= 60_000) figures.honestAfterRestart ??= counts.honest
      })
      yield* Effect.scoped(Effect.provide(live(first, 90_000, count), node(bookLayer(kept))))
    }
    return { ...result, honestAfterRestart: figures.honestAfterRestart }
  })
