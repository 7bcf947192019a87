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
import { parseSeed } from "../addresses/DnsSeeds.ts"
import { type ChainParamsShape, mainnet, testnet } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { defaults } from "../Policy.ts"
import { maxUserAgentBytes } from "../wire/HandshakeMessages.ts"
import * as CustomNetwork from "./CustomNetwork.ts"
import {
  fromEnvironment,
  fromToml,
  isTable,
  nearMiss,
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
}

export interface Settings {
  readonly chain: ChainParamsShape
  readonly listenAddress: PeerSocketAddress.PeerSocketAddress
  readonly externalAddress: PeerSocketAddress.PeerSocketAddress | undefined
  /** From `--peer`; replace the seeds. */
  readonly peers: ReadonlyArray<PeerSocketAddress.PeerSocketAddress> | undefined
  readonly seeds: ReadonlyArray<string>
  /** `undefined`: nothing is kept on disk. */
  readonly cacheDirectory: string | undefined
  readonly userAgent: string | undefined
  readonly targetPeers: number
  readonly crawlInterval: Duration.Duration
  readonly connectionsPerGroup: number
  /** What was accepted, and is not as it was meant. */
  readonly warnings: ReadonlyArray<string>
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

/** Milliseconds of each unit. Source: the `humantime` format that zebrad reads. */
const units: ReadonlyArray<readonly [RegExp, number]> = [
  [/^(ms|msec|millis)$/, 1],
  [/^(s|sec|secs|second|seconds)$/, 1000],
  [/^(m|min|mins|minute|minutes)$/, 60_000],
  [/^(h|hr|hrs|hour|hours)$/, 3_600_000],
  [/^(d|day|days)$/, 86_400_000],
  [/^(w|week|weeks)$/, 604_800_000]
]

/** `61s`, `1m 1s`, `1500ms`; `undefined` for anything else. */
export const parseDuration = (text: string): Duration.Duration | undefined => {
  let millis = 0
  const parts = [...text.trim().matchAll(/(\d{1,12})\s*([a-z]+)\s*/gy)]
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text.trim()) return undefined
  for (const [, amount = "", unit = ""] of parts) {
    const factor = units.find(([pattern]) => pattern.test(unit))?.[1]
    if (factor === undefined) return undefined
    millis += Number(amount) * factor
  }
  return Duration.millis(millis)
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
const sections = ["network", ...foreignSections]

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
  "testnet_parameters"
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
  const tableOf = (source: Source): Table => {
    const { network } = source.table
    return isTable(network) ? network : {}
  }
  return {
    find: (key: string): Setting | undefined => {
      for (const source of [environment, file]) {
        const value = tableOf(source)[key]
        if (value !== undefined) return { value, where: source.whereIs(["network", key]) }
      }
      return undefined
    },
    /** The source that says which parameters the chain has. */
    sourceOf: (key: string): Source => (tableOf(environment)[key] === undefined ? file : environment)
  }
}

const checkSections = (source: Source): Result.Result<void, SettingsError> => {
  for (const [name, section] of Object.entries(source.table)) {
    const where = source.whereIs([name])
    if (!sections.includes(name)) return fail(`${where}: unknown section ${name}${nearMiss(name, sections)}`)
    if (!isTable(section)) return fail(`${where}: ${name} has to be a section: [${name}]`)
  }
  const { network } = source.table
  for (const key of isTable(network) ? Object.keys(network) : []) {
    if (!networkKeys.includes(key)) {
      return fail(`${source.whereIs(["network", key])}: unknown key ${key} in [network]${nearMiss(key, networkKeys)}`)
    }
  }
  return Result.void
}

const nothing: Source = { table: {}, whereIs: () => "" }

/** Everything a node is started with. */
export const load = ({ environment, file, flags, platform }: Input): Result.Result<Settings, SettingsError> =>
  Result.gen(function* () {
    const fromFile = file === undefined ? nothing : yield* fromToml(file.name, file.text)
    const fromVariables = yield* fromEnvironment(environment)
    yield* checkSections(fromFile)
    yield* checkSections(fromVariables)
    const settings = merged(fromFile, fromVariables)
    const warnings: Array<string> = []

    const textOf = function* (key: string) {
      const setting = settings.find(key)
      if (setting === undefined) return undefined
      if (typeof setting.value !== "string") return yield* fail(`${setting.where}: ${key} has to be a text in quotes`)
      return { value: setting.value, where: setting.where }
    }

    const integerOf = function* (key: string, fallback: number) {
      const setting = settings.find(key)
      if (setting === undefined) return fallback
      if (!Number.isInteger(setting.value) || (setting.value as number) < 0) {
        return yield* fail(`${setting.where}: ${key} has to be a whole number`)
      }
      if (setting.value !== 0) return setting.value as number
      warnings.push(`${setting.where}: ${key} = 0 makes no sense, ${fallback} is used`)
      return fallback
    }

    const seedsOf = function* (key: string, fallback: ReadonlyArray<string>) {
      const setting = settings.find(key)
      if (setting === undefined) return fallback
      // A variable has no list; commas make one.
      const list =
        typeof setting.value === "string" ? setting.value.split(",").map((entry) => entry.trim()) : setting.value
      const isList = Array.isArray(list) && list.every((entry) => typeof entry === "string")
      if (!isList) return yield* fail(`${setting.where}: ${key} has to be a list of texts in quotes`)
      const seeds = (list as ReadonlyArray<string>).filter((entry) => entry !== "")
      for (const seed of seeds) {
        if (parseSeed(seed) === undefined) {
          return yield* fail(`${setting.where}: ${seed} in ${key} needs a host and a port: say host:port`)
        }
      }
      return [...new Set(seeds)]
    }

    const mainnetSeeds = yield* seedsOf("initial_mainnet_peers", mainnet.seeds)
    const testnetSeeds = yield* seedsOf("initial_testnet_peers", testnet.seeds)

    const chainOf = function* () {
      if (flags.network !== undefined && !["mainnet", "testnet", "regtest"].includes(flags.network)) {
        return yield* fail(`--network ${flags.network} is not a network: say mainnet, testnet or regtest`)
      }
      const setting = settings.find("network")
      const parameters = settings.find("testnet_parameters")
      if (parameters !== undefined && !isTable(parameters.value)) {
        return yield* fail(`${parameters.where}: testnet_parameters has to be a table`)
      }
      const legacy = isTable(parameters?.value) ? parameters.value : {}
      const legacySource = settings.sourceOf("testnet_parameters")
      const legacyPath = ["network", "testnet_parameters"]
      const flagNames: Readonly<Record<string, string>> = { mainnet: "Mainnet", testnet: "Testnet", regtest: "Regtest" }
      const value = flags.network === undefined ? (setting?.value ?? "Mainnet") : flagNames[flags.network]
      if (isTable(value)) {
        const source = settings.sourceOf("network")
        const path = ["network", "network"]
        if (value["regtest"] !== true) return yield* CustomNetwork.makeTestnet(value, testnetSeeds, source, path)
        const params = value["params"]
        return yield* CustomNetwork.makeRegtest(isTable(params) ? params : {}, source, [...path, "params"])
      }
      switch (value) {
        case "Mainnet":
          return { chain: mainnet, warnings: [] }
        case "Testnet":
          return yield* CustomNetwork.makeTestnet(legacy, testnetSeeds, legacySource, legacyPath)
        case "Regtest":
          return yield* CustomNetwork.makeRegtest(legacy, legacySource, legacyPath)
        default: {
          const names = ["Mainnet", "Testnet", "Regtest"]
          return yield* fail(
            `${setting?.where ?? ""}: network ${JSON.stringify(value)} is none of ${names.join(", ")}` +
              nearMiss(String(value), names)
          )
        }
      }
    }
    const custom = yield* chainOf()
    const { chain } = custom
    warnings.push(...custom.warnings)

    const listen =
      flags.listen === undefined ? yield* textOf("listen_addr") : { value: flags.listen, where: "--listen" }
    const listenAddress = PeerSocketAddress.fromText(listen?.value ?? "[::]", chain.defaultPort)
    if (listenAddress === undefined) {
      const { value = "", where = "" } = listen ?? {}
      const what = where === "--listen" ? `--listen ${value}` : `${where}: listen_addr ${value}`
      return yield* fail(`${what} is not an address: ${addressForms}`)
    }
    const external = yield* textOf("external_addr")
    const externalAddress =
      external === undefined ? undefined : PeerSocketAddress.fromText(external.value, chain.defaultPort)
    if (external !== undefined && externalAddress === undefined) {
      return yield* fail(`${external.where}: external_addr ${external.value} is not an address: ${addressForms}`)
    }

    const peers: Array<PeerSocketAddress.PeerSocketAddress> = []
    for (const peer of flags.peers ?? []) {
      const address = PeerSocketAddress.fromText(peer)
      if (address === undefined) return yield* fail(`--peer ${peer} is not an address: say ip:port or [ip6]:port`)
      peers.push(address)
    }
    if (flags.userAgent !== undefined && Buffer.byteLength(flags.userAgent) > maxUserAgentBytes) {
      return yield* fail(`--user-agent is longer than ${maxUserAgentBytes} bytes: choose a shorter one`)
    }

    const deprecated = settings.find("new_peer_interval")
    if (deprecated !== undefined) {
      warnings.push(`${deprecated.where}: new_peer_interval is now called crawl_new_peer_interval`)
    }
    const interval = (yield* textOf("crawl_new_peer_interval")) ?? (yield* textOf("new_peer_interval"))
    const crawlInterval = interval === undefined ? defaults.crawlInterval : parseDuration(interval.value)
    if (crawlInterval === undefined || Duration.toMillis(crawlInterval) === 0) {
      const { value, where } = interval ?? { value: "", where: "" }
      return yield* fail(`${where}: crawl_new_peer_interval "${value}" is not a time: say 61s or 1m 1s`)
    }

    const cache = settings.find("cache_dir") ?? { value: true, where: "" }
    if (typeof cache.value !== "boolean" && (typeof cache.value !== "string" || cache.value === "")) {
      return yield* fail(`${cache.where}: cache_dir has to be true, false or a directory in quotes`)
    }

    return {
      chain,
      listenAddress,
      externalAddress,
      peers: peers.length === 0 ? undefined : peers,
      seeds: chain.kind === "mainnet" ? mainnetSeeds : testnetSeeds,
      cacheDirectory:
        typeof cache.value === "string" ? cache.value : cache.value ? defaultCacheDirectory(platform) : undefined,
      userAgent: flags.userAgent,
      targetPeers: yield* integerOf("peerset_initial_target_size", defaults.targetPeers),
      crawlInterval,
      connectionsPerGroup: yield* integerOf("max_connections_per_ip", defaults.connectionsPerGroup),
      warnings
    }
  })

/** Zebra's own, so that both find each other's cache. Source: Zebra config/cache_dir.rs. */
const defaultCacheDirectory = ({ cwd, home, os, xdgCacheHome }: Input["platform"]): string => {
  if (os === "darwin" && home !== undefined) return `${home}/Library/Caches/zebra`
  if (xdgCacheHome !== undefined && xdgCacheHome !== "") return `${xdgCacheHome}/zebra`
  return home === undefined ? `${cwd}/cache` : `${home}/.cache/zebra`
}
