/**
 * `network-effect census serve`: the page of a census, until it is stopped.
 *
 * It is a process of its own and no part of a node: a store is asked synchronously where it is a file, and a node's connections
 * should not wait for that.
 *
 * @module
 */
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { StatusListening } from "../status/StatusAddress.ts"
import { storeFlag } from "./census.ts"
import { hostsFlag, urlOf } from "./root.ts"

/** Beside a node's status interface, whose port is the one before. */
export const defaultAddress = PeerSocketAddress.fromStringUnsafe("127.0.0.1:8235")

const flags = {
  store: storeFlag,
  listen: Flag.String("listen").pipe(
    Flag.withDescription("Where the page is: ip:port; port 0 takes a free one"),
    Flag.withMetavar("ADDR"),
    Flag.withDefault(PeerSocketAddress.format(defaultAddress)),
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(PeerSocketAddress.fromText(text, defaultAddress.port)),
      () => "ip:port or [ip6]:port"
    )
  ),
  statusHosts: hostsFlag("A name the page is also asked by, such as that of a proxy; may be repeated")
}

export const serve = Command.make(
  "serve",
  flags,
  Effect.fnUntraced(function* () {
    const { address } = yield* StatusListening
    if (Option.isSome(address)) yield* Console.log(`census page: ${urlOf(address.value)}census`)
    return yield* Effect.never
  })
).pipe(
  Command.withDescription("Show the page of a census until it is stopped"),
  Command.withExamples([
    {
      command: "network-effect census serve --store census.sqlite",
      description: "Nodes over time, what they run, and each host, at http://127.0.0.1:8235/census"
    }
  ])
)
