/**
 * A peer that costs next to nothing, for benches whose subject is the other end: bytes over `node:net`, no Effect, and no more
 * of the protocol than a handshake, a request and the end of its answer.
 */
import * as net from "node:net"
import { Result } from "effect"
import { NetAddress } from "effect/net"
import { Frame, Message, NODE_NETWORK, PeerSocketAddress, ProtocolVersion, regtest } from "network-effect"

const options = {
  magic: regtest.magic,
  negotiatedVersion: ProtocolVersion.ourProtocolVersion,
  maxBodyBytes: Frame.maxBodyBytes
}

export const encoded = (message: Message.Message): Uint8Array => Result.getOrThrow(Message.encode(message, options))

const nowhere = PeerSocketAddress.fromIp(NetAddress.ipFromStringUnsafe("127.0.0.1"), 1)
export const verack = encoded(Message.Message.Verack())

export const version = (): Uint8Array =>
  encoded(
    Message.Message.Version({
      version: ProtocolVersion.ourProtocolVersion,
      services: NODE_NETWORK,
      timestamp: BigInt(Math.floor(Date.now() / 1000)),
      addressReceiver: { address: nowhere, services: NODE_NETWORK },
      addressFrom: { address: nowhere, services: NODE_NETWORK },
      nonce: BigInt(Math.floor(Math.random() * 2 ** 48)),
      userAgent: "/bench/",
      startHeight: 0,
      relay: false
    })
  )

/** A body above so many bytes is counted and not kept. */
const longBody = 65_536
const noBody = Buffer.alloc(0)

/** One connection after its handshake. */
export interface Client {
  readonly socket: net.Socket
  /** Milliseconds from the first packet to the other's `verack`. */
  readonly handshakeMillis: number
  /** Sends bytes, and gives the body's length of the first message of that command that comes after it. */
  readonly ask: (bytes: Uint8Array, command: string, withinMillis: number) => Promise<number>
  /** How often the other has sent a command. */
  readonly heard: (command: string) => number
}

/** Speaks on a socket that is connected, whoever dialled. Rejects when it closes before, or after `withinMillis`. */
export const shakeHands = (socket: net.Socket, withinMillis: number): Promise<Client> => {
  const started = process.hrtime.bigint()
  const heard = new Map<string, number>()
  let waiting: { readonly command: string; readonly resolve: (bytes: number) => void } | undefined
  let rest: Buffer = Buffer.alloc(0)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no handshake in time")), withinMillis)
    socket.on("error", reject)
    socket.on("close", () => reject(new Error("closed")))
    const client = (): Client => ({
      socket,
      handshakeMillis: Number(process.hrtime.bigint() - started) / 1e6,
      heard: (command) => heard.get(command) ?? 0,
      ask: (bytes, command, within) =>
        new Promise((answered, failed) => {
          const late = setTimeout(() => failed(new Error(`no ${command} in time`)), within)
          waiting = {
            command,
            resolve: (length) => {
              clearTimeout(late)
              answered(length)
            }
          }
          socket.write(bytes)
        })
    })
    const receive = (command: string, body: Buffer, length: number) => {
      heard.set(command, (heard.get(command) ?? 0) + 1)
      if (command === "version") socket.write(verack)
      else if (command === "verack") {
        clearTimeout(timer)
        resolve(client())
      } else if (command === "ping") socket.write(encoded(Message.Message.Pong({ nonce: body.readBigUInt64LE() })))
      if (waiting?.command === command) {
        const { resolve: answer } = waiting
        waiting = undefined
        answer(length)
      }
    }
    /** What comes of a long body, which nobody looks at. */
    let passing = { command: "", length: 0, left: 0 }
    socket.on("data", (chunk) => {
      let fresh = chunk
      if (passing.left > 0) {
        const passed = Math.min(passing.left, chunk.length)
        passing.left -= passed
        if (passing.left > 0) return
        receive(passing.command, noBody, passing.length)
        fresh = chunk.subarray(passed)
      }
      rest = rest.length === 0 ? fresh : Buffer.concat([rest, fresh])
      while (rest.length >= 24) {
        const length = rest.readUInt32LE(16)
        const command = rest.toString("latin1", 4, 16).replace(/\0+$/, "")
        if (rest.length < 24 + length) {
          if (length > longBody) {
            passing = { command, length, left: 24 + length - rest.length }
            rest = noBody
          }
          return
        }
        const body = rest.subarray(24, 24 + length)
        rest = rest.subarray(24 + length)
        receive(command, body, length)
      }
    })
    socket.write(version())
  })
}

/** Connects from a loopback address of its own, as hosts are told apart by address. */
export const connect = (port: number, from: string, withinMillis = 10_000): Promise<Client> =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ host: "127.0.0.1", port, localAddress: from, noDelay: true }, () => {
      socket.off("error", reject)
      resolve(shakeHands(socket, withinMillis))
    })
    socket.once("error", reject)
  })
