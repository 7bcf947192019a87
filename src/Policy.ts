/**
 * Every number this package chooses, with its unit, its reason and its source.
 *
 * Numbers the protocol fixes are not here: they sit beside the code that enforces them, as in
 * `wire/Frame.ts`. Relations between the numbers below are held by `test/Policy.test.ts`.
 *
 * @module
 */
import { Context, Duration, Effect, Layer } from "effect"

export interface Policy {
  // -- one connection ------------------------------------------------------------------------

  /**
   * Time for `version` and `verack` to be exchanged. On an outbound connection the same budget
   * includes the TCP connect. Short on purpose: it keeps slow peers out of the peer set.
   *
   * Source: Zebra constants.rs, `HANDSHAKE_TIMEOUT`, 3 seconds.
   */
  readonly handshakeTimeout: Duration.Duration

  /**
   * Time for one message to be written, for a peer to answer one request or a ping that was written, for a block
   * advert to be written, and the longest time a peer's request slot may stay full.
   *
   * Source: Zebra constants.rs, `REQUEST_TIMEOUT`, 20 seconds.
   */
  readonly requestTimeout: Duration.Duration

  /**
   * Time between keep-alive pings on one connection. Prime, so that pings do not fall in step with crawls.
   *
   * Source: Zebra constants.rs, `HEARTBEAT_INTERVAL`, 59 seconds.
   */
  readonly pingInterval: Duration.Duration

  /**
   * Time for one whole ping exchange: until the connection, which may be busy with other things, writes the ping, and then
   * until the answer is here. From then on `requestTimeout` runs too, so an idle connection whose peer is gone ends after
   * `pingInterval + requestTimeout`, and this limit is that of a busy one: it ends after `pingInterval + pingTimeout`.
   *
   * Source: Zebra peer/handshake.rs, which limits the exchange by `HEARTBEAT_INTERVAL` too, 59 seconds.
   */
  readonly pingTimeout: Duration.Duration

  /**
   * Time that what was written may take to be flushed when a stream is closed; then it is cut. A peer
   * that stopped reading must not hold up a shutdown.
   */
  readonly closeGrace: Duration.Duration

  /**
   * Block adverts that may wait to be written on one connection.
   *
   * Source: Zebra peer/handshake.rs (unnamed), 4.
   */
  readonly advertQueueCapacity: number

  /**
   * Addresses one answer to our `getaddr` may add to the book, so that one peer does not fill it.
   *
   * Source: Zebra constants.rs, `PEER_ADDR_RESPONSE_LIMIT`, 37.
   */
  readonly addressesPerAnswer: number

  /**
   * Addresses a connection keeps until the crawler asks for them.
   *
   * Source: Zebra peer/connection.rs, `MAX_ADDRS_IN_MESSAGE`, 1000.
   */
  readonly addressCacheCapacity: number

  /**
   * Time the program that uses us may take to answer one request of a peer.
   *
   * Source: zebrad components/inbound.rs, `MAX_INBOUND_RESPONSE_TIME`, 5 seconds.
   */
  readonly inboundTimeout: Duration.Duration

  /**
   * Requests of peers that are answered at the same time, over all connections; more are shed.
   *
   * Source: zebrad components/inbound.rs, `MAX_INBOUND_CONCURRENCY`, 200.
   */
  readonly inboundConcurrency: number

  /**
   * Time in which a second overload on one connection counts as a repetition.
   *
   * Source: Zebra constants.rs, `OVERLOAD_PROTECTION_INTERVAL`, 1 second.
   */
  readonly overloadInterval: Duration.Duration

  /**
   * Chance of closing a connection when we are overloaded: for a first overload, and right after another.
   *
   * Source: Zebra constants.rs, `MIN_OVERLOAD_DROP_PROBABILITY` and `MAX_OVERLOAD_DROP_PROBABILITY`.
   */
  readonly minOverloadDropProbability: number
  readonly maxOverloadDropProbability: number

  /**
   * Blocks one `getdata` is answered with, at most.
   *
   * Source: zebrad components/inbound.rs, `GETDATA_MAX_BLOCK_COUNT`, 16.
   */
  readonly blocksPerAnswer: number

  /**
   * Bytes of blocks or transactions after which an answer to `getdata` ends. At least one item is sent.
   *
   * Source: zebrad components/inbound.rs, `GETDATA_SENT_BYTES_LIMIT`, 1 000 000.
   */
  readonly bytesPerAnswer: number

  /**
   * Items of one peer group (pushed transactions, advertised ids and blocks) that may be pending in
   * the program that uses us.
   *
   * Source: zebrad components/inbound/downloads.rs, slots per peer, 5.
   */
  readonly pendingItemsPerSender: number

  // -- load of a peer ------------------------------------------------------------------------

  /**
   * First estimate of a peer's answer time. Above `requestTimeout`, so that a new peer has to prove itself.
   *
   * Source: Zebra constants.rs, `EWMA_DEFAULT_RTT`, 21 seconds.
   */
  readonly initialAnswerTime: Duration.Duration

  /**
   * Time in which an estimate loses all but 1/e of its weight.
   *
   * Source: Zebra constants.rs, `EWMA_DECAY_TIME_NANOS`, 200 seconds.
   */
  readonly answerTimeDecay: Duration.Duration

  // -- who is asked --------------------------------------------------------------------------

  /**
   * Answer time up to which no peer is preferred for being quicker. Honest peers answer in tenths of it, waiting in line
   * included, and what we ask for changes with the blocks, every 75 seconds.
   */
  readonly goodAnswerTime: Duration.Duration

  /** One choice of a peer in so many is made without comparing, so that whoever was slow once is tried again. */
  readonly exploringShare: number

  /** Age from which a connection has all its weight when a peer is chosen: whoever comes often is never that old. */
  readonly longLivedAge: Duration.Duration

  // -- how many connections ------------------------------------------------------------------

  /**
   * Outbound connections to open at start, and the unit of the limits below.
   *
   * Source: Zebra constants.rs, `DEFAULT_PEERSET_INITIAL_TARGET_SIZE`, 25; setting `peerset_initial_target_size`.
   */
  readonly targetPeers: number

  /**
   * Outbound connections, as a multiple of `targetPeers`.
   *
   * Source: Zebra constants.rs, `OUTBOUND_PEER_LIMIT_MULTIPLIER`, 3.
   */
  readonly outboundMultiplier: number

  /**
   * Inbound connections, as a multiple of `targetPeers`. Above the outbound one, so that the network as a
   * whole has spare places.
   *
   * Source: Zebra constants.rs, `INBOUND_PEER_LIMIT_MULTIPLIER`, 5.
   */
  readonly inboundMultiplier: number

  /**
   * Connections with one peer group (an IPv4 address or an IPv6 /64).
   *
   * Source: Zebra constants.rs, `DEFAULT_MAX_CONNS_PER_IP`, 1; setting `max_connections_per_ip`.
   */
  readonly connectionsPerGroup: number

  // -- who goes when the listener is full ---------------------------------------------------------

  /**
   * Places beside the inbound ones, for those that shake hands while every inbound place is taken and for those that had to
   * go for one of them and are not closed yet. At one admission per `acceptInterval`, `handshakeTimeout` and `closeGrace`
   * fill four of them.
   */
  readonly handshakePlaces: number

  /**
   * Time in which a network (IPv4 /16, IPv6 /32) loses one inbound peer at most, and brings one at most for which another has
   * to go. Below a minute, so that an honest host that comes every minute finds a place; far above `acceptInterval`, so
   * that nobody turns all inbound peers over in minutes.
   */
  readonly evictionWindow: Duration.Duration

  /**
   * Inbound peers that are safe from eviction, by rule, each of another network: those of networks that a secret key picks,
   * those with the shortest round trip, those that delivered a block or a transaction last, and those that told of most
   * addresses where somebody was. A rule keeps one peer of a network, so no crowd buys itself safe.
   *
   * Source: Bitcoin Core src/node/eviction.cpp, `SelectNodeToEvict`, 4, 8, 4 and 4; it has no rule about addresses, which
   * has the number of the others here.
   */
  readonly protectedNetworks: number
  readonly protectedByRoundTrip: number
  readonly protectedByBlocks: number
  readonly protectedByTransactions: number
  readonly protectedByAddresses: number

  /**
   * Share of the others that are safe because they have been connected longest, at most one of each network.
   *
   * Source: Bitcoin Core src/node/eviction.cpp, `ProtectEvictionCandidatesByRatio`, half.
   */
  readonly protectedByTenure: number

  // -- pace ----------------------------------------------------------------------------------

  /**
   * Time between two dials, whoever asks for them, so that the node is no flooding tool.
   *
   * Source: Zebra constants.rs, `MIN_OUTBOUND_PEER_CONNECTION_INTERVAL`, 100 milliseconds.
   */
  readonly dialInterval: Duration.Duration

  /**
   * Pause of the accept loop after it admitted a connection.
   *
   * Source: Zebra constants.rs, `MIN_INBOUND_PEER_CONNECTION_INTERVAL`, 1 second.
   */
  readonly acceptInterval: Duration.Duration

  /**
   * Pause of the accept loop after it refused a connection: junk clears quickly but still costs time.
   *
   * Source: Zebra constants.rs, `MIN_INBOUND_PEER_FAILED_CONNECTION_INTERVAL`, 10 milliseconds.
   */
  readonly refuseInterval: Duration.Duration

  /**
   * Time before an address we attempted may be attempted again, the window in which a peer group may
   * connect to us `connectionsPerGroup` times, and the time after which a silent peer counts as gone.
   *
   * The longest a live connection can stay silent: `pingInterval + 3 × requestTimeout`.
   *
   * Source: Zebra constants.rs, `MIN_PEER_RECONNECTION_DELAY`, 119 seconds.
   */
  readonly reconnectDelay: Duration.Duration

  /**
   * Time between two looks at whether any outbound connection is left. Short beside `reconnectDelay`, which paces what comes
   * of it; long beside what a look costs, which is a pass over the address book while there is none.
   */
  readonly recoveryInterval: Duration.Duration

  /**
   * Target spacings of blocks without one after which one more outbound connection is made, and another one each time as
   * many are over. One interval in 400 between blocks of an honest chain is longer.
   *
   * Source: Bitcoin Core net_processing.cpp, `TipMayBeStale`, 3, looked at every 10 minutes, which is another spacing there and
   * many here.
   */
  readonly staleTipSpacings: number

  /** Connections that are open at the same time for that reason, beside the outbound ones. Source: Bitcoin Core, as above, 1. */
  readonly staleTipPlaces: number

  // -- crawling ------------------------------------------------------------------------------

  /**
   * Time between crawls that nobody asked for. Prime, so that crawls do not fall in step with pings.
   *
   * Source: Zebra constants.rs, `DEFAULT_CRAWL_NEW_PEER_INTERVAL`, 61 seconds; setting `crawl_new_peer_interval`.
   */
  readonly crawlInterval: Duration.Duration

  /**
   * Time from the end of one crawl to the start of the next.
   *
   * Source: Zebra constants.rs, `MIN_PEER_GET_ADDR_INTERVAL`, 31 seconds.
   */
  readonly getaddrInterval: Duration.Duration

  /**
   * Time one crawl may take.
   *
   * Source: Zebra constants.rs, `PEER_GET_ADDR_TIMEOUT`, 8 seconds.
   */
  readonly crawlTimeout: Duration.Duration

  /**
   * Peers asked for addresses in one crawl, by a crawler that asks whomever the peer set chooses.
   *
   * Source: Zebra constants.rs, `GET_ADDR_FANOUT`, 1.
   */
  readonly crawlFanout: number

  /**
   * Outbound peers asked in one crawl, each of another part of the internet, by a crawler that chooses them. More than two, so
   * that none of them tells most of what is heard; the same peer is not asked again for about as many crawls as there are others.
   *
   * Source: Zebra constants.rs, `GET_ADDR_FANOUT`, which was 3 until answers came too late, and is to be again once only those
   * that are ready are asked (Zebra issue 2214). Here only they are, all at the same time.
   */
  readonly crawlGroups: number

  /**
   * Whether each tick of the crawl timer fills all spare outbound slots with ready candidates. `false`
   * fills up to `targetPeers` and then grows with demand, as Zebra did before its 11th release.
   *
   * Source: Zebra peer_set/initialize.rs, timer crawl.
   */
  readonly fillSpareSlots: boolean

  // -- addresses -----------------------------------------------------------------------------

  /**
   * Addresses the book keeps.
   *
   * Source: Zebra constants.rs, `MAX_ADDRS_IN_ADDRESS_BOOK`, 5000.
   */
  readonly addressBookCapacity: number

  /**
   * Gossiped addresses applied to the book in one synchronous run.
   *
   * Source: Zebra constants.rs, `GOSSIPED_ADDRS_PER_REQUEST`, 100.
   */
  readonly gossipChunk: number

  /**
   * Two changes of one address nearer than this are concurrent: the later may not move the state back.
   *
   * Source: Zebra meta_addr.rs, `CONCURRENT_ADDRESS_CHANGE_PERIOD`, 5 seconds.
   */
  readonly concurrentChangePeriod: Duration.Duration

  /**
   * Age up to which an address is passed on to others, and kept in the cache file.
   *
   * Source: Zebra constants.rs, `MAX_PEER_ACTIVE_FOR_GOSSIP`, 3 hours.
   */
  readonly gossipAge: Duration.Duration

  /**
   * Age up to which a failed address is tried again.
   *
   * Source: Zebra constants.rs, `MAX_RECENT_PEER_AGE`, 3 days.
   */
  readonly retryAge: Duration.Duration

  /**
   * Share of the book one `getaddr` answer tells: one in this many.
   *
   * Source: Zebra constants.rs, `ADDR_RESPONSE_LIMIT_DENOMINATOR`, 2.
   */
  readonly gossipShare: number

  /**
   * Age of the `addr` answer that all peers share, so that repeated asking shows nobody the whole book.
   *
   * Source: zebrad components/inbound/cached_peer_addr_response.rs, `CACHED_ADDRS_REFRESH_INTERVAL`, 10 minutes.
   */
  readonly addrAnswerAge: Duration.Duration

  /**
   * Own addresses remembered after a handshake proved that we had dialled ourselves.
   */
  readonly ownAddressCapacity: number

  // -- a book that one attacker cannot fill ------------------------------------------------------

  /**
   * Parts of the internet known from which on each has one outbound connection at most; two below. As many as there are outbound
   * connections, so that these can all be in distinct ones.
   */
  readonly groupsForOneEach: number

  /**
   * Time without a part that was not known before after which those known count as all there are: whoever is first to answer
   * should not have two places because it was heard of early. A start hears of most within two crawls.
   */
  readonly groupsSettled: Duration.Duration

  /**
   * Of more parts that are known, most may be where nobody is. Those where somebody answered within `groupMemory`, as long as a
   * host is away that comes back every day, each have a place for their first connection. When there are fewer than
   * `groupsForOneEach` of them, and for `groupsMet` none was new, second connections have the places left over: eight times as long
   * as the last of 45 parts takes to be found among two thousand, in the mean.
   */
  readonly groupMemory: Duration.Duration
  readonly groupsMet: Duration.Duration

  /**
   * Outbound peers of longest standing, of distinct parts, that are dialled first after a start.
   *
   * Source: Bitcoin Core net.h, `MAX_BLOCK_RELAY_ONLY_ANCHORS`, 2; more here, for there all other connections relay too.
   */
  readonly anchorCapacity: number

  /** Time after the first handshake from which on a peer may have one of the places that are kept: a day costs an attacker a day. */
  readonly tenureAge: Duration.Duration

  /** One outbound place in so many is kept for those, as far as there are some. */
  readonly tenureShare: number

  /** Failures in a row with which a peer still counts as somebody for whom a place is kept. */
  readonly tenureFailures: number

  /**
   * What the chance to be drawn is multiplied with for each failure in a row, and failures from which on it becomes no less.
   *
   * Source: Bitcoin Core addrman.cpp, `GetChance`, 0.66 and 8.
   */
  readonly failureChance: number
  readonly failuresThatCount: number

  /**
   * What `reconnectDelay` is multiplied with for each further failure in a row, and the longest it becomes: a day of dials to where
   * nobody is are a dozen. Nobody waits longer than `reconnectDelay` while a node has no outbound connection.
   */
  readonly restFactor: number
  readonly longestRest: Duration.Duration

  /** Time between two looks at everybody who waits so, while there is no connection. */
  readonly wakeInterval: Duration.Duration

  /**
   * When an address gives its place to another: time since anybody saw it; failures in a row of one that never answered, and of
   * one that did, with the time since.
   *
   * Source: Bitcoin Core addrman.cpp, `ADDRMAN_HORIZON`, `ADDRMAN_RETRIES`, `ADDRMAN_MAX_FAILURES` and `ADDRMAN_MIN_FAIL`.
   */
  readonly addressHorizon: Duration.Duration
  readonly newFailures: number
  readonly triedFailures: number
  readonly triedFailureAge: Duration.Duration

  /**
   * Addresses that may wait for the one in their place to be tested; the time for which who answered needs no test; and the time
   * a test may take.
   *
   * Source: Bitcoin Core addrman_impl.h, `ADDRMAN_SET_TRIED_COLLISION_SIZE`, `ADDRMAN_REPLACEMENT` and `ADDRMAN_TEST_WINDOW`.
   */
  readonly testCapacity: number
  readonly provenAge: Duration.Duration
  readonly testTime: Duration.Duration

  /**
   * New addresses that a source (a part of the internet) may tell at once, how many more each second, and sources remembered.
   *
   * Source: Bitcoin Core net_processing.cpp, `MAX_ADDR_RATE_PER_SECOND`, 0.1, and `MAX_ADDR_PROCESSING_TOKEN_BUCKET`, 1000, after
   * one answer of that size; an answer is of `addressesPerAnswer` here, and seven of them fit.
   */
  readonly sourceBurst: number
  readonly sourceRate: number
  readonly sourceCapacity: number

  /**
   * An address counts as seen no longer ago than this when others tell of it: a third of `retryAge`, which leaves it two days of
   * dials. Nodes tell of nobody they have not seen within `gossipAge`.
   */
  readonly oldestClaim: Duration.Duration

  /** Addresses that seeds and files name and that are kept though their bucket is full. More than a start dials. */
  readonly addressOverflow: number

  /** Addresses of which dials and failures are remembered, in the book or not: four books of them, as many as there are bans. */
  readonly failureMemory: number

  /**
   * Mean time between two looks at addresses that nobody needs yet, and the longest time between two, in means.
   *
   * Source: Bitcoin Core net.h, `FEELER_INTERVAL`, 2 minutes; of the draws of such a time one in 150 is longer than five means.
   */
  readonly feelerInterval: Duration.Duration
  readonly longestFeeler: number

  /** Addresses of others that are believed of one who dialled us, each time it is asked: nobody hears of a newcomer otherwise. */
  readonly believedOfNewcomers: number

  // -- seeds and files -----------------------------------------------------------------------

  /**
   * Time for one DNS seed to answer, and the pause before all seeds are asked again.
   *
   * Source: Zebra constants.rs, `DNS_LOOKUP_TIMEOUT`, 5 seconds.
   */
  readonly dnsTimeout: Duration.Duration

  /**
   * Time before the first write of the peer cache, and between tries until one stored something.
   *
   * Source: Zebra peer_cache_updater.rs, 4 × `DNS_LOOKUP_TIMEOUT`, 20 seconds.
   */
  readonly cacheFirstWrite: Duration.Duration

  /**
   * Time between writes of the peer cache.
   *
   * Source: Zebra constants.rs, `PEER_DISK_CACHE_UPDATE_INTERVAL`, 300 seconds.
   */
  readonly cacheInterval: Duration.Duration

  /**
   * Addresses in the peer cache.
   *
   * Source: Zebra constants.rs, `MAX_PEER_DISK_CACHE_SIZE`, 75.
   */
  readonly cacheCapacity: number

  // -- misbehaviour and bans -----------------------------------------------------------------

  /**
   * Score at which a report bans the peer group.
   *
   * Source: Zebra constants.rs, `MAX_PEER_MISBEHAVIOR_SCORE`, 100.
   */
  readonly banScore: number

  /**
   * Time over which reports about one peer group are added up.
   *
   * Source: Zebra constants.rs, `MISBEHAVIOR_FLUSH_INTERVAL`, 30 seconds.
   */
  readonly misbehaviorInterval: Duration.Duration

  /**
   * Time a ban lasts unless the operator says otherwise.
   *
   * Source: Zebra constants.rs, `BAN_DURATION`, 24 hours.
   */
  readonly banDuration: Duration.Duration

  /**
   * Peer groups that can be banned at the same time; the ban that ends first makes room.
   *
   * Source: Zebra constants.rs, `MAX_BANNED_IPS`, 20 000.
   */
  readonly banCapacity: number

  // -- asking the network --------------------------------------------------------------------

  /**
   * Block adverts under way at the same time.
   *
   * Source: Zebra constants.rs, `PEERSET_BUFFER_SIZE`, 3.
   */
  readonly advertsUnderWay: number

  /**
   * Time a request for one block waits for a busy peer that may have it.
   *
   * Source: Zebra constants.rs, `INVENTORY_BUSY_PEER_WAIT_TIMEOUT`, 1.5 seconds.
   */
  readonly busyPeerWait: Duration.Duration

  /**
   * Time a find request insists on a peer that serves blocks.
   *
   * Source: Zebra constants.rs, `FIND_BUSY_SERVING_PEER_WAIT_TIMEOUT`, 1.5 seconds.
   */
  readonly servingPeerWait: Duration.Duration

  /**
   * Find requests that may wait for a serving peer.
   *
   * Source: Zebra peer_set/set.rs, `MAX_QUEUED_FIND_REQUESTS`, 16.
   */
  readonly findQueueCapacity: number

  /**
   * Broadcasts go to one ready peer in this many, rounded up; on Regtest to all.
   *
   * Source: Zebra peer_set.rs (unnamed), 3.
   */
  readonly broadcastShare: number

  /**
   * Failed find requests in a row after which a peer is disconnected.
   *
   * Source: Zebra peer_set/stall_tracker.rs, `FIND_RESPONSE_STALL_THRESHOLD`, 3.
   */
  readonly stallThreshold: number

  /**
   * Time after which what peers advertised is forgotten: between one and two of these.
   *
   * Source: Zebra constants.rs, `INVENTORY_ROTATION_INTERVAL`, 53 seconds.
   */
  readonly inventoryRotation: Duration.Duration

  /**
   * Hashes remembered per inventory map, and per change.
   *
   * Source: Zebra peer_set/inventory_registry.rs, `MAX_INV_PER_MAP`, 1000.
   */
  readonly inventoryHashes: number

  /**
   * Peers remembered per hash.
   *
   * Source: Zebra peer_set/inventory_registry.rs, `MAX_PEERS_PER_INV`, 70.
   */
  readonly peersPerHash: number

  /**
   * Age of the best block up to which we count as being near the tip of the chain, inclusive.
   *
   * Source: zebra-chain chain_tip.rs, `AT_OR_NEAR_TIP_MAX_AGE`, 75 000 seconds.
   */
  readonly nearTipAge: Duration.Duration

  /**
   * Time between two status lines of the peer set in the log.
   *
   * Source: Zebra constants.rs, `MIN_PEER_SET_LOG_INTERVAL`, 60 seconds.
   */
  readonly statusLogInterval: Duration.Duration

  /**
   * Outbound connections up to which a failed dial is logged at info.
   *
   * Source: Zebra peer_set/initialize.rs, `MAX_CONNECTIONS_FOR_INFO_LOG`, 5.
   */
  readonly verboseDials: number

  /**
   * Peers from which on the node counts as ready; half of `targetPeers` unless told. For networks that have fewer nodes.
   */
  readonly readyPeers?: number | undefined
  /**
   * Events a slow reader of `NetworkEvents` may fall behind before it loses the oldest.
   */
  readonly eventBuffer: number
}

/** The reference's values. */
export const defaults: Policy = {
  handshakeTimeout: Duration.seconds(3),
  requestTimeout: Duration.seconds(20),
  pingInterval: Duration.seconds(59),
  pingTimeout: Duration.seconds(59),
  closeGrace: Duration.seconds(1),
  advertQueueCapacity: 4,
  addressesPerAnswer: 37,
  addressCacheCapacity: 1000,
  inboundTimeout: Duration.seconds(5),
  inboundConcurrency: 200,
  overloadInterval: Duration.seconds(1),
  minOverloadDropProbability: 0.05,
  maxOverloadDropProbability: 0.5,
  blocksPerAnswer: 16,
  bytesPerAnswer: 1_000_000,
  pendingItemsPerSender: 5,
  initialAnswerTime: Duration.seconds(21),
  answerTimeDecay: Duration.seconds(200),
  goodAnswerTime: Duration.seconds(1),
  exploringShare: 16,
  longLivedAge: Duration.minutes(10),
  targetPeers: 25,
  outboundMultiplier: 3,
  inboundMultiplier: 5,
  connectionsPerGroup: 1,
  handshakePlaces: 8,
  evictionWindow: Duration.seconds(30),
  protectedNetworks: 4,
  protectedByRoundTrip: 8,
  protectedByBlocks: 4,
  protectedByTransactions: 4,
  protectedByAddresses: 4,
  protectedByTenure: 0.5,
  dialInterval: Duration.millis(100),
  acceptInterval: Duration.seconds(1),
  refuseInterval: Duration.millis(10),
  reconnectDelay: Duration.seconds(119),
  recoveryInterval: Duration.seconds(10),
  staleTipSpacings: 6,
  staleTipPlaces: 1,
  crawlInterval: Duration.seconds(61),
  getaddrInterval: Duration.seconds(31),
  crawlTimeout: Duration.seconds(8),
  crawlFanout: 1,
  crawlGroups: 3,
  fillSpareSlots: true,
  addressBookCapacity: 5000,
  gossipChunk: 100,
  concurrentChangePeriod: Duration.seconds(5),
  gossipAge: Duration.hours(3),
  retryAge: Duration.days(3),
  gossipShare: 2,
  addrAnswerAge: Duration.minutes(10),
  ownAddressCapacity: 256,
  groupsForOneEach: 75,
  groupsSettled: Duration.minutes(5),
  groupMemory: Duration.hours(24),
  groupsMet: Duration.hours(1),
  anchorCapacity: 4,
  tenureAge: Duration.hours(24),
  tenureShare: 4,
  tenureFailures: 2,
  failureChance: 0.66,
  failuresThatCount: 8,
  restFactor: 1.5,
  longestRest: Duration.hours(4),
  wakeInterval: Duration.seconds(1),
  addressHorizon: Duration.days(30),
  newFailures: 3,
  triedFailures: 10,
  triedFailureAge: Duration.days(7),
  testCapacity: 10,
  provenAge: Duration.hours(4),
  testTime: Duration.minutes(40),
  sourceBurst: 256,
  sourceRate: 0.1,
  sourceCapacity: 1024,
  oldestClaim: Duration.hours(24),
  addressOverflow: 128,
  failureMemory: 20_000,
  feelerInterval: Duration.minutes(2),
  longestFeeler: 5,
  believedOfNewcomers: 3,
  dnsTimeout: Duration.seconds(5),
  cacheFirstWrite: Duration.seconds(20),
  cacheInterval: Duration.seconds(300),
  cacheCapacity: 75,
  banScore: 100,
  misbehaviorInterval: Duration.seconds(30),
  banDuration: Duration.hours(24),
  banCapacity: 20_000,
  advertsUnderWay: 3,
  busyPeerWait: Duration.millis(1500),
  servingPeerWait: Duration.millis(1500),
  findQueueCapacity: 16,
  broadcastShare: 3,
  stallThreshold: 3,
  inventoryRotation: Duration.seconds(53),
  inventoryHashes: 1000,
  peersPerHash: 70,
  nearTipAge: Duration.seconds(75_000),
  statusLogInterval: Duration.seconds(60),
  verboseDials: 5,
  eventBuffer: 1024
}

const reference = Context.Reference<Policy>("network-effect/Policy", { defaultValue: () => defaults })

/** The numbers in force: `defaults`, unless a layer says otherwise, in tests or from the command line. */
export const Policy = Object.assign(reference, {
  /**
   * Overrides some numbers; the others stay as they are where this layer is provided.
   *
   *     Node.layer(options).pipe(Layer.provide(Policy.layer({ targetPeers: 50 })))
   */
  layer: (numbers: Partial<Policy>): Layer.Layer<never> =>
    Layer.effect(
      reference,
      Effect.map(reference, (inForce) => ({ ...inForce, ...numbers }))
    )
})

/** Outbound connections, reserved ones included. */
export const outboundLimit = (policy: Policy): number => policy.targetPeers * policy.outboundMultiplier

/** Inbound connections, reserved ones included. */
export const inboundLimit = (policy: Policy): number => policy.targetPeers * policy.inboundMultiplier

/** Connections in all: also the nonces remembered for detecting connections to ourselves. */
export const totalLimit = (policy: Policy): number => outboundLimit(policy) + inboundLimit(policy)
