/**
 * Source maps that say of which line a piece of code is, and nothing more: columns and names are nine tenths of a map, and stack
 * traces are read by line.
 */

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

/** The numbers of a segment of a source map. Source: ECMA-426, section on mappings: base64 VLQ. */
const numbersOf = (segment: string): ReadonlyArray<number> => {
  const numbers: Array<number> = []
  let [value, shift] = [0, 0]
  for (const digit of segment) {
    const bits = digits.indexOf(digit)
    value |= (bits & 31) << shift
    shift += 5
    if ((bits & 32) !== 0) continue
    numbers.push((value & 1) === 1 ? -(value >> 1) : value >> 1)
    ;[value, shift] = [0, 0]
  }
  return numbers
}

const textOf = (number: number): string => {
  let text = ""
  for (let left = number < 0 ? (-number << 1) | 1 : number << 1; ; left >>= 5) {
    if (left < 32) return text + digits[left]
    text += digits[(left & 31) | 32]
  }
}

interface SourceMap {
  readonly mappings: string
  readonly sources: ReadonlyArray<string>
}

/** The map of the sources that are told, by where their lines begin. Without what the sources say. */
export const byLine = (map: SourceMap, isTold: (source: string) => boolean) => {
  const sources = map.sources.filter(isTold)
  const indexes = map.sources.map((source) => sources.indexOf(source))
  let [source, line] = [0, 0]
  let [toldSource, toldLine] = [0, 0]
  const mappings = map.mappings.split(";").map((segments) => {
    let [column, toldColumn] = [0, 0]
    let last = ""
    const told: Array<string> = []
    for (const segment of segments.split(",")) {
      const [columns, ofSource = 0, ofLine = 0] = numbersOf(segment)
      if (columns === undefined) continue
      column += columns
      source += ofSource
      line += ofLine
      const index = segment.length > 1 ? (indexes[source] ?? -1) : -1
      // Where others' code begins, ours has ended.
      const place = index < 0 ? "" : `${index}:${line}`
      if (place === last) continue
      last = place
      told.push(
        textOf(column - toldColumn) +
          (index < 0 ? "" : textOf(index - toldSource) + textOf(line - toldLine) + textOf(0))
      )
      toldColumn = column
      if (index >= 0) [toldSource, toldLine] = [index, line]
    }
    return told.join(",")
  })
  return { version: 3, sources, names: [], mappings: mappings.join(";") }
}

/** The map of code whose lines are those of its one source. */
export const lineByLine = (source: string, lines: number) => ({
  version: 3,
  sources: [source],
  names: [],
  // Each line begins where the next one of the source does. Source: ECMA-426, section on mappings.
  mappings: ["AAAA", ...Array.from({ length: lines - 1 }, () => "AACA")].join(";")
})
