/**
 * Testnets with parameters of their own, and Regtest, as far as the network needs them. Pure.
 *
 * Consensus parameters are accepted and not used, except that they tell whether a Testnet can still be the public one: if
 * not, it needs its own magic and its own peers, or it would trouble both.
 *
 * Source: Zebra zebra-network config.rs and zebra-chain parameters/network/testnet.rs.
 *
 * @module
 */
import { Result } from "effect"
import { type ChainParamsShape, mainnet, regtest, testnet, type Upgrade, upgrades } from "../chain/ChainParams.ts"
import { maxHeight } from "../chain/CoinbaseHeight.ts"
import { isTable, nearMiss, Problems, type Source, type Table, SettingsError } from "./SettingsSource.ts"

export interface CustomNetwork {
  readonly chain: ChainParamsShape
  readonly warnings: ReadonlyArray<string>
}

type Kind = "integer" | "text" | "boolean" | "anything"

/** Every key there is, and what it has to be. */
const keys: Readonly<Record<string, Kind>> = {
  network_name: "text",
  network_magic: "anything",
  genesis_hash: "text",
  activation_heights: "anything",
  slow_start_interval: "integer",
  target_difficulty_limit: "text",
  disable_pow: "boolean",
  pre_blossom_halving_interval: "integer",
  temporary_orchard_disabling_soft_fork_height: "integer",
  nsm_reissuance_height: "integer",
  initial_nsm_value_balance: "integer",
  funding_streams: "anything",
  pre_nu6_funding_streams: "anything",
  post_nu6_funding_streams: "anything",
  lockbox_disbursements: "anything",
  checkpoints: "anything",
  extend_funding_stream_addresses_as_required: "boolean",
  should_allow_unshielded_coinbase_spends: "boolean"
}

/** Keys that say nothing on Regtest. */
const ignoredOnRegtest = [
  "network_name",
  "network_magic",
  "genesis_hash",
  "slow_start_interval",
  "target_difficulty_limit",
  "disable_pow",
  "pre_blossom_halving_interval",
  "temporary_orchard_disabling_soft_fork_height"
]

const reservedNames = new Set(["mainnet", "testnet", "regtest", "mainnetkind", "testnetkind", "regtestkind"])

/** Source: Zebra, the public Testnet. A parameter with another value makes another chain. */
const publicValues: Readonly<Record<string, unknown>> = {
  slow_start_interval: 20_000,
  target_difficulty_limit: `07ffff${"0".repeat(58)}`,
  disable_pow: false,
  pre_blossom_halving_interval: 840_000,
  temporary_orchard_disabling_soft_fork_height: 4_048_500,
  initial_nsm_value_balance: 55_768_414_957
}

/** Given at all, these make another chain: what they hold is not read. */
const neverPublic = [
  "nsm_reissuance_height",
  "funding_streams",
  "pre_nu6_funding_streams",
  "post_nu6_funding_streams",
  "lockbox_disbursements"
]

const maxNameBytes = 30

const fail = (message: string) => Result.fail(new SettingsError({ message }))

/** Upgrades by the names a file gives them: without `Genesis`, whose height is always 0. */
const namedUpgrades = upgrades.slice(1)

/** The heights a file names, whole: what it leaves out never activates. */
const heightsOf = (
  given: unknown,
  source: Source,
  path: ReadonlyArray<string>
): Result.Result<Partial<Record<Upgrade, number>>, SettingsError> => {
  if (!isTable(given)) return fail(`${source.whereIs(path)}: activation_heights has to be a table`)
  const problems = new Problems()
  const heights: Partial<Record<Upgrade, number>> = {}
  for (const [name, height] of Object.entries(given)) {
    const where = source.whereIs([...path, name])
    const upgrade = namedUpgrades.find((upgrade) => upgrade === name)
    if (upgrade === undefined) problems.add(`${where}: ${name} is no upgrade${nearMiss(name, namedUpgrades)}`)
    else if (!Number.isInteger(height) || (height as number) < 1 || (height as number) > maxHeight) {
      problems.add(`${where}: the height of ${name} has to be a number from 1 to ${maxHeight}`)
    } else heights[upgrade] = height as number
  }
  let before: { readonly name: string; readonly height: number } = { name: "Genesis", height: 0 }
  for (const name of namedUpgrades) {
    const height = heights[name]
    if (height === undefined) continue
    if (height < before.height) {
      problems.add(
        `${source.whereIs([...path, name])}: ${name} at ${height} comes before ${before.name} at ${before.height}: ` +
          "upgrades activate in their order"
      )
    }
    before = { name, height }
  }
  return problems.result({ Genesis: 0, ...heights })
}

const checkKeys = (params: Table, source: Source, path: ReadonlyArray<string>): Result.Result<void, SettingsError> => {
  const problems = new Problems()
  for (const [key, value] of Object.entries(params)) {
    const where = source.whereIs([...path, key])
    const kind = keys[key]
    if (kind === undefined)
      problems.add(`${where}: unknown network parameter ${key}${nearMiss(key, Object.keys(keys))}`)
    if (kind === "integer" && (!Number.isInteger(value) || (value as number) < 0)) {
      problems.add(`${where}: ${key} has to be a whole number`)
    }
    if (kind === "text" && typeof value !== "string") problems.add(`${where}: ${key} has to be a text in quotes`)
    if (kind === "boolean" && typeof value !== "boolean") problems.add(`${where}: ${key} has to be true or false`)
  }
  return problems.result(undefined)
}

/** Regtest with the heights that are given. */
export const makeRegtest = (
  params: Table,
  source: Source,
  path: ReadonlyArray<string>
): Result.Result<CustomNetwork, SettingsError> =>
  Result.gen(function* () {
    yield* checkKeys(params, source, path)
    const ignored = ignoredOnRegtest.filter((key) => key in params)
    const warnings = ignored.length === 0 ? [] : [`on Regtest these settings are ignored: ${ignored.join(", ")}`]
    if (params["activation_heights"] === undefined) return { chain: regtest, warnings }
    const given = yield* heightsOf(params["activation_heights"], source, [...path, "activation_heights"])
    // Up to Canopy each activates with the one before it unless it is given; later ones only if they are, and the first one
    // only if nothing comes after it.
    const heights: Partial<Record<Upgrade, number>> = { Genesis: 0 }
    const first = given.BeforeOverwinter ?? (given.Overwinter === undefined ? 1 : undefined)
    if (first !== undefined) heights.BeforeOverwinter = first
    let before = first ?? 1
    for (const name of ["Overwinter", "Sapling", "Blossom", "Heartwood", "Canopy"] as const) {
      before = given[name] ?? before
      heights[name] = before
    }
    const later = namedUpgrades.slice(namedUpgrades.indexOf("Canopy") + 1)
    for (const name of later) if (given[name] !== undefined) heights[name] = given[name]
    return { chain: { ...regtest, activationHeights: heights }, warnings }
  })

const magicOf = (
  value: unknown,
  source: Source,
  path: ReadonlyArray<string>
): Result.Result<readonly [number, number, number, number], SettingsError> => {
  const where = source.whereIs([...path, "network_magic"])
  const isByte = (byte: unknown) => Number.isInteger(byte) && (byte as number) >= 0 && (byte as number) <= 255
  if (!Array.isArray(value) || value.length !== 4 || !value.every(isByte)) {
    return fail(`${where}: network_magic has to be four numbers from 0 to 255`)
  }
  const magic = value as unknown as readonly [number, number, number, number]
  for (const { magic: taken, name } of [mainnet, regtest]) {
    if (taken.every((byte, i) => byte === magic[i])) return fail(`${where}: this network_magic is that of ${name}`)
  }
  return Result.succeed(magic)
}

/** The host of a seed, as two spellings of one are equal. */
const hostOf = (seed: string): string =>
  seed
    .slice(0, Math.max(0, seed.lastIndexOf(":")))
    .replace(/\.+$/, "")
    .toLowerCase()

const publicHosts = new Set([...mainnet.seeds, ...testnet.seeds].map(hostOf))

/** Whether a seed, in any spelling, is one of Mainnet or the public Testnet. */
export const isPublicSeed = (seed: string): boolean => publicHosts.has(hostOf(seed))

/** A Testnet with these parameters; without any it is the public one. */
export const makeTestnet = (
  params: Table,
  seeds: ReadonlyArray<string>,
  source: Source,
  path: ReadonlyArray<string>
): Result.Result<CustomNetwork, SettingsError> =>
  Result.gen(function* () {
    const problems = new Problems()
    problems.or(checkKeys(params, source, path), undefined)
    if ("should_allow_unshielded_coinbase_spends" in params) {
      problems.add(
        `${source.whereIs([...path, "should_allow_unshielded_coinbase_spends"])}: ` +
          "should_allow_unshielded_coinbase_spends is for Regtest only: take it out"
      )
    }
    const { genesis_hash: givenHash, network_name: name } = params
    if (typeof name === "string") {
      const where = source.whereIs([...path, "network_name"])
      if (!/^[\p{L}\p{N}_]+$/u.test(name) || Buffer.byteLength(name) > maxNameBytes) {
        problems.add(`${where}: network_name has to be at most ${maxNameBytes} bytes of letters, digits and _`)
      } else if (reservedNames.has(name.toLowerCase())) {
        problems.add(`${where}: the name ${name} is taken: choose another`)
      }
    }
    const magic =
      params["network_magic"] === undefined
        ? testnet.magic
        : problems.or(magicOf(params["network_magic"], source, path), testnet.magic)
    const genesisHash = typeof givenHash === "string" ? givenHash : testnet.genesisHash
    if (!/^[0-9a-fA-F]{64}$/.test(genesisHash)) {
      problems.add(`${source.whereIs([...path, "genesis_hash"])}: genesis_hash has to be 64 hexadecimal digits`)
    }
    const activationHeights =
      params["activation_heights"] === undefined
        ? testnet.activationHeights
        : {
            BeforeOverwinter: 1,
            ...problems.or(heightsOf(params["activation_heights"], source, [...path, "activation_heights"]), {})
          }
    // Whether it is the public one can be told only when every parameter makes sense.
    yield* problems.result(undefined)

    const isPublicMagic = magic.every((byte, i) => byte === testnet.magic[i])
    const isCompatible =
      isPublicMagic &&
      genesisHash.toLowerCase() === testnet.genesisHash &&
      upgrades.every((upgrade) => activationHeights[upgrade] === testnet.activationHeights[upgrade]) &&
      Object.entries(publicValues).every(([key, value]) => !(key in params) || sameValue(params[key], value)) &&
      neverPublic.every((key) => !(key in params))
    if (!isCompatible) {
      const publicSeed = seeds.find(isPublicSeed)
      const remedy =
        "for the public Testnet take the parameters out; for another one give it a network_magic and peers of its own"
      if (publicSeed !== undefined) {
        return yield* fail(
          `${source.whereIs(["network", "initial_testnet_peers"])}: ${publicSeed} is a seed of a public network, and these ` +
            `parameters make another one: ${remedy}`
        )
      }
      if (isPublicMagic) {
        return yield* fail(
          `${source.whereIs(path)}: these parameters are not those of the public Testnet, and the network_magic is: ${remedy}`
        )
      }
    }
    const isChanged = !isCompatible || typeof name === "string"
    if (!isChanged) return { chain: testnet, warnings: [] }
    return {
      chain: {
        ...testnet,
        name: typeof name === "string" ? name : "UnknownTestnet",
        custom: true,
        magic,
        genesisHash: genesisHash.toLowerCase(),
        activationHeights
      },
      warnings: []
    }
  })

const sameValue = (given: unknown, expected: unknown): boolean =>
  typeof given === "string" && typeof expected === "string" ? given.toLowerCase() === expected : given === expected
