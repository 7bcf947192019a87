/** Time limits of a connection: each rings at its time and once, unless it is given up, and sleeps nobody in vain. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Random } from "effect"
import { SimRuntime } from "network-effect/simulation"
import { type Alarm, AlarmClock, Alarms, sleepers } from "../../src/peer/Alarms.ts"

const seconds = (count: number) => BigInt(count) * 1_000_000_000n

const makeClock = Effect.gen(function* () {
  return new AlarmClock(yield* sleepers, yield* Clock.Clock, Duration.seconds(20))
})

const make = Effect.map(makeClock, (clock) => new Alarms(clock))

describe("alarms", () => {
  it("ring at their time, once, in any order of setting and giving up", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const program = Effect.gen(function* () {
        const alarms = yield* make
        const rung: Array<readonly [alarm: number, atNanos: bigint]> = []
        const set: Array<{
          readonly alarm: Alarm | undefined
          readonly atNanos: bigint
          readonly number: number
          isGivenUp: boolean
        }> = []
        for (let step = 0; step < 30; step++) {
          const now = yield* Clock.monotonicTimeNanos
          const waiting = set.filter(({ atNanos, isGivenUp }) => !isGivenUp && atNanos > now)
          const given = waiting[yield* Random.nextIntBetween(0, 2 * waiting.length)]
          if (given !== undefined) {
            alarms.giveUp(given.alarm)
            given.isGivenUp = true
          } else {
            const atNanos = now + seconds(yield* Random.nextIntBetween(1, 60))
            const number = set.length
            const ring = () => rung.push([number, clock.monotonicTimeNanosUnsafe()])
            set.push({ alarm: alarms.set(atNanos, ring), atNanos, number, isGivenUp: false })
          }
          yield* Effect.sleep(Duration.seconds(yield* Random.nextIntBetween(0, 10)))
        }
        yield* Effect.sleep("2 minutes")
        const due = set.filter(({ isGivenUp }) => !isGivenUp).map(({ atNanos, number }) => [number, atNanos] as const)
        assert.sameDeepMembers(rung, due, `seed ${seed}`)
      })
      const runtime = new SimRuntime()
      const { clock } = runtime
      const end = runtime.run(program.pipe(Random.withSeed(seed), Effect.scoped), 3_600_000)
      assert.isTrue(end._tag === "Done" && end.exit._tag === "Success", JSON.stringify(end))
    }
  })

  it("that are given up wake nobody, but one fiber once for all connections", () => {
    const runtime = new SimRuntime()
    const program = Effect.gen(function* () {
      const clock = yield* makeClock
      for (let count = 0; count < 1000; count++) {
        const alarms = new Alarms(clock)
        const now = yield* Clock.monotonicTimeNanos
        const limits = [59, 20].map((length) => alarms.set(now + seconds(length), () => assert.fail("it was given up")))
        for (const limit of limits) alarms.giveUp(limit)
      }
      yield* Effect.sleep("10 minutes")
    })
    const end = runtime.run(Effect.scoped(program), 3_600_000)
    assert.isTrue(end._tag === "Done" && end.exit._tag === "Success", JSON.stringify(end))
    // And the program's own sleep.
    assert.strictEqual(runtime.work().timers, 2)
  })

  it("do not ring after the end, nor when they are set after it, and one that throws keeps no other from ringing", () => {
    const runtime = new SimRuntime()
    const rung: Array<string> = []
    const program = Effect.gen(function* () {
      const clock = yield* makeClock
      const [alarms, over] = [new Alarms(clock), new Alarms(clock)]
      alarms.set(seconds(1), () => {
        throw new Error("a bug")
      })
      alarms.set(seconds(2), () => rung.push("second"))
      over.set(seconds(1), () => rung.push("before the end"))
      over.end()
      over.giveUp(over.set(seconds(3), () => rung.push("after the end")))
      over.set(seconds(4), () => rung.push("set after the end"))
      yield* Effect.sleep("1 minute")
    })
    const end = runtime.run(Effect.scoped(program), 3_600_000)
    assert.isTrue(end._tag === "Done" && end.exit._tag === "Success", JSON.stringify(end))
    assert.deepStrictEqual(rung, ["second"])
  })

  it("of a connection that ends are all given up, also after one of them rang or was given up", () => {
    const runtime = new SimRuntime()
    const rung: Array<string> = []
    const program = Effect.gen(function* () {
      const clock = yield* makeClock
      const [alarms, others, late] = [new Alarms(clock), new Alarms(clock), new Alarms(clock)]
      const first = late.set(seconds(1), () => rung.push("first"))
      for (const at of [1, 5, 6]) alarms.set(seconds(at), () => rung.push(`at ${at}`))
      others.set(seconds(7), () => rung.push("of another connection"))
      alarms.giveUp(alarms.set(seconds(8), () => rung.push("given up")))
      yield* Effect.sleep("2 seconds")
      // What has rung cannot be given up, nor anything else in its place.
      late.set(seconds(5), () => rung.push("second"))
      late.giveUp(first)
      for (const each of [alarms, late]) each.end()
      yield* Effect.sleep("1 minute")
    })
    const end = runtime.run(Effect.scoped(program), 3_600_000)
    assert.isTrue(end._tag === "Done" && end.exit._tag === "Success", JSON.stringify(end))
    assert.deepStrictEqual(rung, ["first", "at 1", "of another connection"])
  })
})
