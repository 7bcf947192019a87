/** Asking the node, with its token where it has one. */
import { $ } from "./dom.js"

/** What the node has against it, in its own words. */
export class Problem extends Error {}

const tokenHeaders = () => {
  const token = sessionStorage.getItem("token")
  return token === null ? {} : { authorization: `Bearer ${token}` }
}

export const ask = async (path, { body, method = "GET", signal } = {}) => {
  const response = await fetch(path, {
    method,
    signal,
    headers: { ...tokenHeaders(), ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  if (response.status === 401 && !$("login").open) $("login").showModal()
  return response
}

export const json = async (path, options) => {
  const response = await ask(path, options)
  const answer = response.status === 204 ? undefined : await response.json()
  if (!response.ok) throw new Problem(answer?.detail ?? `The node answered ${response.status}.`)
  return answer
}

export const sentence = (error) => (error instanceof Problem ? error.message : "The node does not answer.")

export const startLogin = (onToken) => {
  $("token").onsubmit = (event) => {
    event.preventDefault()
    sessionStorage.setItem("token", new FormData($("token")).get("token"))
    $("login").close()
    onToken()
  }
}
