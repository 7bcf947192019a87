/** How numbers, times and reasons are said. Pure. */

/** @param {number} bytes */
export const size = (bytes) => {
  let rest = bytes
  for (const unit of ["B", "KB", "MB", "GB"]) {
    if (rest < 1000) return `${rest < 10 && unit !== "B" ? rest.toFixed(1) : Math.round(rest)} ${unit}`
    rest /= 1000
  }
  return `${rest.toFixed(1)} TB`
}

/** @param {number} seconds */
export const age = (seconds) =>
  seconds < 60
    ? `${Math.max(0, Math.round(seconds))} s`
    : seconds < 3600
      ? `${Math.floor(seconds / 60)} min`
      : seconds < 86_400
        ? `${Math.floor(seconds / 3600)} h`
        : `${Math.floor(seconds / 86_400)} d`

/** @param {number | null} millis */
export const ping = (millis) =>
  millis === null ? "–" : millis < 10 ? `${millis.toFixed(1)} ms` : `${Math.round(millis)} ms`

/** @param {number} n @param {string} one @param {string} more */
export const many = (n, one, more) => `${n.toLocaleString("en")} ${n === 1 ? one : more}`

/** @param {number} share In 0..1. */
export const percent = (share) => (share > 0 && share < 0.01 ? "<1 %" : `${Math.round(share * 100)} %`)

/** @param {number} millis Since the Unix epoch. */
export const clock = (millis) => new Date(millis).toLocaleTimeString([], { hour12: false })

/** @param {number} millis Since the Unix epoch. */
export const minute = (millis) =>
  new Date(millis).toLocaleTimeString([], { hour12: false, hour: "2-digit", minute: "2-digit" })

/** @param {number} millis Since the Unix epoch. */
export const day = (millis) =>
  new Date(millis).toLocaleString([], {
    hour12: false,
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit"
  })

/** A reason as one says it: `ConnectionClosed` is `connection closed`. @param {string} reason */
export const inWords = (reason) =>
  /^[A-Z][a-z]+(?:[A-Z][a-z]+)*$/.test(reason) ? reason.replace(/(?!^)([A-Z])/g, " $1").toLowerCase() : reason

/** Services of a `version` message that have a name. Source: zcashd src/protocol.h. */
const serviceNames = ["network", "getutxo", "bloom"]

/** @param {string} hex 16 hexadecimal digits. */
export const services = (hex) => {
  const bits = BigInt(`0x${hex}`)
  const names = serviceNames.filter((_, bit) => (bits >> BigInt(bit)) & 1n)
  const rest = bits & ~((1n << BigInt(serviceNames.length)) - 1n)
  return [...names, ...(rest === 0n ? [] : [`0x${rest.toString(16)}`])].join(", ") || "none"
}

/** How often each value is there. @template A @param {Iterable<A>} values @returns {Map<A, number>} */
export const counted = (values) => {
  const counts = new Map()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

/**
 * What a book with tables has in them; nothing of a book without.
 *
 * @param {{ new: number, tried: number, tested: number, groups: number } | undefined} tables
 * @param {ReadonlyArray<string>} anchors
 */
export const tablesLine = (tables, anchors) =>
  tables === undefined || tables.groups === 0
    ? ""
    : `Heard of ${tables.new}, met ${tables.tried}${tables.tested > 0 ? `, ${tables.tested} of them to be tested` : ""}, in ` +
      `${many(tables.groups, "part", "parts")} of the internet. ` +
      (anchors.length === 0 ? "Nobody is an anchor." : `Dialled first after a start: ${anchors.join(", ")}.`)
