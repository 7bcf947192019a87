import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import { ChainTip } from "../../src/chain/ChainTip.ts"
import { Handshake } from "../../src/peer/Handshake.ts"
import { InboundRequests } from "../../src/peer/InboundRequests.ts"
import type { ConnectionHost } from "../../src/peer/Peer.ts"
import { alice, bob } from "../support/addresses.ts"
import { streams, world } from "./rig.ts"

const nobody: ConnectionHost = { report: () => Effect.void, mayAdvertise: () => Effect.succeed(true) }

const node = Layer.fresh(Handshake.layer).pipe(
  Layer.provide([ChainTip.layerNone, InboundRequests.layerNone, Layer.succeed(ChainParams, regtest)])
)

describe("two nodes", () => {
  it.effect("shake hands", () =>
    Effect.gen(function* () {
      const { alices, bobs } = yield* streams
      const one = yield* Layer.build(node)
      const other = yield* Layer.build(node)
      const [a, b] = yield* Effect.all(
        [
          Effect.flatMap(Handshake, (h) => h.run(alices, { _tag: "OutboundDirect", address: bob }, nobody)).pipe(
            Effect.provide(one)
          ),
          Effect.flatMap(Handshake, (h) => h.run(bobs, { _tag: "InboundDirect", address: alice }, nobody)).pipe(
            Effect.provide(other)
          )
        ],
        { concurrency: 2 }
      )
      assert.strictEqual(a.isInbound, false)
      assert.strictEqual(b.isInbound, true)
      const { addresses } = yield* b.request({ _tag: "Peers" })
      assert.strictEqual(addresses.length, 2)
    }).pipe(Effect.provide(world))
  )
})
