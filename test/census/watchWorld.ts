/** A network in memory to watch a node in: honest nodes, and Sybils of one group. */
import { Clock, Effect, Layer, Stream } from "effect"
import { type Look, looks } from "../../src/census/Watch.ts"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as ScriptedPeer from "../../src/simulation/ScriptedPeer.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { SimRuntime } from "../../src/simulation/SimRuntime.ts"
import { InboundTransport } from "../../src/transport/Transport.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { Message } from "../../src/wire/Message.ts"

const at = PeerSocketAddress.fromStringUnsafe

/** A hundred honest nodes of as many groups, sixty of a hundred of all hosts in one group with a false tip, and one node. */
export const watch = (
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
