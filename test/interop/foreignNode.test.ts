/**
 * A foreign node beside ours, over real loopback TCP. Runs only through `npm run interop`, which sets
 * NETWORK_EFFECT_INTEROP_COMMAND (the program) and NETWORK_EFFECT_INTEROP_SECONDS (how long).
 */
import { type ChildProcess, spawn } from "node:child_process"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, type Scope, Stream } from "effect"
import { Node } from "network-effect/layers"
import { Network, type NetworkEvent, PeerSet, PeerSocketAddress, regtest } from "network-effect"

const command = process.env["NETWORK_EFFECT_INTEROP_COMMAND"]
const seconds = Number(process.env["NETWORK_EFFECT_INTEROP_SECONDS"] ?? 120)
if (command === undefined) console.log("interop tests are skipped: run them with npm run interop -- --command PROGRAM")

/** The words of the command, with its addresses; without the flag of a peer when there is none. */
const wordsOf = (command: string, listen: string, peer: string | undefined): ReadonlyArray<string> => {
  const words = command.split(/\s+/).filter((word) => word !== "")
  return words
    .filter((word, i) => peer !== undefined || !(word.includes("{peer}") || words[i + 1]?.includes("{peer}")))
    .map((word) => word.replace("{listen}", listen).replace("{peer}", peer ?? ""))
}

/** The foreign program, which ends with the scope. Its output goes to ours, so a failing run can be read. */
const foreignNode = (listen: string, peer?: string) =>
  Effect.acquireRelease(
    Effect.sync((): ChildProcess => {
      const [program = "", ...args] = wordsOf(command ?? "", listen, peer)
      return spawn(program, args, { stdio: ["ignore", "inherit", "inherit"] })
    }),
    (child) => Effect.sync(() => child.kill("SIGTERM"))
  )

/** Runs until the time is over; what our node saw meanwhile. */
const observe = Effect.fnUntraced(function* (fromStart: Effect.Effect<unknown, unknown, Scope.Scope>) {
  const network = yield* Network
  const peerSet = yield* PeerSet
  const seen: Array<NetworkEvent> = []
  yield* network.events.pipe(
    Stream.runForEach((event) => Effect.sync(() => seen.push(event))),
    Effect.forkScoped({ startImmediately: true })
  )
  yield* fromStart
  yield* network.awaitReady({ peers: 1 }).pipe(Effect.timeout("15 seconds"))
  const connectedAt = yield* Clock.currentTimeMillis
  const answers: Array<number> = []
  const asking = yield* Effect.gen(function* () {
    const before = yield* Clock.currentTimeMillis
    yield* peerSet.request({ _tag: "Peers" })
    answers.push((yield* Clock.currentTimeMillis) - before)
  }).pipe(Effect.ignore, Effect.andThen(Effect.sleep("5 seconds")), Effect.forever, Effect.forkChild)
  yield* Effect.sleep(Duration.seconds(seconds))
  yield* Fiber.interrupt(asking)
  const peers = yield* peerSet.peers
  return {
    connected: seen.filter(({ _tag }) => _tag === "PeerConnected").length,
    dropped: seen.flatMap((event) =>
      event._tag === "PeerDisconnected"
        ? [`${event.direction} after ${event.at - connectedAt} ms: ${event.reason}`]
        : []
    ),
    userAgents: peers.map((peer) => peer.info.remote.userAgent),
    pings: peers
      .map((peer) => peer.roundTrip())
      .filter((rtt) => rtt !== undefined)
      .map(Duration.toMillis),
    getaddrMillis: answers,
    seconds: ((yield* Clock.currentTimeMillis) - connectedAt) / 1000
  }
})

const ours = (listen: string, peers: ReadonlyArray<string>) => {
  const listenAddress = PeerSocketAddress.fromStringUnsafe(listen)
  return Node.layer({
    chain: regtest,
    listenAddress,
    dialFrom: listenAddress.address,
    peers: peers.map(PeerSocketAddress.fromStringUnsafe)
  })
}

const of = (direction: "inbound" | "outbound", dropped: ReadonlyArray<string>) =>
  dropped.filter((text) => text.startsWith(direction))

describe.skipIf(command === undefined)("a foreign node", () => {
  it.live(
    "dials us, shakes hands, answers pings and address requests, and stays",
    () =>
      Effect.gen(function* () {
        const result = yield* observe(foreignNode("127.0.0.31:18233", "127.0.0.1:18233"))
        console.log("they dialled us:", JSON.stringify(result))
        // Ours may dial them too, which they end: to them both are one host.
        assert.deepStrictEqual(of("inbound", result.dropped), [])
        assert.isAtLeast(result.connected, 1)
        assert.isNotEmpty(result.getaddrMillis)
        if (seconds > 60) assert.isNotEmpty(result.pings)
      }).pipe(Effect.scoped, Effect.provide(ours("127.0.0.1:18233", []))),
    (seconds + 60) * 1000
  )

  it.live(
    "is dialled by us, shakes hands, answers pings and address requests, and stays",
    () =>
      Effect.gen(function* () {
        yield* foreignNode("127.0.0.32:18233")
        yield* Effect.sleep("2 seconds")
        const result = yield* observe(Effect.void).pipe(Effect.provide(ours("127.0.0.33:18233", ["127.0.0.32:18233"])))
        console.log("we dialled them:", JSON.stringify(result))
        assert.deepStrictEqual(of("outbound", result.dropped), [])
        assert.isAtLeast(result.connected, 1)
        assert.isNotEmpty(result.getaddrMillis)
        if (seconds > 60) assert.isNotEmpty(result.pings)
      }).pipe(Effect.scoped),
    (seconds + 60) * 1000
  )
})
