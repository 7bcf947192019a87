/**
 * How each requirement of `requirements.md` is taken out of the source: for each of its tests, in their order, the edits after
 * which that test has to fail. An edit replaces a text that occurs once in its file.
 */

export interface Edit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

const edit = (file: string, find: string, replace = ""): Edit => ({ file: `src/${file}.ts`, find, replace })

const noHandshakeLimit = [edit("peer/Handshake", "duration: policy.handshakeTimeout,", "duration: Duration.hours(1),")]
const noDialLimit = [edit("network/Connector", "duration: policy.handshakeTimeout,", "duration: Duration.hours(1),")]
const noCrawlLimit = [edit("network/Crawler", "duration: policy.crawlTimeout,", "duration: Duration.hours(1),")]
const noRecheck = [edit("peer/Connection", "this.#options.host.mayAdvertise(this.info)", "Effect.succeed(true)")]
/** Handshakes in the accept loop itself. */
const oneHandshakeAtATime = [
  edit(
    "network/Listener",
    "(connection) => FiberSet.run(connections, connection, { startImmediately: true })",
    "(connection) => connection"
  )
]
const ignoresNews = [edit("routing/BlockQueue", "this.#hasEverythingChanged = true", "")]
/** An advert counts whoever made it. */
const strangersCount = [
  edit(
    "routing/BlockRouting",
    "const known = advertisers.some((id) => isBusy(pools, id))",
    "const known = advertised.size > 0"
  )
]
const notWatchedForBlocks = [edit("network/PeerSet", "router.isWaitingFor(item.hash)", "false")]

export const removals: Record<string, ReadonlyArray<ReadonlyArray<Edit>>> = {
  S1: [[edit("network/InitialPeers", "yield* connector.takeTurn\n")]],
  S2: [
    [
      edit("network/InitialPeers", "Effect.delay(policy.reconnectDelay)", "Effect.delay(Duration.seconds(1))"),
      edit("network/InitialPeers", "if (now - attempted >= Duration.toMillis(policy.reconnectDelay)) due", "due")
    ]
  ],
  S3: [
    [
      edit(
        "network/InitialPeers",
        "// Remote peers must not keep everybody else waiting by answering all at once.\n          yield* Effect.yieldNow"
      )
    ]
  ],
  S4: [
    [
      edit(
        "network/Listener",
        'yield* refuse(stream, scope, "banned")\n        return yield* Effect.yieldNow',
        'return yield* refuse(stream, scope, "banned")'
      ),
      edit(
        "network/Listener",
        "yield* Effect.sleep(policy.refuseInterval)\n        return yield* Effect.yieldNow",
        "return yield* Effect.sleep(policy.refuseInterval)"
      ),
      edit(
        "network/Listener",
        "// A sleep alone does not guarantee that others run first.\n      yield* Effect.yieldNow"
      ),
      edit("network/Listener", "Effect.forever(acceptOne)", "Effect.forever(acceptOne, { disableYield: true })")
    ]
  ],
  S5: [
    [
      edit(
        "network/Crawler",
        "}\n          yield* Effect.yieldNow\n        }\n      })\n\n      const run",
        "}\n        }\n      })\n\n      const run"
      )
    ]
  ],
  S6: [[edit("chain/PeerSocketAddress", "NetAddress.toCanonical(address)", "address")]],
  S7: [
    [
      edit(
        "network/Listener",
        "if (yield* bans.isBanned(stream.remoteAddress))",
        "if (!trusted.has(stream.remoteAddress) && (yield* bans.isBanned(stream.remoteAddress)))"
      )
    ]
  ],
  S8: [[edit("network/Listener", "Effect.sleep(policy.acceptInterval)", "Effect.sleep(policy.refuseInterval)")]],
  S9: [
    [
      edit("network/Listener", "const slot = yield* slots.reserve(kind)\n"),
      edit(
        "network/Listener",
        "yield* reports.welcome(peer, slot)",
        "yield* reports.welcome(peer, yield* slots.reserve(kind))"
      )
    ]
  ],
  S10: [
    [edit("network/Listener", "Math.min(trusted.size, Math.max(0, inboundLimit(policy) - 1))", "0")],
    [edit("network/Listener", "Math.max(0, inboundLimit(policy) - 1)", "inboundLimit(policy)")]
  ],
  S11: [[edit("network/InboundThrottle", "this.#expire(nowMillis)\n")]],
  S12: [[edit("addresses/Misbehavior", "Effect.sleep(policy.misbehaviorInterval)", "Effect.yieldNow")]],
  S13: [
    [edit("network/Crawler", " || now < limiter.nextMillis")],
    [
      edit(
        "network/Crawler",
        "if (yield* crawlOnce()) yield* peerSet.demand.offer",
        "yield* crawlOnce()\n        yield* peerSet.demand.offer"
      )
    ]
  ],
  S14: [
    [
      edit("network/Crawler", "yield* peerSet.demand.offer\n              return Option.none()", "return Option.none()")
    ],
    [
      edit("addresses/PeerAddress", "!isRecentlyUpdated(entry, now, policy) &&"),
      edit("addresses/AddressBook", "now.monotonicMillis - entry.lastAttemptMillis <= delayMillis", "delayMillis < 0")
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
  S17: [[edit("network/PeerSet", "if (address !== undefined && connected.at(address) !== undefined) return false")]],
  S18: [[edit("network/PeerSet", ">= policy.connectionsPerGroup", "< 0")]],
  S19: [[edit("routing/PeerChoice", "const rank = draw(candidates.size)", "const rank = 0")]],
  S20: [
    [
      edit(
        "routing/BlockRouting",
        "const excluded = new Set([...missing, ...failed])",
        "const excluded = new Set(failed)"
      )
    ]
  ],
  S21: [[edit("routing/PeerChoice", "const pick = i + draw(candidates.size - i)", "const pick = i")]],
  S22: [[edit("network/PeerSet", "if (connected.size >= totalLimit(policy))", "if (connected.size < 0)")]],
  S23: [[edit("routing/InventoryRegistry", "if (map.size <= limit) return", "if (map.size >= 0) return")]],
  S24: [[edit("routing/InventoryRegistry", "items.slice(0, policy.inventoryHashes)", "items")]],
  S25: [[edit("routing/InventoryRegistry", "nextRotation = now + rotationMillis", "nextRotation += rotationMillis")]],
  S26: [
    [
      edit(
        "routing/InventoryRegistry",
        "if (current?.has(connection) !== true) visit(connection, value)",
        "visit(connection, value)"
      )
    ]
  ],
  S27: [
    [
      edit(
        "routing/InventoryRegistry",
        'if (status === "available" && statuses.current(key, connection) === "missing") continue'
      )
    ]
  ],
  S28: [[edit("peer/ResponseMatcher", '|| error.value._tag !== "NotFoundResponse"')]],
  S29: [[edit("network/ConnectionSlots", "else reserved[kind]--")]],
  S30: [noDialLimit],
  S31: [
    [
      edit(
        "addresses/Gossip",
        "lastSeenSeconds: gossiped.lastSeenSeconds - excess",
        "lastSeenSeconds: gossiped.lastSeenSeconds"
      )
    ],
    [edit("addresses/Gossip", "if (oldest < excess) return []")]
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
        "fresh, addressesPerAnswer, addressCacheCapacity",
        "fresh, addressCacheCapacity, addressCacheCapacity"
      )
    ]
  ],
  S33: [[edit("network/PeerSet", "if (member.stalls < policy.stallThreshold) return", "return")]],
  S34: [
    [edit("network/PeerSet", "if (!isAcceptable(member)) return false")],
    [edit("network/PeerSet", "if (minimum <= before) return", "return")]
  ],
  S35: [[edit("routing/ConnectedPeers", "this.#sidecars.delete(id)")]],
  S36: [noRecheck],
  S37: [
    [edit("peer/Handshake", "nonces.delete(oldest)")],
    [edit("peer/Handshake", "if (nonces.has(theirs.nonce))", "if (nonces.delete(theirs.nonce))")]
  ],
  S38: [
    [
      edit(
        "addresses/AddressBookFile",
        "addresses.toSorted((a, b) => (PeerSocketAddress.format(a) < PeerSocketAddress.format(b) ? -1 : 1))",
        "addresses"
      )
    ]
  ],
  S39: [
    [edit("peer/ConnectionMetrics", 'knownVersions.includes(version) ? String(version) : "other"', "String(version)")],
    [edit("chain/PeerSocketAddress", "show ? format(address) : redacted(address)", "format(address)")]
  ],
  S40: [[edit("routing/FindRotation", "this.#hand = place.after\n      return", "return")]],
  S41: [
    [
      edit(
        "routing/FindQueue",
        'if (this.#waiting.size >= policy.findQueueCapacity) return this.#askInTurn(call, "queue_full", true)'
      )
    ]
  ],
  S42: [
    [
      edit(
        "routing/BlockRouting",
        "const excluded = new Set([...missing, ...failed])",
        "const excluded = new Set(missing)"
      )
    ],
    [edit("routing/BlockRouting", "[...advertised].filter((id) => !failed.has(id))", "[...advertised]")]
  ],
  S43: [strangersCount, strangersCount],
  S44: [
    [edit("routing/InventoryRegistry", "if (map.size <= limit) return", "if (map.size >= 0) return")],
    [
      edit(
        "routing/InventoryRegistry",
        "failures.refresh(key, connection, true)",
        "failures.set(key, connection, true)"
      )
    ]
  ],
  S45: [
    [edit("network/Network", "yield* peerSet.remove(id)", "yield* Effect.void")],
    [edit("network/PeerSet", "if (minimum <= before) return", "return")]
  ],
  S46: [[edit("network/PeerSet", "duration: policy.requestTimeout,", "duration: Duration.hours(1),")]],
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
        "const { id } = member.peer\n    if (ended",
        "member = connected.get(connected.at(member.address!)!) ?? member\n    const { id } = member.peer\n    if (ended"
      )
    ]
  ],
  S50: [
    [
      edit(
        "addresses/AddressRules",
        "NetAddress.isIpv4Address(address) ? NetAddress.formatIp(address) : `${prefixOf(address, 4)}/64`",
        "NetAddress.formatIp(address)"
      )
    ]
  ],
  C1: [oneHandshakeAtATime],
  C2: [noHandshakeLimit, noDialLimit],
  C3: [
    [
      edit(
        "network/Crawler",
        "yield* FiberSet.run(actions, dialOrCrawl, { startImmediately: true })",
        "yield* dialOrCrawl"
      )
    ]
  ],
  C4: [
    [
      edit("network/Crawler", "            yield* connector.takeTurn\n"),
      edit(
        "network/Crawler",
        "yield* FiberSet.run(actions, dialOrCrawl,",
        "yield* connector.takeTurn\n              yield* FiberSet.run(actions, dialOrCrawl,"
      )
    ]
  ],
  C5: [
    [
      edit(
        "network/Crawler",
        "if (now >= nextTick) {",
        "const isWanted = peerSet.demand.takeUnsafe()\n          if (now >= nextTick && !isWanted) {"
      ),
      edit("network/Crawler", "} else if (peerSet.demand.takeUnsafe()) {", "} else if (isWanted) {")
    ]
  ],
  C6: [
    [
      edit("network/Crawler", 'const slot = yield* slots.reserve("outbound")\n'),
      edit(
        "network/Crawler",
        "return yield* dial(candidate.value.address, slot, outbound)",
        'return yield* dial(candidate.value.address, yield* slots.reserve("outbound"), outbound)'
      )
    ]
  ],
  C7: [
    [edit("network/Listener", "Effect.forever(acceptOne),", 'Effect.timeout(Effect.forever(acceptOne), "1 hour"),')]
  ],
  C8: [
    [
      edit(
        "network/Listener",
        "yield* serve(stream, verdict).pipe(",
        'yield* serve(stream, verdict).pipe(\n        Spans.within("accept_inbound_handshake"),'
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
  C10: [[edit("network/PeerSet", "watchReadiness(member)\n    router.note", "router.note")]],
  C11: [[edit("network/Demand", "if (closed || count >= capacity) return false", "if (closed) return false")]],
  C12: [
    [
      edit(
        "network/PeerSet",
        "Effect.map(peer.awaitClosed, (error) => steps.run(() => drop(peer.id, error)))",
        "Effect.map(peer.awaitClosed, (error) => steps.run(() => drop(connected.at(address!) ?? peer.id, error)))"
      )
    ]
  ],
  C13: [
    [
      edit(
        "network/ConnectionSlots",
        'if (place.state === "open") open[kind]--',
        "if (place.state !== undefined) open[kind]--"
      )
    ]
  ],
  C14: [
    [
      edit(
        "addresses/AddressBook",
        'const takeCandidate = step((now, changes): Option.Option<Entry> => {\n    const candidate = firstCandidate(now)\n    if (candidate === undefined) return Option.none()\n    return Option.fromUndefinedOr(apply({ _tag: "UpdateAttempt", address: candidate.address }, now, changes))\n  })',
        'const takeCandidate = Effect.gen(function* () {\n    const candidate = yield* read(firstCandidate)\n    yield* Effect.yieldNow\n    if (candidate === undefined) return Option.none()\n    return yield* record({ _tag: "UpdateAttempt", address: candidate.address })\n  })'
      )
    ]
  ],
  C15: [
    [
      edit(
        "network/Crawler",
        "Effect.map(monotonicMillis, (ended) => {\n              limiter.running = false",
        "Effect.map(monotonicMillis, (ended) => {"
      )
    ]
  ],
  C16: [
    [
      edit(
        "network/Crawler",
        'Effect.as(Effect.logInfo("no peer answered the crawl in time"), false)',
        'Effect.fail("late")'
      )
    ],
    [
      edit(
        "network/Crawler",
        "PeerSet.isClosed(error)\n            ? Effect.fail(error)\n            : Effect.as",
        "Effect.as"
      )
    ]
  ],
  C17: [noCrawlLimit],
  C18: [
    [
      edit(
        "addresses/AddressBook",
        "changes: Array<AddressBookChange>) => A): Effect.Effect<A> =>\n    operation",
        "changes: Array<AddressBookChange>) => A, sampled = sample()): Effect.Effect<A> =>\n    operation"
      ),
      edit(
        "addresses/AddressBook",
        "const now = sample()\n          const changes",
        "const now = sampled\n          const changes"
      )
    ]
  ],
  C19: [
    [
      edit(
        "network/PeerSet",
        "restore(next),",
        'Effect.tapError(restore(next), (error) => Effect.forEach(error._tag === "NotFoundRegistry" ? [...connected.values()] : [], ({ peer }) => registry.register(peer.id, "missing", error.hashes))),'
      )
    ]
  ],
  C20: [
    [
      edit(
        "network/Listener",
        'Effect.catchTag("HandshakeError", (error) =>',
        'Effect.tapErrorTag("HandshakeError", (error) =>'
      )
    ],
    [
      edit(
        "network/Crawler",
        "Effect.map(Option.some),\n          Effect.catch((error) =>",
        "Effect.map(Option.some),\n          Effect.tapError((error) =>"
      )
    ]
  ],
  C21: [[edit("network/InitialPeers", "for (const address of byPreference) {", "for (const address of shuffled) {")]],
  C22: [
    [
      edit(
        "network/PeerSet",
        "const log = (effect: Effect.Effect<void>) => steps.later(() => run(effect))",
        "const log = (effect: Effect.Effect<void>) => steps.later(() => run(Effect.andThen(book.entries, effect)))"
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
  C24: [
    [
      edit(
        "routing/Asking",
        "if (member === undefined) return false\n    this.#send(request, member)",
        "if (member === undefined) return false\n    this.#send(request, member).interruptUnsafe()"
      )
    ]
  ],
  C25: [
    [
      edit(
        "network/Network",
        "yield* crawler.crawlOnce(Math.min(connected, policy.crawlFanout))",
        "yield* Effect.forkChild(crawler.crawlOnce(Math.min(connected, policy.crawlFanout)))"
      )
    ]
  ],
  C26: [
    [edit("network/PeerSet", "onNone: () => false,", "onNone: () => true,")],
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
        "this.#finds.serve()\n      this.#blocks.serve()",
        "this.#blocks.serve()\n      this.#finds.serve()"
      )
    ],
    [edit("routing/BlockQueue", "if (this.#asking.ready === 0) this.#isDoorsTurn = true")]
  ],
  C28: [
    [
      edit(
        "peer/Connection",
        "const sinceMillis = this.#nowMillis()\n      this.#waiting",
        "const sinceMillis = Number(asked.askedAtNanos) / 1_000_000\n      this.#waiting"
      )
    ]
  ],
  C29: [
    [
      edit(
        "network/PeerSet",
        "// A step of its own: whoever became too old since must not hear of the block.\n      steps.run(() => undefined)"
      )
    ]
  ],
  C30: [
    [
      edit(
        "network/PeerSet",
        "yield* Effect.addFinalizer(() => Effect.sync(() => steps.run(() => end(new NetworkClosed()))))"
      )
    ]
  ]
}
