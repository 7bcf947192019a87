/** How each requirement of `requirements.md` is taken out of the source, as `test/network/removals.ts` does it. */
import { edit } from "../support/removal.ts"
import type { Edit } from "../support/sourceEdits.ts"

export const removals: Record<string, ReadonlyArray<ReadonlyArray<Edit>>> = {
  W1: [[edit("peer/MessageStream", "this.#negotiatedVersion = negotiatedVersion")]],
  W2: [
    [edit("chain/TransactionLayout", "late ?? coinbaseSpendsProblem(layout)", "late", { within: "walkVersion5" })],
    [edit("chain/TransactionLayout", "late ?? coinbaseSpendsProblem(layout)", "late", { within: "walkVersion6" })]
  ],
  W3: [
    [
      edit(
        "chain/TransactionLayout",
        'walkActions(reader, layout.orchard, upgrade, 0b011, "Orchard")',
        'walkActions(reader, layout.orchard, upgrade, 0b111, "Orchard")',
        { within: "walkVersion5" }
      )
    ],
    [
      edit(
        "chain/TransactionLayout",
        'walkActions(reader, layout.orchard, upgrade, 0b011, "Orchard")',
        'walkActions(reader, layout.orchard, upgrade, 0b111, "Orchard")',
        { within: "walkVersion6" }
      )
    ]
  ],
  W4: [
    [edit("chain/TransactionLayout", "if (Result.isFailure(height)) layout.inputProblem ??= height.failure")],
    [
      edit(
        "chain/TransactionLayout",
        "reader.failure === undefined && isNullOutput(reader.bytes, at)",
        "inputs === 1 && isNullOutput(reader.bytes, at)"
      )
    ]
  ],
  W5: [
    [edit("peer/MessageStream", "frame.success.end - frame.success.start <= Wire.wholeBodyBytes", "true")],
    [
      edit(
        "chain/TransactionLayout",
        "output < outputs && reader.goesOn",
        "output < outputs && reader.failure === undefined"
      )
    ]
  ],
  W6: [
    [edit("peer/MessageStream", "maxBodyBytes: this.#maxBodyBytes", "maxBodyBytes")],
    [edit("peer/MessageStream", "this.#decoder.setMaxBodyBytes(maxBodyBytes)")]
  ],
  P1: [
    [
      edit(
        "Bounded",
        "for (const oldest of kept.keys()) $BODY",
        "for (const oldest of [...kept.keys()].reverse()) $BODY"
      )
    ]
  ],
  P2: [[edit("peer/ConnectionMetrics", 'versionOutcome("canceled")', 'versionOutcome("success")')]],
  P3: [
    [
      edit(
        "peer/Heartbeat",
        'const isLate = this.#state === "late"',
        `if (!this.#isOver) {
           this.#alarmClock.giveUp(this.#next)
           this.#next = this.#setNext()
         }
         const isLate = this.#state === "late"`
      )
    ]
  ],
  P4: [
    [
      edit(
        "peer/PeerMetrics",
        "{ closedForOverload, closedForTimeout, ignoredForOverload, ignoredForTimeout }",
        `{
          closedForOverload: closedForTimeout,
          closedForTimeout: closedForOverload,
          ignoredForOverload,
          ignoredForTimeout
        }`
      )
    ]
  ],
  P5: [[edit("peer/ConnectionLoop", 'this.#step({ _tag: "WriteFailed", error })', "this.#step(isWritten)")]],
  P6: [
    [edit("network/PeerAdmission", "if (info.remote.version < minimumVersion(chain, height)) return false")],
    [edit("network/PeerAdmission", "address === undefined || !(yield* bans.isBanned(address))", "true")]
  ],
  P7: [
    [
      edit(
        "peer/Connection",
        "this.#loop.waiters.ending?.failure ?? this.#loop.waiters.awaitRoom($ROOM)",
        "this.#loop.waiters.awaitRoom($ROOM)"
      )
    ],
    [edit("peer/Waiters", "for (const room of waiting) Deferred.doneUnsafe(room, failure)")]
  ],
  P8: [
    [edit("peer/ConnectionLoop", "Effect.as(this.report(action.report), undefined)", "this.report(action.report)")],
    [
      edit(
        "peer/MessageStream",
        "if (this.#isReading) resume(Effect.void); else this.#goOn = resume",
        "this.#goOn = resume"
      )
    ]
  ],
  P9: [[edit("peer/ConnectionLoop", 'this.tell({ _tag: "Alarm" })', "undefined")]]
}
