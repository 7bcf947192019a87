/**
 * Requests to a network that a test makes up.
 *
 * @module
 */
import { Effect } from "effect"
import * as Mock from "../Mock.ts"
import type { Request, ResponseOf } from "../peer/Request.ts"
import type { RequestError } from "../routing/RequestError.ts"
import type { RequestOptions } from "./PeerSet.ts"

type Answer<R extends Request> = (request: R, options?: RequestOptions) => Effect.Effect<ResponseOf<R>, RequestError>

/** What a mock answers, by the tag of the request. One that is asked for and not here ends the test. */
export type MockedRequests = {
  readonly [Tag in Request["_tag"]]?: Answer<Extract<Request, { readonly _tag: Tag }>>
}

/** Some members of a service that has `request`, for a mock of it. */
export type MockedWithRequests<S> = Partial<Omit<S, "request">> & { readonly request?: MockedRequests }

/** The `request` of a mock. */
export const mockRequests =
  (service: string, answers: MockedRequests) =>
  <R extends Request>(request: R, options?: RequestOptions): Effect.Effect<ResponseOf<R>, RequestError> =>
    Effect.suspend(() => {
      // What is at a tag takes the request of that tag.
      const answer = answers[request._tag] as Answer<R> | undefined
      if (answer !== undefined) return answer(request, options)
      throw new Mock.NotMocked(service, `request of "${request._tag}"`, `request: { ${request._tag}: … }`)
    })
