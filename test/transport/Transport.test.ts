/** What every transport keeps to: over real loopback TCP and over the simulated network, the same tests. */
import { connect } from "node:net"
import { networkInterfaces } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Result, Scheduler, Scope } from "effect"
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import * as TcpTransport from "../../src/transport/TcpTransport.ts"
import {
  type ByteStream,
  maxWaitingStreams,
  StreamClosed,
  InboundTransport,
  OutboundTransport
} from "../../src/transport/Transport.ts"
import { Zones } from "../../src/transport/Zones.ts"
import { kinds } from "../support/kinds.ts"

const loopback = (last: number, port = 0) => PeerSocketAddress.fromStringUnsafe(`127.0.0.${last}:${port}`)

const text = (chunks: ReadonlyArray<Uint8Array>) => Buffer.concat(chunks).toString()
const bytes = (text: string) => new Uint8Array(Buffer.from(text))

/** Reads until `count` bytes came. */
const readExactly = Effect.fnUntraced(function* (stream: ByteStream, count: number) {
  const chunks: Array<Uint8Array> = []
  for (let got = 0; got < count;) {
    const chunk = yield* stream.read
    assert.isAbove(chunk.length, 0)
    chunks.push(Uint8Array.from(chunk))
    got += chunk.length
  }
  return Buffer.concat(chunks)
})

/** How a stream ended, after everything that came before. */
const endOf = Effect.fnUntraced(function* (stream: ByteStream) {
  for (;;) {
    const chunk = yield* Effect.result(stream.read)
    if (Result.isFailure(chunk)) return chunk.failure
  }
})

const eof = new StreamClosed({ reason: "Eof", code: "" })

for (const { from, name } of kinds) {
  const dialler = loopback(51)
  const listening = loopback(52)

  /** Bob listens, Alice dials; each end closes with a scope of its own. */
  const pair = Effect.gen(function* () {
    const scope = yield* Effect.scope
    const alice = yield* Layer.build(from(NetAddress.formatIp(dialler.address)))
    const bob = yield* Layer.build(from(NetAddress.formatIp(listening.address)))
    const listener = yield* Effect.flatMap(InboundTransport, (transport) => transport.listen(listening)).pipe(
      Effect.provideContext(bob)
    )
    const dial = Effect.flatMap(OutboundTransport, (transport) => transport.dial(listener.address)).pipe(
      Effect.provideContext(alice)
    )
    const open = Effect.gen(function* () {
      const [aliceScope, bobScope] = [yield* Scope.fork(scope), yield* Scope.fork(scope)]
      const alices = yield* Scope.provide(dial, aliceScope)
      const bobs = yield* Scope.provide(listener.accept, bobScope)
      return {
        alices,
        bobs,
        closeAlice: Scope.close(aliceScope, Exit.void),
        closeBob: Scope.close(bobScope, Exit.void)
      }
    })
    return { alice, bob, listener, dial, open }
  })

  describe(`a stream over ${name}`, () => {
    const run =
      <A, E>(test: Effect.Effect<A, E, Scope.Scope | SimNetwork>) =>
      () =>
        test.pipe(Effect.scoped, Effect.provide(SimNetwork.layer))

    it.live(
      "brings bytes both ways, in order, and counts them",
      run(
        Effect.gen(function* () {
          const { alices, bobs } = yield* Effect.flatMap(pair, ({ open }) => open)
          yield* alices.write(bytes("one "))
          yield* alices.write(bytes("two"))
          assert.strictEqual(text([yield* readExactly(bobs, 7)]), "one two")
          yield* bobs.write(bytes("three"))
          assert.strictEqual(text([yield* readExactly(alices, 5)]), "three")
          assert.deepStrictEqual(
            [alices.bytesWritten(), alices.bytesRead(), bobs.bytesWritten(), bobs.bytesRead()],
            [7, 5, 5, 7]
          )
        })
      )
    )

    it.live(
      "misses nothing that comes while a reader gives way between its look and its wait",
      run(
        Effect.gen(function* () {
          const { open } = yield* pair
          for (const operations of [3, 4, 5, 6, 7]) {
            const { alices, bobs, closeAlice } = yield* open
            const echo = Effect.forever(Effect.flatMap(bobs.read, (chunk) => bobs.write(Uint8Array.from(chunk))))
            yield* Effect.forkScoped(Effect.ignore(echo))
            yield* Effect.gen(function* () {
              for (let n = 0; n < 30; n++) {
                yield* alices.write(bytes("x"))
                assert.strictEqual(text([yield* readExactly(alices, 1)]), "x")
              }
            }).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, operations))
            yield* closeAlice
          }
        })
      )
    )

    it.live(
      "misses no room that comes while a writer gives way between its look and its wait",
      run(
        Effect.gen(function* () {
          const { alices, bobs } = yield* Effect.flatMap(pair, ({ open }) => open)
          // More than the system takes at once.
          const large = new Uint8Array(12 * 1_048_576)
          for (const operations of [3, 4, 5]) {
            const writing = yield* Effect.forkChild(
              Effect.provideService(alices.write(large), Scheduler.MaxOpsBeforeYield, operations),
              { startImmediately: true }
            )
            // All that there is, before the writer comes to wait.
            for (let got = 0; got < large.length;) got += (yield* bobs.read).length
            yield* Fiber.join(writing)
          }
        })
      )
    )

    it.live(
      "says who is at both ends, and dials from the host's own IP",
      run(
        Effect.gen(function* () {
          const { listener, open } = yield* pair
          const { alices, bobs } = yield* open
          assert.strictEqual(PeerSocketAddress.format(alices.remoteAddress), PeerSocketAddress.format(listener.address))
          assert.isAbove(listener.address.port, 0)
          assert.deepStrictEqual(bobs.remoteAddress, alices.localAddress)
          assert.deepStrictEqual(alices.localAddress.address, dialler.address)
          assert.deepStrictEqual(bobs.localAddress, alices.remoteAddress)
          assert.deepStrictEqual([alices.proxyAddress, bobs.proxyAddress], [undefined, undefined])
        })
      )
    )

    it.live(
      "ends with what was written before, when the other side closes",
      run(
        Effect.gen(function* () {
          const { alices, bobs, closeAlice } = yield* Effect.flatMap(pair, ({ open }) => open)
          yield* alices.write(bytes("last words"))
          yield* closeAlice
          assert.strictEqual(text([yield* readExactly(bobs, 10)]), "last words")
          assert.deepStrictEqual(yield* endOf(bobs), eof)
          assert.deepStrictEqual(yield* Effect.flip(alices.read), new StreamClosed({ reason: "Local", code: "" }))
          assert.deepStrictEqual(
            yield* Effect.flip(alices.write(bytes("more"))),
            new StreamClosed({ reason: "Local", code: "" })
          )
        })
      )
    )

    it.live(
      "ends with all that was written in one turn, when it is closed in that turn",
      run(
        Effect.gen(function* () {
          const { alices, bobs, closeAlice } = yield* Effect.flatMap(pair, ({ open }) => open)
          const words = Array.from({ length: 20 }, (_, index) => `word ${index} `)
          for (const word of words) yield* alices.write(bytes(word))
          yield* closeAlice
          assert.strictEqual(text([yield* readExactly(bobs, words.join("").length)]), words.join(""))
          assert.deepStrictEqual(yield* endOf(bobs), eof)
        })
      )
    )

    it.live(
      "that the other side closed has ended and not broken, also for who writes on",
      run(
        Effect.gen(function* () {
          const { alices, bobs, closeBob } = yield* Effect.flatMap(pair, ({ open }) => open)
          yield* bobs.write(bytes("last words"))
          yield* closeBob
          const writing = alices.write(bytes("more")).pipe(Effect.andThen(Effect.yieldNow), Effect.forever)
          assert.strictEqual((yield* Effect.flip(writing)).reason, "Eof")
          assert.strictEqual((yield* endOf(alices)).reason, "Eof")
        })
      )
    )

    it.live(
      "makes a writer wait whose bytes nobody reads, and loses none of them",
      run(
        Effect.gen(function* () {
          const { alices, bobs } = yield* Effect.flatMap(pair, ({ open }) => open)
          const chunk = new Uint8Array(1 << 20).fill(7)
          const writing = yield* Effect.forkScoped(
            Effect.gen(function* () {
              for (let n = 0; n < 32; n++) yield* alices.write(chunk)
            })
          )
          // Had all been taken at once, all would be taken by now.
          const first = Uint8Array.from(yield* bobs.read)
          assert.isUndefined(writing.pollUnsafe())
          const others = yield* readExactly(bobs, (32 << 20) - first.length)
          yield* Fiber.join(writing)
          for (const part of [first, others]) assert.isTrue(part.every((byte) => byte === 7))
        })
      )
    )

    it.live(
      "loses nothing when a read is interrupted",
      run(
        Effect.gen(function* () {
          const { alices, bobs } = yield* Effect.flatMap(pair, ({ open }) => open)
          for (let round = 0; round < 20; round++) {
            const reading = yield* Effect.forkScoped(bobs.read, { startImmediately: true })
            yield* Fiber.interrupt(reading)
          }
          yield* alices.write(bytes("kept"))
          assert.strictEqual(text([yield* readExactly(bobs, 4)]), "kept")
        })
      )
    )

    it.live(
      "that is full takes no more, also after a write was interrupted, and brings all that it took",
      run(
        Effect.gen(function* () {
          const { alices, bobs } = yield* Effect.flatMap(pair, ({ open }) => open)
          // More than the buffers of any system hold, and nobody reads.
          const writing = yield* Effect.forkScoped(alices.write(Buffer.alloc(12 * 1_048_576, 7)), {
            startImmediately: true
          })
          yield* Fiber.interrupt(writing)
          const taken = alices.bytesWritten()
          const next = yield* Effect.forkScoped(alices.write(bytes("the last")), { startImmediately: true })
          assert.strictEqual(alices.bytesWritten(), taken)
          const read = yield* readExactly(bobs, taken + 8)
          yield* Fiber.join(next)
          assert.strictEqual(text([read.subarray(taken)]), "the last")
          assert.isTrue(read.subarray(0, taken).equals(Buffer.alloc(taken, 7)))
        })
      )
    )

    it.live(
      "has one reader: a second one is a bug, and the first goes on",
      run(
        Effect.gen(function* () {
          const { alices, bobs } = yield* Effect.flatMap(pair, ({ open }) => open)
          const first = yield* Effect.forkScoped(bobs.read, { startImmediately: true })
          const second = yield* Effect.exit(bobs.read)
          assert.isTrue(Exit.hasDies(second))
          yield* alices.write(bytes("one"))
          assert.strictEqual(text([yield* Fiber.join(first)]), "one")
        })
      )
    )

    it.live(
      "takes at once what there is room for, in order with what is written, and nothing else",
      run(
        Effect.gen(function* () {
          const { alices, bobs, closeAlice } = yield* Effect.flatMap(pair, ({ open }) => open)
          yield* alices.write(bytes("one, "))
          assert.isTrue(alices.writeNow?.(bytes("two, ")))
          yield* alices.write(bytes("three"))
          assert.strictEqual(text([yield* readExactly(bobs, 15)]), "one, two, three")
          assert.isFalse(alices.writeNow?.(new Uint8Array(200_000)))
          assert.strictEqual(alices.bytesWritten(), 15)
          yield* alices.write(bytes("!"))
          assert.strictEqual(text([yield* readExactly(bobs, 1)]), "!")
          yield* closeAlice
          assert.isFalse(alices.writeNow?.(bytes("more")))
          assert.deepStrictEqual(yield* endOf(bobs), eof)
        })
      )
    )

    it.live(
      "is read without a fiber as with one: what is there, or a call when something may be, and how it ended",
      run(
        Effect.gen(function* () {
          const { alices, bobs, closeAlice } = yield* Effect.flatMap(pair, ({ open }) => open)
          /** The next chunk or the end, after as many calls as it takes. */
          const next = Effect.callback<Uint8Array | StreamClosed | undefined>((resume) => {
            const look = () => {
              const taken = bobs.readNow?.(look)
              if (taken !== undefined) resume(Effect.succeed(taken))
            }
            look()
          })
          const waiting = yield* Effect.forkScoped(next, { startImmediately: true })
          assert.throws(() => bobs.readNow?.(() => undefined), "each stream has one reader")
          yield* alices.write(bytes("words"))
          const first = yield* Fiber.join(waiting)
          assert.strictEqual(first instanceof Uint8Array && text([first]), "words")
          assert.strictEqual(bobs.bytesRead(), 5)
          yield* closeAlice
          assert.deepStrictEqual(yield* next, eof)
          assert.deepStrictEqual(yield* Effect.flip(bobs.read), eof)
        })
      )
    )

    it.live(
      "is refused where nobody listens",
      run(
        Effect.gen(function* () {
          const { alice } = yield* pair
          const error = yield* Effect.flip(
            Effect.flatMap(OutboundTransport, (transport) => transport.dial(loopback(53, 1))).pipe(
              Effect.provideContext(alice)
            )
          )
          assert.deepStrictEqual([error._tag, error.code, error.address], ["DialError", "ECONNREFUSED", "v4redacted:1"])
          assert.notInclude(Cause.pretty(Cause.fail(error)), "127.0.")
        })
      )
    )

    it.live(
      "is not listened for twice on one port, and again when the first listener is gone",
      run(
        Effect.gen(function* () {
          const { bob, listener } = yield* pair
          const listenAgain = Effect.flatMap(InboundTransport, (transport) => transport.listen(listener.address)).pipe(
            Effect.provideContext(bob)
          )
          const error = yield* Effect.flip(listenAgain)
          assert.deepStrictEqual([error._tag, error.code], ["ListenError", "EADDRINUSE"])
          const port = yield* Effect.scoped(
            Effect.flatMap(InboundTransport, (transport) => transport.listen(listening)).pipe(
              Effect.provideContext(bob),
              Effect.map(({ address }) => address)
            )
          )
          const again = yield* Effect.flatMap(InboundTransport, (transport) => transport.listen(port)).pipe(
            Effect.provideContext(bob)
          )
          assert.strictEqual(again.address.port, port.port)
        })
      )
    )

    it.live(
      "waits to be accepted, first come first served, also when an accept was interrupted",
      run(
        Effect.gen(function* () {
          const { dial, listener } = yield* pair
          const waiting = yield* Effect.forkScoped(Effect.scoped(listener.accept), { startImmediately: true })
          yield* Fiber.interrupt(waiting)
          const first = yield* dial
          yield* first.write(bytes("first"))
          const second = yield* dial
          yield* second.write(bytes("second"))
          assert.strictEqual(text([yield* readExactly(yield* listener.accept, 5)]), "first")
          assert.strictEqual(text([yield* readExactly(yield* listener.accept, 6)]), "second")
        })
      )
    )

    it.live(
      `is refused beyond ${maxWaitingStreams} that wait`,
      run(
        Effect.gen(function* () {
          const { dial, listener } = yield* pair
          const streams: Array<ByteStream> = []
          for (let n = 0; n < maxWaitingStreams + 3; n++) {
            const stream = yield* Effect.result(dial)
            if (Result.isSuccess(stream)) streams.push(stream.success)
          }
          // The last ones were let in and cut off at once, or not let in at all.
          for (const stream of streams.slice(maxWaitingStreams)) {
            const end = yield* endOf(stream)
            assert.strictEqual(end.reason, "Reset")
          }
          for (let n = 0; n < maxWaitingStreams; n++) yield* listener.accept
          // Nobody waits any more: the next one is who comes now.
          const late = yield* dial
          yield* late.write(bytes("late"))
          assert.strictEqual(text([yield* readExactly(yield* listener.accept, 4)]), "late")
        })
      )
    )

    it.live(
      "that waits to be accepted is cut when the listener closes",
      run(
        Effect.gen(function* () {
          const { alice, bob } = yield* pair
          const scope = yield* Scope.fork(yield* Effect.scope)
          const listener = yield* Effect.flatMap(InboundTransport, (transport) => transport.listen(listening)).pipe(
            Effect.provideContext(bob),
            Scope.provide(scope)
          )
          const stream = yield* Effect.flatMap(OutboundTransport, (transport) => transport.dial(listener.address)).pipe(
            Effect.provideContext(alice)
          )
          yield* Scope.close(scope, Exit.void)
          assert.include(["Eof", "Reset"], (yield* endOf(stream)).reason)
        })
      )
    )
  })
}

/** An address of this machine that means nothing without its interface. */
const linkLocal = Object.entries(networkInterfaces())
  .flatMap(([zone, addresses = []]) => addresses.map(({ address }) => ({ zone, ip: address })))
  .find(({ ip }) => /^fe80:/i.test(ip))
if (linkLocal === undefined) console.log("link-local addresses are not dialled: this machine has none")

describe("a stream over TCP", () => {
  it.live.skipIf(linkLocal === undefined)(
    "is listened for and dialled on the interface of a link-local address",
    () => {
      const { ip, zone } = linkLocal ?? { ip: "fe80::1", zone: "" }
      const address = PeerSocketAddress.fromStringUnsafe(`[${ip}]:0`)
      const meet = Effect.gen(function* () {
        const listener = yield* Effect.flatMap(InboundTransport, (transport) => transport.listen(address))
        const stream = yield* Effect.flatMap(OutboundTransport, (transport) => transport.dial(listener.address))
        return stream.remoteAddress.address
      }).pipe(Effect.scoped)
      return Effect.gen(function* () {
        const zones = Layer.succeed(Zones, new Map([[NetAddress.formatIp(address.address), zone]]))
        const met = yield* Effect.provide(meet, TcpTransport.layer.pipe(Layer.provide(zones)))
        // Nobody else hears of the interface.
        assert.deepStrictEqual(met, address.address)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.provide(meet, TcpTransport.layer))))
      })
    }
  )

  it.live("that is reset while it waits to be accepted is passed over, for the next one", () =>
    Effect.gen(function* () {
      const listener = yield* Effect.flatMap(InboundTransport, (transport) => transport.listen(loopback(54)))
      yield* Effect.callback<void>((resume) => {
        const leaving = connect(listener.address.port, "127.0.0.54", () => leaving.resetAndDestroy())
        leaving.on("close", () => resume(Effect.void))
      })
      const staying = yield* Effect.flatMap(OutboundTransport, (transport) => transport.dial(listener.address))
      yield* staying.write(bytes("here"))
      assert.strictEqual(text([yield* readExactly(yield* listener.accept, 4)]), "here")
    }).pipe(Effect.scoped, Effect.provide(TcpTransport.layer))
  )

  it.live("is dialled from an IPv4 address also where that was given in its IPv6 spelling (advisory A1)", () =>
    Effect.gen(function* () {
      const listener = yield* Effect.flatMap(InboundTransport, (transport) => transport.listen(loopback(52)))
      const stream = yield* Effect.flatMap(OutboundTransport, (transport) => transport.dial(listener.address))
      assert.deepStrictEqual(stream.localAddress.address, loopback(51).address)
    }).pipe(Effect.scoped, Effect.provide(TcpTransport.layerFrom(NetAddress.ipFromStringUnsafe("::ffff:127.0.0.51"))))
  )
})
