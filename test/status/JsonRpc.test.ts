/** JSON-RPC as zcashd speaks it, whatever the methods are. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as JsonRpc from "../../src/status/JsonRpc.ts"

const methods = new Map<string, JsonRpc.Method>([
  ["echo", (params) => Effect.succeed(params)],
  ["refuse", () => Effect.fail(new JsonRpc.RpcError({ code: -8, message: "no" }))],
  ["break", () => Effect.die(new Error("secret"))]
])

const handled = (body: string, onDefect: (defect: unknown) => void = () => undefined) =>
  JsonRpc.handle(body, { methods, onDefect: (defect) => Effect.sync(() => onDefect(defect)) })

const ask = (body: unknown) =>
  Effect.map(
    handled(typeof body === "string" ? body : JSON.stringify(body)),
    ({ body, status }) => [status, JSON.parse(body) as unknown] as const
  )
const error = (code: number, message: string, id: unknown = null) => ({ result: null, error: { code, message }, id })

describe("a JSON-RPC request", () => {
  it.effect.each([
    ["has its answer", { method: "echo", params: [1, "a"], id: "x" }, 200, { result: [1, "a"], error: null, id: "x" }],
    [
      "of version 1.1 too",
      { version: "1.1", method: "echo", params: [], id: 1 },
      200,
      { result: [], error: null, id: 1 }
    ],
    ["may have no parameters and no id", { method: "echo" }, 200, { result: [], error: null, id: null }],
    ["may have null for parameters", { method: "echo", params: null }, 200, { result: [], error: null, id: null }],
    ["that is refused has status 500", { method: "refuse", id: 7 }, 500, error(-8, "no", 7)],
    ["of an unknown method has status 404", { method: "getblock", id: 7 }, 404, error(-32601, "Method not found", 7)],
    ["without a method has status 400", { id: 7 }, 400, error(-32600, "Missing method", 7)],
    ["whose method is no name", { method: 5, id: 7 }, 400, error(-32600, "Method must be a string", 7)],
    ["with named parameters", { method: "echo", params: {}, id: 7 }, 400, error(-32600, "Params must be an array", 7)],
    ["that is no JSON", "{bad", 500, error(-32700, "Parse error")],
    ["that is empty", "", 500, error(-32700, "Parse error")],
    ["that is no object", "5", 500, error(-32700, "Top-level object parse error")],
    ["named as what every object has", { method: "constructor", id: 7 }, 404, error(-32601, "Method not found", 7)],
    ["in no batch", [], 200, []],
    [
      "whose id is deeper than any is",
      `{"id":${"[".repeat(512)}${"]".repeat(512)}}`,
      500,
      error(-32700, "Parse error")
    ],
    [
      "whose id has brackets in a text",
      { method: "echo", id: `"${"[{".repeat(600)}` },
      200,
      { result: [], error: null, id: `"${"[{".repeat(600)}` }
    ]
  ] as const)("%s", ([, request, status, answer]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* ask(request), [status, answer])
    })
  )

  it.effect("in a batch has its own answer, and the batch has status 200", () =>
    Effect.gen(function* () {
      const batch = [{ method: "echo", id: 1 }, { method: "none", id: 2 }, 3, { method: "refuse", id: 4 }]
      assert.deepStrictEqual(yield* ask(batch), [
        200,
        [
          { result: [], error: null, id: 1 },
          error(-32601, "Method not found", 2),
          error(-32600, "Invalid Request object"),
          error(-8, "no", 4)
        ]
      ])
      const long = Array.from({ length: JsonRpc.maxBatch + 1 }, (_, id) => ({ method: "echo", id }))
      assert.deepStrictEqual(yield* ask(long), [400, error(-32600, "A batch may have 50 requests at most")])
    })
  )

  it.effect("that meets a bug says so and nothing of it", () =>
    Effect.gen(function* () {
      const told: Array<unknown> = []
      const [status, answer] = yield* Effect.map(
        handled(JSON.stringify({ method: "break", id: 1 }), (defect) => told.push(defect)),
        ({ body, status }) => [status, JSON.parse(body) as unknown] as const
      )
      assert.deepStrictEqual(told, [new Error("secret")])
      assert.strictEqual(status, 500)
      assert.deepStrictEqual(answer, error(-32603, "The request could not be answered, which is a bug.", 1))
    })
  )
})
