/** Which addresses count in no group, and what a map that does not say leaves to networks. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as AddressGroups from "../../src/addresses/AddressGroups.ts"
import * as AsMap from "../../src/addresses/AsMap.ts"
import { mainnet, regtest } from "../../src/chain/ChainParams.ts"
import { answer, ipv4Prefix, match8, program } from "../support/asMaps.ts"
import { address } from "../support/bookWorld.ts"

describe("an address of a private network", () => {
  const near = ["127.0.0.1:1", "10.1.2.3:1", "169.254.1.1:1", "[::1]:1", "[fd00::1]:1", "[fe80::1]:1"]
  const far = ["203.0.113.9:1", "[2001:db8::1]:1"]

  it("counts in no group on Regtest, and in one everywhere else", () => {
    for (const text of near) assert.isTrue(AddressGroups.isExempt(address(text), regtest), text)
    for (const text of far) assert.isFalse(AddressGroups.isExempt(address(text), regtest), text)
    for (const text of [...near, ...far]) assert.isFalse(AddressGroups.isExempt(address(text), mainnet), text)
  })
})

describe("a group by a map", () => {
  it("is the system, and the network where the map does not say", () => {
    const map = Result.getOrThrow(AsMap.decode(program(ipv4Prefix, match8("11001011"), answer(15_496))))
    const { groupOf } = AddressGroups.bySystem(map)
    assert.deepStrictEqual([groupOf(address("203.0.113.9:1")), groupOf(address("204.0.113.9:1"))], ["AS15496", "204.0"])
  })
})
