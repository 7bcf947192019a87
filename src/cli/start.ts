/**
 * `network-effect start`: one node, until it is stopped.
 *
 * @module
 */
import { Console, Effect, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { Network } from "../network/Network.ts"
import type { NetworkEvent } from "../network/NetworkEvents.ts"
import { StatusListening } from "../status/StatusAddress.ts"
import { describe } from "./DevnetView.ts"
import { Output } from "./Output.ts"
import { explained, hostsFlag, notBlank, recordFlags, statusFlag, statusListening, urlOf } from "./root.ts"

/**
 * What a node is, for every command that looks at settings; texts, for `SettingsFile.load` reads them with file and
 * environment.
 */
export const settingsFlags = {
  network: Flag.Literals("network", ["mainnet", "testnet", "regtest"]).pipe(
    Flag.withDescription("Which network; mainnet unless the settings say otherwise"),
    Flag.optional
  ),
  listen: Flag.String("listen").pipe(
    Flag.withDescription("Address to listen on: ip, ip:port or [ip6]:port; port 0 takes a free one"),
    Flag.withMetavar("ADDR"),
    Flag.optional
  )
}

const flags = {
  ...settingsFlags,
  peers: Flag.String("peer").pipe(
    Flag.withDescription("A peer to start with, ip:port; may be repeated, replaces the DNS seeds"),
    Flag.withMetavar("ADDR"),
    Flag.between(0, 1000)
  ),
  userAgent: Flag.String("user-agent").pipe(
    Flag.withDescription("What this node calls itself, at most 256 bytes"),
    Flag.withMetavar("TEXT"),
    Flag.optional
  ),
  asmap: Flag.File("asmap", { mustExist: true }).pipe(
    Flag.withDescription("A map of autonomous systems, as Bitcoin Core's: at most one outbound peer in each"),
    Flag.withMetavar("FILE"),
    Flag.optional
  ),
  status: statusFlag,
  statusHosts: hostsFlag("A name the status interface is also asked by, such as that of a proxy; may be repeated"),
  rpcCookie: Flag.String("rpc-cookie").pipe(
    Flag.withDescription("Leaves a login for JSON-RPC in this file, as zcashd does for its tools"),
    Flag.withMetavar("FILE"),
    notBlank("a file"),
    Flag.optional
  ),
  ...recordFlags,
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Events as JSON on stdout, one per line; logs go to stderr"),
    Flag.withDefault(false)
  )
}

/** About peers and the node. What peers advertise and tell is for `--json`, the page and metrics. */
const isNews = ({ _tag }: NetworkEvent): boolean => _tag !== "InventoryAdvertised" && _tag !== "AddressesLearned"

/** As logs say an address: the family and the port. */
const redacted = (text: string): string => {
  const address = PeerSocketAddress.fromText(text, 0)
  return address === undefined ? "redacted" : PeerSocketAddress.redacted(address)
}

/** An event without the IPs of peers, and the networks they are in. Our own address is in full. */
export const withoutIps = (event: NetworkEvent): NetworkEvent => {
  switch (event._tag) {
    case "Listening":
      return event
    case "PeerBanned":
    case "BanEnded":
      return { ...event, group: "redacted" }
    case "PeerEvicted":
      return {
        ...event,
        address: redacted(event.address),
        newcomer: redacted(event.newcomer),
        network: "redacted",
        newcomerNetwork: "redacted"
      }
    default:
      return "address" in event ? { ...event, address: redacted(event.address) } : event
  }
}

export const start = Command.make(
  "start",
  flags,
  Effect.fnUntraced(function* ({ json }) {
    const network = yield* Network
    if (!json && Option.isSome(network.listenAddress)) {
      yield* Console.log(`listening on ${PeerSocketAddress.format(network.listenAddress.value)}; Ctrl-C stops`)
    }
    const { address: status } = yield* StatusListening
    if (Option.isSome(status)) {
      const { value } = status
      yield* Console.log(json ? JSON.stringify(yield* statusListening(value)) : `status page: ${urlOf(value)}`)
    }
    const output = yield* Output
    const show = yield* PeerSocketAddress.ShowAddresses
    yield* network.events.pipe(
      Stream.filter((event) => json || isNews(event)),
      Stream.map((event) => (show ? event : withoutIps(event))),
      Stream.runForEach((event) => output.line(event._tag, json ? JSON.stringify(event) : describe(event))),
      Effect.forkChild({ startImmediately: true })
    )
    return yield* explained("")(network.awaitEnd)
  })
).pipe(
  Command.withDescription("Run one node until it is stopped"),
  Command.withExamples([
    { command: "network-effect start", description: "A Mainnet node that starts from the DNS seeds" },
    {
      command: "network-effect start --network regtest --peer 127.0.0.2:18233 --json",
      description: "A Regtest node that starts from one peer and tells its events as JSON"
    }
  ])
)
