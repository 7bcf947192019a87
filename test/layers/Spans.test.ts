/** The spans of a node: their names, levels and attributes, what hangs on what, and what they must not hold. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Logger, type LogLevel, Option, References, Tracer } from "effect"
import { AddressBook, Network, NODE_NETWORK } from "network-effect"
import { Simulated } from "network-effect/layers"
import { LinkRule, type Scenario, Simulation, type World } from "network-effect/simulation"
import * as Spans from "../../src/Spans.ts"

/** Every span that an effect was recorded with. */
const recorder = (minimum: LogLevel.LogLevel) => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const record = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    effect.pipe(Effect.provideService(Tracer.Tracer, tracer), Effect.provideService(Tracer.MinimumTraceLevel, minimum))
  return { spans, record }
}

/** Two nodes that connect and ask each other, and a third that is not there. What is logged goes to the spans too. */
const story = Effect.fnUntraced(
  function* (world: World.World) {
    yield* world.start(1, []).pipe(Effect.withSpan("program"))
    const { services } = yield* world.start(2, [1])
    yield* Context.get(services, AddressBook).addGossiped([
      { address: world.hostOf(3), services: NODE_NETWORK, lastSeenSeconds: 1_700_000_000 }
    ])
    yield* Effect.sleep("5 minutes")
    yield* world.network.addRule(LinkRule.delay("1 seconds"))
    // Its caller goes away before the answer is there.
    yield* Context.get(services, Network)
      .request({ _tag: "MempoolTransactionIds" })
      .pipe(Effect.timeoutOption("1 millis"), Effect.orDie, Effect.withSpan("caller"))
    yield* world.stop(2)
    yield* world.stop(1)
  },
  Effect.provideService(References.MinimumLogLevel, "All"),
  Effect.provide(Logger.layer([Logger.tracerLogger]))
)

const spansOf = (minimum: LogLevel.LogLevel): ReadonlyArray<Tracer.NativeSpan> => {
  const { record, spans } = recorder(minimum)
  const scenario: Scenario = {
    name: "test",
    description: "",
    size: { nodes: 3, hours: 1 },
    run: (world) => record(story(world))
  }
  const { failure } = Simulation.run({ scenario, seed: 1, node: Simulated.worldNode })
  assert.isUndefined(failure, failure?.reason)
  return spans
}

const named = (spans: ReadonlyArray<Tracer.NativeSpan>, name: string) => {
  const found = spans.filter((span) => span.name === name)
  assert.isNotEmpty(found, name)
  return found
}

/** Spans by level, each with what its attributes have to look like. */
const peer = /^v4redacted:\d+$/
const expected: Readonly<
  Record<"Info" | "Debug" | "Trace", Readonly<Record<string, Readonly<Record<string, RegExp>>>>>
> = {
  Info: {
    connector: { peer },
    connection: { peer },
    msg_as_req: { msg: /^(?:getaddr|ping|mempool)$/ },
    drop: {},
    add_initial_peers: {},
    open_listener: { addr: /^10\.0\.[12]\.1:18233$/ },
    accept_inbound_connections: { listener_addr: /^10\.0\.[12]\.1:18233$/ },
    accept_inbound_handshake: { network: /^regtest$/, addr: peer },
    crawl_and_dial: { new_peer_interval: /^1m 1s$/ },
    crawl: {},
    dial: { network: /^regtest$/, candidate: peer },
    report_failed: { addr: peer },
    peer_cache_updater: {}
  },
  Debug: { negotiator: { peer }, heartbeat: {}, outbound_metric: {}, inbound_ts_collector: {}, inventory_filter: {} },
  Trace: { "address book": {} }
}

/** The node's own; the others are those of the program. */
const namesOf = (spans: ReadonlyArray<Tracer.NativeSpan>) =>
  [...new Set(spans.map(({ name }) => name))].filter((name) => name !== "program" && name !== "caller").toSorted()

const parentOf = ({ parent }: Tracer.NativeSpan) => Option.getOrUndefined(parent)

/** What an operator may read of a span, but for the addresses of the node itself. */
const textOf = (span: Tracer.NativeSpan): string =>
  JSON.stringify([
    span.name === "open_listener" || span.name === "accept_inbound_connections" ? {} : [...span.attributes],
    span.events.map(([message, , attributes]) => [message, attributes["effect.cause"], attributes["reason"]]),
    span.status._tag === "Ended" && Exit.isFailure(span.status.exit) ? Cause.pretty(span.status.exit.cause) : ""
  ])

describe("the spans of two nodes that meet", () => {
  const spans = spansOf("All")

  it("have these names and attributes and no others", () => {
    const attributes = { ...expected.Info, ...expected.Debug, ...expected.Trace }
    assert.deepStrictEqual(namesOf(spans), Object.keys(attributes).toSorted())
    for (const [name, patterns] of Object.entries(attributes)) {
      for (const span of named(spans, name)) {
        assert.deepStrictEqual([...span.attributes.keys()], Object.keys(patterns), name)
        for (const [key, pattern] of Object.entries(patterns)) assert.match(String(span.attributes.get(key)), pattern)
      }
    }
  })

  it("have these levels: the more detailed ones are not even made", () => {
    const info = Object.keys(expected.Info)
    const debug = [...info, ...Object.keys(expected.Debug)]
    assert.deepStrictEqual(namesOf(spansOf("Info")), info.toSorted())
    assert.deepStrictEqual(namesOf(spansOf("Debug")), debug.toSorted())
    assert.deepStrictEqual(namesOf(spansOf("Warn")), [])
  })

  it("say whose part they are", () => {
    const byId = new Map(spans.map((span) => [span.spanId, span.name]))
    const parents = (name: string) =>
      [...new Set(named(spans, name).map((span) => byId.get(parentOf(span)?.spanId ?? "")))].toSorted()
    assert.deepStrictEqual(parents("heartbeat"), ["connection"])
    assert.deepStrictEqual(parents("msg_as_req"), ["connection"])
    // Sending a request belongs to whoever asked, and answering one to the message that asked.
    assert.deepStrictEqual(parents("outbound_metric"), ["caller", "crawl", "heartbeat", "msg_as_req"])
    assert.deepStrictEqual(parents("drop"), ["caller"])
    assert.deepStrictEqual(parents("negotiator"), ["accept_inbound_handshake", "connector"])
    assert.deepStrictEqual(parents("connector"), ["add_initial_peers", "dial"])
    assert.deepStrictEqual(parents("dial"), ["crawl_and_dial"])
    assert.deepStrictEqual(parents("report_failed"), ["dial"])
    // What was in force when the node was made, not the handshake that the connection outlives.
    assert.deepStrictEqual(parents("connection"), ["program", undefined])
  })

  it("of a dial or a handshake end when the peer is connected, not with the connection", () => {
    const secondsOf = ({ status }: Tracer.NativeSpan) =>
      status._tag === "Ended" ? Number(status.endTime - status.startTime) / 1e9 : Infinity
    for (const name of ["connector", "dial", "accept_inbound_handshake", "negotiator"]) {
      for (const span of named(spans, name)) assert.isAtMost(secondsOf(span), 3, name)
    }
    for (const span of named(spans, "connection")) assert.isAbove(secondsOf(span), 290)
  })

  it("have all ended", () => {
    assert.deepStrictEqual(
      spans.filter(({ status }) => status._tag === "Started").map(({ name }) => name),
      []
    )
  })

  it("name no IP of a peer (advisory P10)", () => {
    for (const span of spans) assert.notMatch(textOf(span), /\b10\.0\./)
  })

  it("keep nothing of what is logged for as long as a node or a connection is there", () => {
    assert.include(
      named(spans, "dial").flatMap(({ events }) => events.map(([message]) => message)),
      "dial failed"
    )
    for (const name of [
      "connection",
      "heartbeat",
      "crawl_and_dial",
      "accept_inbound_connections",
      "peer_cache_updater"
    ]) {
      for (const { events, links } of named(spans, name)) assert.deepStrictEqual([events, links], [[], []], name)
    }
  })
})

describe("a span that nobody collects", () => {
  const inner = Effect.currentSpan.pipe(Effect.option, Spans.within("crawl"))

  it.effect("is not made without a tracer", () =>
    Effect.gen(function* () {
      assert.isTrue(Option.isNone(yield* inner))
    })
  )

  it.effect("is not made where tracing is off", () =>
    Effect.gen(function* () {
      const { record, spans } = recorder("All")
      yield* inner.pipe(Effect.provideService(References.TracerEnabled, false), record)
      assert.deepStrictEqual(spans, [])
    })
  )

  it.effect("leaves what is below it to what is above it", () =>
    Effect.gen(function* () {
      const { record, spans } = recorder("Info")
      yield* inner.pipe(Spans.within("negotiator"), Spans.within("connector"), record)
      assert.deepStrictEqual(
        spans.map((span) => [span.name, span.sampled, parentOf(span)]),
        [
          ["connector", true, undefined],
          ["crawl", true, spans[0]]
        ]
      )
    })
  )
})
