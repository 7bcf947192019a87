/**
 * Runs a scenario from a seed, and says how it ended.
 *
 * @module
 */
import { Cause, Context, Effect, Exit, References, Scope } from "effect"
import { PeerSet } from "../network/PeerSet.ts"
import { defaults, Policy } from "../Policy.ts"
import { type MemorySegment, MemorySink } from "../recording/MemorySink.ts"
import * as Pseudonyms from "../recording/Pseudonyms.ts"
import { Recorder } from "../recording/Recorder.ts"
import { NotReached, type Scenario, type Size } from "./Scenario.ts"
import * as SeededRandom from "./SeededRandom.ts"
import { SimRuntime } from "./SimRuntime.ts"
import * as World from "./World.ts"

/** What was wrong. */
export interface Failure {
  /** One sentence. */
  readonly reason: string
  /** The nodes it is about; none when it is about all. */
  readonly nodes: ReadonlyArray<number>
}

/** How a run went. */
export interface Outcome {
  readonly scenario: string
  readonly seed: SeededRandom.Seed
  readonly size: Size
  readonly failure: Failure | undefined
  /** Virtual time when it ended, in milliseconds. */
  readonly atMillis: number
  readonly events: number
  /** Of every event, in order: two runs with one hash were the same. */
  readonly hash: string
  /** The latest events, oldest first. */
  readonly recent: ReadonlyArray<World.LogEntry>
  /** Figures the scenario gives, for those who ask how much rather than whether. */
  readonly notes: ReadonlyArray<string>
  /** Measured values by what was measured, in the order they came; for figures over many seeds. */
  readonly measures: ReadonlyMap<string, ReadonlyArray<number>>
  /** What the seed decided, in a line; empty when the scenario does not say. */
  readonly drawn: string
  /** What the nodes' connections did, oldest first: the latest of it, where there was not enough room. Empty unless wanted. */
  readonly records: ReadonlyArray<MemorySegment>
  readonly work: { readonly timers: number; readonly tasks: number }
}

/** What is run. */
export interface Options {
  readonly scenario: Scenario
  readonly seed: SeededRandom.Seed
  readonly size?: Partial<Size> | undefined
  /** What a node is made of. */
  readonly node: World.WorldOptions["node"]
  /** Records every connection, in memory, up to so many characters. It changes nothing of the run. */
  readonly recordedCharacters?: number | undefined
}

/** Beyond what a scenario plans; then it counts as waiting for something that never comes. */
const spareHours = 3

/** Short, for whole segments go when there are too many, and what is wanted is the latest of each connection. */
const worldSegmentBytes = 262_144

/** 1 January 2026: a time at which nothing of the past looks like the beginning of time. */
const startMillis = 1_767_225_600_000

/** Runs a scenario from a seed to its end or its first failure. */
export const run = ({ node, recordedCharacters, scenario, seed, size }: Options): Outcome => {
  const runtime = new SimRuntime(startMillis)
  const wanted: Size = { ...scenario.size, ...size }
  let world: World.World | undefined
  const sink = recordedCharacters === undefined ? undefined : new MemorySink(recordedCharacters)
  // Nobody lives at the addresses of a world.
  const recorder =
    sink === undefined
      ? undefined
      : new Recorder({
          sink,
          segmentBytes: worldSegmentBytes,
          pseudonym: Pseudonyms.none,
          showsAddresses: true,
          keepsBodies: false,
          nowMillis: () => runtime.nowMillis()
        })

  const program = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const outcome = yield* Effect.gen(function* () {
      const made = yield* World.make({
        seed,
        node,
        recorder,
        ...(scenario.chain === undefined ? {} : { chain: scenario.chain }),
        ...(scenario.lookInterval === undefined ? {} : { lookInterval: scenario.lookInterval })
      })
      world = made
      yield* Effect.raceFirst(scenario.run(made, wanted), made.awaitViolation)
    }).pipe(Scope.provide(scope), Effect.exit)
    yield* Scope.close(scope, Exit.void)
    if (Exit.isFailure(outcome)) return yield* Effect.failCause(outcome.cause)
    const openEnds = world?.network.openEnds() ?? 0
    return openEnds === 0 ? undefined : `${openEnds} ends of streams are open after everybody has stopped`
  }).pipe(
    Effect.provide(SeededRandom.layer(seed, "scenario")),
    Effect.provideService(Policy, { ...defaults, ...policyOf(scenario, wanted, seed) }),
    Effect.provideService(References.MinimumLogLevel, "None")
  )

  const ending = runtime.run(program, (wanted.hours + spareHours) * 3_600_000, () => world?.afterStep())
  // What is left open when a world hangs.
  recorder?.stop()
  return {
    scenario: scenario.name,
    seed,
    size: wanted,
    failure: failureOf(ending, world),
    atMillis: runtime.nowMillis() - startMillis,
    events: world?.events() ?? 0,
    hash: world?.hash() ?? "",
    recent: world?.recent() ?? [],
    notes: world?.notes ?? [],
    measures: world?.measures ?? new Map(),
    drawn: scenario.drawn?.(wanted, seed) ?? "",
    records: sink?.segments() ?? [],
    work: runtime.work()
  }
}

const policyOf = ({ policy }: Scenario, size: Size, seed: SeededRandom.Seed): Partial<Policy> =>
  (typeof policy === "function" ? policy(size, seed) : policy) ?? {}

const failureOf = (
  ending: ReturnType<SimRuntime["run"]> & { readonly exit?: Exit.Exit<unknown, unknown> },
  world: World.World | undefined
): Failure | undefined => {
  if (ending._tag !== "Done") {
    const what = ending._tag === "Deadlock" ? "nobody has anything to do any more" : "the time is over"
    return { reason: `${what}, and the scenario still waits: ${waiting(world)}`, nodes: [] }
  }
  const { exit } = ending
  if (Exit.isSuccess(exit)) return exit.value === undefined ? undefined : { reason: String(exit.value), nodes: [] }
  const error = Cause.squash(exit.cause)
  if (error instanceof NotReached) {
    return { reason: `waited for ${error.waitedFor}, but ${error.found}`, nodes: [] }
  }
  if (error instanceof World.InvariantBroken) {
    const { detail, invariant, node } = error.violation
    return { reason: `broken: ${invariant}: node ${node}: ${detail}`, nodes: [node] }
  }
  return { reason: `a defect: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, nodes: [] }
}

/** What every node is doing, for a run that hangs. */
const waiting = (world: World.World | undefined): string =>
  world === undefined
    ? "the world was not even made"
    : world
        .nodes()
        .map(({ index, services }) => `node ${index} has ${Context.get(services, PeerSet).peersUnsafe().length} peers`)
        .join(", ")
