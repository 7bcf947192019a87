/** The comparison of codecs finds what differs. `npm run interop -- codec` runs it with a foreign program. */
import { assert, describe, it } from "@effect/vitest"
import {
  type Case,
  casesOf,
  commandOf,
  Comparison,
  disagreement,
  recordOf,
  verdictOf
} from "../support/codecComparison.ts"
import { messages } from "../support/goldens.ts"

const some = (count: number): ReadonlyArray<Case> => {
  const cases = casesOf(1)
  return Array.from({ length: count }, () => cases.next().value)
}

const cases = some(3000)

describe("a comparison of codecs", () => {
  it("of ours with itself finds nothing", () => {
    const comparison = new Comparison()
    for (const aCase of cases) comparison.add(aCase, verdictOf(aCase))
    assert.deepStrictEqual([...comparison.classes.keys()], [])
  })

  it("tries every command, accepted and refused", () => {
    const verdicts = new Set(cases.map((aCase) => `${commandOf(aCase.bytes)} ${verdictOf(aCase)[0]}`))
    for (const command of ["version", "addr", "addrv2", "inv", "headers", "tx", "block", "filterload", "reject"]) {
      assert.includeMembers([...verdicts], [`${command} M`, `${command} E`])
    }
    assert.include([...verdicts], "other I")
  })

  it("finds a codec that refuses, accepts or writes otherwise, with the shortest case", () => {
    const comparison = new Comparison()
    for (const aCase of cases) {
      const verdict = verdictOf(aCase)
      const isPing = commandOf(aCase.bytes) === "ping" && verdict.startsWith("M")
      comparison.add(aCase, isPing ? "E Parse no pings" : verdict)
    }
    assert.deepStrictEqual(comparison.unknown, ["ping: refused there, not here: Parse no pings"])
    const [found] = [...comparison.classes.values()]
    const pings = cases.filter((aCase) => commandOf(aCase.bytes) === "ping" && verdictOf(aCase).startsWith("M"))
    assert.strictEqual(found?.count, pings.length)
    assert.strictEqual(found?.shortest.bytes.length, Math.min(...pings.map(({ bytes }) => bytes.length)))
  })

  it.each([
    ["M 00 aa", "M 00 aa", undefined],
    ["M 00 aa", "M 01 aa", "none: encoded in another way"],
    ["M 00 aa", "M 00 bb", "none: another hash"],
    ["I 3", "M 00", "none: I there, M here"],
    ["E Parse 17 of 18", "M 00", "none: refused there, not here: Parse N of N"],
    ["M 00", "E WireEof field", "none: refused here, not there: WireEof field"],
    ["E Parse a", "E WireParse b", undefined],
    ["I 4", "E WrongMagic", "a wrong magic is refused as soon as it is there"]
  ])("%s there and %s here is: %s", (theirs, ours, expected) => {
    const aCase: Case = { network: 0, negotiatedVersion: 170_190, maxBodyBytes: 1024, bytes: new Uint8Array(4) }
    assert.strictEqual(disagreement(aCase, theirs, ours), expected)
  })

  it("writes a record as foreign programs read it", () => {
    const record = recordOf({ network: 2, negotiatedVersion: 1, maxBodyBytes: 2, bytes: Uint8Array.of(7, 8) })
    assert.strictEqual(Buffer.from(record).toString("hex"), "02" + "01000000" + "02000000" + "02000000" + "0708")
  })

  it("says of a message of another program what that one sent", () => {
    const bytes = messages.ping
    const aCase: Case = { network: 0, negotiatedVersion: 170_190, maxBodyBytes: 1024, bytes }
    assert.strictEqual(verdictOf(aCase).trim(), `M ${Buffer.from(bytes).toString("hex")}`)
  })
})
