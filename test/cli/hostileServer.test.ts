/** What a server that is no node can do to whoever asks it with `--node`: nothing but be called by its name. */
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { gzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Stream } from "effect"
import { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import * as BoundedFetch from "../../src/cli/BoundedFetch.ts"
import { ask, clientOf } from "../../src/cli/remote.ts"

const serverOf = (answer: RequestListener) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly place: string; readonly close: () => void }>((resume) => {
      const server = createServer(answer)
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const close = () => {
          server.closeAllConnections()
          server.close()
        }
        resume(Effect.succeed({ place: `127.0.0.1:${port}`, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

/** What a person is told of a server that answers so. */
const toldOf = (answer: RequestListener) =>
  Effect.gen(function* () {
    const { place } = yield* serverOf(answer)
    const error = yield* Effect.flip(ask(`http://${place}`, (client) => client.peers()))
    return error.message.replaceAll(place, "PLACE")
  }).pipe(Effect.scoped, Effect.provide(BoundedFetch.layer))

const isNoNode = "what answers at PLACE is not a node of this version."

describe("a server that", () => {
  let sentBytes = 0
  const cases: ReadonlyArray<readonly [what: string, answer: RequestListener]> = [
    [
      "never stops sending",
      (_, response) => {
        sentBytes = 0
        const more = Buffer.alloc(65_536, "[")
        response.writeHead(200, { "content-type": "application/json" })
        const send = () => {
          while (!response.destroyed && response.write(more)) sentBytes += more.length
        }
        response.on("drain", send)
        send()
      }
    ],
    [
      "packs a hundred megabytes into a hundred kilobytes",
      (_, response) => {
        response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" })
        response.end(gzipSync(Buffer.alloc(100_000_000)))
      }
    ],
    [
      "sends its visitors elsewhere",
      (_, response) => {
        response.writeHead(302, { location: "http://127.0.0.1:1/" }).end()
      }
    ],
    ["has a page", (_, response) => void response.writeHead(200, { "content-type": "text/html" }).end("<html>")],
    ["answers with something else", (_, response) => void response.end('[{"id":"\\u001b[2J"}]')],
    ["nests its answer without end", (_, response) => void response.end("[".repeat(1_000_000))]
  ]
  for (const [what, answer] of cases) {
    it.live(`${what} is no node`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* toldOf(answer), isNoNode)
      })
    )
  }

  it.live("never stops sending is not listened to for long", () =>
    Effect.gen(function* () {
      const [, answer] = cases[0] ?? assert.fail("no case")
      yield* toldOf(answer)
      // What fits into the buffers of two sockets goes out besides.
      assert.isBelow(sentBytes, 2 * BoundedFetch.maxAnswerBytes)
    })
  )

  it.live("sends one event without an end ends the stream of events", () =>
    Effect.gen(function* () {
      const { place } = yield* serverOf((_, response) => {
        const more = Buffer.alloc(65_536, "x")
        response.writeHead(200, { "content-type": "text/event-stream" })
        const send = () => {
          while (!response.destroyed && response.write(more)) continue
        }
        response.on("drain", send)
        send()
      })
      const events = yield* Effect.flatMap(clientOf(`http://${place}`), (client) => client.events())
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Stream.runDrain(events))))
    }).pipe(Effect.scoped, Effect.provide(BoundedFetch.layer))
  )

  it.effect("does not answer is given up after 30 seconds", () =>
    Effect.gen(function* () {
      const silent = Layer.succeed(
        HttpClient.HttpClient,
        HttpClient.make(() => Effect.never)
      )
      const asking = yield* ask("http://127.0.0.1:1", (client) => client.peers()).pipe(
        Effect.flip,
        Effect.provide(silent),
        Effect.forkChild
      )
      yield* TestClock.adjust("29 seconds")
      assert.isUndefined(asking.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(
        (yield* Fiber.join(asking)).message,
        "what answers at 127.0.0.1:1 took longer than 30 seconds."
      )
    })
  )
})
