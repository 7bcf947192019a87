/** How the scenarios of settings are taken out of the source. `test/support/removal.ts` says how it is written. */
import { edit, removed, type ScenarioRemoval } from "../support/removal.ts"

const networks = "cli/CustomNetwork"
const settings = "cli/SettingsFile"

export const removals: ReadonlyArray<ScenarioRemoval> = [
  ...removed(
    "cli/SettingsFile",
    "CF-1",
    edit(
      settings,
      "PeerSocketAddress.fromText($TEXT, chain.defaultPort)",
      "PeerSocketAddress.fromText($TEXT, mainnet.defaultPort)",
      { within: "listenAddress" }
    )
  ),
  ...removed("cli/SettingsFile", "CF-2", edit("Policy", "inboundMultiplier: 5", "inboundMultiplier: 3")),
  ...removed(
    "cli/SettingsFile",
    "CF-4",
    edit(settings, 'listen === undefined ? "[::]" : $GIVEN', 'listen === undefined ? "0.0.0.0" : $GIVEN')
  ),
  ...removed("cli/SettingsFile", "CF-3, CF-5, CF-6", edit(networks, "custom: true", "custom: false")),
  ...removed(
    "cli/SettingsFile",
    "CF-7, CF-8",
    edit(networks, '"should_allow_unshielded_coinbase_spends" in params', "false")
  ),
  ...removed(
    "cli/SettingsFile",
    "CF-13",
    edit(networks, "initial_nsm_value_balance: 55_768_414_957", "initial_nsm_value_balance: 0")
  ),
  ...removed(
    "cli/SettingsFile",
    "CF-11",
    edit(
      networks,
      "given.BeforeOverwinter ?? (given.Overwinter === undefined ? 1 : undefined)",
      "given.BeforeOverwinter ?? 1"
    )
  ),
  ...removed(
    "cli/SettingsFile",
    "CF-12",
    edit(networks, 'nsm_reissuance_height: "integer"', 'zip234_deployment_height: "integer"')
  ),
  ...removed("cli/SettingsFile", "CF-14, CF-20", edit(networks, "seeds.find(isPublicSeed)", "seeds.find(() => false)")),
  ...removed("cli/SettingsFile", "CF-9", edit(networks, "upgrades.every((upgrade) => $SAME)", "false")),
  ...removed("cli/SettingsFile", "CF-15", edit(networks, "upgrades.every((upgrade) => $SAME)", "true")),
  ...removed(
    "cli/SettingsFile",
    "CF-16, CF-18, CF-19",
    edit(networks, "funding_streams: $KIND", 'funding_streams: "integer"')
  ),
  ...removed(
    "cli/SettingsFile",
    "CF-21",
    edit(
      "addresses/AddressBookFile",
      'chain.custom ? `${name}-${Buffer.from(chain.magic).toString("hex")}` : name',
      "name"
    )
  ),
  ...removed(
    "cli/SettingsFile",
    "NB-10",
    edit(settings, "flags.network === undefined ? (setting?.value ?? $DEFAULT) : $FLAG", "setting?.value ?? $DEFAULT")
  )
]
