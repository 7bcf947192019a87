/** Asking the node, with its token where it has one. */
import { givenToken, refuse } from "./login.js"

/** What the node has against it, in its own words. */
export class Problem extends Error {}

export const ask = async (path, { body, method = "GET", signal } = {}) => {
  const token = givenToken()
  const response = await fetch(path, {
    method,
    signal,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" })
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  if (response.status === 401) refuse(token)
  return response
}

export const json = async (path, options) => {
  const response = await ask(path, options)
  const answer = response.status === 204 ? undefined : await response.json()
  if (!response.ok) throw new Problem(answer?.detail ?? `The node answered ${response.status}.`)
  return answer
}

export const sentence = (error) => (error instanceof Problem ? error.message : "The node does not answer.")
