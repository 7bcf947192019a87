/**
 * `network-effect census`: `run`, `report`, `diff`, `export` and `host`.
 *
 * @module
 */
import { Console, Context, Duration, Effect, Option, Stdio, Stream, Terminal } from "effect"
import { Argument, CliError, Command, Flag } from "effect/cli"
import * as AsMap from "../addresses/AsMap.ts"
import { CensusPolicy, defaults } from "../census/CensusPolicy.ts"
import { CensusStore, type CensusStoreError, defaultRetention, type Run, together } from "../census/CensusStore.ts"
import { KeptCensus } from "../census/KeptCensus.ts"
import * as Filter from "../census/Filter.ts"
import { type Finding, hostOf, toJson } from "../census/Finding.ts"
import * as Report from "../census/Report.ts"
import type { ChainParamsShape } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../chain/ProtocolVersion.ts"
import { chainOf } from "../status/CensusView.ts"
import type { ListenError } from "../transport/Transport.ts"
import * as text from "./censusText.ts"
import { numberFlag } from "./root.ts"
import { room } from "./screen.ts"
import { fit } from "./Text.ts"
import { parseDuration } from "./SettingsFile.ts"

/** What a census is run on, and where it begins. */
export class CensusSource extends Context.Service<
  CensusSource,
  {
    readonly chain: ChainParamsShape
    readonly userAgent: string
    /** Seeds and cache, or those that were named; none when nobody answers. */
    readonly from: Effect.Effect<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>
  }
>()("network-effect/cli/census/CensusSource") {}

/** A time like `30s` or `2h`. */
export const durationFlag = (name: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("TIME"),
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(parseDuration(text)),
      () => "a time like 30s or 2h"
    )
  )

/** `census` itself; its subcommands are given to it where they are put together. */
export const census = Command.make("census").pipe(
  Command.withDescription("Visit every node of the network that can be heard of, and say how many there are"),
  Command.withExamples([
    { command: "network-effect census run --for 10m", description: "Visit them, for ten minutes at most" },
    { command: "network-effect census report", description: "How many there are, and what they run" }
  ])
)

/** Where sightings are kept. */
export const storeFlag = Flag.String("store").pipe(
  Flag.withDescription("Where sightings are kept: a file, or postgres://user:password@host/database"),
  Flag.withMetavar("FILE|URL"),
  Flag.withDefault("census.sqlite")
)

const networkFlag = Flag.String("network").pipe(
  Flag.withDescription("mainnet, testnet or regtest; mainnet unless the settings say otherwise"),
  Flag.withMetavar("NAME"),
  Flag.optional
)

const jsonFlag = Flag.Boolean("json").pipe(Flag.withDescription("JSON on stdout"), Flag.withDefault(false))

/** Which network, and where one begins. */
export const sourceFlags = {
  network: networkFlag,
  peers: Flag.String("peer").pipe(
    Flag.withDescription("A peer to start with, ip:port; may be repeated, replaces seeds and cache"),
    Flag.withMetavar("ADDR"),
    Flag.between(0, 1000)
  ),
  contact: Flag.String("contact").pipe(
    Flag.withDescription("Who runs this census, for the operators of the nodes: in its user agent"),
    Flag.withMetavar("TEXT"),
    Flag.optional
  )
}

/** What numbers of runs and protocol versions may be. */
const runs = { minimum: 1, maximum: 2 ** 31 - 1 }
const versions = { minimum: 0, maximum: 2 ** 32 - 1 }

/** Flags of `census run`. */
export const runFlags = {
  ...sourceFlags,
  store: storeFlag,
  for: durationFlag("for").pipe(
    Flag.withDescription("Longest time it dials; it ends before when nothing new is found"),
    Flag.optional
  ),
  maxRate: numberFlag("max-rate", { minimum: 0, maximum: 10_000, integer: false }).pipe(
    Flag.withDescription("Dials per second, over all hosts; 0 for no pace"),
    Flag.withDefault(defaults.maxRate)
  ),
  protocolVersion: numberFlag("protocol-version", versions).pipe(
    Flag.withDescription("The protocol version to say; nodes newer than it may refuse us"),
    Flag.withDefault(ourProtocolVersion)
  ),
  keep: durationFlag("keep").pipe(
    Flag.withDescription("Runs that began longer ago are forgotten; 400d unless told"),
    Flag.withDefault(defaultRetention)
  ),
  listen: Flag.String("listen").pipe(
    Flag.withDescription(
      "Listen here, and state it, to see nodes that cannot be dialled; with --for until that time is over"
    ),
    Flag.withMetavar("ADDR"),
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(PeerSocketAddress.fromText(text)),
      () => "ip:port or [ip6]:port"
    ),
    Flag.optional
  ),
  cluster: Flag.Boolean("cluster").pipe(
    Flag.withDescription("Make the run together with other machines that say the same, through a store in PostgreSQL"),
    Flag.withDefault(false)
  ),
  runner: Flag.String("runner").pipe(
    Flag.withDescription(
      "With --cluster: where the other machines reach this one, a port that nobody else should reach"
    ),
    Flag.withMetavar("HOST:PORT"),
    Flag.withDefault("127.0.0.1:34431"),
    Flag.filterMap(
      (text) => {
        const [, host, port = ""] = /^(.+):(\d{1,5})$/.exec(text) ?? []
        return host !== undefined && Number(port) >= 1 && Number(port) <= 65_535
          ? Option.some({ host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) })
          : Option.none()
      },
      () => "host:port"
    )
  ),
  json: jsonFlag
}

/** Exit code 1 and one sentence. */
const sentence = (userMessage: string, cause: unknown = userMessage) => new CliError.UserError({ cause, userMessage })

/** The same for whatever a store fails with. */
export const explained = <A, R>(
  effect: Effect.Effect<A, CensusStoreError | CliError.UserError, R>
): Effect.Effect<A, CliError.UserError, R> =>
  Effect.catchTag(effect, "CensusStoreError", (error) => Effect.fail(sentence(error.message, error)))

const cannotListen = ({ address, code }: ListenError) =>
  Effect.fail(sentence(`nobody can reach us at ${address}, where we cannot listen (${code}): see --listen.`))

export const run = Command.make(
  "run",
  runFlags,
  Effect.fnUntraced(
    function* (flags) {
      const { chain, from, userAgent } = yield* CensusSource
      const census = yield* KeptCensus
      const numbers = yield* CensusPolicy
      const terminal = yield* Terminal.Terminal
      const isDrawn = !flags.json && (yield* (yield* Stdio.Stdio).stdoutIsTerminal)

      const addresses = yield* from
      if (addresses.length === 0) {
        return yield* sentence(
          chain.kind === "regtest"
            ? "there is nobody to begin with, for Regtest has no seeds: name a node with --peer ip:port."
            : "there is nobody to begin with, for no seed has answered: check the network connection, or name a node with --peer ip:port."
        )
      }
      const { findings, id, isJoined } = yield* census.begin({
        network: chain.name,
        from: addresses,
        for: Option.getOrUndefined(flags.for),
        userAgent,
        protocolVersion: flags.protocolVersion,
        keep: flags.keep,
        listen: Option.getOrUndefined(flags.listen),
        onWait: Console.error("the census' database is away: waiting for it")
      })
      if (isJoined) yield* Console.error(`run ${id} is under way: this machine joins it`)
      const show = (finding: Finding) => {
        if (flags.json) return Console.log(JSON.stringify(toJson(finding)))
        if (finding._tag !== "Progress" || !isDrawn) return Effect.void
        // A line that is longer than the terminal would not be drawn over.
        const drawn = (width: number) => `\r${fit(text.progress(finding, numbers.maxRate), width)}\x1b[K`
        return Effect.flatMap(room, (width) => Effect.orDie(terminal.display(drawn(width))))
      }
      yield* Stream.runForEach(findings, show)
      if (isDrawn) yield* Effect.orDie(terminal.display("\n"))
      if (flags.json) return
      const made = yield* together((all) =>
        reportOf(
          chain,
          all.filter(({ network }) => network === chain.name),
          id
        )
      )
      yield* Console.log(text.report(made, yield* room).join("\n"))
    },
    (effect) => explained(Effect.catchTag(Effect.scoped(effect), "ListenError", cannotListen))
  )
).pipe(
  Command.withDescription("Visit every node once, and keep what was seen"),
  Command.withExamples([
    { command: "network-effect census run --for 10m", description: "Mainnet, from the seeds" },
    {
      command: "network-effect census run --network regtest --peer 127.0.0.1:18233 --json",
      description: "A network on this machine, with findings as JSON"
    }
  ])
)

// -- questions -----------------------------------------------------------------------------------

const noRun = (id: number, network: string) =>
  sentence(`there is no run ${id} of ${network} in this store: see census report, and --network.`)

/** Tellers a report looks at. */
const tellersLimit = 20

const reportOf = Effect.fnUntraced(function* (
  chain: ChainParamsShape,
  runs: ReadonlyArray<Run>,
  id: number,
  more: Pick<Report.Input, "filter" | "systemOf"> = {}
) {
  const store = yield* CensusStore
  const index = runs.findIndex((run) => run.id === id)
  const run = runs[index]
  if (run === undefined) return yield* noRun(id, chain.name)
  const earlier = yield* Effect.forEach(runs.slice(Math.max(0, index - Report.markedRuns), index).toReversed(), (run) =>
    Effect.map(store.sightings(run.id), (sightings) => ({ run, sightings }))
  )
  return Report.make({
    chain,
    run,
    runs: runs.length,
    sightings: yield* store.sightings(id),
    earlier,
    tellers: yield* store.tellers(id, tellersLimit),
    guests: yield* store.guests(id),
    ...more
  })
})

/** The runs of the network that was named, else of the one the latest run was of. */
const runsOf = Effect.fnUntraced(function* (network: Option.Option<string>, all: ReadonlyArray<Run>) {
  const wanted = Option.match(network, {
    onNone: () => all.at(-1)?.network,
    onSome: (name) => all.findLast((run) => run.network.toLowerCase() === name.toLowerCase())?.network ?? name
  })
  const runs = all.filter(({ network }) => network === wanted)
  const latest = runs.at(-1)
  if (latest === undefined) {
    return yield* sentence(
      Option.isNone(network)
        ? "there is no run in this store: network-effect census run makes one."
        : `there is no run of ${network.value} in this store.`
    )
  }
  return { chain: chainOf(latest.network), runs, latest }
})

const runFlag = numberFlag("run", runs).pipe(
  Flag.withDescription("The run's number; the latest unless told"),
  Flag.optional
)

/** What `report`, `diff` and `export` have in common. */
const questionFlags = { network: networkFlag, store: storeFlag }

const filterFlags = {
  agent: Flag.String("agent").pipe(
    Flag.withDescription("Count only nodes whose user agent has this in it"),
    Flag.withMetavar("TEXT"),
    Flag.optional
  ),
  minVersion: numberFlag("min-version", versions).pipe(
    Flag.withDescription("Count only nodes of this protocol version or a newer one"),
    Flag.optional
  ),
  withoutForeign: Flag.Boolean("without-foreign").pipe(
    Flag.withDescription("Do not count nodes that name another coin"),
    Flag.withDefault(false)
  )
}

const filterOf = (flags: {
  readonly agent: Option.Option<string>
  readonly minVersion: Option.Option<number>
  readonly withoutForeign: boolean
}): Filter.Filter =>
  Filter.all(
    ...Option.toArray(Option.map(flags.agent, Filter.agentHas)),
    ...Option.toArray(Option.map(flags.minVersion, Filter.versionAtLeast)),
    ...(flags.withoutForeign ? [Filter.notForeign] : [])
  )

const asmapFlag = Flag.File("asmap", { mustExist: true }).pipe(
  Flag.withDescription("Count nodes by autonomous system too, by a map in the format of Bitcoin Core"),
  Flag.withMetavar("FILE"),
  Flag.optional
)

/** Of each address that is written as `Sighting.address` is. */
const systemsOf = Effect.fnUntraced(function* (asmap: Option.Option<string>) {
  if (Option.isNone(asmap)) return undefined
  const map = yield* Effect.catch(AsMap.load(asmap.value), (error) =>
    sentence(`${asmap.value} is ${error.message}: see --asmap.`, error)
  )
  return (text: string) => {
    const address = PeerSocketAddress.fromText(text)
    return address === undefined ? undefined : AsMap.systemOf(map, address)
  }
})

export const report = Command.make(
  "report",
  { ...questionFlags, ...filterFlags, run: runFlag, asmap: asmapFlag, json: jsonFlag },
  Effect.fnUntraced(function* (flags) {
    const more = { filter: filterOf(flags), systemOf: yield* systemsOf(flags.asmap) }
    const made = yield* together(
      Effect.fnUntraced(function* (all) {
        const { chain, latest, runs } = yield* runsOf(flags.network, all)
        return yield* reportOf(
          chain,
          runs,
          Option.getOrElse(flags.run, () => latest.id),
          more
        )
      })
    )
    yield* Console.log(flags.json ? JSON.stringify(made) : text.report(made, yield* room).join("\n"))
  }, explained)
).pipe(
  Command.withDescription("How many nodes there are, with error bars, and what they run"),
  Command.withExamples([
    { command: "network-effect census report --json", description: "For a script; of the latest run" }
  ])
)

export const diff = Command.make(
  "diff",
  {
    ...questionFlags,
    from: numberFlag("from", runs).pipe(
      Flag.withDescription("The earlier run; the one before unless told"),
      Flag.optional
    ),
    to: numberFlag("to", runs).pipe(Flag.withDescription("The later run; the latest unless told"), Flag.optional),
    json: jsonFlag
  },
  Effect.fnUntraced(function* (flags) {
    const store = yield* CensusStore
    const changes = yield* together(
      Effect.fnUntraced(function* (all) {
        const { latest, runs } = yield* runsOf(flags.network, all)
        const toId = Option.getOrElse(flags.to, () => latest.id)
        const to = runs.find(({ id }) => id === toId)
        if (to === undefined) return yield* noRun(toId, latest.network)
        const from = runs.findLast(({ id }) => (Option.isNone(flags.from) ? id < toId : id === flags.from.value))
        if (from === undefined) {
          return yield* Option.match(flags.from, {
            onNone: () =>
              sentence(`run ${toId} is the first of ${to.network}, so there is nothing to compare it with.`),
            onSome: (id) => noRun(id, to.network)
          })
        }
        return Report.changes(
          { run: from, sightings: yield* store.sightings(from.id) },
          { run: to, sightings: yield* store.sightings(to.id) }
        )
      })
    )
    yield* Console.log(flags.json ? JSON.stringify(changes) : text.changes(changes, yield* room).join("\n"))
  }, explained)
).pipe(
  Command.withDescription("Who came, who went and who runs something else, from one run to another"),
  Command.withExamples([{ command: "network-effect census diff", description: "Since the run before" }])
)

export const exports = Command.make(
  "export",
  {
    ...questionFlags,
    run: runFlag,
    format: Flag.Literals("format", ["json", "csv"]).pipe(
      Flag.withDescription("One JSON object a line, or comma-separated values with a line of titles"),
      Flag.withDefault("json" as const)
    )
  },
  Effect.fnUntraced(function* (flags) {
    const store = yield* CensusStore
    const sightings = yield* together(
      Effect.fnUntraced(function* (all) {
        const { latest, runs } = yield* runsOf(flags.network, all)
        const id = Option.getOrElse(flags.run, () => latest.id)
        if (!runs.some((run) => run.id === id)) return yield* noRun(id, latest.network)
        return yield* store.sightings(id)
      })
    )
    const lines = flags.format === "csv" ? text.csv(sightings) : sightings.map((sighting) => JSON.stringify(sighting))
    for (const line of lines) yield* Console.log(line)
  }, explained)
).pipe(
  Command.withDescription("Everything a run saw, a line for each host"),
  Command.withExamples([{ command: "network-effect census export --format csv", description: "For a spreadsheet" }])
)

export const host = Command.make(
  "host",
  {
    ...questionFlags,
    address: Argument.String("address").pipe(
      Argument.withDescription("An IP, or ip:port; an IPv6 stands for its /64"),
      Argument.filterMap(
        (text) => {
          const address = PeerSocketAddress.fromText(text) ?? PeerSocketAddress.fromText(portless(text))
          return Option.map(Option.fromUndefinedOr(address), hostOf)
        },
        () => "an IP or ip:port"
      )
    ),
    json: jsonFlag
  },
  Effect.fnUntraced(function* (flags) {
    const store = yield* CensusStore
    const { chain } = yield* runsOf(flags.network, yield* store.runs())
    const history = yield* store.host(chain.name, flags.address)
    if (history === undefined)
      return yield* sentence(`no run of ${chain.name} in this store has dialled ${flags.address}.`)
    yield* Console.log(flags.json ? JSON.stringify(history) : text.history(history, yield* room).join("\n"))
  }, explained)
).pipe(
  Command.withDescription("Everything that is kept about one host"),
  Command.withExamples([{ command: "network-effect census host 203.0.113.7", description: "In every run that saw it" }])
)

/** An IP as an address; which port does not matter. */
const portless = (ip: string): string => (ip.includes(":") && !ip.startsWith("[") ? `[${ip}]:1` : `${ip}:1`)

/** A rate of dials as a policy has it. */
export const rateOf = (maxRate: number): number => (maxRate === 0 ? Number.POSITIVE_INFINITY : maxRate)

/** Longest wait for the seeds: some tries of `Policy.dnsTimeout`. */
export const seedPatience = Duration.seconds(20)
