/**
 * Settings as a file in the form of a zebrad.toml, which loads as the same settings. Pure.
 *
 * Parameters of consensus are not among them: nothing here keeps what it does not use.
 *
 * Source: Zebra zebra-network config.rs, `DConfig` and its `From<Config>`.
 *
 * @module
 */
import { Duration } from "effect"
import { type ChainParamsShape, mainnet, regtest, testnet, upgrades } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { Settings } from "./SettingsFile.ts"

/** A text in quotes: TOML escapes as JSON does, but for the one control character that JSON leaves alone. */
const quoted = (text: string): string => JSON.stringify(text).replaceAll("\x7f", "\\u007F")

const list = (texts: ReadonlyArray<string>): string =>
  texts.length === 0 ? "[]" : `[\n${texts.map((text) => `    ${quoted(text)},\n`).join("")}]`

/** A whole number of the largest unit that there is: `61s`, `1500ms`. */
const time = (duration: Duration.Duration): string => {
  const nanos = Duration.toNanosUnsafe(duration)
  if (nanos % 1_000_000_000n === 0n) return `${nanos / 1_000_000_000n}s`
  return nanos % 1_000_000n === 0n ? `${nanos / 1_000_000n}ms` : `${nanos}ns`
}

/** Without the first, whose height is always 0 and in no file. */
const heights = ({ activationHeights }: ChainParamsShape): ReadonlyArray<string> =>
  upgrades.slice(1).flatMap((name) => {
    const height = activationHeights[name]
    return height === undefined ? [] : [`${/\W/.test(name) ? quoted(name) : name} = ${height}`]
  })

/** What the key `network` is: a name, or a table that comes after the other keys. */
const network = (chain: ChainParamsShape): { readonly line: string; readonly table: ReadonlyArray<string> } => {
  if (chain === mainnet) return { line: 'network = "Mainnet"', table: [] }
  if (chain === testnet) return { line: 'network = "Testnet"', table: [] }
  if (chain === regtest) return { line: 'network = "Regtest"', table: [] }
  if (chain.kind === "regtest") {
    return {
      line: "",
      table: [
        "",
        "[network.network]",
        "regtest = true",
        "",
        "[network.network.params.activation_heights]",
        ...heights(chain)
      ]
    }
  }
  return {
    line: "",
    table: [
      "",
      "[network.network]",
      `network_name = ${quoted(chain.name)}`,
      `network_magic = [${chain.magic.join(", ")}]`,
      `genesis_hash = ${quoted(chain.genesisHash)}`,
      "",
      "[network.network.activation_heights]",
      ...heights(chain)
    ]
  }
}

/** A file that loads as these settings. What only a flag can say, peers and a user agent, is in none. */
export const toToml = (settings: Settings): string => {
  const { chain, externalAddress } = settings
  const { line, table } = network(chain)
  const { cacheDirectory } = settings
  /** With its zone, as it was given. */
  const written = (text: string): string =>
    text.replace(/^\[([^\]]+)\]/, (all, ip: string) => {
      const zone = settings.zones.get(ip)
      return zone === undefined ? all : `[${ip}%${zone}]`
    })
  return [
    "[network]",
    ...(line === "" ? [] : [line]),
    `listen_addr = ${quoted(written(PeerSocketAddress.format(settings.listenAddress)))}`,
    ...(externalAddress === undefined ? [] : [`external_addr = ${quoted(PeerSocketAddress.format(externalAddress))}`]),
    `initial_${chain.kind === "mainnet" ? "mainnet" : "testnet"}_peers = ${list(settings.seeds.map(written))}`,
    `cache_dir = ${cacheDirectory === undefined ? "false" : quoted(cacheDirectory)}`,
    `peerset_initial_target_size = ${settings.targetPeers}`,
    `crawl_new_peer_interval = ${quoted(time(settings.crawlInterval))}`,
    `max_connections_per_ip = ${settings.connectionsPerGroup}`,
    ...table,
    ...(settings.asmap === undefined ? [] : ["", "[network_effect]", `asmap = ${quoted(settings.asmap)}`]),
    ""
  ].join("\n")
}
