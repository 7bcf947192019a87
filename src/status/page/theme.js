/** Light or dark: as the system has it, until somebody chooses. */
import { $, remember, remembered } from "./dom.js"

const show = (name) => {
  document.documentElement.dataset.theme = name
  $("theme").textContent = name === "dark" ? "Light" : "Dark"
}

export const startTheme = () => {
  show(remembered("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"))
  $("theme").onclick = () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark"
    remember("theme", next)
    show(next)
  }
}
