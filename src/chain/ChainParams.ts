/**
 * The chains we know, and the service that says which one a node is on.
 *
 * Pure data; protocol versions by height are in `ProtocolVersion.ts`.
 *
 * Source: zebra-chain parameters/network.rs, parameters/constants.rs and parameters/network_upgrade.rs; zebra-network
 * config.rs for the seeds; ZIP 200 and the deployment ZIPs for heights and branch ids.
 *
 * @module
 */
import { Context, Duration } from "effect"

/** Network upgrades in the order of their activation. */
export const upgrades = [
  "Genesis",
  "BeforeOverwinter",
  "Overwinter",
  "Sapling",
  "Blossom",
  "Heartwood",
  "Canopy",
  "NU5",
  "NU6",
  "NU6.1",
  "NU6.2",
  "NU6.3",
  "NU7"
] as const

/** A network upgrade by its name, in the order of activation. */
export type Upgrade = (typeof upgrades)[number]

/** Whether `upgrade` is `other` or came after it. */
export const isUpgradeAtLeast = (upgrade: Upgrade, other: Upgrade): boolean =>
  upgrades.indexOf(upgrade) >= upgrades.indexOf(other)

/**
 * The consensus branch id of each upgrade (ZIP 200); those before Overwinter have none. Shown as eight hexadecimal
 * digits, written little-endian in v5 and v6 transactions.
 */
export const branchIds: Readonly<Partial<Record<Upgrade, number>>> = {
  Overwinter: 0x5ba81b19,
  Sapling: 0x76b809bb,
  Blossom: 0x2bb40e60,
  Heartwood: 0xf5b9230b,
  Canopy: 0xe9ff75a6,
  NU5: 0xc2d6d0b4,
  NU6: 0xc8e71055,
  "NU6.1": 0x4dec4df0,
  "NU6.2": 0x5437f330,
  "NU6.3": 0x37a5165b,
  NU7: 0x77190ad9
}

const upgradesByBranchId = new Map(upgrades.map((upgrade) => [branchIds[upgrade], upgrade]))

/** The upgrade a branch id stands for; `undefined` for 0 and for ids we do not know. */
export const upgradeOfBranchId = (branchId: number): Upgrade | undefined => upgradesByBranchId.get(branchId)

/** `testnet` is the public Testnet or a custom one; only `custom` tells them apart. */
export type ChainKind = "mainnet" | "testnet" | "regtest"

/** What tells one chain from another, as far as the network is concerned. */
export interface ChainParamsShape {
  readonly kind: ChainKind
  /** As files and messages name it: `Mainnet`, `Testnet`, `Regtest` or a custom name. */
  readonly name: string
  /** A Testnet with parameters of its own. */
  readonly custom: boolean
  /** First four bytes of every message, in the order they travel. */
  readonly magic: readonly [number, number, number, number]
  /** TCP port a node listens on unless told otherwise. */
  readonly defaultPort: number
  /** `host:port` of the DNS seeds; none on Regtest. */
  readonly seeds: ReadonlyArray<string>
  /** Hash of the first block, display order. */
  readonly genesisHash: string
  /** Height at which each upgrade activates; absent ones never do. Several may share a height: the last one counts. */
  readonly activationHeights: Readonly<Partial<Record<Upgrade, number>>>
}

/** The chain a node is on. */
export class ChainParams extends Context.Service<ChainParams, ChainParamsShape>()("network-effect/chain/ChainParams") {}

/** The chain with the money. */
export const mainnet: ChainParamsShape = {
  kind: "mainnet",
  name: "Mainnet",
  custom: false,
  magic: [0x24, 0xe9, 0x27, 0x64],
  defaultPort: 8233,
  seeds: [
    "dnsseed.str4d.xyz:8233",
    "dnsseed.z.cash:8233",
    "mainnet.seeder.shieldedinfra.net:8233",
    "mainnet.seeder.zfnd.org:8233",
    "seeder.zec.rocks:8233"
  ],
  genesisHash: "00040fe8ec8471911baa1db1266ea15dd06b4a8a5c453883c000b031973dce08",
  activationHeights: {
    Genesis: 0,
    BeforeOverwinter: 1,
    Overwinter: 347_500,
    Sapling: 419_200,
    Blossom: 653_600,
    Heartwood: 903_000,
    Canopy: 1_046_400,
    NU5: 1_687_104,
    NU6: 2_726_400,
    "NU6.1": 3_146_400,
    "NU6.2": 3_364_600,
    "NU6.3": 3_428_143,
    NU7: 3_543_405
  }
}

/** The public Testnet. */
export const testnet: ChainParamsShape = {
  kind: "testnet",
  name: "Testnet",
  custom: false,
  magic: [0xfa, 0x1a, 0xf9, 0xbf],
  defaultPort: 18233,
  seeds: ["dnsseed.testnet.z.cash:18233", "seeder.testnet.zec.rocks:18233", "testnet.seeder.zfnd.org:18233"],
  genesisHash: "05a60a92d99d85997cce3b87616c089f6124d7342af37106edc76126334a2c38",
  activationHeights: {
    Genesis: 0,
    BeforeOverwinter: 1,
    Overwinter: 207_500,
    Sapling: 280_000,
    Blossom: 584_000,
    Heartwood: 903_800,
    Canopy: 1_028_500,
    NU5: 1_842_420,
    NU6: 2_976_000,
    "NU6.1": 3_536_500,
    "NU6.2": 4_052_000,
    "NU6.3": 4_134_000,
    NU7: 4_465_026
  }
}

/** A private chain. With nothing configured, Overwinter to Canopy activate at height 1 and nothing later does. */
export const regtest: ChainParamsShape = {
  kind: "regtest",
  name: "Regtest",
  custom: false,
  magic: [0xaa, 0xe8, 0x3f, 0x5f],
  defaultPort: 18233,
  seeds: [],
  genesisHash: "029f11d80ef9765602235e1bc9727e3eb6ba20839319f761fee920d63401e327",
  activationHeights: { Genesis: 0, BeforeOverwinter: 1, Overwinter: 1, Sapling: 1, Blossom: 1, Heartwood: 1, Canopy: 1 }
}

/** The upgrade in force at `height`: the latest one whose activation height is not above it. */
export const upgradeAt = (chain: ChainParamsShape, height: number): Upgrade => {
  let current: Upgrade = "Genesis"
  for (const upgrade of upgrades) {
    const activation = chain.activationHeights[upgrade]
    if (activation !== undefined && activation <= height) current = upgrade
  }
  return current
}

/**
 * Time between a block at `height` and the one before it that the chain aims at: 150 s, from Blossom on 75 s, from NU7
 * on 25 s. The first block of an upgrade has its spacing already.
 *
 * Source: ZIP 208, ZIP 218.
 */
export const targetSpacing = (chain: ChainParamsShape, height: number): Duration.Duration => {
  const upgrade = upgradeAt(chain, height)
  return Duration.seconds(isUpgradeAtLeast(upgrade, "NU7") ? 25 : isUpgradeAtLeast(upgrade, "Blossom") ? 75 : 150)
}
