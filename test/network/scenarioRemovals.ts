/**
 * How the scenarios of all peers are taken out of the source, as far as `requirements.md` does not have them. `test/support/removal.ts` says
 * how it is written.
 */
import { edit, removed, type ScenarioRemoval } from "../support/removal.ts"

const membership = "routing/Membership"
const queue = "routing/BlockQueue"
const router = "routing/RequestRouter"
const blocks = "routing/BlockRouting"
const finds = "routing/FindQueue"
const registry = "routing/InventoryRegistry"
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
    edit("addresses/AddressRules", 'of._tag === "InetAddressV4" ? $OCTETS : $PREFIX', "NetAddress.formatIp(of.address)")
  ),
  ...removed(
    "network/InboundThrottle",
    "NB-14",
    edit(
      "addresses/AddressRules",
      'of._tag === "InetAddressV4" ? $OCTETS : $PREFIX',
      'of._tag === "InetAddressV4" ? NetAddress.ipv4ToOctets(of.address).slice(0, 3).join(".") : $PREFIX'
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
  ...removed("routing/RequestRouter", "network 48, network 113, network 114", knowsNothing),
  ...removed(
    "routing/RequestRouter",
    "network 99",
    edit(finds, "!this.#isServingConnected", "true", { within: "route" })
  ),
  ...removed("routing/RequestRouter", "network 101", edit(finds, 'isAlone || patience === "late"', "isAlone")),
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
  // -- blocks and what waits
  ...removed(
    "routing/RequestRouter",
    "network 105",
    edit(
      router,
      "finds.serve(); blocks.serve(this.#outside.size > 0)",
      "blocks.serve(this.#outside.size > 0); finds.serve()"
    )
  ),
  ...removed("routing/RequestRouter", "network 106", edit(blocks, "if (serving.size > 0) return ask(serving)")),
  ...removed(
    "routing/RequestRouter",
    "network 112",
    edit(blocks, "if (others.size > 0) return ask(others)", "", { within: "routeBlock" })
  ),
  ...removed(
    "routing/RequestRouter",
    "network 117, network 118, network 119",
    edit(blocks, "if (readyLastResort.length > 0) return ask(PeerChoice.these(readyLastResort))"),
    edit(blocks, 'if (lastResort.some((id) => isBusy(pools, id))) return { _tag: "Wait", scope: "any" }')
  ),
  ...removed(
    "routing/RequestRouter",
    "network 121",
    edit(queue, "this.#isTurnOfOthers = false; this.#isSomeoneReady = true", "this.#isTurnOfOthers = false")
  ),
  ...removed(
    "routing/RequestRouter",
    "advisory N6, advisory N7",
    edit(queue, "new Set([...failed, ...exclude])", "failed")
  ),
  ...removed(
    "routing/RequestRouter",
    "advisory N9",
    edit(blocks, "[...advertised].filter((id) => !failed.has(id))", "[...advertised]")
  ),

  // -- what is known of hashes
  ...removed(
    "routing/InventoryRegistry",
    "network 62, network 63",
    edit(
      registry,
      '(status === "missing" ? missing : advertised).add(connection)',
      '(status === "missing" ? advertised : missing).add(connection)'
    )
  ),
  ...removed(
    "routing/InventoryRegistry",
    "network 67",
    edit(registry, "if (key === undefined) continue", "if (key === undefined) break")
  ),
  ...removed("routing/InventoryRegistry", "network 133", edit(registry, "failures.rotate()")),
  ...removed(
    "routing/InventoryRegistry",
    "network 136",
    edit(registry, "peers.delete(connection)", "", { within: "refresh" })
  ),

  // -- adverts and the peer set
  ...removed(
    "network/OutboundLimits",
    "network 15",
    edit("network/ConnectionSlots", "used(kind) < limits[kind]", "true")
  ),
  ...removed(
    "network/OutboundLimits",
    "network 17, network 20",
    edit("network/ConnectionSlots", 'change(place, { state: "free" })', "undefined")
  ),
  ...removed(
    "network/Crawler",
    "network 22, NB-6",
    edit("network/Dialer", "while (wanted-- > 0 && (yield* peerSet.demand.offer)) continue")
  )
]
