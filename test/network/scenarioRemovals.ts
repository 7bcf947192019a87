/**
 * How the scenarios of all peers are taken out of the source, as far as `requirements.md` does not have them. `test/support/removal.ts` says
 * how it is written.
 */
import { edit, removed, type ScenarioRemoval } from "../support/removal.ts"

const membership = "routing/Membership"
const blocks = "routing/BlockRouting"
const finds = "routing/FindQueue"
const stalls = "routing/StallTracker"

/** Who is asked, whatever is known of it. */
const knowsNothing = edit(blocks, "new Set([...missing, ...failed])", "new Set()")

export const removals: ReadonlyArray<ScenarioRemoval> = [
  ...removed(
    "network/InboundThrottle",
    "network 68, NB-1",
    edit(
      "network/InboundThrottle",
      "atMillis > nowMillis - this.#windowMillis",
      "atMillis >= nowMillis - this.#windowMillis"
    )
  ),
  ...removed(
    "network/InboundThrottle",
    "NB-13",
    edit(
      "addresses/AddressRules",
      "NetAddress.isIpv4Address(address) ? NetAddress.formatIp(address) : $PREFIX",
      "NetAddress.formatIp(address)"
    )
  ),
  ...removed(
    "network/InboundThrottle",
    "NB-14",
    edit(
      "addresses/AddressRules",
      "NetAddress.isIpv4Address(address) ? NetAddress.formatIp(address) : $PREFIX",
      'NetAddress.isIpv4Address(address) ? NetAddress.ipv4ToOctets(address).slice(0, 3).join(".") : $PREFIX'
    )
  ),
  ...removed(
    "network/InboundThrottle",
    "NB-15",
    edit("chain/PeerSocketAddress", "NetAddress.toCanonical(address)", "address")
  ),
  ...removed("routing/StallTracker", "network 72, network 74, advisory N1", edit(stalls, "stalls + 1", "stalls")),
  ...removed("routing/StallTracker", "network 73", edit(stalls, 'outcome === "Answered" ? 0 : stalls', "stalls")),
  ...removed("network/Listener", "network 23, network 26", edit("network/Listener", "!slots.hasRoom(kind)", "false")),
  ...removed(
    "network/Listener",
    "network 28",
    edit("network/Listener", 'if (kind === "trusted" && slots.used("trusted") < slots.limits.trusted) return kind')
  ),
  ...removed(
    "network/Listener",
    "network 30, network 31",
    edit("chain/PeerSocketAddress", "NetAddress.toCanonical(address)", "address")
  ),
  ...removed(
    "network/Listener",
    "network 24, network 33, network 35",
    edit(
      "network/Listener",
      'return throttle.isPastLimitOrAdd(limitKey(address), nowMillis) ? "too-soon" : kind',
      "return kind"
    )
  ),
  ...removed(
    "network/Listener",
    "network 25, network 34",
    edit("network/ConnectionSlots", 'change(place, { state: "free" })', "undefined")
  ),
  ...removed(
    "routing/RequestRouter",
    "network 46, network 110, network 123",
    edit(blocks, "[...advertised].filter((id) => !failed.has(id))", "[]")
  ),
  ...removed("routing/RequestRouter", "network 48, network 113, network 114, network 115", knowsNothing),
  ...removed(
    "routing/RequestRouter",
    "network 97, network 99",
    edit(finds, "!this.#isServingConnected", "true", { within: "route" })
  ),
  ...removed(
    "routing/RequestRouter",
    "network 98",
    edit(finds, "!this.#isServingConnected", "false", { within: "route" })
  ),
  ...removed(
    "routing/RequestRouter",
    "network 101, advisory N12",
    edit(finds, 'isAlone || patience === "late"', "isAlone")
  ),
  ...removed(
    "routing/RequestRouter",
    "network 102",
    edit(finds, "this.#waiting.delete(call)", "", { within: "leave" })
  ),
  ...removed(
    "routing/RequestRouter",
    "network 103",
    edit(finds, 'isAlone || patience === "late"', 'patience === "late"')
  ),
  ...removed(
    "network/PeerSet",
    "network 131",
    edit(membership, "peer.info.remote.version < this.#minimumVersion", "false")
  ),
  ...removed(
    "network/PeerSet",
    "network 76",
    edit(membership, "this.#minimumVersion = minimumVersion(chain, heightOf(tipNow))")
  ),
  ...removed(
    "network/BlockAdvertiser",
    "network 90",
    edit(membership, "this.#removeWhere((member) => this.#isOutdated(member))")
  ),
  ...removed(
    "network/BlockAdvertiser",
    "network 88",
    edit(membership, "address !== undefined && this.connected.at(address) !== undefined", "false")
  )
]
