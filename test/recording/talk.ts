/** One recorded connection, told event by event; what the peer says is written out. */
import assert from "node:assert/strict"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import * as Machine from "../../src/peer/ConnectionMachine.ts"
import type { ConnectionInfo } from "../../src/peer/Peer.ts"
import type { Recording } from "../../src/peer/Recording.ts"
import { defaults } from "../../src/Policy.ts"
import type * as Format from "../../src/recording/Format.ts"
import { MemorySink } from "../../src/recording/MemorySink.ts"
import * as Pseudonyms from "../../src/recording/Pseudonyms.ts"
import { Recorder, type RecorderOptions } from "../../src/recording/Recorder.ts"
import * as Replay from "../../src/recording/Replay.ts"
import { Message } from "../../src/wire/Message.ts"
import { alice, bob } from "../support/addresses.ts"

export const info: ConnectionInfo = {
  connectedAddress: { _tag: "OutboundDirect", address: bob },
  remote: {
    _tag: "Version",
    version: ourProtocolVersion,
    services: 1n,
    timestamp: 0n,
    addressReceiver: { address: alice, services: 1n },
    addressFrom: { address: bob, services: 1n },
    nonce: 1n,
    userAgent: "/Zebra:7.0.0/",
    startHeight: 0,
    relay: true
  },
  negotiatedVersion: ourProtocolVersion
}

/** A recorder into memory, with the key of pseudonyms that is all sevens. */
export const memoryRecorder = (options: Partial<RecorderOptions> = {}) => {
  const sink = new MemorySink(256 * 1024 * 1024)
  const recorder = new Recorder({
    sink,
    segmentBytes: 1024 * 1024,
    pseudonym: Pseudonyms.make(new Uint8Array(Pseudonyms.keyBytes).fill(7)),
    showsAddresses: false,
    keepsBodies: false,
    nowMillis: () => 0,
    ...options
  })
  return { recorder, sink }
}

export const talk = (recording: Recording | undefined, options: Partial<Machine.Options> = {}) => {
  const machineOptions: Machine.Options = {
    limits: defaults,
    source: { connection: 1, address: bob },
    services: 1n,
    addresses: [],
    random: () => 0.25,
    ...options
  }
  const record = recording?.begin(1, info, machineOptions)
  const machine = new Machine.ConnectionMachine(record?.options ?? machineOptions)
  let now = 0n
  const step = (event: Machine.Event) => record?.step(machine, event, now) ?? machine.step(event, now)
  return {
    machine,
    isRecorded: record !== undefined,
    step,
    pass: (seconds: number) => {
      now += BigInt(seconds * 1e9)
    },
    /** What the peer says, and what this side writes because of it. */
    hears: (...messages: ReadonlyArray<Message>) => {
      for (const message of messages) {
        step({ _tag: "Message", message })
        if (machine.phase === "Replying") step({ _tag: "Written" })
      }
    },
    /** A request that is written. */
    asks: (waiter: number, request: Extract<Machine.Event, { _tag: "Request" }>["request"]) => {
      step({ _tag: "Request", waiter, request })
      step({ _tag: "Quiet" })
      step({ _tag: "Written" })
      step({ _tag: "Quiet" })
    }
  }
}

export const ping = Message.Ping({ nonce: 5n })

/** A segment with all of its events. */
export const wholeOf = (text: string) => {
  const lines = new Replay.SegmentLines()
  const entries: Array<Format.Entry> = []
  for (const line of Replay.linesOf(text)) {
    const entry = lines.read(line)
    if (entry !== undefined) entries.push(entry)
  }
  assert.ok(lines.segment !== undefined)
  return { segment: lines.segment, entries }
}
