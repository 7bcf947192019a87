/** The address book: how many are in which state over time, and the list, which can be searched. */
import { json, sentence } from "./asking.js"
import { $, drawing, element, say, set, text } from "./dom.js"
import { age, many, tablesLine } from "./format.js"
import { areaPath } from "./spark.js"

/** States by their columns in a sample. */
const states = [
  { column: 6, key: "responded", name: "responded", colour: "c1" },
  { column: 7, key: "neverAttempted", name: "heard of", colour: "c2" },
  { column: 8, key: "attemptPending", name: "being dialled", colour: "c3" },
  { column: 9, key: "failed", name: "failed", colour: "c4" }
]

const stateNames = {
  NeverAttempted: "heard of",
  AttemptPending: "being dialled",
  Responded: "responded",
  Failed: "failed"
}

const pageSize = 12
/** The list is asked for again when the book has changed, at most this often; and when one has stopped typing. */
const restMillis = 10_000
const typingMillis = 250

const ago = (seconds) => (seconds === null ? "–" : `${age(Date.now() / 1000 - seconds)} ago`)

const columns = [
  { title: "Address", of: ({ address }) => address },
  { title: "State", of: ({ inbound, state }) => `${stateNames[state] ?? state}${inbound ? ", came to us" : ""}` },
  { title: "Answered us", of: ({ lastResponse }) => ago(lastResponse) },
  { title: "Seen by others", of: ({ lastSeen }) => ago(lastSeen) },
  { title: "Agent", of: ({ userAgent }) => userAgent ?? "–", kind: "agent" },
  // Of a node whose book has them.
  { title: "Group", of: ({ group }) => group ?? "–", isIn: (entry) => entry.group !== undefined },
  { title: "Table", of: ({ table }) => String(table ?? "–"), isIn: (entry) => entry.table !== undefined },
  { title: "Anchor", of: ({ anchor }) => (anchor ? "yes" : ""), isIn: (entry) => entry.anchor !== undefined }
]

let shownCount = pageSize
let askedAt = -Infinity
let askedFor = 0
let isStale = true
let timer

const show = ({ anchors, entries, found, tables }, search) => {
  text("tables", tablesLine(tables, anchors))
  const [first] = entries
  const shown = columns.filter(({ isIn }) => isIn === undefined || (first !== undefined && isIn(first)))
  $("address-columns").replaceChildren(...shown.map(({ title }) => element("th", { scope: "col" }, title)))
  $("addresses").replaceChildren(
    ...entries.map((entry) =>
      element(
        "tr",
        { class: "row" },
        ...shown.map(({ kind, of, title }) =>
          element(
            "td",
            { class: kind, "data-title": title, title: kind === undefined ? undefined : of(entry) },
            of(entry)
          )
        )
      )
    )
  )
  const all = many(found, "address", "addresses")
  text(
    "found",
    found === 0
      ? search === ""
        ? "The book is empty."
        : "No address fits."
      : entries.length < found
        ? `The first ${entries.length} of ${all}${search === "" ? "" : " that fit"}, in the order they would be dialled.`
        : `${all}${search === "" ? "" : found === 1 ? " that fits" : " that fit"}, in the order they would be dialled.`
  )
  $("more").hidden = entries.length >= found || entries.length >= 1000
}

export const loadAddresses = async () => {
  const search = $("search").value.trim()
  const asked = ++askedFor
  askedAt = performance.now()
  isStale = false
  try {
    const query = new URLSearchParams({
      limit: String(Math.min(1000, shownCount)),
      ...(search === "" ? {} : { search })
    })
    const answer = await json(`/addresses?${query}`)
    if (asked !== askedFor) return
    $("found").classList.remove("bad")
    show(answer, search)
  } catch (error) {
    say($("found"), sentence(error), true)
  }
}

const chart = (state) => {
  const samples = state.minutes.length < 3 ? state.seconds : [...state.minutes, state.seconds.at(-1)]
  const most = Math.max(1, ...samples.map((sample) => states.reduce((sum, { column }) => sum + sample[column], 0)))
  let low = samples.map(() => 0)
  states.forEach(({ column }, n) => {
    const high = low.map((value, at) => value + samples[at][column])
    const isOne = samples.length === 1
    const both = (values) => (isOne ? [values[0], values[0]] : values)
    set($("book").children[n], { d: areaPath(both(low), both(high), { most: most * 1.05, height: 40 }) })
    low = high
  })
}

export const showBook = (state) => {
  chart(state)
  states.forEach(({ key, name }, n) => text($("key").children[n], `${state.book[key].toLocaleString("en")} ${name}`))
  set($("book"), {
    "aria-label": `Addresses by state over time; now ${states.map(({ key, name }) => `${state.book[key]} ${name}`).join(", ")}`
  })
}

/** The book has changed. */
export const refreshAddresses = (hasChanged) => {
  isStale ||= hasChanged
  if (isStale && performance.now() - askedAt > restMillis) void loadAddresses()
}

export const startAddresses = () => {
  for (const { colour } of states) {
    $("book").append(drawing("path", { class: colour }))
    $("key").append(element("span", { class: colour }))
  }
  $("search").oninput = () => {
    shownCount = pageSize
    clearTimeout(timer)
    timer = setTimeout(loadAddresses, typingMillis)
  }
  $("more").onclick = () => {
    shownCount += 100
    void loadAddresses()
  }
}
