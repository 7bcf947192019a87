/**
 * Service: the first addresses, from names that a chain's community keeps up.
 *
 * Source: Zebra config.rs, `resolve_peers` and `resolve_host`.
 *
 * @module
 */
import { Context, Duration, Effect, Layer, Metric, Result } from "effect"
import { Dns, NetAddress } from "effect/net"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { Policy } from "../Policy.ts"

/** Where the first addresses come from: names that resolve to peers, or the operator's own. */
export class DnsSeeds extends Context.Service<
  DnsSeeds,
  {
    /**
     * Every address the seeds give, each once. Waits until there is one, for as long as it takes; answers nothing at once
     * when there are no seeds.
     */
    readonly resolve: Effect.Effect<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>
    /** Those of `resolve` that are written as addresses, for whoever does not want to wait for the names beside them. */
    readonly literals: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>
  }
>()("network-effect/addresses/DnsSeeds") {
  /** Resolves `host:port` entries: those given, or else the seeds of the chain. On Regtest no name is resolved. */
  static readonly layer = (seeds?: ReadonlyArray<string>) => Layer.effect(DnsSeeds, make(seeds))

  /** These and no others; nothing is resolved. */
  static readonly layerPeers = (peers: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>): Layer.Layer<DnsSeeds> =>
    Layer.succeed(DnsSeeds, DnsSeeds.of({ resolve: Effect.succeed(peers), literals: peers }))
}

/** A name that DNS can carry: labels of 1 to 63 letters, digits, `-` and `_`, 253 bytes in all; a dot may end it. */
const isName = (host: string): boolean => {
  const labels = host.replace(/\.+$/, "").split(".")
  return (
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

const make = Effect.fnUntraced(function* (configured: ReadonlyArray<string> | undefined) {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const dns = yield* Dns.Dns
  const isRegtest = chain.kind === "regtest"
  const seeds = (configured ?? chain.seeds).flatMap((text) => {
    const seed = parseSeed(text)
    if (seed === undefined) return []
    if (!isRegtest) return [{ text, ...seed }]
    if (seed.host === "localhost") return loopback.map((host) => ({ text, host, port: seed.port }))
    const literal = NetAddress.ipFromString(seed.host)
    const isOurs =
      Result.isSuccess(literal) && PeerSocketAddress.isLocalhost(PeerSocketAddress.fromIp(literal.success, seed.port))
    return isOurs ? [{ text, ...seed }] : []
  })

  const found = (seed: string, addresses: number) =>
    Metric.update(
      Metric.withAttributes(
        Metric.counter("zcash.net.peers.initial", {
          description: "addresses from seeds and the cache file",
          incremental: true
        }),
        { network: chain.kind, seed }
      ),
      addresses
    )

  /** The addresses of one seed; none when it does not answer in time, which is no reason to worry. */
  const resolveOne = Effect.fnUntraced(function* ({ host, port, text }: (typeof seeds)[number]) {
    const literal = NetAddress.ipFromString(host)
    const addresses = Result.isSuccess(literal)
      ? [literal.success]
      : yield* dns.lookup(host).pipe(
          Effect.timeoutOrElse({
            duration: policy.dnsTimeout,
            orElse: () => Effect.fail(new Dns.DnsError({ reason: "Timeout", method: "lookup", hostname: host }))
          }),
          Effect.catch((error) =>
            Effect.as(
              Effect.logInfo("a seed did not answer").pipe(Effect.annotateLogs({ seed: text, reason: error.reason })),
              []
            )
          )
        )
    yield* found(text, addresses.length)
    return addresses.map((ip) => PeerSocketAddress.fromIp(ip, port))
  })

  const resolveAll = Effect.map(
    Effect.forEach(seeds, resolveOne, { concurrency: "unbounded" }).pipe(Effect.withSpan("DnsSeeds.resolve")),
    (addresses) => [
      ...new Map(addresses.flat().map((address) => [PeerSocketAddress.format(address), address])).values()
    ]
  )

  const resolve = Effect.gen(function* () {
    if (seeds.length === 0) {
      yield* (isRegtest ? Effect.logInfo : Effect.logWarning)("there are no seeds, so others have to find this node")
      return []
    }
    for (let attempt = 0; ; attempt++) {
      const addresses = yield* resolveAll
      if (addresses.length > 0) return addresses
      yield* (attempt === 0 ? Effect.logInfo : Effect.logDebug)("no seed has answered: trying again").pipe(
        Effect.annotateLogs({ seeds: seeds.length, again: Duration.format(policy.dnsTimeout) })
      )
      yield* Effect.sleep(policy.dnsTimeout)
    }
  })

  const literals = seeds.flatMap(({ host, port }) => {
    const literal = NetAddress.ipFromString(host)
    return Result.isSuccess(literal) ? [PeerSocketAddress.fromIp(literal.success, port)] : []
  })

  return DnsSeeds.of({ resolve, literals })
})
