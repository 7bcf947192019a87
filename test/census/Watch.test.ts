/** Whether a node is where the others are. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Stream } from "effect"
import * as Quorum from "../../src/census/Quorum.ts"
import { type Look, looks } from "../../src/census/Watch.ts"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { sentenceOf } from "../../src/cli/censusWatch.ts"
import * as ScriptedPeer from "../../src/simulation/ScriptedPeer.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { SimRuntime } from "../../src/simulation/SimRuntime.ts"
import { InboundTransport } from "../../src/transport/Transport.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { Message } from "../../src/wire/Message.ts"

const at = PeerSocketAddress.fromStringUnsafe

const voices = (heights: ReadonlyArray<number>, age = 0): ReadonlyArray<Quorum.Voice> =>
  heights.map((height, n) => ({ group: `20.${n}`, height, age }))

describe("the quorum", () => {
  const verdict = (node: number | null, of: ReadonlyArray<Quorum.Voice>) => Quorum.judge(node, of, 25).verdict

  it("needs five groups that agree, or more when some do not", () => {
    assert.strictEqual(verdict(100, voices([100, 100, 100])), "Unknown")
    assert.strictEqual(verdict(100, voices([100, 101, 100, 99, 100])), "WithQuorum")
    assert.strictEqual(verdict(100, voices([100, 100, 100, 100, 500])), "Unknown")
    assert.strictEqual(verdict(100, voices([100, 100, 100, 100, 100, 100, 100, 100, 100, 500])), "WithQuorum")
  })

  it("says that a node is behind, or ahead alone, or does not say", () => {
    assert.strictEqual(verdict(100, voices([104, 104, 105, 104, 110])), "Behind")
    assert.strictEqual(verdict(101, voices([104, 104, 104, 104, 104])), "WithQuorum")
    assert.strictEqual(verdict(200, voices([104, 104, 105, 104, 110])), "AheadAlone")
    assert.strictEqual(verdict(null, voices([104, 104, 105, 104, 110])), "Unknown")
    assert.strictEqual(verdict(100, []), "Unknown")
  })

  it("does not hold it against a node that the chain has grown since others were asked", () => {
    // Ten minutes are 24 blocks of 25 seconds, and a chain may be four times as fast.
    assert.strictEqual(verdict(130, voices([104, 104, 104, 104, 104], 600)), "WithQuorum")
    assert.strictEqual(verdict(204, voices([104, 104, 104, 104, 104], 600)), "AheadAlone")
    assert.strictEqual(verdict(100, voices([104, 104, 104, 104, 104], 600)), "Behind")
  })

  it("hears one voice of a group, whatever it has hosts", () => {
    const crowd = Array.from({ length: 150 }, () => ({ group: "6.6", height: 9000, age: 0 }))
    const judgement = Quorum.judge(100, [...crowd, ...voices(Array.from({ length: 20 }, () => 100))], 25)
    assert.deepStrictEqual(
      [judgement.verdict, judgement.groups, judgement.agreeing, judgement.tip],
      ["WithQuorum", 21, 20, 100]
    )
  })
})

/** A hundred honest nodes of as many groups, sixty of a hundred of all hosts in one group with a false tip, and one node. */
const watch = (
  seed: number,
  node: { readonly height: (tip: number) => number },
  minutes: number
): ReadonlyArray<Look> => {
  const draw = SeededRandom.fractions(SeededRandom.draws(seed, "watch"))
  const honest = Array.from({ length: 100 }, (_, n) => at(`${20 + n}.${Math.floor(draw() * 250)}.0.1:18233`))
  const sybils = Array.from({ length: 150 }, (_, n) => at(`150.1.${Math.floor(n / 50)}.${n % 50}:18233`))
  const watched = at("19.0.0.1:18233")
  const tipAt = (millis: number) => 5000 + Math.floor(millis / 25_000)
  const script = (height: (tip: number) => number, known: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) =>
    Effect.map(Clock.Clock, (clock): ScriptedPeer.Script => ({
      version: (sent) => ({ ...sent, startHeight: height(tipAt(clock.currentTimeMillisUnsafe())) }),
      answer: (message, { say }) => {
        if (message._tag === "Ping") return Effect.as(say(Message.Pong({ nonce: message.nonce })), true)
        if (message._tag !== "GetAddr") return Effect.succeed(false)
        const addresses = known
          .toSorted(() => draw() - 0.5)
          .slice(0, 100)
          .map((address) => ({ address, services: NODE_NETWORK, lastSeenSeconds: 1 }))
        return Effect.as(say(Message.Addr({ addresses })), true)
      }
    }))
  const program = Effect.gen(function* () {
    const network = yield* SimNetwork
    const everybody = [...honest, ...sybils]
    const listen = (address: PeerSocketAddress.PeerSocketAddress, script: ScriptedPeer.Script) =>
      Effect.orDie(ScriptedPeer.listen(address, script)).pipe(
        Effect.provideService(InboundTransport, network.host(address))
      )
    for (const address of honest) {
      // One in ten is still catching up, and one in ten does not say.
      const kind = draw()
      const lag = kind < 0.1 ? 3000 : Math.floor(draw() * 2)
      yield* listen(address, yield* script((tip) => (kind > 0.9 ? 0 : tip - lag), everybody))
    }
    for (const address of sybils) yield* listen(address, yield* script((tip) => tip + 1000, sybils))
    yield* listen(watched, yield* script(node.height, everybody))
    return yield* looks({ node: watched, from: [honest[0]!, sybils[0]!] }).pipe(
      Stream.interruptWhen(Effect.sleep(`${minutes} minutes`)),
      Stream.runCollect
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(
      SimNetwork.layerTransport(at("203.0.113.9:40000")).pipe(
        Layer.provideMerge(SimNetwork.layer),
        Layer.provideMerge(SeededRandom.layer(seed)),
        Layer.provideMerge(Layer.succeed(ChainParams, regtest))
      )
    )
  )
  const ending = new SimRuntime().run(program, 24 * 3600_000)
  if (ending._tag !== "Done" || ending.exit._tag === "Failure") throw new Error(JSON.stringify(ending))
  return ending.exit.value
}

describe("a watch among sixty percent Sybils of one group", () => {
  it("says of an honest node that it is with the quorum, in every look of an hour", () => {
    const found = watch(1, { height: (tip) => tip }, 60)
    assert.isAtLeast(found.length, 20)
    assert.deepStrictEqual([...new Set(found.map(({ verdict }) => verdict))], ["WithQuorum"])
    assert.strictEqual(found.at(-1)?.sinceMillis, found[0]?.atMillis)
  })

  it("says of a stale node that it is behind, in its first look", () => {
    const [first] = watch(2, { height: () => 4990 }, 3)
    assert(first !== undefined)
    assert.strictEqual(first.verdict, "Behind")
    assert.isAtMost(first.atMillis, 60_000)
    const words = [
      "the node is behind: at 4990, while half of the groups are at \\d{4} or above",
      "\\d+ of \\d+ groups say so, at least \\d+ % of all with 95 %",
      "since 1970-01-01T00:00:[\\d.]+Z, by heights of version messages"
    ]
    assert.match(sentenceOf(first), new RegExp(`^${words.join("; ")}$`), sentenceOf(first))
  })

  it("says of a node that follows them that it is ahead alone", () => {
    assert.strictEqual(watch(3, { height: (tip) => tip + 1000 }, 3)[0]?.verdict, "AheadAlone")
  })

  it("says of a node that stops that it is behind, within eight minutes", () => {
    const stopsAt = 5000 + 600 / 25
    const found = watch(4, { height: (tip) => Math.min(tip, stopsAt) }, 30)
    const since = found.find(({ verdict }) => verdict === "Behind")?.atMillis ?? Infinity
    assert.strictEqual(found[0]?.verdict, "WithQuorum")
    assert.isAbove(since, 600_000)
    assert.isAtMost(since, 600_000 + 8 * 60_000)
  })
})
