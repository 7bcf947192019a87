/**
 * Whose turn it is to be asked for hashes and headers.
 *
 * Pure. Connections stand in a ring in the order they joined, busy ones too. The first ready one is asked, and the ring
 * turns past it. There is one ring for peers that serve blocks and one for the others, who come into question only when
 * the caller says so.
 *
 * **Security**
 *
 * Neither load nor latency nor chance plays a part, so a peer that answers quickly with nothing gets no more requests
 * than any other.
 *
 * Source: Zebra peer_set/set.rs, find rotation.
 *
 * @module
 */
import type { ConnectionId } from "../peer/Request.ts"

export class FindRotation {
  readonly #serving = new Ring()
  readonly #others = new Ring()

  /** Joins last. A connection joins once. */
  join(id: ConnectionId, serving: boolean): void {
    const ring = serving ? this.#serving : this.#others
    ring.join(id)
  }

  leave(id: ConnectionId): void {
    this.#serving.leave(id)
    this.#others.leave(id)
  }

  /**
   * The next ready peer that serves, else the next ready one that does not; of those rings that are asked for. Costs one
   * step per peer passed over, so ask for a ring only if somebody in it is ready.
   */
  next(
    isReady: (id: ConnectionId) => boolean,
    rings: { readonly serving: boolean; readonly others: boolean }
  ): ConnectionId | undefined {
    return (
      (rings.serving ? this.#serving.next(isReady) : undefined) ??
      (rings.others ? this.#others.next(isReady) : undefined)
    )
  }
}

interface Place {
  readonly id: ConnectionId
  before: Place
  after: Place
}

/** A circle of places with a hand that points at whose turn it is. */
class Ring {
  readonly #places = new Map<ConnectionId, Place>()
  #hand: Place | undefined

  join(id: ConnectionId): void {
    const hand = this.#hand
    const place = { id } as Place
    // Last is just before the hand.
    place.after = hand ?? place
    place.before = hand?.before ?? place
    place.before.after = place
    place.after.before = place
    this.#hand = hand ?? place
    this.#places.set(id, place)
  }

  leave(id: ConnectionId): void {
    const place = this.#places.get(id)
    if (place === undefined) return
    this.#places.delete(id)
    place.before.after = place.after
    place.after.before = place.before
    if (this.#hand === place) this.#hand = place.after === place ? undefined : place.after
  }

  next(isReady: (id: ConnectionId) => boolean): ConnectionId | undefined {
    let place = this.#hand
    for (let steps = this.#places.size; place !== undefined && steps > 0; steps--, place = place.after) {
      if (!isReady(place.id)) continue
      this.#hand = place.after
      return place.id
    }
    return undefined
  }
}
