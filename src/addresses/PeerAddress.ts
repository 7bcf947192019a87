/**
 * What we know about one address, and how events change it.
 *
 * Pure. `AddressBook.ts` holds the entries; this module decides their fate.
 *
 * @module
 */
import type { Duration } from "effect"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"

export type State = "NeverAttempted" | "AttemptPending" | "Responded" | "Failed"

export interface PeerAddress {
  readonly address: PeerSocketAddress
  readonly state: State
  readonly services: bigint | undefined
  /** Seconds since the Unix epoch, as gossip claimed. */
  readonly untrustedLastSeenSeconds: number | undefined
  /** Seconds since the Unix epoch: our last proof of life. */
  readonly lastResponseSeconds: number | undefined
  readonly roundTrip: Duration.Duration | undefined
  /** Monotonic milliseconds, process-local. */
  readonly pingSentAtMillis: number | undefined
  readonly lastAttemptMillis: number | undefined
  readonly lastFailureMillis: number | undefined
  readonly isInbound: boolean
  readonly userAgent: string | undefined
  readonly negotiatedVersion: number | undefined
}

/** Something that happened to an address. Times are those at which the book applies it. */
export type AddressChange =
  | { readonly _tag: "NewInitial"; readonly address: PeerSocketAddress }
  | {
      readonly _tag: "NewGossiped"
      readonly address: PeerSocketAddress
      readonly services: bigint
      readonly lastSeenSeconds: number
    }
  | { readonly _tag: "UpdateAttempt"; readonly address: PeerSocketAddress }
  | {
      readonly _tag: "UpdateConnected"
      readonly address: PeerSocketAddress
      readonly services: bigint
      readonly isInbound: boolean
      readonly userAgent: string
      readonly negotiatedVersion: number
    }
  | { readonly _tag: "UpdatePingSent"; readonly address: PeerSocketAddress; readonly sentAtMillis: number }
  | {
      readonly _tag: "UpdateResponded"
      readonly address: PeerSocketAddress
      readonly roundTrip: Duration.Duration | undefined
    }
  | { readonly _tag: "UpdateFailed"; readonly address: PeerSocketAddress; readonly services: bigint | undefined }
