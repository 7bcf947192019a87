/**
 * The standard streams of this process, as what a node tells needs them: neither can hold it up or end it.
 *
 * @module
 */
import { fstatSync, writeSync } from "node:fs"
import { Layer, Logger, Metric } from "effect"
import { kindInWords } from "../src/cli/DevnetView.ts"
import { limitsForPeople, type LineSink, maxWaitingBytes, Output } from "../src/cli/Output.ts"

/** What lines were left out, as an event like the others. */
const omittedEvent = (kind: string, count: number): string => JSON.stringify({ _tag: "LinesOmitted", kind, count })

const omittedText = (kind: string, count: number): string => `… ${count} more: ${kindInWords(kind)}`

/**
 * A file or a device. Written by its descriptor: a stream would be over for good with the first failure, and a disk that is
 * full has room again some time.
 */
const fileSink = (descriptor: number): LineSink => {
  /** The last line was written in part. */
  let isTorn = false
  return {
    write: (line) => {
      const bytes = Buffer.from(isTorn ? `\n${line}` : line)
      let written = 0
      try {
        written = writeSync(descriptor, bytes)
      } catch {
        return false
      }
      isTorn = written > 0 && written < bytes.length
      return written === bytes.length
    },
    waitingBytes: () => 0
  }
}

/** A pipe or a terminal, which may be slow. Whoever closes it ends the process, as `bin.js` says. */
const streamSink = (stream: NodeJS.WriteStream): LineSink => ({
  write: (line) => {
    if (!stream.writable) return false
    stream.write(line)
    return true
  },
  waitingBytes: () => stream.writableLength
})

/**
 * Has a terminal take what it has room for, and the rest wait here. Node writes to one until all is written, so that one that
 * stands still (Ctrl-S, a connection that hangs) would stop the process, peers and signals with it. What waits when the process
 * ends is lost. Node has no name of its own for this; where there is nothing of it the terminal stays as it is.
 */
const neverWaitFor = (stream: NodeJS.WriteStream): void => {
  const handle: unknown = stream.isTTY ? Reflect.get(stream, "_handle") : undefined
  if (typeof handle !== "object" || handle === null) return
  const setBlocking: unknown = Reflect.get(handle, "setBlocking")
  if (typeof setBlocking === "function") Reflect.apply(setBlocking, handle, [false])
}

const stdoutSink = (): LineSink => {
  const { stdout } = process
  try {
    const stats = fstatSync(stdout.fd)
    return stats.isFile() || (stats.isCharacterDevice() && !stdout.isTTY) ? fileSink(stdout.fd) : streamSink(stdout)
  } catch {
    // It was closed before we began.
    return { write: () => false, waitingBytes: () => 0 }
  }
}

/** Stdout, for `start`; `json` says how omitted lines are told. From then on no terminal holds the process up. */
export const layerOutput = (json: boolean): Layer.Layer<Output> =>
  Layer.suspend(() => {
    neverWaitFor(process.stdout)
    neverWaitFor(process.stderr)
    return json ? Output.layer(stdoutSink(), omittedEvent) : Output.layer(stdoutSink(), omittedText, limitsForPeople)
  })

const omittedLogs = Metric.counter("network_effect.logs.omitted", {
  description: "lines of the log that stderr had no room for",
  incremental: true
})

/** The same logger, which leaves out what stderr has no room for, and counts it. */
export const bounded = <A>(logger: Logger.Logger<unknown, A>): Logger.Logger<unknown, void> =>
  Logger.make((options) => {
    if (process.stderr.writableLength <= maxWaitingBytes) logger.log(options)
    else omittedLogs.updateUnsafe(1, options.fiber.context)
  })
