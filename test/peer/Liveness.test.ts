/** A connection that is not over goes on: after anything both sides did, pings are answered and requests end in their time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import type { Request } from "../../src/peer/Request.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { Message } from "../../src/wire/Message.ts"
import { bob as bobAddress } from "../support/addresses.ts"
import { block, blockItem, hash, transaction, txId, txItem } from "./items.ts"
import { pass, rig, start, world } from "./rig.ts"

const requests: ReadonlyArray<Request> = [
  { _tag: "Peers" },
  { _tag: "MempoolTransactionIds" },
  { _tag: "FindBlocks", known: [], stop: undefined },
  { _tag: "BlocksByHash", hashes: new Set([block(1).hash, block(2).hash]) },
  { _tag: "TransactionsById", ids: new Set([transaction(1).id, transaction(2).id]) },
  { _tag: "AdvertiseTransactionIds", ids: new Set([txId(1)]), source: undefined }
]

/** Longer than one slice. */
const longInventory = Message.Inv({ items: Array.from({ length: 9000 }, (_, n) => txItem(txId(n))) })

/** Nothing that ends a connection. */
const messages: ReadonlyArray<Message> = [
  Message.Addr({ addresses: [] }),
  Message.Inv({ items: [] }),
  Message.Inv({ items: [blockItem(hash(1))] }),
  Message.Inv({ items: [txItem(txId(1))] }),
  longInventory,
  Message.Headers({ headers: [] }),
  Message.Block({ block: block(1) }),
  Message.Tx({ transaction: transaction(2) }),
  Message.NotFound({ items: [blockItem(block(2).hash), txItem(transaction(2).txId)] }),
  Message.Pong({ nonce: 1n }),
  Message.GetAddr(),
  Message.GetData({ items: [blockItem(hash(1))] }),
  Message.Mempool()
]

/** What a function without an answer gives back may be anything. */
const givenBack: ReadonlyArray<unknown> = [undefined, 1, { _tag: "Written" }, { _tag: "Quiet" }, { _tag: "Alarm" }]

const life = Effect.fnUntraced(function* (seed: number) {
  const next = SeededRandom.fractions(SeededRandom.draws(seed, "liveness"))
  const below = (count: number) => Math.floor(next() * count)
  const pick = <A>(all: ReadonlyArray<A>): A => all[below(all.length)]!
  const { bob, ended, peer } = yield* rig({
    connected: { _tag: "OutboundDirect", address: bobAddress },
    report: () => Effect.map(Effect.void, () => pick(givenBack) as void),
    answer: () => {
      const draw = below(10)
      if (draw < 4) return Effect.succeed({ _tag: "Nil" })
      if (draw < 7) return Effect.as(Effect.sleep(`${below(100)} millis`), { _tag: "Nil" })
      return Effect.succeed({ _tag: "TransactionIds", ids: [txId(1), txId(2)] })
    }
  })
  const running: Array<{
    readonly exit: () => Exit.Exit<unknown, unknown> | undefined
    readonly cancel: Effect.Effect<void>
  }> = []

  /** Reads all that Alice said. Bob answers pings, and notes whether his own was. */
  let pongs = new Set<bigint>()
  const listen = Effect.gen(function* () {
    for (const message of yield* bob.heard) {
      if (message._tag === "Pong") pongs.add(message.nonce)
      if (message._tag === "Ping") yield* start(bob.says(Message.Pong({ nonce: message.nonce })))
    }
  })

  // What Bob says may have to wait until Alice reads.
  const steps: ReadonlyArray<() => Effect.Effect<unknown>> = [
    () => Effect.map(start(peer.request(pick(requests))), (each) => running.push(each)),
    () => pick([...running, undefined])?.cancel ?? Effect.void,
    () => Effect.map(start(peer.advertiseBlock(hash(below(9)))), (each) => running.push(each)),
    () => start(bob.says(...Array.from({ length: below(4) }, () => pick(messages)))),
    () => pass(`${below(2000)} millis`),
    () => listen
  ]

  for (let n = 1; n <= 30; n++) {
    yield* pick(steps)()
    if (below(5) > 0) continue
    pongs = new Set()
    yield* start(bob.says(Message.Ping({ nonce: BigInt(n) })))
    // All that Bob said before it asks for less than this.
    for (let second = 0; second < 10 && !pongs.has(BigInt(n)); second++) {
      yield* pass("1 second")
      yield* listen
    }
    assert.strictEqual(yield* ended, undefined)
    assert.isTrue(pongs.has(BigInt(n)), `ping ${n}`)
  }
  // One after the other has its 20 seconds, and pings are answered meanwhile.
  for (let second = 0; second < 21 * running.length; second += 7) {
    yield* pass("7 seconds")
    yield* listen
  }
  assert.strictEqual(yield* ended, undefined)
  for (const { exit } of running) assert.isDefined(exit())
  assert.strictEqual(peer.readiness(), "Ready")
})

describe("a connection", () => {
  it.effect.each(Array.from({ length: 6 }, (_, block) => block * 8 + 1))(
    "goes on, whatever both sides did and whatever its host gives back: seeds %d and the 7 after it",
    (first) =>
      Effect.gen(function* () {
        for (let seed = first; seed < first + 8; seed++) {
          yield* Effect.provide(Effect.scoped(life(seed)), world).pipe(
            Effect.catchDefect((cause) => Effect.die(new Error(`seed ${seed}`, { cause })))
          )
        }
      })
  )
})
