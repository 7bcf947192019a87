/** A plot over time with its axes, which says the numbers of the run under the mouse, or chosen with the arrow keys. */
import { drawing, set, text } from "./dom.js"
import { day } from "./format.js"
import { scale, ticks } from "./plot-parts.js"

const margin = { left: 44, right: 10, top: 8, bottom: 22 }

/**
 * Draws into a box: `marks` makes the shapes from the scales, `words` says one run.
 * `least` below 0 makes room for what goes down.
 */
export const plot = (box, said, { label, least = 0, marks, most, runs, words }) => {
  const { clientHeight, clientWidth } = box
  const style = getComputedStyle(box)
  const width = clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight)
  const height = clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom)
  const up = ticks(most, least < 0 ? 2 : 5)
  const down = least < 0 ? ticks(-least, 2).map((value) => -value) : [0]
  const [top, bottom] = [up.at(-1), down.at(-1)]
  const times = runs.map(({ startedAt }) => startedAt)
  const x = scale(times[0], times.at(-1), margin.left + 4, width - margin.right - 4)
  const y = scale(bottom, top, height - margin.bottom, margin.top)
  const svg = drawing("svg", { role: "img", tabindex: 0, viewBox: `0 0 ${width} ${height}`, "aria-label": label })
  for (const value of new Set([...up, ...down])) {
    svg.append(
      drawing("line", { class: "axis", x1: margin.left, x2: width - margin.right, y1: y(value), y2: y(value) })
    )
    const name = drawing("text", { x: margin.left - 6, y: y(value) + 4, "text-anchor": "end" })
    name.textContent = Math.abs(value).toLocaleString("en")
    svg.append(name)
  }
  const places = width < 420 ? [0, runs.length - 1] : [0, Math.floor((runs.length - 1) / 2), runs.length - 1]
  for (const n of new Set(places)) {
    const anchor = runs.length === 1 ? "middle" : n === 0 ? "start" : n === runs.length - 1 ? "end" : "middle"
    const name = drawing("text", { x: x(times[n]), y: height - 5, "text-anchor": anchor })
    name.textContent = day(times[n] * 1000)
    svg.append(name)
  }
  svg.append(...marks(x, y))
  const now = drawing("line", { class: "now", y1: margin.top, y2: height - margin.bottom })
  svg.append(now)

  let chosen = runs.length - 1
  const choose = (n) => {
    chosen = Math.max(0, Math.min(runs.length - 1, n))
    set(now, { x1: x(times[chosen]), x2: x(times[chosen]) })
    text(said, `${day(times[chosen] * 1000)}: ${words(runs[chosen])}`)
  }
  svg.onpointermove = (event) => {
    const at = event.clientX - svg.getBoundingClientRect().left
    let nearest = 0
    times.forEach((time, n) => {
      if (Math.abs(x(time) - at) < Math.abs(x(times[nearest]) - at)) nearest = n
    })
    choose(nearest)
  }
  svg.onpointerleave = () => choose(runs.length - 1)
  svg.onkeydown = ({ key }) => {
    if (key === "ArrowLeft") choose(chosen - 1)
    if (key === "ArrowRight") choose(chosen + 1)
  }
  choose(chosen)
  const hadFocus = box.contains(document.activeElement)
  box.replaceChildren(svg)
  if (hadFocus) svg.focus()
}
