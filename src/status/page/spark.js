/** Lines that say how a value went. Paths are pure; drawing sets them. */

/**
 * The path of a line through the values, which breaks where there is none. The box is 100 wide and `height` high.
 * @param {ReadonlyArray<number | null>} values
 * @param {{ most: number, height: number, least?: number, places?: number }} box `places`: how many values fit, else as many as there are.
 */
export const linePath = (values, { height, least = 0, most, places = values.length }) => {
  const range = Math.max(1e-9, most - least)
  const first = places - values.length
  let path = ""
  let isDown = false
  values.forEach((value, n) => {
    if (value === null) {
      isDown = false
      return
    }
    const x = places < 2 ? 100 : ((first + n) / (places - 1)) * 100
    const y = height - ((value - least) / range) * height
    path += `${isDown ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`
    isDown = true
  })
  return path
}

/**
 * The area between two rows of values, of the same length.
 * @param {ReadonlyArray<number>} low
 * @param {ReadonlyArray<number>} high
 * @param {{ most: number, height: number, least?: number, places?: number }} box
 */
export const areaPath = (low, high, box) => {
  if (high.length === 0) return ""
  const above = linePath(high, box).slice(1)
  const below = linePath(low, box).slice(1).split("L").reverse().join("L")
  return `M${above}L${below}Z`
}
