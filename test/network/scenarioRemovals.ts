/**
 * How the scenarios of all peers are taken out of the source, as far as `requirements.md` does not have them. `test/support/removal.ts` says
 * how it is written.
 */
import { edit, removed, rule, type ScenarioRemoval } from "../support/removal.ts"
import { blocksOfAllBut } from "./removals.ts"

const membership = "routing/Membership"
const queue = "routing/BlockQueue"
const router = "routing/RequestRouter"
const blocks = "routing/BlockRouting"
const finds = "routing/FindQueue"
const registry = "routing/InventoryRegistry"
const stalls = "routing/StallTracker"

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
  ...removed("routing/RequestRouter", "network 48, network 113, network 114", ...blocksOfAllBut("")),
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
      "finds.serve(); blocks.serve(this.#outside.size > 0); broadcasts.deliverOwed()",
      "if (this.#letIn()) continue; finds.serve(); blocks.serve(this.#outside.size > 0); broadcasts.deliverOwed()"
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
    edit(
      "routing/Conduct",
      "if (isFailedDelivery(landing)) recordFailure(member.id, hash)",
      "recordFailure(member.id, hash)"
    )
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
    edit("peer/InboundMessages", "if (isWanted(item)) found.push(item)", "if (!isWanted(item)) break; found.push(item)")
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
    edit("network/ConnectionSlots", "outbound: outboundLimit(policy)", "outbound: outboundLimit(policy) + 1"),
    edit("network/PeerSet", "Demand.make<NetworkEnd>(outboundLimit(policy))", "Demand.make<NetworkEnd>(9)")
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
  ),

  ...removed(
    "network/OutboundLimits",
    "network 18, NB-7",
    edit("network/ConnectionSlots", "outbound: outboundLimit(policy)", "outbound: outboundLimit(policy) + 1")
  ),
  ...removed(
    "network/OutboundLimits",
    "network 19",
    edit("network/Dialer", "isNetworkEnd(reason) ? $END : $ELSE", "Effect.fail(reason)")
  ),
  ...removed(
    "layers/Node",
    "network 7, network 8",
    edit("network/Network", "targetPeers < 1 ? $ERROR : Effect.void", "Effect.void")
  ),
  ...removed(
    "layers/Live",
    "network 9, network 10, network 11, network 12",
    edit("network/InitialPeers", "Effect.andThen(startUp, startOver)", "startUp")
  ),

  // -- whom a node tells of itself, and whom it dials first
  ...removed(
    "network/OwnAddress",
    "network 1, network 2, NB-12",
    edit(
      "transport/OwnAddress",
      "external ?? listening ?? PeerSocketAddress.unspecified",
      "external ?? PeerSocketAddress.unspecified"
    )
  ),
  ...removed(
    "network/OwnAddress",
    "network 4, network 5",
    edit("transport/OwnAddress", "isDialable ? Option.some(stated) : Option.none()", "Option.none()")
  ),
  ...removed(
    "network/InitialPeers",
    "network 14, NB-3",
    edit("network/InitialPeers", 'chain.kind === "regtest" ? [] : yield* cache.load', "[]")
  ),
  ...removed(
    "network/InitialPeers",
    "network 39, NB-5",
    edit(
      "network/InitialPeers",
      "yield* dialDue([], (more) => dials.length + more < policy.targetPeers)",
      "yield* dialDue([], () => true)"
    )
  ),
  ...removed(
    "layers/Node",
    "network 37, peer 62",
    edit("peer/HandshakeMachine", "if (isOurNonce) return new RemoteNonceReuse()")
  ),
  ...removed("layers/Node", "PR-7", edit("network/Listener", "unusual !== undefined", "false")),

  // -- peers that come and go
  ...removed("network/PeerSet", "network 40", edit(router, "dispatch.cancel(call)")),
  ...removed(
    "network/PeerSet",
    "network 41",
    edit(membership, "peer.onClosed((error) => steps.run(() => this.remove(peer.id, error)))"),
    edit(membership, "member.peer.readiness()", '"Ready"', { within: "usable" })
  ),
  ...removed("network/PeerSet", "network 45", edit("routing/ConnectedPeers", "group?.delete(id)")),
  ...removed(
    "network/PeerSet",
    "EX-21",
    edit(membership, "this.connected.inGroup(group).size >= this.#options.policy.connectionsPerGroup", "false")
  ),
  ...removed(
    "network/PeerAdmission",
    "EX-15",
    edit(
      "network/PeerAdmission",
      'connected._tag === "OutboundDirect" || connected._tag === "InboundDirect" ? connected.address : undefined',
      "ConnectedAddress.transientAddress(connected)"
    )
  ),
  ...removed("network/PeerSet", "network 53", edit("routing/Conduct", "$KIND && !member.trusted", "$KIND")),
  ...removed("network/PeerSet", "network 93", edit(stalls, 'outcome === "Answered" ? 0 : stalls', "stalls")),
  ...removed(
    "network/PeerSet",
    "network 94",
    edit(
      stalls,
      'exit.value._tag === "BlockHashes" || exit.value._tag === "BlockHeaders" ? "Answered" : "Nothing"',
      '"Stalled"'
    )
  ),
  ...removed(
    "network/PeerSet",
    "network 96",
    edit("routing/Conduct", "if (membership.connected.get(member.id) !== member) return"),
    edit(
      "routing/Conduct",
      "membership.remove(member.id)",
      "for (const { id } of membership.connected.values()) membership.remove(id)"
    )
  ),
  // Without it a request would look for somebody to ask for ever.
  ...rule(
    "routing 1",
    "network/PeerSet",
    "asks no connection that has just ended, though nobody said so yet, with 1 others",
    edit(membership, "this.remove(id); return undefined", "return undefined", { within: "usable" })
  ),
  // As if what is learnt of a peer outlived its connection.
  ...removed(
    "network/PeerSet",
    "network 132",
    edit(membership, "this.connected.add(member)", "member.stalls = 2; this.connected.add(member)")
  ),
  ...removed(
    "network/RealConnections",
    "peer 92",
    edit(
      membership,
      "Effect.timeoutOrElse(Effect.as(peer.awaitReady, true), $OPTIONS)",
      "Effect.as(peer.awaitReady, true)"
    )
  ),
  ...removed(
    "network/PeerSet",
    "network 139",
    edit("network/PeerSet", "routing.end(reason)"),
    edit("network/Crawler", "Effect.fail(error.reason)", "Effect.succeed(Option.none())", { within: "ask" })
  ),

  // -- adverts and broadcasts
  ...removed(
    "network/BlockAdvertiser",
    "network 54, network 60",
    edit("network/PeerSet", "[...connected.trusted, ...chosen]", "[...chosen]")
  ),
  ...removed(
    "network/PeerSet",
    "network 57, network 58, network 59",
    edit("routing/PeerChoice", "Math.ceil(count / share)", "Math.floor(count / share)")
  ),
  ...removed(
    "network/BlockAdvertiser",
    "network 79, network 80, network 81, network 82, network 83, network 84",
    edit(
      "network/PeerSet",
      "PeerChoice.among(PeerChoice.allPools(connected.pools), connected.trusted)",
      "PeerChoice.among(PeerChoice.readyPools(connected.pools))"
    ),
    edit("network/PeerSet", "[...connected.trusted, ...chosen]", "[...chosen]")
  ),
  ...removed(
    "network/BlockAdvertiser",
    "network 85",
    edit("network/BlockAdvertiser", "tasks.untilEnd", "(sending) => sending")
  ),
  ...removed(
    "network/BlockAdvertiser",
    "network 86",
    edit("network/BlockAdvertiser", "yield* peerSet.awaitPeers({ peers: 1 })")
  ),
  ...removed("network/BlockAdvertiser", "network 88", edit(membership, "if (refusal !== undefined) return refusal")),

  // -- who is asked
  ...removed("routing/RequestRouter", "network 43", edit(blocks, "if (serving.size > 0) return ask(serving)")),
  ...removed(
    "routing/RequestRouter",
    "network 97",
    edit(finds, "serving: readyServing.size > 0", "serving: readyServing.size > 0 && readyOther.size === 0"),
    edit(finds, "others: others && readyOther.size > 0", "others: readyOther.size > 0")
  ),
  ...removed(
    "routing/RequestRouter",
    "network 98",
    edit(finds, "!this.#isServingConnected", "false", { within: "route" }),
    edit(finds, "const isAlone = !this.#isServingConnected", "const isAlone = false")
  ),
  ...removed(
    "routing/RequestRouter",
    "advisory N12",
    edit(finds, "!this.#isServingConnected", "true", { within: "route" })
  ),
  ...removed(
    "routing/RequestRouter",
    "network 102",
    edit(finds, "this.#waiting.delete(call)", "", { within: "leave" }),
    edit(router, "call.isOver = true")
  ),
  ...removed(
    "routing/RequestRouter",
    "network 115",
    edit(
      blocks,
      'others.size > 0 ? ask(others) : { _tag: "Refuse" }',
      "ask(PeerChoice.among(PeerChoice.readyPools(pools)))"
    )
  ),
  ...removed(
    "routing/RequestRouter",
    "network 128",
    edit("routing/Conduct", "if (membership.connected.get(member.id) !== member) return"),
    edit("routing/ConnectedPeers", "this.id = peer.id", "this.id = peer.id === 3 ? 1 : peer.id")
  ),
  ...removed(
    "routing/InventoryRegistry",
    "network 61",
    edit(registry, "return undefined", 'return "nothing"', { within: "keyOf" }),
    edit(registry, "if (key !== undefined) { $$$LOOK }", "advertised.add(0); if (key !== undefined) { $$$LOOK }")
  ),

  // -- what is crawled
  ...removed(
    "network/Crawler",
    "CS-10",
    edit("addresses/Book", "start += policy.gossipChunk", "start += addresses.length")
  ),
  ...removed(
    "network/Crawler",
    "CS-P3",
    edit(
      "network/Connector",
      "nextMillis = (yield* Monotonic.millis) + intervalMillis",
      "nextMillis = Math.max(nextMillis, 0) + intervalMillis"
    )
  ),
  ...removed(
    "network/Crawler",
    "CS-P2",
    edit(
      "addresses/Book",
      "if (candidate === undefined) return Option.none()",
      "if (candidate === undefined) return Option.some(entries.get([...entries.values()][0]!.address)!)",
      { within: "take" }
    )
  )
]
