/** The two networks a test about connections runs on: real TCP in real time, and a simulated one in virtual time. */
import { it } from "@effect/vitest"
import type { Effect, Layer, Scope } from "effect"
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import * as TcpTransport from "../../src/transport/TcpTransport.ts"
import type { InboundTransport, OutboundTransport } from "../../src/transport/Transport.ts"
import { inVirtualTime } from "./time.ts"

export interface Kind {
  readonly name: string
  /** Dials from this IP. */
  readonly from: (ip: string) => Layer.Layer<OutboundTransport | InboundTransport, never, SimNetwork>
  /** A test that may wait for what the network does. */
  readonly test: <E>(title: string, body: () => Effect.Effect<void, E, Scope.Scope>) => void
}

const tcp: Kind = {
  name: "TCP",
  from: (ip) => TcpTransport.layerFrom(NetAddress.ipFromStringUnsafe(ip)),
  test: (title, body) => it.live(title, body)
}

export const simulated: Kind = {
  name: "a simulated network",
  from: (ip) => SimNetwork.layerTransport(PeerSocketAddress.fromIp(NetAddress.ipFromStringUnsafe(ip), 0)),
  test: (title, body) => it.effect(title, () => inVirtualTime(body()))
}

export const kinds: ReadonlyArray<Kind> = [tcp, simulated]
