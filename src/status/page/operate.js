/** Connecting, banning and lifting bans, with an answer at the form that asked. */
import { json, sentence } from "./asking.js"
import { $, arrange, button, element, say, text } from "./dom.js"
import { day } from "./format.js"
import { undoBan } from "./peers.js"

const rows = new Map()

const rowOf = (ban) => {
  const said = element("span", { class: "said bad", role: "alert", hidden: "" })
  const lift = button("Lift", { class: "button asks", "aria-label": `Lift the ban of ${ban.group}` }, async () => {
    try {
      await undoBan(ban.group)
    } catch (error) {
      say(said, sentence(error), true)
    }
  })
  return element(
    "li",
    { "data-group": ban.group },
    element("strong", {}, ban.group),
    element("span", { class: "why" }, ban.reason),
    element("span", { class: "until" }),
    lift,
    said
  )
}

export const showBans = ({ added, bans }) => {
  const groups = new Set(bans.map(({ group }) => group))
  for (const group of rows.keys()) if (!groups.has(group)) rows.delete(group)
  arrange(
    $("bans"),
    bans.map((ban) => {
      const row = rows.get(ban.group) ?? rowOf(ban)
      rows.set(ban.group, row)
      text(row.querySelector(".until"), `until ${day(ban.until * 1000)}`)
      return row
    })
  )
  $("no-bans").hidden = bans.length > 0
  $("added").hidden = added.length === 0
  text("added", `Kept connected: ${added.join(", ")}`)
}

/** A form whose answer stands in it. What was typed stays until it was taken. */
const answering = (id, tell) => {
  const said = $(id).querySelector(".said")
  // What the browser has against a field it says there, and what was said before is of another value.
  $(id).addEventListener("invalid", () => say(said, ""), true)
  $(id).onsubmit = async (event) => {
    event.preventDefault()
    say(said, "…")
    const send = $(id).querySelector("[type=submit]")
    send.disabled = true
    try {
      const answer = await tell(new FormData($(id)))
      $(id).reset()
      say(said, "")
      said.hidden = false
      said.append(...answer)
    } catch (error) {
      say(said, sentence(error), true)
    } finally {
      send.disabled = document.body.dataset.state === "away"
    }
  }
}

const connected = {
  onetry: (address) => `${address} is connected.`,
  add: (address) => `${address} is kept connected from now on.`,
  remove: (address) => `${address} is no longer kept connected.`
}

export const startOperating = () => {
  answering("connect", async (form) => {
    const [address, mode] = [form.get("address").trim(), form.get("mode")]
    await json("/connect", { method: "POST", body: { address, mode } })
    return [connected[mode](address)]
  })
  answering("ban", async (form) => {
    const { group, until } = await json("/bans", {
      method: "POST",
      body: {
        address: form.get("address").trim(),
        seconds: Math.round(Number(form.get("hours")) * 3600),
        reason: "banned on the status page"
      }
    })
    const said = $("ban").querySelector(".said")
    const undo = button("Undo", { class: "button asks", "aria-label": `Undo the ban of ${group}` }, async () => {
      try {
        say(said, await undoBan(group))
      } catch (error) {
        say(said, sentence(error), true)
      }
    })
    return [`${group} is banned until ${day(until * 1000)}. `, undo]
  })
}
