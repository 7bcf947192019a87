/**
 * JSON-RPC over HTTP: POST to `/`, where zcashd has it, and to `/rpc`.
 *
 * **Security**
 *
 * What a browser sends for a page of another site does not come this far: `Guard.refusal` is asked before any route.
 *
 * @module
 */
import { Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as LimitedLog from "../LimitedLog.ts"
import { Policy } from "../Policy.ts"
import * as Guard from "./Guard.ts"
import * as JsonRpc from "./JsonRpc.ts"
import * as RpcMethods from "./RpcMethods.ts"

/** As zcashd: no body, and the realm its tools know. */
const unauthorized = HttpServerResponse.text("", {
  status: 401,
  headers: { "www-authenticate": 'Basic realm="jsonrpc"' }
})

/** Adds the routes. Needs the services of a node. */
export const layer = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const access = yield* Guard.StatusAccess
    const { statusLogInterval } = yield* Policy
    const log = LimitedLog.make(statusLogInterval)
    const methods: JsonRpc.Methods = {
      methods: yield* RpcMethods.make,
      onDefect: (defect) => log("defect", Effect.logError("a JSON-RPC request ended in a defect", defect))
    }
    const answer = Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      if (!Guard.mayCall(request.headers, access)) {
        if (request.headers["authorization"] !== undefined) {
          yield* log("login", Effect.logWarning("JSON-RPC was asked with a wrong login"))
        }
        return unauthorized
      }
      const { body, status } = yield* JsonRpc.handle(yield* request.text, methods)
      return HttpServerResponse.text(body, { status, contentType: "application/json" })
    })
    yield* router.add("POST", "/", answer)
    yield* router.add("POST", "/rpc", answer)
  })
)
