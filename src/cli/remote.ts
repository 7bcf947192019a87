/**
 * Commands that ask a running node, over its status interface: `peers`, `addresses`, `why`, `bans`, `ban`, `unban`, `connect`.
 *
 * @module
 */
import { Cause, Clock, Config, Console, Duration, Effect, Option, Schema } from "effect"
import { Argument, CliError, Command, Flag } from "effect/cli"
import { HttpClientError } from "effect/http"
import * as AddressRules from "../addresses/AddressRules.ts"
import { parseSeed } from "../addresses/DnsSeeds.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { LogLevelName, maxBanSeconds, maxEntries } from "../status/StatusApi.ts"
import * as StatusAddress from "../status/StatusAddress.ts"
import * as StatusClient from "../status/StatusClient.ts"
import { jsonFlag, numberFlag, orStatusVariable } from "./root.ts"
import { parseDuration } from "./SettingsFile.ts"
import { room } from "./screen.ts"
import * as tables from "./tables.ts"
import { harmless } from "./Text.ts"

/**
 * Where a node's status interface is, as an origin: `ip`, `ip:port`, `[ip6]:port`, `name`, `name:port` or an http(s) URL, whose
 * path is kept. `undefined` for anything else.
 */
export const nodeUrl = (text: string): string | undefined => {
  const address = PeerSocketAddress.fromText(text, StatusAddress.defaultPort)
  if (address !== undefined) return address.port === 0 ? undefined : `http://${PeerSocketAddress.format(address)}`
  if (/^https?:\/\//i.test(text)) {
    const url = URL.parse(text)
    const isPlain = url !== null && url.username === "" && url.password === "" && url.search === "" && url.hash === ""
    return isPlain ? `${url.origin}${url.pathname.replace(/\/+$/, "")}` : undefined
  }
  const named = parseSeed(/:\d+$/.test(text) ? text : `${text}:${StatusAddress.defaultPort}`)
  return named === undefined || text === "off" ? undefined : `http://${named.host.toLowerCase()}:${named.port}`
}

/** Which node is asked: the URL of its status interface. */
export const nodeFlag = Flag.String("node").pipe(
  Flag.withDescription("Where the node's status interface is: ip:port, name:port or a URL"),
  Flag.withMetavar("ADDR"),
  orStatusVariable(nodeUrl, "ip:port, [ip6]:port, name:port or a URL"),
  Flag.withDefault(`http://${PeerSocketAddress.format(StatusAddress.defaultAddress)}`)
)

/** Whether nobody answered at all. */
export const isAbsent = (error: unknown): boolean =>
  HttpClientError.isHttpClientError(error) && error.reason._tag === "TransportError"

/** Whether Node was told to ask through a proxy, which it also asks for hosts of this machine. Source: `node --help`, NODE_USE_ENV_PROXY. */
const isProxied = Effect.orDie(
  Config.all([
    Config.withDefault(Config.String("NODE_USE_ENV_PROXY"), ""),
    Config.withDefault(Config.String("http_proxy"), ""),
    Config.withDefault(Config.String("HTTP_PROXY"), "")
  ])
).pipe(Effect.map(([isOn, ...proxies]) => isOn === "1" && proxies.some((proxy) => proxy !== "")))

/** `127.0.0.1:8234` for its URL, which is what one has said. */
export const placeOf = (node: string): string => node.replace(/^http:\/\//, "")

/** Longest wait for an answer, to its last byte. */
const patience = "30 seconds"

const sentenceOf = (node: string, error: unknown, isProxied: boolean): string => {
  const at = placeOf(node)
  if (CliError.isCliError(error)) return error.message
  if (Cause.isTimeoutError(error)) return `what answers at ${at} took longer than ${patience}.`
  if (isAbsent(error)) {
    return isProxied
      ? `no node answers at ${at} through the proxy of HTTP_PROXY: name its host in NO_PROXY, or say where it is with --node.`
      : `no node answers at ${at}: start one, or say where it is with --node.`
  }
  if (Schema.isSchemaError(error) || HttpClientError.isHttpClientError(error)) {
    return `what answers at ${at} is not a node of this version.`
  }
  return error instanceof Error ? error.message : String(error)
}

/** Says after two seconds what is being waited for. */
export const whileSaying =
  (words: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.scoped(
      Effect.andThen(Effect.forkScoped(Effect.andThen(Effect.sleep("2 seconds"), Console.error(words))), effect)
    )

/** A client of the node, with the token of `NETWORK_EFFECT_STATUS_TOKEN`. */
export const clientOf = Effect.fnUntraced(function* (node: string) {
  const token = yield* Effect.orDie(StatusAddress.token)
  if (Option.isSome(token) && !StatusAddress.isSayable(token.value)) {
    return yield* new CliError.UserError({ cause: "token", userMessage: StatusAddress.unsayable })
  }
  return yield* StatusClient.make({
    url: node,
    token: Option.getOrUndefined(token)
  })
})

/** Asks the node; what goes wrong is one sentence, and exit code 1. */
export const ask = <A, E, R>(node: string, question: (client: StatusClient.StatusClient) => Effect.Effect<A, E, R>) =>
  clientOf(node).pipe(
    Effect.flatMap(question),
    Effect.timeout(patience),
    Effect.catch((error) =>
      Effect.flatMap(isProxied, (isProxied) =>
        Effect.fail(new CliError.UserError({ cause: error, userMessage: sentenceOf(node, error, isProxied) }))
      )
    ),
    whileSaying(`waiting for the node at ${placeOf(node)}`)
  )

const nowSeconds = Effect.map(Clock.currentTimeMillis, (millis) => millis / 1000)

/** Prints an answer, for programs or for people. */
const print = <A>(
  json: boolean,
  answer: A,
  show: (answer: A, nowSeconds: number, room: number) => ReadonlyArray<string>
) =>
  Effect.gen(function* () {
    yield* Console.log(json ? JSON.stringify(answer) : show(answer, yield* nowSeconds, yield* room).join("\n"))
  })

export const peers = Command.make(
  "peers",
  { node: nodeFlag, json: jsonFlag },
  Effect.fnUntraced(function* ({ json, node }) {
    yield* print(json, yield* ask(node, (client) => client.peers()), tables.peers)
  })
).pipe(
  Command.withDescription("The peers of a running node"),
  Command.withExamples([
    { command: "network-effect peers", description: "A table" },
    { command: "network-effect peers --json", description: "All fields of zcashd's getpeerinfo" }
  ])
)

const count = (name: string, maximum: number, fallback: number) =>
  numberFlag(name, { minimum: 0, maximum }).pipe(Flag.withDefault(fallback))

export const addresses = Command.make(
  "addresses",
  {
    node: nodeFlag,
    offset: count("offset", 1_000_000, 0).pipe(Flag.withDescription("The first entry shown, from 0")),
    limit: count("limit", maxEntries, 20).pipe(Flag.withDescription(`Entries shown, at most ${maxEntries}`)),
    json: jsonFlag
  },
  Effect.fnUntraced(function* ({ json, limit, node, offset }) {
    const answer = yield* ask(node, (client) => client.addresses({ query: { offset, limit } }))
    yield* print(json, answer, tables.addresses)
  })
).pipe(
  Command.withDescription("The address book of a running node, those first who responded"),
  Command.withExamples([{ command: "network-effect addresses --offset 20", description: "The second page" }])
)

/** Stands for the port of the chain, which only the node knows. */
const anyPort = 1

/** What is no address is refused before anybody is asked. */
const addressArgument = (description: string) =>
  Argument.String("address").pipe(
    Argument.withDescription(description),
    Argument.filter(
      (text) => PeerSocketAddress.fromText(text, anyPort) !== undefined,
      () => "ip, ip:port or [ip6]:port"
    )
  )

export const why = Command.make(
  "why",
  {
    address: addressArgument("An address, ip:port; the port of the chain unless given"),
    node: nodeFlag,
    json: jsonFlag
  },
  Effect.fnUntraced(function* ({ address, json, node }) {
    yield* print(json, yield* ask(node, (client) => client.why({ query: { address } })), tables.why)
  })
).pipe(
  Command.withDescription("What a running node knows of an address, and why it is or is not dialled next"),
  Command.withExamples([{ command: "network-effect why 203.0.113.7:8233", description: "Three lines" }])
)

const groupArgument = Argument.String("address").pipe(
  Argument.withDescription("An IP; its whole /64 when it is an IPv6"),
  Argument.filter(
    (text) => PeerSocketAddress.fromText(text.replace(/\/64$/, ""), anyPort) !== undefined,
    () => "an IP such as 192.0.2.10 or 2001:db8::1"
  )
)

export const bans = Command.make(
  "bans",
  { node: nodeFlag, json: jsonFlag },
  Effect.fnUntraced(function* ({ json, node }) {
    yield* print(json, yield* ask(node, (client) => client.bans()), tables.bans)
  })
).pipe(
  Command.withDescription("The hosts a running node bans, until when and why"),
  Command.withExamples([{ command: "network-effect bans", description: "One line each" }])
)

export const ban = Command.make(
  "ban",
  {
    address: groupArgument,
    duration: Flag.String("for").pipe(
      Flag.withDescription("For how long, for example 2h or 7d; a day unless told"),
      Flag.withMetavar("TIME"),
      Flag.filterMap(
        (text) => {
          const duration = parseDuration(text)
          const seconds = duration === undefined ? 0 : Math.round(Duration.toSeconds(duration))
          return seconds < 1 || seconds > maxBanSeconds ? Option.none() : Option.some(seconds)
        },
        () => "a time from 1s to 3650d"
      ),
      Flag.optional
    ),
    reason: Flag.String("reason").pipe(
      Flag.withDescription("Why, at most 200 characters"),
      Flag.withMetavar("TEXT"),
      Flag.filter(
        (text) => text.length <= 200,
        () => "a text of at most 200 characters"
      ),
      Flag.optional
    ),
    node: nodeFlag,
    json: jsonFlag
  },
  Effect.fnUntraced(function* ({ address, duration, json, node, reason }) {
    const answer = yield* ask(node, (client) =>
      client.ban({
        payload: {
          address,
          ...(Option.isSome(duration) ? { seconds: duration.value } : {}),
          ...(Option.isSome(reason) ? { reason: reason.value } : {})
        }
      })
    )
    yield* print(json, answer, (answer) => [tables.ban(answer)])
  })
).pipe(
  Command.withDescription("Ban a host: its connections end, and its addresses are forgotten"),
  Command.withExamples([{ command: "network-effect ban 192.0.2.10 --for 2h", description: "For two hours" }])
)

export const unban = Command.make(
  "unban",
  { address: groupArgument, node: nodeFlag, json: jsonFlag },
  Effect.fnUntraced(function* ({ address, json, node }) {
    yield* ask(node, (client) => client.unban({ params: { group: address } }))
    yield* print(json, { unbanned: address }, () => [`${address} is no longer banned`])
  })
).pipe(
  Command.withDescription("Lift a ban"),
  Command.withExamples([{ command: "network-effect unban 192.0.2.10", description: "Before its time" }])
)

export const connect = Command.make(
  "connect",
  {
    address: addressArgument("A peer, ip:port; the port of the chain unless given").pipe(
      Argument.filter(
        (text) => {
          const address = PeerSocketAddress.fromText(text, anyPort)
          return address !== undefined && AddressRules.validForOutbound(address) === undefined
        },
        () => "an address where a peer may listen"
      )
    ),
    keep: Flag.Boolean("keep").pipe(
      Flag.withDescription("Dial it again whenever it is gone, also after a restart"),
      Flag.withDefault(false)
    ),
    remove: Flag.Boolean("remove").pipe(
      Flag.withDescription("No longer keep it; its connection stays"),
      Flag.withDefault(false)
    ),
    node: nodeFlag,
    json: jsonFlag
  },
  Effect.fnUntraced(function* ({ address, json, keep, node, remove }) {
    if (keep && remove) {
      return yield* new CliError.UserError({ cause: "both", userMessage: "say --keep or --remove, not both." })
    }
    const mode = keep ? "add" : remove ? "remove" : "onetry"
    const answer = yield* ask(node, (client) => client.connect({ payload: { address, mode } }))
    const words = {
      onetry: `connected to ${address}: ${harmless(answer.peer?.subver ?? "")}`,
      add: `${address} is kept connected`,
      remove: `${address} is no longer kept connected`
    }
    yield* print(json, answer, () => [words[mode]])
  })
).pipe(
  Command.withDescription("Connect to a peer once, or keep it connected"),
  Command.withExamples([
    { command: "network-effect connect 192.0.2.10:8233", description: "Once; says why when it fails" },
    { command: "network-effect connect 192.0.2.10:8233 --keep", description: "From now on" }
  ])
)

export const logLevel = Command.make(
  "log-level",
  {
    // As `--log-level` spells them.
    level: Argument.ChoiceWithValue(
      "level",
      LogLevelName.literals.map((level) => [level.toLowerCase(), level] as const)
    ).pipe(Argument.withDescription("The new level; without it the level is told"), Argument.optional),
    node: nodeFlag,
    json: jsonFlag
  },
  Effect.fnUntraced(function* ({ json, level, node }) {
    const answer = yield* ask(node, (client) =>
      Option.isSome(level) ? client.setLogLevel({ payload: { level: level.value } }) : client.logLevel()
    )
    yield* print(json, answer, (answer) => [`logs are from level ${answer.level.toLowerCase()}`])
  })
).pipe(
  Command.withDescription("Tell or change the level of a running node's logs"),
  Command.withExamples([
    { command: "network-effect log-level", description: "What it is" },
    { command: "network-effect log-level debug", description: "To look for a fault; info is the usual one" }
  ])
)
