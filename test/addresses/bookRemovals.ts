/** How each requirement of `requirements.md` is taken out of the source. `test/support/removal.ts` says how it is written. */
import type { Edit } from "../support/sourceEdits.ts"
import { edit } from "../support/removal.ts"

const tables = "addresses/Tables"
const book = "addresses/HardenedBook"
const known = "addresses/KnownAddresses"
const places = "addresses/OutboundPlaces"
const queue = "addresses/DialQueue"
const pool = "addresses/DialPool"
const file = "addresses/BookFile"
const map = "addresses/AsMap"
const crawler = "network/Crawler"
const stale = "network/StaleTip"

const onePerPart = (limit: 1 | 2) => edit(places, "others < (spare > 0 ? 2 : 1)", `others < ${limit}`)
const noPlacesKept = [edit(places, "known > 0 && newcomers >= places - known", "false")]

export const removals: Record<string, ReadonlyArray<ReadonlyArray<Edit>>> = {
  B1: [
    [edit(tables, 'this.#draw(open, "of source", group, source)', 'this.#draw(buckets, "of source", group, source)')]
  ],
  B2: [[edit(tables, 'this.#draw(open, "of group", address)', 'this.#draw(buckets, "of group", address)')]],
  B3: [[edit(tables, "open: open / shrink", "open")]],
  B4: [
    [
      edit(
        known,
        "this.#rules.tables ? this.#tables.newBucket(standing.group, standing.source) : $OPEN",
        "this.#tables.newBucket(textOf(standing), textOf(standing))"
      )
    ]
  ],
  B5: [
    [edit(book, "source !== undefined && rules.sourceTokens && !tokens.take(source, now.monotonicMillis)", "false")]
  ],
  B6: [
    [
      edit(
        known,
        "if (this.#tests.size < this.#policy.testCapacity) { this.#tests.set(weakest, $TEST) }",
        "return this.#replace(weakest, standing)"
      )
    ]
  ],
  B7: [[edit(queue, "remembered?.latestMillis ?? Number.NEGATIVE_INFINITY", "Number.NEGATIVE_INFINITY")]],
  B8: [
    [
      edit(
        pool,
        "const group = this.#groups[Math.floor(random() * count)]",
        `const everybody = this.#groups.flatMap((group) => group.members.map(() => group))
        const group = everybody[Math.floor(random() * everybody.length)]`
      )
    ]
  ],
  B9: [[edit(pool, "random() < weight(item) * welcome", "true")]],
  B10: [
    [edit(queue, "this.#around.rules.failureWeight && failures > 0 ? $LONGER : this.#delayMillis", "this.#delayMillis")]
  ],
  B11: [[edit(queue, "rules.preferTried && random() < 0.5", "false")]],
  B12: [[onePerPart(1)], [onePerPart(2)]],
  B13: [noPlacesKept, noPlacesKept],
  B14: [
    [edit("network/InitialPeers", "[...anchors, ...others]", "[...others, ...anchors]")],
    [edit(places, "!chosen.has(standing.group)", "false")]
  ],
  B15: [[edit(file, "content?.groups === groups.digest", "true")]],
  B16: [
    [edit(file, "second !== `sha256 ${checksum(below)}`", "false")],
    [edit(file, "given !== String(version)", "false")],
    [edit(file, "value !== fileStem(chain)", "false")]
  ],
  B17: [
    [edit(map, "bytes.length > maxFileBytes", "false")],
    [edit(map, "distance > bits.length - bits.at", "false")],
    [edit(map, "left < length", "false")]
  ],
  B18: [[edit("addresses/AddressGroups", "system === undefined", "true")]],
  B19: [
    [edit(crawler, "turns.get(group) ?? -1", "-1")],
    [edit(crawler, "if (!chosen.has(group)) chosen.set(group, peer)", "chosen.set(String(peer.id), peer)")]
  ],
  B20: [[edit(crawler, 'concurrency: "unbounded"', "concurrency: 1")]],
  B21: [[edit(crawler, "others.slice(0, policy.believedOfNewcomers)", "others")]],
  B22: [
    [edit(book, "standing.isFeeler = key === feeling", "standing.isFeeler = false")],
    [edit("network/Feelers", 'slots.limits.outbound === 0 || slots.hasRoom("outbound")', "false")]
  ],
  B23: [
    [edit(stale, "Stream.changesWith(isSame)", "Stream.changesWith(() => false)")],
    [edit("network/Connector", 'why === "stale tip" ? why : "outbound"', '"outbound"')],
    [edit(stale, "yield* leave")],
    [edit(queue, "this.#around.places.used(group) === 0", "true")]
  ],
  B24: [
    [
      edit(
        queue,
        "this.#around.rules.failureWeight ? $CHANCE : 1",
        "((standing.entry?.untrustedLastSeenSeconds ?? 0) % 97) / 97"
      )
    ]
  ],
  B25: [
    [edit(places, "Math.max(0, this.#places - groups - this.#seconds)", "0")],
    [edit(places, "Math.max(0, this.#places - groups - this.#seconds)", "1")],
    [edit(places, "groups >= groupsForOneEach || !areMet", "groups >= groupsForOneEach")]
  ],
  B26: [
    [
      edit(
        "addresses/AddressRules",
        "const ipv4 = carriedIpv4(of.address)",
        "const ipv4 = undefined as Octets | undefined"
      )
    ]
  ],
  B27: [[edit(book, "Math.max(claimedSeconds, wallSeconds - oldestSeconds)", "claimedSeconds")]]
}
