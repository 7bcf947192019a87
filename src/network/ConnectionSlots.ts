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

/** `trusted`: inbound connections from addresses the operator vouches for, in reserved places. */
export type SlotKind = "outbound" | "inbound" | "trusted"

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
  /** Where it is: a trusted connection takes a public place when the reserved ones are taken. */
  readonly kind: SlotKind
  /** The handshake succeeded. Marking twice is marking once, marking a freed slot is nothing. */
  readonly markOpen: Effect.Effect<void>
}

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
     * Places there are: `outboundLimit`, and `inboundLimit` divided. Each trusted address has a reserved place as long as
     * one public place is left.
     */
    readonly limits: Readonly<Record<SlotKind, number>>
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
        trusted: trustedPlaces
      }
      const reserved: Record<SlotKind, number> = { outbound: 0, inbound: 0, trusted: 0 }
      const open: Record<SlotKind, number> = { outbound: 0, inbound: 0, trusted: 0 }
      const used = (kind: SlotKind) => reserved[kind] + open[kind]

      /** The place a connection of this kind would get. */
      const placeFor = (kind: SlotKind): SlotKind | undefined => {
        if (used(kind) < limits[kind]) return kind
        return kind === "trusted" ? placeFor("inbound") : undefined
      }

      const reserve = (kind: SlotKind) =>
        Effect.map(
          Effect.acquireRelease(
            Effect.suspend(() => {
              const place = placeFor(kind)
              if (place === undefined) return Effect.fail(new NoFreeSlot({ kind, limit: limits[kind] }))
              reserved[place]++
              return Effect.succeed({ kind: place, state: "reserved" as "reserved" | "open" | "free" })
            }),
            (place) =>
              Effect.sync(() => {
                if (place.state === "open") open[place.kind]--
                else reserved[place.kind]--
                place.state = "free"
              })
          ),
          (place): Slot => ({
            kind: place.kind,
            markOpen: Effect.sync(() => {
              if (place.state !== "reserved") return
              place.state = "open"
              reserved[place.kind]--
              open[place.kind]++
            })
          })
        )

      return ConnectionSlots.of({
        reserve,
        hasRoom: (kind) => placeFor(kind) !== undefined,
        used,
        open: (kind) => open[kind],
        limits
      })
    })
  )
}
