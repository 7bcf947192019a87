/** The reasons in events, in words: as `network/Reasons.ts` says them to whoever reads a terminal. Pure. */
import { inWords } from "./format.js"

/** @type {Readonly<Record<string, string>>} */
export const known = {
  ECONNREFUSED: "nobody listens there",
  ECONNRESET: "it broke the connection",
  EHOSTUNREACH: "there is no way to that host",
  ENETUNREACH: "there is no way to that network",
  ETIMEDOUT: "it did not answer in time",
  EADDRNOTAVAIL: "this machine has no address to dial it from",
  EAFNOSUPPORT: "this machine has no IPv6",
  EACCES: "this user may not dial there",
  EPERM: "a firewall of this machine is in the way",
  EINVAL: "a link-local address needs its interface, as in [fe80::1%eth0]:port",
  ENODEV: "there is no such interface",
  ENXIO: "there is no such interface",
  EMFILE: "this process has no file descriptors left",
  ENFILE: "this machine has no file descriptors left",
  Interrupted: "it was given up",
  Defect: "the dial broke inside of this node, which is a bug",
  ConnectionClosed: "it ended the connection",
  ConnectionDropped: "this node is stopping",
  ClientDropped: "this node ended the connection",
  ConnectionTaskExited: "its connection broke inside of this node, which is a bug",
  ClientCancelledHeartbeatTask: "this node ended the connection",
  HeartbeatTaskExited: "it did not answer a ping in time",
  ConnectionSendTimeout: "it does not read what it is sent",
  ConnectionReceiveTimeout: "it did not answer in time",
  Serialization: "it sent what is no Zcash message",
  DuplicateHandshake: "it introduced itself twice",
  PeerOverloaded: "it asks for more than this node has time for",
  InboundTimeout: "answering it took too long",
  PeerEvicted: "it had to go for a newcomer of another network",
  ServiceShutdown: "this node is stopping",
  AdvertAuthorizationRevoked: "it was banned, or is too old by now",
  NotFoundResponse: "it has none of what it was asked for",
  RemoteNonceReuse: "this is our own address",
  ObsoleteVersion: "its protocol version is too old",
  MissingRequiredServices: "it serves no blocks",
  LocalDuplicateNonce: "two dials drew the same number; it is tried again",
  HandshakeTimeout: "it did not introduce itself in time",
  HandshakeError: "no agreement was reached",
  AlreadyConnected: "it is connected already",
  PeerBanned: "it is banned",
  NoFreeSlot: "every place is taken",
  DialError: "it could not be reached",
  PeerRefused: "it may not join",
  Connected: "it is connected already",
  GroupFull: "its host has all the connections it may have",
  Full: "every place is taken",
  Outdated: "its protocol version is too old",
  Banned: "it is banned",
  Ended: "this node is stopping",
  banned: "it is banned",
  capacity: "every place is taken",
  crowded: "too many of its neighbours wait already",
  "too-soon": "it was here a moment ago",
  NetworkClosed: "this node is stopping",
  NodeOutdated: "this version of the node is too old for its chain",
  BackgroundTaskExited: "a part of this node broke, which is a bug"
}

/** One that is in no list is said as it is. @param {string} reason */
export const meaning = (reason) => (Object.hasOwn(known, reason) ? known[reason] : inWords(reason))

/** The same of a handshake, where bytes that make no sense have a usual cause. @param {string} reason */
export const ofHandshake = (reason) =>
  reason === "Serialization" ? "it is no Zcash node, or one of another network" : meaning(reason)
