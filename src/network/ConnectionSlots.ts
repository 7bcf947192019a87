/**
 * How many connections there are: reserved by an attempt, or open.
 *
 * A slot is reserved before anything is dialled or shaken, so attempts count too, and it comes back with the scope it
 * was reserved in, whatever ended that. The limits themselves are the callers' to enforce: the listener and the dialler
 * look at `used` and reserve in one synchronous step.
 *
 * @module
 */
import { Context, Effect, Layer, type Scope } from "effect"

/** `trusted`: inbound connections from addresses the operator vouches for, in reserved places. */
export type SlotKind = "outbound" | "inbound" | "trusted"

/** One place, reserved until its scope closes. */
export interface Slot {
  readonly kind: SlotKind
  /** The handshake succeeded. Marking twice is marking once, marking a freed slot is nothing. */
  readonly markOpen: Effect.Effect<void>
}

/** How many connections there are, and are being made. */
export class ConnectionSlots extends Context.Service<
  ConnectionSlots,
  {
    /** Reserves a place at once; it is freed when the scope closes. */
    readonly reserve: (kind: SlotKind) => Effect.Effect<Slot, never, Scope.Scope>
    /** Reserved and open places of a kind. */
    readonly used: (kind: SlotKind) => number
    /** Open places of a kind. */
    readonly open: (kind: SlotKind) => number
  }
>()("network-effect/network/ConnectionSlots") {
  static readonly layer = Layer.sync(ConnectionSlots, () => {
    const reserved: Record<SlotKind, number> = { outbound: 0, inbound: 0, trusted: 0 }
    const open: Record<SlotKind, number> = { outbound: 0, inbound: 0, trusted: 0 }

    const reserve = (kind: SlotKind) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => {
            reserved[kind]++
            return { state: "reserved" as "reserved" | "open" | "free" }
          }),
          (place) =>
            Effect.sync(() => {
              if (place.state === "open") open[kind]--
              else reserved[kind]--
              place.state = "free"
            })
        ),
        (place): Slot => ({
          kind,
          markOpen: Effect.sync(() => {
            if (place.state !== "reserved") return
            place.state = "open"
            reserved[kind]--
            open[kind]++
          })
        })
      )

    return ConnectionSlots.of({
      reserve,
      used: (kind) => reserved[kind] + open[kind],
      open: (kind) => open[kind]
    })
  })
}
