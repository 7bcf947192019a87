/** Answers of a status interface that a test writes by hand. */
import { AddressInfo, Addresses, AddressWhy, Health, PeerInfo } from "../../src/status/StatusApi.ts"

/** An outbound peer that we know the time of, and nothing remarkable about. */
export const peerInfo = (more: Partial<PeerInfo> = {}): PeerInfo =>
  new PeerInfo({
    id: 1,
    addr: "192.0.2.1:8233",
    network: "192.0",
    addrlocal: "203.0.113.9:8233",
    services: "0000000000000001",
    relaytxes: true,
    lastsend: null,
    lastrecv: null,
    bytessent: 10,
    bytesrecv: 2000,
    conntime: 1000,
    timeoffset: -150,
    pingtime: 0.025,
    pingwait: null,
    version: 170_190,
    subver: "/Zebra/",
    inbound: false,
    startingheight: 1,
    banscore: null,
    synced_headers: null,
    synced_blocks: null,
    inflight: null,
    addr_processed: null,
    addr_rate_limited: null,
    whitelisted: null,
    negotiated_version: 170_190,
    readiness: "Ready",
    load_ms: 0,
    messagessent: {},
    messagesrecv: {},
    ...more
  })

/** A node that wants two peers, and has one that it dialled. */
export const health = (more: Partial<Health> = {}): Health =>
  new Health({
    status: "live",
    network: "Testnet",
    userAgent: "/me/",
    protocolVersion: 170_190,
    listen: "0.0.0.0:18233",
    wanted: 2,
    peers: { ready: 1, busy: 0, inbound: 0, outbound: 1 },
    slots: { inbound: 0, inboundLimit: 125, outbound: 1, outboundLimit: 75 },
    ...more
  })

/** An address that was only heard of. */
export const addressInfo = (more: Partial<AddressInfo> = {}): AddressInfo =>
  new AddressInfo({
    address: "192.0.2.1:8233",
    state: "NeverAttempted",
    inbound: false,
    lastResponse: null,
    lastSeen: null,
    userAgent: null,
    group: "192.0",
    table: "new",
    anchor: false,
    ...more
  })

/** A book of these, of which one is in each part of the internet. */
export const addresses = (entries: ReadonlyArray<AddressInfo>, more: Partial<Addresses> = {}): Addresses =>
  new Addresses({
    counts: {
      responded: 1,
      neverAttempted: 2,
      failed: 3,
      attemptPending: 4,
      recentlyLive: 1,
      recentlyStoppedResponding: 0,
      total: 10,
      limit: 5000
    },
    tables: { new: 6, tried: 4, tested: 0, groups: entries.length },
    anchors: [],
    offset: 0,
    found: entries.length,
    entries,
    ...more
  })

/** An address that may be dialled, of which no more is known than that somebody told of it. */
export const addressWhy = (more: Partial<AddressWhy> = {}): AddressWhy =>
  new AddressWhy({
    address: "192.0.2.1:8233",
    entry: addressInfo(),
    group: "192.0",
    host: "192.0.2.1",
    table: "new",
    bucket: 7,
    anchor: false,
    failures: 0,
    firstSuccess: null,
    against: null,
    ...more
  })
