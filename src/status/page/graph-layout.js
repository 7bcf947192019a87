/** Where the node one looks at, its peers and all others are in the picture. Pure. */

/** The same name always in the same direction. @param {string} name */
const hash = (name) => {
  let value = 2_166_136_261
  for (let n = 0; n < name.length; n++) value = Math.imul(value ^ name.charCodeAt(n), 16_777_619)
  return value >>> 0
}

/** @param {ReadonlyArray<string>} keys */
const around = (keys) =>
  keys
    .map((key) => ({ key, order: hash(key) }))
    .sort((a, b) => a.order - b.order || (a.key < b.key ? -1 : 1))
    .map(({ key }, n) => ({ key, n, angle: (n / keys.length) * 2 * Math.PI - Math.PI / 2 }))

/** How far out each is, in 0..1: the quickest nearest, by orders of magnitude. @param {ReadonlyArray<number | null>} pings */
const nearness = (pings) => {
  const known = pings.flatMap((ping) => (ping === null ? [] : [Math.log(Math.max(0.01, ping))]))
  const least = Math.min(...known)
  const range = Math.max(...known) - least
  return (/** @type {number | null} */ ping) =>
    ping === null ? 1 : range < 0.7 ? 0.7 : (Math.log(Math.max(0.01, ping)) - least) / range
}

/**
 * The middle is the node one looks at. Its peers are around it, the quicker the nearer; whoever is no peer is on the rim.
 *
 * @param {{ peers: ReadonlyArray<{ key: string, ping: number | null }>, others: ReadonlyArray<string>, width: number, height: number }} picture
 * @returns {Map<string, { x: number, y: number, r: number, isAbove: boolean }>}
 */
export const place = ({ height, others, peers, width }) => {
  const [x, y] = [width / 2, height / 2]
  const [rx, ry] = [Math.min(width / 2 - 40, (height / 2 - 26) * 1.5), height / 2 - 26]
  const places = new Map()
  const outer = others.length === 0 ? 1 : 0.8
  const inner = peers.length > 40 ? 0.5 : 0.42
  const pings = new Map(peers.map(({ key, ping }) => [key, ping]))
  const near = nearness(peers.map(({ ping }) => ping))
  const size = peers.length > 80 ? 3.5 : peers.length > 30 ? 4.5 : 6
  for (const { angle, key } of around(peers.map(({ key }) => key))) {
    const out = (inner + near(pings.get(key) ?? null) * (1 - inner)) * outer
    places.set(key, {
      x: x + Math.cos(angle) * rx * out,
      y: y + Math.sin(angle) * ry * out,
      r: size,
      isAbove: Math.sin(angle) < 0
    })
  }
  for (const { angle, key, n } of around(others)) {
    // In two rows where one is too short.
    const out = others.length > 90 && n % 2 === 1 ? 0.93 : 1
    places.set(key, {
      x: x + Math.cos(angle) * rx * out,
      y: y + Math.sin(angle) * ry * out,
      r: others.length > 60 ? 3 : 4,
      isAbove: Math.sin(angle) < 0
    })
  }
  return places
}
