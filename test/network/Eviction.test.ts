/** Who has to go for a newcomer, as a pure decision. */
import { assert, describe, it } from "@effect/vitest"
import * as Eviction from "../../src/network/Eviction.ts"
import { defaults } from "../../src/Policy.ts"

/** So many residents of a network, who joined one second apart from `joined` on, ids from `id`. */
const crowd = (
  network: string,
  count: number,
  { id, joined = 0, ...facts }: { readonly id: number; readonly joined?: number } & Partial<Eviction.Resident>
): ReadonlyArray<Eviction.Resident> =>
  Array.from({ length: count }, (_, n) => ({
    network,
    pick: network,
    roundTripMillis: undefined,
    blockAtNanos: undefined,
    transactionAtNanos: undefined,
    provenAddresses: 0,
    ...facts,
    id: id + n,
    joinedAtNanos: BigInt(joined + n) * 1_000_000_000n
  }))

/** No rule keeps anybody. */
const none: Eviction.Rules = {
  protectedNetworks: 0,
  protectedByRoundTrip: 0,
  protectedByBlocks: 0,
  protectedByTransactions: 0,
  protectedByAddresses: 0,
  protectedByTenure: 0
}

const never: Parameters<typeof Eviction.choose>[3] = { toLose: () => false, toBring: () => false }

const goes = (residents: ReadonlyArray<Eviction.Resident>, network: string, rules = none, tooSoon = never) => {
  const verdict = Eviction.choose(residents, network, rules, tooSoon)
  return verdict._tag === "Evict" ? verdict.id : verdict.reason
}

const alone = Array.from({ length: 10 }, (_, n) => crowd(`8.${n}`, 1, { id: 1000 + n })).flat()

describe("who has to go for a newcomer", () => {
  it("is the youngest of the network with most peers", () => {
    const residents = [...crowd("1.1", 5, { id: 1 }), ...crowd("2.2", 4, { id: 20, joined: 50 }), ...alone]
    assert.strictEqual(goes(residents, "9.9"), 5)
    assert.deepInclude(Eviction.choose(residents, "9.9", none, never), { ofNetwork: 5, reason: "largest-network" })
  })

  it("is of the largest network, wherever that is among those that are larger than the newcomer's", () => {
    const networks = [crowd("1.1", 2, { id: 10 }), crowd("2.2", 4, { id: 20 }), crowd("3.3", 3, { id: 30 })] as const
    const [two, four, three] = networks
    for (const all of [
      [two, four, three],
      [four, three, two],
      [two, three, four],
      [three, two, four]
    ]) {
      assert.strictEqual(goes(all.flat(), "9.9"), 23)
      const lost = { ...never, toLose: (one: string) => one === "2.2" }
      assert.strictEqual(goes(all.flat(), "9.9", none, lost), 32)
    }
    // Whoever is kept does not go: of equals the youngest that may.
    const [first, second] = [crowd("1.1", 3, { id: 1, joined: 0 }), crowd("2.2", 3, { id: 21, joined: 10 })]
    const quick = second.map((one) => ({ ...one, roundTripMillis: 5 }))
    assert.strictEqual(goes([...first, ...quick], "9.9", { ...none, protectedByRoundTrip: 1 }), 23)
    assert.strictEqual(goes([...first, ...quick.slice(0, 2)], "9.9", { ...none, protectedByRoundTrip: 1 }), 3)
  })

  it("is of those that came in one moment the one with the greater number, in whatever order they are", () => {
    const together = crowd("1.1", 3, { id: 7 }).map((one) => ({ ...one, joinedAtNanos: 5n }))
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0]
    ]) {
      const residents = order.map((n) => together[n]!)
      assert.strictEqual(goes(residents, "9.9"), 9)
      assert.deepStrictEqual([...Eviction.protectedOf(residents, { ...none, protectedNetworks: 1 })], [7])
    }
  })

  it("is the youngest of all when two networks are the largest", () => {
    const residents = [...crowd("1.1", 4, { id: 1, joined: 9 }), ...crowd("2.2", 4, { id: 20, joined: 7 })]
    assert.strictEqual(goes(residents, "9.9"), 4)
    assert.strictEqual(goes(residents.toReversed(), "9.9"), 4)
  })

  it("is never the oldest of a network that is kept, in whatever order they are", () => {
    const residents = crowd("1.1", 3, { id: 1 })
    for (const all of [residents, residents.toReversed(), [2, 0, 1].map((n) => residents[n]!)]) {
      assert.deepStrictEqual([...Eviction.protectedOf(all, { ...none, protectedNetworks: 1 })], [1])
    }
  })

  it("is of a network that stays at least as large as the newcomer's", () => {
    for (const [largest, newcomers, expected] of [
      [1, 0, "no-larger-network"],
      [2, 0, 2],
      [3, 1, 3],
      [3, 2, "no-larger-network"],
      [4, 4, "no-larger-network"]
    ] as const) {
      const residents = [...crowd("1.1", largest, { id: 1 }), ...crowd("9.9", newcomers, { id: 50, joined: 90 })]
      assert.strictEqual(goes(residents, "9.9"), expected, `${largest} and ${newcomers}`)
    }
  })

  it("is nobody when all come from different networks, and nobody at all of nobody", () => {
    assert.strictEqual(goes(alone, "9.9"), "no-larger-network")
    assert.strictEqual(goes([], "9.9"), "no-larger-network")
  })

  it("is of the next largest network while the largest has lost one lately", () => {
    const residents = [...crowd("1.1", 5, { id: 1 }), ...crowd("2.2", 3, { id: 20 }), ...alone]
    const lost = (...networks: ReadonlyArray<string>) => ({ ...never, toLose: (one: string) => networks.includes(one) })
    assert.strictEqual(goes(residents, "9.9", none, lost("1.1")), 22)
    assert.deepInclude(Eviction.choose(residents, "9.9", none, lost("1.1")), { reason: "next-largest-network" })
    assert.strictEqual(goes(residents, "9.9", none, lost("1.1", "2.2")), "too-soon")
  })

  it("is nobody for a network that brought somebody lately", () => {
    const tooSoon = { ...never, toBring: (one: string) => one === "9.9" }
    assert.strictEqual(goes(crowd("1.1", 5, { id: 1 }), "9.9", none, tooSoon), "newcomer-too-soon")
    assert.strictEqual(goes(crowd("1.1", 5, { id: 1 }), "7.7", none, tooSoon), 5)
  })
})

describe("who stays whatever comes", () => {
  const three = crowd("1.1", 3, { id: 1 })
  const [first, second, third] = three as [Eviction.Resident, Eviction.Resident, Eviction.Resident]

  it.each<readonly [string, Partial<Eviction.Rules>, Partial<Eviction.Resident>, Partial<Eviction.Resident>]>([
    ["the quicker one", { protectedByRoundTrip: 1 }, { roundTripMillis: 20 }, { roundTripMillis: 10 }],
    ["whoever delivered a block last", { protectedByBlocks: 1 }, { blockAtNanos: 1n }, { blockAtNanos: 2n }],
    [
      "whoever delivered a transaction last",
      { protectedByTransactions: 1 },
      { transactionAtNanos: 1n },
      { transactionAtNanos: 2n }
    ],
    ["whoever told of most true addresses", { protectedByAddresses: 1 }, { provenAddresses: 1 }, { provenAddresses: 2 }]
  ])("is %s, and nobody of whom nothing is known", (_, rule, less, more) => {
    const rules = { ...none, ...rule }
    assert.deepStrictEqual([...Eviction.protectedOf(three, rules)], [])
    assert.deepStrictEqual(
      [
        ...Eviction.protectedOf(
          [
            { ...first, ...less },
            { ...third, ...more }
          ],
          rules
        )
      ],
      [3]
    )
    assert.strictEqual(goes([first, second, { ...third, ...more }], "9.9", rules), 2)
  })

  it("is whoever is of a network that the key picks", () => {
    const residents = [{ ...first, network: "a", pick: "2" }, { ...second, network: "b", pick: "1" }, third]
    assert.deepStrictEqual([...Eviction.protectedOf(residents, { ...none, protectedNetworks: 1 })], [2])
  })

  it("is half of the others, those that have been here longest", () => {
    const residents = Array.from({ length: 10 }, (_, n) => crowd(`8.${n}`, 1, { id: n, joined: n === 7 ? 0 : 10 + n }))
    const kept = Eviction.protectedOf(residents.flat(), { ...none, protectedByTenure: 0.5 })
    assert.deepStrictEqual([...kept].toSorted(), [0, 1, 2, 3, 7])
  })

  it("is nobody of the half that was there for longest, of those whom no other rule keeps", () => {
    const residents = alone.map((resident, n) => ({
      ...resident,
      joinedAtNanos: BigInt(n),
      provenAddresses: n < 8 ? 0 : 1
    }))
    const kept = Eviction.protectedOf(residents, { ...none, protectedByAddresses: 2, protectedByTenure: 0.5 })
    // The last two are kept for the addresses they told; of the eight that are left, four.
    assert.deepStrictEqual([...kept].toSorted(), [1000, 1001, 1002, 1003, 1008, 1009])
  })

  it("is kept by the first rule that can keep it, in the order of the rules, and the next one keeps another", () => {
    const inOrder: ReadonlyArray<
      readonly [Partial<Eviction.Rules>, Partial<Eviction.Resident>, Partial<Eviction.Resident>]
    > = [
      [{ protectedByRoundTrip: 1 }, { roundTripMillis: 10 }, { roundTripMillis: 20 }],
      [{ protectedByBlocks: 1 }, { blockAtNanos: 2n }, { blockAtNanos: 1n }],
      [{ protectedByTransactions: 1 }, { transactionAtNanos: 2n }, { transactionAtNanos: 1n }],
      [{ protectedByAddresses: 1 }, { provenAddresses: 2 }, { provenAddresses: 1 }]
    ]
    for (const [index, [earlier, best]] of inOrder.entries()) {
      for (const [later, alsoBest, lesser] of inOrder.slice(index + 1)) {
        // One is the best by both rules, another one the second best by the later: the other way round it would be kept by none.
        const residents = [{ ...first, ...best, ...alsoBest }, { ...second, ...lesser }, third]
        const kept = Eviction.protectedOf(residents, { ...none, ...earlier, ...later })
        assert.deepStrictEqual([...kept], [first.id, second.id], JSON.stringify([earlier, later]))
      }
    }
  })

  it("is one of a network for each rule at most, however many hosts it has there", () => {
    const useful = { roundTripMillis: 1, blockAtNanos: 9n, transactionAtNanos: 9n, provenAddresses: 9 }
    const residents = [...crowd("1.1", 100, { id: 1, ...useful }), ...alone]
    const kept = Eviction.protectedOf(residents, defaults)
    assert.strictEqual(residents.filter(({ id, network }) => network === "1.1" && kept.has(id)).length, 6)
    assert.strictEqual(goes(residents, "9.9", defaults), 100)
  })

  it("can be all of the larger networks, and then nobody goes", () => {
    const residents = crowd("1.1", 2, { id: 1, roundTripMillis: 5, provenAddresses: 1 })
    assert.strictEqual(goes(residents, "9.9", defaults), "protected")
  })
})
