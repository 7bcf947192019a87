/**
 * Where the status interface of a node is, and who may know.
 *
 * @module
 */
import { Config, Context, Data, Effect, Option } from "effect"
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"

/** Port of the status interface: one above the port of Mainnet peers. */
export const defaultPort = 8234

/** On this machine only. */
export const defaultAddress = PeerSocketAddress.fromStringUnsafe(`127.0.0.1:${defaultPort}`)

/** `NETWORK_EFFECT_STATUS_TOKEN`: whoever asks has to know it, when it is set. */
export const token = Config.option(Config.Redacted("NETWORK_EFFECT_STATUS_TOKEN"))

/** Others could reach the status interface, and nothing would tell them from the operator. */
export class StatusNeedsToken extends Data.TaggedError("StatusNeedsToken")<{ readonly address: string }> {}

/** Fails when others could reach the address and there is no token. To be asked before anything of a node is bound. */
export const check = Effect.fnUntraced(function* (address: PeerSocketAddress.PeerSocketAddress) {
  const secret = yield* Effect.orDie(token)
  if (Option.isNone(secret) && !NetAddress.isLoopback(address.address)) {
    return yield* new StatusNeedsToken({ address: PeerSocketAddress.format(address) })
  }
  return secret
})

/** The status interface of a node, by where it was bound: other than it was told when that said port 0. */
export class StatusListening extends Context.Service<
  StatusListening,
  {
    /** `None`: the node has none. */
    readonly address: Option.Option<PeerSocketAddress.PeerSocketAddress>
  }
>()("network-effect/status/StatusListening") {}
