/**
 * Service: what the program reports of peers, gathered until it makes a ban.
 *
 * Only the program can tell that a block was invalid, so only it reports. Reports are gathered per peer group for a while,
 * so that whoever can provoke them cannot keep the address book busy.
 *
 * **Security**
 *
 * A group that reached `Policy.banScore` waits apart from those that did not, so nothing that is harmless takes its place:
 * a score of 0 is dropped at once, and of groups below `Policy.banScore` the lowest give way to higher ones.
 *
 * Source: Zebra peer_set/initialize.rs, misbehaviour batcher; zebra-consensus error.rs for the scores.
 *
 * @module
 */
import { Context, Effect, Layer, Schedule } from "effect"
import { BackgroundTasks, type TaskNameTaken } from "../BackgroundTasks.ts"
import { dropOldest } from "../Bounded.ts"
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

/** Sums up reports by peer group, and bans whoever reaches `Policy.banScore`. */
export class Misbehavior extends Context.Service<
  Misbehavior,
  {
    /**
     * Never waits. What makes a ban is never dropped, up to the bans that can be in force. Of groups below that, no more
     * have reports than there can be connections; the lowest give way.
     */
    readonly report: (report: MisbehaviorReport) => Effect.Effect<void>
  }
>()("network-effect/addresses/Misbehavior") {
  /** Judges what was gathered every `Policy.misbehaviorInterval`, and what is left when the layer goes. */
  static readonly layer: Layer.Layer<Misbehavior, TaskNameTaken, AddressBook | BackgroundTasks> = Layer.effect(
    Misbehavior,
    Effect.gen(function* () {
      const policy = yield* Policy
      const book = yield* AddressBook
      const tasks = yield* BackgroundTasks
      const capacity = Math.max(totalLimit(policy), minGroups)
      /** Groups below `Policy.banScore`, and those that reached it. */
      const [gathered, toBan] = [new Map<string, MisbehaviorReport>(), new Map<string, MisbehaviorReport>()]

      const judge = Effect.gen(function* () {
        gathered.clear()
        const due = [...toBan]
        for (const [group, report] of due) {
          yield* book.ban(report)
          // Only now, so that none is lost when this is interrupted.
          toBan.delete(group)
        }
      })

      /** Makes room for a group with this sum; `false` when all others have at least as much. */
      const makeRoom = (sum: number): boolean => {
        if (gathered.size < capacity) return true
        let [lowest, lowestSum] = ["", sum]
        for (const [group, { score }] of gathered) if (score < lowestSum) [lowest, lowestSum] = [group, score]
        return gathered.delete(lowest)
      }

      const gather = (report: MisbehaviorReport): void => {
        if (!(report.score > 0)) return
        const group = AddressRules.limitKey(report.address)
        const before = gathered.get(group)
        const sum = (before?.score ?? 0) + report.score
        // The first reason counts.
        const summed = { ...(before ?? report), score: sum }
        if (sum < policy.banScore) {
          if (before !== undefined || makeRoom(sum)) gathered.set(group, summed)
          return
        }
        gathered.delete(group)
        if (toBan.has(group)) return
        toBan.set(group, summed)
        // As the list of bans does it: the earliest makes room.
        dropOldest(toBan, policy.banCapacity)
      }

      // What was reported last counts too: a ban is kept over a restart.
      yield* Effect.addFinalizer(() => judge)
      yield* tasks.run("misbehavior", Effect.repeat(judge, Schedule.spaced(policy.misbehaviorInterval)))

      return Misbehavior.of({ report: (report) => Effect.sync(() => gather(report)) })
    })
  )
}
