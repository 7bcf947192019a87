/** What a plot is made of: round numbers on its axes, positions, paths. Pure. */

/**
 * Round numbers from 0 to at least the greatest value, so many at most.
 * @param {number} most @param {number} count
 */
export const ticks = (most, count = 5) => {
  const rough = Math.max(1, most) / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough && step >= 1) ?? 10 * power
  const found = [0]
  while ((found.at(-1) ?? 0) < most) found.push((found.at(-1) ?? 0) + step)
  return found
}

/**
 * A scale from a range of values to one of pixels.
 * @param {number} from @param {number} to @param {number} start @param {number} end
 */
export const scale = (from, to, start, end) => (/** @type {number} */ value) =>
  to === from ? (start + end) / 2 : start + ((value - from) / (to - from)) * (end - start)

/**
 * A line through points, which breaks where there is no value.
 * @param {ReadonlyArray<readonly [number, number | null]>} points In pixels.
 */
export const path = (points) => {
  let made = ""
  let isDown = false
  for (const [x, y] of points) {
    if (y !== null) made += `${isDown ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`
    isDown = y !== null
  }
  return made
}

/**
 * The band between two lines, in one piece for each stretch where there are both.
 * @param {ReadonlyArray<readonly [x: number, low: number | null, high: number | null]>} points In pixels.
 */
export const band = (points) => {
  let made = ""
  /** @type {Array<readonly [number, number, number]>} */
  let piece = []
  const close = () => {
    if (piece.length > 0) {
      // One alone is as wide as one can see.
      const [first] = piece
      const all =
        piece.length === 1
          ? [
              [first[0] - 3, first[1], first[2]],
              [first[0] + 3, first[1], first[2]]
            ]
          : piece
      const above = all.map(([x, , high]) => `${x.toFixed(1)} ${high.toFixed(1)}`)
      const below = all.map(([x, low]) => `${x.toFixed(1)} ${low.toFixed(1)}`).reverse()
      made += `M${[...above, ...below].join("L")}Z`
    }
    piece = []
  }
  for (const [x, low, high] of points) {
    if (low === null || high === null) close()
    else piece.push([x, low, high])
  }
  close()
  return made
}
