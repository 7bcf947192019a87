/**
 * Names of a simulated network: what each resolves to, and whether anybody answers at all.
 *
 * @module
 */
import { Effect, Layer } from "effect"
import { Dns, type NetAddress } from "effect/net"

/** What a question meets: an answer, silence, or a resolver that says that it cannot. */
export type Manner = "answers" | "hangs" | "fails"

/** Names in memory. */
export interface SimNames {
  /** What a name resolves to from now on; a name without addresses does not exist. */
  readonly set: (name: string, addresses: ReadonlyArray<NetAddress.IpAddress>) => void
  /** What questions meet from now on. One that hangs goes on hanging: whoever asked gives it up. */
  readonly behave: (manner: Manner) => void
  readonly manner: () => Manner
  readonly layer: Layer.Layer<Dns.Dns>
}

/** No name exists, and every question is answered. */
export const make = (): SimNames => {
  const addresses = new Map<string, ReadonlyArray<NetAddress.IpAddress>>()
  let manner: Manner = "answers"

  const lookup = (host: string): Effect.Effect<ReadonlyArray<NetAddress.IpAddress>, Dns.DnsError> =>
    Effect.suspend(() => {
      if (manner === "hangs") return Effect.never
      if (manner === "answers") return Effect.succeed(addresses.get(host) ?? [])
      return Effect.fail(new Dns.DnsError({ reason: "Temporary", method: "lookup", hostname: host }))
    })

  return {
    set: (name, to) => {
      addresses.set(name, to)
    },
    behave: (next) => {
      manner = next
    },
    manner: () => manner,
    layer: Layer.succeed(Dns.Dns, Dns.make({ lookup }))
  }
}
