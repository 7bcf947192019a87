import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { defaults } from "../../src/census/CensusPolicy.ts"
import { Frontier, type Visit } from "../../src/census/Frontier.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"

const at = PeerSocketAddress.fromStringUnsafe

/** An address in a group of its own. */
const apart = (n: number) => at(`${20 + Math.floor(n / 250)}.${n % 250}.0.1:8233`)

const take = (frontier: Frontier, now: number): Visit => {
  const visit = frontier.take(now)
  if (typeof visit !== "object") throw new Error(`nothing to dial: ${visit}`)
  return visit
}

const shown = (visit: Visit | number | undefined) =>
  typeof visit === "object" ? PeerSocketAddress.format(visit.address) : visit

describe("the frontier", () => {
  it("gives each host once, whatever ports are told while it is under way", () => {
    const frontier = new Frontier(defaults)
    frontier.add(at("192.0.2.1:8233"))
    assert.strictEqual(shown(frontier.take(0)), "192.0.2.1:8233")
    frontier.add(at("192.0.2.1:9999"))
    assert.isUndefined(frontier.take(5000))
  })

  it("takes addresses of one IPv6 /64 for one host", () => {
    const frontier = new Frontier(defaults)
    assert.isTrue(frontier.add(at("[2001:db8::1]:8233")))
    assert.isFalse(frontier.add(at("[2001:db8::2]:8233")))
    assert.isTrue(frontier.add(at("[2001:db8:0:1::2]:8233")))
  })

  it("tries three ports of a host that does not answer, and no fourth", () => {
    const frontier = new Frontier(defaults)
    for (const port of [1, 2, 3, 4, 5]) frontier.add(at(`192.0.2.1:${port}`))
    const dialled = [0, 1, 2].map((second) => {
      const visit = take(frontier, second * 1000)
      frontier.unreachable(visit)
      return visit.address.port
    })
    assert.deepStrictEqual(dialled, [1, 2, 3])
    frontier.add(at("192.0.2.1:6"))
    assert.isUndefined(frontier.take(10_000))
  })

  it("tries a port once, however often it is told of while it is dialled", () => {
    const frontier = new Frontier(defaults)
    frontier.add(at("192.0.2.1:1"), "a")
    const visit = take(frontier, 0)
    frontier.add(at("192.0.2.1:1"), "b")
    frontier.unreachable(visit)
    frontier.add(at("192.0.2.1:1"), "c")
    assert.isUndefined(frontier.take(10_000))
  })

  it("leaves a host that answered alone for half an hour, then asks it again where it answered", () => {
    const frontier = new Frontier(defaults)
    frontier.add(at("192.0.2.1:1"))
    frontier.add(at("192.0.2.1:2"))
    frontier.reached(take(frontier, 0), 100)
    assert.isUndefined(frontier.take(30 * 60_000 + 99))
    assert.strictEqual(shown(frontier.take(30 * 60_000 + 100)), "192.0.2.1:1")
  })

  it("dials one host a second of a group, and goes on with others meanwhile", () => {
    const frontier = new Frontier(defaults)
    frontier.add(at("192.0.2.1:8233"))
    frontier.add(at("192.0.99.2:8233"))
    frontier.add(at("198.51.100.1:8233"))
    assert.strictEqual(shown(frontier.take(0)), "192.0.2.1:8233")
    assert.strictEqual(shown(frontier.take(0)), "198.51.100.1:8233")
    assert.strictEqual(frontier.take(400), 600)
    assert.strictEqual(shown(frontier.take(1000)), "192.0.99.2:8233")
  })

  it("keeps a group's pace when its next host is told of while it rests", () => {
    const frontier = new Frontier(defaults)
    frontier.add(at("192.0.2.1:8233"))
    take(frontier, 0)
    frontier.add(at("192.0.2.2:8233"))
    assert.strictEqual(frontier.take(10), 990)
  })

  it("has no pace on loopback, where each port is a host", () => {
    const frontier = new Frontier(defaults)
    frontier.add(at("127.0.0.1:1"))
    frontier.add(at("127.0.0.1:2"))
    assert.deepStrictEqual([shown(frontier.take(0)), shown(frontier.take(0))], ["127.0.0.1:1", "127.0.0.1:2"])
  })

  it("believes a teller of whom nobody answers sixteen times, however many dials are under way", () => {
    const frontier = new Frontier(defaults)
    for (let n = 0; n < 1000; n++) frontier.add(apart(n), "liar")
    let dials = 0
    const visits: Array<Visit> = []
    for (let visit = frontier.take(0); typeof visit === "object"; visit = frontier.take(0)) {
      visits.push(visit)
      dials++
    }
    for (const visit of visits) frontier.unreachable(visit)
    assert.isUndefined(frontier.take(10_000))
    assert.strictEqual(dials, 16)
    assert.strictEqual(frontier.counts().doubtful, 984)
  })

  it("dials everybody an honest teller tells of, of whom two in five answer", () => {
    const frontier = new Frontier(defaults)
    for (let n = 0; n < 1000; n++) frontier.add(apart(n), "honest")
    let dials = 0
    for (let visit = frontier.take(0); typeof visit === "object"; visit = frontier.take(dials * 20)) {
      if (dials++ % 5 < 2) frontier.reached(visit, dials * 20)
      else frontier.unreachable(visit)
    }
    assert.strictEqual(dials, 1000)
  })

  it("dials a doubtful host when somebody else tells of it too", () => {
    const frontier = new Frontier({ ...defaults, credit: 1 })
    frontier.add(apart(1), "liar")
    frontier.unreachable(take(frontier, 0))
    frontier.add(apart(2), "liar")
    assert.isUndefined(frontier.take(5000))
    frontier.add(apart(2), "other")
    assert.strictEqual(shown(frontier.take(5000)), PeerSocketAddress.format(apart(2)))
  })

  it("believes a teller again who proves right", () => {
    const frontier = new Frontier({ ...defaults, credit: 1, creditPerHit: 2 })
    frontier.add(apart(1), "slow")
    frontier.add(apart(2), "slow")
    const first = take(frontier, 0)
    assert.isUndefined(frontier.take(0))
    frontier.reached(first, 10)
    assert.strictEqual(shown(frontier.take(10)), PeerSocketAddress.format(apart(2)))
  })

  it("keeps as many hosts as it may, and no more", () => {
    const frontier = new Frontier({ ...defaults, maxHosts: 3 })
    for (let n = 0; n < 10; n++) frontier.add(apart(n), "teller")
    assert.strictEqual(frontier.counts().known, 3)
  })

  it("makes room for hosts it may dial by forgetting those it may not", () => {
    const frontier = new Frontier({ ...defaults, credit: 1, maxHosts: 10 })
    for (let n = 0; n < 10; n++) frontier.add(apart(n), "liar")
    frontier.unreachable(take(frontier, 0))
    assert.isUndefined(frontier.take(0))
    assert.isTrue(frontier.add(apart(20), "honest"))
    assert.strictEqual(shown(frontier.take(0)), PeerSocketAddress.format(apart(20)))
    assert.deepStrictEqual([frontier.counts().known, frontier.counts().doubtful], [11, 9])
  })

  it("dials for a recheck those of earlier runs that were not dialled, and nobody else", () => {
    const frontier = new Frontier({ ...defaults, askAgain: Duration.zero })
    frontier.add(apart(1))
    frontier.add(apart(2))
    frontier.reached(take(frontier, 0), 0)
    // 2 waits; 3 was never told of.
    frontier.recheck([apart(1), apart(3)])
    const visit = take(frontier, 10_000)
    assert.deepStrictEqual([shown(visit), visit.how], [PeerSocketAddress.format(apart(3)), "Rechecked"])
    assert.isUndefined(frontier.take(20_000))
    assert.strictEqual(frontier.counts().waiting, 1)
  })

  it("dials for a recheck where the earlier run had found it, whatever was tried in this one", () => {
    const frontier = new Frontier(defaults)
    frontier.add(at("192.0.2.1:1"))
    frontier.add(at("192.0.2.1:2"))
    frontier.unreachable(take(frontier, 0))
    frontier.recheck([at("192.0.2.1:7")])
    assert.strictEqual(shown(frontier.take(5000)), "192.0.2.1:7")
  })
})
