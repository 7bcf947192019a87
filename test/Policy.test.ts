/** The numbers agree with each other. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { defaults, inboundLimit, outboundLimit, Policy, totalLimit } from "../src/Policy.ts"

const millis = (duration: Duration.Duration) => Duration.toMillis(duration)

describe("the default policy", () => {
  it("waits before a new dial as long as a live connection can be silent (peer 56 live_peer_duration, CO-1)", () => {
    assert.strictEqual(
      millis(defaults.reconnectDelay),
      millis(defaults.pingInterval) + 3 * millis(defaults.requestTimeout)
    )
  })

  it("gives up on a connection that is too busy for pings before its address may be dialled again", () => {
    assert.isAtMost(millis(defaults.pingInterval) + millis(defaults.pingTimeout), millis(defaults.reconnectDelay))
    // The peer's own time, once the ping is written, is the shorter one.
    assert.isAtMost(millis(defaults.requestTimeout), millis(defaults.pingTimeout))
  })

  it("has timeouts in order (peer 57 timeouts_consistent, CO-2)", () => {
    assert.isAtMost(millis(defaults.handshakeTimeout), millis(defaults.requestTimeout))
    assert.isAbove(millis(defaults.initialAnswerTime), millis(defaults.requestTimeout))
    assert.isAbove(millis(defaults.answerTimeDecay), millis(defaults.requestTimeout))
    const ratio = millis(defaults.reconnectDelay) / (defaults.addressBookCapacity * millis(defaults.dialInterval))
    assert.isAtLeast(ratio, 0.2)
    assert.isAtMost(ratio, 2)
  })

  it("tries addresses longer than it gossips them (peer 58 peer_age_limits_consistent, CO-3)", () => {
    assert.isAtMost(millis(defaults.gossipAge), millis(defaults.retryAge))
  })

  it("has a book larger than what a crawl can bring (peer 59 address_limits_consistent, CO-4)", () => {
    assert.isAtLeast(defaults.addressBookCapacity, defaults.crawlFanout * 1000)
    assert.isAtLeast(defaults.addressBookCapacity, defaults.crawlGroups * 1000)
    assert.isAbove(defaults.addressBookCapacity / 2, 1000)
    assert.isAtMost(defaults.addressBookCapacity, 5500)
  })

  it("forgets inventory before the next block of 75 s (peer 60 inventory_rotation_consistent, CO-5)", () => {
    assert.isBelow(millis(defaults.inventoryRotation), 75_000)
  })

  it("has a place for whoever shakes hands or is closed, at the pace of the listener", () => {
    const [handshake, close] = [millis(defaults.handshakeTimeout), millis(defaults.closeGrace)]
    assert.isAtLeast(defaults.handshakePlaces, (2 * (handshake + close)) / millis(defaults.acceptInterval))
    assert.isBelow(millis(defaults.evictionWindow), 60_000)
    assert.isAbove(millis(defaults.evictionWindow), 10 * millis(defaults.acceptInterval))
  })

  it("has a book of which a source and a network have a part, and that outlasts what an attacker can wait for", () => {
    assert.isAtLeast(defaults.groupsForOneEach, outboundLimit(defaults))
    assert.isAbove(defaults.sourceBurst, 6 * defaults.addressesPerAnswer)
    // What one tells at once has room in its part of the book.
    assert.isAtMost(defaults.sourceBurst, defaults.addressBookCapacity / 16)
    assert.isAtLeast(defaults.failureMemory, 4 * defaults.addressBookCapacity)
    assert.isAbove(millis(defaults.testTime), millis(defaults.reconnectDelay))
    assert.isBelow(millis(defaults.provenAge), millis(defaults.tenureAge))
    assert.isBelow(millis(defaults.longestRest), millis(defaults.tenureAge))
    assert.isAtMost(defaults.anchorCapacity * defaults.tenureShare, outboundLimit(defaults))
  })

  it("has the reference's connection limits", () => {
    assert.deepStrictEqual([outboundLimit(defaults), inboundLimit(defaults), totalLimit(defaults)], [75, 125, 200])
  })
})

describe("Policy.layer", () => {
  const minute = Duration.minutes(1)

  it.effect("changes the numbers it is given, and leaves the others as they are where it is provided", () =>
    Effect.gen(function* () {
      const inner = yield* Policy.pipe(Effect.provide(Policy.layer({ targetPeers: 2, pingTimeout: minute })))
      // Two layers add up, and the inner one wins.
      assert.deepStrictEqual(inner, { ...defaults, targetPeers: 2, pingTimeout: minute, crawlFanout: 7 })
      assert.deepStrictEqual(yield* Policy, { ...defaults, targetPeers: 9, crawlFanout: 7 })
    }).pipe(Effect.provide(Policy.layer({ targetPeers: 9, crawlFanout: 7 })))
  )

  it.effect("reaches what is built from it", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const service = Layer.effectDiscard(Effect.map(Policy, ({ targetPeers }) => seen.push(targetPeers)))
      yield* Layer.build(service.pipe(Layer.provide(Policy.layer({ targetPeers: 3 }))))
      assert.deepStrictEqual(seen, [3])
    }).pipe(Effect.scoped)
  )
})
