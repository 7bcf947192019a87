import { assert, describe, it } from "@effect/vitest"
import { type Action, type Event, HandshakeMachine, type Options } from "../../src/peer/HandshakeMachine.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { Message } from "../../src/wire/Message.ts"
import { bobsVersion } from "./rig.ts"

const ours = bobsVersion({ nonce: 1n, version: 170_190 })

const machine = (options: Partial<Options> = {}) =>
  new HandshakeMachine({ ours, isSyncing: false, isOutbound: true, isRefusing: true, ...options })

const hear = (message: Message): Event => ({ _tag: "Message", message })
const looked = (isOurNonce = false, minimumVersion = 170_150): Event => ({
  _tag: "Looked",
  facts: { isOurNonce, minimumVersion }
})
const tags = (actions: ReadonlyArray<Action>) => actions.map(({ _tag }) => _tag)

describe("shaking hands, as a machine", () => {
  it.each([true, false])("begins by itself, and is the same in both directions: outbound %s", (isOutbound) => {
    const alice = machine({ isOutbound })
    assert.deepStrictEqual(alice.begin, [{ _tag: "Send", message: ours }, { _tag: "Read" }])
    assert.deepStrictEqual(tags(alice.step(hear(Message.Verack()))), ["Read"])
    const theirs = bobsVersion({ version: 170_160 })
    assert.deepStrictEqual(alice.step(hear(theirs)), [{ _tag: "Look", theirs }])
    const met = { remote: theirs, negotiatedVersion: 170_160, refusal: undefined }
    assert.deepStrictEqual(alice.step(looked()), [
      { _tag: "Accept", met, minimumVersion: 170_150 },
      { _tag: "Send", message: Message.Verack() },
      { _tag: "Read" }
    ])
    assert.deepStrictEqual(tags(alice.step(hear(theirs))), ["Read"])
    assert.deepStrictEqual(alice.step(hear(Message.Verack())), [{ _tag: "End", met }])
    assert.deepStrictEqual(alice.step(hear(Message.Verack())), [])
  })

  const theirs = bobsVersion({ version: 170_100, services: 0n })
  const ends = (options: Partial<Options>, event: Event) => {
    const alice = machine(options)
    alice.step(hear(theirs))
    return alice.step(event)
  }

  it("refuses without a word", () => {
    assert.deepStrictEqual(tags(ends({}, looked())), ["End"])
    assert.deepStrictEqual(tags(ends({ isSyncing: true }, looked(false, 0))), ["End"])
    assert.deepStrictEqual(tags(ends({}, looked(true, 0))), ["End"])
    assert.deepStrictEqual(tags(ends({ isSyncing: true, isOutbound: false }, looked(false, 0))), [
      "Accept",
      "Send",
      "Read"
    ])
  })

  it("meets whoever it would refuse, if it only wants to know who is there; but never ourselves", () => {
    const [accept, ...others] = ends({ isRefusing: false }, looked())
    assert(accept?._tag === "Accept")
    assert.strictEqual(accept.met.negotiatedVersion, 170_100)
    assert.strictEqual(accept.met.refusal?._tag, "ObsoleteVersion")
    assert.deepStrictEqual(tags(others), ["Send", "Read"])
    assert.deepStrictEqual(tags(ends({ isRefusing: false }, looked(true))), ["End"])
  })

  it("says verack once, after the peer's version, and ends once, whatever comes", () => {
    const next = SeededRandom.fractions(SeededRandom.draws(1, "handshake"))
    const events: ReadonlyArray<Event> = [
      hear(bobsVersion()),
      hear(Message.Verack()),
      hear(Message.Ping({ nonce: 1n })),
      hear(Message.GetAddr()),
      looked(),
      looked(true)
    ]
    let agreed = 0
    for (let life = 0; life < 500; life++) {
      const alice = machine({ isRefusing: life % 2 === 0 })
      const seen: Array<Action["_tag"]> = tags(alice.begin)
      for (let i = 0; i < 12; i++) seen.push(...tags(alice.step(events[Math.floor(next() * events.length)]!)))
      assert.isAtMost(seen.filter((tag) => tag === "Send").length, 2)
      assert.isAtMost(seen.filter((tag) => tag === "Look").length, 1)
      assert.isAtMost(seen.filter((tag) => tag === "End").length, 1)
      if (seen.includes("End")) assert.strictEqual(seen.at(-1), "End")
      if (seen.lastIndexOf("Send") > 0) assert.isAbove(seen.lastIndexOf("Send"), seen.indexOf("Look"))
      if (seen.includes("Accept") && seen.includes("End")) agreed++
    }
    assert.isAbove(agreed, 50)
  })
})
