/** Nodes that come to a census that listens. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { guests } from "../../src/census/Guests.ts"
import { type Finding, hostOf } from "../../src/census/Finding.ts"
import * as Visits from "../../src/census/Visit.ts"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as ScriptedPeer from "../../src/simulation/ScriptedPeer.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { SimRuntime } from "../../src/simulation/SimRuntime.ts"
import { OutboundTransport } from "../../src/transport/Transport.ts"
import type { Version } from "../../src/wire/Message.ts"

const at = PeerSocketAddress.fromStringUnsafe
const here = at("203.0.113.9:18233")

/** Listens for ten minutes while these come, each with its script; one more comes then, and says what it has heard. */
const listening = (visitors: ReadonlyArray<readonly [string, ScriptedPeer.Script, seconds: number]>) => {
  const heard: Array<Version> = []
  const program = Effect.gen(function* () {
    const network = yield* SimNetwork
    const came = yield* guests(here, { userAgent: "/census/", protocolVersion: 170_190, stated: here })
    const found: Array<Finding> = []
    const reading = yield* Effect.forkChild(
      Stream.runForEach(came, (finding) => Effect.sync(() => found.push(finding)))
    )
    for (const [address, script, seconds] of visitors) {
      yield* Effect.forkChild(
        ScriptedPeer.dial(here, script).pipe(
          Effect.delay(`${seconds} seconds`),
          Effect.andThen(Effect.never),
          Effect.scoped,
          Effect.ignore,
          Effect.provideService(OutboundTransport, network.host(at(address)))
        )
      )
    }
    yield* Effect.sleep("10 minutes")
    const greeted = yield* Visits.greet(here, { userAgent: "/four/", protocolVersion: 170_190 }).pipe(
      Effect.provideService(OutboundTransport, network.host(at("20.0.0.4:1"))),
      Effect.scoped
    )
    if (greeted._tag === "Greeted") heard.push(greeted.version)
    yield* Effect.sleep("1 minute")
    yield* Fiber.interrupt(reading)
    return { found, heard, open: network.openEnds() }
  }).pipe(
    Effect.scoped,
    Effect.provide(
      SimNetwork.layerTransport(here).pipe(
        Layer.provideMerge(SimNetwork.layer),
        Layer.provideMerge(SeededRandom.layer(1)),
        Layer.provideMerge(Layer.succeed(ChainParams, regtest))
      )
    )
  )
  const ending = new SimRuntime().run(program, 3600_000)
  if (ending._tag !== "Done" || ending.exit._tag === "Failure") throw new Error(JSON.stringify(ending))
  return ending.exit.value
}

const named = (userAgent: string): ScriptedPeer.Script => ({
  version: (sent) => ({ ...sent, userAgent, startHeight: 0 })
})

describe("a census that listens", () => {
  it("hears of each host once, says who it is, and lets everybody go", () => {
    const { found, heard, open } = listening([
      ["20.0.0.1:5001", named("/one/"), 1],
      ["20.0.0.2:5001", named("/two/"), 2],
      ["20.0.0.1:5002", named("/one again/"), 30],
      ["20.0.0.3:5001", ScriptedPeer.silent, 1]
    ])
    assert.deepStrictEqual(
      found.map((finding) =>
        finding._tag === "Came" ? [hostOf(finding.address), finding.userAgent, finding.height] : []
      ),
      [
        ["20.0.0.1", "/one/", null],
        ["20.0.0.2", "/two/", null],
        ["20.0.0.4", "/four/", null]
      ]
    )
    assert.lengthOf(heard, 1)
    for (const { addressFrom, relay, services, userAgent } of heard) {
      assert.deepStrictEqual(
        [PeerSocketAddress.format(addressFrom.address), addressFrom.services, services, userAgent, relay],
        ["203.0.113.9:18233", 0n, 0n, "/census/", false]
      )
    }
    assert.strictEqual(open, 0)
  })

  it("has room for sixty-four who say nothing, and for others when those were let go", () => {
    const silent = Array.from({ length: 64 }, (_, n) => [`21.0.0.${n + 1}:1`, ScriptedPeer.silent, 1] as const)
    const { found, open } = listening([
      ...silent,
      ["20.0.0.1:1", named("/too early/"), 2],
      ["20.0.0.2:1", named("/late/"), 30]
    ])
    assert.deepStrictEqual(
      found.map((finding) => finding._tag === "Came" && finding.userAgent),
      ["/late/", "/four/"]
    )
    assert.strictEqual(open, 0)
  })
})
