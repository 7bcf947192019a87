/**
 * Settings of a node, from flags, the environment and a file in the form of a zebrad.toml. Pure.
 *
 * Flags win over the environment, that over the file, that over the defaults. Whatever is wrong is said in one sentence
 * that names the flag, the variable, or the file with its line.
 *
 * Source: Zebra zebra-network config.rs and zebrad config.rs.
 *
 * @module
 */
import { Duration, Result } from "effect"
import * as AddressRules from "../addresses/AddressRules.ts"
import { parseSeed } from "../addresses/DnsSeeds.ts"
import { type ChainParamsShape, mainnet, testnet } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { defaults } from "../Policy.ts"
import * as Zones from "../transport/Zones.ts"
import { maxUserAgentBytes } from "../wire/HandshakeMessages.ts"
import * as CustomNetwork from "./CustomNetwork.ts"
import {
  fromEnvironment,
  fromToml,
  isTable,
  nearMiss,
  Problems,
  SettingsError,
  type Source,
  type Table
} from "./SettingsSource.ts"

export { SettingsError } from "./SettingsSource.ts"

/** Texts as the user gave them. */
export interface Flags {
  readonly network?: string | undefined
  readonly listen?: string | undefined
  readonly peers?: ReadonlyArray<string> | undefined
  readonly userAgent?: string | undefined
  readonly asmap?: string | undefined
}

export interface Settings {
  readonly chain: ChainParamsShape
  readonly listenAddress: PeerSocketAddress.PeerSocketAddress
  readonly externalAddress: PeerSocketAddress.PeerSocketAddress | undefined
  /** From `--peer`; replace the seeds. */
  readonly peers: ReadonlyArray<PeerSocketAddress.PeerSocketAddress> | undefined
  readonly seeds: ReadonlyArray<string>
  /** The interfaces that link-local addresses among these are on: no address has them itself. */
  readonly zones: ReadonlyMap<string, string>
  /** `undefined`: nothing is kept on disk. */
  readonly cacheDirectory: string | undefined
  readonly userAgent: string | undefined
  /** A file that says which autonomous systems there are. */
  readonly asmap: string | undefined
  readonly targetPeers: number
  readonly crawlInterval: Duration.Duration
  readonly connectionsPerGroup: number
  /** What was accepted, and is not as it was meant. */
  readonly warnings: ReadonlyArray<string>
  /** What was accepted and is not used, as other parts of Zebra read it: for whoever checks a file. */
  readonly notes: ReadonlyArray<string>
}

export interface Input {
  readonly file: { readonly name: string; readonly text: string } | undefined
  readonly environment: Readonly<Record<string, string>>
  readonly flags: Flags
  readonly platform: {
    readonly home: string | undefined
    readonly xdgCacheHome: string | undefined
    /** As Node names it: `linux`, `darwin`, …. */
    readonly os: string
    readonly cwd: string
  }
}

/** Nanoseconds of each unit, whose names are in no other case. Source: the `humantime` format that zebrad reads. */
const units: ReadonlyArray<readonly [RegExp, bigint]> = [
  [/^(nanos|nsec|ns)$/, 1n],
  [/^(usec|us|µs|μs)$/, 1000n],
  [/^(millis|msec|ms)$/, 1_000_000n],
  [/^(seconds|second|secs|sec|s)$/, 1_000_000_000n],
  [/^(minutes|minute|mins|min|m)$/, 60_000_000_000n],
  [/^(hours|hour|hrs|hr|h)$/, 3_600_000_000_000n],
  [/^(days|day|d)$/, 86_400_000_000_000n],
  [/^(weeks|week|wks|wk|w)$/, 604_800_000_000_000n],
  // 30.44 days and 365.25 days.
  [/^(months|month|M)$/, 2_630_016_000_000_000n],
  [/^(years|year|yrs|yr|y)$/, 31_557_600_000_000_000n]
]

/** Longest time that is taken, 2^64 seconds there: here what a number of milliseconds holds exactly. */
const maxNanos = BigInt(Number.MAX_SAFE_INTEGER) * 1_000_000n

/** `61s`, `1m 1s`, `1500ms`, `2 weeks`; `undefined` for anything else. */
export const parseDuration = (text: string): Duration.Duration | undefined => {
  let nanos = 0n
  const parts = [...text.trim().matchAll(/(\d{1,18})\s*([a-zµμ]+)\s*/giy)]
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text.trim()) return undefined
  for (const [, amount = "", unit = ""] of parts) {
    const factor = units.find(([pattern]) => pattern.test(unit))?.[1]
    if (factor === undefined) return undefined
    nanos += BigInt(amount) * factor
  }
  if (nanos > maxNanos) return undefined
  return nanos % 1_000_000n === 0n ? Duration.millis(Number(nanos / 1_000_000n)) : Duration.nanos(nanos)
}

/** Sections of a zebrad.toml that other parts of Zebra read; accepted here, and not used. */
const foreignSections = [
  "consensus",
  "health",
  "mempool",
  "metrics",
  "mining",
  "notify",
  "rpc",
  "state",
  "sync",
  "tracing",
  "zcashd_compat"
]
/**
 * Keys of `[network]` that are for a second way to talk to peers, as one version wrote them; accepted here, and not used. Source:
 * Zebra, zebrad/tests/common/configs/v4.5.0-zakura-p2p.toml.
 */
const foreignNetworkKeys = ["legacy_p2p", "v2_p2p", "zakura"]
/** What Zebra does not know, so a file that has it is none of Zebra's. */
const ownSection = "network_effect"
const ownKeys = ["asmap"]

const sections = ["network", ownSection, ...foreignSections]

const networkKeys = [
  "listen_addr",
  "external_addr",
  "network",
  "initial_mainnet_peers",
  "initial_testnet_peers",
  "cache_dir",
  "peerset_initial_target_size",
  "crawl_new_peer_interval",
  "new_peer_interval",
  "max_connections_per_ip",
  "testnet_parameters",
  ...foreignNetworkKeys
]

const fail = (message: string) => Result.fail(new SettingsError({ message }))

const addressForms = "say ip, ip:port or [ip6]:port"

/** A value of the `[network]` section, and where it stands. */
interface Setting {
  readonly value: unknown
  readonly where: string
}

/** Both sources as one: the environment first. */
const merged = (file: Source, environment: Source) => {
  const tableOf = (source: Source, name = "network"): Table => {
    const section = source.table[name]
    return isTable(section) ? section : {}
  }
  return {
    find: (key: string, section = "network"): Setting | undefined => {
      for (const source of [environment, file]) {
        const value = tableOf(source, section)[key]
        if (value !== undefined) return { value, where: source.whereIs([section, key]) }
      }
      return undefined
    },
    /** The source that says which parameters the chain has. */
    sourceOf: (key: string): Source => (tableOf(environment)[key] === undefined ? file : environment)
  }
}

const checkSections = (source: Source): Result.Result<void, SettingsError> => {
  const problems = new Problems()
  for (const [name, section] of Object.entries(source.table)) {
    const where = source.whereIs([name])
    if (!sections.includes(name)) problems.add(`${where}: unknown section ${name}${nearMiss(name, sections)}`)
    else if (!isTable(section)) problems.add(`${where}: ${name} has to be a section: [${name}]`)
  }
  const checkKeys = (name: string, known: ReadonlyArray<string>) => {
    const section = source.table[name]
    for (const key of isTable(section) ? Object.keys(section) : []) {
      if (known.includes(key)) continue
      problems.add(`${source.whereIs([name, key])}: unknown key ${key} in [${name}]${nearMiss(key, known)}`)
    }
  }
  checkKeys("network", networkKeys)
  checkKeys(ownSection, ownKeys)
  return problems.result(undefined)
}

const nothing: Source = { table: {}, whereIs: () => "" }

/** What is wrong with a peer, for the end of a sentence. */
const seedProblem = (seed: string, key: string): string | undefined => {
  if (parseSeed(seed) !== undefined) return undefined
  const [, host = "", port = "0"] = /^(.*):(\d{1,5})$/.exec(seed) ?? []
  if (host === "" || Number(port) < 1 || Number(port) > 65_535) {
    return `${seed} in ${key} needs a host and a port: say host:port`
  }
  if (/\s/.test(seed)) return `${seed} in ${key} has a blank: put a comma between peers`
  if (host.includes("://"))
    return `${seed} in ${key} is a URL: say host:port, without ${host.replace(/:\/\/.*$/, "://")}`
  return `${host} in ${key} is neither a name nor an IP: say host:port, ip:port or [ip6]:port`
}

/** Everything a node is started with, or all that is wrong with it. */
export const load = ({ environment, file, flags, platform }: Input): Result.Result<Settings, SettingsError> => {
  const problems = new Problems()
  const fromFile = file === undefined ? nothing : problems.or(fromToml(file.name, file.text), nothing)
  const fromVariables = fromEnvironment(environment, problems)
  problems.or(checkSections(fromFile), undefined)
  problems.or(checkSections(fromVariables), undefined)
  const settings = merged(fromFile, fromVariables)
  const warnings: Array<string> = []

  const legacy = settings.find("legacy_p2p")
  if (legacy?.value === false)
    warnings.push(
      `${legacy.where}: legacy_p2p = false is not followed, for this node knows no other way to talk to peers`
    )

  const zones = new Map<string, string>()
  /** The text without its zone, which is kept apart. */
  const withoutZone = (text: string, where: string): string => {
    const zoned = Zones.split(text)
    if (zoned === undefined) return text
    const { ip, zone } = zoned
    const known = zones.get(ip)
    if (!/^fe[89ab]/i.test(ip)) {
      problems.add(`${where}: ${text} has a zone, and only link-local addresses (fe80::) have one: leave out %${zone}`)
    } else if (known !== undefined && known !== zone) {
      problems.add(`${where}: ${ip} is said to be on ${known} and on ${zone}: an address can be on one interface only`)
    } else zones.set(ip, zone)
    return zoned.text
  }

  const textOf = (key: string) => {
    const setting = settings.find(key)
    if (setting === undefined) return undefined
    const { value, where } = setting
    if (typeof value === "string") return { value, where }
    problems.add(`${where}: ${key} has to be a text in quotes`)
    return undefined
  }

  const integerOf = (key: string, fallback: number): number => {
    const setting = settings.find(key)
    if (setting === undefined) return fallback
    const { value, where } = setting
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0) {
      problems.add(`${where}: ${key} has to be a whole number`)
      return fallback
    }
    if (value !== 0) return value
    warnings.push(`${where}: ${key} = 0 makes no sense, ${fallback} is used`)
    return fallback
  }

  const seedsOf = (key: string, fallback: ReadonlyArray<string>): ReadonlyArray<string> => {
    const setting = settings.find(key)
    if (setting === undefined) return fallback
    const { value, where } = setting
    // A variable has no list; commas make one.
    const list: unknown = typeof value === "string" ? value.split(",").map((entry) => entry.trim()) : value
    if (!Array.isArray(list) || !list.every((entry): entry is string => typeof entry === "string")) {
      problems.add(`${where}: ${key} has to be a list of texts in quotes`)
      return fallback
    }
    const seeds = list.filter((entry) => entry !== "").map((entry) => withoutZone(entry, where))
    for (const seed of seeds) {
      const problem = seedProblem(seed, key)
      if (problem !== undefined) problems.add(`${where}: ${problem}`)
      const address = PeerSocketAddress.fromText(seed)
      const invalid = address === undefined ? undefined : AddressRules.validForOutbound(address)
      if (problem === undefined && invalid !== undefined) {
        warnings.push(`${where}: ${seed} in ${key} cannot be dialled, for ${invalid}`)
      }
    }
    return [...new Set(seeds)]
  }

  const mainnetSeeds = seedsOf("initial_mainnet_peers", mainnet.seeds)
  const testnetSeeds = seedsOf("initial_testnet_peers", testnet.seeds)

  const chainOf = (): Result.Result<CustomNetwork.CustomNetwork, SettingsError> => {
    if (flags.network !== undefined && !["mainnet", "testnet", "regtest"].includes(flags.network)) {
      return fail(`--network ${flags.network} is not a network: say mainnet, testnet or regtest`)
    }
    const setting = settings.find("network")
    const parameters = settings.find("testnet_parameters")
    if (parameters !== undefined && !isTable(parameters.value)) {
      return fail(`${parameters.where}: testnet_parameters has to be a table`)
    }
    const legacy = isTable(parameters?.value) ? parameters.value : {}
    const legacySource = settings.sourceOf("testnet_parameters")
    const legacyPath = ["network", "testnet_parameters"]
    const flagNames: Readonly<Record<string, string>> = { mainnet: "Mainnet", testnet: "Testnet", regtest: "Regtest" }
    const value = flags.network === undefined ? (setting?.value ?? "Mainnet") : flagNames[flags.network]
    if (isTable(value)) {
      const source = settings.sourceOf("network")
      const path = ["network", "network"]
      if (value["regtest"] !== true) return CustomNetwork.makeTestnet(value, testnetSeeds, source, path)
      const params = value["params"]
      return CustomNetwork.makeRegtest(isTable(params) ? params : {}, source, [...path, "params"])
    }
    switch (value) {
      case "Mainnet":
        return Result.succeed({ chain: mainnet, warnings: [] })
      case "Testnet":
        return CustomNetwork.makeTestnet(legacy, testnetSeeds, legacySource, legacyPath)
      case "Regtest":
        return CustomNetwork.makeRegtest(legacy, legacySource, legacyPath)
      default: {
        const names = ["Mainnet", "Testnet", "Regtest"]
        return fail(
          `${setting?.where ?? ""}: network ${JSON.stringify(value)} is none of ${names.join(", ")}` +
            nearMiss(String(value), names)
        )
      }
    }
  }
  const custom = problems.or(chainOf(), { chain: mainnet, warnings: [] })
  const { chain } = custom
  warnings.push(...custom.warnings)

  const listen = flags.listen === undefined ? textOf("listen_addr") : { value: flags.listen, where: "--listen" }
  const listenAddress = PeerSocketAddress.fromText(
    listen === undefined ? "[::]" : withoutZone(listen.value, listen.where),
    chain.defaultPort
  )
  if (listenAddress === undefined) {
    const { value = "", where = "" } = listen ?? {}
    const what = where === "--listen" ? `--listen ${value}` : `${where}: listen_addr ${value}`
    problems.add(`${what} is not an address: ${addressForms}`)
  }
  const external = textOf("external_addr")
  const externalAddress =
    external === undefined ? undefined : PeerSocketAddress.fromText(external.value, chain.defaultPort)
  if (external !== undefined && externalAddress === undefined) {
    problems.add(`${external.where}: external_addr ${external.value} is not an address: ${addressForms}`)
  }
  const unreachable = externalAddress === undefined ? undefined : AddressRules.validForOutbound(externalAddress)
  if (external !== undefined && unreachable !== undefined) {
    warnings.push(`${external.where}: nobody can dial external_addr ${external.value}, for ${unreachable}`)
  }

  const peers: Array<PeerSocketAddress.PeerSocketAddress> = []
  for (const peer of flags.peers ?? []) {
    const address = PeerSocketAddress.fromText(withoutZone(peer, "--peer"))
    const invalid = address === undefined ? undefined : AddressRules.validForOutbound(address, chain)
    if (address === undefined) problems.add(`--peer ${peer} is not an address: say ip:port or [ip6]:port`)
    else if (invalid === undefined) peers.push(address)
    else problems.add(`--peer ${peer} cannot be dialled, for ${invalid}: say where the peer listens`)
  }
  if (flags.userAgent !== undefined && Buffer.byteLength(flags.userAgent) > maxUserAgentBytes) {
    problems.add(`--user-agent is longer than ${maxUserAgentBytes} bytes: choose a shorter one`)
  }
  if (flags.userAgent?.trim() === "") problems.add("--user-agent is blank: say what this node calls itself")

  const map = flags.asmap === undefined ? settings.find("asmap", ownSection) : { value: flags.asmap, where: "--asmap" }
  const asmap = typeof map?.value === "string" && map.value !== "" ? map.value : undefined
  if (map !== undefined && asmap === undefined) problems.add(`${map.where}: asmap has to be a file in quotes`)

  const deprecated = settings.find("new_peer_interval")
  if (deprecated !== undefined) {
    warnings.push(`${deprecated.where}: new_peer_interval is now called crawl_new_peer_interval`)
  }
  const interval = textOf("crawl_new_peer_interval") ?? textOf("new_peer_interval")
  const crawlInterval = interval === undefined ? defaults.crawlInterval : parseDuration(interval.value)
  if (interval !== undefined && (crawlInterval === undefined || Duration.isZero(crawlInterval))) {
    problems.add(`${interval.where}: crawl_new_peer_interval "${interval.value}" is not a time: say 61s or 1m 1s`)
  }

  const cache = settings.find("cache_dir") ?? { value: true, where: "" }
  if (typeof cache.value !== "boolean" && (typeof cache.value !== "string" || cache.value === "")) {
    problems.add(`${cache.where}: cache_dir has to be true, false or a directory in quotes`)
  }

  const configured = settings.find("initial_testnet_peers")
  if (chain.kind === "regtest" && configured !== undefined) {
    const elsewhere = testnetSeeds.filter(
      // A file of defaults names the public ones, and nobody expects them here.
      (seed) => !isOfThisMachine(seed) && !CustomNetwork.isPublicSeed(seed)
    )
    if (elsewhere.length > 0) {
      warnings.push(
        `${configured.where}: on Regtest only peers of this machine are dialled, not ${elsewhere.join(", ")}`
      )
    }
  }

  return problems.result({
    chain,
    listenAddress: listenAddress ?? PeerSocketAddress.unspecified,
    externalAddress,
    peers: peers.length === 0 ? undefined : peers,
    seeds: chain.kind === "mainnet" ? mainnetSeeds : testnetSeeds,
    zones,
    cacheDirectory:
      typeof cache.value === "string" ? cache.value : cache.value ? defaultCacheDirectory(platform) : undefined,
    userAgent: flags.userAgent,
    asmap,
    targetPeers: integerOf("peerset_initial_target_size", defaults.targetPeers),
    crawlInterval: crawlInterval ?? defaults.crawlInterval,
    connectionsPerGroup: integerOf("max_connections_per_ip", defaults.connectionsPerGroup),
    warnings,
    notes: [...notesOf(fromFile, chain), ...notesOf(fromVariables, chain)]
  })
}

/** Whether a peer is dialled on Regtest: this host, by its name or an IP. */
export const isOfThisMachine = (seed: string): boolean => {
  const { host = "" } = parseSeed(seed) ?? {}
  const address = PeerSocketAddress.fromText(host, 1)
  return host === "localhost" || (address !== undefined && PeerSocketAddress.isLocalhost(address))
}

/** What a source says that this node does not use. */
const notesOf = (source: Source, chain: ChainParamsShape): ReadonlyArray<string> => {
  const notes = foreignSections
    .filter((name) => name in source.table)
    .map((name) => `${source.whereIs([name])}: [${name}] is for other parts of Zebra, and is not used`)
  const network = isTable(source.table["network"]) ? source.table["network"] : {}
  const noteOf = (key: string, why: string) => `${source.whereIs(["network", key])}: ${key} ${why}`
  for (const key of foreignNetworkKeys) if (key in network) notes.push(noteOf(key, "is not used"))
  if (chain.kind === "mainnet" && "testnet_parameters" in network) {
    notes.push(noteOf("testnet_parameters", "is not used on Mainnet"))
  }
  return notes
}

/** Zebra's own, so that both find each other's cache. Source: Zebra config/cache_dir.rs. */
const defaultCacheDirectory = ({ cwd, home, os, xdgCacheHome }: Input["platform"]): string => {
  if (os === "darwin" && home !== undefined) return `${home}/Library/Caches/zebra`
  if (xdgCacheHome !== undefined && xdgCacheHome !== "") return `${xdgCacheHome}/zebra`
  return home === undefined ? `${cwd}/cache` : `${home}/.cache/zebra`
}
