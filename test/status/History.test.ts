/** The hour that a node remembers of itself: what is kept of seconds, minutes, pings and events, and that it stays small. */
import { assert, describe, it } from "@effect/vitest"
import { EventMemory, eventsKept } from "../../src/status/EventMemory.ts"
import {
  History,
  median,
  minutesKept,
  PingHistory,
  pingsKept,
  type Sample,
  secondsKept
} from "../../src/status/History.ts"

const sample = (at: number, other: Partial<Sample> = {}): Sample => ({
  at,
  received: 0,
  sent: 0,
  inbound: 0,
  outbound: 0,
  latency: null,
  responded: 0,
  neverAttempted: 0,
  attemptPending: 0,
  failed: 0,
  ...other
})

describe("the history of a node", () => {
  it("keeps five minutes of seconds and an hour of minutes, however long it goes on", () => {
    const history = new History()
    const twoHours = 2 * 3600
    for (let second = 0; second < twoHours; second++) history.add(sample(second * 1000, { received: second }))
    assert.lengthOf(history.seconds, secondsKept)
    assert.strictEqual(history.seconds[0]?.at, (twoHours - 300) * 1000)
    assert.lengthOf(history.minutes, minutesKept)
    // The last minute is not over: nothing later has come.
    assert.strictEqual(history.minutes[0]?.at, (twoHours - 61 * 60 - 1 + 60) * 1000)
    assert.strictEqual(history.minutes.at(-1)?.at, (twoHours - 61) * 1000)
  })

  it("makes one of a minute: rates and latency are means, what is counted is as it was last", () => {
    const history = new History()
    history.add(sample(60_000, { received: 100, sent: 10, outbound: 1, latency: 20, failed: 5 }))
    history.add(sample(61_000, { received: 200, sent: 20, outbound: 2, latency: null, failed: 6 }))
    history.add(sample(119_999, { received: 600, sent: 60, outbound: 7, latency: 40, failed: 4 }))
    assert.deepStrictEqual(
      history.add(sample(120_000, { received: 9999 })),
      sample(119_999, { received: 300, sent: 30, outbound: 7, latency: 30, failed: 4 })
    )
    assert.lengthOf(history.minutes, 1)
  })

  it("goes on when the clock is set back", () => {
    const history = new History()
    history.add(sample(600_000, { sent: 6 }))
    assert.strictEqual(history.add(sample(30_000))?.sent, 6)
    assert.strictEqual(history.add(sample(31_000)), undefined)
  })

  it("takes the middle one of what there is", () => {
    assert.strictEqual(median([]), null)
    assert.strictEqual(median([7]), 7)
    assert.strictEqual(median([9, 1, 5]), 5)
    assert.strictEqual(median([8, 2, 4, 6]), 4)
  })
})

describe("the pings of peers", () => {
  const note = (
    history: PingHistory<{ millis: number }>,
    at: number,
    ...peers: ReadonlyArray<[number, { millis: number }?]>
  ) =>
    history.note(
      at,
      peers.map(([id, roundTrip]) => ({ id, roundTrip })),
      ({ millis }) => millis
    )

  it("are one point each, also when two take the same time", () => {
    const history = new PingHistory<{ millis: number }>()
    const first = { millis: 20 }
    note(history, 1, [1])
    note(history, 2, [1, first])
    note(history, 3, [1, first])
    note(history, 4, [1, { millis: 20 }])
    assert.deepStrictEqual(history.of(1), [
      [2, 20],
      [4, 20]
    ])
  })

  it("go with the peer, and are an hour's at most", () => {
    const history = new PingHistory<{ millis: number }>()
    for (let at = 0; at < 100; at++) note(history, at, [1, { millis: at }], [2, { millis: at }])
    assert.lengthOf(history.of(1), pingsKept)
    assert.deepStrictEqual(history.of(1)[0], [40, 40])
    note(history, 100, [2])
    assert.deepStrictEqual(history.of(1), [])
    assert.lengthOf(history.of(2), pingsKept)
  })
})

describe("the memory of events", () => {
  const learned = (at: number) => ({ _tag: "AddressesLearned", at, count: 1, added: 0 }) as const
  const banned = (at: number) => ({ _tag: "PeerBanned", at, group: "192.0.2.1", reason: "", until: 0 }) as const

  it("keeps what is rare, whatever comes by the thousand", () => {
    const memory = new EventMemory()
    memory.add(banned(0))
    for (let at = 1; at <= 5000; at++) memory.add(learned(at))
    const kept = memory.latest(Infinity)
    assert.lengthOf(kept, eventsKept + 1)
    assert.deepStrictEqual(kept[0], [0, banned(0)])
    assert.deepStrictEqual(kept.at(-1), [5000, learned(5000)])
    assert.deepStrictEqual(
      memory.latest(1, ({ _tag }) => _tag === "PeerBanned"),
      [[0, banned(0)]]
    )
  })

  it("counts what was advertised, and keeps no id", () => {
    const memory = new EventMemory()
    const [, event] = memory.add({ _tag: "InventoryAdvertised", at: 1, connection: 3, blocks: [], transactions: [] })
    assert.deepStrictEqual(event, { _tag: "InventoryAdvertised", at: 1, connection: 3, blocks: 0, transactions: 0 })
  })
})
