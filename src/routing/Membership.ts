/**
 * Who is in the peer set, who is ready, and who has to go.
 *
 *     add ─▶ busy ◀──── asked ────── ready        removed, banned, outdated, its connection ended,
 *             └────── slot is free ────▲          `Policy.requestTimeout` without a free slot ─▶ gone
 *
 * Nothing is polled: each peer's own fibers tell when it is ready or has ended, each in a step of `Steps.ts`. What happened
 * is kept until it is asked for (`takeNews`, `takeLeft`), which is at the end of the step.
 *
 * **Security**
 *
 * Bans and the minimum version are looked at when something joins, and again at the beginning of whatever happens next once
 * they have changed: nobody who is banned or outdated is asked or told anything.
 *
 * Source: Zebra peer_set/set.rs and peer_set/unready_service.rs.
 *
 * @module
 */
import { type Clock, Effect, Exit, type Fiber, Option, Schema } from "effect"
import type { AddressGroups } from "../addresses/AddressGroups.ts"
import { type Bans, isBannedIn } from "../addresses/BanList.ts"
import type { ChainParamsShape } from "../chain/ChainParams.ts"
import type { Tip } from "../chain/ChainTip.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { minimumVersion } from "../chain/ProtocolVersion.ts"
import { ClientDropped, type Peer, type PeerError, PeerEvicted } from "../peer/Peer.ts"
import type { ConnectionId, Response } from "../peer/Request.ts"
import { type Policy, totalLimit } from "../Policy.ts"
import { ConnectedPeers, Member } from "./ConnectedPeers.ts"
import type { Steps } from "./Steps.ts"
import { ToldAddresses } from "./ToldAddresses.ts"
import type { TrustedIps } from "./TrustedPeers.ts"

/**
 * A peer was not taken in. `Connected`: its address is connected already, and the older connection stays. `GroupFull`: its
 * peer group has all its connections. `Outdated`: its version is older than the chain allows. `Banned`: its peer group is.
 * `Full`: every inbound place is taken, and nobody has to go for it. `Ended`: the network has.
 */
export class PeerRefused extends Schema.TaggedError<PeerRefused>()("PeerRefused", {
  reason: Schema.Literals(["Connected", "GroupFull", "Outdated", "Banned", "Full", "Ended"])
}) {}

/** Whether there is a place for somebody who may join: `Free`; when another one goes, which is then its turn; or `Full`. */
export type Room =
  | { readonly _tag: "Free" }
  | { readonly _tag: "Evict"; readonly id: ConnectionId }
  | { readonly _tag: "Full" }

/** What happened, as far as those who wait are concerned: `Changed` says that anything may be otherwise. */
export type News = "SomeoneReady" | "Changed"

export interface Options {
  readonly policy: Policy
  readonly chain: ChainParamsShape
  readonly clock: Clock.Clock
  readonly trusted: TrustedIps
  /** Which part of the internet a peer is in. */
  readonly groups: AddressGroups
  readonly tip: () => Option.Option<Tip>
  readonly bans: () => Bans
  readonly steps: Steps
  /** Starts an effect beside everything else, at once. */
  readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
}

export class Membership {
  readonly connected = new ConnectedPeers()
  readonly #told = new ToldAddresses()
  readonly #options: Options
  #tip: Option.Option<Tip>
  #minimumVersion: number
  #bans: Bans
  #news: News | undefined
  #left: Array<ConnectionId> = []

  constructor(options: Options) {
    this.#options = options
    this.#tip = options.tip()
    this.#bans = options.bans()
    this.#minimumVersion = minimumVersion(options.chain, heightOf(this.#tip))
  }

  // -- what happened ---------------------------------------------------------------------------

  /** What happened since this was asked last. */
  takeNews(): News | undefined {
    const news = this.#news
    this.#news = undefined
    return news
  }

  get hasNews(): boolean {
    return this.#news !== undefined
  }

  /** Who has gone since this was asked last. */
  takeLeft(): ReadonlyArray<ConnectionId> {
    const left = this.#left
    if (left.length > 0) this.#left = []
    return left
  }

  /** Everything known of the peers may have changed. */
  reconsider(): void {
    this.#news = "Changed"
  }

  // -- coming and going ------------------------------------------------------------------------

  /**
   * Takes a peer in, as busy until it is known to be ready; or says why not, and leaves it alone. `makeRoom` is asked last,
   * so that nobody goes for somebody who may not join.
   */
  add(peer: Peer, makeRoom?: () => Room): PeerRefused["reason"] | undefined {
    const { clock, groups, policy, steps, trusted } = this.#options
    const member = new Member(peer, trusted, groups, clock.monotonicTimeNanosUnsafe())
    const refusal = this.#refusalOf(member)
    if (refusal !== undefined) return refusal
    const room = makeRoom?.()
    if (room?._tag === "Full") return "Full"
    if (room?._tag === "Evict") this.remove(room.id, new PeerEvicted())
    const places = totalLimit(policy) + policy.staleTipPlaces
    if (this.connected.size >= places) {
      throw new Error(`${this.connected.size} peers are connected, and there are slots for ${places}`)
    }
    this.connected.add(member)
    if (!member.isInbound && member.address !== undefined) this.#proved(member.address)
    peer.onClosed((error) => steps.run(() => this.remove(peer.id, error)))
    this.#watchReadiness(member)
    this.#news = "Changed"
    return undefined
  }

  /** A peer answered a request for addresses, if it did. */
  noteTold({ id }: Member, answer: Exit.Exit<Response, unknown>): void {
    if (Exit.isFailure(answer) || answer.value._tag !== "Peers") return
    for (const { address } of answer.value.addresses) this.#told.told(PeerSocketAddress.format(address), id)
  }

  /** A peer is where another one said that one is. */
  #proved(address: string): void {
    const teller = this.#told.proved(address)
    const member = teller === undefined ? undefined : this.connected.get(teller)
    if (member !== undefined) member.merit.provenAddresses++
  }

  #refusalOf(member: Member): PeerRefused["reason"] | undefined {
    const { address, group, trusted } = member
    if (this.#isBanned(member)) return "Banned"
    // Of two connections with one address the older stays, or they could replace each other for ever.
    if (address !== undefined && this.connected.at(address) !== undefined) return "Connected"
    if (group !== undefined && !trusted) {
      if (this.connected.inGroup(group).size >= this.#options.policy.connectionsPerGroup) return "GroupFull"
    }
    return this.#isOutdated(member) ? "Outdated" : undefined
  }

  /** Lets a peer go. It is closed with the error once the step is over. */
  remove(id: ConnectionId, error: PeerError = new ClientDropped()): void {
    const { run, steps } = this.#options
    const member = this.connected.remove(id)
    if (member === undefined) return
    steps.later(() => run(member.peer.close(error)))
    this.#left.push(id)
    this.#news = "Changed"
  }

  removeAll(): void {
    for (const { id } of this.connected.values()) this.remove(id)
  }

  /** Lets go of whose connection has ended, though nobody said so yet. */
  removeEnded(): void {
    for (const { id, peer } of this.connected.values()) if (peer.readiness() === "Failed") this.remove(id)
  }

  // -- who may stay ----------------------------------------------------------------------------

  /** Lets go of whom the chain has left behind and of who was banned, if the tip or the bans have changed. */
  catchUp(): void {
    const { bans, chain, tip } = this.#options
    const tipNow = tip()
    if (tipNow !== this.#tip) {
      this.#tip = tipNow
      const before = this.#minimumVersion
      this.#minimumVersion = minimumVersion(chain, heightOf(tipNow))
      if (this.#minimumVersion > before) this.#removeWhere((member) => this.#isOutdated(member))
    }
    const bansNow = bans()
    if (bansNow !== this.#bans) {
      this.#bans = bansNow
      this.#removeWhere((member) => this.#isBanned(member))
    }
  }

  #removeWhere(hasToGo: (member: Member) => boolean): void {
    for (const member of this.connected.values()) if (hasToGo(member)) this.remove(member.id)
  }

  #isOutdated({ peer }: Member): boolean {
    return peer.info.remote.version < this.#minimumVersion
  }

  #isBanned({ peer }: Member): boolean {
    const { transientAddress } = peer
    if (transientAddress === undefined) return false
    return isBannedIn(this.#bans, transientAddress, this.#options.clock.currentTimeMillisUnsafe() / 1000)
  }

  /** Somebody who is in a pool. */
  member(id: ConnectionId): Member {
    const member = this.connected.get(id)
    if (member === undefined) throw new Error("only connected peers are in a pool")
    return member
  }

  // -- ready or busy ---------------------------------------------------------------------------

  /** A peer was asked: it is busy until its slot is free. */
  becameBusy(member: Member): void {
    this.connected.markBusy(member)
    this.#watchReadiness(member)
  }

  /** The member, if it can really be asked. If it only seemed to be ready, because nobody said so yet, that is put right. */
  usable(id: ConnectionId): Member | undefined {
    const member = this.member(id)
    switch (member.peer.readiness()) {
      case "Ready":
        return member
      case "Failed":
        this.remove(id)
        return undefined
      case "Busy":
        this.becameBusy(member)
        return undefined
    }
  }

  /** A busy peer becomes ready when its slot is free, and is let go when that takes too long. */
  #watchReadiness(member: Member): void {
    const { policy, run, steps } = this.#options
    const { id, peer } = member
    if (peer.readiness() === "Ready") return this.#becameReady(member)
    const inTime = Effect.timeoutOrElse(Effect.as(peer.awaitReady, true), {
      duration: policy.requestTimeout,
      // A slot that is free at the very end of the time is free in time.
      orElse: () => Effect.sync(() => peer.readiness() === "Ready")
    })
    run(
      Effect.matchEffect(inTime, {
        onFailure: (error) => Effect.sync(() => steps.run(() => this.remove(id, error))),
        onSuccess: (isReady) => {
          if (isReady) return Effect.sync(() => steps.run(() => this.#becameReady(member)))
          return Effect.andThen(
            Effect.logDebug("a peer was busy for too long"),
            Effect.sync(() => steps.run(() => this.remove(id)))
          )
        }
      })
    )
  }

  #becameReady(member: Member): void {
    this.connected.markReady(member)
    this.#news ??= "SomeoneReady"
  }
}

const heightOf = (tip: Option.Option<Tip>): number =>
  Option.match(tip, { onNone: () => 0, onSome: ({ height }) => height })
