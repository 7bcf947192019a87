import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger, Metric, Scope } from "effect"
import { ClientDropped } from "../../src/peer/Peer.ts"
import { Overloaded } from "../../src/peer/InboundRequests.ts"
import type { Request } from "../../src/peer/Request.ts"
import * as LinkRule from "../../src/simulation/LinkRule.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { Message } from "../../src/wire/Message.ts"
import { alice, bob as bobAddress } from "../support/addresses.ts"
import { block, hash, transaction, txId } from "./items.ts"
import { smallMessages } from "./machineWorld.ts"
import { pass, rig, start, world } from "./rig.ts"

const connected = { _tag: "OutboundDirect", address: bobAddress } as const

const requests: ReadonlyArray<Request> = [
  { _tag: "Peers" },
  { _tag: "MempoolTransactionIds" },
  { _tag: "FindBlocks", known: [], stop: undefined },
  { _tag: "FindHeaders", known: [], stop: undefined },
  { _tag: "BlocksByHash", hashes: new Set([block(1).hash, block(2).hash]) },
  { _tag: "BlockDownload", hash: block(3).hash, advertiser: undefined },
  { _tag: "TransactionsById", ids: new Set([transaction(1).id, transaction(2).id]) },
  { _tag: "AdvertiseTransactionIds", ids: new Set([txId(1)]), source: undefined },
  { _tag: "PushTransaction", transaction: transaction(3), source: undefined }
]

/** What each request may succeed with. */
const kinds: Record<Request["_tag"], string> = {
  Peers: "Peers",
  MempoolTransactionIds: "TransactionIds",
  FindBlocks: "BlockHashes",
  FindHeaders: "BlockHeaders",
  BlocksByHash: "Blocks",
  BlockDownload: "Blocks",
  TransactionsById: "Transactions",
  AdvertiseTransactionIds: "Nil",
  PushTransaction: "Nil"
}

const messages: ReadonlyArray<Message> = [Message.Addr({ addresses: [] }), ...smallMessages]

const fibers = Effect.map(Metric.snapshot, (metrics) => {
  const active = metrics.find(({ id }) => id === "child_fibers_active")
  return active?.type === "Gauge" ? Number(active.state.value) : 0
})

/** One life of a connection, as chance has it: what both sides do, when, and how it ends. */
const life = Effect.fnUntraced(function* (seed: number) {
  const next = SeededRandom.fractions(SeededRandom.draws(seed, "life"))
  const below = (count: number) => Math.floor(next() * count)
  const network = yield* SimNetwork
  const before = yield* fibers
  const waiting: Array<{
    readonly request: Request
    readonly exit: () => Exit.Exit<{ readonly _tag: string }, unknown> | undefined
    readonly cancel: Effect.Effect<void>
  }> = []

  yield* Effect.scoped(
    Effect.gen(function* () {
      const { bob, closeAlice, closeBob, peer } = yield* rig({
        connected,
        answer: () => {
          const draw = next()
          if (draw < 0.3) return Effect.succeed({ _tag: "Nil" })
          if (draw < 0.6) return Effect.as(Effect.sleep(`${below(6000)} millis`), { _tag: "Nil" })
          if (draw < 0.8)
            return Effect.succeed({ _tag: "TransactionIds", ids: Array.from({ length: 1000 }, (_, n) => txId(n)) })
          return draw < 0.99 ? Effect.fail(new Overloaded()) : Effect.die("a bug of the program")
        }
      })
      let stall: Scope.Closeable | undefined
      const isStalled = () => stall !== undefined
      const steps: ReadonlyArray<() => Effect.Effect<unknown, never, Scope.Scope>> = [
        () => {
          const request = requests[below(requests.length)]!
          return Effect.map(start(peer.request(request)), (running) => {
            waiting.push({ request, ...running })
          })
        },
        () => waiting[below(waiting.length)]?.cancel ?? Effect.void,
        () => start(Effect.exit(peer.advertiseBlock(hash(below(9))))),
        () =>
          start(Effect.ignore(bob.says(...Array.from({ length: below(4) }, () => messages[below(messages.length)]!)))),
        () => start(Effect.ignore(bob.says(messages[below(messages.length)]!))),
        () => pass(`${below(3000)} millis`),
        () => (isStalled() ? Effect.void : start(bob.heard)),
        () =>
          Effect.gen(function* () {
            if (stall === undefined) {
              stall = yield* Scope.make()
              yield* Scope.provide(network.addRule(LinkRule.blackHole({ from: [alice], to: [bobAddress] })), stall)
            } else {
              yield* Scope.close(stall, Exit.void)
              stall = undefined
            }
          })
      ]
      const length = 5 + below(40)
      for (let i = 0; i < length; i++) yield* steps[below(steps.length)]!()
      const endings: ReadonlyArray<() => Effect.Effect<unknown>> = [
        () => peer.close(new ClientDropped()),
        () => closeBob,
        () => Effect.ignore(bob.says(Message.Verack())),
        () => Effect.ignore(bob.saysRaw("ping", new Uint8Array(1))),
        () => Effect.void
      ]
      yield* start(endings[below(endings.length)]!())
      if (below(2) === 0) yield* pass(`${below(25_000)} millis`)
      const closed = yield* start(closeAlice)
      yield* pass("1 second")
      assert.strictEqual(closed.result(), undefined)
      if (stall !== undefined) yield* Scope.close(stall, Exit.void)
    })
  )
  yield* pass("2 minutes")

  for (const { request, exit } of waiting) {
    // One answer of its kind, one error, or given up by whoever asked; never nothing, and never a defect.
    const outcome = exit()
    assert(outcome !== undefined, request._tag)
    if (Exit.isSuccess(outcome)) assert.strictEqual(outcome.value._tag, kinds[request._tag])
    else assert.isFalse(Exit.hasDies(outcome), `${request._tag}: ${String(outcome)}`)
  }
  assert.strictEqual(network.openEnds(), 0)
  assert.strictEqual(yield* fibers, before)
})

/** Errors of the program that answers are its own, and told. */
const quiet = Logger.layer([])

describe("any order of events (advisory P1, CVE-2026-123557)", () => {
  it.effect.each(Array.from({ length: 10 }, (_, block) => block * 20 + 1))(
    "answers everybody once and leaves nothing behind (advisory N15): seeds %d and the 19 after it",
    (first) =>
      Effect.gen(function* () {
        for (let seed = first; seed < first + 20; seed++) yield* Effect.provide(life(seed), world)
      }).pipe(Metric.enableRuntimeMetrics, Effect.provide(quiet))
  )
})
