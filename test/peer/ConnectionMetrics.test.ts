import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Metric } from "effect"
import { mainnet, testnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as ConnectionMetrics from "../../src/peer/ConnectionMetrics.ts"
import {
  HandshakeTimeout,
  LocalDuplicateNonce,
  MissingRequiredServices,
  ObsoleteVersion,
  RemoteNonceReuse
} from "../../src/peer/Handshake.ts"
import { type ConnectedAddress, ConnectionClosed, Serialization } from "../../src/peer/Peer.ts"
import { DialError, StreamClosed } from "../../src/transport/Transport.ts"
import { BadChecksum, Truncated } from "../../src/wire/Frame.ts"
import { WireEof } from "../../src/wire/Message.ts"
import { bob } from "../support/addresses.ts"
import { seriesOf as values, withMetrics } from "../support/metrics.ts"
import { bobsVersion, pass, world } from "./rig.ts"

const { handshake, implementationOf, outcomeOf } = ConnectionMetrics

const dialError = (code: string) => new DialError({ address: "v4redacted:8233", code, cause: "test" })
const reset = (code: string) => new Serialization({ cause: new StreamClosed({ reason: "Reset", code }) })

const outbound: ConnectedAddress = { _tag: "OutboundDirect", address: bob }
const inbound6: ConnectedAddress = {
  _tag: "InboundDirect",
  address: PeerSocketAddress.fromStringUnsafe("[2001:db8::1]:50123")
}

/** Every series of a metric: its labels and its count. */
const seriesOf = (id: string) =>
  Effect.map(Metric.snapshot, (metrics): ReadonlyArray<Record<string, string | number>> =>
    metrics
      .filter((metric) => metric.id === id)
      .map((metric) => ({
        ...metric.attributes,
        count: "count" in metric.state ? Number(metric.state.count) : Number.NaN
      }))
  )

describe("the labels of an attempt", () => {
  it.each([
    ["/Zakura:1.2.3/", "zakura"],
    ["/Zebra:5.1.0/", "zebra"],
    ["/MagicBean:6.2.0/", "legacy_zcashd"],
    ["/another-node:1.0/", "other"],
    ["", "other"],
    ["x/Zebra:5.1.0/", "other"]
  ])("name a program of few: %s is %s (peer 49, user_agent_implementation_labels_are_bounded)", (userAgent, label) => {
    assert.strictEqual(implementationOf(userAgent), label)
  })

  it.each([
    [reset("ECONNRESET"), "handshake", "connection_reset"],
    [reset("EPIPE"), "handshake", "broken_pipe"],
    [reset("EWHATEVER"), "handshake", "io_error"],
    [new Serialization({ cause: new Truncated({ bytesLeft: 3 }) }), "handshake", "unexpected_eof"],
    [new Serialization({ cause: new WireEof({ command: "ping", field: "nonce" }) }), "handshake", "unexpected_eof"],
    [new Serialization({ cause: new BadChecksum({ command: "ping" }) }), "handshake", "protocol_parse_error"],
    [new ConnectionClosed(), "handshake", "connection_closed"],
    [new LocalDuplicateNonce(), "handshake", "local_nonce_collision"],
    [new RemoteNonceReuse(), "version", "self_connection"],
    [new ObsoleteVersion({ version: 1, minimumVersion: 2 }), "version", "obsolete_version"],
    [new MissingRequiredServices({ services: 0n }), "version", "missing_required_services"]
  ] as const)(
    "keep what the transport meant (peer 50, serialization_io_errors_keep_their_transport_meaning)",
    (error, stage, outcome) => {
      assert.deepStrictEqual(outcomeOf(error), { stage, outcome })
    }
  )

  it.each([
    ["ECONNREFUSED", "connection_refused"],
    ["ETIMEDOUT", "timeout"],
    ["ENETUNREACH", "network_unreachable"],
    ["EHOSTUNREACH", "host_unreachable"],
    ["EADDRNOTAVAIL", "address_not_available"],
    ["EMFILE", "io_error"]
  ])(
    "tell a failed dial from a failed handshake: %s (peer 51, tcp_errors_are_distinct_from_handshake_errors)",
    (code, outcome) => {
      assert.deepStrictEqual(outcomeOf(dialError(code)), { stage: "tcp_connect", outcome })
    }
  )

  it("say whose time was over (peer 52, 53 and 54)", () => {
    assert.deepStrictEqual(ConnectionMetrics.timedOut("outbound"), { stage: "tcp_or_handshake", outcome: "timeout" })
    assert.deepStrictEqual(ConnectionMetrics.timedOut("inbound"), { stage: "handshake", outcome: "timeout" })
    assert.deepStrictEqual(outcomeOf(new HandshakeTimeout()), { stage: "handshake", outcome: "timeout" })
  })
})

describe("counting attempts", () => {
  it.effect("is by chain, direction and kind of address", () =>
    Effect.gen(function* () {
      yield* ConnectionMetrics.attempted(mainnet, outbound)
      yield* ConnectionMetrics.attempted(mainnet, outbound)
      yield* ConnectionMetrics.attempted(testnet, inbound6)
      yield* ConnectionMetrics.attempted(mainnet, { _tag: "Isolated" })
      yield* ConnectionMetrics.ended(testnet, inbound6, ConnectionMetrics.banned)
      yield* ConnectionMetrics.ended(testnet, inbound6, ConnectionMetrics.refused)
      yield* ConnectionMetrics.ended(testnet, { _tag: "Isolated" }, ConnectionMetrics.refused)
      assert.deepStrictEqual(yield* seriesOf("zcash.net.connection.attempts.total"), [
        { network: "mainnet", direction: "outbound", address_family: "ipv4", count: 2 },
        { network: "testnet", direction: "inbound", address_family: "ipv6", count: 1 }
      ])
      const labels = { network: "testnet", direction: "inbound", address_family: "ipv6", stage: "admission" }
      assert.deepStrictEqual(yield* seriesOf("zcash.net.connection.outcomes.total"), [
        { ...labels, outcome: "banned", count: 1 },
        { ...labels, outcome: "capacity_or_rate_limited", count: 1 }
      ])
    }).pipe(Effect.provide(world))
  )
})

describe("counting a handshake", () => {
  const begin = Effect.map(Effect.context<never>(), (context) => handshake(mainnet, outbound, context))
  const labels = { network: "mainnet", direction: "outbound", address_family: "ipv4" }

  it.effect(
    "says once how each version went, also when it was interrupted (peer 55, remote_version_outcomes_are_cancellation_safe)",
    () =>
      Effect.gen(function* () {
        const first = yield* begin
        first.versionReceived(bobsVersion({ userAgent: "/Zakura:1.2.3/" }))
        first.exchanged(yield* Effect.exit(Effect.interrupt))
        const second = yield* begin
        second.versionReceived(bobsVersion({ userAgent: "/Zebra:3.0.0/" }))
        second.exchanged(Exit.void)
        second.decided(Exit.void)
        assert.deepStrictEqual(yield* seriesOf("zcash.net.peer.version.messages.total"), [
          { ...labels, implementation: "zakura", count: 1 },
          { ...labels, implementation: "zebra", count: 1 }
        ])
        assert.deepStrictEqual(yield* seriesOf("zcash.net.peer.version.outcomes.total"), [
          { ...labels, implementation: "zakura", outcome: "canceled", count: 1 },
          { ...labels, implementation: "zebra", outcome: "success", count: 1 }
        ])
        assert.deepStrictEqual(yield* seriesOf("zcash.net.connection.outcomes.total"), [
          { ...labels, stage: "handshake", outcome: "success", count: 1 }
        ])
      }).pipe(Effect.provide(world))
  )

  it.effect("shows the version of whoever was accepted last, and of whoever was too old last", () =>
    Effect.gen(function* () {
      const count = yield* begin
      for (const version of [170_190, 170_160]) count.accepted(version, 170_160, 170_150)
      for (const version of [170_149, 170_002]) {
        count.decided(Exit.fail(new ObsoleteVersion({ version, minimumVersion: 170_150 })))
      }
      assert.deepStrictEqual(yield* values("zcash.net.connection.outcomes.total"), {
        "address_family=ipv4 direction=outbound network=mainnet outcome=obsolete_version stage=version": 2
      })
      assert.deepStrictEqual(yield* values("zcash.net.peers.version.connected"), { "": 170_160 })
      assert.deepStrictEqual(yield* values("zcash.net.peers.version.obsolete"), { "": 170_002 })
      assert.deepStrictEqual(yield* values("zcash.net.peers.obsolete"), {
        // A version that no upgrade has.
        "min_version=170150 remote_version=other": 1,
        "min_version=170150 remote_version=170002": 1
      })
    }).pipe(Effect.provide(world), withMetrics)
  )

  it.effect("says nothing of a version that never came", () =>
    Effect.gen(function* () {
      const count = yield* begin
      const closed = Exit.fail(new ConnectionClosed())
      yield* pass("30 millis")
      count.exchanged(closed)
      count.decided(closed)
      assert.deepStrictEqual(yield* seriesOf("zcash.net.peer.version.outcomes.total"), [])
      assert.deepStrictEqual(yield* seriesOf("zcash.net.peer.handshake.failures.total"), [
        { reason: "connection_closed", count: 1 }
      ])
      assert.deepStrictEqual(yield* seriesOf("zcash.net.peer.handshake.duration_seconds"), [
        { result: "failure", count: 1 }
      ])
    }).pipe(Effect.provide(world))
  )

  it.effect("says nothing of one that we gave up", () =>
    Effect.gen(function* () {
      const count = yield* begin
      const interrupted = yield* Effect.exit(Effect.interrupt)
      count.exchanged(interrupted)
      count.decided(interrupted)
      for (const id of [
        "zcash.net.connection.outcomes.total",
        "zcash.net.peer.handshake.failures.total",
        "zcash.net.peer.handshake.duration_seconds"
      ]) {
        assert.deepStrictEqual(yield* seriesOf(id), [], id)
      }
    }).pipe(Effect.provide(world))
  )

  it.effect("measures in seconds how long the exchange took, apart from the dial and by how it ended", () =>
    Effect.gen(function* () {
      const closed = Exit.fail(new ConnectionClosed())
      for (const [millis, exit] of [
        [250, Exit.void],
        [1500, closed],
        [4000, Exit.void]
      ] as const) {
        yield* pass("7 seconds")
        const count = yield* begin
        yield* pass(Duration.millis(millis))
        count.exchanged(exit)
        yield* pass("1 second")
        count.decided(exit)
      }
      const times = (yield* Metric.snapshot)
        .filter(({ id }) => id === "zcash.net.peer.handshake.duration_seconds")
        .map(({ attributes, state }) => [attributes?.["result"], "sum" in state ? state.sum : undefined])
      assert.sameDeepMembers(times, [
        ["success", 4.25],
        ["failure", 1.5]
      ])
      const histogram = (yield* Metric.snapshot).find(({ id }) => id === "zcash.net.peer.handshake.duration_seconds")
      const buckets = histogram !== undefined && "buckets" in histogram.state ? histogram.state.buckets : []
      const bounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3]
      assert.deepStrictEqual(
        buckets.map(([bound]) => bound),
        bounds
      )
    }).pipe(Effect.provide(world))
  )

  it.effect("keeps 128 series at most, whatever ten thousand peers say of themselves (advisory P10)", () =>
    Effect.gen(function* () {
      for (let version = 170_000; version < 180_000; version++) {
        const count = yield* begin
        count.versionReceived(bobsVersion({ version, userAgent: `/x:${version}/` }))
        count.accepted(version, Math.min(version, 170_190), 170_150)
        count.decided(Exit.fail(new ObsoleteVersion({ version, minimumVersion: 170_150 })))
        count.decided(Exit.fail(new MissingRequiredServices({ services: BigInt(version) << 1n })))
      }
      for (const id of [
        "zcash.net.peers.connected",
        "zcash.net.peers.obsolete",
        "zcash.net.peers.missing_services",
        "zcash.net.peer.version.messages.total"
      ]) {
        assert.isNotEmpty(yield* seriesOf(id), id)
      }
      assert.isAtMost((yield* Metric.snapshot).length, 128)
      const connected = yield* seriesOf("zcash.net.peers.connected")
      assert.deepInclude(connected, {
        remote_version: "170150",
        negotiated_version: "170150",
        min_version: "170150",
        count: 1
      })
      assert.isTrue(connected.some((series) => series["remote_version"] === "other"))
    }).pipe(Effect.provide(world))
  )
})
