/**
 * JSON-RPC 1.0 as zcashd speaks it: requests, batches, answers, and the HTTP status of each.
 *
 * Pure but for the methods, which it is given.
 *
 * Source: zcashd src/httprpc.cpp and src/rpc/server.cpp.
 *
 * @module
 */
import { Data, Effect, Result } from "effect"

/** zcashd's numbers for what went wrong. Source: zcashd src/rpc/protocol.h. */
export const codes = {
  misc: -1,
  type: -3,
  invalidParameter: -8,
  alreadyAdded: -23,
  notAdded: -24,
  nodeNotConnected: -29,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  parse: -32700
} as const

/** What the caller is told instead of a result. */
export class RpcError extends Data.TaggedError("RpcError")<{ readonly code: number; readonly message: string }> {}

/** One method: its parameters in order, as they were sent. */
export type Method = (params: ReadonlyArray<unknown>) => Effect.Effect<unknown, RpcError>

/** What goes back over HTTP. */
export interface Reply {
  readonly status: number
  /** JSON and a newline. */
  readonly body: string
}

/**
 * Most requests of one batch. The largest answer to one has some 200 kilobytes, all peers; zcashd has no such limit, and its
 * tools send one or two.
 */
export const maxBatch = 50

/** Arrays and objects within each other. Source: UniValue's `MAX_JSON_DEPTH`, by which zcashd reads. */
const maxDepth = 512

interface Answer {
  readonly result: unknown
  readonly error: { readonly code: number; readonly message: string } | null
  readonly id: unknown
}

const failed = ({ code, message }: RpcError, id: unknown): Answer => ({ result: null, error: { code, message }, id })

const invalid = (message: string) => new RpcError({ code: codes.invalidRequest, message })

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isArray = (value: unknown): value is ReadonlyArray<unknown> => Array.isArray(value)

/** Whether what is to be read stays within `maxDepth`; whatever answers it could not be written. */
const isShallow = (json: string): boolean => {
  let depth = 0
  for (const [sign] of json.replaceAll(/"(?:[^"\\]|\\.)*"/g, "").matchAll(/[[\]{}]/g)) {
    depth += sign === "[" || sign === "{" ? 1 : -1
    if (depth > maxDepth) return false
  }
  return true
}

/** Methods by name, and where a bug of one is told. */
export interface Methods {
  readonly methods: ReadonlyMap<string, Method>
  readonly onDefect: (defect: unknown) => Effect.Effect<void>
}

/** Any request, also one that is none. Never fails: what goes wrong is in the answer. */
const answerTo = (request: unknown, { methods, onDefect }: Methods): Effect.Effect<Answer> => {
  if (!isObject(request)) return Effect.succeed(failed(invalid("Invalid Request object"), null))
  const { id = null, method, params = [] } = request
  const refused = (error: RpcError) => Effect.succeed(failed(error, id))
  if (method === undefined || method === null) return refused(invalid("Missing method"))
  if (typeof method !== "string") return refused(invalid("Method must be a string"))
  if (params !== null && !isArray(params)) return refused(invalid("Params must be an array"))
  const run = methods.get(method)
  if (run === undefined) return refused(new RpcError({ code: codes.methodNotFound, message: "Method not found" }))
  return run(params ?? []).pipe(
    Effect.map((result): Answer => ({ result, error: null, id })),
    Effect.catchTag("RpcError", refused),
    Effect.catchDefect((defect) =>
      Effect.andThen(
        onDefect(defect),
        refused(new RpcError({ code: codes.internal, message: "The request could not be answered, which is a bug." }))
      )
    )
  )
}

/** A single answer has the status of its error, a batch is always fine. */
const statusOf = ({ error }: Answer): number => {
  if (error === null) return 200
  if (error.code === codes.invalidRequest) return 400
  return error.code === codes.methodNotFound ? 404 : 500
}

const single = (answer: Answer): Reply => ({ status: statusOf(answer), body: `${JSON.stringify(answer)}\n` })

/** Answers the body of a request. Those of a batch are run one after the other, and each has its answer. */
export const handle = (body: string, methods: Methods): Effect.Effect<Reply> => {
  const parseError = (message: string) =>
    Effect.succeed(single(failed(new RpcError({ code: codes.parse, message }), null)))
  const parsed = Result.try((): unknown => JSON.parse(body))
  if (!isShallow(body) || Result.isFailure(parsed)) return parseError("Parse error")
  const request = parsed.success
  if (isArray(request)) {
    if (request.length > maxBatch) {
      return Effect.succeed(single(failed(invalid(`A batch may have ${maxBatch} requests at most`), null)))
    }
    return Effect.map(
      Effect.forEach(request, (request) => answerTo(request, methods)),
      (answers) => ({ status: 200, body: `${JSON.stringify(answers)}\n` })
    )
  }
  return isObject(request) ? Effect.map(answerTo(request, methods), single) : parseError("Top-level object parse error")
}
