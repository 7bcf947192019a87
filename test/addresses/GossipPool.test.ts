/** Whom others may hear of: what the pool holds against a plain list of it, whatever happens. */
import { assert, describe, it } from "@effect/vitest"
import { GossipPool, placeOf, type PooledEntry } from "../../src/addresses/GossipPool.ts"
import * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import { mainnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { address } from "../support/bookWorld.ts"

const halfHour = 1800
const now: PeerAddress.Now = { wallSeconds: 100 * halfHour, monotonicMillis: 0 }

/** An entry of this host that was seen then. */
const seen = (host: number, seconds: number, isInbound = false): PeerAddress.PeerAddress => ({
  ...PeerAddress.ownListener(address(`40.0.0.${host}:8233`), now),
  untrustedLastSeenSeconds: seconds,
  isInbound
})

/** What an answer of all of it tells, in the order of the hosts. */
const told = (pool: GossipPool) =>
  pool
    .draw(pool.size, () => 0.3)
    .map((one) => `${PeerSocketAddress.format(one.address)} ${one.lastSeenSeconds / halfHour}`)
    .toSorted()
    .join(" ")

describe("what others may hear of", () => {
  it("is each entry once, with its latest time rounded down, until it is too old or gone (20 stories)", () => {
    const draw = SeededRandom.draws(6, "gossip")
    for (let story = 0; story < 20; story++) {
      const pool = new GossipPool(mainnet)
      const items: ReadonlyArray<PooledEntry> = Array.from({ length: 8 }, (_, host) => placeOf(seen(host, 0)))
      /** Of each host that is there the half hour it is told with. */
      const model = new Map<number, number>()
      for (let step = 0; step < 40; step++) {
        const host = draw() % items.length
        const item = items[host]!
        switch (draw() % 5) {
          case 0: {
            assert.strictEqual(pool.remove(item), model.delete(host))
            break
          }
          case 1: {
            const oldest = (draw() % 6) * halfHour - (draw() % 2)
            pool.dropOlder(oldest)
            for (const [other, halfHours] of model) if (halfHours * halfHour < oldest) model.delete(other)
            break
          }
          default: {
            const seconds = draw() % (6 * halfHour)
            const isInbound = draw() % 5 === 0
            item.entry = seen(host, seconds, isInbound)
            pool.put(item)
            // Where somebody connected from nobody listens.
            if (isInbound) model.delete(host)
            else model.set(host, Math.floor(seconds / halfHour))
          }
        }
        assert.strictEqual(pool.size, model.size)
        const expected = Array.from(model, ([other, halfHours]) => `40.0.0.${other}:8233 ${halfHours}`)
        assert.strictEqual(told(pool), expected.toSorted().join(" "))
      }
    }
  })

  it("is drawn by chance: so many of them, each as often as any other, in any order", () => {
    const pool = new GossipPool(mainnet)
    for (let host = 0; host < 5; host++) pool.put(placeOf(seen(host, host)))
    const chance = SeededRandom.fractions(SeededRandom.draws(7, "gossip"))
    const often = new Map<string, number>()
    const rounds = 1000
    for (let round = 0; round < rounds; round++) {
      const drawn = pool.draw(2, chance).map(({ address }) => PeerSocketAddress.format(address))
      assert.lengthOf(new Set(drawn), 2)
      often.set(drawn.join(" "), (often.get(drawn.join(" ")) ?? 0) + 1)
    }
    // Twenty pairs, in either order.
    assert.strictEqual(often.size, 20)
    for (const [pair, times] of often) assert.closeTo(times, rounds / 20, 30, pair)
    for (const count of [0, 4, 5, 6, 1000]) assert.lengthOf(pool.draw(count, chance), Math.min(5, count))
    assert.isEmpty(new GossipPool(mainnet).draw(3, chance))
  })
})
