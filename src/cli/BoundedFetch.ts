/**
 * `fetch` for asking a node that may be anybody: answers have a size, and lead nowhere else.
 *
 * **Security**
 *
 * `--node` names a server that need not be a node, and an answer is read whole before it is looked at. What is counted are the
 * bytes after they were decompressed. A redirect would be followed to wherever the server says, with the token, so it is
 * an answer like any other, which no node gives.
 *
 * @module
 */
import { Layer } from "effect"
import { FetchHttpClient } from "effect/http"

/** Largest answer, in bytes. The largest of a node, a thousand addresses, has some 300,000. */
export const maxAnswerBytes = 8_388_608

/** Longest line of an event stream, in bytes. The longest of a node, a thousand ids, has some 67,000. */
export const maxLineBytes = 1_048_576

/** An answer that is too large ends in an error here. */
const limited = (maxBytes: number, isLines: boolean) => {
  let bytes = 0
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      const lastLine = isLines ? chunk.lastIndexOf(10) : -1
      bytes = lastLine < 0 ? bytes + chunk.length : chunk.length - lastLine - 1
      if (bytes > maxBytes) controller.error(new Error(`the answer has more than ${maxBytes} bytes`))
      else controller.enqueue(chunk)
    }
  })
}

const boundedFetch: typeof globalThis.fetch = (input, init) =>
  fetch(input, { ...init, redirect: "manual" }).then((response) => {
    if (response.body === null) return response
    const isLines = response.headers.get("content-type")?.startsWith("text/event-stream") === true
    return new Response(response.body.pipeThrough(limited(isLines ? maxLineBytes : maxAnswerBytes, isLines)), response)
  })

/** An `HttpClient` with these limits. Time is for whoever asks. */
export const layer = FetchHttpClient.layer.pipe(Layer.provide(Layer.succeed(FetchHttpClient.Fetch, boundedFetch)))
