/** Figures at the edges of what there can be: of a peer that says what it wants, and of a system that tells little. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as ProcessMetrics from "../../src/status/ProcessMetrics.ts"
import { peerInfo } from "../../src/status/StatusHandlers.ts"
import { fakePeer } from "../support/fakePeer.ts"

const peer = fakePeer({ id: 3, address: "198.51.100.7:8233" })

/** As it says that it is this time, in seconds, and was connected at that one, in milliseconds. */
const saying = (timestamp: bigint, connectedAtMillis: number) =>
  peerInfo({ ...peer, connectedAtMillis, info: { ...peer.info, remote: { ...peer.info.remote, timestamp } } }, null, 0n)
    .timeoffset

describe("a peer", () => {
  it("may say any time: one that no number holds is the furthest that one does", () => {
    assert.strictEqual(saying(1_900_000_010n, 1_900_000_000_999), 10)
    assert.strictEqual(saying(0n, 1_900_000_000_999), -1_900_000_000)
    assert.strictEqual(saying(2n ** 63n - 1n, 0), Number.MAX_SAFE_INTEGER)
    assert.strictEqual(saying(-(2n ** 63n), 1_900_000_000_000), -Number.MAX_SAFE_INTEGER)
  })

  it("that was heard of through a proxy has no address, and what never happened has no time", () => {
    const { addr, lastrecv, lastsend, network, pingtime, pingwait } = peerInfo(
      { ...peer, transientAddress: undefined },
      null,
      0n
    )
    assert.deepStrictEqual(
      { addr, lastrecv, lastsend, network, pingtime, pingwait },
      { addr: null, lastrecv: null, lastsend: null, network: null, pingtime: null, pingwait: null }
    )
  })
})

/** Each sample with its value, as it is scraped at once, from a system with these files. */
const scraped = (files: Parameters<typeof FileSystem.layerNoop>[0]) =>
  Effect.gen(function* () {
    const ask = yield* ProcessMetrics.make(
      () => [peer, fakePeer({ id: 4, address: "198.51.100.8:8233" })],
      () => 2
    )
    const lines = (yield* ask).split("\n").filter((line) => line !== "" && !line.startsWith("#"))
    return new Map(lines.map((line) => [line.split(" ")[0] ?? "", Number(line.split(" ")[1])]))
  }).pipe(Effect.scoped, Effect.provide(FileSystem.layerNoop(files)))

const onlyLinux = ["process_open_fds", "process_max_fds", "process_virtual_memory_bytes"]

describe("a process", () => {
  it.effect("of a system that tells nothing has all other figures, and each is a number", () =>
    Effect.gen(function* () {
      const samples = yield* scraped({})
      for (const name of onlyLinux) assert.isFalse(samples.has(name), name)
      assert.isAbove(samples.get("process_resident_memory_bytes") ?? 0, 0)
      // Nothing was measured of the event loop yet.
      assert.strictEqual(samples.get("nodejs_eventloop_lag_p99_seconds"), 0)
      assert.strictEqual(samples.get('zcash_net_peers_implementation{implementation="other"}'), 2)
      assert.strictEqual(samples.get("zcash_net_bans"), 2)
      for (const [name, value] of samples) assert.isTrue(Number.isFinite(value), name)
    })
  )

  it.effect("of Linux has its files and memory, and no limit where there is none", () =>
    Effect.gen(function* () {
      const withLimit = (limit: string) =>
        scraped({
          readDirectory: () => Effect.succeed(["0", "1", "2"]),
          readFileString: (path) =>
            Effect.succeed(
              path.endsWith("limits")
                ? `Max cpu time  unlimited  unlimited  seconds\nMax open files  ${limit}  524288  files\n`
                : "1000 20 3 0 0 0 0\n"
            )
        })
      const limited = yield* withLimit("1024")
      assert.deepStrictEqual(
        onlyLinux.map((name) => limited.get(name)),
        [3, 1024, 4_096_000]
      )
      assert.isFalse((yield* withLimit("unlimited")).has("process_max_fds"))
    })
  )
})
