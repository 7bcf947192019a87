/**
 * A peer that has no connection: whoever makes it up says what becomes of requests.
 *
 * @module
 */
import { Effect } from "effect"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../chain/ProtocolVersion.ts"
import type { Peer } from "../peer/Peer.ts"
import { NODE_NETWORK } from "../wire/AddressCodec.ts"

/** What has to be said of it. */
export interface MadeUp extends Pick<Peer, "id" | "readiness" | "awaitReady" | "enqueueUnsafe" | "load"> {
  /** Where we dialled it. */
  readonly address: PeerSocketAddress.PeerSocketAddress
  /** Whether its `version` said `NODE_NETWORK`. */
  readonly serving: boolean
}

/** An outbound peer of our own version that never goes, is never held by anybody and says nothing by itself. */
export const madeUpPeer = ({ address, serving, ...said }: MadeUp): Peer => {
  const nowhere = { services: 0n, address: PeerSocketAddress.unspecified }
  return {
    ...said,
    info: {
      connectedAddress: { _tag: "OutboundDirect", address },
      remote: {
        _tag: "Version",
        version: ourProtocolVersion,
        services: serving ? NODE_NETWORK : 0n,
        timestamp: 0n,
        addressReceiver: nowhere,
        addressFrom: nowhere,
        nonce: 0n,
        userAgent: "",
        startHeight: 0,
        relay: true
      },
      negotiatedVersion: ourProtocolVersion
    },
    transientAddress: address,
    isInbound: false,
    request: () => Effect.die("nobody holds this peer"),
    advertiseBlock: () => Effect.void,
    awaitClosed: Effect.never,
    onClosed: () => undefined,
    ping: Effect.void,
    close: () => Effect.void,
    roundTrip: () => undefined,
    pingWait: () => undefined,
    connectedAtMillis: 0,
    bytesRead: () => 0,
    bytesWritten: () => 0,
    traffic: () => ({
      messagesReceived: new Map(),
      messagesSent: new Map(),
      lastReceivedMillis: undefined,
      lastSentMillis: undefined
    })
  }
}
