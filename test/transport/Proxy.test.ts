/** A transport that somebody else could write: it dials through a proxy on another host, and nothing above it is different. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Option, Result, Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import { ChainTip } from "../../src/chain/ChainTip.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as ConnectedAddress from "../../src/peer/ConnectedAddress.ts"
import { Handshake } from "../../src/peer/Handshake.ts"
import { InboundRequests } from "../../src/peer/InboundRequests.ts"
import type { ConnectionHost, PeerReport } from "../../src/peer/Peer.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import { type ByteStream, DialError, OutboundTransport } from "../../src/transport/Transport.ts"
import { alice, bob, mallory } from "../support/addresses.ts"

/** Not at a port of ours, so that an error shows whose address it names. */
const proxyAddress = PeerSocketAddress.fromIp(mallory.address, 1080)
const ok = "ok"

/** The first line of a stream, and what came behind it. */
const readLine = Effect.fnUntraced(function* (stream: ByteStream) {
  let read: Buffer = Buffer.alloc(0)
  while (!read.includes("\n")) read = Buffer.concat([read, yield* stream.read])
  const end = read.indexOf("\n")
  return { line: read.subarray(0, end).toString(), rest: read.subarray(end + 1) }
})

/** Each client says where to; then everything goes both ways until one side is through. */
const runProxy = Effect.gen(function* () {
  const { dial, listen } = (yield* SimNetwork).host(proxyAddress)
  const listener = yield* listen(proxyAddress)
  const pipe = (from: ByteStream, to: ByteStream) => Effect.forever(Effect.flatMap(from.read, to.write))
  const serve = Effect.fnUntraced(function* (client: ByteStream) {
    const { line } = yield* readLine(client)
    const target = yield* Effect.result(dial(PeerSocketAddress.fromStringUnsafe(line)))
    yield* client.write(Buffer.from(`${Result.isSuccess(target) ? ok : target.failure.code}\n`))
    if (Result.isFailure(target)) return
    return yield* Effect.raceFirst(pipe(client, target.success), pipe(target.success, client))
  })
  yield* Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const client = yield* Scope.provide(listener.accept, scope)
    yield* serve(client).pipe(
      Effect.ignore,
      Effect.ensuring(Scope.close(scope, Exit.void)),
      Scope.provide(scope),
      Effect.forkScoped
    )
  }).pipe(Effect.forever, Effect.forkScoped)
})

/** All there is to it: one layer, over whatever dials the proxy. */
const throughProxy = Layer.effect(
  OutboundTransport,
  Effect.map(OutboundTransport, (direct) =>
    OutboundTransport.of({
      dial: Effect.fnUntraced(function* (address) {
        const failed = (code: string) =>
          new DialError({ address: PeerSocketAddress.redacted(address), code, cause: "the proxy could not connect" })
        const stream = yield* Effect.mapError(direct.dial(proxyAddress), ({ code }) => failed(code))
        const answer = yield* Effect.andThen(
          stream.write(Buffer.from(`${PeerSocketAddress.format(address)}\n`)),
          readLine(stream)
        ).pipe(Effect.mapError(({ code }) => failed(code === "" ? "ECONNRESET" : code)))
        if (answer.line !== ok) return yield* failed(answer.line)
        let rest: Uint8Array | undefined = answer.rest.length === 0 ? undefined : answer.rest
        const takeRest = Effect.suspend(() => {
          if (rest === undefined) return stream.read
          const bytes = rest
          rest = undefined
          return Effect.succeed(bytes)
        })
        return { ...stream, read: takeRest, remoteAddress: address, proxyAddress } satisfies ByteStream
      })
    })
  )
)

const alicesTransport = throughProxy.pipe(Layer.provide(SimNetwork.layerTransport(alice)))

const handshakeOfItsOwn = Effect.map(
  Layer.build(
    Layer.fresh(Handshake.layer).pipe(
      Layer.provide([
        ChainTip.layerNone,
        InboundRequests.layerNone,
        OwnAddress.layerNone,
        Layer.succeed(ChainParams, regtest)
      ])
    )
  ),
  Context.get(Handshake)
)

const run = <A, E>(
  test: Effect.Effect<A, E, Scope.Scope | SimNetwork | OutboundTransport | SecureRandom.SecureRandom>
) =>
  test.pipe(
    Effect.scoped,
    Effect.provide(alicesTransport.pipe(Layer.provideMerge(SimNetwork.layer))),
    Effect.provide(SeededRandom.layer("proxy"))
  )

describe("a transport that goes through a proxy", () => {
  it.effect("makes peers whose connection says so, and whom no address of the book belongs to", () =>
    run(
      Effect.gen(function* () {
        yield* runProxy
        const listener = yield* (yield* SimNetwork).host(bob).listen(bob)
        const reports: Array<PeerReport> = []
        const host: ConnectionHost = {
          report: (_, report) => Effect.sync(() => reports.push(report)),
          mayAdvertise: () => Effect.succeed(true)
        }
        const accepting = yield* Effect.forkChild(
          Effect.gen(function* () {
            const stream = yield* listener.accept
            return yield* (yield* handshakeOfItsOwn).run(stream, ConnectedAddress.inbound(stream), host)
          })
        )
        const stream = yield* (yield* OutboundTransport).dial(bob)
        const connected = ConnectedAddress.outbound(bob, stream)
        const toBob = yield* (yield* handshakeOfItsOwn).run(stream, connected, host)
        const toAlice = yield* Fiber.join(accepting)

        assert.deepStrictEqual(toBob.info.connectedAddress, {
          _tag: "OutboundProxy",
          proxyAddress,
          transientLocalAddress: stream.localAddress
        })
        assert.isFalse(toBob.isInbound)
        assert.deepStrictEqual(stream.remoteAddress, bob)
        assert.deepStrictEqual(stream.localAddress.address, alice.address)
        assert.deepStrictEqual(toBob.transientAddress, stream.localAddress)
        // Bob sees the proxy, and nothing that tells him that it is one.
        assert.strictEqual(toAlice.info.connectedAddress._tag, "InboundDirect")
        assert.deepStrictEqual(
          Option.fromUndefinedOr(toAlice.transientAddress?.address),
          Option.some(proxyAddress.address)
        )
        assert.strictEqual((yield* toBob.request({ _tag: "Peers" }))._tag, "Peers")
        assert.strictEqual((yield* toAlice.request({ _tag: "Peers" }))._tag, "Peers")
        assert.deepStrictEqual(reports.filter(({ _tag }) => _tag === "Connected").length, 2)
      })
    )
  )

  it.effect("fails as any other where the proxy reaches nobody, without the address", () =>
    run(
      Effect.gen(function* () {
        yield* runProxy
        const error = yield* Effect.flip((yield* OutboundTransport).dial(bob))
        assert.deepStrictEqual(
          [error._tag, error.code, error.address],
          ["DialError", "ECONNREFUSED", "v4redacted:8233"]
        )
      })
    )
  )

  it.effect("fails as any other where there is no proxy", () =>
    run(
      Effect.gen(function* () {
        const error = yield* Effect.flip((yield* OutboundTransport).dial(bob))
        assert.deepStrictEqual(
          [error._tag, error.code, error.address],
          ["DialError", "ECONNREFUSED", "v4redacted:8233"]
        )
      })
    )
  )
})
