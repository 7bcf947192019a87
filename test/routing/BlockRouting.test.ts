/** Every line of the table in `BlockRouting.ts`, and the table as a whole against a naive reading of it. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as BlockRouting from "../../src/routing/BlockRouting.ts"
import type { HashRecord } from "../../src/routing/InventoryRegistry.ts"
import * as PeerChoice from "../../src/routing/PeerChoice.ts"
import { naiveOutcome, type Outcome, type Someone } from "../support/naiveRouting.ts"

const poolsOf = (peers: ReadonlyArray<Someone>) => {
  const pools = PeerChoice.makePools()
  for (const { id, ready, serving } of peers) {
    const pool = ready
      ? serving
        ? pools.readyServing
        : pools.readyOther
      : serving
        ? pools.busyServing
        : pools.busyOther
    pool.add(id)
  }
  return pools
}

const record = (sets: { advertised?: Array<number>; missing?: Array<number>; failed?: Array<number> }): HashRecord => ({
  advertised: new Set(sets.advertised),
  missing: new Set(sets.missing),
  failed: new Set(sets.failed)
})

const outcomeOf = (route: BlockRouting.Route): Outcome => {
  switch (route._tag) {
    case "Ask":
      return Array.from({ length: route.among.size }, (_, rank) => route.among.at(rank)).sort((a, b) => a - b)
    case "Wait":
      return `wait for ${route.scope}`
    case "Refuse":
      return "refuse"
  }
}

const readyServing = (id: number): Someone => ({ id, ready: true, serving: true })
const readyOther = (id: number): Someone => ({ id, ready: true, serving: false })
const busyServing = (id: number): Someone => ({ id, ready: false, serving: true })
const busyOther = (id: number): Someone => ({ id, ready: false, serving: false })

describe("one block", () => {
  it.each([
    ["1: ready advertisers, even if others serve", [readyServing(1), readyOther(2)], { advertised: [2] }, [2]],
    ["1 to 2: not advertisers that failed", [readyServing(1), readyOther(2)], { advertised: [2], failed: [2] }, [1]],
    [
      "2: ready ones that serve and may have it",
      [readyServing(1), readyServing(2), readyOther(3)],
      { missing: [2] },
      [1]
    ],
    ["3: ready others when no busy peer qualifies", [readyOther(1), busyOther(2), readyOther(3)], {}, [1, 3]],
    ["3: ready others when a connected peer advertised it", [readyOther(1), busyServing(2)], { advertised: [2] }, [1]],
    ["4: not ready others for a block that nobody advertised", [readyOther(1), busyServing(2)], {}, "wait for serving"],
    ["4: nor for one whose advertiser left", [readyOther(1), busyServing(2)], { advertised: [9] }, "wait for serving"],
    [
      "4: nor for one whose advertiser failed",
      [readyOther(1), busyServing(2), readyOther(3)],
      { advertised: [3], failed: [3] },
      "wait for serving"
    ],
    ["4: a busy other that may have it, of a known block", [busyOther(1)], { advertised: [1] }, "wait for any"],
    ["4: no busy other for an unknown block", [busyOther(1)], {}, "refuse"],
    ["5: ready ones that failed", [readyServing(1), readyOther(2)], { failed: [1, 2] }, [1, 2]],
    ["5: not those that lack it as well", [readyServing(1), readyOther(2)], { failed: [1, 2], missing: [1] }, [2]],
    ["6: busy ones that failed", [busyOther(1), readyServing(2)], { failed: [1], missing: [2] }, "wait for any"],
    ["7: nobody", [], {}, "refuse"],
    ["7: only peers that lack it", [readyServing(1), busyServing(2)], { missing: [1, 2] }, "refuse"]
  ] as ReadonlyArray<[string, ReadonlyArray<Someone>, Parameters<typeof record>[0], Outcome]>)(
    "line %s",
    (_, peers, known, expected) => {
      assert.deepStrictEqual(outcomeOf(BlockRouting.routeBlock(poolsOf(peers), record(known))), expected)
    }
  )

  /** One peer, and what is known of it. `left` is registered but not connected any more. */
  const someone = Schema.Struct({
    state: Schema.Literals(["ready", "busy", "left"]),
    serving: Schema.Boolean,
    said: Schema.Literals(["available", "missing", "nothing"]),
    failed: Schema.Boolean
  })

  const given = (crowd: ReadonlyArray<typeof someone.Type>) => ({
    peers: crowd.flatMap(({ serving, state }, id) =>
      state === "left" ? [] : [{ id, ready: state === "ready", serving }]
    ),
    known: record({
      advertised: crowd.flatMap(({ said }, id) => (said === "available" ? [id] : [])),
      missing: crowd.flatMap(({ said }, id) => (said === "missing" ? [id] : [])),
      failed: crowd.flatMap(({ failed }, id) => (failed ? [id] : []))
    })
  })

  it.prop(
    "is routed as the table says, to the same candidates",
    { crowd: Schema.Array(someone) },
    ({ crowd }) => {
      const { known, peers } = given(crowd)
      assert.deepStrictEqual(outcomeOf(BlockRouting.routeBlock(poolsOf(peers), known)), naiveOutcome(peers, known))
    },
    { arbitrary: { runs: 2000 } }
  )

  it.prop(
    "is routed so for every small crowd too",
    { crowd: Schema.Tuple([someone, someone]) },
    ({ crowd }) => {
      const { known, peers } = given(crowd)
      assert.deepStrictEqual(outcomeOf(BlockRouting.routeBlock(poolsOf(peers), known)), naiveOutcome(peers, known))
    },
    { arbitrary: { runs: 1000 } }
  )
})

describe("one transaction", () => {
  it.each([
    ["a ready advertiser", [readyServing(1), readyOther(2)], { advertised: [2] }, [2]],
    [
      "else a ready peer that does not lack it",
      [readyServing(1), readyOther(2), busyServing(3)],
      { missing: [1] },
      [2]
    ],
    ["else nobody: it does not wait for busy ones", [readyServing(1), busyServing(2)], { missing: [1] }, "refuse"],
    ["not even for a busy advertiser", [busyServing(2)], { advertised: [2] }, "refuse"]
  ] as ReadonlyArray<[string, ReadonlyArray<Someone>, Parameters<typeof record>[0], Outcome]>)(
    "goes to %s",
    (_, peers, known, expected) => {
      assert.deepStrictEqual(outcomeOf(BlockRouting.routeTransaction(poolsOf(peers), record(known))), expected)
    }
  )
})
