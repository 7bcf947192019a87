/** How the scenarios of chains, versions and transactions are taken out of the source. `test/support/removal.ts` says how it is written. */
import { edit, removed, type ScenarioRemoval } from "../support/removal.ts"

const layout = "chain/TransactionLayout"
const versions = "chain/ProtocolVersion"

export const removals: ReadonlyArray<ScenarioRemoval> = [
  ...removed("chain/ProtocolVersion", "wire W4", edit(versions, "NU7: 170_190", "NU7: 170_180")),
  ...removed(
    "chain/ProtocolVersion",
    "peer 43, wire W5",
    edit(versions, "versions[chain.kind][upgrade]", "versions[chain.kind].Genesis")
  ),
  ...removed(
    "chain/ProtocolVersion",
    "peer 44",
    edit("chain/ChainParams", "activation <= height", "activation < height")
  ),
  ...removed(
    "chain/ProtocolVersion",
    "network 75",
    edit(
      versions,
      "Math.max(specifiedVersion(chain, height), initialMinimumVersion)",
      "specifiedVersion(chain, height)"
    )
  ),
  ...removed("chain/ProtocolVersion", "wire W7", edit("chain/ChainParams", "NU7: 3_543_405", "NU7: 3_543_406")),
  ...removed("chain/ProtocolVersion", "wire W8", edit("chain/ChainParams", "NU7: 4_465_026", "NU7: 4_465_027")),
  ...removed(
    "chain/ProtocolVersion",
    "wire W17",
    edit("chain/ChainParams", 'isUpgradeAtLeast(upgrade, "NU7") ? 25 : $OTHER', "$OTHER")
  ),
  ...removed(
    "chain/ProtocolVersion",
    "wire W16",
    edit(
      "chain/ChainTip",
      "nowSeconds - tip.value.blockTimeSeconds <= Duration.toSeconds(nearTipAge)",
      "nowSeconds - tip.value.blockTimeSeconds < Duration.toSeconds(nearTipAge)"
    )
  ),
  ...removed(
    "chain/Transaction",
    "wire W6",
    edit(layout, 'if (upgrade === undefined) reader.refuse("unknown consensus branch id")')
  ),
  ...removed(
    "chain/Transaction",
    "wire W9",
    edit(layout, "accepted ? (late ?? coinbaseSpendsProblem(layout)) : $REASON", "late")
  ),
  ...removed(
    "chain/Transaction",
    "wire W10",
    edit(
      layout,
      'walkActions(reader, layout.orchard, upgrade, 0b011, "Orchard"); walkActions(reader, layout.ironwood, $$$REST)',
      'walkActions(reader, layout.orchard, upgrade, 0b111, "Orchard"); walkActions(reader, layout.ironwood, $$$REST)'
    )
  ),
  ...removed(
    "chain/Transaction",
    "wire W11, wire W12",
    edit("chain/CoinbaseHeight", "length < minScriptBytes || length > maxScriptBytes", "false")
  ),
  ...removed(
    "chain/Transaction",
    "wire W13, wire W14",
    edit(layout, "walkSaplingBalance(reader, layout)", "", { within: "walkVersion4" })
  ),
  ...removed(
    "chain/Transaction",
    "wire W15",
    edit(
      layout,
      'reader.skip(8, "lock time and expiry height")',
      'reader.skip(4, "lock time"); if (reader.u32("expiry height") > 499_999_999) reader.refuse("expiry height")'
    )
  )
]
