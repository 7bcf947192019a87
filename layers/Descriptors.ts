/**
 * Whether the file descriptors of this process are enough for its connections: said at the start, and once while they are used
 * up. A connection that finds none is refused by the system, and nobody here would hear of it.
 *
 * @module
 */
import { Duration, Effect, FileSystem, Layer, Option } from "effect"
import { runBeside } from "../src/BackgroundTasks.ts"
import { inboundLimit, outboundLimit, Policy } from "../src/Policy.ts"

/** What a process holds besides its peers: standard streams, the event loop, ports, files, some clients of its page. */
const others = 50

/** Free ones below which it is said that they are used up. */
const reserve = 4

/** Often enough to tell an operator, and cheap: a directory is listed. */
const interval = Duration.seconds(10)

/**
 * Looks for as long as it lives. Knows the figures of Linux; elsewhere it does nothing.
 *
 * Source: proc(5), `/proc/pid/limits` and `/proc/pid/fd`.
 */
export const layer: Layer.Layer<never, never, FileSystem.FileSystem> = Layer.effectDiscard(
  Effect.gen(function* () {
    const policy = yield* Policy
    const files = yield* FileSystem.FileSystem
    const limits = yield* Effect.option(files.readFileString("/proc/self/limits"))
    const [, text] = /^Max open files\s+(\d+)/m.exec(Option.getOrElse(limits, () => "")) ?? []
    if (text === undefined) return
    const limit = Number(text)
    const slots = inboundLimit(policy) + outboundLimit(policy)
    if (limit < slots + others) {
      yield* Effect.logWarning(
        "this process may open fewer files than it has places for connections: raise the limit (ulimit -n, LimitNOFILE)"
      ).pipe(Effect.annotateLogs({ limit, places: slots, needed: slots + others }))
    }

    let isTold = false
    const look = Effect.gen(function* () {
      // Listing takes one itself, so when it fails there is none.
      const open = yield* files.readDirectory("/proc/self/fd").pipe(
        Effect.map(({ length }) => length),
        Effect.orElseSucceed(() => limit)
      )
      const isFull = open > limit - reserve
      if (isFull && !isTold) {
        yield* Effect.logWarning("all file descriptors are in use: connections are refused until some are free").pipe(
          Effect.annotateLogs({ limit })
        )
      }
      isTold = isFull
    })
    yield* runBeside("counting file descriptors", Effect.forever(Effect.andThen(look, Effect.sleep(interval))))
  })
)
