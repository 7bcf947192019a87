/**
 * Writes down what happens on connections, as segments: lines of text that go to a `Sink`.
 *
 *     ConnectionLoop ─ event ─▶ RecordedConnection ─▶ ConnectionMachine
 *                                      │ lines
 *                                      ▼
 *                                    Sink        RecordFolder, or memory
 *
 * A connection holds up to 64 KiB of lines, which whoever owns the recorder has handed over now and then, and at most twice
 * that of memory for them. Nothing here waits, and nothing here can fail the connection: what there is no room for, and what
 * cannot be written down, ends the segment. The next one says how many events are missing, those among them that a sink took
 * and could not keep.
 *
 * **Security**
 *
 * What a peer says costs more when it is recorded: an `addr` of 1,000 entries some 1.4 ms and an `inv` of as many 0.4 ms, which
 * is ten to thirty times what reading it costs, and in proportion to its bytes.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import { crc32 } from "node:zlib"
import { Duration } from "effect"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import * as ConnectedAddress from "../peer/ConnectedAddress.ts"
import type { Action, ConnectionMachine, Event, Options } from "../peer/ConnectionMachine.ts"
import type { ConnectionInfo } from "../peer/Peer.ts"
import type { ConnectionRecord, Recording } from "../peer/Recording.ts"
import type { ConnectionId } from "../peer/Request.ts"
import * as Format from "./Format.ts"
import { LineBuffer, type Piece, piece } from "./LineBuffer.ts"
import type { Pseudonym } from "./Pseudonyms.ts"
import { nameOf } from "./Texts.ts"
import { Transcript } from "./Transcript.ts"

/** Names a segment. */
export interface SegmentName {
  /** Which of several nodes of one process; empty for the only one. */
  readonly node: string
  /** The connections of this process that were recorded, from 1: a number of its own, for two nodes may have one id. */
  readonly connection: number
  /** From 1. */
  readonly segment: number
}

/** What the last line of a segment says of those before it. */
export type Contents = Omit<Format.End, "end">

/** The last line of a segment. */
export const endLine = (end: Format.Ending, { crc32, events }: Contents): Buffer =>
  Buffer.from(`${JSON.stringify({ end, events, crc32 } satisfies Format.End)}\n`, "latin1")

/** Where the text of a segment goes. */
export interface SegmentSink {
  /**
   * Takes whole lines; the bytes are somebody else's when it has returned. `contents`: of the segment up to their end. `false`:
   * there is no room for them, nor for anything after but the last line.
   */
  readonly write: (lines: Buffer, contents: Contents) => boolean
  /** Takes the last line; nothing follows. */
  readonly end: (line: Buffer) => void
}

/** Where segments go. */
export interface Sink {
  /** `undefined` while there is no room. `lost` hears how many of the events that were taken could not be kept, when that is known. */
  readonly open: (name: SegmentName, nowNanos: bigint, lost: (events: number) => void) => SegmentSink | undefined
}

/** Where a recorder writes, and what it leaves out. */
export interface RecorderOptions {
  readonly sink: Sink
  /** Longest segment, in bytes; what makes it longer is its last event. */
  readonly segmentBytes: number
  readonly pseudonym: Pseudonym
  /** Whether `pseudonym` leaves addresses as they are. */
  readonly showsAddresses: boolean
  readonly keepsBodies: boolean
  /** Milliseconds since the Unix epoch. */
  readonly nowMillis: () => number
}

/** Bytes of lines that one connection holds before they go to the sink. */
const chunkBytes = 65_536

/** Records the connections of one process, or of one simulated world. */
export class Recorder {
  readonly #options: RecorderOptions
  readonly #live = new Set<RecordedConnection>()
  #begun = 0

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  /** For one node. An isolated connection is not recorded: nothing is to tell what it was for. */
  recording(node: string): Recording {
    return {
      begin: (id, info, options) => {
        const { source } = options
        if (source === undefined) return undefined
        const number = ++this.#begun
        const subject = { node, number, id, info, machine: options, address: source.address }
        const connection = new RecordedConnection(this.#options, subject, () => this.#live.delete(connection))
        this.#live.add(connection)
        return connection
      }
    }
  }

  /** Hands over what connections still hold. */
  flush(): void {
    for (const connection of this.#live) connection.flush()
  }

  /** Ends every segment. Nothing is recorded afterwards. */
  stop(): void {
    for (const connection of this.#live) connection.stop()
  }
}

/** What is recorded. */
interface Subject {
  readonly node: string
  readonly number: number
  readonly id: ConnectionId
  readonly info: ConnectionInfo
  readonly machine: Options
  readonly address: PeerSocketAddress
}

class RecordedConnection implements ConnectionRecord {
  readonly options: Options
  readonly #recorder: RecorderOptions
  readonly #subject: Subject
  readonly #transcript: Transcript
  readonly #isOver: () => void
  #draws: Array<number> = []
  #sink: SegmentSink | undefined
  #isStopped = false
  #segment = 0
  #missed = 0
  #events = 0
  /** Of those, how many the sink has. */
  #taken = 0
  #bytes = 0
  #checksum = 0
  readonly #lines = new LineBuffer()

  constructor(recorder: RecorderOptions, subject: Subject, isOver: () => void) {
    this.#recorder = recorder
    this.#subject = subject
    this.#isOver = isOver
    this.#transcript = new Transcript({
      pseudonym: recorder.pseudonym,
      keepsBodies: recorder.keepsBodies,
      negotiatedVersion: subject.info.negotiatedVersion
    })
    this.options = {
      ...subject.machine,
      random: () => {
        const draw = subject.machine.random()
        this.#draws.push(draw)
        return draw
      }
    }
  }

  step(machine: ConnectionMachine, event: Event, nowNanos: bigint): ReadonlyArray<Action> {
    if (this.#isStopped || machine.isClosed) return machine.step(event, nowNanos)
    if (this.#sink === undefined) this.#tryOpen(machine, nowNanos)
    if (this.#draws.length > 0) this.#draws = []
    let actions: ReadonlyArray<Action>
    try {
      actions = machine.step(event, nowNanos)
    } catch (thrown) {
      this.#tryWrite(event, nowNanos, undefined, thrown)
      throw thrown
    }
    this.#tryWrite(event, nowNanos, actions, undefined)
    return actions
  }

  readonly #lost = (events: number): void => {
    this.#missed += events
  }

  flush(): void {
    if (!this.#handOver()) this.#end("lost")
  }

  stop(): void {
    if (this.#sink !== undefined) this.#end("stopped")
    this.#isStopped = true
    this.#isOver()
  }

  // A bug of what writes it down is not the connection's.

  #tryOpen(machine: ConnectionMachine, nowNanos: bigint): void {
    try {
      this.#open(machine, nowNanos)
    } catch {
      this.#lines.clear()
      this.#end("lost")
    }
  }

  #tryWrite(event: Event, nowNanos: bigint, actions: ReadonlyArray<Action> | undefined, thrown: unknown): void {
    try {
      this.#write(event, nowNanos, actions, thrown)
    } catch {
      this.#lines.dropLine()
      this.#missed++
      this.#end("lost")
    }
  }

  #open(machine: ConnectionMachine, nowNanos: bigint): void {
    const { address, id, info, machine: options, node, number } = this.#subject
    const name = { node, connection: number, segment: this.#segment + 1 }
    const sink = this.#recorder.sink.open(name, nowNanos, this.#lost)
    if (sink === undefined) return
    this.#segment++
    this.#sink = sink
    this.#events = 0
    this.#taken = 0
    this.#lines.clear()
    this.#bytes = 0
    this.#checksum = 0
    this.#transcript.startAt(nowNanos)
    const { limits } = options
    const segment: Format.Segment = {
      format: Format.name,
      version: Format.version,
      connection: {
        id,
        node,
        isInbound: ConnectedAddress.isInbound(info.connectedAddress),
        address: this.#transcript.address(address),
        userAgent: info.remote.userAgent,
        version: info.remote.version,
        negotiatedVersion: info.negotiatedVersion,
        services: String(options.services)
      },
      segment: this.#segment,
      startedMillis: this.#recorder.nowMillis(),
      nanos: String(nowNanos),
      missed: this.#missed,
      bodies: this.#recorder.keepsBodies,
      addresses: this.#recorder.showsAddresses,
      limits: {
        requestMillis: Duration.toMillis(limits.requestTimeout),
        overloadMillis: Duration.toMillis(limits.overloadInterval),
        minOverloadDropProbability: limits.minOverloadDropProbability,
        maxOverloadDropProbability: limits.maxOverloadDropProbability,
        advertQueueCapacity: limits.advertQueueCapacity,
        addressCacheCapacity: limits.addressCacheCapacity,
        addressesPerAnswer: limits.addressesPerAnswer,
        inventoryHashes: limits.inventoryHashes
      },
      state: this.#transcript.state(machine.snapshot)
    }
    this.#missed = 0
    this.#lines.put(ascii(JSON.stringify(segment)))
    this.#bytes += this.#lines.endLine()
  }

  #write(event: Event, nowNanos: bigint, actions: ReadonlyArray<Action> | undefined, thrown: unknown): void {
    if (this.#sink === undefined) {
      this.#missed++
      if (isEnd(actions)) this.stop()
      return
    }
    const transcript = this.#transcript
    const lines = this.#lines
    lines.putPiece(texts.at)
    lines.putWhole(transcript.nanos(nowNanos))
    // Half of all lines.
    const isPlain = actions !== undefined && this.#draws.length === 0
    const frequent = isPlain ? frequentLine(event, actions) : undefined
    if (frequent !== undefined) return this.#added(lines.endLine(frequent))
    transcript.putEvent(lines, event)
    if (this.#draws.length > 0) lines.put(`,"chance":[${this.#draws.join()}]`)
    if (actions === undefined) {
      lines.put(`,"defect":${ascii(JSON.stringify(nameOf(thrown)))}}`)
      this.#added(lines.endLine())
    } else this.#added(lines.endLine(transcript.putActions(lines, actions)))
    if (!isEnd(actions)) return
    this.#end("closed")
    this.#isStopped = true
    this.#isOver()
  }

  /** A line of so many bytes is there. */
  #added(bytes: number): void {
    this.#bytes += bytes
    this.#events++
    if (this.#bytes >= this.#recorder.segmentBytes) this.#end("full")
    else if (this.#lines.length >= chunkBytes) this.flush()
  }

  /** `false` when the sink has no room for it. */
  #handOver(): boolean {
    if (this.#lines.length === 0) return true
    const lines = this.#lines.take(2 * chunkBytes)
    const contents = { events: this.#events, crc32: crc32(lines, this.#checksum) }
    if (this.#sink === undefined || !this.#sink.write(lines, contents)) return false
    this.#checksum = contents.crc32
    this.#taken = this.#events
    return true
  }

  #end(end: Format.Ending): void {
    const sink = this.#sink
    if (sink === undefined) return
    const isWhole = this.#handOver()
    this.#sink = undefined
    this.#missed += this.#events - this.#taken
    sink.end(endLine(isWhole ? end : "lost", { events: this.#taken, crc32: this.#checksum }))
  }
}

/** `at` of an array costs more than the rest of this. */
const isEnd = (actions: ReadonlyArray<Action> | undefined): boolean =>
  actions !== undefined && actions.length > 0 && actions[actions.length - 1]!._tag === "Close"

const linesOf = (event: "Quiet" | "Written" | "Alarm") => ({
  nothing: piece(`,"on":"${event}"}\n`),
  read: piece(`,"on":"${event}","do":["Read"]}\n`),
  yieldRead: piece(`,"on":"${event}","do":["Yield","Read"]}\n`)
})

const texts = {
  at: piece('{"at":'),
  quiet: linesOf("Quiet"),
  written: linesOf("Written"),
  alarm: linesOf("Alarm")
}

/** What is left to say after the time of an event that has nothing in it, and at most the wish to read. */
const frequentLine = (event: Event, actions: ReadonlyArray<Action>): Piece | undefined => {
  switch (event._tag) {
    case "Quiet":
      return ofActions(texts.quiet, actions)
    case "Written":
      return ofActions(texts.written, actions)
    case "Alarm":
      return ofActions(texts.alarm, actions)
    default:
      return undefined
  }
}

const ofActions = (lines: ReturnType<typeof linesOf>, actions: ReadonlyArray<Action>): Piece | undefined => {
  switch (actions.length) {
    case 0:
      return lines.nothing
    case 1:
      return actions[0]!._tag === "Read" ? lines.read : undefined
    case 2:
      return actions[0]!._tag === "Yield" && actions[1]!._tag === "Read" ? lines.yieldRead : undefined
    default:
      return undefined
  }
}

/** In characters that mean nothing to a terminal and are one byte each. */
const ascii = (json: string): string =>
  json.replaceAll(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)
