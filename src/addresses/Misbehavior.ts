/**
 * Service: what the program reports of peers, gathered until it makes a ban.
 *
 * Only the program can tell that a block was invalid, so only it reports. Reports are gathered per peer group for a while,
 * so that whoever can provoke them cannot keep the address book busy.
 *
 * Source: Zebra peer_set/initialize.rs, misbehaviour batcher; zebra-consensus error.rs for the scores.
 *
 * @module
 */
import { Context, Effect, Layer } from "effect"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import { Policy, totalLimit } from "../Policy.ts"
import { AddressBook } from "./AddressBook.ts"
import * as AddressRules from "./AddressRules.ts"

/** What a peer did, as the program on top sees it. */
export interface MisbehaviorReport {
  readonly address: PeerSocketAddress
  /** 100 for what no honest peer can do, such as an invalid block; 0 for what may happen to one. */
  readonly score: number
  /** In words, for the log and the list of bans. */
  readonly reason: string
}

/** Fewest groups that may have reports at a time. Source: Zebra address_book_updater.rs, `MIN_CHANNEL_SIZE`. */
const minGroups = 10

/** Largest sum. Source: Zebra, scores are `u32` and saturate. */
const maxScore = 0xffff_ffff

/** Sums up reports by peer group, and bans whoever reaches `Policy.banScore`. */
export class Misbehavior extends Context.Service<
  Misbehavior,
  {
    /** Never waits. Reports of more groups than there can be connections are dropped. */
    readonly report: (report: MisbehaviorReport) => Effect.Effect<void>
    /**
     * Judges what was gathered every `Policy.misbehaviorInterval`, at once first, for as long as it runs. What is left when
     * the layer goes is judged then.
     */
    readonly run: Effect.Effect<never>
  }
>()("network-effect/addresses/Misbehavior") {
  static readonly layer = Layer.effect(
    Misbehavior,
    Effect.gen(function* () {
      const policy = yield* Policy
      const book = yield* AddressBook
      const capacity = Math.max(totalLimit(policy), minGroups)
      let gathered = new Map<string, MisbehaviorReport>()

      const judge = Effect.suspend(() => {
        const reports = gathered
        gathered = new Map()
        return Effect.forEach(reports.values(), (report) =>
          report.score >= policy.banScore ? book.ban(report) : Effect.void
        )
      })

      // What was reported last counts too: a ban is kept over a restart.
      yield* Effect.addFinalizer(() => judge)

      return Misbehavior.of({
        report: (report) =>
          Effect.sync(() => {
            const group = AddressRules.limitKey(report.address)
            const before = gathered.get(group)
            if (before === undefined && gathered.size >= capacity) return
            const score = Math.min(maxScore, (before?.score ?? 0) + Math.max(0, report.score))
            gathered.set(group, { ...(before ?? report), score })
          }),
        run: Effect.forever(Effect.andThen(judge, Effect.sleep(policy.misbehaviorInterval)))
      })
    })
  )
}
