/**
 * Heights of the blocks that peers advertise, for as long as one stays with them.
 *
 *     peer ── inv: a new block ──▶ known? its height is the peer's
 *                                  else, once for each block: getdata ──▶ block ──▶ the height in its coinbase
 *
 * **Security**
 *
 * A height that is advertised is stated, as one in a `version` is: nobody looks at the work in the block. What is asked for is
 * taken from whoever advertised it, its hash checked. Of each peer so many blocks are asked for, one at a time; an `inv` of many
 * blocks is an answer to somebody else's question, and passed over.
 *
 * @module
 */
import { Duration, Effect, Option } from "effect"
import { dropOldest } from "../Bounded.ts"
import type { Block } from "../chain/Block.ts"
import type { BlockHash } from "../chain/Hash.ts"
import * as Monotonic from "../Monotonic.ts"
import { Message } from "../wire/Message.ts"
import type { Greeted } from "./Visit.ts"

/** Blocks of one `inv` that are taken for new ones: zcashd advertises up to eight at once, Zebra one. */
const newBlocks = 8

/** Blocks asked for of one peer, and the time between two: chains grow by one in 75 s. */
const blocksPerPeer = 64
const blockInterval = Duration.seconds(5)

/** Blocks remembered, those last advertised. */
const maxKnown = 1000

/** Messages read of one peer: more than a busy node sends in half an hour. */
const messagesPerStay = 100_000

/** Time after which a block is asked for of the next one who advertised it. */
const answerTime = Duration.seconds(20)

interface Known {
  height: number | undefined
  askedAt: number
  /** Told once the height is known: one for each peer that advertised it. */
  readonly waiting: Set<(height: number) => void>
}

/** Of one chain, for all peers. */
export class Adverts {
  readonly #known = new Map<BlockHash, Known>()

  /**
   * Stays with a peer that said `verack`, and says what heights it has come to. Ends with the connection, or when its limits
   * are reached.
   */
  stay({ messages }: Greeted, heard: (height: number) => void) {
    return Effect.gen({ self: this }, function* () {
      let asked = 0
      let nextAt = 0
      /** Advertised by this peer, of unknown height; oldest first. */
      const waiting = new Map<BlockHash, Known>()
      /** Of those, asked of this peer. */
      const wanted = new Set<BlockHash>()
      for (let read = 0; read < messagesPerStay; read++) {
        const message = yield* waiting.size === 0
          ? Effect.asSome(messages.receive)
          : Effect.timeoutOption(messages.receive, answerTime)
        if (Option.isSome(message)) {
          if (message.value._tag === "Ping") yield* messages.send(Message.Pong({ nonce: message.value.nonce }))
          else if (message.value._tag === "Inv") {
            const hashes = message.value.items.flatMap((item) => (item._tag === "Block" ? [item.hash] : []))
            for (const hash of hashes.length > newBlocks ? [] : hashes) {
              const known = this.#of(hash)
              if (known.height !== undefined) heard(known.height)
              else {
                known.waiting.add(heard)
                waiting.set(hash, known)
              }
            }
          } else if (message.value._tag === "Block") this.#learn(message.value.block)
        }
        const now = yield* Monotonic.millis
        for (const [hash, known] of waiting) {
          if (known.height !== undefined || waiting.size > newBlocks) {
            known.waiting.delete(heard)
            waiting.delete(hash)
            wanted.delete(hash)
          } else if (
            !wanted.has(hash) &&
            asked < blocksPerPeer &&
            now >= nextAt &&
            now >= known.askedAt + Duration.toMillis(answerTime)
          ) {
            asked++
            wanted.add(hash)
            nextAt = now + Duration.toMillis(blockInterval)
            known.askedAt = now
            yield* messages.send(Message.GetData({ items: [{ _tag: "Block", hash }] }))
          }
        }
      }
    })
  }

  /** A block that somebody was asked for. */
  #learn(block: Block): void {
    const known = this.#known.get(block.hash)
    const [coinbase] = known === undefined || known.height !== undefined ? [] : block.transactions
    const height = coinbase === undefined ? Option.none() : coinbase.coinbaseHeight
    if (known === undefined || Option.isNone(height)) return
    known.height = height.value
    for (const heard of known.waiting) heard(height.value)
    known.waiting.clear()
  }

  #of(hash: BlockHash): Known {
    const known = this.#known.get(hash) ?? {
      height: undefined,
      askedAt: Number.NEGATIVE_INFINITY,
      waiting: new Set()
    }
    this.#known.delete(hash)
    this.#known.set(hash, known)
    dropOldest(this.#known, maxKnown)
    return known
  }
}
