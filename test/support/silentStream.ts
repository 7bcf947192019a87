/** A stream on which nothing is ever said, and that takes all that is written to it. */
import { Effect } from "effect"
import type { PeerSocketAddress } from "../../src/chain/PeerSocketAddress.ts"
import type { ByteStream } from "../../src/transport/Transport.ts"

export const silentStream = (remoteAddress: PeerSocketAddress, localAddress: PeerSocketAddress): ByteStream => ({
  remoteAddress,
  localAddress,
  proxyAddress: undefined,
  read: Effect.never,
  write: () => Effect.void,
  bytesRead: () => 0,
  bytesWritten: () => 0
})
