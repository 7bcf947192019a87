/**
 * Both transports over TCP. The only file that knows `node:net`.
 *
 * A socket has neither fiber nor queue: its buffers are the kernel's and Node's, its events wake whoever waits. Sockets
 * that wait to be accepted cost a socket each and nothing else: nothing is read from them before somebody accepts.
 *
 * **Security**
 *
 * Both buffers of a stream are bounded: Node stops reading from the kernel at its high-water mark of 64 KiB, and `write`
 * waits above the same mark, so a peer that sends fast or reads slowly slows itself down.
 *
 * @module
 */
import * as net from "node:net"
import { type Duration, Effect, Layer } from "effect"
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { Policy } from "../Policy.ts"
import * as AcceptQueue from "./AcceptQueue.ts"
import { hostOf, Zones } from "./Zones.ts"
import {
  type BoundListener,
  DialError,
  InboundTransport,
  ListenError,
  OutboundTransport,
  StreamClosed,
  twoReaders
} from "./Transport.ts"

/** Connections the kernel completes while Node is busy. The system may cap it, as Linux does at `net.core.somaxconn`. */
const backlog = 1024

const eof = new StreamClosed({ reason: "Eof", code: "" })
const local = new StreamClosed({ reason: "Local", code: "" })

const ignore = () => {}

const codeOf = (cause: Error): string => ("code" in cause && typeof cause.code === "string" ? cause.code : "UNKNOWN")

/** What the platform says of an end of a socket; nothing once the connection is gone. */
const addressOf = (
  ip: string | undefined,
  port: number | undefined
): PeerSocketAddress.PeerSocketAddress | undefined => {
  if (ip === undefined || port === undefined) return undefined
  // A link-local address comes as `fe80::1%eth0`; canonical addresses have no scope.
  const zone = ip.indexOf("%")
  return PeerSocketAddress.fromIp(NetAddress.ipFromStringUnsafe(zone < 0 ? ip : ip.slice(0, zone)), port)
}

/** Nothing when the peer left before we looked at it. */
const makeStream = (socket: net.Socket, closeGrace: Duration.Duration): TcpStream | undefined => {
  const remoteAddress = addressOf(socket.remoteAddress, socket.remotePort)
  const localAddress = addressOf(socket.localAddress, socket.localPort)
  return remoteAddress === undefined || localAddress === undefined
    ? undefined
    : new TcpStream(socket, closeGrace, remoteAddress, localAddress)
}

/** A class, and what it waits with is made when it waits: thousands of these are there that do nothing. */
class TcpStream implements AcceptQueue.OpenStream {
  readonly remoteAddress: PeerSocketAddress.PeerSocketAddress
  readonly localAddress: PeerSocketAddress.PeerSocketAddress
  readonly proxyAddress = undefined
  readonly read: Effect.Effect<Uint8Array, StreamClosed>
  readonly #socket: net.Socket
  readonly #closeGrace: Duration.Duration
  #hasEnded = false
  #closed: StreamClosed | undefined
  #bytesRead = 0
  #bytesWritten = 0
  readonly #wakeReader = () => this.#reader?.()
  #reader: (() => void) | undefined
  #writers: Set<() => void> | undefined

  constructor(
    socket: net.Socket,
    closeGrace: Duration.Duration,
    remoteAddress: PeerSocketAddress.PeerSocketAddress,
    localAddress: PeerSocketAddress.PeerSocketAddress
  ) {
    this.remoteAddress = remoteAddress
    this.localAddress = localAddress
    this.#socket = socket
    this.#closeGrace = closeGrace
    this.read = Effect.suspend(() => {
      const taken = this.#take()
      if (taken === undefined) return this.#readable
      return taken instanceof StreamClosed ? Effect.fail(taken) : Effect.succeed(taken)
    })
    socket.on("end", () => {
      this.#hasEnded = true
      this.#wakeReader()
    })
    socket.on("error", (cause) => {
      const code = codeOf(cause)
      // What a write runs into when the peer has ended the stream and then gone, also where that end is still unread; of a reset
      // in the middle the system says `ECONNRESET`.
      this.#end(code === "EPIPE" ? eof : new StreamClosed({ reason: "Reset", code }))
    })
    socket.on("close", () => this.#end(local))
  }

  bytesRead(): number {
    return this.#bytesRead
  }

  bytesWritten(): number {
    return this.#bytesWritten
  }

  #end(reason: StreamClosed): void {
    this.#closed ??= reason
    this.#wakeReader()
    this.#wakeWriters()
  }

  #wakeWriters(): void {
    // A copy: whoever is woken may wait again before we are through.
    for (const wake of Array.from(this.#writers ?? [])) wake()
  }

  #take(): Uint8Array | StreamClosed | undefined {
    if (this.#closed === local) return local
    const socket = this.#socket
    // The listener comes with the first read, for it is what makes Node read from the kernel.
    if (socket.listenerCount("readable") === 0) socket.on("readable", this.#wakeReader)
    const chunk: Buffer | null = socket.read()
    if (chunk !== null) {
      this.#bytesRead += chunk.length
      return chunk
    }
    return this.#hasEnded ? eof : this.#closed
  }

  readNow(onReadable: () => void): Uint8Array | StreamClosed | undefined {
    const taken = this.#take()
    if (taken === undefined) this.#awaitReadable(onReadable)
    return taken
  }

  #awaitReadable(onReadable: () => void): void {
    if (this.#reader !== undefined) throw new Error(twoReaders)
    this.#reader = () => {
      this.#reader = undefined
      onReadable()
    }
  }

  /**
   * Resumes with the reading and not with the bytes: whoever is interrupted in between takes nothing. Looks again first: a fiber
   * may give way between its look and this, and what comes then wakes nobody.
   */
  get #readable(): Effect.Effect<Uint8Array, StreamClosed> {
    return Effect.callback((resume) => {
      if (this.#socket.readableLength > 0 || this.#hasEnded || this.#closed !== undefined) return resume(this.read)
      this.#awaitReadable(() => resume(this.read))
      return Effect.sync(() => {
        this.#reader = undefined
      })
    })
  }

  write(bytes: Uint8Array): Effect.Effect<void, StreamClosed> {
    return Effect.suspend(() => {
      if (this.#closed !== undefined) return Effect.fail(this.#closed)
      // An interrupted write may have left the buffer full; without this each such write would add to it.
      if (this.#socket.writableNeedDrain) return Effect.andThen(this.#drained, this.write(bytes))
      this.#bytesWritten += bytes.length
      return this.#socket.write(bytes) ? Effect.void : this.#drained
    })
  }

  writeNow(bytes: Uint8Array): boolean {
    const socket = this.#socket
    const hasRoom = socket.writableLength + bytes.length < socket.writableHighWaterMark
    if (this.#closed !== undefined || !socket.writable || !hasRoom) return false
    this.#bytesWritten += bytes.length
    return socket.write(bytes)
  }

  get #drained(): Effect.Effect<void, StreamClosed> {
    return Effect.callback((resume) => {
      if (this.#closed !== undefined) return resume(Effect.fail(this.#closed))
      // One that has just broken needs no drain either: that is told in a moment.
      if (this.#socket.writable && !this.#socket.writableNeedDrain) return resume(Effect.void)
      if (this.#writers === undefined) {
        this.#writers = new Set()
        this.#socket.on("drain", () => this.#wakeWriters())
      }
      const waiting = this.#writers
      const wake = () => {
        waiting.delete(wake)
        resume(this.#closed === undefined ? Effect.void : Effect.fail(this.#closed))
      }
      waiting.add(wake)
      return Effect.sync(() => waiting.delete(wake))
    })
  }

  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#end(local)
      const socket = this.#socket
      if (socket.destroyed) return Effect.void
      if (socket.writableLength === 0) {
        socket.destroy()
        return Effect.void
      }
      socket.destroySoon()
      const gone = Effect.callback<void>((resume) => {
        if (socket.closed) return resume(Effect.void)
        socket.once("close", () => resume(Effect.void))
      })
      return gone.pipe(
        Effect.timeoutOption(this.#closeGrace),
        // A reset, for otherwise the kernel would keep its own buffer for a peer that does not read.
        Effect.andThen(Effect.sync(() => socket.resetAndDestroy()))
      )
    })
  }
}

const connect = (
  address: PeerSocketAddress.PeerSocketAddress,
  host: string,
  localIp: NetAddress.IpAddress | undefined,
  closeGrace: Duration.Duration
): Effect.Effect<AcceptQueue.OpenStream, DialError> =>
  Effect.callback((resume) => {
    const failed = (code: string, cause: string) =>
      resume(Effect.fail(new DialError({ address: PeerSocketAddress.redacted(address), code, cause })))
    // Not what the system said: that names the IP, and logs and traces tell the cause of an error.
    const onError = (error: Error) => failed(codeOf(error), "the system could not connect")
    const socket = new net.Socket({ allowHalfOpen: true })
    socket.once("error", onError)
    socket.once("connect", () => {
      const stream = makeStream(socket, closeGrace)
      if (stream !== undefined) {
        socket.off("error", onError)
        return resume(Effect.succeed(stream))
      }
      socket.destroy()
      failed("ECONNRESET", "the peer left as soon as it was connected")
    })
    // Before it connects: Node would start to read at once.
    socket.pause()
    socket.setNoDelay(true)
    socket.connect({
      host,
      port: address.port,
      // Canonical: the system refuses an IPv4 address in its IPv6 spelling as the origin of an IPv4 connection.
      ...(localIp === undefined ? {} : { localAddress: NetAddress.formatIp(NetAddress.toCanonical(localIp)) })
    })
    return Effect.sync(() => socket.destroy())
  })

interface TcpListener extends BoundListener {
  readonly close: Effect.Effect<void>
}

const bind = Effect.fnUntraced(function* (
  address: PeerSocketAddress.PeerSocketAddress,
  host: string,
  closeGrace: Duration.Duration
): Effect.fn.Return<TcpListener, ListenError> {
  const queue = yield* AcceptQueue.make((socket: net.Socket) => {
    const stream = makeStream(socket, closeGrace)
    if (stream === undefined) socket.destroy()
    return stream
  })

  const server = net.createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, (socket) => {
    // A socket that breaks while it waits must not break us; its reader will hear of it.
    socket.on("error", ignore)
    if (!queue.offer(socket)) socket.resetAndDestroy()
  })

  // Not waited for: a server counts as closed when the last of its sockets is.
  const close = Effect.flatMap(
    Effect.sync(() => server.close()),
    () => Effect.map(queue.drain, (sockets) => sockets.forEach((socket) => socket.destroy()))
  )

  const port = yield* Effect.callback<number, ListenError>((resume) => {
    // Stays for good: an error without a listener would end the process. Once bound, resuming again does nothing.
    server.on("error", (cause) =>
      resume(Effect.fail(new ListenError({ address: PeerSocketAddress.format(address), code: codeOf(cause), cause })))
    )
    server.listen({ host, port: address.port, backlog }, () => {
      const bound = server.address()
      resume(Effect.succeed(bound === null || typeof bound === "string" ? address.port : bound.port))
    })
    return close
  })
  return { address: PeerSocketAddress.fromIp(address.address, port), accept: queue.accept, close }
})

const makeOutbound = (localIp: NetAddress.IpAddress | undefined): Layer.Layer<OutboundTransport> =>
  Layer.effect(
    OutboundTransport,
    Effect.zipWith(Policy, Zones, ({ closeGrace }, zones) =>
      OutboundTransport.of({
        dial: (address) =>
          Effect.acquireRelease(
            connect(address, hostOf(address, zones), localIp, closeGrace),
            (stream) => stream.close,
            {
              interruptible: true
            }
          )
      })
    )
  )

/** Dials over TCP; the system chooses the address we dial from. */
export const layerOutbound: Layer.Layer<OutboundTransport> = makeOutbound(undefined)

/**
 * Dials over TCP from `localIp`, which has to be an address of this machine. For several nodes on one machine: limits count
 * per host, and every address of 127/8 is one.
 */
export const layerOutboundFrom = (localIp: NetAddress.IpAddress): Layer.Layer<OutboundTransport> =>
  makeOutbound(localIp)

/** Listens over TCP. */
export const layerInbound: Layer.Layer<InboundTransport> = Layer.effect(
  InboundTransport,
  Effect.zipWith(Policy, Zones, ({ closeGrace }, zones) =>
    InboundTransport.of({
      listen: (address) =>
        Effect.acquireRelease(bind(address, hostOf(address, zones), closeGrace), (listener) => listener.close, {
          interruptible: true
        })
    })
  )
)

/** TCP both ways, as `layerOutbound` and `layerInbound`. */
export const layer: Layer.Layer<OutboundTransport | InboundTransport> = Layer.merge(layerOutbound, layerInbound)

/** TCP both ways, as `layerOutboundFrom` and `layerInbound`. */
export const layerFrom = (localIp: NetAddress.IpAddress): Layer.Layer<OutboundTransport | InboundTransport> =>
  Layer.merge(layerOutboundFrom(localIp), layerInbound)
