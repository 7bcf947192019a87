/** What somebody sees who starts a local network or a node for the first time, and for the second while the first one runs. */
import * as net from "node:net"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Layer, References, Scope } from "effect"
import { Devnet as DevnetLayer } from "network-effect/layers"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { Devnet } from "../../src/cli/devnet.ts"
import * as TcpTransport from "../../src/transport/TcpTransport.ts"
import { InboundTransport, ListenError } from "../../src/transport/Transport.ts"
import { runIn } from "../support/inProcess.ts"
import { freePort, makeHome, type Run, startIn, until } from "../support/process.ts"

const { directory, remove } = makeHome()
afterAll(remove)
const start = startIn(directory)
const startWithPage = startIn(directory, { NETWORK_EFFECT_STATUS: "127.0.0.1:0" })

/** A port of 127.0.0.1 that something holds. */
const takePort = () =>
  new Promise<{ readonly port: number; readonly close: () => void }>((resolve) => {
    const server = net.createServer()
    server.listen(0, "127.0.0.1", () => {
      resolve({ port: (server.address() as net.AddressInfo).port, close: () => server.close() })
    })
  })

const stopped = async (run: Run) => {
  run.child.kill("SIGTERM")
  await run.ended
}

describe("a local network", () => {
  it("is ready when its nodes have found each other, where its page was bound", async () => {
    const run = startWithPage("devnet", "--nodes", "4", "--port", "0")
    await until(() => /^status page: /m.test(run.output()), "the page")
    const [, url = ""] = /^status page: (http:\/\/127\.0\.0\.1:\d+\/)$/m.exec(run.output()) ?? []
    // With 25 peers wanted, as on Mainnet, it would need 13 and could never have them.
    let ready: { readonly peers: number; readonly wanted: number } | undefined
    for (let tries = 0; ready === undefined && tries < 800; tries++) {
      const answer = await fetch(`${url}ready`)
      const body = (await answer.json()) as { readonly peers: number; readonly wanted: number }
      if (answer.status === 200) ready = body
      else await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await stopped(run)
    assert.strictEqual(ready?.wanted, 2)
    assert.isAtLeast(ready?.peers ?? 0, 2)
  })

  it("says what is in the way, and nothing else, when its port is taken", async () => {
    const { close, port } = await takePort()
    const outcome = await runIn(directory)("devnet", "--nodes", "2", "--port", String(port), "--for", "1m")
    close()
    assert.deepStrictEqual(outcome, {
      code: 1,
      errors: [
        `network-effect: 127.0.0.1:${port} is already in use, probably by another node: stop it, or take free ports with --port 0.`
      ],
      output: ""
    })
  })

  it("says what is in the way, and nothing else, when the place of its page is taken", async () => {
    const { close, port } = await takePort()
    const at = `127.0.0.1:${port}`
    const outcome = await runIn(directory)("devnet", "--nodes", "2", "--port", "0", "--status", at, "--for", "1m")
    close()
    assert.deepStrictEqual(outcome, {
      code: 1,
      errors: [
        `network-effect: ${at} is already in use, probably by another node: choose another place for the status page with --status, or --status off.`
      ],
      output: ""
    })
  })

  it("tells programs where its page was bound, in the first line", async () => {
    const run = startWithPage("devnet", "--nodes", "1", "--port", "0", "--json", "--for", "1s")
    assert.deepStrictEqual(await run.ended, { code: 0, signal: null })
    const [first = ""] = run.output().split("\n")
    const event = JSON.parse(first) as {
      readonly _tag: string
      readonly node: number
      readonly address: string
      readonly url: string
    }
    assert.deepInclude(event, { _tag: "StatusListening", node: 1, url: `http://${event.address}/` })
    assert.match(event.address, /^127\.0\.0\.1:[1-9]\d*$/)
  })

  // As on macOS, where the other addresses of 127.0.0.0/8 cannot be bound.
  const onlyFirst = Layer.effect(
    InboundTransport,
    Effect.map(InboundTransport, ({ listen }) =>
      InboundTransport.of({
        listen: (address) =>
          PeerSocketAddress.format(address).startsWith("127.0.0.1:")
            ? listen(address)
            : Effect.fail(
                new ListenError({ address: PeerSocketAddress.format(address), code: "EADDRNOTAVAIL", cause: undefined })
              )
      })
    )
  ).pipe(Layer.provide(TcpTransport.layerInbound))

  it.live("has a port for each node where only 127.0.0.1 is there, also for one that comes back", () =>
    Effect.gen(function* () {
      const devnet = yield* Devnet
      const { startNode } = yield* devnet.open({ nodes: 3, port: 0 })
      const first = yield* startNode(1)
      const second = yield* startNode(2)
      const scope = yield* Scope.make()
      const third = yield* startNode(3).pipe(Scope.provide(scope))
      const nodes = [first, second, third]
      for (const { network } of nodes) yield* network.awaitReady({ peers: 2 }).pipe(Effect.timeout("100 seconds"))
      const hosts = nodes.map(({ address }) => PeerSocketAddress.format(address).split(":"))
      assert.deepStrictEqual(
        hosts.map(([host]) => host),
        ["127.0.0.1", "127.0.0.1", "127.0.0.1"]
      )
      assert.strictEqual(new Set(hosts.map(([, port]) => port)).size, 3)
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      const again = yield* startNode(3)
      assert.strictEqual(PeerSocketAddress.format(again.address), PeerSocketAddress.format(third.address))
    }).pipe(
      Effect.scoped,
      Effect.provide(DevnetLayer.layerOver.pipe(Layer.provide(onlyFirst))),
      Effect.provideService(References.MinimumLogLevel, "Error")
    )
  )

  it.live("has ports one after the other from the one that is asked for, where only 127.0.0.1 is there", () =>
    Effect.gen(function* () {
      const free = yield* Effect.promise(() => freePort())
      const { startNode } = yield* (yield* Devnet).open({ nodes: 2, port: free - 1 })
      const second = yield* startNode(2)
      assert.strictEqual(PeerSocketAddress.format(second.address), `127.0.0.1:${free}`)
    }).pipe(
      Effect.scoped,
      Effect.provide(DevnetLayer.layerOver.pipe(Layer.provide(onlyFirst))),
      Effect.provideService(References.MinimumLogLevel, "Error")
    )
  )
})

describe("a node", () => {
  const node = ["start", "--network", "regtest", "--listen", "127.0.0.1:0", "--status", "127.0.0.1:0"]
  const readyOf = async (url: string) => {
    const ready = await fetch(`${url}ready`)
    const { peers, wanted } = (await ready.json()) as { readonly peers: number; readonly wanted: number }
    return [ready.status, peers, wanted]
  }

  it("says where its page was bound, to people and in the logs, and without a peer on Regtest is ready at once", async () => {
    const run = start(...node)
    await until(() => /^status page: http:\/\/127\.0\.0\.1:[1-9]\d*\/$/m.test(run.output()), "the page")
    const [, url = ""] = /^status page: (.*)$/m.exec(run.output()) ?? []
    const [health, ready] = [await fetch(`${url}health`), await readyOf(url)]
    await stopped(run)
    assert.strictEqual(health.status, 200)
    assert.deepStrictEqual(ready, [200, 0, 0])
    assert.include(run.errors(), `"address":"${new URL(url).host}"`)
  })

  it("says so to programs, and with a peer on Regtest is ready with one", async () => {
    const run = start(...node, "--peer", "127.0.0.1:1", "--json")
    await until(() => run.output().includes("StatusListening"), "the page")
    const [line = ""] = run.output().split("\n")
    const { url } = JSON.parse(line) as { readonly url: string }
    assert.match(url, /^http:\/\/127\.0\.0\.1:[1-9]\d*\/$/)
    const ready = await readyOf(url)
    await stopped(run)
    assert.deepStrictEqual(ready, [503, 0, 1])
  })
})
