/** How rules of simulated worlds are taken out of the source. `test/support/removal.ts` says how it is written. */
import { edit, removed, rule, type ScenarioRemoval } from "../support/removal.ts"

const invariants = "simulation/Invariants"

export const removals: ReadonlyArray<ScenarioRemoval> = [
  ...rule(
    "simulation 1",
    "simulation/Simulation",
    "notice an address that is dialled again and again, and let one retry pass",
    edit(invariants, "isEarly && before.wasRetried", "isEarly && before.wasRetried && false")
  ),
  ...rule(
    "simulation 2",
    "simulation/Simulation",
    "notice a background task that ends",
    edit(invariants, 'event._tag === "BackgroundTaskExited" ? $VIOLATION : undefined', "undefined")
  ),
  ...rule(
    "simulation 3",
    "simulation/Simulation",
    "that are broken end the run, and say which, where and why",
    edit(invariants, "nowMillis - since >= Duration.toMillis(invariant.grace)", "false")
  ),
  ...rule(
    "simulation 4",
    "simulation/Simulation",
    "gives each node its own chance: another node changes no choice of the others",
    edit("simulation/SeededRandom", "`${typeof seed} ${seed} ${stream}`", "`${typeof seed} ${seed}`")
  ),

  ...removed(
    "simulation/Scenarios",
    "advisory A8",
    edit(
      "addresses/Book",
      "own.has(key) || AddressRules.validForOutbound(address, chain) !== undefined",
      "own.has(key)"
    ),
    edit("addresses/Book", "!PeerAddress.isValidForOutbound(updated, chain)", "false")
  ),

  ...removed(
    "simulation/Nodes",
    "NB-11",
    edit("addresses/AddressBookFile", "Effect.delay(writeOnce, policy.cacheFirstWrite)", "Effect.never"),
    edit("addresses/BookFile", "Effect.delay(write, policy.cacheFirstWrite)", "Effect.never")
  )
]
