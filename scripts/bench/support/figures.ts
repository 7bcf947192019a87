/** What benchmarks make of what they measured, and the memory of another process. */
import type { ChildProcess } from "node:child_process"
import { readFileSync } from "node:fs"

/** The middle one, or the one after the middle; `NaN` of none. */
export const median = (values: ReadonlyArray<number>): number => percentile(values, 0.5)

/** The first one that is above so large a part of the others. */
export const percentile = (values: ReadonlyArray<number>, part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? Number.NaN

/** Resident memory of a process, in KiB; 0 once it has ended. Linux only. */
export const residentKiB = ({ pid }: ChildProcess): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0)
