/** How the scenarios of bytes and messages are taken out of the source. `test/support/removal.ts` says how it is written. */
import { edit, removed, rule, type ScenarioRemoval } from "../support/removal.ts"

const layout = "chain/TransactionLayout"

export const removals: ReadonlyArray<ScenarioRemoval> = [
  ...removed(
    "wire/Message",
    "wire W1, advisory W5, advisory W11",
    edit("bytes/Reader", "count <= this.end - this.position", "true")
  ),
  ...removed("wire/advisories", "advisory W1", edit("wire/Frame", "length > limit", "false")),
  ...removed(
    "wire/advisories",
    "advisory W2, NB-8",
    edit("wire/AddressMessages", "const maxAddresses = 1000", "const maxAddresses = 1001")
  ),
  ...removed(
    "wire/advisories",
    "advisory W3",
    edit("wire/DataMessages", "const maxHeaders = 160", "const maxHeaders = 161")
  ),
  ...removed(
    "wire/advisories",
    "advisory W4",
    edit("wire/DataMessages", "const maxLocatorHashes = 101", "const maxLocatorHashes = 102")
  ),
  ...removed(
    "wire/advisories",
    "advisory W6, advisory W7",
    edit(layout, 'if (upgrade === undefined) reader.refuse("unknown consensus branch id")')
  ),
  ...removed(
    "wire/Message",
    "wire W2",
    edit("bytes/Writer", "this.buffer.set(bytes, at)", "this.buffer.set(bytes.subarray(0, 1024), at)", {
      within: "bytes"
    })
  ),
  ...removed(
    "wire/Message",
    "wire W3",
    edit("bytes/Reader", 'if (this.failure !== undefined) return ""', "", { within: "text" }),
    edit("bytes/Reader", "count <= this.end - this.position", "true")
  ),
  ...removed(
    "wire/Hostile",
    "advisory W12",
    edit("wire/InventoryMessages", "const maxInventoryItems = 50_000", "const maxInventoryItems = 60_000")
  ),
  ...removed(
    "wire/advisories",
    "advisory W8",
    edit("wire/InventoryMessages", "const maxInventoryItems = 50_000", "const maxInventoryItems = 49_999")
  ),
  ...removed(
    "wire/advisories",
    "advisory W9",
    edit("wire/ControlMessages", "const maxFilterBytes = 36_000", "const maxFilterBytes = 36_001")
  ),
  ...removed(
    "wire/advisories",
    "advisory W10",
    edit("wire/HandshakeMessages", "const maxTimestamp = 8_210_266_876_799n", "const maxTimestamp = 9_210_266_876_799n")
  ),
  ...removed(
    "wire/advisories",
    "advisory W13",
    edit(layout, "walkSaplingBalance(reader, layout)", "", { within: "walkVersion4" })
  ),
  ...rule(
    "wire 1",
    "wire/Frame",
    "is refused for a wrong magic as soon as its first four bytes came, however they are cut",
    edit("wire/Frame", "header[at + i] !== this.#magic[i]", "false")
  ),
  ...rule(
    "wire 2",
    "wire/Frame",
    "takes a longer body as soon as it may, and not before",
    edit("wire/Frame", "this.#maxBodyBytes = maxBodyBytes", "", { within: "setMaxBodyBytes" })
  )
]
