/**
 * Makes one document of a page's files, as they are, so that they can be read one by one and no tool has to build them.
 *
 *     node.html ─┬─ <link rel="stylesheet" href="base.css" />    its text, in place
 *                └─ <script type="module" src="node.js">         it and what it imports, each once and before who imports it
 *
 * A module becomes a function that is called once and returns what it exports. So it may import names from files beside it,
 * `import { a, b } from "./x.js"`, and export `const`, `function` and `class`; not in a circle, and nothing that is set later.
 *
 * @module
 */

/** A document; its styles and scripts are inline, and nothing else of it has to run. */
export interface PageDocument {
  readonly html: string
  readonly styles: ReadonlyArray<string>
  readonly scripts: ReadonlyArray<string>
}

const importLine = /^import (\{[^}]*\}) from "\.\/([\w-]+)\.js"$/gm
const exported = /^export (?:\w+ )?(?:const|function|class) ([\w$]+)/gm

/** What a module is called in the document; file names have no underscore. */
const variable = (name: string): string => `_${name.replaceAll("-", "_")}`

const asFunction = (name: string, text: string): string => {
  const names = [...text.matchAll(exported)].map(([, name]) => name)
  const body = text
    .replace(importLine, (_, names: string, from: string) => `const ${names} = ${variable(from)}`)
    .replace(/^export /gm, "")
    .trim()
  return `const ${variable(name)} = (() => {\n${body}\nreturn { ${names.join(", ")} }\n})()`
}

/** The modules in the order in which they can run, the one that was asked for last. */
const inOrder = (entry: string, read: (file: string) => string): ReadonlyArray<string> => {
  const done = new Set<string>()
  const visit = (name: string): ReadonlyArray<string> => {
    if (done.has(name)) return []
    done.add(name)
    const text = read(`${name}.js`)
    const before = [...text.matchAll(importLine)].flatMap(([, , imported = ""]) => visit(imported))
    return [...before, asFunction(name, text)]
  }
  return visit(entry)
}

/** The document of an HTML file; it and its neighbours are what `read` gives, which throws when there is no such file. */
export const assemble = (file: string, read: (file: string) => string): PageDocument => {
  const styles: Array<string> = []
  const scripts: Array<string> = []
  const html = read(file)
    .replace(/<link rel="stylesheet" href="([\w-]+\.css)" \/>/g, (_, name: string) => {
      const style = `\n${read(name)}`
      styles.push(style)
      return `<style>${style}</style>`
    })
    .replace(/<script type="module" src="([\w-]+)\.js"><\/script>/g, (_, name: string) => {
      const script = `\n${inOrder(name, read).join("\n\n")}\n`
      scripts.push(script)
      return `<script type="module">${script}</script>`
    })
  return { html, styles, scripts }
}
