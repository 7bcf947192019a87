/**
 * The oldest version a peer may state, as the upgrades' ZIPs have it: by hand, and by nothing that is under test.
 *
 * ZIP 201 for the rule, ZIP 204 and ZIP 259 for the versions; before NU6.3 and without a tip everybody is at NU6.2's.
 */
import { type ChainParamsShape, mainnet, regtest, testnet } from "../../src/chain/ChainParams.ts"

interface Rises {
  readonly chain: ChainParamsShape
  /** Height from which on a version is demanded, the latest first. */
  readonly from: ReadonlyArray<readonly [height: number, version: number]>
}

const rises = {
  mainnet: {
    chain: mainnet,
    from: [
      [3_543_405, 170_190],
      [3_428_143, 170_160],
      [0, 170_150]
    ]
  },
  testnet: {
    chain: testnet,
    from: [
      [4_465_026, 170_180],
      [4_134_000, 170_160],
      [0, 170_150]
    ]
  },
  "regtest without upgrades": { chain: regtest, from: [[0, 170_150]] },
  "regtest with upgrades": {
    chain: { ...regtest, activationHeights: { ...regtest.activationHeights, "NU6.3": 10, NU7: 20 } },
    from: [
      [20, 170_180],
      [10, 170_160],
      [0, 170_150]
    ]
  }
} as const satisfies Record<string, Rises>

/** The chains there is a table for. */
export const chainNames = Object.keys(rises) as ReadonlyArray<keyof typeof rises>

export type ChainName = keyof typeof rises

export const chainOf = (name: ChainName): ChainParamsShape => rises[name].chain

/** The oldest version at a height, 0 for none known. */
export const oldestAt = (name: ChainName, height: number): number => {
  const table: Rises["from"] = rises[name].from
  for (const [from, version] of table) if (height >= from) return version
  throw new Error("a height is not negative")
}

/** Heights right before and at each rise, and the ends. */
export const heightsOf = (name: ChainName): ReadonlyArray<number> => {
  const table: Rises["from"] = rises[name].from
  return [...table.flatMap(([height]) => (height === 0 ? [0, 1] : [height - 1, height])), 5_000_000, 0xffff_ffff]
}

/** Versions right below and at each that is ever demanded. */
export const versionsAround: ReadonlyArray<number> = [
  170_002, 170_149, 170_150, 170_159, 170_160, 170_179, 170_180, 170_189, 170_190
]
