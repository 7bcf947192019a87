/**
 * A network in memory of which the truth is known: who listens when, who is behind NAT, and who lies.
 *
 * Listening nodes come and go: each stays for a time drawn from an exponential distribution, and another one comes at the same
 * rate, so their number stays about the same. Those behind NAT are told of and never answer. Honest nodes tell a random share
 * of what is known, with those who have left in the last while; liars tell a thousand addresses of nobody.
 */
import { Clock, Effect, Layer, Stream } from "effect"
import { Census, type RunOptions } from "../../src/census/Census.ts"
import { CensusStore } from "../../src/census/CensusStore.ts"
import * as Report from "../../src/census/Report.ts"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as LinkRule from "../../src/simulation/LinkRule.ts"
import * as ScriptedPeer from "../../src/simulation/ScriptedPeer.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { SimRuntime } from "../../src/simulation/SimRuntime.ts"
import { InboundTransport, OutboundTransport } from "../../src/transport/Transport.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { Message } from "../../src/wire/Message.ts"
import * as SqliteClient from "../../layers/SqliteClient.ts"
import type { Finding } from "../../src/census/Finding.ts"

export interface WorldOptions {
  readonly seed: number
  /** All that are told of at a time, and the share of them that listens. */
  readonly nodes: number
  readonly reachable: number
  /** Mean, in minutes. */
  readonly sessionMinutes: number
  /** Share of those that listen. */
  readonly liars: number
  /** Time between the runs, in minutes. */
  readonly pauseMinutes: number
  /** One way, in milliseconds. */
  readonly latency?: readonly [number, number]
}

interface Member {
  readonly address: PeerSocketAddress.PeerSocketAddress
  readonly lies: boolean
  readonly isPermanent: boolean
  readonly from: number
  until: number
}

const censusAddress = PeerSocketAddress.fromStringUnsafe("203.0.113.9:40000")
const port = 18233

/** How long those who have left are still told of, and how long a new one is not. Milliseconds. */
const memory = 3 * 3600_000
const lag = 60_000

export interface Outcome {
  readonly report: Report.Report
  /** Listening at the middle of the last run. */
  readonly truth: number
  /** Of those that listened throughout the last run, and how many of them were reached. */
  readonly throughout: number
  readonly found: number
  /** Reached though nobody listened there. */
  readonly wrong: number
  readonly dials: number
  /** Whole messages that the last run sent, and that it read. */
  readonly messages: Counted
  readonly seconds: number
  readonly findings: ReadonlyArray<Finding>
}

/** Messages out and in. */
interface Counted {
  sent: number
  received: number
}

/** Counts the whole messages in bytes that come in pieces: a header says how long its payload is. */
const frameCounter = (count: () => void): ((bytes: Uint8Array) => void) => {
  const header = Buffer.alloc(Frame.headerBytes)
  let inHeader = 0
  let inPayload = 0
  return (bytes) => {
    for (let at = 0; at < bytes.length;) {
      if (inPayload > 0) {
        const taken = Math.min(inPayload, bytes.length - at)
        at += taken
        inPayload -= taken
        if (inPayload === 0) count()
        continue
      }
      header[inHeader++] = bytes[at++]!
      if (inHeader < header.length) continue
      inHeader = 0
      inPayload = header.readUInt32LE(Frame.headerBytes - 8)
      if (inPayload === 0) count()
    }
  }
}

/** A transport that counts every message of every stream it dials. */
const countedIn = (counted: Counted): Layer.Layer<OutboundTransport, never, OutboundTransport> =>
  Layer.effect(
    OutboundTransport,
    Effect.map(OutboundTransport, ({ dial }) =>
      OutboundTransport.of({
        dial: (address) =>
          Effect.map(dial(address), (stream) => {
            const isSent = frameCounter(() => counted.sent++)
            const isReceived = frameCounter(() => counted.received++)
            return {
              remoteAddress: stream.remoteAddress,
              localAddress: stream.localAddress,
              proxyAddress: stream.proxyAddress,
              bytesRead: () => stream.bytesRead(),
              bytesWritten: () => stream.bytesWritten(),
              read: Effect.tap(stream.read, (bytes) => Effect.sync(() => isReceived(bytes))),
              write: (bytes) =>
                Effect.andThen(
                  Effect.sync(() => isSent(bytes)),
                  stream.write(bytes)
                )
            }
          })
      })
    )
  )

/** Two runs in such a world. */
export const twoRuns = (options: WorldOptions): Outcome => {
  const draw = SeededRandom.fractions(SeededRandom.draws(options.seed, "world"))
  const below = (limit: number) => Math.floor(draw() * limit)
  const session = () => -Math.log(1 - draw()) * options.sessionMinutes * 60_000
  const used = new Set<string>()
  const fresh = (): PeerSocketAddress.PeerSocketAddress => {
    for (;;) {
      // Some 700 groups.
      const text = `${20 + below(70)}.${below(10)}.${below(250)}.${1 + below(250)}:${port}`
      if (used.has(text)) continue
      used.add(text)
      return PeerSocketAddress.fromStringUnsafe(text)
    }
  }
  const listening = Math.round(options.nodes * options.reachable)
  const nat = Array.from({ length: options.nodes - listening }, fresh)
  const members: Array<Member> = []
  const horizon = (options.pauseMinutes + 60) * 60_000
  for (let index = 0; index < listening; index++) {
    const isPermanent = index < 3
    // Each place is taken by one after another.
    for (let at = 0; at < horizon;) {
      const until = isPermanent ? Number.POSITIVE_INFINITY : at + session()
      members.push({ address: fresh(), lies: !isPermanent && draw() < options.liars, isPermanent, from: at, until })
      at = until
    }
  }
  const isListening = ({ from, until }: Member, at: number) => from <= at && at < until

  /** What everybody could know, as of the last minute. */
  let everybody: { readonly at: number; readonly addresses: Array<PeerSocketAddress.PeerSocketAddress> } | undefined
  const share = (now: number): ReadonlyArray<PeerSocketAddress.PeerSocketAddress> => {
    if (everybody === undefined || now >= everybody.at + 60_000) {
      const known = members.filter(({ from, until }) => from + (from === 0 ? 0 : lag) <= now && now < until + memory)
      everybody = { at: now, addresses: [...known.map(({ address }) => address), ...nat] }
    }
    const { addresses } = everybody
    const count = Math.min(1000, Math.ceil(addresses.length / 2))
    // The first draws of a shuffle.
    for (let index = 0; index < count; index++) {
      const other = index + below(addresses.length - index)
      const moved = addresses[index]!
      addresses[index] = addresses[other]!
      addresses[other] = moved
    }
    return addresses.slice(0, count)
  }

  const tells = (lies: boolean): ScriptedPeer.Script => ({
    version: (version) => ({ ...version, startHeight: 1000 }),
    answer: Effect.fnUntraced(function* (message: Message, { say }: ScriptedPeer.Line) {
      if (message._tag === "Ping") return yield* Effect.as(say(Message.Pong({ nonce: message.nonce })), true)
      if (message._tag !== "GetAddr") return false
      const now = yield* Clock.currentTimeMillis
      const known = lies
        ? Array.from({ length: 1000 }, () =>
            PeerSocketAddress.fromStringUnsafe(
              `${100 + below(70)}.${below(250)}.${below(250)}.${1 + below(250)}:${port}`
            )
          )
        : share(now)
      yield* say(
        Message.Addr({
          addresses: known.map((address) => ({ address, services: NODE_NETWORK, lastSeenSeconds: 1 }))
        })
      )
      return true
    })
  })
  const honest = tells(false)
  const liar = tells(true)

  const live = (member: Member) =>
    Effect.gen(function* () {
      const network = yield* SimNetwork
      yield* Effect.sleep(Math.max(0, member.from))
      yield* Effect.gen(function* () {
        yield* Effect.orDie(ScriptedPeer.listen(member.address, member.lies ? liar : honest))
        yield* Effect.sleep(Math.min(member.until - member.from, horizon))
      }).pipe(Effect.scoped, Effect.provideService(InboundTransport, network.host(member.address)))
    })

  const counted: Counted = { sent: 0, received: 0 }
  const program = Effect.gen(function* () {
    const network = yield* SimNetwork
    const store = yield* CensusStore
    const census = yield* Census
    yield* network.addRule(LinkRule.behindNat(nat))
    if (options.latency !== undefined) {
      yield* network.addRule(LinkRule.delay(LinkRule.uniform(options.latency[0], options.latency[1])))
    }
    for (const member of members) yield* Effect.forkScoped(live(member))

    const from = members.filter(({ isPermanent }) => isPermanent).map(({ address }) => address)
    const once = Effect.fnUntraced(function* (more: Partial<RunOptions>) {
      const recheck = yield* store.reachedBefore(regtest.name, Report.markedRuns)
      const id = yield* store.begin({ network: regtest.name, userAgent: "/test/", protocolVersion: 1 })
      const findings: Array<Finding> = []
      yield* census.run({ from, recheck, ...more }).pipe(
        Stream.runForEachArray((batch) => {
          // What was told is millions of addresses, and nobody asks for it.
          findings.push(...batch.filter(({ _tag }) => _tag !== "Told"))
          return store.record(id, regtest.name, batch)
        })
      )
      return { id, findings }
    })
    yield* Effect.sleep("10 minutes")
    const first = yield* once({})
    yield* Effect.sleep(`${options.pauseMinutes} minutes`)
    const startedAt = yield* Clock.currentTimeMillis
    Object.assign(counted, { sent: 0, received: 0 })
    const second = yield* once({})
    const endedAt = yield* Clock.currentTimeMillis

    const runs = yield* store.runs()
    const report = Report.make({
      chain: regtest,
      run: runs[1]!,
      runs: runs.length,
      sightings: yield* store.sightings(second.id),
      earlier: [{ run: runs[0]!, sightings: yield* store.sightings(first.id) }],
      tellers: yield* store.tellers(second.id, 20)
    })
    const reached = new Map(
      second.findings.flatMap((finding) =>
        finding._tag === "Reached" ? [[PeerSocketAddress.format(finding.address), finding.atMillis] as const] : []
      )
    )
    const byAddress = new Map(members.map((member) => [PeerSocketAddress.format(member.address), member]))
    const throughout = members.filter((member) => member.from + lag <= startedAt && member.until >= endedAt)
    const middle = (startedAt + endedAt) / 2
    const last = second.findings.at(-1)
    return {
      report,
      truth: members.filter((member) => isListening(member, middle)).length,
      throughout: throughout.length,
      found: throughout.filter(({ address }) => reached.has(PeerSocketAddress.format(address))).length,
      wrong: [...reached].filter(([address, at]) => {
        const member = byAddress.get(address)
        // A visit may end some seconds after the node it was with.
        return member === undefined || at < member.from || at > member.until + 30_000
      }).length,
      dials: last?._tag === "Progress" ? last.dials : -1,
      messages: counted,
      seconds: (endedAt - startedAt) / 1000,
      findings: second.findings
    }
  })

  const layers = CensusStore.layer.pipe(
    Layer.provide(SqliteClient.layer(":memory:")),
    Layer.provideMerge(Census.layer),
    Layer.provide(countedIn(counted)),
    Layer.provideMerge(SimNetwork.layerTransport(censusAddress)),
    Layer.provideMerge(SimNetwork.layer),
    Layer.provideMerge(SeededRandom.layer(options.seed, "census")),
    Layer.provideMerge(Layer.succeed(ChainParams, regtest))
  )
  const ending = new SimRuntime().run(program.pipe(Effect.scoped, Effect.provide(layers)), horizon * 2)
  if (ending._tag !== "Done") throw new Error(`the world ended with ${ending._tag}`)
  if (ending.exit._tag === "Failure") throw new Error(String(ending.exit.cause))
  return ending.exit.value
}
