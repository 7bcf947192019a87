/**
 * Nodes that come to us: those behind NAT among them, which nobody can dial.
 *
 * A node comes because somebody told it our address, and others are told of it by the `version` of our visits. We offer
 * nothing, and say so, so most nodes have no reason to come, and their number is no estimate of anything.
 *
 * **Security**
 *
 * So many at a time and one of each host; each has the times and limits of a visit, and is heard of once a run.
 *
 * @module
 */
import { Clock, Effect, Exit, FiberSet, Queue, Result, Scope, Stream } from "effect"
import type { SecureRandom } from "effect/crypto"
import { ChainParams } from "../chain/ChainParams.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import { MessageStream } from "../peer/MessageStream.ts"
import { Policy } from "../Policy.ts"
import { type ByteStream, InboundTransport, type ListenError } from "../transport/Transport.ts"
import { CensusPolicy } from "./CensusPolicy.ts"
import { Finding, hostOf } from "./Finding.ts"
import * as Visits from "./Visit.ts"

/** Connections at the same time; more are closed at once. */
const maxGuests = 64

/** Listens at once, and finds whoever comes for as long as it is read. The port is given back with the scope. */
export const guests = Effect.fnUntraced(function* (
  listen: PeerSocketAddress,
  greeting: Visits.Greeting
): Effect.fn.Return<
  Stream.Stream<Finding>,
  ListenError,
  ChainParams | InboundTransport | Scope.Scope | SecureRandom.SecureRandom
> {
  const { maxHosts } = yield* CensusPolicy
  const transport = yield* InboundTransport
  const listener = yield* transport.listen(listen)
  const services = yield* Effect.context<ChainParams | SecureRandom.SecureRandom>()
  return Stream.callback<Finding>(
    Effect.fnUntraced(function* (queue) {
      const known = new Set<string>()
      const inside = new Set<string>()
      const hosts = yield* FiberSet.make<void>()
      while (true) {
        const scope = yield* Scope.make()
        const stream = yield* Effect.onInterrupt(Scope.provide(listener.accept, scope), () =>
          Scope.close(scope, Exit.void)
        )
        const host = hostOf(stream.remoteAddress)
        const close = Scope.close(scope, Exit.void)
        if (inside.size >= maxGuests || inside.has(host) || known.has(host) || known.size >= maxHosts) {
          yield* FiberSet.run(hosts, close)
          continue
        }
        inside.add(host)
        yield* FiberSet.run(
          hosts,
          receive(stream, greeting).pipe(
            Effect.flatMap((finding) => {
              if (finding === undefined) return Effect.void
              known.add(host)
              return Effect.asVoid(Queue.offer(queue, finding))
            }),
            Effect.ensuring(
              Effect.andThen(
                Effect.sync(() => inside.delete(host)),
                close
              )
            ),
            Effect.provideContext(services)
          )
        )
      }
    }),
    { bufferSize: maxGuests }
  )
})

/** Whoever came says `version`, is told ours, and let go. */
const receive = Effect.fnUntraced(function* (stream: ByteStream, greeting: Visits.Greeting) {
  const numbers = yield* CensusPolicy
  const chain = yield* ChainParams
  const messages = new MessageStream(stream, chain.magic, yield* Policy, yield* Effect.context<never>())
  const ours = yield* Visits.ourVersion(stream.remoteAddress, greeting)
  const exchanged = yield* Visits.exchangeVersions(messages, ours, false).pipe(
    Effect.tap((exchange) => Visits.finish(messages, exchange)),
    Effect.result,
    Effect.timeoutOption(numbers.handshakeTimeout)
  )
  if (exchanged._tag === "None" || Result.isFailure(exchanged.value)) return undefined
  const { refusal, remote: version } = exchanged.value.success.met
  if (refusal !== undefined) return undefined
  return Finding.Came({
    address: stream.remoteAddress,
    atMillis: yield* Clock.currentTimeMillis,
    protocolVersion: version.version,
    services: version.services,
    userAgent: version.userAgent,
    height: Visits.heightOf(version)
  })
})
