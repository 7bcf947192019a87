/** The token of a server that has one: asked for, kept for this tab, and asked for again when it is not the right one. */
import { element, say } from "./dom.js"

/** What a header can carry, as the server has it too: `StatusAddress.isSayable`. */
const sayable = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/

/** What was given; `null` when nothing was. */
export const givenToken = () => sessionStorage.getItem("token")

let open = () => {}

/** Whoever asked with this token, or with none, was refused. One that was given meanwhile is not meant. */
export const refuse = (token) => {
  if (token === givenToken()) open(token !== null)
}

/** Makes the dialog; `what` it is that has a token. */
export const startLogin = (what, onToken) => {
  const said = element("p", { class: "said", role: "alert", hidden: "" })
  const token = element("input", { name: "token", required: "", autocomplete: "off", spellcheck: "false" })
  const form = element(
    "form",
    { id: "token" },
    element("label", {}, "Token", token),
    element("button", { class: "button", type: "submit" }, "Unlock"),
    said
  )
  const dialog = element(
    "dialog",
    { id: "login", "aria-labelledby": "login-title" },
    element("h2", { id: "login-title" }, `This ${what} has a token`),
    element("p", {}, "It is what NETWORK_EFFECT_STATUS_TOKEN was set to where it was started."),
    form
  )
  document.body.append(dialog)
  open = (isRefused) => {
    if (isRefused) {
      sessionStorage.removeItem("token")
      say(said, `This is not the token of this ${what}.`, true)
    }
    if (dialog.open) return
    dialog.showModal()
    token.select()
  }
  form.onsubmit = (event) => {
    event.preventDefault()
    if (!sayable.test(token.value)) {
      return say(said, "A token has printable ASCII characters, and no blank at an end.", true)
    }
    say(said, "")
    sessionStorage.setItem("token", token.value)
    dialog.close()
    onToken()
  }
}
