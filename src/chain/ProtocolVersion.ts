/**
 * The protocol version we speak, and the oldest we accept at a height of the chain.
 *
 * Pure. To support a new network upgrade, add it to `ChainParams.upgrades` and to the table below.
 *
 * Source: zebra-network protocol/external/types.rs and constants.rs; ZIP 201, ZIP 204 and the deployment ZIPs.
 *
 * @module
 */
import { type ChainKind, type ChainParamsShape, type Upgrade, upgradeAt } from "./ChainParams.ts"

/**
 * What our `version` message says, on every network and at every height.
 *
 * Source: Zebra constants.rs, `CURRENT_NETWORK_PROTOCOL_VERSION`. From NU7 on, peers refuse whoever says less.
 */
export const ourProtocolVersion = 170_190

/**
 * The oldest version accepted at any height, also before the height is known.
 *
 * Source: Zebra constants.rs, `INITIAL_MIN_NETWORK_PROTOCOL_VERSION`, the version of NU6.2.
 */
export const initialMinimumVersion = 170_150

const versions: Record<ChainKind, Record<Upgrade, number>> = {
  mainnet: {
    Genesis: 170_002,
    BeforeOverwinter: 170_002,
    Overwinter: 170_005,
    Sapling: 170_007,
    Blossom: 170_009,
    Heartwood: 170_011,
    Canopy: 170_013,
    NU5: 170_100,
    NU6: 170_120,
    "NU6.1": 170_140,
    "NU6.2": 170_150,
    "NU6.3": 170_160,
    NU7: 170_190
  },
  testnet: {
    Genesis: 170_002,
    BeforeOverwinter: 170_002,
    Overwinter: 170_003,
    Sapling: 170_007,
    Blossom: 170_008,
    Heartwood: 170_010,
    Canopy: 170_012,
    NU5: 170_050,
    NU6: 170_110,
    "NU6.1": 170_130,
    "NU6.2": 170_150,
    "NU6.3": 170_160,
    NU7: 170_180
  },
  regtest: {
    Genesis: 170_002,
    BeforeOverwinter: 170_002,
    // Zebra has no Regtest value for Overwinter, so the rule for custom Testnets applies.
    Overwinter: ourProtocolVersion,
    Sapling: 170_006,
    Blossom: 170_008,
    Heartwood: 170_010,
    Canopy: 170_012,
    NU5: 170_050,
    NU6: 170_110,
    "NU6.1": 170_130,
    "NU6.2": 170_150,
    "NU6.3": 170_160,
    NU7: 170_180
  }
}

/** The version an upgrade demands on a chain. Custom Testnets demand ours from Overwinter on. */
export const versionOf = (chain: ChainParamsShape, upgrade: Upgrade): number =>
  chain.custom && upgrade !== "Genesis" && upgrade !== "BeforeOverwinter"
    ? ourProtocolVersion
    : versions[chain.kind][upgrade]

/**
 * The version the upgrade in force at `height` demands, without the floor. When it is above `ourProtocolVersion`, this
 * build is too old for the chain.
 */
export const specifiedVersion = (chain: ChainParamsShape, height: number): number =>
  versionOf(chain, upgradeAt(chain, height))

/** The oldest version a peer may state when our best block is at `height`, 0 when none is known. */
export const minimumVersion = (chain: ChainParamsShape, height: number): number =>
  Math.max(specifiedVersion(chain, height), initialMinimumVersion)

/** Every version some upgrade demands somewhere, ascending: the bounded set of metric labels. */
export const knownVersions: ReadonlyArray<number> = [
  ...new Set(Object.values(versions).flatMap((byUpgrade) => Object.values(byUpgrade)))
].sort((a, b) => a - b)
