/** Reasons in words. */
import { assert, it } from "@effect/vitest"
import { inWords, known, ofHandshake } from "../../src/network/Reasons.ts"

it("a reason is said in words, one that is in no list as it is, and bytes that make no sense in a handshake by their usual cause", () => {
  assert.strictEqual(inWords("Full"), "every place is taken")
  assert.strictEqual(inWords("ECONNREFUSED"), "nobody listens there")
  for (const unknown of ["", "EWHATEVER", "toString", "constructor"]) assert.strictEqual(inWords(unknown), unknown)
  assert.strictEqual(inWords("Serialization"), "it sent what is no Zcash message")
  assert.strictEqual(ofHandshake("Serialization"), "it is no Zcash node, or one of another network")
  assert.strictEqual(ofHandshake("ObsoleteVersion"), "its protocol version is too old")
  assert.strictEqual(ofHandshake("EWHATEVER"), "EWHATEVER")
  for (const words of Object.values(known)) assert.match(words, /^[a-z].*[^.]$/)
})
