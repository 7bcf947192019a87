/** What attackers send, the verdict, and how little of it is kept. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { regtest } from "../../src/chain/ChainParams.ts"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { decode } from "../../src/wire/Message.ts"
import { hostileCases, judge } from "../support/hostile.ts"

/**
 * Of an inventory item of 36 bytes: its place in the list, an object of two fields, a part of a text, and an eighth of that
 * text. One of 68 bytes is larger, but there are at most 30,840 of those.
 */
const elementBytes = 8 + 40 + 32 + (16 + 576) / 8

describe("a hostile message (advisory W12)", () => {
  it("comes in fifteen kinds", () => {
    assert.strictEqual(hostileCases.length, 15)
  })

  for (const hostile of hostileCases) {
    it(`${hostile.name}: ${hostile.verdict}`, () => {
      const { elements, maxBuffered, verdict } = judge(hostile)
      assert.strictEqual(verdict, hostile.verdict)
      // What was received, and never what was promised.
      assert.isAtMost(maxBuffered, hostile.bytes.length)
      assert.isAtMost(maxBuffered, 2 * 1024 * 1024 + 24)
      assert.isAtMost(elements * elementBytes, 8_000_000)
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
      const bytes = Buffer.from(count < 253 ? [count] : [0xfd, count & 0xff, count >> 8])
      const frame = { command, bytes, start: 0, end: bytes.length }
      const before = process.memoryUsage()
      for (let times = 0; times < 2000; times++) {
        assert.isTrue(Result.isFailure(decode(frame, { negotiatedVersion: ourProtocolVersion })))
      }
      // 2000 lists of 50,000 would be 800 MB; errors are what is left.
      const after = process.memoryUsage()
      assert.isBelow(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers, 64_000_000)
    })
  }
})

describe("a stream of frames", () => {
  it("that never runs dry leaves nothing of what was consumed", () => {
    setFlagsFromString("--expose-gc")
    const collect = runInNewContext("gc") as () => void
    const chunk = 512
    // No message ends where a chunk does: there is always a begun one.
    const body = new Uint8Array(1_000_001 - Frame.headerBytes)
    const message = Buffer.from(Frame.encode(regtest.magic, { command: "block", body }))
    const stream = Buffer.concat([message, message])
    const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
    let [sent, decoded] = [0, 0]
    const ends = new Set<boolean>()
    const run = (chunks: number) => {
      for (let n = 0; n < chunks; n++, sent += chunk) {
        const at = sent % message.length
        if (!decoder.push(stream.subarray(at, at + chunk)) || !decoder.hasNext()) continue
        while (Result.getOrThrow(decoder.next()) !== undefined) decoded++
        ends.add(decoder.bufferedBytes() === 0)
      }
      collect()
      return process.memoryUsage().heapUsed
    }
    const before = run(4000)
    // 8 bytes for each of 40,000 chunks.
    assert.isBelow(run(40_000) - before, 200_000)
    assert.strictEqual(decoded, Math.floor(sent / message.length))
    assert.deepStrictEqual([...ends], [false])
  })
})
