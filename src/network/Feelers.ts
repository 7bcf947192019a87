/**
 * Looks now and then at an address that nobody needs yet, so that those a node has met are people it met lately.
 *
 * Only while every outbound place is taken: else every dial is such a look. The peer is left as soon as it shook hands.
 *
 * Source: Bitcoin Core net.cpp, `ThreadOpenConnections`.
 *
 * @module
 */
import { Duration, Effect, Layer, Option, Random } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { BackgroundTasks, isNetworkEnd, type NetworkEnd, type TaskNameTaken } from "../BackgroundTasks.ts"
import { Policy } from "../Policy.ts"
import { ConnectionSlots } from "./ConnectionSlots.ts"
import { Connector } from "./Connector.ts"
import { InitialPeers } from "./InitialPeers.ts"

/** Looks for as long as it runs; fails when the network ends. */
export const run: Effect.Effect<never, NetworkEnd, AddressBook | ConnectionSlots | Connector> = Effect.gen(
  function* () {
    const policy = yield* Policy
    const book = yield* AddressBook
    const connector = yield* Connector
    const slots = yield* ConnectionSlots
    const look = Effect.gen(function* () {
      // A node that may dial nobody looks at nobody either.
      if (slots.limits.outbound === 0 || slots.hasRoom("outbound")) return
      const candidate = yield* book.takeFeeler
      if (Option.isNone(candidate)) return
      yield* connector.feel(candidate.value.address).pipe(
        // What came of it the book knows.
        Effect.catch(({ reason }) => (isNetworkEnd(reason) ? Effect.fail(reason) : Effect.void))
      )
    })
    while (true) {
      // As if each moment were as likely as any other, so that nobody can tell when.
      const wait = Math.min(policy.longestFeeler, -Math.log(1 - (yield* Random.next)))
      yield* Effect.sleep(Duration.times(policy.feelerInterval, wait))
      yield* look
    }
  }
)

/** The loop as the task `feelers`, from when the first dials are over. Provides nothing. */
export const layer: Layer.Layer<
  never,
  TaskNameTaken,
  AddressBook | BackgroundTasks | ConnectionSlots | Connector | InitialPeers
> = Layer.effectDiscard(
  Effect.gen(function* () {
    const tasks = yield* BackgroundTasks
    const initialPeers = yield* InitialPeers
    yield* tasks.run("feelers", Effect.andThen(initialPeers.awaitStarted, run))
  })
)
