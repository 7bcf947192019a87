import { assert, describe, it } from "@effect/vitest"
import { Duration, Result } from "effect"
import { fileStem } from "../../src/addresses/AddressBookFile.ts"
import { mainnet, regtest, testnet, upgradeAt } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { minimumVersion } from "../../src/chain/ProtocolVersion.ts"
import { defaultFile } from "../../src/cli/config.ts"
import { type Flags, load, parseDuration, type Settings } from "../../src/cli/SettingsFile.ts"
import { toToml } from "../../src/cli/SettingsWriter.ts"
import { defaults, inboundLimit, outboundLimit } from "../../src/Policy.ts"

const platform = { home: "/h", xdgCacheHome: undefined, os: "linux", cwd: "/c" }

const loaded = (text: string, environment: Record<string, string> = {}, flags: Flags = {}) =>
  load({ file: { name: "zebrad.toml", text }, environment, flags, platform })

const settings = (text: string, environment: Record<string, string> = {}, flags: Flags = {}): Settings => {
  const result = loaded(text, environment, flags)
  if (Result.isFailure(result)) throw new Error(result.failure.message)
  return result.success
}

const problem = (text: string, environment: Record<string, string> = {}, flags: Flags = {}): string => {
  const result = loaded(text, environment, flags)
  return Result.isFailure(result) ? result.failure.message : "it is fine"
}

const format = PeerSocketAddress.format

/** A Testnet of its own, with no peers. */
const custom = (parameters: string, peers = "[]", magic = "[0, 0, 0, 0]") =>
  `[network]\nnetwork = "Testnet"\ninitial_testnet_peers = ${peers}\n` +
  `[network.testnet_parameters]\ncheckpoints = true\n${magic === "" ? "" : `network_magic = ${magic}\n`}${parameters}`

describe("a settings file", () => {
  it("says where to listen (CF-1, parse_config_listen_addr)", () => {
    for (const [network, given, expected] of [
      ["Mainnet", "0.0.0.0", "0.0.0.0:8233"],
      ["Mainnet", "0.0.0.0:9999", "0.0.0.0:9999"],
      ["Testnet", "0.0.0.0", "0.0.0.0:18233"],
      ["Testnet", "0.0.0.0:8233", "0.0.0.0:8233"],
      ["Mainnet", "[::]", "[::]:8233"],
      ["Mainnet", "[::]:9999", "[::]:9999"],
      ["Testnet", "[::]", "[::]:18233"],
      ["Testnet", "[::]:8233", "[::]:8233"],
      ["Mainnet", "[::1]:8233", "[::1]:8233"],
      ["Mainnet", "[2001:db8::1]:8233", "[2001:db8::1]:8233"]
    ]) {
      const { listenAddress } = settings(`[network]\nnetwork = "${network}"\nlisten_addr = "${given}"\n`)
      assert.strictEqual(format(listenAddress), expected)
    }
  })

  it("knows an IPv4 address by its IPv6 spelling, wherever one stands (advisory A1)", () => {
    const { externalAddress, listenAddress } = settings(
      '[network]\nlisten_addr = "[::ffff:127.0.0.2]:8233"\nexternal_addr = "[::ffff:192.0.2.1]"\n'
    )
    assert.deepStrictEqual(
      [format(listenAddress), externalAddress && format(externalAddress)],
      ["127.0.0.2:8233", "192.0.2.1:8233"]
    )
    const flags = { listen: "::ffff:127.0.0.3", peers: ["[::ffff:192.0.2.2]:8233"] }
    const fromFlags = settings("", { ZEBRA_NETWORK__EXTERNAL_ADDR: "[::ffff:192.0.2.3]:1" }, flags)
    assert.strictEqual(format(fromFlags.listenAddress), "127.0.0.3:8233")
    assert.deepStrictEqual(fromFlags.peers?.map(format), ["192.0.2.2:8233"])
    assert.strictEqual(fromFlags.externalAddress && format(fromFlags.externalAddress), "192.0.2.3:1")
  })

  it("says of addresses where nobody can be dialled that they are none of use", () => {
    const text =
      '[network]\nexternal_addr = "192.0.2.1:0"\ninitial_mainnet_peers = ["0.0.0.0:8233", "192.0.2.2:8233"]\n'
    assert.deepStrictEqual(settings(text).warnings, [
      "zebrad.toml line 3: 0.0.0.0:8233 in initial_mainnet_peers cannot be dialled, for the IP is unspecified",
      "zebrad.toml line 2: nobody can dial external_addr 192.0.2.1:0, for the port is 0"
    ])
  })

  it("leaves room for others (CF-2), and listens on [::]:8233 unless it says otherwise (CF-4)", () => {
    assert.isAbove(defaults.inboundMultiplier, defaults.outboundMultiplier)
    assert.isAtLeast(inboundLimit(defaults) - outboundLimit(defaults), 50)
    assert.strictEqual(format(settings("").listenAddress), "[::]:8233")
  })

  it("names a map of autonomous systems in a section of our own; a variable comes before it, and a flag before both", () => {
    const file = "[network_effect]\nasmap = '/file'\n"
    const variable = { ZEBRA_NETWORK_EFFECT__ASMAP: "/variable" }
    assert.strictEqual(settings(file).asmap, "/file")
    assert.strictEqual(settings(file, variable).asmap, "/variable")
    assert.strictEqual(settings(file, variable, { asmap: "/flag" }).asmap, "/flag")
    assert.isUndefined(settings("").asmap)
  })

  it("of every default is the same as none, and as no file at all", () => {
    assert.deepStrictEqual(settings(defaultFile), settings(""))
    const uncommented = defaultFile
      .replace(/^# (?=[a-z_]+ =|  +"|\]|\[)/gm, "")
      .replace(/^(external_addr|asmap).*$/gm, "")
    assert.deepStrictEqual(settings(uncommented), settings(""))
  })

  it("written by zebrad loads unchanged (NB-10)", () => {
    const text = `
[consensus]
checkpoint_sync = true

[mempool]
eviction_memory_time = "1h"
tx_cost_limit = 80000000

[metrics]

[mining]
internal_miner = false

[network]
cache_dir = true
crawl_new_peer_interval = "1m 1s"
initial_mainnet_peers = [
    "dnsseed.str4d.xyz:8233",
    "dnsseed.z.cash:8233",
    "mainnet.seeder.shieldedinfra.net:8233",
    "mainnet.seeder.zfnd.org:8233",
    "seeder.zec.rocks:8233",
]
initial_testnet_peers = [
    "dnsseed.testnet.z.cash:18233",
    "seeder.testnet.zec.rocks:18233",
    "testnet.seeder.zfnd.org:18233",
]
listen_addr = "[::]:8233"
max_connections_per_ip = 1
network = "Mainnet"
peerset_initial_target_size = 25

[rpc]
cookie_dir = "/var/lib/zebra"
debug_force_finished_sync = false
enable_cookie_auth = true
parallel_cpu_threads = 0

[state]
cache_dir = "/var/lib/zebra"
delete_old_database = true
ephemeral = false

[sync]
checkpoint_verify_concurrency_limit = 1000
download_concurrency_limit = 50

[tracing]
buffer_limit = 128000
use_color = true
`
    const { notes, ...used } = settings(text)
    const { notes: none, ...defaults } = settings("")
    assert.deepStrictEqual(used, defaults)
    assert.isEmpty(none)
    // Every section that is there for others, by its line.
    assert.strictEqual(notes.length, 8)
    assert.strictEqual(notes[0], "zebrad.toml line 2: [consensus] is for other parts of Zebra, and is not used")
    assert.strictEqual(notes[7], "zebrad.toml line 49: [tracing] is for other parts of Zebra, and is not used")
  })

  it("gives way to the environment, and that to flags (NB-10)", () => {
    const text = '[network]\nlisten_addr = "1.1.1.1:1"\npeerset_initial_target_size = 7\n'
    const environment = {
      ZEBRA_NETWORK__LISTEN_ADDR: "2.2.2.2:2",
      ZEBRA_NETWORK__INITIAL_MAINNET_PEERS: "a.example:1, b.example:2",
      ZEBRA_NETWORK__CACHE_DIR: "false",
      ZEBRA_RPC__LISTEN_ADDR: "3.3.3.3:3",
      HOME: "/elsewhere"
    }
    const fromEnvironment = settings(text, environment)
    assert.strictEqual(format(fromEnvironment.listenAddress), "2.2.2.2:2")
    assert.deepStrictEqual(fromEnvironment.seeds, ["a.example:1", "b.example:2"])
    assert.isUndefined(fromEnvironment.cacheDirectory)
    assert.strictEqual(fromEnvironment.targetPeers, 7)
    const flags = { listen: "4.4.4.4:4", network: "regtest", peers: ["5.5.5.5:5"], userAgent: "/me/" }
    const fromFlags = settings(text, environment, flags)
    assert.strictEqual(format(fromFlags.listenAddress), "4.4.4.4:4")
    assert.strictEqual(fromFlags.chain, regtest)
    assert.deepStrictEqual(fromFlags.peers?.map(format), ["5.5.5.5:5"])
    assert.strictEqual(fromFlags.userAgent, "/me/")
  })

  it("takes a truth in any case and a number with its sign from the environment", () => {
    const network = "ZEBRA_NETWORK__"
    const given = settings('[network]\ncache_dir = "/x"\n', {
      [`${network}CACHE_DIR`]: "True",
      [`${network}PEERSET_INITIAL_TARGET_SIZE`]: "+9"
    })
    assert.deepStrictEqual([given.cacheDirectory, given.targetPeers], ["/h/.cache/zebra", 9])
  })

  it("may hold what is old or makes no sense, with a warning", () => {
    const text = "[network]\nnew_peer_interval = '2m'\npeerset_initial_target_size = 0\nmax_connections_per_ip = 0\n"
    const { connectionsPerGroup, crawlInterval, targetPeers, warnings } = settings(text)
    assert.deepStrictEqual([Duration.toSeconds(crawlInterval), targetPeers, connectionsPerGroup], [120, 25, 1])
    assert.deepStrictEqual(warnings, [
      "zebrad.toml line 2: new_peer_interval is now called crawl_new_peer_interval",
      "zebrad.toml line 3: peerset_initial_target_size = 0 makes no sense, 25 is used",
      "zebrad.toml line 4: max_connections_per_ip = 0 makes no sense, 1 is used"
    ])
  })

  it("says where the cache is", () => {
    assert.strictEqual(settings("").cacheDirectory, "/h/.cache/zebra")
    assert.strictEqual(settings("[network]\ncache_dir = '/x'\n").cacheDirectory, "/x")
    assert.isUndefined(settings("[network]\ncache_dir = false\n").cacheDirectory)
  })

  it("has times as people write them", () => {
    for (const [text, seconds] of [
      ["61s", 61],
      ["1m 1s", 61],
      ["1m1s", 61],
      ["2 hours", 7200],
      ["1500ms", 1.5],
      ["5nsec 5nanos 990ns", 0.000_001],
      ["1usec 1us 1µs", 0.000_003],
      ["1millis 1msec 1ms", 0.003],
      ["1second 1seconds 1sec 1secs", 4],
      ["1minute 1minutes 1min 1mins 1m", 300],
      ["1hour 1hours 1hr 1hrs 1h", 18_000],
      ["1day 1days 1d", 259_200],
      ["1week 1weeks 1wk 1wks 1w", 3_024_000],
      // 30.44 and 365.25 days.
      ["1month 1months 1M", 7_890_048],
      ["1year 1years 1yr 1yrs 1y", 157_788_000]
    ] as const) {
      const duration = parseDuration(text)
      assert.strictEqual(duration === undefined ? undefined : Duration.toSeconds(duration), seconds, text)
    }
    for (const text of ["", "61", "s", "1 fortnight", "-1s", "1s x", "1H", "1.5h", "999999999999y"]) {
      assert.isUndefined(parseDuration(text), text)
    }
  })

  it("of Regtest says which of its peers are not dialled", () => {
    const peers = '["127.0.0.1:1", "[::1]:2", "localhost:3", "peer.example:4", "192.0.2.1:5"]'
    const regtestFile = `[network]\nnetwork = "Regtest"\ninitial_testnet_peers = ${peers}\n`
    assert.deepStrictEqual(settings(regtestFile).warnings, [
      "zebrad.toml line 3: on Regtest only peers of this machine are dialled, not peer.example:4, 192.0.2.1:5"
    ])
    assert.deepStrictEqual(settings('[network]\nnetwork = "Regtest"\n').warnings, [])
  })

  it("says which parameters are not used on Mainnet", () => {
    assert.deepStrictEqual(settings("[network]\n[network.testnet_parameters]\ndisable_pow = true\n").notes, [
      "zebrad.toml line 2: testnet_parameters is not used on Mainnet"
    ])
  })

  it("has peers by name and by IP", () => {
    const peers = ["a.example:1", "A-b_c.example.:65535", "192.0.2.1:3", "[2001:db8::1]:4", "localhost:5"]
    assert.deepStrictEqual(settings(`[network]\ninitial_mainnet_peers = ${JSON.stringify(peers)}\n`).seeds, peers)
  })
})

describe("a link-local address", () => {
  it("has its interface beside it, wherever it stands", () => {
    const { listenAddress, peers, seeds, zones } = settings(
      '[network]\nlisten_addr = "fe80::2%eth0"\ninitial_mainnet_peers = ["[FE80::3%eth1]:8233", "[fe80::4%7]:8233"]\n',
      {},
      { peers: ["[fe80::1%eth0.5]:1"] }
    )
    assert.strictEqual(format(listenAddress), "[fe80::2]:8233")
    assert.deepStrictEqual(peers?.map(format), ["[fe80::1]:1"])
    assert.deepStrictEqual(seeds, ["[FE80::3]:8233", "[fe80::4]:8233"])
    assert.deepStrictEqual(Object.fromEntries(zones), {
      "fe80::1": "eth0.5",
      "fe80::2": "eth0",
      "fe80::3": "eth1",
      "fe80::4": "7"
    })
  })

  it("is on one interface", () => {
    assert.strictEqual(
      problem("", {}, { peers: ["[fe80::1%eth0]:1", "[fe80::1%eth1]:1"] }),
      "--peer: fe80::1 is said to be on eth0 and on eth1: an address can be on one interface only"
    )
  })

  it("is none with a zone that is none", () => {
    for (const listen of ["[fe80::1%]:1", "[fe80::1%a b]:1", "[fe80::1%a%b]:1", "10.0.0.1%eth0", "fe80::1%eth0:1"]) {
      assert.strictEqual(
        problem("", {}, { listen }),
        `--listen ${listen} is not an address: say ip, ip:port or [ip6]:port`
      )
    }
  })
})

describe("a Testnet of one's own", () => {
  it("loads with a magic of its own (CF-3, CF-5, CF-6)", () => {
    for (const parameters of [
      "disable_pow = true",
      "funding_streams = [{ height_range = { start = 1, end = 2 } }]",
      "temporary_orchard_disabling_soft_fork_height = 2_000_000"
    ]) {
      const { chain } = settings(custom(parameters))
      assert.deepStrictEqual([chain.custom, chain.name, chain.kind], [true, "UnknownTestnet", "testnet"])
      assert.deepStrictEqual(chain.magic, [0, 0, 0, 0])
    }
  })

  it("that forbids unshielded coinbase spends is an error, for that is Regtest's (CF-7, CF-8)", () => {
    const key = "should_allow_unshielded_coinbase_spends = false"
    assert.strictEqual(
      settings(`[network]\nnetwork = "Regtest"\n[network.testnet_parameters]\n${key}\n`).chain,
      regtest
    )
    assert.match(
      problem(custom(key)),
      /^zebrad.toml line 7: should_allow_unshielded_coinbase_spends is for Regtest only/
    )
  })

  it("without any change is the public one (CF-9, CF-13)", () => {
    assert.strictEqual(settings(custom("", "[]", "")).chain, testnet)
    assert.strictEqual(settings(custom("initial_nsm_value_balance = 55_768_414_957", "[]", "")).chain, testnet)
    assert.strictEqual(settings(custom("funding_streams = []")).chain.custom, true)
    const renamed = settings(custom("network_name = 'MyTestnet'", "[]", "")).chain
    assert.deepStrictEqual([renamed.custom, renamed.name, renamed.magic], [true, "MyTestnet", testnet.magic])
    assert.match(problem(custom("initial_nsm_value_balance = 0", "[]", "")), /not those of the public Testnet/)
    assert.isTrue(settings(custom("initial_nsm_value_balance = 55_768_414_957")).chain.custom)
  })

  it("of Regtest may have all upgrades at one height (CF-11)", () => {
    const { chain } = settings(
      '[network]\nnetwork = "Regtest"\n[network.testnet_parameters.activation_heights]\nOverwinter = 10\nNU7 = 10\n'
    )
    assert.deepStrictEqual([upgradeAt(chain, 9), upgradeAt(chain, 10)], ["Genesis", "NU7"])
    assert.strictEqual(minimumVersion(chain, 10), 170_180)
  })

  it("of Regtest may say when money is issued again (CF-12)", () => {
    const with_ = (line: string) => `[network.network]\nregtest = true\n[network.network.params]\n${line}\n`
    assert.strictEqual(settings(with_("nsm_reissuance_height = 12")).chain.kind, "regtest")
    assert.match(
      problem(with_("zip234_deployment_height = 1")),
      /^zebrad.toml line 4: unknown network parameter zip234_deployment_height/
    )
  })

  it("that is not compatible needs its own magic and its own peers (CF-14, CF-15, CF-20)", () => {
    const orchard = "temporary_orchard_disabling_soft_fork_height = 2_000_000"
    const seed = '["DNSSEED.TESTNET.Z.CASH:18233"]'
    const publicMagic = "[0xfa, 0x1a, 0xf9, 0xbf]"
    for (const peers of [seed, "[]"]) {
      for (const magic of ["", publicMagic]) {
        assert.match(problem(custom(orchard, peers, magic)), /for the public Testnet take the parameters out/)
      }
    }
    assert.isTrue(settings(custom(orchard, '["127.0.0.1:18233"]')).chain.custom)
    assert.strictEqual(settings(custom("", seed, publicMagic)).chain, testnet)
    for (const alias of ["DNSSEED.TESTNET.Z.CASH:18233", "dnsseed.testnet.z.cash.:18233", "DNSSEED.Z.CASH...:8233"]) {
      assert.match(problem(custom("disable_pow = true", `["${alias}"]`)), /is a seed of a public network/)
    }
    const withoutNu7 = Object.entries(testnet.activationHeights)
      .filter(([name]) => name !== "Genesis" && name !== "NU7")
      .map(([name, height]) => `"${name}" = ${height}`)
      .join("\n")
    const heights = `[network.testnet_parameters.activation_heights]\n${withoutNu7}`
    assert.match(problem(custom(heights, "[]", "")), /not those of the public Testnet/)
    assert.isTrue(settings(custom(heights)).chain.custom)
  })

  it("takes funding streams in every form, and does not read them (CF-16, CF-18, CF-19)", () => {
    for (const parameters of [
      "pre_nu6_funding_streams = {}\npost_nu6_funding_streams = {}",
      "post_nu6_funding_streams = {}",
      "extend_funding_stream_addresses_as_required = true\nfunding_streams = [{ height_range = { start = 5, end = 5 } }]"
    ]) {
      assert.isTrue(settings(custom(parameters)).chain.custom)
    }
  })

  it("has files of its own (CF-21)", () => {
    const stems = ["[0, 0, 0, 0]", "[1, 1, 1, 1]"].map((magic) => fileStem(settings(custom("", "[]", magic)).chain))
    assert.deepStrictEqual(stems, ["unknowntestnet-00000000", "unknowntestnet-01010101"])
    assert.deepStrictEqual([mainnet, testnet, regtest].map(fileStem), ["mainnet", "testnet", "regtest"])
  })

  it("of Regtest says what it ignores", () => {
    const text =
      '[network]\nnetwork = "Regtest"\n[network.testnet_parameters]\ndisable_pow = true\nnetwork_name = "X"\n'
    assert.deepStrictEqual(settings(text).warnings, [
      "on Regtest these settings are ignored: network_name, disable_pow"
    ])
  })
})

describe("settings that are written", () => {
  const heights = (network: string) =>
    `[network]\nnetwork = "${network}"\n[network.testnet_parameters.activation_heights]\n`
  for (const [name, text] of [
    ["the defaults", ""],
    ["of the public Testnet (CF-13)", '[network]\nnetwork = "Testnet"\n'],
    ["of Regtest", '[network]\nnetwork = "Regtest"\n'],
    ["of a Testnet with a magic of its own and no seeds (CF-3)", custom("disable_pow = true")],
    ["of a Testnet with funding streams of its own (CF-5, CF-9)", custom("funding_streams = []")],
    [
      "of a Testnet with a soft fork of its own (CF-6)",
      custom("temporary_orchard_disabling_soft_fork_height = 2_000_000")
    ],
    ["of a Testnet with a name of its own (CF-13)", custom("network_name = 'MyTestnet'", "[]", "")],
    [
      "of a Testnet with heights and a first block of its own",
      custom(
        `genesis_hash = "${"a".repeat(64)}"\n[network.testnet_parameters.activation_heights]\nOverwinter = 5\nNU5 = 7\n`
      )
    ],
    [
      "of Regtest that forbids unshielded spends of coinbases (CF-7)",
      '[network]\nnetwork = "Regtest"\n[network.testnet_parameters]\nshould_allow_unshielded_coinbase_spends = false\n'
    ],
    ["of Regtest with upgrades at one height (CF-11)", `${heights("Regtest")}Overwinter = 10\nNU7 = 10\n`],
    ["of Regtest with an upgrade before the first", `${heights("Regtest")}BeforeOverwinter = 2\nCanopy = 4\n`],
    [
      "of everything else",
      `[network]
listen_addr = "[2001:db8::1]:1"
external_addr = "192.0.2.1:2"
initial_mainnet_peers = ["a.example:3", "[::1]:4"]
cache_dir = '/with "quotes", \\ and ü'
peerset_initial_target_size = 7
crawl_new_peer_interval = "1m 500ms"
max_connections_per_ip = 3
`
    ],
    ["of a map of autonomous systems", "[network_effect]\nasmap = '/maps/with \"quotes\"'\n"],
    [
      "of link-local addresses",
      `[network]
listen_addr = "[fe80::2%eth0]:1"
initial_mainnet_peers = ["[fe80::1%3]:4", "a.example:3"]
`
    ],
    [
      "of a time of nanoseconds, and nothing on disk",
      "[network]\ncrawl_new_peer_interval = '1500us'\ncache_dir = false\n"
    ]
  ] as const) {
    it(`load as they were: ${name}`, () => {
      const { notes: _, warnings: __, ...before } = settings(text)
      const written = toToml(settings(text))
      const { notes, warnings, ...after } = settings(written)
      assert.deepStrictEqual(after, before, written)
      assert.deepStrictEqual([notes, warnings], [[], []])
      assert.strictEqual(toToml(settings(written)), written)
    })
  }

  it("say on Regtest when nothing has begun (CF-11)", () => {
    const { chain } = settings(toToml(settings(`${heights("Regtest")}Overwinter = 10\nNU7 = 10\n`)))
    assert.deepStrictEqual([upgradeAt(chain, 9), upgradeAt(chain, 10)], ["Genesis", "NU7"])
  })
})

describe("a broken settings file is told what to change, and where", () => {
  const params = (line: string) => custom(line)
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["[network\n", "zebrad.toml is not valid TOML: "],
    ["[netwrok]\n", "zebrad.toml line 1: unknown section netwrok: did you mean network?"],
    ["network = 1\n", "zebrad.toml line 1: network has to be a section: [network]"],
    [
      "[network]\nlisten_adr = ''\n",
      "zebrad.toml line 2: unknown key listen_adr in [network]: did you mean listen_addr?"
    ],
    ["[network]\nfoo = 1\n", "zebrad.toml line 2: unknown key foo in [network]"],
    ["[network]\nlisten_addr = 8233\n", "zebrad.toml line 2: listen_addr has to be a text in quotes"],
    [
      "[network]\n\nlisten_addr = 'example.com:1'\n",
      "zebrad.toml line 3: listen_addr example.com:1 is not an address: say ip, ip:port or [ip6]:port"
    ],
    [
      "[network]\nexternal_addr = '1.2.3'\n",
      "zebrad.toml line 2: external_addr 1.2.3 is not an address: say ip, ip:port or [ip6]:port"
    ],
    [
      "[network]\nnetwork = 'mainnet'\n",
      'zebrad.toml line 2: network "mainnet" is none of Mainnet, Testnet, Regtest: did you mean Mainnet?'
    ],
    [
      "[network]\ninitial_mainnet_peers = 'a'\n",
      "zebrad.toml line 2: a in initial_mainnet_peers needs a host and a port: say host:port"
    ],
    [
      "[network]\ninitial_mainnet_peers = [1]\n",
      "zebrad.toml line 2: initial_mainnet_peers has to be a list of texts in quotes"
    ],
    [
      "[network]\ninitial_testnet_peers = ['a:0']\n",
      "zebrad.toml line 2: a:0 in initial_testnet_peers needs a host and a port: say host:port"
    ],
    ...(
      [
        [
          "http://seed.example:18233",
          "http://seed.example:18233 in initial_testnet_peers is a URL: say host:port, without http://"
        ],
        ["999.0.0.1:18233", "999.0.0.1 in initial_testnet_peers is neither a name nor an IP: say "],
        ["-:18233", "- in initial_testnet_peers is neither a name nor an IP: say "],
        ["a..b:18233", "a..b in initial_testnet_peers is neither a name nor an IP: say "],
        ["a:1 b:2", "a:1 b:2 in initial_testnet_peers has a blank: put a comma between peers"],
        [
          "[2001:db8::1%eth0]:18233",
          "[2001:db8::1%eth0]:18233 has a zone, and only link-local addresses (fe80::) have one: leave out %eth0"
        ],
        ["a:65536", "a:65536 in initial_testnet_peers needs a host and a port: say host:port"]
      ] as const
    ).map(
      ([peer, sentence]) =>
        [`[network]\ninitial_testnet_peers = ["${peer}"]\n`, `zebrad.toml line 2: ${sentence}`] as const
    ),
    ["[network_effect]\nasmap = 3\n", "zebrad.toml line 2: asmap has to be a file in quotes"],
    ["[network_effect]\nasmap = ''\n", "zebrad.toml line 2: asmap has to be a file in quotes"],
    [
      "[network_effect]\nasmpa = 'x'\n",
      "zebrad.toml line 2: unknown key asmpa in [network_effect]: did you mean asmap?"
    ],
    ["[network]\nasmap = 'x'\n", "zebrad.toml line 2: unknown key asmap in [network]"],
    ["[network]\ncache_dir = 3\n", "zebrad.toml line 2: cache_dir has to be true, false or a directory in quotes"],
    [
      "[network]\npeerset_initial_target_size = 2.5\n",
      "zebrad.toml line 2: peerset_initial_target_size has to be a whole number"
    ],
    [
      "[network]\nmax_connections_per_ip = '1'\n",
      "zebrad.toml line 2: max_connections_per_ip has to be a whole number"
    ],
    [
      "[network]\ncrawl_new_peer_interval = '61'\n",
      'zebrad.toml line 2: crawl_new_peer_interval "61" is not a time: say 61s or 1m 1s'
    ],
    ["[network]\ntestnet_parameters = 1\n", "zebrad.toml line 2: testnet_parameters has to be a table"],
    [
      params("network_name = 'Main net'"),
      "zebrad.toml line 7: network_name has to be at most 30 bytes of letters, digits and _"
    ],
    [params("network_name = 'REGTEST'"), "zebrad.toml line 7: the name REGTEST is taken: choose another"],
    [custom("", "[]", "[1, 2, 3]"), "zebrad.toml line 6: network_magic has to be four numbers from 0 to 255"],
    [custom("", "[]", "[0x24, 0xe9, 0x27, 0x64]"), "zebrad.toml line 6: this network_magic is that of Mainnet"],
    [params("genesis_hash = 'ab'"), "zebrad.toml line 7: genesis_hash has to be 64 hexadecimal digits"],
    [params("disable_pow = 1"), "zebrad.toml line 7: disable_pow has to be true or false"],
    [
      params("[network.testnet_parameters.activation_heights]\nNU5 = 5\nCanopy = 9"),
      "zebrad.toml line 8: NU5 at 5 comes before Canopy at 9: upgrades activate in their order"
    ],
    [
      params("[network.testnet_parameters.activation_heights]\nNU8 = 5"),
      "zebrad.toml line 8: NU8 is no upgrade: did you mean NU5?"
    ]
  ]
  for (const [text, sentence] of cases) {
    it(sentence, () => {
      const message = problem(text)
      assert.isTrue(message.startsWith(sentence), message)
      assert.notInclude(message, "\n")
    })
  }

  it("of everything at once, by line, and then of what is in no file", () => {
    const text = `[netwrok]
[network]
network = "Testnet"
max_connections_per_ip = "1"
listen_addr = 1
initial_testnet_peers = ["a", "http://b:1"]
crawl_new_peer_interval = "soon"
foo = 1
cache_dir = 3
[network.testnet_parameters]
network_name = "Main net"
genesis_hash = "ab"
moon = 1
[network.testnet_parameters.activation_heights]
NU8 = 5
NU5 = 0
`
    const found = problem(
      text,
      { ZEBRA_NETWORK__EXTERNAL_ADDR: "x", ZEBRA_RPC__PASSWORD: "x" },
      { peers: ["y"], userAgent: "z".repeat(257) }
    ).split("\n")
    assert.deepStrictEqual(
      found.map((message) => message.replace(/^zebrad\.toml line (\d+): .*$/, "$1").replace(/[:,. ].*$/, "")),
      [
        ["1", "4", "5", "6", "6", "7", "8", "9", "11", "12", "13", "15", "16"],
        ["ZEBRA_RPC__PASSWORD", "ZEBRA_NETWORK__EXTERNAL_ADDR", "--peer", "--user-agent"]
      ].flat()
    )
  })

  it("once, however often it is wrong there", () => {
    assert.strictEqual(
      problem('[network]\ninitial_testnet_peers = ["a", "a"]\n'),
      "zebrad.toml line 2: a in initial_testnet_peers needs a host and a port: say host:port"
    )
  })

  it("at the line of its own table, where others have keys of its name", () => {
    const wrong = "listen_addr has to be a text in quotes"
    assert.strictEqual(
      problem("[rpc]\nlisten_addr = 1\n[other.network]\nlisten_addr = 2\n[network]\nlisten_addr = 3\n"),
      `zebrad.toml line 3: unknown section other\nzebrad.toml line 6: ${wrong}`
    )
    assert.strictEqual(problem("\nnetwork.listen_addr = 3\n"), `zebrad.toml line 2: ${wrong}`)
    assert.strictEqual(problem("['network']\n\"listen_addr\" = 3\n"), `zebrad.toml line 2: ${wrong}`)
    // A table within a line stands where the line does.
    assert.strictEqual(problem("\nnetwork = { listen_addr = 3 }\n"), `zebrad.toml line 2: ${wrong}`)
  })

  it("in the environment too (NB-10)", () => {
    assert.strictEqual(
      problem("", { ZEBRA_NETWORK__PEERSET_INITIAL_TARGET_SIZE: "many" }),
      "ZEBRA_NETWORK__PEERSET_INITIAL_TARGET_SIZE: peerset_initial_target_size has to be a whole number"
    )
    // What reads as a number is one, with a point too.
    for (const number of ["1", "1.5", "-0.25"]) {
      assert.strictEqual(
        problem("", { ZEBRA_NETWORK__LISTEN_ADDR: number }),
        "ZEBRA_NETWORK__LISTEN_ADDR: listen_addr has to be a text in quotes"
      )
    }
    for (const end of ["PASSWORD", "secret", "API_TOKEN", "cookie", "PRIVATE_KEY"]) {
      assert.match(problem("", { [`ZEBRA_RPC__${end}`]: "x" }), /is a sensitive key/)
    }
  })
})
