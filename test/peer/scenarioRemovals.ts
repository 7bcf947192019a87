/** How the scenarios of one connection are taken out of the source. `test/support/removal.ts` says how it is written. */
import { edit, removed, type ScenarioRemoval } from "../support/removal.ts"

const machine = "peer/ConnectionMachine"
const matcher = "peer/ResponseMatcher"
const metrics = "peer/ConnectionMetrics"

export const removals: ReadonlyArray<ScenarioRemoval> = [
  // -- the connection
  ...removed(
    "peer/Connection",
    "peer 2, peer 4, peer 5, peer 6, peer 7, peer 8, peer 9",
    edit(machine, 'this.#actions.push({ _tag: "Close", error, failure })')
  ),
  ...removed(
    "peer/Connection",
    "peer 3",
    edit(machine, "return this.#respond(current, this.#takeAddresses(verdict.addresses))", "return")
  ),
  ...removed(
    "peer/Connection",
    "peer 10, peer 11",
    edit("peer/MessageStream", "TimeLimit.within($SENDING, this.#policy.requestTimeout, $LATE)", "$SENDING")
  ),
  ...removed("peer/Connection", "peer 12", edit(machine, "this.#now < waiting.deadlineNanos", "true")),
  ...removed("peer/Connection", "peer 14", edit(machine, "this.#options.random() < probability", "false")),
  ...removed(
    "peer/Connection",
    "peer 16",
    edit(matcher, "wanted.take(message.block.hash, message.block)", "wanted.take([...hashes][0]!, message.block)")
  ),
  ...removed(
    "peer/InboundMessages",
    "peer 61",
    edit("peer/InboundMessages", '{ _tag: "InventoryAvailable", items }', '{ _tag: "InventoryMissing", items }')
  ),
  ...removed(
    "peer/ResponseMatcher",
    "peer 65",
    edit(
      matcher,
      'if (message._tag !== "Pong") return unrelated; if (message.nonce !== nonce) return consumed',
      'if (message._tag !== "Pong") return unrelated'
    )
  ),
  ...removed(
    "peer/InboundMessages",
    "peer 66",
    edit("peer/InboundMessages", "Message.Pong({ nonce: message.nonce })", "Message.Pong({ nonce: 0n })")
  ),
  ...removed(
    "peer/InboundMessages",
    "peer 67",
    edit("peer/InboundMessages", "if (missing.length > 0) yield Message.NotFound({ items: blockItems(missing) })")
  ),
  ...removed(
    "peer/Connection",
    "peer 74, EX-16",
    edit(machine, 'request._tag === "Peers" && this.#addresses.length > 0', "false")
  ),
  ...removed(
    "peer/AddressCache",
    "peer 75",
    edit("peer/AddressCache", "cache.concat(fresh.slice(0, capacity - cache.length))", "cache.concat(fresh)")
  ),
  ...removed("peer/AddressCache", "peer 17", edit("peer/AddressCache", "Math.min(count, all.length)", "all.length")),
  ...removed(
    "peer/ResponseMatcher",
    "peer 76",
    edit(matcher, "return blockItems([...request.hashes].slice(0, limit))", "return []")
  ),
  ...removed(
    "peer/ResponseMatcher",
    "peer 32",
    edit(matcher, 'Option.isNone(error) || error.value._tag !== "NotFoundResponse"', "Option.isNone(error)")
  ),
  ...removed(
    "peer/ResponseMatcher",
    "peer 98",
    edit(matcher, "id !== undefined && pending.has(id)", "id !== undefined")
  ),
  ...removed("peer/PeerLoad", "peer 79", edit("peer/PeerLoad", "sampleNanos > estimate.answerNanos", "false")),
  ...removed(
    "peer/Connection",
    "peer 84",
    edit(
      matcher,
      'return answered({ _tag: "TransactionIds", ids })',
      'return ids.length === 0 ? unrelated : answered({ _tag: "TransactionIds", ids })'
    )
  ),
  ...removed(
    "peer/Connection",
    "peer 85",
    edit(
      matcher,
      'return answered({ _tag: "BlockHashes", hashes, source })',
      'return answered({ _tag: "BlockHashes", hashes: [], source })'
    )
  ),
  ...removed("peer/Connection", "peer 86", edit("peer/InboundMessages", "response.hashes.length > 0", "true")),
  ...removed("peer/Connection", "peer 91", edit(matcher, "wanted.names(message.items)", "true", { within: "blocks" })),

  // -- adverts
  ...removed(
    "peer/Adverts",
    "peer 87",
    edit("peer/PeerMetrics", 'if (what.of === "requestCanceled") canceled.updateUnsafe(1, context)')
  ),
  ...removed(
    "peer/Adverts",
    "peer 88",
    edit(
      machine,
      "if (this.#adverts.length > 0) return this.#takeAdvert(); if (this.#waiting !== undefined) return this.#setAlarm(this.#waiting.deadlineNanos)",
      "if (this.#waiting !== undefined) return this.#setAlarm(this.#waiting.deadlineNanos); if (this.#adverts.length > 0) return this.#takeAdvert()"
    )
  ),
  ...removed(
    "peer/Adverts",
    "peer 99",
    edit(
      machine,
      "[...this.#adverts, { waiter: event.waiter, hash: event.hash, isCancelled: false }]",
      "[{ waiter: event.waiter, hash: event.hash, isCancelled: false }, ...this.#adverts]"
    )
  ),

  // -- the handshake
  ...removed(
    "peer/Handshake",
    "peer 33, peer 34",
    edit("peer/HandshakeMachine", "isSyncing && isOutbound && (theirs.services & NODE_NETWORK) === 0n", "false")
  ),
  ...removed(
    "peer/Handshake",
    "peer 35, peer 36",
    edit("peer/HandshakeMachine", "isSyncing && isOutbound", "isSyncing")
  ),
  ...removed("peer/Handshake", "peer 37", edit("peer/HandshakeMachine", "isSyncing && isOutbound", "isOutbound")),
  ...removed(
    "peer/Handshake",
    "peer 38",
    edit("peer/HandshakeMachine", "(theirs.services & NODE_NETWORK) === 0n", "true")
  ),
  ...removed("peer/Handshake", "peer 63", edit("peer/Handshake", "dropOldest(nonces, totalLimit(policy))")),
  ...removed(
    "peer/Handshake",
    "peer 68",
    edit(
      "peer/HandshakeMachine",
      "if (isOurNonce) return new RemoteNonceReuse(); if (theirs.version < minimumVersion) return $ERROR",
      "if (theirs.version < minimumVersion) return $ERROR; if (isOurNonce) return new RemoteNonceReuse()"
    )
  ),
  ...removed("peer/Handshake", "peer 77", edit(metrics, 'return versionOutcome("canceled")', "return")),
  ...removed("peer/Handshake", "peer 78", edit("peer/MessageStream", "this.#decoder.setMaxBodyBytes(maxBodyBytes)")),

  // -- heartbeats and ends
  ...removed("peer/Heartbeat", "peer 15", edit(matcher, "Duration.nanos(nowNanos - sentAtNanos)", "Duration.zero")),
  ...removed(
    "peer/Heartbeat",
    "peer 71",
    edit("peer/Heartbeat", "Duration.toNanosUnsafe(interval)", "Duration.toNanosUnsafe(interval) / 2n")
  ),
  ...removed(
    "peer/Readiness",
    "peer 18, peer 19, peer 20, peer 21",
    edit("peer/Connection", 'return this.#loop.machine.hasRoom ? "Ready" : "Busy"', 'return "Busy"')
  ),
  ...removed(
    "peer/Readiness",
    "peer 22, peer 23, peer 25, peer 26",
    edit("peer/Connection", 'if (this.#loop.machine.isClosed) return "Failed"')
  ),
  ...removed(
    "peer/WayOut",
    "peer 29, peer 31",
    edit(
      "peer/ConnectionLoop",
      "Exit.failCause(Cause.fromReasons<never>(cause.reasons.filter(Cause.isDieReason)))",
      "Exit.fail(new ConnectionTaskExited())"
    )
  ),
  // -- what others see
  ...removed(
    "peer/IsolatedPeer",
    "peer 45, peer 46",
    edit(
      "peer/Handshake",
      "Math.floor(nowSeconds / timestampGranularitySeconds) * timestampGranularitySeconds",
      "nowSeconds"
    )
  ),
  ...removed(
    "peer/Overload",
    "peer 13",
    edit("peer/Overload", "elapsed * elapsed * (most - least)", "elapsed * (most - least)")
  ),
  ...removed(
    "peer/ConnectedAddress",
    "peer 70",
    edit("peer/ConnectedAddress", "stated.port === 0 ? address.port : stated.port", "stated.port")
  ),
  ...removed("peer/ConnectionMetrics", "peer 49", edit(metrics, 'userAgent.startsWith("/Zebra:")', "false")),
  ...removed(
    "peer/ConnectionMetrics",
    "peer 50",
    edit(metrics, 'ECONNRESET: "connection_reset"', 'ECONNRESET: "io_error"')
  ),
  ...removed(
    "peer/ConnectionMetrics",
    "peer 51",
    edit(metrics, 'ECONNREFUSED: "connection_refused"', 'ECONNREFUSED: "io_error"')
  ),
  ...removed(
    "peer/ConnectionMetrics",
    "peer 52",
    edit(metrics, 'direction === "outbound" ? "tcp_or_handshake" : "handshake"', '"handshake"')
  ),
  ...removed(
    "peer/ConnectionMetrics",
    "peer 53",
    edit(metrics, 'direction === "outbound" ? "tcp_or_handshake" : "handshake"', '"tcp_or_handshake"')
  ),
  ...removed(
    "peer/ConnectionMetrics",
    "peer 54",
    edit(
      metrics,
      'return { stage: "handshake", outcome: "timeout" }',
      'return { stage: "version", outcome: "timeout" }'
    )
  ),
  ...removed("peer/ConnectionMetrics", "peer 55", edit(metrics, 'return versionOutcome("canceled")', "return")),
  ...removed(
    "peer/PeerMetrics",
    "peer 80",
    edit("chain/PeerSocketAddress", "show ? format(address) : redacted(address)", "format(address)")
  ),
  ...removed(
    "peer/PeerMetrics",
    "peer 81",
    edit(
      "peer/ConnectionLoop",
      "PeerMetrics.connectionMoved(this.#activity, activity, this.#context)",
      "PeerMetrics.connectionMoved(undefined, activity, this.#context)"
    )
  ),

  // -- what attacked others
  ...removed("peer/Hostile", "advisory P2", edit("peer/InboundMessages", "if (found.length >= limit) break")),
  ...removed(
    "peer/Hostile",
    "advisory P3",
    edit("peer/InboundMessages", 'items.length === 1 && first?._tag === "Block"', 'first?._tag === "Block"')
  ),
  ...removed("peer/Hostile", "advisory P4", edit("peer/InboundMessages", "if (hashes.size > 0) return $ASKED")),
  ...removed(
    "peer/Hostile",
    "advisory P5",
    edit(matcher, "if (items.length >= limit) break", "", { within: "transactionItems" })
  ),
  ...removed(
    "peer/ResponseMatcher",
    "advisory P6",
    edit(matcher, "if (!pending.delete(id)) return undefined", "pending.delete(id)")
  ),
  ...removed(
    "peer/InboundMessages",
    "advisory P9",
    edit(
      "peer/InboundMessages",
      "const ignore: Meaning = $VALUE",
      'const ignore: Meaning = { _tag: "DuplicateHandshake" }'
    )
  ),
  ...removed(
    "peer/ConnectionMetrics",
    "advisory P10",
    edit(metrics, "knownVersions.includes(version) ? String(version) : $OTHER", "String(version)")
  ),
  ...removed(
    "peer/ResponseMatcher",
    "advisory P12",
    edit(matcher, "id !== undefined && pending.has(id)", "id !== undefined")
  ),
  ...removed(
    "peer/WayOut",
    "advisory P13, advisory N8",
    edit("peer/ConnectionLoop", "this.waiters.tellEnd(this.now())")
  ),
  ...removed(
    "peer/Adverts",
    "advisory P14",
    edit(machine, "this.#adverts.length < this.#options.limits.advertQueueCapacity", "true")
  ),
  ...removed(
    "peer/Handshake",
    "advisory N10",
    edit("peer/HandshakeMachine", "isSyncing && isOutbound && (theirs.services & NODE_NETWORK) === 0n", "false")
  ),
  ...removed(
    "peer/ResponseMatcher",
    "advisory N3",
    edit(
      matcher,
      "received.push({ _tag: $TAG, value, source: options.source })",
      "received.push({ _tag: $TAG, value, source: undefined })"
    )
  ),
  ...removed(
    "peer/ResponseMatcher",
    "advisory N4",
    edit(
      matcher,
      'return answered({ _tag: "BlockHashes", hashes, source })',
      'return answered({ _tag: "BlockHashes", hashes, source: undefined })'
    )
  ),

  // -- what an idle connection is
  ...removed(
    "peer/Connection",
    "peer 1",
    edit("peer/Connection", 'this.#loop.machine.hasRoom ? "Ready" : "Busy"', '"Busy"')
  ),
  ...removed(
    "peer/Readiness",
    "peer 24, peer 27, peer 28, peer 30",
    edit(
      "peer/Connection",
      "this.#loop.waiters.ending?.failure ?? this.#loop.waiters.awaitRoom($ROOM)",
      "this.#loop.waiters.awaitRoom($ROOM)"
    )
  ),
  ...removed(
    "peer/Connection",
    "peer 72",
    edit(machine, "this.#current = undefined; this.#waiting = undefined", "this.#current = undefined", {
      within: "#becomeIdle"
    }),
    edit(machine, "this.#now < waiting.deadlineNanos", "true")
  ),
  ...removed(
    "peer/Connection",
    "advisory P7",
    edit(
      "peer/InboundRequests",
      '{ _tag: "Failed", cause: error.value.cause }',
      '{ _tag: "Broken", cause: exit.cause }'
    )
  ),

  // -- adverts and ends
  ...removed(
    "peer/Adverts",
    "peer 89",
    edit(
      machine,
      "this.#receive(event.message)",
      "this.#receive(event.message); if (this.#adverts.length > 0) this.#takeAdvert()"
    )
  ),
  ...removed(
    "peer/Adverts",
    "peer 94",
    edit(
      machine,
      'this.#phase = "Permitting"; this.#actions.push({ _tag: "Permit" })',
      'this.#settle(oldest.waiter, written); this.#phase = "Permitting"; this.#actions.push({ _tag: "Permit" })'
    ),
    edit(
      machine,
      "this.#adverts = [...this.#adverts, $ADVERT]",
      "this.#settle(event.waiter, written); this.#adverts = [...this.#adverts, $ADVERT]"
    )
  ),
  ...removed(
    "peer/WayOut",
    "peer 90, peer 100, advisory P1",
    edit(machine, "for (const { request, waiter } of open) { $$$SETTLE }"),
    edit("peer/ConnectionLoop", "this.waiters.tellEnd(this.now())")
  ),

  // -- the handshake
  ...removed(
    "peer/Handshake",
    "peer 39",
    edit("peer/HandshakeMachine", "isSyncing && isOutbound && (theirs.services & NODE_NETWORK) === 0n", "false")
  ),
  ...removed(
    "peer/Handshake",
    "peer 40, peer 41",
    edit("chain/ProtocolVersion", "versions[chain.kind][upgrade]", "versions[chain.kind].Genesis")
  ),
  ...removed(
    "peer/Handshake",
    "peer 101",
    edit(
      "chain/ChainTip",
      "nowSeconds - tip.value.blockTimeSeconds <= Duration.toSeconds(nearTipAge)",
      "nowSeconds - tip.value.blockTimeSeconds < Duration.toSeconds(nearTipAge)"
    )
  ),

  // -- what others see
  ...removed(
    "peer/PeerMetrics",
    "peer 82",
    edit(
      "peer/ConnectionLoop",
      "PeerMetrics.streamFailed[error.cause._tag].updateUnsafe(1, this.#context)",
      "for (const failed of Object.values(PeerMetrics.streamFailed)) failed.updateUnsafe(1, this.#context)"
    )
  ),
  ...removed(
    "peer/InboundMessages",
    "advisory P11",
    edit(
      "peer/InboundMessages",
      '{ _tag: "AdvertiseTransactionIds", ids, source }',
      '{ _tag: "AdvertiseTransactionIds", ids, source: undefined }'
    )
  ),
  ...removed(
    "peer/Hostile",
    "advisory N11",
    edit(matcher, "if (!pending.delete(id)) return undefined", "pending.delete(id)")
  )
]
