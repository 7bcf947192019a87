/**
 * How each requirement of `requirements.md` is taken out of the source: for each of its tests, in their order, the edits after
 * which that test has to fail. Code is found by what it means, not by how it is laid out: `test/support/codePattern.ts` says
 * how to write it.
 */
import type { Edit } from "../support/sourceEdits.ts"

const edit = (file: string, find: string, replace = "", where?: { readonly within: string }): Edit => ({
  file: `src/${file}.ts`,
  find,
  replace,
  ...where
})

const noHandshakeLimit = [edit("peer/Handshake", "duration: policy.handshakeTimeout", "duration: Duration.hours(1)")]
const noDialLimit = [edit("network/Connector", "duration: policy.handshakeTimeout", "duration: Duration.hours(1)")]
const noCrawlLimit = [edit("network/Crawler", "duration: policy.crawlTimeout", "duration: Duration.hours(1)")]
const noRecheck = [edit("peer/Connection", "this.#options.host.mayAdvertise(this.info)", "Effect.succeed(true)")]
/** Handshakes in the accept loop itself. */
const oneHandshakeAtATime = [
  edit(
    "network/Listener",
    "(connection) => FiberSet.run(connections, connection, $OPTIONS)",
    "(connection) => connection"
  )
]
const ignoresNews = [edit("routing/BlockQueue", "this.#hasEverythingChanged = true")]
/** An advert counts whoever made it. */
const strangersCount = [
  edit("routing/BlockRouting", "advertisers.some((id) => isBusy(pools, id))", "advertised.size > 0")
]
const notWatchedForBlocks = [edit("network/PeerSet", "router.isWaitingFor(item.hash)", "false")]

export const removals: Record<string, ReadonlyArray<ReadonlyArray<Edit>>> = {
  S1: [[edit("network/InitialPeers", "yield* connector.takeTurn")]],
  S2: [
    [
      edit("network/InitialPeers", "Effect.delay(policy.reconnectDelay)", "Effect.delay(Duration.seconds(1))"),
      edit("network/InitialPeers", "now - attempted >= Duration.toMillis(policy.reconnectDelay)", "true")
    ]
  ],
  S3: [[edit("network/InitialPeers", "yield* Effect.yieldNow")]],
  S4: [
    [
      edit(
        "network/Listener",
        'yield* refuse(stream, scope, "banned"); return yield* Effect.yieldNow',
        'return yield* refuse(stream, scope, "banned")'
      ),
      edit(
        "network/Listener",
        "yield* Effect.sleep(policy.refuseInterval); return yield* Effect.yieldNow",
        "return yield* Effect.sleep(policy.refuseInterval)"
      ),
      edit(
        "network/Listener",
        "yield* Effect.sleep(policy.acceptInterval); yield* Effect.yieldNow",
        "yield* Effect.sleep(policy.acceptInterval)"
      ),
      edit("network/Listener", "Effect.forever(acceptOne)", "Effect.forever(acceptOne, { disableYield: true })")
    ]
  ],
  S5: [[edit("network/Crawler", "yield* Effect.yieldNow", "", { within: "loop" })]],
  S6: [[edit("chain/PeerSocketAddress", "NetAddress.toCanonical(address)", "address")]],
  S7: [
    [
      edit(
        "network/Listener",
        "yield* bans.isBanned(stream.remoteAddress)",
        "!trusted.has(ipOf(stream.remoteAddress)) && (yield* bans.isBanned(stream.remoteAddress))"
      )
    ]
  ],
  S8: [[edit("network/Listener", "Effect.sleep(policy.acceptInterval)", "Effect.sleep(policy.refuseInterval)")]],
  S9: [
    [
      edit("network/Listener", "const slot = yield* slots.reserve(kind)"),
      edit("network/Listener", "reports.welcome(peer, slot)", "reports.welcome(peer, yield* slots.reserve(kind))")
    ]
  ],
  S10: [
    [edit("network/Listener", "const reserved = $PLACES", "const reserved = 0")],
    [edit("network/Listener", "Math.max(0, inboundLimit(policy) - 1)", "inboundLimit(policy)")]
  ],
  S11: [[edit("network/InboundThrottle", "this.#expire(nowMillis)")]],
  S12: [[edit("addresses/Misbehavior", "Effect.sleep(policy.misbehaviorInterval)", "Effect.yieldNow")]],
  S13: [
    [edit("network/Crawler", "now < limiter.nextMillis", "false")],
    [
      edit(
        "network/Crawler",
        "if (yield* crawlOnce()) yield* peerSet.demand.offer",
        "yield* crawlOnce(); yield* peerSet.demand.offer"
      )
    ]
  ],
  S14: [
    [edit("network/Crawler", "yield* peerSet.demand.offer", "", { within: "dial" })],
    [
      edit("addresses/PeerAddress", "!isRecentlyUpdated(entry, now, policy)", "true"),
      edit("addresses/AddressBook", "now.monotonicMillis - entry.lastAttemptMillis <= delayMillis", "false")
    ]
  ],
  S15: [[edit("network/Connector", "nextMillis = turn + intervalMillis", "nextMillis = turn")]],
  S16: [
    [
      edit(
        "routing/ConnectedPeers",
        "const address = peer.transientAddress",
        "const { address } = peer.info.remote.addressFrom"
      )
    ]
  ],
  S17: [[edit("network/PeerSet", "connected.at(address) !== undefined", "false")]],
  S18: [[edit("network/PeerSet", "connected.inGroup(group).size >= policy.connectionsPerGroup", "false")]],
  S19: [[edit("routing/PeerChoice", "draw(candidates.size)", "0")]],
  S20: [[edit("routing/BlockRouting", "new Set([...missing, ...failed])", "new Set(failed)")]],
  S21: [[edit("routing/PeerChoice", "draw(candidates.size - i)", "0")]],
  S22: [[edit("network/PeerSet", "connected.size >= totalLimit(policy)", "false")]],
  S23: [[edit("routing/InventoryRegistry", "map.size <= limit", "true")]],
  S24: [[edit("routing/InventoryRegistry", "items.slice(0, policy.inventoryHashes)", "items")]],
  S25: [[edit("routing/InventoryRegistry", "nextRotation = now + rotationMillis", "nextRotation += rotationMillis")]],
  S26: [[edit("routing/InventoryRegistry", "current?.has(connection) !== true", "true")]],
  S27: [[edit("routing/InventoryRegistry", 'statuses.current(key, connection) === "missing"', "false")]],
  S28: [[edit("peer/ResponseMatcher", 'error.value._tag !== "NotFoundResponse"', "false")]],
  S29: [
    [
      edit(
        "network/ConnectionSlots",
        'if (place.state === "open") open[kind]--; else reserved[kind]--',
        'if (place.state === "open") open[kind]--'
      )
    ]
  ],
  S30: [noDialLimit],
  S31: [
    [edit("addresses/Gossip", "gossiped.lastSeenSeconds - excess", "gossiped.lastSeenSeconds")],
    [edit("addresses/Gossip", "oldest < excess", "false")]
  ],
  S32: [
    [
      edit(
        "network/Crawler",
        "limiter.nextMillis = ended + Duration.toMillis(policy.getaddrInterval)",
        "limiter.nextMillis = ended"
      )
    ],
    [
      edit(
        "peer/Connection",
        "AddressCache.take($KNOWN, $FRESH, addressesPerAnswer, $$$OTHERS)",
        "AddressCache.take($KNOWN, $FRESH, addressCacheCapacity, $$$OTHERS)"
      )
    ]
  ],
  S33: [[edit("network/PeerSet", "member.stalls < policy.stallThreshold", "true")]],
  S34: [
    [edit("network/PeerSet", "if (!isAcceptable(member)) return false")],
    [edit("network/PeerSet", "minimum <= before", "true")]
  ],
  S35: [[edit("routing/ConnectedPeers", "this.#sidecars.delete(id)")]],
  S36: [noRecheck],
  S37: [
    [edit("peer/Handshake", "nonces.delete(oldest)")],
    [edit("peer/Handshake", "nonces.has(theirs.nonce)", "nonces.delete(theirs.nonce)")]
  ],
  S38: [[edit("addresses/AddressBookFile", "addresses.toSorted($ORDER)", "addresses")]],
  S39: [
    [edit("peer/ConnectionMetrics", "knownVersions.includes(version)", "true")],
    [edit("chain/PeerSocketAddress", "show ? format(address) : redacted(address)", "format(address)")]
  ],
  S40: [[edit("routing/FindRotation", "this.#hand = place.after; return place.id", "return place.id")]],
  S41: [[edit("routing/FindQueue", "this.#waiting.size >= policy.findQueueCapacity", "false")]],
  S42: [
    [edit("routing/BlockRouting", "new Set([...missing, ...failed])", "new Set(missing)")],
    [edit("routing/BlockRouting", "[...advertised].filter((id) => !failed.has(id))", "[...advertised]")]
  ],
  S43: [strangersCount, strangersCount],
  S44: [
    [edit("routing/InventoryRegistry", "map.size <= limit", "true")],
    [
      edit(
        "routing/InventoryRegistry",
        "failures.refresh(key, connection, true)",
        "failures.set(key, connection, true)"
      )
    ]
  ],
  S45: [
    [edit("network/Network", "peerSet.remove(id)", "Effect.void")],
    [edit("network/PeerSet", "minimum <= before", "true")]
  ],
  S46: [[edit("network/PeerSet", "duration: policy.requestTimeout", "duration: Duration.hours(1)")]],
  S47: [noRecheck],
  S48: [
    [
      edit("peer/Connection", "this.#outbox.putAdvert(hash, advertQueueCapacity)", "this.#outbox.putAdvert(hash, 1000)")
    ],
    [edit("network/BlockAdvertiser", "Semaphore.make(policy.advertsUnderWay)", "Semaphore.make(1000)")],
    [edit("network/BlockAdvertiser", "failed.push({ connection: peer.id, error })", "error")]
  ],
  S49: [
    [
      edit(
        "network/PeerSet",
        "const { id } = member.peer",
        "member = connected.get(connected.at(member.address!)!) ?? member; const { id } = member.peer",
        { within: "landed" }
      )
    ]
  ],
  S50: [
    [
      edit(
        "addresses/AddressRules",
        "NetAddress.isIpv4Address(address) ? NetAddress.formatIp(address) : $PREFIX",
        "NetAddress.formatIp(address)"
      )
    ]
  ],
  C1: [oneHandshakeAtATime],
  C2: [noHandshakeLimit, noDialLimit],
  C3: [[edit("network/Crawler", "FiberSet.run(actions, dialOrCrawl, $OPTIONS)", "dialOrCrawl")]],
  C4: [
    [
      edit("network/Crawler", "yield* connector.takeTurn"),
      edit(
        "network/Crawler",
        "yield* FiberSet.run(actions, dialOrCrawl, $OPTIONS)",
        "yield* connector.takeTurn; yield* FiberSet.run(actions, dialOrCrawl, $OPTIONS)"
      )
    ]
  ],
  C5: [
    [
      edit(
        "network/Crawler",
        "if (now >= nextTick) { $$$TICK } else if (peerSet.demand.takeUnsafe()) { $$$DIAL } else { $$$WAIT }",
        "if (peerSet.demand.takeUnsafe()) { $$$DIAL } else if (now >= nextTick) { $$$TICK } else { $$$WAIT }"
      )
    ]
  ],
  C6: [
    [
      edit("network/Crawler", 'const slot = yield* slots.reserve("outbound")'),
      edit(
        "network/Crawler",
        "dial(candidate.value.address, slot, outbound)",
        'dial(candidate.value.address, yield* slots.reserve("outbound"), outbound)'
      )
    ]
  ],
  C7: [[edit("network/Listener", "Effect.forever(acceptOne)", 'Effect.timeout(Effect.forever(acceptOne), "1 hour")')]],
  C8: [
    [
      edit(
        "network/Listener",
        "serve(stream, verdict).pipe($$$STEPS)",
        'serve(stream, verdict).pipe(Spans.within("accept_inbound_handshake"), $$$STEPS)'
      )
    ]
  ],
  C9: [
    ignoresNews,
    notWatchedForBlocks,
    notWatchedForBlocks,
    [edit("network/PeerSet", 'router.note({ _tag: "PeerReady" })')],
    [edit("routing/BlockQueue", "whenLate: () => this.#giveUpOn(entry)", "whenLate: () => undefined")],
    [edit("routing/RequestRouter", "this.#blocks.leave(call)")],
    [edit("routing/RequestRouter", "this.#asking.tell(call.waiter, Effect.fail(error))")]
  ],
  C10: [[edit("network/PeerSet", "watchReadiness(member)", "", { within: "admit" })]],
  C11: [[edit("network/Demand", "count >= capacity", "false")]],
  C12: [
    [
      edit("network/PeerSet", "drop(peer.id, error)", "drop(connected.at(address!) ?? peer.id, error)", {
        within: "admit"
      })
    ]
  ],
  C13: [[edit("network/ConnectionSlots", 'place.state === "open"', "place.state !== undefined")]],
  C14: [
    [
      edit(
        "addresses/AddressBook",
        "const takeCandidate = $STEP",
        `const takeCandidate = Effect.gen(function* () {
          const candidate = yield* read(firstCandidate)
          yield* Effect.yieldNow
          if (candidate === undefined) return Option.none()
          return yield* record({ _tag: "UpdateAttempt", address: candidate.address })
        })`
      )
    ]
  ],
  C15: [[edit("network/Crawler", "limiter.running = false")]],
  C16: [
    [
      edit(
        "network/Crawler",
        'Effect.as(Effect.logInfo("no peer answered the crawl in time"), false)',
        'Effect.fail("late")'
      )
    ],
    [edit("network/Crawler", "PeerSet.isClosed(error) ? Effect.fail(error) : $OTHERWISE", "$OTHERWISE")]
  ],
  C17: [noCrawlLimit],
  C18: [
    [
      edit(
        "addresses/AddressBook",
        "Effect.suspend(() => { const now = sample(); $$$STEP })",
        "((now) => Effect.suspend(() => { $$$STEP }))(sample())"
      )
    ]
  ],
  C19: [
    [
      edit(
        "network/PeerSet",
        "restore(next)",
        `Effect.tapError(restore(next), (error) =>
          Effect.forEach(error._tag === "NotFoundRegistry" ? [...connected.values()] : [], ({ peer }) =>
            registry.register(peer.id, "missing", error.hashes)
          )
        )`
      )
    ]
  ],
  C20: [
    [
      edit(
        "network/Listener",
        'Effect.catchTag("HandshakeError", $RECOVER)',
        'Effect.tapErrorTag("HandshakeError", $RECOVER)'
      )
    ],
    [edit("network/Crawler", "Effect.catch($RECOVER)", "Effect.tapError($RECOVER)", { within: "dial" })]
  ],
  C21: [[edit("network/InitialPeers", "const byPreference = $GROUPS", "const byPreference = shuffled")]],
  C22: [
    [
      edit(
        "network/PeerSet",
        "steps.later(() => run(effect))",
        "steps.later(() => run(Effect.andThen(book.entries, effect)))"
      )
    ]
  ],
  C23: [
    [
      edit(
        "peer/Connection",
        "for (const each of this.#outbox.end(failure)) this.#settle(each, failure)",
        "this.#outbox.end(failure)"
      )
    ]
  ],
  C24: [[edit("routing/Asking", "this.#send(request, member)", "this.#send(request, member).interruptUnsafe()")]],
  C25: [[edit("network/Network", "crawler.crawlOnce($FANOUT)", "Effect.forkChild(crawler.crawlOnce($FANOUT))")]],
  C26: [
    [edit("network/PeerSet", "onNone: () => false", "onNone: () => true")],
    [
      edit(
        "routing/StallTracker",
        'if (error === undefined) return "Nothing"',
        'if (error === undefined) return "Stalled"'
      )
    ]
  ],
  C27: [
    [
      edit(
        "routing/RequestRouter",
        "this.#finds.serve(); this.#blocks.serve()",
        "this.#blocks.serve(); this.#finds.serve()"
      )
    ],
    [edit("routing/BlockQueue", "if (this.#asking.ready === 0) this.#isDoorsTurn = true")]
  ],
  C28: [
    [
      edit(
        "peer/Connection",
        "const sinceMillis = this.#nowMillis()",
        "const sinceMillis = Number(asked.askedAtNanos) / 1_000_000"
      )
    ]
  ],
  C29: [[edit("network/PeerSet", "steps.run(() => undefined)", "", { within: "advertTargets" })]],
  C30: [[edit("network/PeerSet", "end(new NetworkClosed())", "undefined")]]
}
