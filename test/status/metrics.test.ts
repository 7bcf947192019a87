/** Every metric of the reference, by name and label keys, on a node that has seen what makes them. */
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Option, SubscriptionRef } from "effect"
import {
  ChainParams,
  ChainTip,
  Hash,
  ManualPeers,
  PeerSet,
  PeerSocketAddress,
  TcpTransport,
  testnet,
  type Tip
} from "network-effect"
import { ScriptedPeer } from "network-effect/simulation"
import { listenAddress, node, until, withStatus } from "../support/statusWorld.ts"
import { ownLoopback } from "../support/addresses.ts"

const lifecycle = ["network", "direction", "address_family"]

/** Source: Zebra's dashboards and `metrics!` calls; dots are underscores in the text format. */
const expected: Readonly<Record<string, ReadonlyArray<string>>> = {
  zcash_net_connection_attempts_total: lifecycle,
  zcash_net_connection_outcomes_total: [...lifecycle, "stage", "outcome"],
  zcash_net_peer_version_messages_total: [...lifecycle, "implementation"],
  zcash_net_peer_version_outcomes_total: [...lifecycle, "implementation", "outcome"],
  zcash_net_peer_handshake_duration_seconds_bucket: ["result", "le"],
  zcash_net_peer_handshake_duration_seconds_sum: ["result"],
  zcash_net_peer_handshake_duration_seconds_count: ["result"],
  zcash_net_peer_handshake_failures_total: ["reason"],
  zcash_net_peers_connected: ["remote_version", "negotiated_version", "min_version"],
  zcash_net_peers_obsolete: ["remote_version", "min_version"],
  zcash_net_peers_missing_services: ["remote_services"],
  zcash_net_peers_version_connected: [],
  zcash_net_peers_version_obsolete: [],
  zcash_net_out_messages: ["command"],
  zcash_net_in_messages: ["command"],
  zebra_net_in_errors: ["error"],
  zcash_net_out_bytes_total: [],
  zcash_net_in_bytes_total: [],
  zebra_net_out_requests: ["command"],
  zebra_net_out_requests_canceled: ["command"],
  peer_canceled: [],
  zebra_net_in_responses: ["command"],
  zebra_net_in_requests: ["command"],
  zebra_net_out_responses: ["command"],
  zebra_net_connection_state: ["command"],
  pool_closed_loadshed: [],
  pool_closed_inbound_timeout: [],
  pool_ignored_loadshed: [],
  pool_ignored_inbound_timeout: [],
  crawler_in_flight_handshakes: ["network"],
  pool_num_ready: ["network"],
  pool_num_unready: ["network"],
  zcash_net_peers: ["network"],
  zcash_net_peer_set_find_queued: ["network"],
  zcash_net_peer_set_find_fallback: ["network", "reason"],
  zcash_net_peer_set_inventory_queued: ["network"],
  zcash_net_peer_set_inventory_refusal: ["network", "kind"],
  pool_inventory_dropped: [],
  pool_inventory_dropped_messages: [],
  zcash_net_peers_cache: ["network", "cache"],
  candidate_set_responded: ["network"],
  candidate_set_gossiped: ["network"],
  candidate_set_failed: ["network"],
  candidate_set_pending: ["network"],
  candidate_set_recently_live: ["network"],
  candidate_set_disconnected: ["network"],
  zebrad_build_info: ["version"],
  process_cpu_seconds_total: [],
  process_resident_memory_bytes: [],
  // What Linux alone tells.
  ...(process.platform === "linux"
    ? { process_virtual_memory_bytes: [], process_open_fds: [], process_max_fds: [] }
    : {})
}

/** Those that have to have happened, with what happened. */
const happened: ReadonlyArray<RegExp> = [
  /^zcash_net_peers_obsolete\{remote_version="170100",min_version="170150"\} [1-9]/m,
  /^zcash_net_peers_missing_services\{remote_services="0"\} [1-9]/m,
  /^zcash_net_peer_handshake_failures_total\{reason="nonce_reuse"\} [1-9]/m,
  /^zcash_net_connection_outcomes_total\{.*stage="tcp_connect",outcome="connection_refused"\} [1-9]/m,
  /^zcash_net_connection_outcomes_total\{.*direction="inbound".*stage="admission",outcome="banned"\} [1-9]/m,
  /^zebra_net_in_errors\{error="WrongMagic"\} [1-9]/m,
  /^zebra_net_in_requests\{command="Peers"\} [1-9]/m,
  /^zebra_net_out_responses\{command="Peers"\} [1-9]/m,
  /^zebra_net_in_responses\{command="Peers"\} [1-9]/m,
  /^zebra_net_out_requests_canceled\{command="\w+"\} [1-9]/m,
  /^peer_canceled [1-9]/m,
  /^zcash_net_peer_set_find_queued\{network="testnet"\} [1-9]/m,
  /^zcash_net_peer_set_find_fallback\{network="testnet",reason="expired"\} [1-9]/m,
  /^zcash_net_peer_set_inventory_queued\{network="testnet"\} [1-9]/m,
  /^zcash_net_peer_set_inventory_refusal\{network="testnet",kind="waited"\} [1-9]/m,
  /^zcash_net_peers_initial\{network="testnet",cache="[^"]+"\} 1$/m,
  new RegExp(`^zcash_net_peers_initial\\{network="testnet",seed="${ownLoopback(2)}:18233"\\} 1$`, "m"),
  /^zcash_net_peers_cache\{network="testnet",cache="[^"]+"\} [1-9]/m
]

/** Label keys of every series of a scrape, by name. */
const seriesOf = (text: string): ReadonlyMap<string, ReadonlySet<string>> => {
  const found = new Map<string, Set<string>>()
  for (const line of text.split("\n")) {
    const match = /^([a-z_]+)(?:\{(.*)\})? /.exec(line)
    if (match === null || line.startsWith("#")) continue
    const [, name = "", labels = ""] = match
    const keys = [...labels.matchAll(/([a-z_]+)="(?:[^"\\]|\\.)*"/g)].map(([, key]) => key).join(",")
    found.set(name, (found.get(name) ?? new Set()).add(keys))
  }
  return found
}

const directory = mkdtempSync(join(tmpdir(), "network-effect-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const at = (ip: string) => PeerSocketAddress.fromStringUnsafe(`${ip}:18233`)

const scripted = (ip: string, ...scripts: ReadonlyArray<ScriptedPeer.Script>) =>
  ScriptedPeer.listen(at(ip), ScriptedPeer.compose(ScriptedPeer.honest(), ...scripts)).pipe(
    Effect.provide([TcpTransport.layer, Layer.succeed(ChainParams, testnet)])
  )

const servesNothing: ScriptedPeer.Script = { version: (version) => ({ ...version, services: 0n }) }

describe("the metrics", () => {
  it.live("have the reference's names and label keys, and move when something happens", () =>
    Effect.gen(function* () {
      mkdirSync(join(directory, "network"))
      // In a network of its own: one connection to each.
      writeFileSync(join(directory, "network", "testnet.peers"), `${ownLoopback(3, 1)}:18233`)
      yield* scripted(ownLoopback(2))
      yield* scripted(ownLoopback(3, 1), servesNothing)
      yield* scripted(ownLoopback(4), ScriptedPeer.obsolete())
      yield* ScriptedPeer.listen(at(ownLoopback(5)), ScriptedPeer.selfConnecting).pipe(
        Effect.provide([TcpTransport.layer, Layer.succeed(ChainParams, testnet)])
      )
      yield* scripted(ownLoopback(6), {
        begin: ({ sayBytes }) => sayBytes(Buffer.from("GET / HTTP/1.1\r\nHost: zcash\r\n\r\n"))
      })

      const tip = yield* SubscriptionRef.make(Option.none<Tip>())
      const { client, services } = yield* withStatus(ownLoopback(1), {
        chain: testnet,
        seeds: [`${ownLoopback(2)}:18233`],
        cacheDirectory: directory,
        chainTip: ChainTip.layerRef(tip),
        policy: { cacheFirstWrite: Duration.millis(500), pingInterval: Duration.seconds(59) }
      })
      const peerSet = Context.get(services, PeerSet)
      const dial = (ip: string) => Effect.exit(client.connect({ payload: { address: ip, mode: "onetry" } }))
      for (const ip of [4, 5, 6, 99].map((n) => ownLoopback(n))) yield* dial(ip)

      // Bob asks Alice for addresses, and is banned when he comes again.
      const bob = yield* Layer.build(node(ownLoopback(7), { chain: testnet }))
      const alice = PeerSocketAddress.fromStringUnsafe(listenAddress(services))
      const bobDials = Effect.exit(Context.get(bob, ManualPeers).connect(alice))
      yield* bobDials
      yield* Context.get(bob, PeerSet).request({ _tag: "Peers" })
      yield* client.ban({ payload: { address: ownLoopback(7), seconds: 60 } })
      yield* until(client.peers(), (peers) => peers.every(({ inbound }) => !inbound))
      yield* bobDials

      // Once there is a tip, nobody is refused for the blocks that it lacks.
      yield* until(client.metrics(), (text) => /^zcash_net_peers_missing_services\{/m.test(text))
      // The one that serves is kept busy, and what waits for it is canceled, or given to the one that does not serve.
      yield* SubscriptionRef.set(
        tip,
        Option.some({ height: 4_000_000, hash: Hash.zeroBlockHash, blockTimeSeconds: 4e9 })
      )
      yield* dial(ownLoopback(3, 1))
      const peers = yield* until(peerSet.peers, (peers) => peers.length === 2)
      const serving = peers.find(({ info }) => info.remote.services === 1n)
      if (serving === undefined) return assert.fail("nobody serves")
      assert.strictEqual(serving.info.remote.services, 1n)
      const find = { _tag: "FindHeaders", known: [], stop: undefined } as const
      const busy = yield* Effect.forkScoped(peerSet.request({ _tag: "FindBlocks", known: [], stop: undefined }))
      yield* until(client.peers(), (peers) => peers.some(({ readiness }) => readiness === "Ready"))
      const canceled = yield* Effect.forkScoped(serving.request(find), { startImmediately: true })
      yield* Fiber.interrupt(canceled)
      const block = Effect.exit(peerSet.request({ _tag: "BlocksByHash", hashes: new Set([Hash.zeroBlockHash]) }))
      yield* Effect.all([Effect.timeoutOption(peerSet.request(find), "2 seconds"), Effect.andThen(block, block)], {
        concurrency: "unbounded"
      })
      yield* Fiber.interrupt(busy)

      const missing = (text: string) => happened.filter((pattern) => !pattern.test(text)).map(String)
      const text = yield* until(client.metrics(), (text) => missing(text).length === 0).pipe(
        Effect.catchTag("TimeoutError", () => client.metrics())
      )
      assert.deepStrictEqual(missing(text), [])
      const found = seriesOf(text)
      for (const [name, keys] of Object.entries(expected)) {
        assert.deepStrictEqual([...(found.get(name) ?? ["no such series"])], [keys.join(",")], name)
      }
      assert.deepStrictEqual([...(found.get("zcash_net_peers_initial") ?? [])].toSorted(), [
        "network,cache",
        "network,seed"
      ])
    }).pipe(Effect.scoped)
  )
})
