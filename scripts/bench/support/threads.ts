/**
 * Runs simulated worlds in threads of their own, some at a time, and hands over what they tell in the order of their seeds.
 *
 * A file that runs worlds is its own thread: `runThread(play)` where `isMainThread` is false, `playAll` where it is true.
 */
import { parentPort, Worker } from "node:worker_threads"

/**
 * Most of what a world allocates is of no use a moment later. With room for more of it than a program usually has, less is
 * looked at in vain: a sixth of the time of a world.
 */
const maxYoungGenerationSizeMb = 192
const maxOldGenerationSizeMb = 8192

export interface Play<Told> {
  /** The file of the threads, and the arguments they read. */
  readonly file: string
  readonly args: ReadonlyArray<string>
  /** Both ends are played. */
  readonly seeds: readonly [first: number, last: number]
  /** Threads at a time. */
  readonly jobs: number
  /** Is given what each seed's world told, in the order of the seeds. `false` ends all. */
  readonly tell: (told: Told) => boolean
}

/** Done when every seed has been told, or `tell` has ended it. Rejects when a thread fails. */
export const playAll = <Told>({ args, file, jobs, seeds: [first, last], tell }: Play<Told>): Promise<void> =>
  new Promise((resolve, reject) => {
    const told = new Map<number, Told>()
    const workers = new Set<Worker>()
    let next = first
    let awaited = first
    const end = (then: () => void) => {
      for (const worker of workers) void worker.terminate()
      workers.clear()
      then()
    }
    const receive = (seed: number, one: Told) => {
      told.set(seed, one)
      for (let due = told.get(awaited); due !== undefined; due = told.get(awaited)) {
        told.delete(awaited++)
        if (!tell(due)) return end(resolve)
      }
      if (awaited > last) end(resolve)
    }
    for (let job = 0; job < Math.min(jobs, last - first + 1); job++) {
      const worker = new Worker(file, {
        argv: [...args],
        resourceLimits: { maxYoungGenerationSizeMb, maxOldGenerationSizeMb }
      })
      let seed = next++
      workers.add(worker)
      worker.postMessage(seed)
      worker.on("message", (one: Told) => {
        const played = seed
        if (next <= last) {
          seed = next++
          worker.postMessage(seed)
        }
        if (workers.has(worker)) receive(played, one)
      })
      worker.once("error", (error) => end(() => reject(error)))
    }
  })

/** What a thread does: plays whatever seed it is given. */
export const runThread = (play: (seed: number) => unknown): void => {
  parentPort?.on("message", (seed: number) => parentPort?.postMessage(play(seed)))
}
