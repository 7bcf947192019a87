/**
 * A crowd that wants every inbound place of a node, and honest hosts that want one each.
 *
 * The crowd is there first, has half as many hosts more as there are places, all in a few networks, and comes again whenever it
 * is refused or has to go. Honest hosts, one from a network of its own every minute, stay for hours and come back later.
 *
 * @module
 */
import { Context, Duration, Effect, Layer, Random, Stream } from "effect"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { NetworkEvents } from "../network/NetworkEvents.ts"
import { inboundLimit } from "../Policy.ts"
import { eventually, NotReached, peersOf, type Scenario } from "./Scenario.ts"
import * as ScriptedPeer from "./ScriptedPeer.ts"
import { SimNetwork } from "./SimNetwork.ts"
import type { World } from "./World.ts"

/** Networks of the crowd: one of these, as the seed has it. */
const choices = [1, 8, 32] as const

const crowdHost = (n: number, networks: number) =>
  PeerSocketAddress.fromStringUnsafe(
    `44.${n % networks}.${Math.floor(n / networks) >> 8}.${1 + (Math.floor(n / networks) & 0x7f)}:8233`
  )
const honestHost = (n: number) => PeerSocketAddress.fromStringUnsafe(`${60 + (n >> 8)}.${n & 0xff}.7.7:8233`)
const isOfCrowd = (address: string) => address.startsWith("44.")

/** Dials node 1 from there until the connection ends. */
const connection = (world: World, from: PeerSocketAddress.PeerSocketAddress) =>
  Effect.ignore(ScriptedPeer.dial(world.hostOf(1), ScriptedPeer.honest())).pipe(
    Effect.provide(
      Layer.merge(
        SimNetwork.layerTransport(from).pipe(Layer.provide(Layer.succeed(SimNetwork, world.network))),
        Layer.succeed(ChainParams, world.chain)
      )
    )
  )

const around = (duration: Duration.Input) =>
  Effect.flatMap(Random.next, (next) =>
    Effect.sleep(Duration.millis(Duration.toMillis(Duration.fromInputUnsafe(duration)) * (0.5 + next)))
  )

/** With `--nodes 140 --hours 3` there are more honest hosts than places, and the crowd has what it can keep. */
export const crowd: Scenario = {
  name: "crowd",
  description: "hosts of a few networks want every inbound place; how many have honest ones in the end?",
  size: { nodes: 40, hours: 0.7 },
  policy: { targetPeers: 25 },
  lookInterval: "1 minute",
  run: (world, size) =>
    Effect.gen(function* () {
      const networks = choices[Math.floor((yield* Random.next) * choices.length)] ?? 1
      yield* world.start(1, [])
      const [node] = world.nodes()
      if (node === undefined) return
      const places = inboundLimit(world.policy)
      for (let n = 0; n < 1.5 * places; n++) {
        const wants = Effect.forever(Effect.andThen(connection(world, crowdHost(n, networks)), around("3 minutes")))
        yield* Effect.forkScoped(wants)
        yield* Effect.sleep("1100 millis")
      }
      yield* eventually("the crowd to have every place", "10 minutes", () =>
        peersOf(node).length === places ? undefined : `it has ${peersOf(node).length}`
      )

      /** When honest hosts knocked that are not in yet. */
      const knocked = new Map<string, number>()
      const waits: Array<number> = []
      let knocks = 0
      yield* Context.get(node.services, NetworkEvents).stream.pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => {
            if (event._tag !== "PeerConnected" || isOfCrowd(event.address)) return
            const [ip = ""] = event.address.split(":")
            const since = knocked.get(ip)
            if (since !== undefined) waits.push(event.at - since)
            knocked.delete(ip)
          })
        ),
        Effect.forkScoped({ startImmediately: true })
      )
      const share = () => {
        const peers = peersOf(node)
        const ofCrowd = peers.filter(
          ({ transientAddress }) =>
            transientAddress !== undefined && isOfCrowd(PeerSocketAddress.format(transientAddress))
        )
        return ofCrowd.length / places
      }
      const until = world.nowMillis() + Duration.toMillis(Duration.hours(size.hours))
      for (let n = 0; n < size.nodes; n++) {
        const host = honestHost(n)
        const [ip = ""] = PeerSocketAddress.format(host).split(":")
        const wants = Effect.gen(function* () {
          knocks++
          knocked.set(ip, world.wallMillis(1))
          yield* Effect.timeoutOption(connection(world, host), Duration.hours(1 + 2 * (yield* Random.next)))
          yield* around("4 minutes")
        }).pipe(Effect.forever)
        yield* Effect.forkScoped(wants)
        yield* Effect.sleep("1 minute")
      }
      yield* Effect.sleep(Duration.millis(Math.max(0, until - world.nowMillis())))
      const inTime = waits.filter((millis) => millis <= 2000).length
      const last = 100 * share()
      world.measure(`share of the inbound places that a crowd of ${networks} networks ends with, in percent`, last)
      world.measure(
        `honest hosts in within 2 s of those that knocked, crowd of ${networks} networks, in percent`,
        (100 * inTime) / knocks
      )
      world.note(
        `a crowd of ${networks} networks ends with ${last.toFixed(1)} % of the inbound places; ` +
          `honest hosts knocked ${knocks} times and came in ${waits.length} times, ${inTime} of them within 2 s`
      )
      // As long as the crowd has more than two in each of its networks, nobody else waits.
      if (size.nodes + 2 * networks < places && inTime < knocks) {
        return yield* new NotReached({
          waitedFor: "every honest host to be in within 2 s",
          found: `${inTime} of ${knocks} are`
        })
      }
      // What the rules can keep of a network, if it is best by all of them, is one peer for each; and places stay that nobody
      // else wants.
      const most = Math.max(places - size.nodes, networks * 6) + 6
      if ((last * places) / 100 > most) {
        return yield* new NotReached({
          waitedFor: `a crowd that has ${most} places at most`,
          found: `it has ${last.toFixed(0)} %`
        })
      }
    })
}
