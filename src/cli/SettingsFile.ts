/**
 * Settings of a node, from flags, the environment and a file in the form of a zebrad.toml. Pure.
 *
 * @module
 */
import { Data, Duration, Result } from "effect"
import * as Toml from "effect/encoding/Toml"
import { NetAddress } from "effect/net"
import { type ChainParamsShape, mainnet, regtest, testnet } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { defaults } from "../Policy.ts"

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
  readonly warnings: ReadonlyArray<string>
}

/** A setting that makes no sense. The message is one sentence that says what to change. */
export class SettingsError extends Data.TaggedError("SettingsError")<{ readonly message: string }> {}

export interface Input {
  readonly file: { readonly name: string; readonly text: string } | undefined
  readonly environment: Readonly<Record<string, string>>
  readonly flags: Flags
  readonly platform: {
    readonly home: string | undefined
    readonly xdgCacheHome: string | undefined
    readonly os: string
    readonly cwd: string
  }
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `61s`, `1m 1s`, `1500ms`; `undefined` for anything else. */
export const parseDuration = (text: string): Duration.Duration | undefined => {
  let millis = 0
  const parts = text.trim().split(/\s+/)
  for (const part of parts) {
    const [, amount = "", unit = ""] = /^(\d{1,12})(ms|s|m|h|d)$/.exec(part) ?? []
    const factor = units[unit]
    if (factor === undefined) return undefined
    millis += Number(amount) * factor
  }
  return Duration.millis(millis)
}

const chains: Readonly<Record<string, ChainParamsShape>> = { mainnet, testnet, regtest }

const fail = (message: string) => Result.fail(new SettingsError({ message }))

const parseAddress = (text: string, defaultPort: number | undefined) => {
  const withPort = PeerSocketAddress.fromString(text)
  if (Result.isSuccess(withPort)) return withPort.success
  const ip = NetAddress.ipFromString(text.replace(/^\[(.*)\]$/, "$1"))
  return Result.isSuccess(ip) && defaultPort !== undefined
    ? PeerSocketAddress.fromIp(ip.success, defaultPort)
    : undefined
}

/** Everything a node is started with; flags win over the environment, and that over the file. */
export const load = (input: Input): Result.Result<Settings, SettingsError> =>
  Result.gen(function* () {
    const { environment, file, flags, platform } = input
    const parsed =
      file === undefined
        ? {}
        : yield* Result.mapError(
            Toml.parse(file.text),
            (error) => new SettingsError({ message: `${file.name} is not valid TOML: ${error.message}` })
          )
    const section = (parsed["network"] ?? {}) as Record<string, unknown>
    const text = (flag: string | undefined, key: string): string | undefined =>
      flag ?? environment[`ZEBRA_NETWORK__${key.toUpperCase()}`] ?? (section[key] as string | undefined)

    const name = text(flags.network, "network") ?? "mainnet"
    const chain = chains[String(name).toLowerCase()]
    if (chain === undefined) {
      return yield* fail(`--network ${name} is not a network: say mainnet, testnet or regtest`)
    }
    const listen = text(flags.listen, "listen_addr") ?? "[::]"
    const listenAddress = parseAddress(listen, chain.defaultPort)
    if (listenAddress === undefined) {
      return yield* fail(`--listen ${listen} is not an address: say ip, ip:port or [ip6]:port`)
    }
    const peers: Array<PeerSocketAddress.PeerSocketAddress> = []
    for (const peer of flags.peers ?? []) {
      const address = parseAddress(peer, undefined)
      if (address === undefined) return yield* fail(`--peer ${peer} is not an address: say ip:port or [ip6]:port`)
      peers.push(address)
    }
    const external = text(undefined, "external_addr")
    return {
      chain,
      listenAddress,
      externalAddress: external === undefined ? undefined : parseAddress(external, chain.defaultPort),
      peers: peers.length === 0 ? undefined : peers,
      seeds: chain.seeds,
      cacheDirectory: `${platform.xdgCacheHome ?? `${platform.home ?? platform.cwd}/.cache`}/zebra`,
      userAgent: flags.userAgent,
      targetPeers: defaults.targetPeers,
      crawlInterval: defaults.crawlInterval,
      connectionsPerGroup: defaults.connectionsPerGroup,
      warnings: []
    }
  })
