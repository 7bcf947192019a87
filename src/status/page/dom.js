/** Elements: found, made, and changed only where they differ. Whatever a peer said is text, and never markup. */

export const $ = (id) => document.getElementById(id)

export const text = (target, value) => {
  const where = typeof target === "string" ? $(target) : target
  if (where.textContent !== value) where.textContent = value
}

/** Attributes, where they differ; `undefined` takes one away. */
export const set = (target, attributes) => {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined) target.removeAttribute(key)
    else if (target.getAttribute(key) !== String(value)) target.setAttribute(key, value)
  }
}

export const element = (name, attributes = {}, ...content) => {
  const made = document.createElement(name)
  set(made, attributes)
  made.append(...content)
  return made
}

export const button = (title, attributes, onclick) => {
  const made = element("button", { type: "button", class: "button", ...attributes }, title)
  made.onclick = onclick
  return made
}

const svgNs = "http://www.w3.org/2000/svg"
export const drawing = (name, attributes = {}) => {
  const made = document.createElementNS(svgNs, name)
  set(made, attributes)
  return made
}

/** Children in this order, moving as few as possible: one that has the focus keeps it. */
export const arrange = (parent, children) => {
  const wanted = new Set(children)
  // A copy: removing changes the list itself.
  for (const child of Array.from(parent.children)) if (!wanted.has(child)) child.remove()
  const focused = document.activeElement
  children.forEach((child, n) => {
    if (parent.children[n] !== child) parent.insertBefore(child, parent.children[n] ?? null)
  })
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus()
}

/** Rows that are shown before one asks for all. */
const someRows = 10

/** The first rows of a list, and all of them once one has asked with the button `more-ID`. */
export const showSome = (id, rows) => {
  const more = $(`more-${id}`)
  const isOpen = more.dataset.open === "true"
  $(id).replaceChildren(...rows.slice(0, isOpen ? rows.length : someRows))
  more.hidden = isOpen || rows.length <= someRows
  more.textContent = `All ${rows.length}`
  more.onclick = () => {
    more.dataset.open = "true"
    showSome(id, rows)
  }
}

/** What is said beside what it is about, and goes again. */
export const say = (where, message, isBad = false) => {
  where.textContent = message
  where.hidden = message === ""
  where.classList.toggle("bad", isBad)
}

/** What is remembered in this browser; a browser that keeps nothing is as one that is new. */
export const remembered = (key) => {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}
export const remember = (key, value) => {
  try {
    localStorage.setItem(key, value)
  } catch {
    /* It is not kept. */
  }
}
