/**
 * `network-effect doctor`: what could keep a node from working here, and what to do about it.
 *
 * @module
 */
import { Console, Context, Effect, FileSystem, Option, Path } from "effect"
import { CliError, Command } from "effect/cli"
import { Dns } from "effect/net"
import { fileStem } from "../addresses/AddressBookFile.ts"
import { parseSeed } from "../addresses/DnsSeeds.ts"
import type { ChainParamsShape } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { Health, PeerInfo } from "../status/StatusApi.ts"
import { InboundTransport } from "../transport/Transport.ts"
import { clientOf, isAbsent, nodeFlag, placeOf, whileSaying } from "./remote.ts"
import { jsonFlag } from "./root.ts"
import { settingsFlags } from "./start.ts"
import { room } from "./screen.ts"
import * as tables from "./tables.ts"
import { harmless, padEnd, width, wrap } from "./Text.ts"

/** What a node would be started with. */
export class DoctorSettings extends Context.Service<
  DoctorSettings,
  {
    readonly chain: ChainParamsShape
    readonly listenAddress: PeerSocketAddress.PeerSocketAddress
    /** `host:port` */
    readonly seeds: ReadonlyArray<string>
    readonly cacheDirectory: string | undefined
  }
>()("network-effect/cli/doctor/DoctorSettings") {}

/** `skipped`: it could not be looked at, for the reason in `finding`. */
type Verdict = "ok" | "warning" | "failure" | "skipped"

interface Finding {
  readonly check: string
  readonly verdict: Verdict
  readonly finding: string
  /** What to do; empty when there is nothing. */
  readonly advice: string
}

const finding = (check: string, verdict: Verdict, text: string, advice = ""): Finding => ({
  check,
  verdict,
  finding: text,
  advice
})

/** A running node, as far as it is asked. */
interface Running {
  readonly health: Health
  readonly peers: ReadonlyArray<PeerInfo>
}

/** Longest wait of one check. */
const patience = "10 seconds"

const checkListen = Effect.fnUntraced(function* (running: Running | undefined) {
  const { listenAddress } = yield* DoctorSettings
  const at = PeerSocketAddress.format(listenAddress)
  const transport = yield* InboundTransport
  return yield* transport.listen(listenAddress).pipe(
    Effect.scoped,
    Effect.as(finding("listen", "ok", `${at} is free`)),
    Effect.catch(({ code }) =>
      Effect.succeed(
        code === "EADDRINUSE" && running?.health.listen?.endsWith(`:${listenAddress.port}`) === true
          ? finding("listen", "ok", `${at} is held by the running node`)
          : code === "EADDRINUSE"
            ? finding(
                "listen",
                "failure",
                `${at} is in use`,
                "stop what listens there, or choose another with --listen"
              )
            : finding("listen", "failure", `${at} cannot be listened on (${code})`, "choose another with --listen")
      )
    )
  )
})

const checkDns = Effect.gen(function* () {
  const { chain, seeds } = yield* DoctorSettings
  if (chain.kind === "regtest") return finding("dns", "skipped", "Regtest has no public seeds")
  const dns = yield* Dns.Dns
  const answers = yield* Effect.forEach(
    seeds,
    (seed) => {
      const host = parseSeed(seed)?.host ?? seed
      // An IP needs no answer.
      if (PeerSocketAddress.fromText(host, 1) !== undefined) return Effect.succeed(1)
      return dns.lookup(host).pipe(
        Effect.timeout("8 seconds"),
        Effect.map(({ length }) => length),
        Effect.catch(() => Effect.succeed(0))
      )
    },
    { concurrency: "unbounded" }
  )
  if (seeds.length === 0) return finding("dns", "skipped", "no seeds are set", "")
  const answered = answers.filter((count) => count > 0).length
  const total = answers.reduce((sum, count) => sum + count, 0)
  const text = `${answered} of ${seeds.length} seeds answered, with ${total} addresses`
  return answered > 0
    ? finding("dns", "ok", text)
    : finding(
        "dns",
        "failure",
        text,
        "check the network connection and the name server, or start the node with --peer ip:port"
      )
})

const noNode = "no node answers, so its peers cannot be asked"

/** Peers round the time they tell down to a multiple of 300 s. */
const roundedSeconds = 300

/** Largest difference that harms nobody: times in gossip are trusted to some minutes. */
const skewSeconds = 600

const checkClock = (running: Running | undefined): Finding => {
  if (running === undefined) return finding("clock", "skipped", noNode)
  const offsets = running.peers.map(({ timeoffset }) => timeoffset).toSorted((a, b) => a - b)
  const median = offsets[Math.floor(offsets.length / 2)]
  if (median === undefined) return finding("clock", "skipped", "no peer is connected, so none can be asked")
  const skew = median + roundedSeconds / 2
  return Math.abs(skew) <= skewSeconds
    ? finding("clock", "ok", `within ${skewSeconds} s of what ${offsets.length} peers say`)
    : finding(
        "clock",
        "failure",
        `${Math.round(Math.abs(skew))} s ${skew > 0 ? "behind" : "ahead of"} what ${offsets.length} peers say`,
        "set the clock, best by NTP"
      )
}

const checkReachable = (running: Running | undefined): Finding => {
  if (running === undefined) return finding("reachable", "skipped", noNode)
  const { health, peers } = running
  const inbound = peers.filter(({ inbound }) => inbound).length
  if (health.listen === null) return finding("reachable", "skipped", "the node only dials")
  if (inbound > 0) return finding("reachable", "ok", `${inbound} peers have dialled this node`)
  const seen = new Map<string, number>()
  for (const { addrlocal } of peers) {
    const ip = addrlocal.replace(/:\d+$/, "")
    seen.set(ip, (seen.get(ip) ?? 0) + 1)
  }
  const [most] = [...seen].toSorted(([, a], [, b]) => b - a)
  return finding(
    "reachable",
    "warning",
    `no peer has dialled this node yet${most === undefined ? "" : `; ${most[1]} of ${peers.length} see it at ${most[0]}`}`,
    `let TCP port ${health.listen.replace(/^.*:/, "")} through the firewall and the router, or wait: a new node is found within hours`
  )
}

const checkCache = Effect.gen(function* () {
  const { cacheDirectory, chain } = yield* DoctorSettings
  if (cacheDirectory === undefined) return finding("cache", "skipped", "nothing is kept on disk (cache_dir = false)")
  const files = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  let existing = paths.join(cacheDirectory, "network")
  while (!(yield* Effect.orElseSucceed(files.exists(existing), () => false)) && paths.dirname(existing) !== existing) {
    existing = paths.dirname(existing)
  }
  const advice = "change its owner, or choose another directory with cache_dir"
  const isUsable = yield* files.access(existing, { readable: true, writable: true }).pipe(
    Effect.as(true),
    Effect.orElseSucceed(() => false)
  )
  if (!isUsable) return finding("cache", "failure", `${existing} cannot be read and written`, advice)
  const file = paths.join(cacheDirectory, "network", `${fileStem(chain)}.peers`)
  const text = yield* Effect.option(files.readFileString(file))
  if (Option.isNone(text)) return finding("cache", "ok", `${existing} can be written; no addresses are kept yet`)
  const lines = text.value.split("\n").filter((line) => line.trim() !== "")
  const valid = lines.filter((line) => PeerSocketAddress.fromText(line.trim()) !== undefined).length
  return lines.length > 0 && valid === 0
    ? finding("cache", "warning", `${file} is damaged`, "nothing: the node moves it aside when it starts")
    : finding("cache", "ok", `${file} has ${valid} addresses`)
})

/** A line for each check, and more where a terminal is too narrow for one. */
const shown = (findings: ReadonlyArray<Finding>, room: number): ReadonlyArray<string> => {
  const first = tables.columns(
    ["verdict", "check", ""],
    findings.map(({ check, verdict }) => [verdict, check, ""])
  )
  const indent = Math.max(...first.map(width)) + 2
  return first.flatMap((line, row) => {
    const found = findings[row - 1]
    if (found === undefined) return [`${padEnd(line, indent)}finding`]
    const text = found.advice === "" ? found.finding : `${found.finding}: ${found.advice}`
    const [words = "", ...more] = wrap(harmless(text), room - indent)
    return [`${padEnd(line, indent)}${words}`, ...more.map((line) => `${" ".repeat(indent)}${line}`)]
  })
}

export const doctor = Command.make(
  "doctor",
  { ...settingsFlags, node: nodeFlag, json: jsonFlag },
  Effect.fnUntraced(function* ({ json, node }) {
    const running = yield* clientOf(node).pipe(
      Effect.flatMap((client) => Effect.all({ health: client.health(), peers: client.peers() })),
      Effect.timeout(patience),
      Effect.map((running): Running => running),
      Effect.catch((error) =>
        isAbsent(error)
          ? Effect.succeed(undefined)
          : Effect.as(
              Console.error(harmless(`the node at ${placeOf(node)} cannot be asked: ${error.message}`)),
              undefined
            )
      )
    )
    const inTime = <R>(check: string, effect: Effect.Effect<Finding, never, R>) =>
      effect.pipe(
        Effect.timeoutOrElse({
          duration: patience,
          orElse: () => Effect.succeed(finding(check, "failure", "took too long to find out", "try again"))
        })
      )
    const findings = yield* Effect.all(
      [
        inTime("listen", checkListen(running)),
        inTime("dns", checkDns),
        Effect.succeed(checkClock(running)),
        Effect.succeed(checkReachable(running)),
        inTime("cache", checkCache)
      ],
      { concurrency: "unbounded" }
    ).pipe(whileSaying("waiting for the seeds to answer"))
    yield* Console.log(json ? JSON.stringify(findings) : shown(findings, yield* room).join("\n"))
    const failed = findings.filter(({ verdict }) => verdict === "failure").length
    if (failed > 0) {
      return yield* new CliError.UserError({
        cause: findings,
        userMessage: `${failed} of ${findings.length} checks failed.`
      })
    }
  })
).pipe(
  Command.withDescription("Find out what could keep a node from working here"),
  Command.withExamples([
    { command: "network-effect doctor", description: "For a Mainnet node, running or not" },
    { command: "network-effect doctor --network testnet --json", description: "For a script" }
  ])
)
