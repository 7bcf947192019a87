/** The port of a node, over real TCP and over a simulated network. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option } from "effect"
import { NetAddress } from "effect/net"
import { BackgroundTasks, NetworkClosed } from "../../src/BackgroundTasks.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { ListeningPort, type Options } from "../../src/transport/ListeningPort.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import { InboundTransport, ListenError, OutboundTransport } from "../../src/transport/Transport.ts"
import { loopback, mallory } from "../support/addresses.ts"
import { kinds } from "../support/kinds.ts"
import { linesOf } from "../support/logs.ts"
import { elapse } from "../support/time.ts"

const text = Option.map(PeerSocketAddress.format)

for (const { from, name, test } of kinds) {
  const host = loopback(54)
  const transports = from(NetAddress.formatIp(host.address))

  /** A node as far as this service goes. */
  const bind = (address: PeerSocketAddress.PeerSocketAddress, options?: Options) =>
    ListeningPort.layer(address, options).pipe(Layer.provideMerge(BackgroundTasks.layer), Layer.provide(transports))

  const dial = (to: PeerSocketAddress.PeerSocketAddress) =>
    Effect.flatMap(OutboundTransport, (transport) => transport.dial(to)).pipe(
      Effect.provide(from(NetAddress.formatIp(loopback(55).address)))
    )

  describe(`the port of a node over ${name}`, () => {
    test("is bound when the layer is there, with the port that the system chose", () =>
      Effect.gen(function* () {
        const node = yield* Layer.build(bind(host))
        const { gossiped, listening, stated } = Context.get(node, OwnAddress)
        assert.isAbove(stated.port, 0)
        assert.deepStrictEqual(stated.address, host.address)
        assert.deepStrictEqual([listening, gossiped], [Option.some(stated), Option.some(stated)])

        const stream = yield* dial(stated)
        const accepted = yield* Context.get(node, ListeningPort).accept
        assert.deepStrictEqual(accepted.remoteAddress, stream.localAddress)
      }).pipe(Effect.scoped, Effect.provide(SimNetwork.layer)))

    test("is not what others are told when there is an external address", () =>
      Effect.gen(function* () {
        const own = Context.get(yield* Layer.build(bind(host, { external: mallory })), OwnAddress)
        assert.deepStrictEqual([own.stated, own.gossiped], [mallory, Option.some(mallory)])
        assert.deepStrictEqual(Option.getOrThrow(own.listening).address, host.address)
      }).pipe(Effect.scoped, Effect.provide(SimNetwork.layer)))

    test("is stated but not told on all addresses at once, for nobody could dial that", () =>
      Effect.gen(function* () {
        const anywhere = PeerSocketAddress.fromIp(NetAddress.ipv4Unspecified, 0)
        const own = Context.get(yield* Layer.build(bind(anywhere)), OwnAddress)
        assert.isAbove(own.stated.port, 0)
        assert.deepStrictEqual(own.stated.address, NetAddress.ipv4Unspecified)
        assert.deepStrictEqual([own.listening, own.gossiped], [Option.some(own.stated), Option.none()])
      }).pipe(Effect.scoped, Effect.provide(SimNetwork.layer)))

    test("is a typed error when it is taken", () =>
      Effect.gen(function* () {
        const { stated } = Context.get(yield* Layer.build(bind(host)), OwnAddress)
        const error = yield* Effect.flip(Layer.build(Layer.fresh(bind(stated))))
        assert.deepStrictEqual(
          [error._tag, error.code, error.address],
          ["ListenError", "EADDRINUSE", PeerSocketAddress.format(stated)]
        )
      }).pipe(Effect.scoped, Effect.provide(SimNetwork.layer)))

    test("is free as soon as the network ends, while its layers are still there, and who waits is cut", () =>
      Effect.gen(function* () {
        const node = yield* Layer.build(bind(host))
        const { stated } = Context.get(node, OwnAddress)
        const waiting = yield* dial(stated)
        yield* Context.get(node, BackgroundTasks).end(new NetworkClosed())
        assert.include(["Eof", "Reset"], (yield* Effect.flip(waiting.read)).reason)
        const again = yield* Effect.flatMap(InboundTransport, (transport) => transport.listen(stated)).pipe(
          Effect.provide(transports)
        )
        assert.deepStrictEqual(again.address, stated)
      }).pipe(Effect.scoped, Effect.provide(SimNetwork.layer)))
  })
}

describe("a node without a port", () => {
  const build = (options?: Options) =>
    Effect.map(Layer.build(ListeningPort.layerNone(options)), (node) => ({
      port: Context.get(node, ListeningPort),
      own: Context.get(node, OwnAddress)
    }))

  it.effect("accepts nobody, for as long as it runs", () =>
    Effect.gen(function* () {
      const { port } = yield* build()
      const accepting = yield* Effect.forkChild(Effect.scoped(port.accept), { startImmediately: true })
      yield* elapse("2 hours", "1 hour")
      assert.isUndefined(accepting.pollUnsafe())
      yield* Fiber.interrupt(accepting)
    }).pipe(Effect.scoped)
  )

  it.effect("states 0.0.0.0:0 and tells nothing", () =>
    Effect.gen(function* () {
      const { own } = yield* build()
      assert.strictEqual(PeerSocketAddress.format(own.stated), "0.0.0.0:0")
      assert.deepStrictEqual([own.listening, own.gossiped], [Option.none(), Option.none()])
    }).pipe(Effect.scoped)
  )

  it.effect("states and tells its external address, if it has one", () =>
    Effect.gen(function* () {
      const { own } = yield* build({ external: mallory })
      assert.deepStrictEqual(text(own.gossiped), Option.some("203.0.113.3:8233"))
      assert.deepStrictEqual([own.stated, own.listening], [mallory, Option.none()])
    }).pipe(Effect.scoped)
  )
})

describe("a port everywhere", () => {
  /** A machine that answers `[::]` so; everything else is taken. */
  const machineThat = (code: string) =>
    Layer.mock(InboundTransport, {
      listen: (address) =>
        PeerSocketAddress.format(address).startsWith("[::]")
          ? Effect.fail(new ListenError({ address: PeerSocketAddress.format(address), code, cause: code }))
          : Effect.succeed({ address, accept: Effect.never })
    })
  const bound = (address: string, machine: Layer.Layer<InboundTransport>) =>
    Effect.map(
      Layer.build(
        ListeningPort.layer(PeerSocketAddress.fromStringUnsafe(address)).pipe(
          Layer.provide(Layer.merge(BackgroundTasks.layer, machine))
        )
      ),
      (node) => PeerSocketAddress.format(Context.get(node, OwnAddress).stated)
    ).pipe(Effect.scoped)

  it.effect.each(["EAFNOSUPPORT", "EADDRNOTAVAIL"])(
    "is every IPv4 where there is no IPv6 (%s), with one warning",
    (code) =>
      Effect.gen(function* () {
        const lines = yield* linesOf(
          Effect.tap(bound("[::]:8233", machineThat(code)), (found) =>
            Effect.sync(() => assert.strictEqual(found, "0.0.0.0:8233"))
          )
        )
        assert.deepStrictEqual(lines, ["Warn: this machine has no IPv6: listening on IPv4 only"])
      })
  )

  it.effect("is an error for any other reason, as is one IPv6 that is not there", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(bound("[::]:8233", machineThat("EADDRINUSE")))).code, "EADDRINUSE")
      const nowhere = Layer.mock(InboundTransport, {
        listen: () => Effect.fail(new ListenError({ address: "", code: "EADDRNOTAVAIL", cause: "" }))
      })
      assert.strictEqual((yield* Effect.flip(bound("[2001:db8::1]:8233", nowhere))).code, "EADDRNOTAVAIL")
    })
  )
})
