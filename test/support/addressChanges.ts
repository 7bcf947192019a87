/** Whatever may happen to an address, for property tests. */
import { Arbitrary, Duration, Schema } from "effect"
import type { AddressChange } from "../../src/addresses/PeerAddress.ts"
import type { PeerSocketAddress } from "../../src/chain/PeerSocketAddress.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"

export const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** Any change of one address. `seen` are the seconds that gossip claims. */
export const change = (
  address: PeerSocketAddress,
  seen: Arbitrary.Arbitrary<number> = int(0, 2_000_000)
): Arbitrary.Arbitrary<AddressChange> =>
  Arbitrary.map(Arbitrary.all([int(0, 6), int(0, 1), seen, int(0, 1)]), ([kind, services, seen, inbound]) => {
    const offered = services === 1 ? NODE_NETWORK : 0n
    const kinds: ReadonlyArray<AddressChange> = [
      { _tag: "NewInitial", address },
      { _tag: "NewGossiped", address, services: offered, lastSeenSeconds: seen },
      { _tag: "UpdateAttempt", address },
      {
        _tag: "UpdateConnected",
        address,
        services: offered,
        isInbound: inbound === 1,
        userAgent: "/x/",
        negotiatedVersion: 170_190
      },
      { _tag: "UpdatePingSent", address, sentAtMillis: seen },
      { _tag: "UpdateResponded", address, roundTrip: Duration.millis(seen % 1000) },
      { _tag: "UpdateFailed", address, services: services === 1 ? offered : undefined }
    ]
    return kinds[kind] ?? kinds[0]!
  })
