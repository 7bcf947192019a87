/**
 * Text of others in a terminal: what it may hold, and how wide it is. Pure.
 *
 * **Security**
 *
 * A peer chooses its user agent, a server its answers, a file its keys: any of them may hold what a terminal would obey, what
 * turns the words around it round, or what nobody sees. Whatever is not ours goes through `harmless` before it is printed.
 *
 * @module
 */

/**
 * What is shown as `?`: controls, what is not seen or joins and turns letters, half and unassigned letters, and every blank but
 * the usual one.
 *
 * Source: Unicode's general categories and `Default_Ignorable_Code_Point`; U+2800 is a Braille sign without a dot.
 */
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu

/** Marks above and below a letter beyond the two that any language needs: more of them reach into other lines. */
const heapedMarks = /(\p{M}{2})\p{M}+/gu

/** Without what moves a cursor, changes a colour, turns a text round or hides in it: each of those letters is a `?`. */
export const harmless = (text: string): string => text.replace(unseen, "?").replace(heapedMarks, "$1")

/** Letters of two columns: those of East Asia and pictures. Source: Unicode's EastAsianWidth.txt, classes W and F. */
const wide =
  /[\u1100-\u115f\u231a\u231b\u2329\u232a\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693\u26a1\u26aa\u26ab\u26bd\u26be\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728\u274c\u274e\u2753-\u2755\u2757\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18d08}\u{1aff0}-\u{1b2fb}\u{1f004}\u{1f0cf}\u{1f18e}\u{1f191}-\u{1f19a}\u{1f200}-\u{1f265}\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f7e0}-\u{1f7f0}\u{1f900}-\u{1faff}\u{20000}-\u{3fffd}]/u

const columnsOf = (letter: string): number => (/^\p{M}$/u.test(letter) ? 0 : wide.test(letter) ? 2 : 1)

/** Columns of a terminal that a text takes. It has no controls: `harmless` comes first. */
export const width = (text: string): number => {
  // Nearly always.
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let columns = 0
  for (const letter of text) columns += columnsOf(letter)
  return columns
}

/** The text in at most so many columns; one that is cut ends with `…`. */
export const fit = (text: string, columns: number): string => {
  if (width(text) <= columns) return text
  let [kept, used] = ["", 0]
  for (const letter of text) {
    used += columnsOf(letter)
    if (used > columns - 1) break
    kept += letter
  }
  return columns < 1 ? "" : `${kept}…`
}

/** With blanks behind it, or in front of it, until it has so many columns. */
export const padEnd = (text: string, columns: number): string => text + " ".repeat(Math.max(0, columns - width(text)))
export const padStart = (text: string, columns: number): string => " ".repeat(Math.max(0, columns - width(text))) + text

/** Words laid out in lines of at most so many columns; a word that is longer has a line of its own. */
export const wrap = (text: string, columns: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && width(line) + 1 + width(word) > columns) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line]
}
