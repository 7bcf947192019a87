/**
 * What runs for as long as the network lives, and the one end of it all.
 *
 * A loop of any service registers itself here by name. Whatever ends first, a task or the layer, is the end of the network:
 *
 *     task ends ─────┐                1. the reason is set: everybody who asks from now on hears it
 *     end(reason) ───┼──▶ the end ──▶ 2. whoever registered with `onEnd` is told, in the same synchronous step
 *     layer closes ──┘                3. `scope` closes: every task, port and connection at the same time
 *
 * So a caller whose connection breaks because the network ends hears why, whatever is taken apart first: the reason is there
 * before anything breaks. Nothing that lives as long as the network hangs on the scope of the layer that made it, so the
 * order in which layers close decides nothing.
 *
 * @module
 */
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"

/** The network was closed. */
export class NetworkClosed extends Schema.TaggedError<NetworkClosed>()("NetworkClosed", {}) {}

/** A task without which there is no network ended. That is a bug, or whatever `cause` says. */
export class BackgroundTaskExited extends Schema.TaggedError<BackgroundTaskExited>()("BackgroundTaskExited", {
  task: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `The background task "${this.task}" ended, and the network with it: ${String(this.cause)}`
  }
}

/** The chain is past an upgrade that this build does not know. */
export class NodeOutdated extends Schema.TaggedError<NodeOutdated>()("NodeOutdated", {
  ourVersion: Schema.Int,
  requiredVersion: Schema.Int,
  height: Schema.Int
}) {
  override get message(): string {
    return (
      `This build speaks protocol version ${this.ourVersion}, but the chain demands ${this.requiredVersion} ` +
      `at height ${this.height}: update network-effect.`
    )
  }
}

/** Why the network ended. Everybody hears the same one; trying again is in vain. */
export type NetworkEnd = NetworkClosed | BackgroundTaskExited | NodeOutdated

/** Whether an error is the end of the network. */
export const isNetworkEnd = (error: unknown): error is NetworkEnd =>
  error instanceof NetworkClosed || error instanceof BackgroundTaskExited || error instanceof NodeOutdated

/** A task of this name runs already: two layers provide the same service, or two tasks have to be told apart. */
export class TaskNameTaken extends Schema.TaggedError<TaskNameTaken>()("TaskNameTaken", {
  task: Schema.String
}) {
  override get message(): string {
    return `Two background tasks are named "${this.task}": provide the service that runs it once, or rename one of them.`
  }
}

/** The name of the task that a fiber belongs to, for whoever has to say what everybody does. */
export const CurrentTask = Context.Reference<string | undefined>("network-effect/CurrentTask", {
  defaultValue: () => undefined
})

/** What a fiber waits for that may never come, in words: for whoever has to say why nothing happens. */
export const CurrentWait = Context.Reference<string | undefined>("network-effect/CurrentWait", {
  defaultValue: () => undefined
})

/**
 * Starts what the network goes on without, a page or a record, for as long as the scope. A bug that ends it is logged with its
 * name, and ends nothing else.
 */
export const runBeside = <E, R>(
  name: string,
  loop: Effect.Effect<unknown, E, R>
): Effect.Effect<void, never, R | Scope.Scope> =>
  loop.pipe(
    Effect.onExit((exit) =>
      Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
        ? Effect.logError(`${name} has ended, and the rest goes on`, exit.cause)
        : Effect.void
    ),
    Effect.provideService(CurrentTask, name),
    Effect.forkScoped({ startImmediately: true }),
    Effect.asVoid
  )

/** Runs what lives as long as the network, and ends it all together. */
export class BackgroundTasks extends Context.Service<
  BackgroundTasks,
  {
    /**
     * Runs an effect beside everything else until the network ends, or until the scope it is registered in closes. If it
     * ends by itself, however it ends, that is the end of the network: with `BackgroundTaskExited` that names it, or with its
     * own error when that is a `NetworkEnd`. Names are for operators: a few words, lower case. Runs until it first waits
     * before this returns.
     */
    readonly run: <A, E, R>(
      name: string,
      task: Effect.Effect<A, E, R>
    ) => Effect.Effect<void, TaskNameTaken, Exclude<R, Scope.Scope> | Scope.Scope>
    /** Closes when the network ends, all that hangs on it at the same time: for ports and connections. */
    readonly scope: Scope.Scope
    /** Is called with the reason once, before anything is interrupted. Only synchronous work; what it throws is logged. */
    readonly onEnd: (listener: (reason: NetworkEnd) => void) => Effect.Effect<void, never, Scope.Scope>
    /** Ends the network, and is done when every task and connection is gone. The first reason counts. */
    readonly end: (reason: NetworkEnd) => Effect.Effect<void>
    /** Why the network ended; `undefined` while it lives. */
    readonly endedUnsafe: () => NetworkEnd | undefined
    /** Fails when the network ends; never succeeds. */
    readonly awaitEnd: Effect.Effect<never, NetworkEnd>
    /** The effect, but it fails with the reason as soon as the network ends, and whenever it fails after that. */
    readonly untilEnd: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | NetworkEnd, R>
    /** The names of the tasks that run, in the order of registration. */
    readonly names: Effect.Effect<ReadonlyArray<string>>
  }
>()("network-effect/BackgroundTasks") {
  /** Ends with `NetworkClosed` when the layer's scope closes, if nothing ended it before. */
  static readonly layer: Layer.Layer<BackgroundTasks> = Layer.effect(BackgroundTasks, Effect.gen(make))
}

function* make() {
  const owner = yield* Effect.scope
  const scope = yield* Scope.make("parallel")
  const ended = Deferred.makeUnsafe<never, NetworkEnd>()
  const gone = Deferred.makeUnsafe<void>()
  const listeners = new Set<(reason: NetworkEnd) => void>()
  const names = new Set<string>()
  let reason: NetworkEnd | undefined

  /** One that throws takes nothing from the others. */
  const tell = (listener: (reason: NetworkEnd) => void, why: NetworkEnd): unknown => {
    try {
      listener(why)
      return undefined
    } catch (defect) {
      return defect
    }
  }

  const end = (why: NetworkEnd): Effect.Effect<void> =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        if (reason !== undefined) return Deferred.await(gone)
        reason = why
        const defects = [...listeners].map((listener) => tell(listener, why)).filter((defect) => defect !== undefined)
        listeners.clear()
        Deferred.doneUnsafe(ended, Exit.fail(why))
        return Effect.forEach(defects, (defect) =>
          Effect.logError("a listener to the end of the network failed", defect)
        ).pipe(Effect.andThen(Scope.close(scope, Exit.void)), Effect.ensuring(Deferred.succeed(gone, undefined)))
      })
    )
  yield* Effect.addFinalizer(() => end(new NetworkClosed()))

  /** What the end of a task means. Whose own scope closes does not come here, and ends nothing else. */
  const exited = (task: string, exit: Exit.Exit<unknown, unknown>): Effect.Effect<unknown> => {
    if (reason !== undefined) return Effect.void
    const cause = Exit.isSuccess(exit)
      ? new Error("it ended without an error")
      : Cause.hasInterruptsOnly(exit.cause)
        ? new Error("it was interrupted")
        : Cause.squash(exit.cause)
    const why = isNetworkEnd(cause) ? cause : new BackgroundTaskExited({ task, cause })
    return Effect.logError("a background task ended").pipe(
      Effect.annotateLogs({ task, cause: String(cause) }),
      // Beside the task: the end waits until it is gone.
      Effect.andThen(Effect.forkIn(end(why), owner, { startImmediately: true }))
    )
  }

  const run = Effect.fnUntraced(function* <A, E, R>(name: string, task: Effect.Effect<A, E, R>) {
    if (reason !== undefined) return
    if (names.has(name)) return yield* new TaskNameTaken({ task: name })
    names.add(name)
    const fiber = yield* Effect.scoped(task).pipe(
      Effect.provideService(CurrentTask, name),
      Effect.exit,
      Effect.flatMap((exit) => exited(name, exit)),
      Effect.ensuring(Effect.sync(() => names.delete(name))),
      Effect.forkIn(scope, { startImmediately: true })
    )
    yield* Effect.addFinalizer(() => Fiber.interrupt(fiber))
  })

  const awaitEnd = Deferred.await(ended)

  return BackgroundTasks.of({
    run: run as BackgroundTasks["Service"]["run"],
    scope,
    onEnd: (listener) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => listeners.add(listener)),
          () => Effect.sync(() => listeners.delete(listener))
        )
      ),
    end,
    endedUnsafe: () => reason,
    awaitEnd,
    untilEnd: <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.suspend((): Effect.Effect<A, E | NetworkEnd, R> => {
        if (reason !== undefined) return Effect.fail(reason)
        // What completes without a wait leaves nobody waiting for the end.
        return Effect.raceFirst(effect, awaitEnd).pipe(
          Effect.catchCause((cause) =>
            // A defect stays one, whatever else happens.
            reason === undefined || Cause.hasInterruptsOnly(cause) || Cause.hasDies(cause)
              ? Effect.failCause(cause)
              : Effect.fail(reason)
          )
        )
      }),
    names: Effect.sync(() => [...names])
  })
}
