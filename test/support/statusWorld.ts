/** Nodes over TCP, one of them with a status server, and a client that asks it. */
import { connect, type Socket } from "node:net"
import {
  ConfigProvider,
  Context,
  Duration,
  Effect,
  Layer,
  Option,
  Redacted,
  References,
  Schedule,
  type Scope
} from "effect"
import { FetchHttpClient } from "effect/http"
import { ChainTip, defaults, Network, PeerSocketAddress, Policy, regtest, StatusClient } from "network-effect"
import { Node, StatusServer } from "network-effect/layers"
import { StatusLimits } from "../../src/status/StatusListener.ts"
import { freeAddress } from "./process.ts"

/** As on Mainnet, but for what would make a test wait. Ready with two peers. */
const quick: Policy = {
  ...defaults,
  targetPeers: 4,
  dialInterval: Duration.millis(5),
  acceptInterval: Duration.millis(5),
  reconnectDelay: Duration.millis(1),
  pingInterval: Duration.seconds(1)
}

type NodeSettings = Partial<Node.NodeOptions> & {
  readonly policy?: Partial<Policy>
  readonly chainTip?: Layer.Layer<ChainTip>
}

/** A node at an IP of its own, which knows nobody. */
export const node = (ip: string, settings: NodeSettings = {}) => {
  const listenAddress = PeerSocketAddress.fromStringUnsafe(`${ip}:0`)
  const { chainTip = ChainTip.layerNone, policy, ...others } = settings
  const peers = settings.seeds === undefined ? { peers: [] } : {}
  const options = { chain: regtest, listenAddress, ...peers, ...others }
  return Node.compose(options, { ...Node.parts(options), chainTip }).pipe(
    Layer.provide(Node.machine({ dialFrom: listenAddress.address })),
    Layer.provideMerge(Layer.succeed(Policy, { ...quick, ...policy })),
    Layer.provide(Layer.succeed(References.MinimumLogLevel, "None"))
  )
}

export const listenAddress = (context: Context.Context<Network>) =>
  PeerSocketAddress.format(Option.getOrThrow(Context.get(context, Network).listenAddress))

/** A node with a status server until the scope closes: its services, where the server is, and a client of it. */
export const withStatus = Effect.fnUntraced(function* (
  ip: string,
  {
    limits,
    server,
    token,
    ...options
  }: NodeSettings & {
    readonly token?: string
    readonly server?: StatusServer.StatusServerOptions
    readonly limits?: Partial<StatusLimits>
  } = {}
) {
  const at = yield* freeAddress(ip)
  const settings = token === undefined ? {} : { NETWORK_EFFECT_STATUS_TOKEN: token }
  const services = yield* Layer.build(
    StatusServer.layer(at, server).pipe(
      Layer.provide(
        Layer.effect(
          StatusLimits,
          Effect.map(StatusLimits, (usual) => ({ ...usual, ...limits }))
        )
      ),
      Layer.provideMerge(node(ip, options)),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(settings)))
    )
  )
  const url = `http://${PeerSocketAddress.format(at)}`
  const client = (token?: string) =>
    StatusClient.make({ url, token: token === undefined ? undefined : Redacted.make(token) }).pipe(
      Effect.provide(FetchHttpClient.layer)
    )
  return { services, at, url, client: yield* client(token), clientWith: client }
})

/**
 * A request that no typed client would make: its status, its type and what it says. On a connection of its own, for one that is
 * kept may be closed by the server, which has waited long enough, as the next request is written.
 */
export const raw = Effect.fnUntraced(function* (url: string, init: RequestInit = {}) {
  const headers = new Headers(init.headers)
  headers.set("connection", "close")
  const response = yield* Effect.promise(() => fetch(url, { ...init, headers }))
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    body: yield* Effect.promise(() => response.json() as Promise<Record<string, unknown>>)
  }
})

/** What a socket said so far, and its end. */
export interface Talk {
  readonly socket: Socket
  readonly text: () => string
  readonly closed: Effect.Effect<void>
}

/**
 * Sends bytes as they are over a connection of their own, from an IP of choice, and keeps what comes back: the first of it when
 * it `stops` reading. One that is half open does not end when the server does.
 */
export const talk = (
  at: PeerSocketAddress.PeerSocketAddress,
  bytes: string,
  {
    from,
    isHalfOpen = false,
    stops = false
  }: { readonly from?: string; readonly stops?: boolean; readonly isHalfOpen?: boolean } = {}
): Effect.Effect<Talk, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Talk>((resume) => {
      const { host, port } = hostAndPort(at)
      const socket = connect({
        host,
        port,
        allowHalfOpen: isHalfOpen,
        ...(from === undefined ? {} : { localAddress: from })
      })
      const pieces: Array<Buffer> = []
      let isClosed = false
      socket.on("error", () => undefined)
      socket.on("data", (piece) => {
        pieces.push(piece)
        if (stops) socket.pause()
      })
      socket.on("close", () => {
        isClosed = true
      })
      const closed = Effect.callback<void>((resume) => {
        if (isClosed) resume(Effect.void)
        else socket.once("close", () => resume(Effect.void))
      }).pipe(Effect.timeout("100 seconds"), Effect.orDie)
      socket.on("connect", () => {
        socket.write(bytes)
        resume(Effect.succeed({ socket, text: () => Buffer.concat(pieces).toString(), closed }))
      })
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

const hostAndPort = (at: PeerSocketAddress.PeerSocketAddress) => {
  const text = PeerSocketAddress.format(at)
  return { host: text.slice(0, text.lastIndexOf(":")), port: at.port }
}

/** The head and body of one answer to one request, whatever its headers say. */
export const answerTo = (
  at: PeerSocketAddress.PeerSocketAddress,
  bytes: string,
  options?: { readonly from?: string }
) =>
  Effect.gen(function* () {
    const { closed, text } = yield* talk(at, bytes, options)
    yield* closed
    const [head = "", ...body] = text().split("\r\n\r\n")
    const [, status = "0"] = /^HTTP\/1\.1 (\d+)/.exec(head) ?? []
    const headers = Object.fromEntries(
      head
        .split("\r\n")
        .slice(1)
        .map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)])
    )
    return { status: Number(status), headers, body: body.join("\r\n\r\n") }
  }).pipe(Effect.scoped)

/** Real sockets need real time. */
export const until = <A, E, R>(effect: Effect.Effect<A, E, R>, holds: (value: A) => boolean) =>
  effect.pipe(Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: holds }), Effect.timeout("100 seconds"))
