/**
 * How each requirement of `requirements.md` is taken out of the source: for each of its tests, in their order, the edits after
 * which that test has to fail. Code is found by what it means, not by how it is laid out: `test/support/codePattern.ts` says
 * how to write it.
 */
import { edit } from "../support/removal.ts"
import type { Edit } from "../support/sourceEdits.ts"

const noHandshakeLimit = [
  edit(
    "peer/Handshake",
    "new TimeLimit.Shared(alarmClock, policy.handshakeTimeout)",
    "new TimeLimit.Shared(alarmClock, policy.pingInterval)"
  )
]
const noDialLimit = [
  edit(
    "network/Connector",
    "new TimeLimit.Shared(alarmClock, policy.handshakeTimeout)",
    "new TimeLimit.Shared(alarmClock, policy.pingInterval)"
  )
]
const noCrawlLimit = [edit("network/Crawler", "duration: policy.crawlTimeout", 'duration: "1 hour"')]
const noTurns = [edit("network/Connector", "yield* takeTurn")]
const noRecheck = [
  edit("peer/ConnectionLoop", "this.#options.host.mayAdvertise(this.#options.info)", "Effect.succeed(true)")
]
/** Handshakes in the accept loop itself. */
const oneHandshakeAtATime = [
  edit(
    "network/Listener",
    "(connection) => FiberSet.run(connections, connection, $OPTIONS)",
    "(connection) => connection"
  )
]
/** Dials in the loop that decides about them. */
const oneDialAtATime = [
  edit("network/Dialer", "FiberSet.run(actions, counted(dialOrCrawl), $OPTIONS)", "counted(dialOrCrawl)")
]
/** A slot only once it is known whom to dial. */
const slotWhenDialled = [
  edit(
    "network/Connector",
    "const slot = yield* slots.reserve(kind).pipe(Scope.provide(scope), Effect.catch(refused))"
  ),
  edit(
    "network/Connector",
    "const connection = run(address, why, slot, scope, outcome)",
    `const connection = Effect.flatMap(
      slots.reserve(kind).pipe(Scope.provide(scope), Effect.catch(refused)),
      (slot) => run(address, why, slot, scope, outcome)
    )`
  )
]
const noLimit = [edit("network/ConnectionSlots", 'kind === "trusted" ? placeFor("inbound") : undefined', "kind")]
const joinsThoughBanned = [edit("routing/Membership", 'if (this.#isBanned(member)) return "Banned"')]
/** A task that has ended is gone, and that is all. */
const noTaskIsNeeded = [edit("BackgroundTasks", "Effect.flatMap((exit) => exited(name, exit))", "Effect.asVoid")]
const noNamesAreTaken = [
  edit("BackgroundTasks", "if (names.has(name)) return yield* new TaskNameTaken({ task: name })")
]
const noUpgrades = [edit("routing/Membership", "this.#minimumVersion > before", "false")]
const ignoresNews = [edit("routing/BlockQueue", "this.#hasEverythingChanged = true")]
/** An advert counts whoever made it. */
const strangersCount = [
  edit("routing/BlockRouting", "advertisers.some((id) => isBusy(pools, id))", "advertised.size > 0")
]
/** Who is asked for a block though it is known that another one is to be asked. */
export const blocksOfAllBut = (without: string): ReadonlyArray<Edit> =>
  ["[pools.readyServing]", "known ? busyPools(pools) : [pools.busyServing]", "[pools.readyOther]"].map((pools) =>
    edit("routing/BlockRouting", `PeerChoice.among(${pools}, missing, failed)`, `PeerChoice.among(${pools}${without})`)
  )
const notWatchedForBlocks = [edit("network/PeerSet", "router.isWaitingFor(item.hash)", "false")]

export const removals: Record<string, ReadonlyArray<ReadonlyArray<Edit>>> = {
  S1: [[...noTurns, edit("network/InitialPeers", "yield* Effect.sleep(policy.dialInterval)")]],
  S2: [
    [
      edit("network/InitialPeers", "now - attempted <= delayMillis", "false"),
      edit("network/InitialPeers", "dialled.has(PeerSocketAddress.format(address), now)", "false")
    ],
    [edit("network/InitialPeers", "(yield* Monotonic.millis) - gatheredMillis >= delayMillis", "true")],
    [edit("network/InitialPeers", 'slots.open("outbound") === 0', "true")]
  ],
  S3: [
    [
      edit(
        "network/InitialPeers",
        "Effect.andThen(Deferred.await(isKnown), Effect.yieldNow)",
        "Deferred.await(isKnown)"
      )
    ]
  ],
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
  S5: [[edit("network/Dialer", "yield* Effect.yieldNow", "", { within: "loop" })]],
  S6: [[edit("chain/PeerSocketAddress", "NetAddress.toCanonical(address)", "address")]],
  S7: [
    [
      edit(
        "network/Listener",
        "yield* bans.isBanned(stream.remoteAddress)",
        "!trusted.has(stream.remoteAddress) && (yield* bans.isBanned(stream.remoteAddress))"
      )
    ]
  ],
  S8: [[edit("network/Listener", "Effect.sleep(policy.acceptInterval)", "Effect.sleep(policy.refuseInterval)")]],
  S9: [
    [
      edit("network/Listener", "const slot = yield* slots.reserve(kind)"),
      edit("network/Listener", "admission.admit(peer, slot)", "admission.admit(peer, yield* slots.reserve(kind))")
    ]
  ],
  S10: [
    [edit("network/ConnectionSlots", "const trustedPlaces = $PLACES", "const trustedPlaces = 0")],
    [edit("network/ConnectionSlots", "Math.max(0, inboundLimit(policy) - 1)", "inboundLimit(policy)")]
  ],
  S11: [[edit("network/InboundThrottle", "this.#expire(nowMillis)")]],
  S12: [
    [
      edit(
        "addresses/Misbehavior",
        "Effect.sync(() => gather(report))",
        "Effect.andThen(Effect.sync(() => gather(report)), judge)"
      )
    ]
  ],
  S13: [
    [edit("network/Crawler", "now < limiter.nextMillis", "false")],
    [
      edit(
        "network/Dialer",
        "if (yield* crawler.crawlOnce()) yield* peerSet.demand.offer",
        "yield* crawler.crawlOnce(); yield* peerSet.demand.offer"
      )
    ]
  ],
  S14: [
    [edit("network/Dialer", "Effect.asVoid(peerSet.demand.offer)", "Effect.void", { within: "dialOrCrawl" })],
    [
      edit("addresses/PeerAddress", "!isRecentlyUpdated(entry, now, policy)", "true"),
      edit(
        "addresses/PeerAddress",
        "isWithin(entry.lastAttemptMillis, now.monotonicMillis, Duration.toMillis(policy.reconnectDelay))",
        "false",
        { within: "isRecentlyAttempted" }
      )
    ]
  ],
  S15: [[edit("network/Connector", "(yield* Monotonic.millis) + intervalMillis", "Number.NEGATIVE_INFINITY")], noTurns],
  S16: [
    [
      edit(
        "routing/ConnectedPeers",
        "const address = peer.transientAddress",
        "const { address } = peer.info.remote.addressFrom"
      )
    ]
  ],
  S17: [[edit("routing/Membership", "this.connected.at(address) !== undefined", "false")]],
  S18: [
    [
      edit(
        "routing/Membership",
        "this.connected.inGroup(group).size >= this.#options.policy.connectionsPerGroup",
        "false"
      )
    ]
  ],
  S19: [[edit("routing/PeerChoice", "draw(candidates.size)", "0")]],
  S20: [blocksOfAllBut(", failed")],
  S21: [[edit("routing/PeerChoice", "draw(candidates.size - i)", "0")]],
  S22: [[edit("routing/Membership", "this.connected.size >= places", "false")]],
  S23: [[edit("Bounded", "if (over <= 0) return", "return")]],
  S24: [[edit("routing/InventoryRegistry", "items.slice(0, policy.inventoryHashes)", "items")]],
  S25: [[edit("routing/InventoryRegistry", "nextRotation = now + rotationMillis", "nextRotation += rotationMillis")]],
  S26: [[edit("routing/InventoryRegistry", "current?.has(connection) !== true", "true")]],
  S27: [[edit("routing/InventoryRegistry", 'statuses.current(key, connection) === "missing"', "false")]],
  S28: [[edit("peer/ResponseMatcher", 'error.value._tag !== "NotFoundResponse"', "false")]],
  S29: [[edit("network/ConnectionSlots", 'change(place, { state: "free" })', "undefined")]],
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
        "peer/ConnectionMachine",
        "AddressCache.take($KNOWN, $FRESH, limits.addressesPerAnswer, $$$OTHERS)",
        "AddressCache.take($KNOWN, $FRESH, limits.addressCacheCapacity, $$$OTHERS)"
      )
    ]
  ],
  S33: [[edit("routing/Conduct", "member.stalls < policy.stallThreshold", "true")]],
  S34: [[edit("routing/Membership", 'this.#isOutdated(member) ? "Outdated" : undefined', "undefined")], noUpgrades],
  S35: [[edit("routing/ConnectedPeers", "this.#trusted.delete(id)")]],
  S36: [noRecheck],
  S37: [
    [edit("peer/Handshake", "dropOldest(nonces, totalLimit(policy))")],
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
    blocksOfAllBut(", missing"),
    [edit("routing/BlockRouting", "[...advertised].filter((id) => !failed.has(id))", "[...advertised]")]
  ],
  S43: [strangersCount, strangersCount],
  S44: [
    [edit("Bounded", "if (over <= 0) return", "return")],
    [
      edit(
        "routing/InventoryRegistry",
        "failures.refresh(key, connection, true)",
        "failures.set(key, connection, true)"
      )
    ]
  ],
  S45: [[edit("routing/Membership", "this.#removeWhere((member) => this.#isBanned(member))")], noUpgrades],
  S46: [[edit("routing/Membership", "duration: policy.requestTimeout", 'duration: "1 hour"')]],
  S47: [noRecheck],
  S48: [
    [edit("peer/ConnectionMachine", "this.#adverts.length < this.#options.limits.advertQueueCapacity", "true")],
    [edit("network/BlockAdvertiser", "Semaphore.make(policy.advertsUnderWay)", "Semaphore.make(1000)")],
    [edit("network/BlockAdvertiser", "failed.push({ connection: peer.id, error })", "error")]
  ],
  S49: [
    [
      edit(
        "routing/Conduct",
        "const { member, request } = landing",
        `const { request } = landing
        const { connected } = this.#options.membership
        const member = connected.get(connected.at(landing.member.address!)!) ?? landing.member`
      )
    ]
  ],
  S50: [
    [
      edit(
        "addresses/AddressRules",
        'of._tag === "InetAddressV4" ? $OCTETS : $PREFIX',
        "NetAddress.formatIp(of.address)"
      )
    ]
  ],
  C1: [oneHandshakeAtATime],
  C2: [noHandshakeLimit, noDialLimit],
  C3: [
    oneDialAtATime,
    [edit("network/Dialer", "FiberSet.run(actions, counted(timerCrawl), $OPTIONS)", "counted(timerCrawl)")]
  ],
  C4: [oneDialAtATime],
  C5: [
    [
      edit(
        "network/Dialer",
        "if (now >= nextTick) { $$$TICK } else if (peerSet.demand.takeUnsafe()) { $$$DIAL } else { $$$WAIT }",
        "if (peerSet.demand.takeUnsafe()) { $$$DIAL } else if (now >= nextTick) { $$$TICK } else { $$$WAIT }"
      )
    ]
  ],
  C6: [slotWhenDialled, slotWhenDialled],
  C7: [[edit("network/Listener", "Effect.forever(acceptOne)", 'Effect.timeout(Effect.forever(acceptOne), "1 hour")')]],
  C8: [
    [
      edit(
        "network/Connector",
        "Effect.catch(attempt(address, slot, why), refused).pipe($$$STEPS)",
        'Effect.catch(attempt(address, slot, why), refused).pipe($$$STEPS, Spans.within("dial"))'
      )
    ]
  ],
  C9: [
    ignoresNews,
    notWatchedForBlocks,
    notWatchedForBlocks,
    [edit("routing/Membership", 'this.#news ??= "SomeoneReady"')],
    [edit("routing/BlockQueue", "call.waitAtMost(policy.busyPeerWait, $GIVE)", "call.wait()")],
    [edit("routing/RequestRouter", "blocks.leave(call)")],
    [edit("routing/RequestRouter", "steps.later(() => tell(Effect.fail(new RequestError({ reason }))))")]
  ],
  C10: [[edit("routing/Membership", "this.#watchReadiness(member)", "", { within: "add" })]],
  C11: [
    [
      edit("network/Demand", "Queue.dropping(capacity)", "Queue.bounded<void, E>(capacity)"),
      edit("network/Demand", "offer: Effect.sync(offerUnsafe)", "offer: Queue.offer(signals, undefined)")
    ]
  ],
  C12: [
    [
      edit(
        "routing/Membership",
        "this.remove(peer.id, error)",
        "this.remove(this.connected.at(member.address!) ?? peer.id, error)"
      )
    ]
  ],
  // Opened first, and counted as open only when it goes.
  C13: [
    [
      edit(
        "network/ConnectionSlots",
        'change(place, { state: "free" })',
        '(Object.assign(place, { state: "open" }), change(place, { state: "free" }))'
      )
    ]
  ],
  C14: [
    [
      edit(
        "addresses/Book",
        "const takeCandidate = $STEP",
        `const takeCandidate = Effect.gen(function* () {
          const candidate = yield* read(choice.next)
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
    [edit("network/Crawler", "isNetworkEnd(error.reason) ? $END : $OTHERWISE", "$OTHERWISE")]
  ],
  C17: [noCrawlLimit],
  C18: [
    [
      edit(
        "addresses/Book",
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
          Effect.forEach([...connected.values()], ({ id }) =>
            error.reason._tag === "NotFoundRegistry"
              ? registry.register(id, "missing", error.reason.hashes)
              : Effect.void
          )
        )`
      )
    ]
  ],
  C20: [
    [edit("network/Listener", "HandshakeError: $RECOVER", "HandshakeError: Effect.fail")],
    [
      edit(
        "network/Dialer",
        'Effect.catchTag("ConnectError", $RECOVER)',
        'Effect.tapErrorTag("ConnectError", $RECOVER)'
      )
    ]
  ],
  C21: [
    [edit("network/InitialPeers", "[...shuffled.filter($PREFERRED), ...shuffled.filter($OTHERS)]", "[...shuffled]")]
  ],
  C22: [[edit("network/StatusLog", "...metrics.getUnsafe()", "...(yield* (yield* AddressBook).entries)")]],
  C23: [
    [
      edit("peer/ConnectionMachine", "[...$CURRENT, ...this.#requests].filter(isWaitedFor)", "[]"),
      edit("peer/Waiters", "for (const { id } of this.#entries) this.settle(id, failure, nowNanos)")
    ]
  ],
  C24: [
    [
      edit(
        "routing/Dispatch",
        "this.#send(request, member).addObserver($OBSERVER)",
        "this.#send(request, member).interruptUnsafe()"
      )
    ]
  ],
  C25: [[edit("network/InitialPeers", "crawler.crawlOnce($FANOUT)", "Effect.forkChild(crawler.crawlOnce($FANOUT))")]],
  C26: [
    [edit("routing/Landing", 'if (error === undefined) return "GivenUp"', 'if (error === undefined) return "Failed"')],
    [
      edit(
        "routing/StallTracker",
        'if (error === undefined) return "Nothing"',
        'if (error === undefined) return "Stalled"'
      )
    ]
  ],
  C27: [
    [edit("routing/RequestRouter", "finds.serve(); blocks.serve($OTHERS)", "blocks.serve($OTHERS); finds.serve()")],
    [edit("routing/BlockQueue", "if (connected.ready === 0) this.#isTurnOfOthers = true")]
  ],
  C28: [
    [
      edit(
        "peer/ConnectionMachine",
        "deadlineNanos: this.#now + limitNanos",
        "deadlineNanos: this.#now + limitNanos / 2n"
      )
    ]
  ],
  C29: [
    [
      edit("network/PeerSet", "catchUp()", "", { within: "awaitPeers" }),
      edit("network/PeerSet", "steps.run(() => membership.removeEnded())")
    ],
    [edit("network/PeerSet", "membership.removeEnded()", "undefined")]
  ],
  C30: [
    [edit("network/PeerSet", "closed = reason; steps.run(() => end(reason))")],
    [
      edit("network/Network", "yield* Effect.addFinalizer(() => tasks.end(new NetworkClosed()))"),
      edit("BackgroundTasks", "yield* Effect.addFinalizer(() => end(new NetworkClosed()))")
    ]
  ],
  L1: [noLimit, noLimit, noLimit, noLimit],
  L2: [
    [
      edit(
        "network/ConnectionSlots",
        "Effect.suspend(() => { const free = placeFor(kind); $$$COUNT })",
        `Effect.suspend(() => {
          const free = placeFor(kind)
          return Effect.andThen(Effect.yieldNow, Effect.suspend(() => { $$$COUNT }))
        })`
      )
    ]
  ],
  L3: [
    [edit("network/Connector", "yield* takeTurn; yield* objection(address)", "yield* takeTurn")],
    [edit("network/Connector", "yield* takeTurn; yield* objection(address)", "yield* takeTurn")],
    [edit("network/InitialPeers", "if (!isWanted(dials.length) || !hasSlot() || !(yield* isDue(address))) continue")]
  ],
  L4: [joinsThoughBanned, joinsThoughBanned, joinsThoughBanned],
  L5: [
    [
      edit(
        "network/Connector",
        "Effect.onExit((exit) => publishFailure(text, exit))",
        "Effect.tapError((error) => publishFailure(text, Exit.fail(error)))"
      )
    ]
  ],
  L6: [noTaskIsNeeded, [edit("BackgroundTasks", "isNetworkEnd(cause) ? cause : $EXITED", "$EXITED")], noTaskIsNeeded],
  L7: [
    [
      edit("BackgroundTasks", "const defects = $TOLD", "const defects: Array<unknown> = []"),
      edit("BackgroundTasks", "listeners.clear()"),
      edit(
        "BackgroundTasks",
        "Effect.andThen(Scope.close(scope, Exit.void))",
        `Effect.andThen(
          Effect.andThen(
            Scope.close(scope, Exit.void),
            Effect.sync(() => [...listeners].map((listener) => tell(listener, why)))
          )
        )`
      )
    ],
    [
      edit("BackgroundTasks", "Effect.raceFirst(effect, awaitEnd).pipe($RECOVER)", "Effect.raceFirst(effect, awaitEnd)")
    ],
    [edit("network/PeerSet", "tasks.endedUnsafe() ?? closed", "closed")]
  ],
  L8: [
    [edit("transport/ListeningPort", "Effect.provideService(Scope.Scope, scope)", "(binding) => binding")],
    [edit("network/Connector", "FiberSet.make().pipe(Scope.provide(tasks.scope))", "FiberSet.make<void, never>()")],
    [edit("BackgroundTasks", "Scope.close(scope, Exit.void)", "Effect.void")]
  ],
  L9: [[edit("BackgroundTasks", 'Scope.make("parallel")', "Scope.make()")]],
  L10: [noNamesAreTaken, noNamesAreTaken],
  L11: [
    [edit("layers/Node", "Effect.andThen(checkPolicy, refuse(ofNode))", "checkPolicy")],
    [edit("layers/Node", "here !== undefined && here[1] !== there?.[1]", "false")]
  ],
  L12: [[edit("network/InitialPeers", 'slots.open("outbound") === 0', "peerSet.peersUnsafe().length === 0")]],
  L13: [
    [
      edit(
        "LimitedLog",
        "Effect.flatMap(Monotonic.millis, $USE)",
        "Effect.flatMap(Effect.clockWith((clock) => clock.currentTimeMillis), $USE)"
      )
    ],
    [
      edit(
        "network/NodeAnswers",
        "const now = yield* Monotonic.millis",
        "const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)"
      )
    ]
  ],
  E1: [
    [
      edit(
        "network/Evictions",
        'if (verdict._tag === "Evict") return true',
        'if (verdict._tag === "Evict") { Effect.runSync(peerSet.remove(verdict.id)); return true }'
      )
    ]
  ],
  E2: [[edit("network/Eviction", "size > newcomers", "true")], [edit("network/Eviction", "size > newcomers", "true")]],
  E3: [
    [edit("network/Eviction", "!isTooSoon.toLose(candidate)", "true")],
    [edit("network/Evictions", "lost.has(network)", "false")]
  ],
  E4: [[edit("network/Eviction", "isTooSoon.toBring(network)", "false")]],
  E5: [[edit("network/Eviction", "networks.has(network)", "false")]],
  E6: [
    [
      edit(
        "routing/Membership",
        "if (refusal !== undefined) return refusal; const room = makeRoom?.()",
        `const room = makeRoom?.()
         if (refusal !== undefined) return refusal`
      )
    ]
  ],
  E7: [[edit("network/ConnectionSlots", 'change(to, { kind: "handshake" })')]],
  E8: [
    [edit("routing/DiversePeers", "secondIn * 2 >= firstIn", "true")],
    [edit("routing/PeerSelection", "() => diverse", "() => ({ make: () => twoAtRandom })")]
  ],
  E9: [
    [
      edit("routing/DiversePeers", "firstIn > good ? firstIn : good", "firstIn"),
      edit("routing/DiversePeers", "secondIn > good ? secondIn : good", "secondIn")
    ]
  ],
  E10: [[edit("routing/DiversePeers", "isNeighbour(second, first)", "false")]],
  E11: [
    [edit("routing/BlockQueue", "call.tried = this.#networksOf(missing, failed, exclude)")],
    [edit("routing/DiversePeers", "rank = rankElsewhere(candidates, rank, draw, tried); first = candidates.at(rank)")]
  ],
  E12: [
    [edit("routing/Conduct", "isBrokenPromise(landing)", "false")],
    [edit("network/Network", "report.score > 0", "false")]
  ],
  E13: [
    [edit("routing/DiversePeers", "isInbound && !trusted ? credit / 2 : credit", "credit")],
    [edit("routing/DiversePeers", "isInbound && !trusted ? credit / 2 : credit", "isInbound && !trusted ? 0.5 : 1")]
  ],
  E14: [
    [
      edit(
        "network/PeerSet",
        'PeerChoice.broadcastSize(connected.size, policy.broadcastShare, chain.kind === "regtest")',
        'PeerChoice.broadcastSize(connected.ready, policy.broadcastShare, chain.kind === "regtest")'
      )
    ]
  ],
  E15: [[edit("network/Listener", 'kind === "trusted" && slots.used("trusted") < slots.limits.trusted', "false")]],
  E16: [
    [
      edit(
        "routing/RequestRouter",
        "this.#isStirred && waiting > 0 && membership.connected.ready === 0",
        "this.#isStirred && waiting > 0"
      )
    ]
  ],
  E17: [[edit("network/Network", "requiredVersion <= ourProtocolVersion", "true")]]
}
