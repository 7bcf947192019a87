/** Heights that are heard of between two looks: blocks that peers advertise while a watch stays with them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result, Stream } from "effect"
import { type Look, looks } from "../../src/census/Watch.ts"
import { Block } from "../../src/chain/Block.ts"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { sentenceOf } from "../../src/cli/censusWatch.ts"
import * as ScriptedPeer from "../../src/simulation/ScriptedPeer.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { SimRuntime } from "../../src/simulation/SimRuntime.ts"
import { InboundTransport } from "../../src/transport/Transport.ts"
import { Message } from "../../src/wire/Message.ts"

const at = PeerSocketAddress.fromStringUnsafe

/** A block of one coinbase of version 1, with this height (17 to 32 767) in its script. */
const blockAt = (height: number, mark = 0): Block => {
  const header = Buffer.alloc(140, mark)
  header.writeUInt32LE(4, 0)
  const script = Buffer.from([2, height & 0xff, height >> 8])
  const coinbase = Buffer.concat([
    Buffer.from([1, 0, 0, 0, 1]),
    Buffer.alloc(32),
    Buffer.from([0xff, 0xff, 0xff, 0xff, script.length]),
    script,
    Buffer.from([0xff, 0xff, 0xff, 0xff, 1]),
    Buffer.alloc(8),
    Buffer.from([0, 0, 0, 0, 0])
  ])
  return Result.getOrThrow(
    Block.decode(Buffer.concat([header, Buffer.from([36]), Buffer.alloc(36), Buffer.from([1]), coinbase]))
  )
}

/** Watches a node that stays at 5000 beside ten groups at 5000, which advertise `block` after a minute. */
const watch = (
  block: Block,
  more: {
    readonly height?: number
    readonly minutes?: number
    /** Which of the peers do not give the block; by default all do. */
    readonly holds?: (peer: number, asked: number) => boolean
    readonly items?: ReadonlyArray<Block>
    /** Peers that advertise it, the first ones; all unless told. */
    readonly advertising?: number
    /** Whether the node is there to be asked. */
    readonly isThere?: boolean
  } = {}
) => {
  const asked: Array<{ readonly peer: number; readonly atMillis: number }> = []
  const runtime = new SimRuntime()
  const script = (peer: number): ScriptedPeer.Script => ({
    version: (sent) => ({ ...sent, startHeight: 5000 }),
    begin: ({ say }) =>
      Effect.andThen(
        peer < (more.advertising ?? Infinity) ? Effect.sleep("1 minute") : Effect.never,
        say(Message.Inv({ items: (more.items ?? [block]).map(({ hash }) => ({ _tag: "Block", hash })) }))
      ),
    answer: (message, { say }) => {
      if (message._tag === "Ping") return Effect.as(say(Message.Pong({ nonce: message.nonce })), true)
      if (message._tag === "GetAddr") return Effect.as(say(Message.Addr({ addresses: [] })), true)
      if (message._tag !== "GetData") return Effect.succeed(false)
      asked.push({ peer, atMillis: runtime.nowMillis() })
      return more.holds?.(peer, asked.length) === false
        ? Effect.succeed(true)
        : Effect.as(say(Message.Block({ block })), true)
    }
  })
  const program = Effect.gen(function* () {
    const network = yield* SimNetwork
    const listen = (address: string, script: ScriptedPeer.Script) =>
      Effect.orDie(ScriptedPeer.listen(at(address), script)).pipe(
        Effect.provideService(InboundTransport, network.host(at(address)))
      )
    const others = Array.from({ length: 10 }, (_, n) => `${20 + n}.0.0.1:18233`)
    for (const [n, address] of others.entries()) yield* listen(address, script(n))
    if (more.isThere !== false) {
      yield* listen("19.0.0.1:18233", {
        ...script(-1),
        begin: () => Effect.void,
        version: (sent) => ({ ...sent, startHeight: more.height ?? 5000 })
      })
    }
    const found: Array<Look> = []
    yield* looks({ node: at("19.0.0.1:18233"), from: others.map(at) }).pipe(
      Stream.runForEach((look) => Effect.sync(() => found.push(look))),
      Effect.timeoutOption(`${more.minutes ?? 4} minutes`)
    )
    // What we have closed, they hear of a moment later.
    yield* Effect.sleep("1 second")
    return { found, asked, open: network.openEnds() }
  }).pipe(
    Effect.scoped,
    Effect.provide(
      SimNetwork.layerTransport(at("203.0.113.9:40000")).pipe(
        Layer.provideMerge(SimNetwork.layer),
        Layer.provideMerge(SeededRandom.layer(1)),
        Layer.provideMerge(Layer.succeed(ChainParams, regtest))
      )
    )
  )
  const ending = runtime.run(program, 3600_000)
  if (ending._tag !== "Done" || ending.exit._tag === "Failure") throw new Error(JSON.stringify(ending))
  return ending.exit.value
}

const verdicts = (found: ReadonlyArray<Look>) => found.map(({ source, verdict }) => [verdict, source])

describe("a watch that stays with some", () => {
  it("hears of a block that they advertise, asks one of them for it, and knows that the node is behind", () => {
    const { asked, found, open } = watch(blockAt(5010))
    assert.deepStrictEqual(verdicts(found), [
      ["WithQuorum", "version"],
      ["Behind", "adverts"]
    ])
    assert.lengthOf(asked, 1)
    assert.strictEqual(found[1]?.tip, 5010)
    assert.include(sentenceOf(found[1]!), "by heights of blocks advertised since")
    assert.strictEqual(open, 0)
  })

  it("asks the next one twenty seconds later when it is not given the block", () => {
    const { asked, found } = watch(blockAt(5010), { holds: (_, asked) => asked > 1, minutes: 6 })
    assert.isAtLeast(asked.length, 2)
    assert.notStrictEqual(asked[1]?.peer, asked[0]?.peer)
    assert.isAtLeast((asked[1]?.atMillis ?? 0) - (asked[0]?.atMillis ?? 0), 20_000)
    assert.strictEqual(found.at(-1)?.verdict, "Behind")
  })

  it("does not take an older block, or a list of many, for news", () => {
    const older = watch(blockAt(4000))
    assert.deepStrictEqual(verdicts(older.found), [
      ["WithQuorum", "version"],
      ["WithQuorum", "version"]
    ])
    const many = watch(blockAt(5010), { items: Array.from({ length: 9 }, (_, n) => blockAt(5010, n)) })
    assert.deepStrictEqual([many.asked.length, many.found.at(-1)?.verdict], [0, "WithQuorum"])
  })

  it("believes no block that it has not asked for", () => {
    const { found } = watch(blockAt(5010), { items: [blockAt(5020, 1)] })
    assert.strictEqual(found.at(-1)?.verdict, "WithQuorum")
  })
  it("goes by what some advertise and the others stated, and says so", () => {
    const { found } = watch(blockAt(5010), { advertising: 9 })
    assert.deepStrictEqual(verdicts(found), [
      ["WithQuorum", "version"],
      ["Behind", "both"]
    ])
    assert.include(sentenceOf(found[1]!), "by heights of version messages and blocks advertised since")
  })

  it("does not know where a node is that it cannot reach, though all others agree", () => {
    const { found } = watch(blockAt(5010), { isThere: false, minutes: 1 })
    assert.deepStrictEqual(verdicts(found), [["Unknown", "version"]])
    assert.deepInclude(found[0], { node: null, groups: 10 })
    assert.match(sentenceOf(found[0]!), /^unknown: the node does not answer, or does not state its height;/)
  })
})
