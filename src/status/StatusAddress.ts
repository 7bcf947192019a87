/**
 * Where the status interface of a node is, and who may know.
 *
 * @module
 */
import { Config, Context, Data, Effect, Option, Redacted } from "effect"
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"

/** Port of the status interface: one above the port of Mainnet peers. */
export const defaultPort = 8234

/** On this machine only. */
export const defaultAddress = PeerSocketAddress.fromStringUnsafe(`127.0.0.1:${defaultPort}`)

/** `NETWORK_EFFECT_STATUS_TOKEN`: whoever asks has to know it, when it is set. */
export const token = Config.option(Config.Redacted("NETWORK_EFFECT_STATUS_TOKEN"))

/** Whether a request can carry a token: a header has printable letters of ASCII, and loses blanks at its ends. */
export const isSayable = (token: Redacted.Redacted): boolean =>
  /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(Redacted.value(token))

/** What is wrong with a token that is not sayable. */
export const unsayable =
  "NETWORK_EFFECT_STATUS_TOKEN holds what no request can carry: use printable ASCII characters, and no blank at an end."

/** There is no token that would tell others from the operator: none, where others could reach the interface, or one that nobody can say. */
export class StatusNeedsToken extends Data.TaggedError("StatusNeedsToken")<{
  readonly address: string
  readonly token: "missing" | "unsayable"
}> {}

/**
 * Fails when others could reach the address and there is no token, or when nobody could say the one there is. To be asked before
 * anything of a node is bound.
 */
export const check = Effect.fnUntraced(function* (address: PeerSocketAddress.PeerSocketAddress) {
  const secret = yield* Effect.orDie(token)
  const problem = Option.match(secret, {
    onNone: () => (NetAddress.isLoopback(address.address) ? undefined : ("missing" as const)),
    onSome: (token) => (isSayable(token) ? undefined : ("unsayable" as const))
  })
  if (problem === undefined) return secret
  return yield* new StatusNeedsToken({ address: PeerSocketAddress.format(address), token: problem })
})

/** The status interface of a node, by where it was bound: other than it was told when that said port 0. */
export class StatusListening extends Context.Service<
  StatusListening,
  {
    /** `None`: the node has none. */
    readonly address: Option.Option<PeerSocketAddress.PeerSocketAddress>
  }
>()("network-effect/status/StatusListening") {}
