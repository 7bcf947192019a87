/**
 * zcashd's network methods, over the services of one node: what its tools ask, in the fields they expect.
 *
 * What this node has no answer to has zcashd's own value for that: -1 for an unknown height, an empty list, 0.
 *
 * Source: zcashd src/rpc/net.cpp and src/rpc/server.cpp.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, HashMap, Option } from "effect"
import { NetAddress } from "effect/net"
import { AddressBook } from "../addresses/AddressBook.ts"
import * as AddressRules from "../addresses/AddressRules.ts"
import { keptFromEarlier } from "../addresses/BanFile.ts"
import { BanList } from "../addresses/BanList.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../chain/ProtocolVersion.ts"
import { ManualPeers } from "../network/ManualPeers.ts"
import { Network } from "../network/Network.ts"
import { PeerSet } from "../network/PeerSet.ts"
import { LocalNode } from "../peer/Handshake.ts"
import type { Peer } from "../peer/Peer.ts"
import { version } from "../version.ts"
import { codes, type Method, RpcError } from "./JsonRpc.ts"
import { maxBanSeconds } from "./StatusApi.ts"
import { totals } from "./NodeView.ts"
import { bannedByOperator, peerInfo } from "./StatusHandlers.ts"

/** Ends the process in order, for `stop`. Unless it is provided there is no such method. */
export const StopNode = Context.Reference<Option.Option<Effect.Effect<void>>>("network-effect/status/StopNode", {
  defaultValue: () => Option.none()
})

/** Time for the answer to `stop` to leave. */
const stopDelay = Duration.millis(100)

/** Seconds of a ban for which nobody said how long, as zcashd's `-bantime`. */
const defaultBanSeconds = 86_400

/** What zcashd says of its `-maxuploadtarget` where there is none; the frame is a day. Source: zcashd src/net.h. */
const unlimitedUpload = {
  timeframe: 86_400,
  target: 0,
  target_reached: false,
  serve_historical_blocks: true,
  bytes_left_in_cycle: 0,
  time_left_in_cycle: 0
}

/** zcashd's words for why somebody is banned; any other reason is what a peer did. Source: zcashd src/net.h, `banReasonToString`. */
const banReasons: Readonly<Record<string, string>> = {
  [bannedByOperator]: "manually added",
  [keptFromEarlier]: "unknown"
}

const fail = (code: number, message: string) => Effect.fail(new RpcError({ code, message }))

// -- parameters: zcashd's words for a wrong one -------------------------------------------------------

const wrong = (what: string) => fail(codes.misc, `JSON value is not ${what} as expected`)

const text = (value: unknown) => (typeof value === "string" ? Effect.succeed(value) : wrong("a string"))
const flag = (value: unknown) => (typeof value === "boolean" ? Effect.succeed(value) : wrong("a boolean"))
const integer = (value: unknown) =>
  typeof value === "number" && Number.isSafeInteger(value) ? Effect.succeed(value) : wrong("an integer")

// -- addresses ----------------------------------------------------------------------------------------

/** All the bits of an IPv4, or the first 64 of an IPv6: what this node bans. */
const masks = { v4: "255.255.255.255", v6: "ffff:ffff:ffff:ffff:0:0:0:0" } as const
const wholeMasks: Readonly<Record<"v4" | "v6", ReadonlyArray<string>>> = {
  v4: ["32", masks.v4],
  v6: ["64", masks.v6, "ffff:ffff:ffff:ffff::"]
}

/** A peer group as zcashd writes a subnet. */
const subnetOf = (group: string): string => {
  const [address = "", bits] = group.split("/")
  return `${address}/${bits === undefined ? masks.v4 : masks.v6}`
}

/** The address that stands for what is to be banned. */
const bannable = Effect.fnUntraced(function* (given: string) {
  const invalid = fail(codes.alreadyAdded, "Error: Invalid IP/Subnet")
  const [ip = "", mask, ...more] = given.split("/")
  if (more.length > 0 || /[^0-9a-f.:]/i.test(ip)) return yield* invalid
  const address = PeerSocketAddress.fromText(ip.includes(":") ? `[${ip}]` : ip, 0)
  if (address === undefined || address.port !== 0) return yield* invalid
  if (mask !== undefined) {
    const kind = NetAddress.isIpv4Address(address.address) ? "v4" : "v6"
    if (!/^[0-9a-f.:]+$/i.test(mask)) return yield* invalid
    if (!wholeMasks[kind].includes(mask.toLowerCase())) {
      return yield* fail(
        codes.invalidParameter,
        `Error: this node bans single IPv4 addresses and whole IPv6 /64, not ${given.slice(0, 100)}`
      )
    }
  }
  return address
})

/** The methods by name. `stop` runs in the scope this is made in. */
export const make = Effect.gen(function* () {
  const chain = yield* ChainParams
  const network = yield* Network
  const peerSet = yield* PeerSet
  const book = yield* AddressBook
  const bans = yield* BanList
  const manual = yield* ManualPeers
  const local = yield* LocalNode
  const stop = yield* StopNode
  const scope = yield* Effect.scope

  const nodeAddress = (given: string) => {
    const address = PeerSocketAddress.fromText(given, chain.defaultPort)
    const why = address === undefined ? "it is no IP" : AddressRules.validForOutbound(address)
    return address === undefined || why !== undefined
      ? fail(codes.invalidParameter, `Error: ${given.slice(0, 100)} cannot be dialled: ${why}`)
      : Effect.succeed(address)
  }

  const shownPeer = (peer: Peer, nowNanos: bigint) => {
    const info = peerInfo(peer, null, nowNanos)
    return {
      id: info.id,
      addr: info.addr ?? "",
      addrlocal: info.addrlocal,
      services: info.services,
      relaytxes: info.relaytxes,
      lastsend: info.lastsend ?? 0,
      lastrecv: info.lastrecv ?? 0,
      bytessent: info.bytessent,
      bytesrecv: info.bytesrecv,
      conntime: info.conntime,
      timeoffset: info.timeoffset,
      pingtime: info.pingtime ?? 0,
      ...(info.pingwait === null || info.pingwait === 0 ? {} : { pingwait: info.pingwait }),
      version: info.version,
      subver: info.subver,
      inbound: info.inbound,
      startingheight: info.startingheight,
      banscore: 0,
      synced_headers: -1,
      synced_blocks: -1,
      inflight: [],
      addr_processed: 0,
      addr_rate_limited: 0,
      whitelisted: false
    }
  }

  const addedNode = (address: PeerSocketAddress.PeerSocketAddress, withConnection: boolean) => {
    const addednode = PeerSocketAddress.format(address)
    if (!withConnection) return { addednode }
    const peer = peerSet
      .peersUnsafe()
      .find(({ transientAddress }) =>
        transientAddress === undefined ? false : PeerSocketAddress.format(transientAddress) === addednode
      )
    const connected = peer === undefined ? "false" : peer.isInbound ? "inbound" : "outbound"
    return { addednode, connected: peer !== undefined, addresses: [{ address: addednode, connected }] }
  }

  const reachable = (name: string) => ({
    name,
    limited: name === "onion",
    reachable: name !== "onion",
    proxy: "",
    proxy_randomize_credentials: false
  })

  /** Each with what it takes, and how many parameters that may be. */
  const methods: Readonly<Record<string, readonly [usage: string, fewest: number, most: number, method: Method]>> = {
    getconnectioncount: ["", 0, 0, () => Effect.sync(() => peerSet.peersUnsafe().length)],

    getpeerinfo: [
      "",
      0,
      0,
      () =>
        Effect.map(Clock.monotonicTimeNanos, (nowNanos) =>
          peerSet.peersUnsafe().map((peer) => shownPeer(peer, nowNanos))
        )
    ],

    // As zcashd, which does not wait: the answers are in `getpeerinfo`. All at once, for there are some hundred at most.
    ping: [
      "",
      0,
      0,
      () =>
        Effect.as(
          Effect.forkIn(
            Effect.forEach(peerSet.peersUnsafe(), (peer) => Effect.ignore(peer.ping), {
              concurrency: "unbounded",
              discard: true
            }),
            scope
          ),
          null
        )
    ],

    getnettotals: [
      "",
      0,
      0,
      Effect.fnUntraced(function* () {
        const { bytesReceived, bytesSent } = yield* totals
        return {
          totalbytesrecv: bytesReceived,
          totalbytessent: bytesSent,
          timemillis: yield* Clock.currentTimeMillis,
          uploadtarget: unlimitedUpload
        }
      })
    ],

    getnetworkinfo: [
      "",
      0,
      0,
      () =>
        Effect.sync(() => ({
          version: versionNumber(version),
          subversion: local.userAgent,
          protocolversion: ourProtocolVersion,
          localservices: local.services.toString(16).padStart(16, "0"),
          timeoffset: 0,
          connections: peerSet.peersUnsafe().length,
          networks: ["ipv4", "ipv6", "onion"].map(reachable),
          relayfee: 0,
          localaddresses: Option.toArray(network.listenAddress).map(({ address, port }) => ({
            address: NetAddress.formatIp(address),
            port,
            score: 1
          })),
          warnings: "",
          warningstimestamp: 0
        }))
    ],

    addnode: [
      '"node" "add|remove|onetry"',
      2,
      2,
      Effect.fnUntraced(function* ([node, command]) {
        const mode = yield* text(command)
        if (mode !== "add" && mode !== "remove" && mode !== "onetry") return yield* usage("addnode")
        const address = yield* nodeAddress(yield* text(node))
        const listed = (yield* manual.list).some(
          (other) => PeerSocketAddress.format(other) === PeerSocketAddress.format(address)
        )
        if (mode === "add") {
          if (listed) return yield* fail(codes.alreadyAdded, "Error: Node already added")
          yield* Effect.catch(manual.add(address), (error) => fail(codes.misc, `Error: ${error.message}`))
        } else if (mode === "remove") {
          if (!(yield* manual.remove(address))) return yield* fail(codes.notAdded, "Error: Node has not been added.")
        } else {
          // As zcashd, which does not say what came of it.
          yield* Effect.forkIn(Effect.ignore(manual.connect(address)), scope)
        }
        return null
      })
    ],

    disconnectnode: [
      '"node"|id',
      1,
      1,
      Effect.fnUntraced(function* ([node]) {
        const wanted = typeof node === "number" ? String(node) : yield* text(node)
        const peer = peerSet
          .peersUnsafe()
          .find(
            ({ id, transientAddress }) =>
              String(id) === wanted ||
              (transientAddress !== undefined && PeerSocketAddress.format(transientAddress) === wanted)
          )
        if (peer === undefined) {
          return yield* fail(codes.nodeNotConnected, "Node not found in connected nodes")
        }
        yield* peerSet.remove(peer.id)
        return null
      })
    ],

    getaddednodeinfo: [
      'dns ( "node" )',
      1,
      2,
      Effect.fnUntraced(function* ([dns, node]) {
        const withConnection = yield* flag(dns)
        const all = yield* manual.list
        if (node === undefined) return all.map((address) => addedNode(address, withConnection))
        const wanted = PeerSocketAddress.fromText(yield* text(node), chain.defaultPort)
        const one = all.filter(
          (address) => wanted !== undefined && PeerSocketAddress.format(address) === PeerSocketAddress.format(wanted)
        )
        if (one.length === 0) return yield* fail(codes.notAdded, "Error: Node has not been added.")
        return one.map((address) => addedNode(address, withConnection))
      })
    ],

    setban: [
      '"ip(/netmask)" "add|remove" (bantime) (absolute)',
      2,
      4,
      Effect.fnUntraced(function* ([subnet, command, bantime, absolute]) {
        const mode = yield* text(command)
        if (mode !== "add" && mode !== "remove") return yield* usage("setban")
        const address = yield* bannable(yield* text(subnet))
        if (mode === "remove") {
          const lifted = yield* bans.lift(AddressRules.limitKey(address))
          return lifted ? null : yield* fail(codes.misc, "Error: Unban failed")
        }
        if (yield* bans.isBanned(address)) return yield* fail(codes.alreadyAdded, "Error: IP/Subnet already banned")
        const time = bantime === undefined || bantime === null ? 0 : yield* integer(bantime)
        const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
        const isAbsolute = absolute === undefined || absolute === null ? false : yield* flag(absolute)
        const seconds = time === 0 ? defaultBanSeconds : isAbsolute ? time - now : time
        if (seconds < 1 || seconds > maxBanSeconds) {
          return yield* fail(codes.invalidParameter, `Error: a ban lasts from 1 to ${maxBanSeconds} seconds`)
        }
        yield* book.ban({ address, reason: bannedByOperator, duration: Duration.seconds(seconds) })
        return null
      })
    ],

    listbanned: [
      "",
      0,
      0,
      () =>
        Effect.map(bans.bans.get, (bans) =>
          [...HashMap.values(bans)]
            .map(({ group, reason, untilSeconds }) => ({
              address: subnetOf(group),
              banned_until: untilSeconds,
              ban_created: 0,
              ban_reason: banReasons[reason] ?? "node misbehaving"
            }))
            .toSorted((a, b) => (a.address < b.address ? -1 : 1))
        )
    ],

    clearbanned: [
      "",
      0,
      0,
      Effect.fnUntraced(function* () {
        for (const group of HashMap.keys(yield* bans.bans.get)) yield* bans.lift(group)
        return null
      })
    ],

    ...Option.match(stop, {
      onNone: () => ({}),
      onSome: (stop) => ({
        // The parameter is an old one, which zcashd takes and ignores.
        stop: [
          "",
          0,
          1,
          () =>
            Effect.as(Effect.forkIn(Effect.andThen(Effect.sleep(stopDelay), stop), scope), "network-effect stopping")
        ] as const
      })
    }),

    help: [
      '( "command" )',
      0,
      1,
      Effect.fnUntraced(function* ([command]) {
        const wanted = command === undefined ? undefined : yield* text(command)
        if (wanted === undefined) return `== Network ==\n${Object.keys(methods).toSorted().map(usageOf).join("\n")}`
        return Object.hasOwn(methods, wanted) ? usageOf(wanted) : `help: unknown command: ${wanted.slice(0, 100)}`
      })
    ]
  }

  const usageOf = (name: string): string => `${name} ${methods[name]?.[0] ?? ""}`.trimEnd()
  const usage = (name: string) => fail(codes.misc, usageOf(name))

  return new Map(
    Object.entries(methods).map(([name, [, fewest, most, method]]): readonly [string, Method] => [
      name,
      (params) =>
        params.length < fewest || params.length > most
          ? fail(
              codes.invalidParams,
              `${name} has ${params.length} parameters, which are too ${params.length < fewest ? "few" : "many"}: ${usageOf(name)}`
            )
          : method(params)
    ])
  )
})

/** As zcashd numbers itself: 6.2.0 is 6020050. */
const versionNumber = (version: string): number => {
  const [major = 0, minor = 0, revision = 0] = version.split(".").map(Number)
  return major * 1_000_000 + minor * 10_000 + revision * 100 + 50
}
