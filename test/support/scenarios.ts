/**
 * The acceptance list: scenarios that the titles of tests name, as "peer 12", "network 47", "wire W3", "CS-6" or "advisory P6".
 * `requirements.ts` says how each is taken out of the source.
 */

const numbered = (prefix: string, from: number, to: number, but: ReadonlyArray<number> = []): ReadonlyArray<string> =>
  Array.from({ length: to - from + 1 }, (_, i) => i + from)
    .filter((n) => !but.includes(n))
    .map((n) => `${prefix}${n}`)

/** Those that are required. What is left out belongs to parts that a node of ours does not have. */
export const scenarios: ReadonlyArray<string> = [
  numbered("peer ", 1, 101, [42, 47, 48, 83]),
  numbered("network ", 1, 142, [13, 44, 49, 50, 51, 52, 77, 87]),
  numbered("wire W", 1, 17),
  numbered("AB-", 1, 22),
  numbered("AB-P", 1, 3),
  numbered("MA-", 1, 15),
  numbered("MA-P", 1, 9),
  numbered("CS-", 1, 10),
  numbered("CS-P", 1, 3),
  numbered("UP-", 1, 3),
  numbered("CF-", 1, 22, [10, 17]),
  numbered("PR-", 1, 7),
  numbered("CO-", 1, 5),
  numbered("NB-", 1, 15, [2]),
  numbered("EX-", 1, 22),
  numbered("advisory W", 1, 13),
  numbered("advisory P", 1, 14),
  numbered("advisory A", 1, 9),
  numbered("advisory N", 1, 15)
].flat()

/** A list such as `1 and 2`, `26–28`, `W5 and W11`. */
const listed = (list: string): ReadonlyArray<string> =>
  [...list.matchAll(/([A-Z]?P?)(\d+)(?:(?:–| to )[A-Z]?(\d+))?/g)].flatMap(([, letters = "", from, to = from]) =>
    numbered(letters, Number(from), Number(to))
  )

const one = String.raw`[WPAN]?\d+(?:(?:–| to )[WPAN]?\d+)?`
const lists = new RegExp(String.raw`\b(peer|network|wire|advisory|advisories) (${one}(?:(?:, | and )${one})*)`, "g")
const ofAddresses = /\b((?:AB|MA|CS|UP|CF|PR|CO|NB|EX)-)(P?\d+(?:(?:–| to )(?:[A-Z]{2}-)?P?\d+)?)/g

/** The scenarios that a title names. */
export const scenariosIn = (title: string): ReadonlySet<string> =>
  new Set([
    ...[...title.matchAll(lists)].flatMap(([, kind = "", list = ""]) =>
      listed(list).map((id) => `${kind === "advisories" ? "advisory" : kind} ${id}`)
    ),
    ...[...title.matchAll(ofAddresses)].flatMap(([, prefix = "", list = ""]) =>
      listed(list.replaceAll(prefix, "")).map((id) => `${prefix}${id}`)
    )
  ])
