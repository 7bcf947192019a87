/** What `start` says of the addresses of peers, whatever happens. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { NetworkEvent } from "network-effect"
import { describe as inWords } from "../../src/cli/DevnetView.ts"
import { withoutIps } from "../../src/cli/start.ts"

/** Fields in which nothing of ours puts an address. */
const others = ["reason", "userAgent", "task"]

/** One event of each kind, with the IP of a peer in every text that may have one. */
const all = NetworkEvent.members.map((member) =>
  Schema.decodeUnknownSync(member)(
    Object.fromEntries(
      Object.entries(member.fields).map(([name, field]) => {
        const samples: ReadonlyArray<unknown> = [
          others.includes(name) ? "said" : "192.0.2.7:8233",
          1,
          [],
          // Literals.
          ...("literals" in field && Array.isArray(field.literals) ? field.literals : []),
          ...("schema" in field && Schema.isSchema(field.schema) && "literal" in field.schema
            ? [field.schema.literal]
            : [])
        ]
        return [name, samples.find(Schema.is(field))]
      })
    )
  )
)

describe("an event that start prints", () => {
  it("has no IP of a peer and no network, in JSON and in words, but our own address", () => {
    assert.strictEqual(all.filter((event) => JSON.stringify(event).includes("192.0.2.7")).length, 11)
    const shown = all.filter((event) => {
      const hidden = withoutIps(event)
      return `${JSON.stringify(hidden)} ${inWords(hidden)}`.includes("192.0")
    })
    assert.deepStrictEqual(
      shown.map(({ _tag }) => _tag),
      ["Listening"]
    )
  })
})
