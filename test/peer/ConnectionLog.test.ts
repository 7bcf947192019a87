import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, References } from "effect"
import { end } from "../../src/peer/ConnectionLog.ts"
import { ConnectionClosed, PeerOverloaded, Serialization } from "../../src/peer/Peer.ts"
import { StreamClosed } from "../../src/transport/Transport.ts"
import { WireEof } from "../../src/wire/Message.ts"
import { bobsVersion } from "./rig.ts"

const info = {
  connectedAddress: { _tag: "Isolated" },
  remote: bobsVersion(),
  negotiatedVersion: 170_190
} as const

describe("the line at the end of a connection", () => {
  it.effect("names the system's code where the stream broke, and else the tag of what ended it", () =>
    Effect.gen(function* () {
      const told: Array<unknown> = []
      const logger = Logger.make(({ fiber }) => {
        told.push(fiber.getRef(References.CurrentLogAnnotations)["error"])
      })
      const errors = [
        new Serialization({ cause: new StreamClosed({ reason: "Reset", code: "ECONNRESET" }) }),
        new Serialization({ cause: new WireEof({ command: "ping", field: "nonce" }) }),
        new ConnectionClosed(),
        new PeerOverloaded()
      ]
      yield* Effect.forEach(errors, (error) => end((_kind, line) => line, info, error)).pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      assert.deepStrictEqual(told, ["ECONNRESET", "Serialization", "ConnectionClosed", "PeerOverloaded"])
    })
  )
})
