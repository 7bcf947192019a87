/** What the end of a find request says about its peer, and what so many of them lead to. */
import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import * as StallTracker from "../../src/routing/StallTracker.ts"
import { ConnectionClosed, ConnectionReceiveTimeout } from "../../src/peer/Peer.ts"
import type { Request, Response } from "../../src/peer/Request.ts"
import { defaults } from "../../src/Policy.ts"

const findBlocks: Request = { _tag: "FindBlocks", known: [], stop: undefined }
const findHeaders: Request = { _tag: "FindHeaders", known: [], stop: undefined }
const hashes: Response = { _tag: "BlockHashes", hashes: [], source: undefined }
const headers: Response = { _tag: "BlockHeaders", headers: [], source: undefined }

/** A peer's count, and whether each outcome disconnects it. */
const peer = () => {
  let stalls = 0
  return (outcome: StallTracker.FindOutcome): boolean => {
    stalls = StallTracker.stallsAfter(stalls, outcome)
    if (stalls < defaults.stallThreshold) return false
    stalls = 0
    return true
  }
}

describe("StallTracker", () => {
  it("disconnects at the third failure in a row, and starts afresh (network 72; advisory N1)", () => {
    const bob = peer()
    assert.deepStrictEqual(
      [1, 2, 3, 4].map(() => bob("Stalled")),
      [false, false, true, false]
    )
  })

  it("forgets failures when the peer answers (network 73)", () => {
    const bob = peer()
    bob("Stalled")
    bob("Stalled")
    bob("Answered")
    assert.deepStrictEqual(
      [1, 2, 3].map(() => bob("Stalled")),
      [false, false, true]
    )
  })

  it("counts each peer apart (network 74)", () => {
    const [bob, carol] = [peer(), peer()]
    assert.deepStrictEqual(
      [bob, bob, carol, bob, carol, carol].map((one) => one("Stalled")),
      [false, false, false, true, false, true]
    )
  })

  it("does not count what says nothing", () => {
    const bob = peer()
    assert.deepStrictEqual(
      (["Stalled", "Nothing", "Stalled", "Nothing", "Stalled"] as const).map((outcome) => bob(outcome)),
      [false, false, false, false, true]
    )
  })

  const far = () => false
  const near = () => true
  it.each([
    ["an answer", findBlocks, Exit.succeed(hashes), far, "Answered"],
    ["headers", findHeaders, Exit.succeed(headers), far, "Answered"],
    ["another kind of answer", findBlocks, Exit.succeed<Response>({ _tag: "Nil" }), far, "Nothing"],
    ["silence", findBlocks, Exit.fail(new ConnectionReceiveTimeout()), far, "Stalled"],
    ["silence near the tip", findBlocks, Exit.fail(new ConnectionReceiveTimeout()), near, "Nothing"],
    ["no headers, near the tip", findHeaders, Exit.fail(new ConnectionReceiveTimeout()), near, "Stalled"],
    ["a closed connection, near the tip", findBlocks, Exit.fail(new ConnectionClosed()), near, "Stalled"],
    ["our giving up", findBlocks, Exit.interrupt(1), far, "Nothing"],
    ["a defect of ours", findBlocks, Exit.die("bug"), far, "Nothing"]
  ] as const)("takes %s for what it is", (_, request, exit, isNearTip, expected) => {
    assert.strictEqual(StallTracker.classify(request, exit, isNearTip), expected)
  })
})
