/**
 * Writes down what happens on connections, as segments: lines of text that go to a `Sink`.
 *
 *     ConnectionLoop ─ event ─▶ RecordedConnection ─▶ ConnectionMachine
 *                                      │ lines
 *                                      ▼
 *                                    Sink        RecordFolder, or memory
 *
 * Nothing here waits, and nothing here can fail the connection: what there is no room for, and what cannot be written
 * down, ends the segment. The next one says how many events are missing.
 *
 * @module
 */
import { crc32 } from "node:zlib"
import { Duration } from "effect"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import * as ConnectedAddress from "../peer/ConnectedAddress.ts"
import type { Action, ConnectionMachine, Event, Options } from "../peer/ConnectionMachine.ts"
import type { ConnectionInfo } from "../peer/Peer.ts"
import type { ConnectionRecord, Recording } from "../peer/Recording.ts"
import type { ConnectionId } from "../peer/Request.ts"
import * as Format from "./Format.ts"
import type { Pseudonym } from "./Pseudonyms.ts"
import { nameOf, Transcript } from "./Transcript.ts"

/** Names a segment. */
export interface SegmentName {
  /** Which of several nodes of one process; empty for the only one. */
  readonly node: string
  readonly connection: ConnectionId
  /** From 1. */
  readonly segment: number
}

/** Where the text of a segment goes. */
export interface SegmentSink {
  /** Takes whole lines of ASCII. `false`: there is no room for them, nor for anything after them but the last line. */
  readonly write: (text: string) => boolean
  /** Takes the last line; nothing follows. */
  readonly end: (text: string) => void
}

/** Where segments go. */
export interface Sink {
  /** `undefined` while there is no room. */
  readonly open: (name: SegmentName, nowNanos: bigint) => SegmentSink | undefined
}

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

/** Characters that one connection holds before they go to the sink. */
const chunkCharacters = 65_536

/** Records the connections of one process, or of one simulated world. */
export class Recorder {
  readonly #options: RecorderOptions
  readonly #live = new Set<RecordedConnection>()

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  /** For one node. An isolated connection is not recorded: nothing is to tell what it was for. */
  recording(node: string): Recording {
    return {
      begin: (id, info, options) => {
        const { source } = options
        if (source === undefined) return undefined
        const subject = { node, id, info, machine: options, address: source.address }
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
  #text = ""

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
    if (this.#sink === undefined) this.#tried(() => this.#open(machine, nowNanos))
    if (this.#draws.length > 0) this.#draws = []
    let actions: ReadonlyArray<Action>
    try {
      actions = machine.step(event, nowNanos)
    } catch (thrown) {
      this.#tried(() => this.#write(event, nowNanos, undefined, thrown))
      throw thrown
    }
    this.#tried(() => this.#write(event, nowNanos, actions, undefined))
    return actions
  }

  flush(): void {
    if (!this.#handOver()) this.#end("lost")
  }

  stop(): void {
    if (this.#sink !== undefined) this.#end("stopped")
    this.#isStopped = true
    this.#isOver()
  }

  /** A bug of what writes it down is not the connection's. */
  #tried(work: () => void): void {
    try {
      work()
    } catch {
      this.#missed++
      this.#end("lost")
    }
  }

  #open(machine: ConnectionMachine, nowNanos: bigint): void {
    const { address, id, info, machine: options, node } = this.#subject
    const name = { node, connection: id, segment: this.#segment + 1 }
    const sink = this.#recorder.sink.open(name, nowNanos)
    if (sink === undefined) return
    this.#segment++
    this.#sink = sink
    this.#events = 0
    this.#taken = 0
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
    this.#add(ascii(JSON.stringify(segment)))
  }

  #write(event: Event, nowNanos: bigint, actions: ReadonlyArray<Action> | undefined, thrown: unknown): void {
    if (this.#sink === undefined) {
      this.#missed++
      if (actions?.at(-1)?._tag === "Close") this.stop()
      return
    }
    const transcript = this.#transcript
    let line = `{"at":${transcript.nanos(nowNanos)},"on":${transcript.event(event)}`
    if (this.#draws.length > 0) line += `,"chance":[${this.#draws.join()}]`
    let isClosed = false
    if (actions === undefined) line += `,"defect":${ascii(JSON.stringify(nameOf(thrown)))}`
    else if (actions.length > 0) {
      let texts = ""
      for (const action of actions) {
        texts += `${texts === "" ? "" : ","}"${transcript.action(action)}"`
        isClosed ||= action._tag === "Close"
      }
      line += `,"do":[${texts}]`
    }
    this.#add(`${line}}`)
    this.#events++
    if (isClosed) {
      this.#end("closed")
      this.#isStopped = true
      this.#isOver()
    } else if (this.#bytes >= this.#recorder.segmentBytes) this.#end("full")
    else if (this.#text.length >= chunkCharacters) this.flush()
  }

  #add(line: string): void {
    this.#text += `${line}\n`
    this.#bytes += line.length + 1
  }

  /** `false` when the sink has no room for it. */
  #handOver(): boolean {
    if (this.#text === "" || this.#sink === undefined) return true
    const text = this.#text
    this.#text = ""
    if (!this.#sink.write(text)) return false
    this.#checksum = crc32(text, this.#checksum)
    this.#taken = this.#events
    return true
  }

  #end(end: Format.Ending): void {
    const sink = this.#sink
    if (sink === undefined) return
    const isWhole = this.#handOver()
    this.#sink = undefined
    this.#missed += this.#events - this.#taken
    const line: Format.End = { end: isWhole ? end : "lost", events: this.#taken, crc32: this.#checksum }
    sink.end(`${JSON.stringify(line)}\n`)
  }
}

/** In characters that mean nothing to a terminal and are one byte each. */
const ascii = (json: string): string =>
  json.replaceAll(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)
