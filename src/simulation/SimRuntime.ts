/**
 * Runs effects under a virtual clock, synchronously and in one order: same program, same seed, same run.
 *
 * One queue of tasks, first come first served, and one agenda of timers. Nothing waits for the machine: when no task is
 * left, the clock jumps to the next timer. Several times faster than a `TestClock`.
 *
 * **Which clock a test runs under**
 *
 * Effect's `TestClock` stands still until the test moves it: `TestClock.adjust` is for a service or a few nodes, and for
 * what is true a millisecond before and a millisecond after. Whoever waits under it without a fiber that moves it waits for
 * ever. This one moves by itself, as far as it has to: it is for whole worlds, and for every test that waits until something
 * has come about. Wrap such a test in `SimRuntime.within(limit)`, with its layers inside.
 *
 * @module
 */
import { Clock, Context, Data, Duration, Effect, type Exit, Fiber, Option, References, Scheduler } from "effect"
import { CurrentTask, CurrentWait } from "../BackgroundTasks.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { OwnAddress } from "../transport/OwnAddress.ts"
import { Agenda } from "../Agenda.ts"

/** Somebody who waits for the clock and for nothing else. */
export interface Sleeper {
  /** The name of its task and where its node listens, `crawler of 10.0.0.1:18233`; else `the program`. */
  readonly who: string
  /** Virtual time, in milliseconds since the run began. */
  readonly untilMillis: number
}

/** How a run ended that was not given the time it needed. */
export type Ending<A, E> =
  | { readonly _tag: "Done"; readonly exit: Exit.Exit<A, E> }
  /** The time was over first. Those who slept then, the first to wake first. */
  | { readonly _tag: "OutOfTime"; readonly sleeping: ReadonlyArray<Sleeper> }
  /** Nobody has anything to do any more, and the program still waits. */
  | { readonly _tag: "Deadlock" }

/** Who is part of no task. */
const theProgram = "the program"

/** Sleepers that a message names. */
const namedSleepers = 8

/** A program was not done when its time was over, or nobody was left who could have gone on with it. */
export class StillWaiting extends Data.TaggedError("StillWaiting")<{
  /** Virtual time that went by, in milliseconds. */
  readonly afterMillis: number
  /** Who waits for the clock, the first to wake first; nobody when it was not for want of time. */
  readonly sleeping: ReadonlyArray<Sleeper>
  /** What the program waits for, in words; else the innermost name in its code, `Effect.fn("name")`, when there is one. */
  readonly waitsFor: string | undefined
}> {
  override get message(): string {
    const time = (millis: number) => Duration.format(Duration.millis(millis))
    const [first] = this.sleeping
    if (first === undefined) {
      return (
        `The program waits for ${this.waitsFor ?? "what nobody will do"}: after ${time(this.afterMillis)} nobody sleeps and ` +
        "nobody has anything to do. What waits for a real socket, or was built under another clock, never goes on here."
      )
    }
    const asleep = this.sleeping.slice(0, namedSleepers).map((one) => `${one.who} until ${time(one.untilMillis)}`)
    const more = this.sleeping.length - asleep.length
    const awaited = this.sleeping.some(({ who }) => who === theProgram)
      ? ""
      : `It waits for ${this.waitsFor ?? "something else than time"}. `
    return (
      `The program still waits after ${time(this.afterMillis)}, and nothing happens before ${time(first.untilMillis)}. ` +
      `${awaited}Asleep: ${asleep.join(", ")}${more > 0 ? `, and ${more} more` : ""}.`
    )
  }
}

/** Tasks one moment may take before the run counts as stuck in it: far more than any real moment has. */
const maxTasksPerMoment = 50_000_000

/** A fiber that waits for the clock. */
interface Sleep {
  readonly fiber: Fiber.Fiber<unknown, unknown> | undefined
  readonly wake: (effect: Effect.Effect<void>) => void
}

/** Runs a program under a virtual clock, the same way every time. */
export class SimRuntime implements Scheduler.Scheduler {
  readonly executionMode = "async" as const
  #nowMillis: number
  readonly #agenda = new Agenda<Sleep>()
  #tasks: Array<() => void> = []
  #tasksRun = 0
  #timersRun = 0
  readonly #dispatcher: Scheduler.SchedulerDispatcher = {
    scheduleTask: (task) => {
      this.#tasks.push(task)
    },
    flush: () => this.#drain()
  }

  /** The clock starts at `startMillis`, wall time. */
  constructor(startMillis = 0) {
    this.#nowMillis = startMillis
  }

  /** Virtual wall time in milliseconds. */
  nowMillis(): number {
    return this.#nowMillis
  }

  /** Work so far: timers that rang and tasks that ran. */
  work(): { readonly timers: number; readonly tasks: number } {
    return { timers: this.#timersRun, tasks: this.#tasksRun }
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return fiber.currentOpCount >= 2048
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return this.#dispatcher
  }

  readonly clock: Clock.Clock = (() => {
    const millis = () => this.#nowMillis
    const nanos = () => BigInt(Math.round(this.#nowMillis * 1_000_000))
    return {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration: Duration.Duration) => {
        const time = Duration.toMillis(duration)
        if (time <= 0) return Effect.yieldNow
        if (!Number.isFinite(time)) return Effect.never
        return Effect.callback<void>((wake) => {
          const sleep = this.#agenda.add(this.#nowMillis + time, { fiber: Fiber.getCurrent(), wake })
          return Effect.sync(() => this.#agenda.remove(sleep))
        })
      }
    }
  })()

  /** Runs a program until it is done or `forMillis` of virtual time are over. `afterStep` is called after each moment. */
  run<A, E>(program: Effect.Effect<A, E>, forMillis: number, afterStep: () => void = () => undefined): Ending<A, E> {
    const end = this.#run(program, Context.empty(), forMillis, afterStep)
    if (!(end instanceof StillWaiting)) return { _tag: "Done", exit: end }
    return end.sleeping.length === 0 ? { _tag: "Deadlock" } : { _tag: "OutOfTime", sleeping: end.sleeping }
  }

  /**
   * Runs an effect in virtual time of its own, from zero: at once, whatever clock is in force outside. One that is not done
   * in time fails with `StillWaiting`, which says who sleeps until when.
   *
   *     it.effect("…", () => test.pipe(Effect.provide(nodes), SimRuntime.within("10 minutes")))
   *
   * Layers belong inside, as here: what was built outside waits for the clock it was built under.
   */
  static readonly within =
    (limit: Duration.Input) =>
    <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E | StillWaiting, R> =>
      Effect.contextWith((context: Context.Context<R>): Effect.Effect<A, E | StillWaiting> => {
        const millis = Duration.toMillis(Duration.fromInputUnsafe(limit))
        const end = new SimRuntime().#run(program, context, millis, () => undefined)
        return end instanceof StillWaiting ? Effect.fail(end) : end
      })

  #run<A, E, R>(
    program: Effect.Effect<A, E, R>,
    context: Context.Context<R>,
    forMillis: number,
    afterStep: () => void
  ): Exit.Exit<A, E> | StillWaiting {
    const beganMillis = this.#nowMillis
    const inHere = Context.make(Scheduler.Scheduler, this as Scheduler.Scheduler).pipe(
      Context.add(Clock.Clock, this.clock)
    )
    const fiber = Effect.runForkWith(Context.merge(context, inHere))(program)
    const isDone = () => fiber.pollUnsafe() !== undefined
    this.#runUntil(beganMillis + forMillis, isDone, afterStep)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return exit
    const sleeping = [...this.#agenda.entries()]
      .toSorted((a, b) => a.at - b.at || a.order - b.order)
      .map(({ at, what }) => ({ who: nameOf(what.fiber), untilMillis: at - beganMillis }))
    const waiting = new StillWaiting({
      afterMillis: this.#nowMillis - beganMillis,
      sleeping,
      waitsFor: waitOf(fiber)
    })
    // Whatever it holds is given back in the same world.
    fiber.interruptUnsafe()
    this.#runUntil(this.#nowMillis + 60_000, isDone, () => undefined)
    return waiting
  }

  #runUntil(until: number, isDone: () => boolean, afterStep: () => void): void {
    this.#drain()
    afterStep()
    while (!isDone()) {
      const next = this.#agenda.nextAt()
      if (next === undefined) return
      if (next > until) {
        this.#nowMillis = until
        return
      }
      this.#nowMillis = next
      for (let due = this.#agenda.takeDue(next); due !== undefined; due = this.#agenda.takeDue(next)) {
        this.#timersRun++
        due.what.wake(Effect.void)
        this.#drain()
      }
      afterStep()
    }
  }

  #drain(): void {
    const limit = this.#tasksRun + maxTasksPerMoment
    for (let tasks = this.#tasks; tasks.length > 0; tasks = this.#tasks) {
      this.#tasks = []
      for (const task of tasks) {
        this.#tasksRun++
        task()
      }
      if (this.#tasksRun > limit)
        throw new Error("one moment of the simulation never ends: some fibers run in a circle")
    }
  }
}

/** What it waits for, as far as it says so. */
const waitOf = ({ context }: Fiber.Fiber<unknown, unknown>): string | undefined => {
  const name = Context.get(context, References.CurrentStackFrame)?.name
  return Context.get(context, CurrentWait) ?? (name === undefined ? undefined : `what "${name}" waits for`)
}

/** Its task, and its node if it is told apart by where it listens. */
const nameOf = (fiber: Fiber.Fiber<unknown, unknown> | undefined): string => {
  const context = fiber?.context ?? Context.empty()
  const task = Context.get(context, CurrentTask) ?? theProgram
  const address = Option.flatMap(Context.getOption(context, OwnAddress), ({ listening }) => listening)
  return Option.match(address, {
    onNone: () => task,
    onSome: (address) => `${task} of ${PeerSocketAddress.format(address)}`
  })
}
