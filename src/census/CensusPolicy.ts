/**
 * The numbers a census keeps to: its pace, its patience, and what it takes from one host.
 *
 * They are a guest's numbers. A node has those of `Policy.ts`, because it is there to stay and helps others.
 *
 * @module
 */
import { Context, Duration, Effect, Layer } from "effect"

/** Every number of a census. */
export interface CensusNumbers {
  /**
   * Dials per second, over all hosts. Infinity for no pace.
   *
   * A packet each 20 ms is below what one video call sends, and visits 20 000 addresses in under seven minutes.
   */
  readonly maxRate: number

  /**
   * Time between two dials into one group (IPv4 /16, IPv6 /32), so that no operator of many hosts meets a burst. Loopback is
   * exempt.
   */
  readonly groupInterval: Duration.Duration

  /**
   * Time before a host that answered is asked again. Peers tell a random share of what they know and keep that answer for
   * some minutes, so asking sooner tells nothing new.
   */
  readonly askAgain: Duration.Duration

  /** Ports of one host that are tried in one round: told ports cost nothing to invent, and nobody is to be scanned. */
  readonly portsPerHost: number

  /**
   * Connections at the same time. At the default pace a host that never answers is waited for `connectTimeout`, which makes
   * 250; the rest is for hosts that answer slowly.
   */
  readonly maxUnderWay: number

  /** Time for a connection to be made. Beyond three seconds a SYN was sent twice. */
  readonly connectTimeout: Duration.Duration

  /** Time for `version` and `verack`. Longer than a node's: a slow peer is still a peer. */
  readonly handshakeTimeout: Duration.Duration

  /** Time for the answer to `getaddr`. As long as a node's crawl waits: Zebra constants.rs, `PEER_GET_ADDR_TIMEOUT`. */
  readonly answerTimeout: Duration.Duration

  /** Messages read from one host in a visit; more than a busy node sends in that time. */
  readonly messagesPerVisit: number

  /** Bytes read from one host in a visit: some times the longest message. */
  readonly bytesPerVisit: number

  /** Addresses taken from one host in a visit: two full messages. */
  readonly addressesPerVisit: number

  /**
   * Hosts dialled on the word of one teller alone before the first of them answers. Whoever invents addresses is then no
   * longer believed.
   */
  readonly credit: number

  /** What a teller gains for a host that answers, in the unit of `credit`. Two of five hosts of an honest teller answer. */
  readonly creditPerHit: number

  /** Tellers remembered per host. */
  readonly tellersPerHost: number

  /** Hosts known at the same time: several times all that were ever claimed to be on the network. About 400 bytes each. */
  readonly maxHosts: number

  /** Time that visits under way may take when the run is out of time. */
  readonly endGrace: Duration.Duration

  /** Share of a run's time after which only hosts of earlier runs are dialled, which the estimate needs. */
  readonly recheckAfter: number

  /** Findings that wait for a slow reader; then the census waits too. */
  readonly findingBuffer: number
}

/** For a guest on a public network. */
export const defaults: CensusNumbers = {
  maxRate: 50,
  groupInterval: Duration.seconds(1),
  askAgain: Duration.minutes(30),
  portsPerHost: 3,
  maxUnderWay: 500,
  connectTimeout: Duration.seconds(5),
  handshakeTimeout: Duration.seconds(8),
  answerTimeout: Duration.seconds(8),
  messagesPerVisit: 2000,
  bytesPerVisit: 8_000_000,
  addressesPerVisit: 2000,
  credit: 16,
  creditPerHit: 8,
  tellersPerHost: 8,
  maxHosts: 200_000,
  endGrace: Duration.seconds(10),
  recheckAfter: 0.8,
  findingBuffer: 256
}

/** The numbers in force: `defaults`, unless a layer says otherwise. */
export class CensusPolicy extends Context.Reference<CensusNumbers>("network-effect/census/CensusPolicy", {
  defaultValue: () => defaults
}) {
  /** Overrides some numbers; the others stay as they are where this layer is provided. */
  static readonly layer = (numbers: Partial<CensusNumbers>): Layer.Layer<never> =>
    Layer.effect(
      CensusPolicy,
      Effect.map(CensusPolicy, (inForce) => ({ ...inForce, ...numbers }))
    )
}
