/** A census of networks of which the truth is known. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Stream } from "effect"
import { Census, defaultUserAgent, type RunOptions } from "../../src/census/Census.ts"
import { type CensusNumbers, CensusPolicy } from "../../src/census/CensusPolicy.ts"
import { type Finding, hostOf } from "../../src/census/Finding.ts"
import { ChainParams, mainnet, regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as LinkRule from "../../src/simulation/LinkRule.ts"
import * as ScriptedPeer from "../../src/simulation/ScriptedPeer.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { SimRuntime } from "../../src/simulation/SimRuntime.ts"
import { InboundTransport, OutboundTransport, StreamClosed } from "../../src/transport/Transport.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { Message } from "../../src/wire/Message.ts"
import { twoRuns } from "./world.ts"

const at = PeerSocketAddress.fromStringUnsafe

/** What a run did to the network: each connection that was asked for, and when it was over. */
interface Dial {
  readonly address: PeerSocketAddress.PeerSocketAddress
  readonly from: number
  until: number
}

/** Runs a census among these peers under a virtual clock. */
const census = (
  peers: ReadonlyArray<readonly [string, ScriptedPeer.Script]>,
  options: Omit<RunOptions, "from"> & { readonly from: ReadonlyArray<string> },
  numbers: Partial<CensusNumbers> = {},
  rules: ReadonlyArray<LinkRule.LinkRule> = []
) => {
  const dials: Array<Dial> = []
  const runtime = new SimRuntime()
  const recorded = Layer.effect(
    OutboundTransport,
    Effect.map(SimNetwork, (network) => {
      const { dial } = network.host(at("203.0.113.9:40000"))
      return OutboundTransport.of({
        dial: (address) =>
          Effect.suspend(() => {
            const record: Dial = { address, from: runtime.nowMillis(), until: Number.POSITIVE_INFINITY }
            dials.push(record)
            return Effect.andThen(
              Effect.addFinalizer(() => Effect.sync(() => (record.until = runtime.nowMillis()))),
              dial(address)
            )
          })
      })
    })
  )
  const program = Effect.gen(function* () {
    const network = yield* SimNetwork
    for (const rule of rules) yield* network.addRule(rule)
    for (const [address, script] of peers) {
      yield* Effect.orDie(ScriptedPeer.listen(at(address), script)).pipe(
        Effect.provideService(InboundTransport, network.host(at(address)))
      )
    }
    const findings = yield* Stream.runCollect((yield* Census).run({ ...options, from: options.from.map(at) }))
    return { findings, dials, open: network.openEnds() }
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Census.layer.pipe(
        Layer.provide(recorded),
        Layer.provideMerge(SimNetwork.layer),
        Layer.provideMerge(SeededRandom.layer(1)),
        Layer.provideMerge(Layer.succeed(ChainParams, regtest)),
        Layer.provide(CensusPolicy.layer(numbers))
      )
    )
  )
  const ending = runtime.run(program, 24 * 3600_000)
  if (ending._tag !== "Done" || ending.exit._tag === "Failure") throw new Error(JSON.stringify(ending))
  return ending.exit.value
}

/** Tells of these when it is asked. */
const telling = (...addresses: ReadonlyArray<string>): ScriptedPeer.Script => ({
  answer: (message, { say }) =>
    message._tag === "GetAddr"
      ? Effect.as(
          say(
            Message.Addr({
              addresses: addresses.map((address) => ({
                address: at(address),
                services: NODE_NETWORK,
                lastSeenSeconds: 1
              }))
            })
          ),
          true
        )
      : message._tag === "Ping"
        ? Effect.as(say(Message.Pong({ nonce: message.nonce })), true)
        : Effect.succeed(false)
})

/** Ends the connection once it is greeted, before it said who it is. */
const closing: ScriptedPeer.Script = {
  shakes: false,
  answer: () => Effect.fail(new StreamClosed({ reason: "Local", code: "" }))
}

const stating = (version: number, startHeight: number): ScriptedPeer.Script => ({
  version: (sent) => ({ ...sent, version, startHeight })
})

const of = <Tag extends Finding["_tag"]>(findings: ReadonlyArray<Finding>, tag: Tag) =>
  findings.filter((finding): finding is Extract<Finding, { _tag: Tag }> => finding._tag === tag)

const reachedOf = (findings: ReadonlyArray<Finding>) =>
  of(findings, "Reached")
    .map(({ address }) => PeerSocketAddress.format(address))
    .toSorted()

const reasonsOf = (findings: ReadonlyArray<Finding>) =>
  Object.fromEntries(
    of(findings, "Unreachable").map(({ address, reason }) => [PeerSocketAddress.format(address), reason])
  )

describe("a census", () => {
  it("sees peers older and newer than ours, with the heights they state", () => {
    const addresses = ["20.0.0.1:18233", "20.1.0.1:18233", "20.2.0.1:18233", "20.3.0.1:18233"]
    const { findings } = census(
      [
        [addresses[0]!, ScriptedPeer.compose(telling(...addresses), stating(170_013, 7))],
        [addresses[1]!, ScriptedPeer.compose(telling(), stating(170_150, 3_400_000))],
        [addresses[2]!, ScriptedPeer.compose(telling(), stating(170_191, 0))],
        [addresses[3]!, ScriptedPeer.compose(telling(), stating(4_294_967_295, -1))]
      ],
      { from: [addresses[0]!] }
    )
    assert.deepStrictEqual(
      of(findings, "Reached").map(({ height, protocolVersion }) => [protocolVersion, height]),
      [
        [170_013, 7],
        [170_150, 3_400_000],
        // 0 and -1 say nothing.
        [170_191, null],
        [4_294_967_295, null]
      ]
    )
    assert.strictEqual(of(findings, "Progress").at(-1)?.end, "Exhausted")
  })

  it("says of each host that does not answer why", () => {
    const { findings, open } = census(
      [
        ["20.0.0.1:1", ScriptedPeer.silent],
        ["20.0.0.3:3", ScriptedPeer.selfConnecting],
        [
          "20.0.0.4:4",
          {
            shakes: false,
            answer: (_, { sayBytes }) => Effect.as(sayBytes(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")), true)
          }
        ],
        ["20.0.0.5:5", { shakes: false, answer: (_, { say }) => Effect.as(say(Message.Ping({ nonce: 1n })), true) }],
        ["20.0.0.7:7", closing],
        ["20.0.0.8:8", telling()]
      ],
      {
        from: [
          "20.0.0.1:1",
          "20.0.0.2:2",
          "20.0.0.3:3",
          "20.0.0.4:4",
          "20.0.0.5:5",
          "20.0.0.6:6",
          "20.0.0.7:7",
          "20.0.0.8:8"
        ]
      },
      {},
      // The last is reset in the middle of what it says.
      [LinkRule.behindNat([at("20.0.0.6:6")]), LinkRule.cutAfter(30, { from: [at("20.0.0.8:8")] })]
    )
    assert.deepStrictEqual(reasonsOf(findings), {
      "20.0.0.1:1": "NoVersion",
      "20.0.0.2:2": "Refused",
      "20.0.0.3:3": "Echo",
      "20.0.0.4:4": "OtherProtocol",
      "20.0.0.5:5": "NoVersion",
      "20.0.0.6:6": "NoConnection",
      "20.0.0.7:7": "Closed",
      "20.0.0.8:8": "Closed"
    })
    assert.strictEqual(open, 0)
    // One dial a second of this group, five seconds for a connection and eight for a version.
    assert.isAtMost(of(findings, "Progress").at(-1)?.elapsedMillis ?? Infinity, 14_000)
  })

  it("takes no more addresses of a visit than it may, and goes once it has them", () => {
    const told = ["21.0.0.1:1", "22.0.0.1:1", "23.0.0.1:1"]
    // Says who it is and whom it knows, and then waits for ever.
    const pushing: ScriptedPeer.Script = {
      shakes: false,
      answer: (message, { say }) =>
        message._tag !== "Version"
          ? Effect.succeed(true)
          : Effect.as(
              say(
                { ...message, nonce: message.nonce ^ 1n },
                Message.Addr({
                  addresses: told.map((address) => ({
                    address: at(address),
                    services: NODE_NETWORK,
                    lastSeenSeconds: 1
                  }))
                })
              ),
              true
            )
    }
    const { dials, findings } = census([["20.0.0.1:1", pushing]], { from: ["20.0.0.1:1"] }, { addressesPerVisit: 2 })
    assert.deepStrictEqual(
      dials.map(({ address }) => PeerSocketAddress.format(address)),
      ["20.0.0.1:1", "21.0.0.1:1", "22.0.0.1:1"]
    )
    assert.deepStrictEqual(
      of(findings, "Reached").map(({ latencyMillis, told }) => [told, latencyMillis]),
      [[3, null]]
    )
    // An answer may take eight seconds.
    assert.isAtMost(dials[0]!.until - dials[0]!.from, 1000)
  })

  it("takes no pong for its own that answers another ping, or none", () => {
    const eager: ScriptedPeer.Script = ScriptedPeer.compose(telling(), {
      begin: ({ say }) => say(Message.Pong({ nonce: 7n })),
      answer: (message, { say }) =>
        message._tag === "Ping"
          ? Effect.as(say(Message.Pong({ nonce: message.nonce ^ 1n })), true)
          : Effect.succeed(false)
    })
    const { findings } = census([["20.0.0.1:1", eager]], { from: ["20.0.0.1:1"] })
    assert.deepStrictEqual(
      of(findings, "Reached").map(({ latencyMillis, told }) => [told, latencyMillis]),
      [[0, null]]
    )
  })

  it("keeps what a host said whose answers never end, and leaves it in time", () => {
    const endless = (message: Message) =>
      ScriptedPeer.compose(telling(), ScriptedPeer.flooding(message, 1000), {
        answer: (asked) => Effect.succeed(asked._tag === "GetAddr")
      })
    const { dials, findings } = census(
      [
        ["20.0.0.1:1", endless(Message.Ping({ nonce: 1n }))],
        ["20.0.0.2:2", ScriptedPeer.compose(telling(), { answer: (asked) => Effect.succeed(asked._tag === "GetAddr") })]
      ],
      { from: ["20.0.0.1:1", "20.0.0.2:2"] }
    )
    assert.deepStrictEqual(reachedOf(findings), ["20.0.0.1:1", "20.0.0.2:2"])
    assert.deepStrictEqual(
      of(findings, "Reached").map(({ told }) => told),
      [null, null]
    )
    // 2000 messages at a thousand a second; and the time an answer may take.
    assert.isAtMost(dials[0]!.until - dials[0]!.from, 2500)
    assert.isAtMost(dials[1]!.until - dials[1]!.from, 9000)
  })

  it("is never connected to a host twice, dials 50 hosts a second and one a second of a group, and ends by itself", () => {
    // 30 groups of 10 hosts with two ports each, all of which tell of all.
    const addresses = Array.from(
      { length: 600 },
      (_, n) => `${20 + (n % 30)}.0.0.${1 + (Math.floor(n / 30) % 10)}:${1 + Math.floor(n / 300)}`
    )
    const { dials, findings } = census(
      addresses.map((address, n) => [address, n < 5 ? telling(...addresses) : telling()] as const),
      { from: addresses.slice(0, 5) }
    )
    assert.strictEqual(of(findings, "Reached").length, 300)
    assert.strictEqual(dials.length, 300)
    const hosts = Map.groupBy(dials, ({ address }) => hostOf(address))
    for (const [host, visits] of hosts) {
      for (const [n, { from }] of visits.entries()) {
        const before = visits[n - 1]
        assert.isTrue(before === undefined || before.until <= from, `${host} had two connections`)
      }
    }
    const soonest = (of: ReadonlyArray<Dial>) => Math.min(...of.slice(1).map(({ from }, n) => from - of[n]!.from))
    assert.isAtLeast(soonest(dials), 20)
    for (const inGroup of Map.groupBy(
      dials,
      ({ address }) => PeerSocketAddress.format(address).split(".")[0]
    ).values()) {
      assert.isAtLeast(soonest(inGroup), 1000)
    }
  })

  it("asks again after half an hour, when it lasts so long, and not before", () => {
    // A host tells of so many of one group that dialling them takes longer.
    const slow = Array.from({ length: 2000 }, (_, n) => `21.0.${Math.floor(n / 250)}.${1 + (n % 250)}:1`)
    const { dials } = census(
      [
        ["20.0.0.1:1", telling("20.0.0.2:1")],
        ["20.0.0.2:1", telling("20.0.0.1:1")]
      ],
      { from: ["20.0.0.1:1", ...slow] }
    )
    const visits = dials.filter(({ address }) => PeerSocketAddress.format(address) === "20.0.0.1:1")
    assert.strictEqual(visits.length, 2)
    assert.isAtLeast(visits[1]!.from - visits[0]!.until, 30 * 60_000)
  })

  it("ends when its time is over, and says so", () => {
    const slow = Array.from({ length: 100 }, (_, n) => `21.0.0.${1 + n}:1`)
    const { dials, findings } = census([], { from: slow, for: Duration.seconds(10) })
    assert.isAtMost(dials.length, 11)
    assert.strictEqual(of(findings, "Progress").at(-1)?.end, "OutOfTime")
  })

  it("has no more connections at a time than it may", () => {
    const silent = Array.from({ length: 30 }, (_, n) => `${20 + n}.0.0.1:1`)
    const { dials } = census([], { from: silent }, { maxUnderWay: 4 }, [LinkRule.behindNat(silent.map(at))])
    assert.strictEqual(dials.length, 30)
    const most = Math.max(
      ...dials.map(({ from }) => dials.filter((dial) => dial.from <= from && from < dial.until).length)
    )
    assert.strictEqual(most, 4)
  })

  it("lets visits under way end when its time is over, for ten seconds", () => {
    const { dials, findings } = census(
      [["20.0.0.1:1", ScriptedPeer.compose(telling(), ScriptedPeer.slow("1 second"))]],
      { from: ["20.0.0.1:1"], for: Duration.millis(500) }
    )
    assert.deepStrictEqual(reachedOf(findings), ["20.0.0.1:1"])
    const patient = { connectTimeout: Duration.hours(1) }
    const late = census([], { from: ["20.0.0.2:2"], for: Duration.seconds(1) }, patient, [
      LinkRule.behindNat([at("20.0.0.2:2")])
    ])
    assert.deepStrictEqual([dials.length, late.open], [1, 0])
    assert.isAtMost(of(late.findings, "Progress").at(-1)?.elapsedMillis ?? Infinity, 11_000)
  })

  it("does not ask a node of an earlier run that nobody tells of, and says that it was there", () => {
    const { findings } = census(
      [
        ["20.0.0.1:1", telling("20.0.0.1:1")],
        ["21.0.0.1:1", telling("22.0.0.1:1")],
        ["22.0.0.1:1", telling()]
      ],
      { from: ["20.0.0.1:1"], recheck: [at("20.0.0.1:1"), at("21.0.0.1:1"), at("23.0.0.1:1")] }
    )
    assert.deepStrictEqual(
      of(findings, "Reached").map(({ address, how, told }) => [PeerSocketAddress.format(address), how, told]),
      [
        ["20.0.0.1:1", "Explored", 1],
        ["21.0.0.1:1", "Rechecked", null]
      ]
    )
    assert.deepStrictEqual(reasonsOf(findings), { "23.0.0.1:1": "Refused" })
  })

  it("says who it is, and nothing else of itself", () => {
    const heard: Array<Message> = []
    const { findings } = census(
      [["20.0.0.1:1", { shakes: false, answer: (message) => Effect.sync(() => heard.push(message) > 0) }]],
      { from: ["20.0.0.1:1"] }
    )
    const [version] = heard
    assert(version?._tag === "Version")
    assert.strictEqual(version.userAgent, defaultUserAgent)
    assert.deepStrictEqual(
      [version.services, version.startHeight, version.relay, Number(version.timestamp) % 300],
      [0n, 0, false, 0]
    )
    assert.strictEqual(PeerSocketAddress.format(version.addressFrom.address), "0.0.0.0:18233")
    assert.deepStrictEqual(reasonsOf(findings), { "20.0.0.1:1": "NoVersion" })
  })

  it("says which other address a node states for its own", () => {
    const from = (address: string): ScriptedPeer.Script =>
      ScriptedPeer.compose(telling(), {
        version: (sent) => ({ ...sent, addressFrom: { address: at(address), services: NODE_NETWORK } })
      })
    const { findings } = census(
      [
        ["20.0.0.1:18233", from("[2a00::1:2]:18233")],
        ["21.0.0.1:18233", from("21.0.0.1:9")],
        ["22.0.0.1:18233", from("0.0.0.0:18233")]
      ],
      { from: ["20.0.0.1:18233", "21.0.0.1:18233", "22.0.0.1:18233"] }
    )
    assert.deepStrictEqual(
      of(findings, "Reached").map(({ claims }) => claims),
      ["2a00::/64", null, null]
    )
  })

  it("does not dial where no node can be: other chains' ports, port 0, no address", () => {
    const { dials } = census(
      [["20.0.0.1:18233", telling("21.0.0.1:0", "0.0.0.0:18233", `22.0.0.1:${mainnet.defaultPort}`, "23.0.0.1:18233")]],
      { from: ["20.0.0.1:18233"] }
    )
    assert.deepStrictEqual(
      dials.map(({ address }) => PeerSocketAddress.format(address)),
      ["20.0.0.1:18233", "23.0.0.1:18233"]
    )
  })

  it("finds all that listened throughout, nobody else, and an interval that holds the truth, among liars and NAT", () => {
    const { found, messages, report, throughout, truth, wrong } = twoRuns({
      seed: 1,
      nodes: 500,
      reachable: 0.4,
      sessionMinutes: 120,
      liars: 0.1,
      pauseMinutes: 60
    })
    assert.isAbove(throughout, 180)
    assert.isAtLeast(found / throughout, 0.99)
    assert.strictEqual(wrong, 0)
    const { high, low } = report
    assert.isTrue(
      low !== null && high !== null && low <= truth && truth <= high,
      `${low} to ${high}, and there are ${truth}`
    )
    assert.isAtMost(((high ?? 0) - (low ?? 0)) / truth, 0.1)
    // Liars tell of thousands that are nobody's, and are found out.
    assert.isAbove(report.wrongTellers.length, 5)
    // version, verack, ping, getaddr; version, verack, pong, addr. Nobody is asked twice.
    assert.isAtLeast(messages.sent / report.reachable, 3)
    assert.isAtMost(messages.sent / report.reachable, 4)
    assert.isAtLeast(messages.received / report.reachable, 3)
    assert.isAtMost(messages.received / report.reachable, 4)
  })
})
