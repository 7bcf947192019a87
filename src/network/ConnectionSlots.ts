/**
 * How many connections there are, reserved by an attempt or open, and how many there may be.
 *
 * A slot is reserved before anything is dialled or shaken, so attempts count too, and it comes back with the scope it was
 * reserved in, whatever ended that. The limit is looked at in the same synchronous step: no caller can pass it, whatever it
 * saw before it waited.
 *
 * @module
 */
import { Context, Data, Effect, Layer, type Scope } from "effect"
import { inboundLimit, outboundLimit, Policy } from "../Policy.ts"
import { TrustedPeers } from "../routing/TrustedPeers.ts"

/**
 * `trusted`: inbound connections from addresses the operator vouches for, in reserved places. `handshake`: inbound ones that
 * come while every other place is taken, until their handshake is over; and those that had to go for them, until they are
 * closed. `stale tip`: an outbound one beside the others, while no block comes.
 */
export type SlotKind = "outbound" | "inbound" | "trusted" | "handshake" | "stale tip"

/** Every place of this kind is taken, open or reserved. Nothing was reserved. */
export class NoFreeSlot extends Data.TaggedError("NoFreeSlot")<{
  readonly kind: SlotKind
  readonly limit: number
}> {
  override get message(): string {
    return `every ${this.kind} slot is taken: there are ${this.limit}`
  }
}

/** One place, reserved until its scope closes. */
export interface Slot {
  /** Where it is now: a trusted connection takes a public place when the reserved ones are taken. */
  readonly kind: SlotKind
  /** The handshake succeeded. Marking twice is marking once, marking a freed slot is nothing. */
  readonly markOpen: Effect.Effect<void>
}

/** What a slot stands for. A class: there are thousands. */
class Place implements Slot {
  kind: SlotKind
  state: "reserved" | "open" | "free" = "reserved"
  readonly #change: Change

  constructor(kind: SlotKind, change: Change) {
    this.kind = kind
    this.#change = change
  }

  get markOpen(): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.state === "reserved") this.#change(this, { state: "open" })
    })
  }
}

/** Moves a place, and counts that. */
type Change = (place: Place, to: Partial<Pick<Place, "kind" | "state">>) => void

const none: Readonly<Record<SlotKind, number>> = { outbound: 0, inbound: 0, trusted: 0, handshake: 0, "stale tip": 0 }

/** How many connections there are, and are being made. The one place that knows how many there may be. */
export class ConnectionSlots extends Context.Service<
  ConnectionSlots,
  {
    /** Reserves a place at once, or fails; it is freed when the scope closes. Never waits. */
    readonly reserve: (kind: SlotKind) => Effect.Effect<Slot, NoFreeSlot, Scope.Scope>
    /** Whether `reserve` would succeed now. */
    readonly hasRoom: (kind: SlotKind) => boolean
    /** Reserved and open places of a kind. */
    readonly used: (kind: SlotKind) => number
    /** Open places of a kind. */
    readonly open: (kind: SlotKind) => number
    /**
     * Places there are: `outboundLimit`, `inboundLimit` divided, and `Policy.handshakePlaces` beside them where there are
     * inbound ones, and `Policy.staleTipPlaces` where there are outbound ones. Each trusted address has a reserved place as long as one public place is left.
     */
    readonly limits: Readonly<Record<SlotKind, number>>
    /** Moves a connection from a `handshake` place to a free `inbound` one. Whether there was one. */
    readonly settle: (slot: Slot) => boolean
    /**
     * Lets a connection in a `handshake` place change places with an `inbound` one that has to go, so that neither limit is
     * passed while that closes. Whether they were in such places.
     */
    readonly exchange: (newcomer: Slot, leaving: Slot) => boolean
  }
>()("network-effect/network/ConnectionSlots") {
  /** As many places as the policy and the trusted peers in force give. */
  static readonly layer: Layer.Layer<ConnectionSlots> = Layer.effect(
    ConnectionSlots,
    Effect.gen(function* () {
      const policy = yield* Policy
      const trustedPeers = yield* TrustedPeers
      const trustedPlaces = Math.min(trustedPeers.size, Math.max(0, inboundLimit(policy) - 1))
      const limits: Record<SlotKind, number> = {
        outbound: outboundLimit(policy),
        inbound: inboundLimit(policy) - trustedPlaces,
        trusted: trustedPlaces,
        handshake: inboundLimit(policy) === 0 ? 0 : policy.handshakePlaces,
        "stale tip": outboundLimit(policy) === 0 ? 0 : policy.staleTipPlaces
      }
      const reserved: Record<SlotKind, number> = { ...none }
      const open: Record<SlotKind, number> = { ...none }
      const used = (kind: SlotKind) => reserved[kind] + open[kind]

      /** The place a connection of this kind would get. */
      const placeFor = (kind: SlotKind): SlotKind | undefined => {
        if (used(kind) < limits[kind]) return kind
        return kind === "trusted" ? placeFor("inbound") : undefined
      }

      const count = ({ kind, state }: Place, change: 1 | -1) => {
        if (state === "open") open[kind] += change
        if (state === "reserved") reserved[kind] += change
      }
      const change: Change = (place, to) => {
        count(place, -1)
        Object.assign(place, to)
        count(place, 1)
      }

      const reserve = (kind: SlotKind): Effect.Effect<Slot, NoFreeSlot, Scope.Scope> =>
        Effect.acquireRelease(
          Effect.suspend(() => {
            const free = placeFor(kind)
            if (free === undefined) return Effect.fail(new NoFreeSlot({ kind, limit: limits[kind] }))
            const place = new Place(free, change)
            count(place, 1)
            return Effect.succeed(place)
          }),
          (place) => Effect.sync(() => change(place, { state: "free" }))
        )

      /** The place of a slot, if it is of this kind and not free. */
      const placeOf = (slot: Slot, kind: SlotKind): Place | undefined =>
        slot instanceof Place && slot.kind === kind && slot.state !== "free" ? slot : undefined

      const settle = (slot: Slot): boolean => {
        const place = placeOf(slot, "handshake")
        if (place === undefined || used("inbound") >= limits.inbound) return false
        change(place, { kind: "inbound" })
        return true
      }

      const exchange = (newcomer: Slot, leaving: Slot): boolean => {
        const from = placeOf(newcomer, "handshake")
        const to = placeOf(leaving, "inbound")
        if (from === undefined || to === undefined) return false
        change(from, { kind: "inbound" })
        change(to, { kind: "handshake" })
        return true
      }

      return ConnectionSlots.of({
        reserve,
        hasRoom: (kind) => placeFor(kind) !== undefined,
        used,
        open: (kind) => open[kind],
        limits,
        settle,
        exchange
      })
    })
  )
}
