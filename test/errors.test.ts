/** Every error has a name of its own: whoever catches by tag catches one thing. */
import { readdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"

const src = new URL("../src/", import.meta.url)

/** The tags of every error class that a file of `src` exports, each class once. */
const errorTags = async (): Promise<ReadonlyArray<string>> => {
  const classes = new Set<{ readonly prototype: Error }>()
  for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".ts")) continue
    const module: Record<string, unknown> = await import(new URL(entry.name, `file://${entry.parentPath}/`).href)
    for (const value of Object.values(module)) {
      if (typeof value === "function" && value.prototype instanceof Error) {
        classes.add(value as unknown as { readonly prototype: Error })
      }
    }
  }
  return [...classes].map(({ prototype }) => prototype.name).toSorted()
}

describe("errors", () => {
  it("have tags that are unique over the whole program", async () => {
    const tags = await errorTags()
    assert.isAbove(tags.length, 40)
    for (const tag of [
      "RequestError",
      "NotFoundRegistry",
      "AdvertError",
      "PeerRefused",
      "Overloaded",
      "PeerOverloaded"
    ]) {
      assert.include(tags, tag)
    }
    assert.deepStrictEqual(
      tags.filter((tag, index) => tags[index + 1] === tag),
      []
    )
  })
})
