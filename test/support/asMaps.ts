/** Maps of autonomous systems that a test writes, bit by bit. */

/** Bytes of these bits, the lowest of each byte first. */
export const program = (...parts: ReadonlyArray<string>) => {
  const bits = parts.join("").replaceAll(" ", "")
  const bytes = new Uint8Array(Math.ceil(bits.length / 8))
  for (let at = 0; at < bits.length; at++) if (bits[at] === "1") bytes[at >> 3]! |= 1 << (at & 7)
  return bytes
}

/** As the format writes numbers of the smallest class: the continuation bit 0, then the value. */
const digits = (value: number, size: number) => value.toString(2).padStart(size, "0")
export const answer = (system: number) => `0 0${digits(system - 1, 15)}`
export const fallback = (system: number) => `111 0${digits(system - 1, 15)}`
export const jump = (distance: number) => `10 0${digits(distance - 17, 5)}`
/** Eight bits, the largest class: seven continuation bits, and no eighth. */
export const match8 = (bits: string) => `110 1111111${bits}`

/** What stands before the bits of an IPv4 address. */
export const ipv4Prefix = [
  ...Array.from({ length: 10 }, () => match8("00000000")),
  match8("11111111"),
  match8("11111111")
].join("")
