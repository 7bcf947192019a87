/**
 * `network-effect config`: checks a settings file, or prints the one in force or one with every default.
 *
 * @module
 */
import { Console, Context, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { mainnet, testnet } from "../chain/ChainParams.ts"
import { readFile, shortName } from "./Files.ts"
import { explained, jsonFlag } from "./root.ts"
import * as SettingsFile from "./SettingsFile.ts"
import { toToml } from "./SettingsWriter.ts"
import { settingsFlags } from "./start.ts"

export const check = Command.make(
  "check",
  {
    file: Argument.File("file").pipe(Argument.withDescription("A settings file, in the form of a zebrad.toml")),
    json: jsonFlag
  },
  ({ file, json }) =>
    explained("")(
      Effect.gen(function* () {
        const name = yield* shortName(file)
        const text = yield* readFile(file, name)
        const settings = yield* Effect.fromResult(
          SettingsFile.load({
            file: { name, text },
            environment: {},
            flags: {},
            platform: { home: "~", xdgCacheHome: undefined, os: "linux", cwd: "." }
          })
        )
        if (json) {
          const { chain, notes, targetPeers, warnings } = settings
          const answer = { file: name, network: chain.name, targetPeers, notes: [...warnings, ...notes] }
          return yield* Console.log(JSON.stringify(answer))
        }
        for (const note of [...settings.warnings, ...settings.notes]) yield* Console.log(`note: ${note}`)
        yield* Console.log(`${name} is fine: ${settings.chain.name}, ${settings.targetPeers} initial peers`)
      })
    )
).pipe(
  Command.withDescription("Say that a settings file is fine, or all that is wrong with it, by line"),
  Command.withExamples([
    { command: "network-effect config check zebrad.toml", description: "Check a file before a start" }
  ])
)

const list = (seeds: ReadonlyArray<string>): string => seeds.map((seed) => `\n#     "${seed}",`).join("")

/** A file that changes nothing: every key with its default, commented. */
export const defaultFile = `# Settings of network-effect, in the form of a zebrad.toml: the [network] section is used, Zebra's other sections are
# accepted and left alone. Flags win over environment variables such as ZEBRA_NETWORK__LISTEN_ADDR, those over this file.

[network]

# Mainnet, Testnet or Regtest.
# network = "Mainnet"

# Where to listen: ip, ip:port or [ip6]:port. Port 0 takes a free one.
# listen_addr = "[::]:8233"

# Where others reach this node, when that is not where it listens.
# external_addr = "203.0.113.42:8233"

# Where the first addresses come from: host:port or ip:port.
# initial_mainnet_peers = [${list(mainnet.seeds)}
# ]
# initial_testnet_peers = [${list(testnet.seeds)}
# ]

# Where addresses and bans are kept: true for the cache directory of the system, false for nowhere, or a directory.
# cache_dir = true

# Connections this node makes at the start. It makes up to three times as many, and accepts up to five times as many.
# peerset_initial_target_size = 25

# Time between two rounds of looking for peers.
# crawl_new_peer_interval = "1m 1s"

# Connections with one IPv4 address or one IPv6 /64. More than 1 makes it easier to be surrounded by one attacker.
# max_connections_per_ip = 1

# What Zebra does not have, and zebrad refuses to read.
# [network_effect]

# A map of autonomous systems in Bitcoin Core's format: at most one outbound connection to each.
# asmap = "ip_asn.map"
`

export const printDefault = Command.make("default", { json: jsonFlag }, ({ json }) =>
  Console.log(json ? JSON.stringify({ toml: defaultFile }) : defaultFile.trimEnd())
).pipe(
  Command.withDescription("Print a settings file with every default, commented"),
  Command.withExamples([
    { command: "network-effect config default > zebrad.toml", description: "A file to begin with" }
  ])
)

/** What a node would be started with: from flags, the environment and the file of `--config`. */
export class InForce extends Context.Service<InForce, SettingsFile.Settings>()("network-effect/cli/config/InForce") {}

/** Needs `InForce`, which whoever composes the command provides. */
export const show = Command.make(
  "show",
  { ...settingsFlags, json: jsonFlag },
  Effect.fnUntraced(function* ({ json }) {
    const toml = toToml(yield* InForce)
    yield* Console.log(json ? JSON.stringify({ toml }) : toml.trimEnd())
  })
).pipe(
  Command.withDescription("Print the settings in force, as a file that loads as the same settings"),
  Command.withExamples([
    { command: "network-effect config show", description: "From the environment, and the defaults" },
    { command: "network-effect config show -c zebrad.toml --network testnet", description: "What a start would use" }
  ])
)

export const config = Command.make("config").pipe(
  Command.withDescription("Check a settings file, or print the one in force or one with every default"),
  Command.withExamples([
    { command: "network-effect config default > zebrad.toml", description: "A file to begin with" },
    { command: "network-effect config check zebrad.toml", description: "All that is wrong with it, by line" }
  ])
)
