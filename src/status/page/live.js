/** The node's one stream: read for as long as the page is seen, and begun again when it breaks. */
import { ask } from "./asking.js"

/** A node says something each second. One that has not for so long is away. */
const silence = 5000
const retryAfter = 2000

const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis))
const seen = () =>
  document.hidden
    ? new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }))
    : Promise.resolve()

/** A fault of the page is one, and no reason to think that the node is away. */
const tell = (onMessage, data) => {
  try {
    onMessage(JSON.parse(data))
  } catch (error) {
    reportError(error)
  }
}

let wake = () => {}
/** Tries at once, as when a token was given. */
export const tryNow = () => wake()

const readOnce = async ({ onAway, onMessage }) => {
  const stop = new AbortController()
  const hide = () => document.hidden && stop.abort("hidden")
  document.addEventListener("visibilitychange", hide, { signal: stop.signal })
  let timer
  const alive = () => {
    clearTimeout(timer)
    timer = setTimeout(() => stop.abort("silent"), silence)
  }
  try {
    alive()
    const response = await ask("/live", { signal: stop.signal })
    if (!response.ok) {
      onAway(response.status === 401 ? "locked" : "away")
      return
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    for (let rest = ""; ;) {
      const { done, value } = await reader.read()
      if (done) break
      alive()
      const pieces = (rest + value).split("\n\n")
      rest = pieces.pop()
      for (const piece of pieces) {
        const [, data] = /^data: (.*)$/m.exec(piece) ?? []
        if (data !== undefined) tell(onMessage, data)
      }
    }
    onAway("away")
  } catch {
    if (stop.signal.reason !== "hidden") onAway("away")
  } finally {
    clearTimeout(timer)
    stop.abort()
  }
}

export const readLive = async (handlers) => {
  for (;;) {
    await seen()
    await readOnce(handlers)
    await Promise.race([pause(retryAfter), new Promise((resolve) => (wake = resolve))])
  }
}
