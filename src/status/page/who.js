/** What the peers run: by agent and by version. */
import { $, arrange, element, set, text } from "./dom.js"
import { counted, percent } from "./format.js"

/** Rows of each; the rest is one. */
const rowsShown = 7

/** The most first. */
const ranked = (values) => [...counted(values)].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))

/** Bars of shares, the most first. A bar is a button where something can be done with it. */
export const showBars = (list, counts, onChoose) => {
  const all = counts.reduce((sum, [, count]) => sum + count, 0)
  const rest = counts.slice(rowsShown)
  const rows = [
    ...counts.slice(0, rowsShown).map(([name, count]) => ({ name, count, isOne: true })),
    ...(rest.length === 0
      ? []
      : [{ name: `${rest.length} others`, count: rest.reduce((sum, [, count]) => sum + count, 0), isOne: false }])
  ]
  const made = new Map([...list.children].map((row) => [row.dataset.name, row]))
  arrange(
    list,
    rows.map(({ count, isOne, name }) => {
      let row = made.get(name)
      if (row === undefined) {
        const isButton = isOne && onChoose !== undefined
        const what = element(
          isButton ? "button" : "span",
          isButton ? { class: "what link", type: "button", title: name } : { class: "what", title: name },
          name === "" ? "says nothing" : name
        )
        if (isButton) what.onclick = () => onChoose(name)
        row = element(
          "li",
          { "data-name": name },
          what,
          element("span", { class: "count" }),
          element("span", { class: "bar" }, element("i"))
        )
      }
      text(row.querySelector(".count"), `${count.toLocaleString("en")} · ${percent(all === 0 ? 0 : count / all)}`)
      row.querySelector("i").style.width = `${all === 0 ? 0 : (count / all) * 100}%`
      return row
    })
  )
  set(list, { "data-empty": rows.length === 0 })
}

export const showWho = (state, onChoose) => {
  const peers = [...state.peers.values()]
  showBars($("agents"), ranked(peers.map(({ agent }) => agent)), onChoose)
  showBars($("versions"), ranked(peers.map(({ version }) => String(version))), onChoose)
}
