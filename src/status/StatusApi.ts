/**
 * The HTTP interface of a running node: endpoints, schemas and errors, for server and client alike.
 *
 * Every error is a problem of RFC 9457: `application/problem+json` with one sentence in `detail`.
 *
 * @module
 */
import { Schema } from "effect"
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiError,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "effect/http-api"
import { NetworkEvent } from "../network/NetworkEvents.ts"
import * as ApiExamples from "./ApiExamples.ts"

// -- errors --------------------------------------------------------------------------------------

const blank = "about:blank"
/** One sentence: what is wrong, and what to change. */
const detail = { detail: Schema.String }

/** The request is not one this interface knows: malformed, with unknown fields, or values out of range. */
export class BadRequest extends HttpApiError.Problem<BadRequest>()(
  "BadRequest",
  { type: blank, status: 400, title: "Bad Request" },
  detail
) {}
/** A token is needed, and none or another one was given. */
export class Unauthorized extends HttpApiError.Problem<Unauthorized>()(
  "Unauthorized",
  { type: blank, status: 401, title: "Unauthorized" },
  detail
) {}
/** A page of another site made the request, or it came under another name than this server's. */
export class Forbidden extends HttpApiError.Problem<Forbidden>()(
  "Forbidden",
  { type: blank, status: 403, title: "Forbidden" },
  detail
) {}
/** There is no such thing now. */
export class NotFound extends HttpApiError.Problem<NotFound>()(
  "NotFound",
  { type: blank, status: 404, title: "Not Found" },
  detail
) {}
/** What was asked for does not go with what is so already. */
export class Conflict extends HttpApiError.Problem<Conflict>()(
  "Conflict",
  { type: blank, status: 409, title: "Conflict" },
  { ...detail, reason: Schema.String }
) {}
/** A dial that was asked for came to nothing; `reason` is the tag or code of what went wrong. */
export class NotConnected extends HttpApiError.Problem<NotConnected>()(
  "NotConnected",
  { type: blank, status: 502, title: "Bad Gateway" },
  { ...detail, reason: Schema.String }
) {}
/** The node has too few peers. */
export class NotReady extends HttpApiError.Problem<NotReady>()(
  "NotReady",
  { type: blank, status: 503, title: "Service Unavailable" },
  { ...detail, peers: Schema.Int, wanted: Schema.Int }
) {}
/** Our bug. */
export class ServerError extends HttpApiError.Problem<ServerError>()(
  "ServerError",
  { type: blank, status: 500, title: "Internal Server Error" },
  detail
) {}

// -- what is told --------------------------------------------------------------------------------

const documented = <S extends Schema.Top>(schema: S, description: string) => schema.annotate({ description })
/** A field of `getpeerinfo` that says nothing here, and why. */
const absent = (reason: string) => Schema.Null.annotate({ description: `Always null: ${reason}` })
const noChain = "this node keeps neither headers nor blocks"

/** Messages by command. */
const Counts = Schema.Record(Schema.String, Schema.Int)

/**
 * One connected peer, with the fields of `getpeerinfo` of zcashd 6.2 under its names, and some of our own.
 *
 * Source: zcashd src/rpc/net.cpp, `getpeerinfo`.
 */
export class PeerInfo extends Schema.Class<PeerInfo>("PeerInfo")({
  id: documented(Schema.Int, "Number of the connection; never used again by this process"),
  addr: documented(Schema.NullOr(Schema.String), "`ip:port` of the other end"),
  network: documented(
    Schema.NullOr(Schema.String),
    "Its part of the internet: an IPv4 /16, an IPv6 /32 or an autonomous system; of a near host itself"
  ),
  addrlocal: documented(Schema.String, "Where the peer sees us, by its `version` message"),
  services: documented(Schema.String, "Service bits as 16 hexadecimal digits"),
  relaytxes: documented(Schema.Boolean, "Whether it wants to hear of transactions"),
  lastsend: documented(Schema.NullOr(Schema.Int), "Latest message sent, in seconds since the Unix epoch"),
  lastrecv: documented(Schema.NullOr(Schema.Int), "Latest message received, in seconds since the Unix epoch"),
  bytessent: Schema.Int,
  bytesrecv: Schema.Int,
  conntime: documented(Schema.Int, "End of the handshake, in seconds since the Unix epoch"),
  timeoffset: documented(Schema.Int, "How far its clock was ahead of ours by its `version` message, in seconds"),
  pingtime: documented(Schema.NullOr(Schema.Finite), "Round trip of the latest ping, in seconds"),
  pingwait: documented(Schema.NullOr(Schema.Finite), "For how long a ping has been waiting, in seconds"),
  version: documented(Schema.Int, "Protocol version by its `version` message"),
  subver: documented(Schema.String, "What it calls itself"),
  inbound: Schema.Boolean,
  startingheight: documented(Schema.Int, "Height by its `version` message"),
  banscore: absent("reports of misbehaviour are summed up by peer group, not by connection"),
  synced_headers: absent(noChain),
  synced_blocks: absent(noChain),
  inflight: absent(noChain),
  addr_processed: absent("addresses are asked for, and what was not asked for is dropped"),
  addr_rate_limited: absent("addresses are asked for, and what was not asked for is dropped"),
  whitelisted: absent("no peer is exempt from bans; see the trusted peers of a library user"),
  negotiated_version: documented(Schema.Int, "The lower of our version and its own"),
  readiness: documented(Schema.Literals(["Ready", "Busy", "Failed"]), "Whether a request can be put to it now"),
  load_ms: documented(Schema.Finite, "Estimated time to its next answer, in milliseconds"),
  messagessent: documented(Counts, "Messages sent, by command"),
  messagesrecv: documented(Counts, "Messages received, by command")
}) {}

/** One entry of the address book. */
export class AddressInfo extends Schema.Class<AddressInfo>("AddressInfo")({
  address: Schema.String,
  state: Schema.Literals(["NeverAttempted", "AttemptPending", "Responded", "Failed"]),
  inbound: documented(Schema.Boolean, "It once connected to us from here: never dialled or told to others"),
  lastResponse: documented(Schema.NullOr(Schema.Int), "Our last proof of life, in seconds since the Unix epoch"),
  lastSeen: documented(Schema.NullOr(Schema.Int), "What others claim, in seconds since the Unix epoch"),
  userAgent: Schema.NullOr(Schema.String),
  group: documented(Schema.String, "Its part of the internet: an IPv4 /16, an IPv6 /32 or an autonomous system"),
  table: documented(Schema.NullOr(Schema.Literals(["new", "tried"])), "`new`: only heard of; `tried`: met"),
  anchor: documented(
    Schema.Boolean,
    "Among the outbound peers of longest standing, which are dialled first after a start"
  )
}) {}

/** Entries of the address book by state. */
export class AddressCounts extends Schema.Class<AddressCounts>("AddressCounts")({
  responded: Schema.Int,
  neverAttempted: Schema.Int,
  failed: Schema.Int,
  attemptPending: Schema.Int,
  recentlyLive: documented(Schema.Int, "Those of `responded` that answered lately"),
  recentlyStoppedResponding: documented(Schema.Int, "The others of `responded`"),
  total: Schema.Int,
  limit: Schema.Int
}) {}

/** A page of the address book. */
export class Addresses extends Schema.Class<Addresses>("Addresses")({
  counts: AddressCounts,
  tables: documented(
    Schema.Struct({ new: Schema.Int, tried: Schema.Int, tested: Schema.Int, groups: Schema.Int }),
    "Addresses only heard of, met, and of these those whose place another one waits for; parts of the internet they are in"
  ),
  anchors: documented(Schema.Array(Schema.String), "The outbound peers of longest standing, the longest first"),
  offset: Schema.Int,
  found: documented(Schema.Int, "Entries that fit `search`; all of them without one"),
  entries: documented(
    Schema.Array(AddressInfo),
    "By state: responded, heard of, failed, being dialled; from `offset` on"
  )
}) {}

/** What the book knows of one address, and whether it would be dialled now. */
export class AddressWhy extends Schema.Class<AddressWhy>("AddressWhy")({
  address: Schema.String,
  entry: documented(Schema.NullOr(AddressInfo), "Null when it is not in the book"),
  group: documented(Schema.String, "Its part of the internet: an IPv4 /16, an IPv6 /32 or an autonomous system"),
  host: documented(Schema.String, "What counts as one host: an IPv4 address or an IPv6 /64"),
  table: documented(Schema.NullOr(Schema.Literals(["new", "tried"])), "`new`: only heard of; `tried`: met"),
  bucket: Schema.NullOr(Schema.Int),
  anchor: documented(
    Schema.Boolean,
    "Among the outbound peers of longest standing, which are dialled first after a start"
  ),
  failures: documented(Schema.Int, "In a row"),
  firstSuccess: documented(Schema.NullOr(Schema.Int), "Our first handshake with it, in seconds since the Unix epoch"),
  against: documented(
    Schema.NullOr(
      Schema.Literals([
        "unknown",
        "banned",
        "not-dialable",
        "recently-updated",
        "unreachable",
        "host-connected",
        "group-full",
        "resting",
        "places-kept"
      ])
    ),
    "Why it is not dialled now; null when it may be"
  )
}) {}

/** Who has the inbound places, and who had to go so that others could come. */
export class EvictionsInfo extends Schema.Class<EvictionsInfo>("EvictionsInfo")({
  inbound: documented(Schema.Int, "Public inbound peers"),
  inboundLimit: documented(Schema.Int, "Public inbound places"),
  handshakePlaces: documented(Schema.Int, "Places beside these for newcomers that shake hands while all are taken"),
  networks: documented(
    Schema.Array(Schema.Struct({ network: Schema.String, peers: Schema.Int })),
    "Public inbound peers by network (IPv4 /16, IPv6 /32, autonomous system; a near host is one of its own), the largest first"
  ),
  evictions: documented(
    Schema.Array(
      Schema.Struct({
        at: documented(Schema.Finite, "In milliseconds since the Unix epoch"),
        connection: Schema.Int,
        address: Schema.String,
        network: Schema.String,
        ofNetwork: documented(Schema.Int, "Inbound peers of its network then, itself included"),
        reason: documented(
          Schema.Literals(["largest-network", "next-largest-network"]),
          "It was the youngest of the network with most peers that no rule kept, or of the next one"
        ),
        newcomer: documented(Schema.String, "Whom it made room for"),
        newcomerNetwork: Schema.String
      })
    ),
    "The latest first, at most 100"
  )
}) {}

/** One ban. */
export class BanInfo extends Schema.Class<BanInfo>("BanInfo")({
  group: documented(Schema.String, "An IPv4 address, or an IPv6 /64"),
  reason: Schema.String,
  until: documented(Schema.Int, "In seconds since the Unix epoch")
}) {}

/** The node has the peers it needs. */
export class Ready extends Schema.Class<Ready>("Ready")({
  peers: Schema.Int,
  wanted: documented(Schema.Int, "Peers from which on the node is ready: half its target")
}) {}

/** A node in one look. */
export class Health extends Schema.Class<Health>("Health")({
  status: Schema.Literal("live"),
  network: Schema.String,
  userAgent: Schema.String,
  protocolVersion: Schema.Int,
  listen: documented(Schema.NullOr(Schema.String), "Null when the node only dials"),
  wanted: documented(Schema.Int, "Peers from which on the node is ready: half its target"),
  peers: Schema.Struct({ ready: Schema.Int, busy: Schema.Int, inbound: Schema.Int, outbound: Schema.Int }),
  slots: documented(
    Schema.Struct({ inbound: Schema.Int, inboundLimit: Schema.Int, outbound: Schema.Int, outboundLimit: Schema.Int }),
    "Connections held and reserved, and their limits"
  )
}) {}

/** What all connections of the process sent and received so far. */
export class Totals extends Schema.Class<Totals>("Totals")({
  bytesReceived: Schema.Int,
  bytesSent: Schema.Int,
  messagesReceived: documented(Counts, "By command"),
  messagesSent: documented(Counts, "By command")
}) {}

/** A node of this process and its peers, for a picture of the network. */
export class NodeInfo extends Schema.Class<NodeInfo>("NodeInfo")({
  listen: Schema.NullOr(Schema.String),
  userAgent: Schema.String,
  version: Schema.Int,
  peers: Schema.Array(
    Schema.Struct({
      id: Schema.Int,
      addr: Schema.NullOr(Schema.String),
      inbound: Schema.Boolean,
      pingtime: Schema.NullOr(Schema.Finite),
      version: Schema.Int,
      subver: Schema.String
    })
  )
}) {}

/** A peer looked at closely. */
export class PeerDetail extends Schema.Class<PeerDetail>("PeerDetail")({
  peer: PeerInfo,
  pings: documented(
    Schema.Array(Schema.Tuple([Schema.Finite, Schema.Finite])),
    "The last hour of answered pings, oldest first: milliseconds since the Unix epoch, round trip in milliseconds"
  ),
  events: documented(
    Schema.Array(Schema.Record(Schema.String, Schema.Unknown)),
    "What is remembered of this peer and its address, oldest first, as `/events` tells it; of adverts only the counts"
  )
}) {}

// -- the page's stream -----------------------------------------------------------------------------

/** `at`, bytes received and sent a second, peers inbound and outbound, median ping in ms, addresses by state. */
const SampleRow = Schema.Tuple([
  Schema.Finite,
  Schema.Int,
  Schema.Int,
  Schema.Int,
  Schema.Int,
  Schema.NullOr(Schema.Finite),
  Schema.Int,
  Schema.Int,
  Schema.Int,
  Schema.Int
]).annotate({
  description:
    "Milliseconds since the Unix epoch; bytes received and sent a second; inbound and outbound peers; median ping in milliseconds; addresses that responded, were never attempted, are being dialled, failed"
})

/** The last hour: a sample a second for five minutes, the mean of each minute before. */
export class LiveHistory extends Schema.Class<LiveHistory>("LiveHistory")({
  seconds: Schema.Array(SampleRow),
  minutes: Schema.Array(SampleRow)
}) {}

/** What of a peer does not change while it is connected. */
const facts = {
  id: Schema.Int,
  addr: Schema.NullOr(Schema.String),
  inbound: Schema.Boolean,
  /** Its part of the internet: an IPv4 /16, an IPv6 /32 or an autonomous system; of a near host itself. */
  network: Schema.NullOr(Schema.String),
  agent: Schema.String,
  version: Schema.Int,
  /** Seconds since the Unix epoch. */
  since: Schema.Int
}

/** A peer's id, bytes received and sent, latest ping in milliseconds, and whether it is ready, busy or failed. */
const Movement = Schema.Tuple([
  Schema.Int,
  Schema.Int,
  Schema.Int,
  Schema.NullOr(Schema.Finite),
  Schema.Literals(["Ready", "Busy", "Failed"])
])

const LivePeer = Schema.Struct({ ...facts, now: Movement })

/** Another node of the process: its number, where it listens, what it calls itself, its version. */
const LiveNode = Schema.Tuple([Schema.Int, Schema.String, Schema.String, Schema.Int])
/** The number of the node that dialled, and of the one it reached. */
const Link = Schema.Tuple([Schema.Int, Schema.Int])

const parts = {
  health: Schema.Struct({
    network: Schema.String,
    userAgent: Schema.String,
    version: Schema.Int,
    listen: Schema.NullOr(Schema.String),
    wanted: Schema.Int,
    inboundLimit: Schema.Int,
    outboundLimit: Schema.Int
  }),
  book: AddressCounts,
  bans: Schema.Array(BanInfo),
  added: Schema.Array(Schema.String)
}

/** An event and its number. Of what was advertised only the counts are told. */
const LiveEvent = Schema.Tuple([Schema.Int, Schema.Record(Schema.String, Schema.Unknown)])

/** Everything, at once. */
const Snapshot = Schema.TaggedStruct("Snapshot", {
  /** Of this process: numbers of ticks, events and nodes begin anew with the next one. */
  process: Schema.String,
  tick: Schema.Int,
  history: LiveHistory,
  totals: Schema.Tuple([Schema.Int, Schema.Int]),
  ...parts,
  peers: Schema.Array(LivePeer),
  /** Every node of the process, this one first; none when it is alone. */
  nodes: Schema.Array(LiveNode),
  links: Schema.Array(Link),
  events: Schema.Array(LiveEvent)
})

/** What changed within a second. What is not there is as it was. */
const Tick = Schema.TaggedStruct("Tick", {
  tick: Schema.Int,
  sample: SampleRow,
  /** When one is over. */
  minute: Schema.optional(SampleRow),
  totals: Schema.Tuple([Schema.Int, Schema.Int]),
  health: Schema.optional(parts.health),
  book: Schema.optional(parts.book),
  bans: Schema.optional(parts.bans),
  added: Schema.optional(parts.added),
  peersCame: Schema.optional(Schema.Array(LivePeer)),
  peersWent: Schema.optional(Schema.Array(Schema.Int)),
  peersNow: Schema.optional(Schema.Array(Movement)),
  nodesCame: Schema.optional(Schema.Array(LiveNode)),
  nodesWent: Schema.optional(Schema.Array(Schema.Int)),
  linked: Schema.optional(Schema.Array(Link)),
  unlinked: Schema.optional(Schema.Array(Link)),
  events: Schema.optional(Schema.Array(LiveEvent))
})

/** One message of the page's stream: the whole state, or what of it changed within a second. */
export const Live = Schema.Union([Snapshot, Tick])

/** A sample, as a tuple. */
export type SampleRow = typeof SampleRow.Encoded
/** The whole state, as it is sent. */
export type LiveSnapshot = typeof Snapshot.Encoded
/** What changed within a second, as it is sent. */
export type LiveTick = typeof Tick.Encoded
/** A peer on the page. */
export type LivePeer = typeof LivePeer.Encoded
/** A node of the process: its number, where it listens, what it calls itself, its version. */
export type LiveNode = typeof LiveNode.Encoded
/** The numbers of the node that dialled and of the one it reached. */
export type LiveLink = typeof Link.Encoded

// -- limits ----------------------------------------------------------------------------------------

/** Longest ban anybody may ask for, in seconds: ten years. */
export const maxBanSeconds = 315_360_000

/** Most entries of one answer. */
export const maxEntries = 1000

/** A level of logs, as Effect names it. */
export const LogLevelName = Schema.Literals(["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"])

// -- endpoints -----------------------------------------------------------------------------------

/** Lets a request through that comes from no page of another site and has the token, when there is one. */
export class Access extends HttpApiMiddleware.Service<Access>()("network-effect/status/Access", {
  requiredForClient: true,
  security: { bearer: HttpApiSecurity.bearer },
  error: [Unauthorized, Forbidden]
}) {}

/** Says in one sentence what is wrong with a request. */
export class Problems extends HttpApiMiddleware.Service<Problems>()("network-effect/status/Problems", {
  error: [BadRequest, ServerError]
}) {}

const Count = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const text = (maximum: number) => Schema.String.check(Schema.isMaxLength(maximum))
/** An address with its port, or without. */
const addressText = text(60)

class Liveness extends HttpApiGroup.make("liveness", { topLevel: true }).add(
  HttpApiEndpoint.get("health", "/health", { success: Health }).annotate(
    OpenApi.Description,
    "Answers while the process lives. Needs no token."
  ),
  HttpApiEndpoint.get("ready", "/ready", { success: Ready, error: NotReady }).annotate(
    OpenApi.Description,
    "200 when the node has half the peers it wants; else 503, and why. Needs no token."
  )
) {}

class Reads extends HttpApiGroup.make("reads", { topLevel: true })
  .add(
    HttpApiEndpoint.get("peers", "/peers", { success: Schema.Array(PeerInfo) }),
    HttpApiEndpoint.get("peer", "/peers/:id", {
      params: { id: Schema.FiniteFromString.check(Schema.isInt()) },
      success: PeerDetail,
      error: NotFound
    }).annotate(OpenApi.Description, "One peer with its pings of the last hour and what happened to it lately."),
    HttpApiEndpoint.get("addresses", "/addresses", {
      query: {
        offset: Schema.optional(Count(1_000_000)),
        limit: Schema.optional(Count(maxEntries)),
        search: Schema.optional(text(100))
      },
      success: Addresses,
      error: BadRequest
    }).annotate(
      OpenApi.Description,
      "Counts by state, and entries of the address book, 100 unless told: those with `search` in their address, state, user agent, group or table, all of them without."
    ),
    HttpApiEndpoint.get("evictions", "/evictions", { success: EvictionsInfo }).annotate(
      OpenApi.Description,
      "Inbound peers by network, and who had to go for a newcomer, and why."
    ),
    HttpApiEndpoint.get("why", "/addresses/why", {
      query: { address: Schema.String.check(Schema.isMaxLength(64)) },
      success: AddressWhy,
      error: BadRequest
    }).annotate(
      OpenApi.Description,
      "What the book knows of an address (ip:port), and why it is or is not dialled next."
    ),
    HttpApiEndpoint.get("bans", "/bans", { success: Schema.Array(BanInfo) }),
    HttpApiEndpoint.get("added", "/connect", { success: Schema.Array(Schema.String) }).annotate(
      OpenApi.Description,
      "The addresses that are kept connected."
    ),
    HttpApiEndpoint.get("totals", "/totals", { success: Totals }).annotate(
      OpenApi.Description,
      "Bytes and messages of all connections of this process so far."
    ),
    HttpApiEndpoint.get("network", "/network", { success: Schema.Array(NodeInfo) }).annotate(
      OpenApi.Description,
      "Every node of this process with its peers; this one is the first."
    ),
    HttpApiEndpoint.get("events", "/events", { success: HttpApiSchema.StreamSse({ data: NetworkEvent }) }).annotate(
      OpenApi.Description,
      "What happens, as it happens: the latest first, or what came after `Last-Event-ID`. A reader that is too slow loses the oldest and is told how many."
    ),
    HttpApiEndpoint.get("history", "/history", { success: LiveHistory }).annotate(
      OpenApi.Description,
      "The last hour: a sample a second for five minutes, and the mean of each minute."
    ),
    HttpApiEndpoint.get("live", "/live", { success: HttpApiSchema.StreamSse({ data: Live }) }).annotate(
      OpenApi.Description,
      "What the page reads: the whole state with the last hour, then each second what changed. A reader that is too slow gets the whole state again."
    ),
    HttpApiEndpoint.get("metrics", "/metrics", {
      success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" }))
    }).annotate(OpenApi.Description, "In the text format of Prometheus."),
    HttpApiEndpoint.get("logLevel", "/log-level", { success: Schema.Struct({ level: LogLevelName }) })
  )
  .middleware(Access) {}

class Writes extends HttpApiGroup.make("writes", { topLevel: true })
  .add(
    HttpApiEndpoint.delete("disconnect", "/peers/:id", {
      params: { id: Schema.FiniteFromString.check(Schema.isInt()) },
      success: HttpApiSchema.NoContent,
      error: NotFound
    }),
    HttpApiEndpoint.post("ban", "/bans", {
      payload: Schema.Struct({
        address: documented(addressText, "An IP; its whole /64 when it is an IPv6"),
        reason: Schema.optional(text(200)),
        seconds: Schema.optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxBanSeconds })))
      }),
      success: BanInfo,
      error: BadRequest
    }).annotate(OpenApi.Description, "For a day, unless told. A later ban never ends an earlier one sooner."),
    HttpApiEndpoint.delete("unban", "/bans/:group", {
      params: { group: addressText },
      success: HttpApiSchema.NoContent,
      error: [BadRequest, NotFound]
    }),
    HttpApiEndpoint.post("connect", "/connect", {
      payload: Schema.Struct({
        address: documented(addressText, "`ip:port`; the port of the chain unless given"),
        mode: documented(
          Schema.Literals(["onetry", "add", "remove"]),
          "Dial once and await the outcome; keep connected from now on; no longer keep connected"
        )
      }),
      success: Schema.Struct({
        peer: documented(Schema.NullOr(PeerInfo), "Of `onetry`"),
        added: Schema.Array(Schema.String)
      }),
      error: [BadRequest, NotFound, Conflict, NotConnected]
    }),
    HttpApiEndpoint.put("setLogLevel", "/log-level", {
      payload: Schema.Struct({ level: LogLevelName }),
      success: Schema.Struct({ level: LogLevelName })
    })
  )
  .middleware(Access) {}

/** The whole interface. */
export class StatusApi extends HttpApi.make("network-effect")
  .add(Liveness, Reads, Writes)
  .middleware(Problems)
  .annotate(HttpApi.ParseOptions, { onExcessProperty: "error" })
  .annotate(HttpApi.HeadersParseOptions, {})
  .annotateMerge(
    OpenApi.annotations({
      title: "network-effect",
      version: "1",
      description: "What a node does, and what it can be told to do.",
      transform: (spec) => ApiExamples.complete(spec)
    })
  ) {}
