/**
 * Settings that zebrad wrote or documented over the years still load (NB-10, `stored_configs_parsed_correctly`).
 *
 * Not the files, but what they say of the network: every form of the `[network]` section since the first public ones, and a
 * key of each other section and time. Source of the keys and values: Zebra, zebrad/tests/common/configs, by version.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Result } from "effect"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { load, type Settings } from "../../src/cli/SettingsFile.ts"

const loaded = (text: string): Settings => {
  const result = load({
    file: { name: "zebrad.toml", text },
    environment: {},
    flags: {},
    platform: { home: "/h", xdgCacheHome: undefined, os: "linux", cwd: "/c" }
  })
  if (Result.isFailure(result)) throw new Error(result.failure.message)
  return result.success
}

/** Peers of each time, as the files have them: the hosts that have gone are still valid names. */
const seeds = {
  oldMainnet: [
    "dnsseed.z.cash:8233",
    "dnsseed.str4d.xyz:8233",
    "mainnet.seeder.zfnd.org:8233",
    "mainnet.is.yolo.money:8233"
  ],
  oldTestnet: ["dnsseed.testnet.z.cash:18233", "testnet.seeder.zfnd.org:18233", "testnet.is.yolo.money:18233"],
  mainnet: [
    "dnsseed.str4d.xyz:8233",
    "dnsseed.z.cash:8233",
    "mainnet.seeder.shieldedinfra.net:8233",
    "mainnet.seeder.zfnd.org:8233",
    "seeder.zec.rocks:8233"
  ],
  testnet: ["dnsseed.testnet.z.cash:18233", "seeder.testnet.zec.rocks:18233", "testnet.seeder.zfnd.org:18233"]
} as const

const list = (values: ReadonlyArray<string>, quote: string) =>
  `[\n${values.map((value) => `    ${quote}${value}${quote},`).join("\n")}\n]`

interface Network {
  readonly keys: ReadonlyArray<string>
  readonly mainnet?: ReadonlyArray<string>
  readonly testnet?: ReadonlyArray<string>
  /** How strings were written: the first versions took TOML's other form. */
  readonly quote?: string
}

const network = ({ keys, mainnet = seeds.oldMainnet, quote = '"', testnet = seeds.oldTestnet }: Network) =>
  [
    "[network]",
    ...keys,
    `crawl_new_peer_interval = ${quote}1m 1s${quote}`,
    `initial_mainnet_peers = ${list(mainnet, quote)}`,
    `initial_testnet_peers = ${list(testnet, quote)}`,
    "peerset_initial_target_size = 25"
  ].join("\n")

/** A Testnet of its own, as files since 1.7 show it. */
const configuredTestnet = (heights: ReadonlyArray<string>) => `
[network.testnet_parameters]
network_name = "ConfiguredTestnet_1"
network_magic = [0, 0, 0, 0]
slow_start_interval = 0
target_difficulty_limit = "${"0f".repeat(32)}"
disable_pow = true
genesis_hash = "00040fe8ec8471911baa1db1266ea15dd06b4a8a5c453883c000b031973dce08"

[network.testnet_parameters.activation_heights]
BeforeOverwinter = 1
Overwinter = 1
Sapling = 1
Blossom = 1
Heartwood = 1
Canopy = 1
NU5 = 1_842_420
${heights.join("\n")}
`

const legacyStreams = `
[network.testnet_parameters.pre_nu6_funding_streams.height_range]
start = 0
end = 100

[[network.testnet_parameters.post_nu6_funding_streams.recipients]]
receiver = "ECC"
numerator = 7
addresses = ["t26ovBdKAJLtrvBsE2QGF4nqBkEuptuPFZz", "t26ovBdKAJLtrvBsE2QGF4nqBkEuptuPFZz"]
`

const newStreams = `
[[network.testnet_parameters.funding_streams]]

[network.testnet_parameters.funding_streams.height_range]
start = 1028500
end = 2796000

[[network.testnet_parameters.funding_streams.recipients]]
receiver = "Deferred"
numerator = 12
addresses = []
`

/** What stood around the network section, by time; none of it is ours. */
const around = {
  first:
    "[consensus]\ncheckpoint_sync = true\ndebug_skip_parameter_preload = false\n\n[sync]\nlookahead_limit = 1200\nmax_concurrent_block_requests = 40\n",
  one: "[mempool]\neviction_memory_time = '1h'\ntx_cost_limit = 80000000\n\n[rpc]\ndebug_force_finished_sync = false\nparallel_cpu_threads = 1\n",
  miner: "[mining]\nminer_address = 't27eWDgjFYJGVXmzrXeVjnb5J3uXDM9xH9v'\ninternal_miner = true\n\n[metrics]\n",
  two: '[rpc]\ncookie_dir = "cache_dir"\nenable_cookie_auth = true\n\n[tracing]\nbuffer_limit = 128000\nuse_journald = false\n',
  health:
    '[health]\nenforce_on_test_networks = false\nmin_connected_peers = 1\nready_max_tip_age = "5m"\n\n[state]\ncache_dir = "cache_dir"\nephemeral = false\n',
  second:
    "[network.zakura]\nbootstrap_peers = []\nmax_connections = 32\n\n[network.zakura.block_sync.peer_limits]\ninbound_queue_depth = 128\n",
  six: '[notify]\n\n[zcashd_compat]\nblock_gossip_peer_ips = []\nenabled = false\nrestart_backoff = "2s"\nzcashd_extra_args = []\n'
} as const

const onMainnet = (listen: string) => [`listen_addr = "${listen}"`, 'network = "Mainnet"']
const withCache = ["cache_dir = true", "max_connections_per_ip = 1"]

const shown = (settings: Settings) => ({
  chain: settings.chain.name,
  listen: PeerSocketAddress.format(settings.listenAddress),
  cache: settings.cacheDirectory,
  seeds: settings.seeds,
  perGroup: settings.connectionsPerGroup,
  target: settings.targetPeers,
  crawl: Duration.toSeconds(settings.crawlInterval)
})

const common = { cache: "/h/.cache/zebra", perGroup: 1, target: 25, crawl: 61 }

const cases: ReadonlyArray<readonly [since: string, text: string, expected: ReturnType<typeof shown>]> = [
  [
    "1.0.0-beta.12",
    `${around.first}\n${network({ keys: ["listen_addr = '0.0.0.0:8233'", "network = 'Mainnet'"], quote: "'" })}\n\n${around.one}`,
    { ...common, chain: "Mainnet", listen: "0.0.0.0:8233", seeds: seeds.oldMainnet }
  ],
  [
    "1.0.0-rc.9, cache disabled",
    "[network]\ncache_dir = false\ninitial_mainnet_peers = []\ninitial_testnet_peers = []\n",
    { ...common, chain: "Mainnet", listen: "[::]:8233", cache: undefined, seeds: [] }
  ],
  [
    "1.0.0-rc.9, a cache of its own, and an IPv6 address without brackets",
    '[network]\ncache_dir = "/var/cache/x"\ninitial_mainnet_peers = [\n    "192.0.2.0:8233",\n    "2001:db8::0:8233",\n]\ninitial_testnet_peers = ["2001:db8::1:18233"]\n',
    {
      ...common,
      chain: "Mainnet",
      listen: "[::]:8233",
      cache: "/var/cache/x",
      seeds: ["192.0.2.0:8233", "2001:db8::0:8233"]
    }
  ],
  [
    "1.0.1",
    `${network({ keys: ["cache_dir = true", ...onMainnet("0.0.0.0:8233")] })}\n\n${around.one}`,
    { ...common, chain: "Mainnet", listen: "0.0.0.0:8233", seeds: seeds.oldMainnet }
  ],
  [
    "1.4.0",
    network({ keys: [...withCache, ...onMainnet("0.0.0.0:8233")] }),
    { ...common, chain: "Mainnet", listen: "0.0.0.0:8233", seeds: seeds.oldMainnet }
  ],
  [
    "1.7.0, Regtest with parameters that do not count there",
    `${network({ keys: [...withCache, 'listen_addr = "0.0.0.0:8233"', 'network = "Regtest"'] })}\n${configuredTestnet([])}`,
    { ...common, chain: "Regtest", listen: "0.0.0.0:8233", seeds: seeds.oldTestnet }
  ],
  [
    "1.9.0, a Testnet of its own with funding streams",
    `${around.miner}\n${network({ keys: [...withCache, 'listen_addr = "0.0.0.0:8233"', 'network = "Testnet"'], testnet: [] })}\n${configuredTestnet(["NU6 = 2_000_000", "NU7 = 2_000_001"])}${legacyStreams}`,
    { ...common, chain: "ConfiguredTestnet_1", listen: "0.0.0.0:8233", seeds: [] }
  ],
  [
    "1.9.0, the public Testnet with an internal miner",
    `${around.miner}\n${network({ keys: [...withCache, 'listen_addr = "0.0.0.0:8233"', 'network = "Testnet"'] })}`,
    { ...common, chain: "Testnet", listen: "0.0.0.0:8233", seeds: seeds.oldTestnet }
  ],
  [
    "2.4.0",
    `${around.two}\n${network({ keys: [...withCache, ...onMainnet("[::]:8233")] })}`,
    { ...common, chain: "Mainnet", listen: "[::]:8233", seeds: seeds.oldMainnet }
  ],
  [
    "2.5.0, both kinds of funding streams, and the last upgrades",
    `${network({ keys: [...withCache, 'listen_addr = "0.0.0.0:8233"', 'network = "Testnet"'], testnet: [] })}\n${configuredTestnet(["NU6 = 2_000_000", '"NU6.1" = 2_000_001', "NU7 = 2_000_002"])}${legacyStreams}${newStreams}`,
    { ...common, chain: "ConfiguredTestnet_1", listen: "0.0.0.0:8233", seeds: [] }
  ],
  [
    "2.6.0, the public Testnet with checkpoints",
    `${network({ keys: [...withCache, 'listen_addr = "[::]:18233"', 'network = "Testnet"'] })}\n\n[network.testnet_parameters]\ncheckpoints = true\n`,
    { ...common, chain: "Testnet", listen: "[::]:18233", seeds: seeds.oldTestnet }
  ],
  [
    "3.1.1",
    `${around.health}\n${network({ keys: [...withCache, ...onMainnet("[::]:8233")], mainnet: seeds.oldMainnet.slice(0, 3), testnet: seeds.oldTestnet.slice(0, 2) })}`,
    { ...common, chain: "Mainnet", listen: "[::]:8233", seeds: seeds.oldMainnet.slice(0, 3) }
  ],
  [
    "4.5.0, with a second way to talk to peers",
    `${around.health}\n${network({ keys: [...withCache, "legacy_p2p = true", "v2_p2p = true", ...onMainnet("[::]:8233")], mainnet: seeds.mainnet.slice(0, 4), testnet: seeds.oldTestnet.slice(0, 2) })}\n\n${around.second}`,
    { ...common, chain: "Mainnet", listen: "[::]:8233", seeds: seeds.mainnet.slice(0, 4) }
  ],
  [
    "5.2.0",
    `${around.health}\n${network({ keys: [...withCache, ...onMainnet("[::]:8233")], mainnet: seeds.mainnet.slice(0, 4), testnet: seeds.oldTestnet.slice(0, 2) })}\n\n${around.two}`,
    { ...common, chain: "Mainnet", listen: "[::]:8233", seeds: seeds.mainnet.slice(0, 4) }
  ],
  [
    "6.3.0",
    `${around.health}\n${network({ keys: [...withCache, ...onMainnet("[::]:8233")], mainnet: seeds.mainnet, testnet: seeds.testnet })}\n\n${around.six}`,
    { ...common, chain: "Mainnet", listen: "[::]:8233", seeds: seeds.mainnet }
  ]
]

describe("a settings file of an older zebrad still loads (NB-10)", () => {
  for (const [since, text, expected] of cases) {
    it(`as it was in ${since}`, () => {
      assert.deepStrictEqual(shown(loaded(text)), expected)
    })
  }

  it("and says what is not used of it", () => {
    const { notes, warnings } = loaded(
      "[network]\nlegacy_p2p = false\nv2_p2p = true\n\n[network.zakura]\nmax_connections = 32\n"
    )
    assert.deepStrictEqual(notes, [
      "zebrad.toml line 2: legacy_p2p is not used",
      "zebrad.toml line 3: v2_p2p is not used",
      "zebrad.toml line 5: zakura is not used"
    ])
    assert.deepStrictEqual(warnings, [
      "zebrad.toml line 2: legacy_p2p = false is not followed, for this node knows no other way to talk to peers"
    ])
  })
})
