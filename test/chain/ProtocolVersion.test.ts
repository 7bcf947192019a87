import { assert, describe, it } from "@effect/vitest"
import { Duration, Option } from "effect"
import { branchIds, mainnet, regtest, targetSpacing, testnet, upgradeAt } from "../../src/chain/ChainParams.ts"
import { isNearTip } from "../../src/chain/ChainTip.ts"
import { zeroBlockHash } from "../../src/chain/Hash.ts"
import {
  initialMinimumVersion,
  minimumVersion,
  ourProtocolVersion,
  specifiedVersion
} from "../../src/chain/ProtocolVersion.ts"
import { chainNames, chainOf, heightsOf, oldestAt } from "../support/versions.ts"

describe("the oldest version a peer may have", () => {
  it("rises with NU7, public or configured (wire W4, nu7_peer_versions_support_public_and_configured_activation)", () => {
    assert.strictEqual(ourProtocolVersion, 170_190)
    assert.deepStrictEqual(
      [3_543_404, 3_543_405].map((height) => minimumVersion(mainnet, height)),
      [170_160, 170_190]
    )
    assert.deepStrictEqual(
      [4_465_025, 4_465_026].map((height) => minimumVersion(testnet, height)),
      [170_160, 170_180]
    )
    const configured = { ...regtest, activationHeights: { ...regtest.activationHeights, NU7: 10 } }
    assert.strictEqual(minimumVersion(configured, 10), 170_180)
    assert.isBelow(minimumVersion(configured, 9), 170_180)
  })

  it("has the lowest and the highest height there is (peer 43, wire W5, version_extremes)", () => {
    for (const chain of [mainnet, testnet]) {
      assert.strictEqual(upgradeAt(chain, 0), "Genesis")
      assert.strictEqual(minimumVersion(chain, 0), initialMinimumVersion)
      assert.isAbove(minimumVersion(chain, 0xffff_ffff), initialMinimumVersion)
    }
  })

  it("is the same by upgrade and by height (peer 44, wire W5, version_consistent)", () => {
    for (const chain of [mainnet, testnet, regtest]) {
      for (const [upgrade, height] of Object.entries(chain.activationHeights)) {
        const shared = Object.values(chain.activationHeights).filter((other) => other === height).length
        if (shared === 1) assert.strictEqual(upgradeAt(chain, height), upgrade as never)
        if (height > 0) assert.isAtLeast(specifiedVersion(chain, height), specifiedVersion(chain, height - 1))
      }
    }
    assert.deepStrictEqual([upgradeAt(mainnet, 0xffff_ffff), upgradeAt(testnet, 0xffff_ffff)], ["NU7", "NU7"])
  })

  for (const name of chainNames) {
    it(`is what the ZIPs say, on ${name} (network 75, minimum_peer_version_is_correct)`, () => {
      for (const height of heightsOf(name)) {
        assert.strictEqual(minimumVersion(chainOf(name), height), oldestAt(name, height), `at ${height}`)
      }
    })
  }
})

describe("the upgrades", () => {
  it("of Mainnet are all there, with their heights (wire W7, full_activation_list_contains_all_upgrades)", () => {
    assert.deepStrictEqual(mainnet.activationHeights, {
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
    })
  })

  it("of Testnet: NU7 has its height, branch and spacing (wire W8, public_testnet_nu7_activation)", () => {
    const [before, after] = [4_465_025, 4_465_026]
    assert.deepStrictEqual([upgradeAt(testnet, before), branchIds["NU6.3"]], ["NU6.3", 0x37a5165b])
    assert.deepStrictEqual([upgradeAt(testnet, after), branchIds.NU7], ["NU7", 0x77190ad9])
    assert.deepStrictEqual(
      [targetSpacing(testnet, before), targetSpacing(testnet, after)].map(Duration.toSeconds),
      [75, 25]
    )
  })
})

describe("the time between two heights", () => {
  /** Seconds of the blocks after one height up to the other. */
  const secondsBetween = (from: number, to: number): number => {
    let seconds = 0
    for (let height = from + 1; height <= to; height++) seconds += Duration.toSeconds(targetSpacing(mainnet, height))
    return seconds
  }

  it("is the sum of their spacings, also across NU7 (wire W17, duration_between_heights_matches_per_block_sum)", () => {
    assert.strictEqual(secondsBetween(3_444_000, 3_540_768), 84 * 86_400)
    assert.strictEqual(secondsBetween(3_542_252, 3_546_860), 2 * 86_400)
  })
})

describe("whether we are near the tip", () => {
  const nowSeconds = 1_800_000_000
  const limit = Duration.seconds(75_000)
  const tip = (blockTimeSeconds: number) => Option.some({ height: 1, hash: zeroBlockHash, blockTimeSeconds })

  it("is told by the age of its block (wire W16, at_or_near_network_tip_uses_tip_age)", () => {
    assert.isFalse(isNearTip(Option.none(), nowSeconds, limit))
    for (const age of [-3600, 8 * 3600, 75_000]) assert.isTrue(isNearTip(tip(nowSeconds - age), nowSeconds, limit))
    assert.isFalse(isNearTip(tip(nowSeconds - 75_001), nowSeconds, limit))
  })
})
