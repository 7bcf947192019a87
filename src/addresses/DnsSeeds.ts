/**
 * Service: the first addresses, from names that a chain's community keeps up.
 *
 * A lookup of the system's resolver cannot be taken back: it occupies a thread until it is over, which may be long after
 * anybody waits for it, and file access needs these threads too. So a name is looked up once at a time, whoever asks again
 * meanwhile, and goes on when nobody waits any more.
 *
 * Source: Zebra config.rs, `resolve_peers` and `resolve_host`.
 *
 * @module
 */
import { Cause, Context, Duration, Effect, Exit, Fiber, FiberMap, Layer, Metric, Option, Result } from "effect"
import { Dns, NetAddress } from "effect/net"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { Policy } from "../Policy.ts"

/** Where the first addresses come from: names that resolve to peers, or the operator's own. */
export class DnsSeeds extends Context.Service<
  DnsSeeds,
  {
    /**
     * Those that are written as addresses: known without asking anybody. The operator named them, so they are told to the book
     * as such (`NewConfigured`).
     */
    readonly literals: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>
    /**
     * Every address there is, the literals too, each once. Waits `Policy.dnsTimeout` for each name, and until there is
     * an address at all, for as long as it takes; answers nothing at once when there are no seeds. May be raced, interrupted
     * and asked again by anybody at any time: what is under way is shared.
     */
    readonly resolve: Effect.Effect<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>
  }
>()("network-effect/addresses/DnsSeeds") {
  /** Resolves `host:port` entries: those given, or else the seeds of the chain. On Regtest no name is resolved. */
  static readonly layer = (seeds?: ReadonlyArray<string>): Layer.Layer<DnsSeeds, never, ChainParams | Dns.Dns> =>
    Layer.effect(DnsSeeds, make(seeds))

  /** These and no others; nothing is resolved. */
  static readonly layerPeers = (peers: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>): Layer.Layer<DnsSeeds> =>
    Layer.succeed(DnsSeeds, DnsSeeds.of({ literals: peers, resolve: Effect.succeed(peers) }))
}

/** A name that DNS can carry: labels of 1 to 63 letters, digits, `-` and `_`, 253 bytes in all; a dot may end it. */
const isName = (host: string): boolean => {
  const name = host.replace(/\.+$/, "")
  const labels = name.split(".")
  return (
    name.length <= 253 &&
    host.length <= 254 &&
    labels.every((label) => /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i.test(label)) &&
    // Else it was meant to be an IPv4 address, and is none.
    !/^\d+$/.test(labels.at(-1) ?? "")
  )
}

/**
 * `host:port` taken apart; `undefined` when it has no port in 1..65535, or its host is neither an IP nor a name that DNS
 * can carry.
 */
export const parseSeed = (seed: string): { readonly host: string; readonly port: number } | undefined => {
  const colon = seed.lastIndexOf(":")
  const port = seed.slice(colon + 1)
  if (colon < 1 || !/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) return undefined
  const host = seed.slice(0, colon)
  const bare = host.replace(/^\[(.*)\]$/, "$1")
  return Result.isSuccess(NetAddress.ipFromString(bare)) || isName(host)
    ? { host: bare, port: Number(port) }
    : undefined
}

/** What stands for this host on a private network. */
const loopback = ["127.0.0.1", "::1"]

/** An entry, with its address when it names one. */
interface Seed {
  readonly text: string
  readonly host: string
  readonly port: number
  readonly literal: PeerSocketAddress.PeerSocketAddress | undefined
}

const seedOf = (text: string, host: string, port: number): Seed => {
  const ip = NetAddress.ipFromString(host)
  return { text, host, port, literal: Result.isSuccess(ip) ? PeerSocketAddress.fromIp(ip.success, port) : undefined }
}

/**
 * Time after which a lookup that is still under way is given up and may begin again, as a multiple of `Policy.dnsTimeout`:
 * one minute. The system's resolver gives up by itself after about half of that.
 */
const longestLookup = 12

const make = Effect.fnUntraced(function* (given: ReadonlyArray<string> | undefined) {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const dns = yield* Dns.Dns
  const isRegtest = chain.kind === "regtest"
  const seeds = (given ?? chain.seeds).flatMap((text) => {
    const parsed = parseSeed(text)
    if (parsed === undefined) return []
    const { host, port } = parsed
    if (!isRegtest) return [seedOf(text, host, port)]
    if (host === "localhost") return loopback.map((ip) => seedOf(text, ip, port))
    const seed = seedOf(text, host, port)
    return seed.literal !== undefined && PeerSocketAddress.isLocalhost(seed.literal) ? [seed] : []
  })
  const lookups = yield* FiberMap.make<string, ReadonlyArray<NetAddress.IpAddress>, Dns.DnsError>()

  const initial = Metric.counter("zcash.net.peers.initial", {
    description: "addresses from seeds and the cache file",
    incremental: true
  })
  const counters = new Map(
    seeds.map(({ text }) => [text, Metric.withAttributes(initial, { network: chain.kind, seed: text })] as const)
  )
  const found = (seed: string, addresses: number) => {
    const counter = counters.get(seed)
    return counter === undefined ? Effect.void : Metric.update(counter, addresses)
  }

  const longest = Duration.times(policy.dnsTimeout, longestLookup)

  /** Waits for the one lookup of a name, for a while; that goes on. */
  const lookUp = Effect.fnUntraced(function* (host: string) {
    const underWay = yield* FiberMap.get(lookups, host)
    const fiber = Option.isSome(underWay)
      ? underWay.value
      : yield* FiberMap.run(
          lookups,
          host,
          Effect.timeoutOrElse(dns.lookup(host), {
            duration: longest,
            orElse: () => Effect.fail(new Dns.DnsError({ reason: "Timeout", method: "lookup", hostname: host }))
          })
        )
    return yield* Effect.timeoutOption(Fiber.await(fiber), policy.dnsTimeout)
  })

  /** The addresses of one seed; none when it does not answer in time, which is no reason to worry. */
  const resolveOne = Effect.fnUntraced(function* ({ host, literal, port, text }: Seed, isFirstTry: boolean) {
    let addresses = literal === undefined ? [] : [literal]
    if (literal === undefined) {
      const answer = Option.getOrUndefined(yield* lookUp(host))
      if (answer !== undefined && Exit.isSuccess(answer)) {
        addresses = answer.value.map((ip) => PeerSocketAddress.fromIp(ip, port))
      } else {
        const error = answer === undefined ? undefined : Option.getOrUndefined(Cause.findErrorOption(answer.cause))
        // Whatever else ends a lookup is a bug.
        if (answer !== undefined && error === undefined) return yield* Effect.die(Cause.squash(answer.cause))
        const log = isFirstTry ? Effect.logInfo : Effect.logDebug
        yield* Effect.annotateLogs(log("a seed did not answer"), { seed: text, reason: error?.reason ?? "Timeout" })
      }
    }
    yield* found(text, addresses.length)
    return addresses
  })

  const resolveAll = (isFirstTry: boolean) => {
    const each = Effect.forEach(seeds, (seed) => resolveOne(seed, isFirstTry), { concurrency: "unbounded" })
    // Asked every few seconds while there is no answer: it says where it is by its name.
    const span = Effect.withSpan(each, "DnsSeeds.resolve", { captureStackTrace: false })
    return Effect.map(span, (addresses) => unique(addresses.flat()))
  }

  const resolve = Effect.gen(function* () {
    if (seeds.length === 0) {
      yield* (isRegtest ? Effect.logInfo : Effect.logWarning)("there are no seeds, so others have to find this node")
      return []
    }
    for (let isFirstTry = true; ; isFirstTry = false) {
      const addresses = yield* resolveAll(isFirstTry)
      if (addresses.length > 0) return addresses
      yield* (isFirstTry ? Effect.logInfo : Effect.logDebug)("no seed has answered: trying again").pipe(
        Effect.annotateLogs({ seeds: seeds.length, again: Duration.format(policy.dnsTimeout) })
      )
      yield* Effect.sleep(policy.dnsTimeout)
    }
  })

  return DnsSeeds.of({
    literals: unique(seeds.flatMap(({ literal }) => (literal === undefined ? [] : [literal]))),
    resolve
  })
})

/** Each address once, in order. */
const unique = (addresses: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) => [
  ...new Map(addresses.map((address) => [PeerSocketAddress.format(address), address])).values()
]
