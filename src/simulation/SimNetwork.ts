/**
 * A network in memory: hosts, links between them, and both transports for each host.
 *
 * Time is that of the clock in force when the layer is built, chance that of its `Random`, so a world under a virtual
 * clock and a seed repeats itself. What goes wrong is said by rules (`LinkRule.ts`); without one, everything arrives
 * at once.
 *
 * @module
 */
import { Clock, Context, Effect, FiberHandle, Layer, Random, Scheduler, type Scope } from "effect"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { NetAddress } from "effect/net"
import { Policy } from "../Policy.ts"
import * as AcceptQueue from "../transport/AcceptQueue.ts"
import {
  type BoundListener,
  DialError,
  InboundTransport,
  ListenError,
  OutboundTransport
} from "../transport/Transport.ts"
import { Agenda } from "../Agenda.ts"
import * as LinkRule from "./LinkRule.ts"
import * as SeededRandom from "./SeededRandom.ts"
import { type LinkWorld, type Sender, SimLink } from "./SimLink.ts"
import { SimStream } from "./SimStream.ts"

/** Ports given to whoever does not ask for one. Source: IANA, dynamic ports, RFC 6335. */
const firstEphemeralPort = 49_152
const lastPort = 65_535

/** A network in memory: hosts, links and what goes wrong on them. */
export class SimNetwork extends Context.Service<
  SimNetwork,
  {
    /** What the host with this IP sees of the network. The same host for every port. */
    readonly host: (
      address: PeerSocketAddress.PeerSocketAddress
    ) => OutboundTransport["Service"] & InboundTransport["Service"]

    /** Adds a rule until the scope closes; then what waited for that goes on. */
    readonly addRule: (rule: LinkRule.LinkRule) => Effect.Effect<void, never, Scope.Scope>

    /**
     * Takes the power from a host: its listeners and streams end without a word to anybody. Nobody who talks to it hears
     * anything until it is back.
     */
    readonly crash: (address: PeerSocketAddress.PeerSocketAddress) => Effect.Effect<void>

    /** Brings a crashed host back. Whoever still sends to one of its old streams is told that it is gone. */
    readonly restart: (address: PeerSocketAddress.PeerSocketAddress) => Effect.Effect<void>

    /** Ends of streams that are not over, on every host: 0 when nothing leaked. */
    readonly openEnds: () => number

    /** Streams that wait to be accepted by a host. */
    readonly waiting: (address: PeerSocketAddress.PeerSocketAddress) => number
  }
>()("network-effect/simulation/SimNetwork") {
  /** An empty network without faults. */
  static readonly layer: Layer.Layer<SimNetwork> = Layer.effect(SimNetwork, Effect.gen(make))

  /** Both transports as the host with this IP has them. */
  static readonly layerTransport = (
    address: PeerSocketAddress.PeerSocketAddress
  ): Layer.Layer<OutboundTransport | InboundTransport, never, SimNetwork> =>
    Layer.effectContext(
      Effect.map(SimNetwork, (network) => {
        const { dial, listen } = network.host(address)
        return Context.make(OutboundTransport, { dial }).pipe(Context.add(InboundTransport, { listen }))
      })
    )
}

interface Listener {
  readonly queue: AcceptQueue.AcceptQueue<SimStream>
}

interface Host {
  readonly name: string
  readonly listeners: Map<number, Listener>
  readonly streams: Set<SimStream>
  /** Local ports of `streams`. */
  readonly ports: Set<number>
  nextPort: number
  isUp: boolean
}

function* make() {
  const { closeGrace } = yield* Policy
  const clock = yield* Clock.Clock
  const seed = yield* Random.nextInt
  const dispatcher = (yield* Scheduler.Scheduler).makeDispatcher()
  const runTimer = yield* FiberHandle.runtime(yield* FiberHandle.make<void>())<never>()

  const hosts = new Map<string, Host>()
  const links = new Map<string, SimLink>()
  const rules = new Set<LinkRule.LinkRule>()
  let stalled = new Set<Sender>()
  let version = 0

  // -- time ----------------------------------------------------------------------------------

  const agenda = new Agenda<() => void>()
  /** When the timer fiber wakes up next; everything is due while it works. */
  let wakesAt = Number.POSITIVE_INFINITY

  const timer: Effect.Effect<void> = Effect.suspend(() => {
    wakesAt = Number.NEGATIVE_INFINITY
    const now = clock.currentTimeMillisUnsafe()
    for (let due = agenda.takeDue(now); due !== undefined; due = agenda.takeDue(now)) due.what()
    wakesAt = agenda.nextAt() ?? Number.POSITIVE_INFINITY
    return wakesAt === Number.POSITIVE_INFINITY ? Effect.void : Effect.andThen(Effect.sleep(wakesAt - now), timer)
  })

  const world: LinkWorld = {
    now: () => clock.currentTimeMillisUnsafe(),
    at: (millis, run) => {
      agenda.add(millis, run)
      if (millis < wakesAt) runTimer(timer)
    },
    wake: (run) => dispatcher.scheduleTask(run, 0),
    version: () => version,
    conditions: (from, to) => {
      const conditions = LinkRule.conditions(rules, from, to)
      const areUp = hosts.get(from)?.isUp !== false && hosts.get(to)?.isUp !== false
      return areUp ? conditions : { ...conditions, opening: "Silent", passes: false }
    },
    stall: (sender) => stalled.add(sender),
    drawsFor: (from, to) => SeededRandom.fractions(SeededRandom.draws(seed, `${from} to ${to}`))
  }

  /** Conditions may be different now: whoever waited tries again. */
  const changed = () => {
    version++
    const waiting = stalled
    stalled = new Set()
    for (const sender of waiting) sender.send()
  }

  // -- hosts and links -----------------------------------------------------------------------

  const hostNamed = (name: string): Host => {
    const known = hosts.get(name)
    if (known !== undefined) return known
    const host: Host = {
      name,
      listeners: new Map(),
      streams: new Set(),
      ports: new Set(),
      nextPort: firstEphemeralPort,
      isUp: true
    }
    hosts.set(name, host)
    return host
  }

  const hostsByAddress = new WeakMap<PeerSocketAddress.PeerSocketAddress, Host>()
  const hostAt = (address: PeerSocketAddress.PeerSocketAddress): Host => {
    const known = hostsByAddress.get(address)
    if (known !== undefined) return known
    const host = hostNamed(LinkRule.hostOf(address))
    hostsByAddress.set(address, host)
    return host
  }

  const linkBetween = (from: string, to: string): SimLink => {
    const key = `${from} ${to}`
    const known = links.get(key)
    if (known !== undefined) return known
    const link = new SimLink(world, from, to)
    links.set(key, link)
    return link
  }

  /** `undefined` when all are taken. */
  const freePort = (host: Host): number | undefined => {
    for (let tries = firstEphemeralPort; tries <= lastPort; tries++) {
      const port = host.nextPort
      host.nextPort = port === lastPort ? firstEphemeralPort : port + 1
      if (!host.ports.has(port) && !host.listeners.has(port)) return port
    }
    return undefined
  }

  // -- what a host can do --------------------------------------------------------------------

  const makeEnd = (
    host: Host,
    localAddress: PeerSocketAddress.PeerSocketAddress,
    remoteAddress: PeerSocketAddress.PeerSocketAddress
  ): SimStream => {
    const stream = new SimStream({
      localAddress,
      remoteAddress,
      link: linkBetween(host.name, hostAt(remoteAddress).name),
      closeGrace,
      onOver: (stream) => {
        host.streams.delete(stream)
        host.ports.delete(localAddress.port)
      }
    })
    host.streams.add(stream)
    return stream
  }

  const connect = (
    host: Host,
    ip: NetAddress.IpAddress,
    address: PeerSocketAddress.PeerSocketAddress
  ): Effect.Effect<SimStream, DialError> =>
    Effect.callback((resume) => {
      const failed = (code: string) =>
        resume(Effect.fail(new DialError({ address: PeerSocketAddress.redacted(address), code, cause: "simulated" })))
      const port = freePort(host)
      if (port === undefined) return failed("EADDRNOTAVAIL")
      const localAddress = PeerSocketAddress.fromIp(ip, port)
      const there = hostAt(address)
      const out = linkBetween(host.name, there.name)
      const back = linkBetween(there.name, host.name)
      let interrupted = false
      let stream: SimStream | undefined
      host.ports.add(port)

      const soon = (link: SimLink, run: () => void) => {
        const arrival = link.arrival(0)
        if (arrival <= link.now()) run()
        else link.at(arrival, run)
      }
      const ask = () => {
        if (interrupted) return
        const { opening } = out.conditions()
        if (opening === "Silent" || !back.conditions().passes) return out.stall({ send: ask })
        soon(out, () => arrive(opening === "Refuses"))
      }
      const arrive = (isRefused: boolean) => {
        if (interrupted) return
        const listener = there.listeners.get(address.port)
        if (isRefused || listener === undefined) {
          return soon(back, () => {
            host.ports.delete(port)
            failed("ECONNREFUSED")
          })
        }
        const near = makeEnd(host, localAddress, address)
        const far = makeEnd(there, address, localAddress)
        SimStream.join(near, far)
        stream = near
        if (!listener.queue.offer(far)) far.refuse()
        soon(back, () => resume(Effect.succeed(near)))
      }
      ask()
      return Effect.suspend(() => {
        interrupted = true
        host.ports.delete(port)
        return stream === undefined ? Effect.void : stream.close
      })
    })

  const bind = (
    host: Host,
    address: PeerSocketAddress.PeerSocketAddress
  ): Effect.Effect<BoundListener, ListenError, Scope.Scope> =>
    Effect.gen(function* () {
      const failed = (code: string) =>
        Effect.fail(new ListenError({ address: PeerSocketAddress.format(address), code, cause: "simulated" }))
      if (!NetAddress.isUnspecified(address.address) && LinkRule.hostOf(address) !== host.name) {
        return yield* failed("EADDRNOTAVAIL")
      }
      const port = address.port === 0 ? freePort(host) : address.port
      if (port === undefined || host.listeners.has(port) || host.ports.has(port)) return yield* failed("EADDRINUSE")
      const queue = yield* AcceptQueue.make((stream: SimStream) => stream)
      const listener: Listener = { queue }
      host.listeners.set(port, listener)
      yield* Effect.addFinalizer(() => {
        // After a crash the port may be somebody else's.
        if (host.listeners.get(port) === listener) host.listeners.delete(port)
        return Effect.flatMap(
          queue.drain,
          Effect.forEach((stream) => stream.close, { discard: true })
        )
      })
      return { address: PeerSocketAddress.fromIp(address.address, port), accept: queue.accept }
    })

  return SimNetwork.of({
    host: (address) => {
      const host = hostAt(address)
      return {
        dial: (to) =>
          Effect.acquireRelease(connect(host, address.address, to), (stream) => stream.close, { interruptible: true }),
        listen: (at) => Effect.uninterruptible(bind(host, at))
      }
    },
    addRule: (rule) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          rules.add(rule)
          changed()
        }),
        () =>
          Effect.sync(() => {
            rules.delete(rule)
            changed()
          })
      ),
    crash: (address) =>
      Effect.sync(() => {
        const host = hostAt(address)
        host.isUp = false
        version++
        host.listeners.clear()
        for (const stream of host.streams) stream.vanish()
      }),
    restart: (address) =>
      Effect.sync(() => {
        hostAt(address).isUp = true
        changed()
      }),
    openEnds: () => [...hosts.values()].reduce((sum, host) => sum + host.streams.size, 0),
    waiting: (address) => [...hostAt(address).listeners.values()].reduce((sum, { queue }) => sum + queue.size(), 0)
  })
}
