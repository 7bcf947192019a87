/** What attackers send, the verdict, and how little of it is kept. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import { decode } from "../../src/wire/Message.ts"
import { hostileCases, judge } from "../support/hostile.ts"

/** Of an inventory item, the largest kind by far: its place in the list, an object of two fields, 64 digits. */
const elementBytes = 8 + 40 + 80

describe("a hostile message", () => {
  it("comes in fifteen kinds", () => {
    assert.strictEqual(hostileCases.length, 15)
  })

  for (const hostile of hostileCases) {
    it(`${hostile.name}: ${hostile.verdict}`, () => {
      const { elements, maxBuffered, verdict } = judge(hostile)
      assert.strictEqual(verdict, hostile.verdict)
      // What was received, and never what was promised.
      assert.isAtMost(maxBuffered, hostile.bytes.length)
      assert.isAtMost(maxBuffered + elements * elementBytes, 8 * 1024 * 1024)
      if (verdict !== "accepted") assert.strictEqual(elements, 0)
    })
  }

  for (const command of ["inv", "getdata", "notfound", "addr", "addrv2", "headers"]) {
    it(`${command} has no room made for a count alone`, () => {
      // The largest count each takes, with nothing behind it.
      const counts = {
        inv: 50_000,
        getdata: 50_000,
        notfound: 50_000,
        addr: 1000,
        addrv2: 1000,
        headers: 160,
        block: 0
      }
      const count = counts[command as keyof typeof counts]
      const body = Uint8Array.from(count < 253 ? [count] : [0xfd, count & 0xff, count >> 8])
      const before = process.memoryUsage()
      for (let times = 0; times < 2000; times++) {
        assert.isTrue(Result.isFailure(decode({ command, body }, { negotiatedVersion: ourProtocolVersion })))
      }
      // 2000 lists of 50,000 would be 800 MB; errors are what is left.
      const after = process.memoryUsage()
      assert.isBelow(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers, 64_000_000)
    })
  }
})
