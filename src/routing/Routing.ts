/**
 * All of routing, put together.
 *
 *     Steps            one thing after the other
 *       Membership       who is in, who is ready, who has to go
 *         Dispatch         puts requests to peers, chosen by a `PeerSelection`
 *           FindQueue, BlockQueue, Broadcasts
 *             RequestRouter    lets requests in
 *         Conduct          what is learnt from how they end
 *
 * Each knows only those above it. What happened in one of them is kept there until it is fetched, when a step ends.
 *
 * @module
 */
import type { Clock, Effect, Fiber, Option } from "effect"
import type { AddressGroups } from "../addresses/AddressGroups.ts"
import type { Bans } from "../addresses/BanList.ts"
import type { NetworkEnd } from "../BackgroundTasks.ts"
import type { ChainParamsShape } from "../chain/ChainParams.ts"
import { isNearTip, type Tip } from "../chain/ChainTip.ts"
import type { BlockHash } from "../chain/Hash.ts"
import * as Monotonic from "../Monotonic.ts"
import type { PeerError } from "../peer/Peer.ts"
import type { ConnectionId, Response } from "../peer/Request.ts"
import type { Policy } from "../Policy.ts"
import type { InventoryItem } from "../wire/Message.ts"
import { BlockQueue } from "./BlockQueue.ts"
import { Broadcasts } from "./Broadcasts.ts"
import type { Flight } from "./Call.ts"
import { Conduct } from "./Conduct.ts"
import { Dispatch } from "./Dispatch.ts"
import { FindQueue } from "./FindQueue.ts"
import type { HashRecord } from "./InventoryRegistry.ts"
import { Membership } from "./Membership.ts"
import type { DrawBelow } from "./PeerChoice.ts"
import type { PeerChooser } from "./PeerSelection.ts"
import type { PeerSetMetrics } from "./PeerSetMetrics.ts"
import { RequestRouter } from "./RequestRouter.ts"
import { Steps } from "./Steps.ts"
import type { TrustedIps } from "./TrustedPeers.ts"

export interface Options {
  readonly policy: Policy
  readonly chain: ChainParamsShape
  readonly clock: Clock.Clock
  readonly metrics: PeerSetMetrics
  readonly chooser: PeerChooser
  readonly draw: DrawBelow
  readonly trusted: TrustedIps
  readonly groups: AddressGroups
  readonly tip: () => Option.Option<Tip>
  readonly bans: () => Bans
  readonly recordOf: (item: InventoryItem) => HashRecord
  /** Remembers that a peer failed to deliver a block. */
  readonly recordFailure: (id: ConnectionId, hash: BlockHash) => void
  /** The end of the network. */
  readonly ended: () => NetworkEnd | undefined
  /** Starts an effect beside everything else, at once. What dies in it is a bug of ours. */
  readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  /** Starts the wait for an answer, at once. */
  readonly fly: (effect: Effect.Effect<Response, PeerError>) => Flight
  /** Tells of a bug of ours. */
  readonly tellDefect: (defect: unknown) => void
  /** Tells of a chooser that does not keep to its rules. */
  readonly tellMisrule: (cause: unknown) => void
  /** Writes a line that peers can repeat. */
  readonly logLimited: (kind: string, line: Effect.Effect<void>) => void
}

export class Routing {
  readonly steps: Steps
  readonly membership: Membership
  readonly router: RequestRouter
  readonly #dispatch: Dispatch
  readonly #conduct: Conduct

  constructor(options: Options) {
    const { chain, clock, policy, tellDefect, tip } = options
    const steps = new Steps(tellDefect)
    const membership = new Membership({ ...options, steps })
    const { connected } = membership
    const nowNanos = () => clock.monotonicTimeNanosUnsafe()
    // A logger is not ours: it runs when the step is over, for it may lead back here.
    const tellMisrule = (cause: unknown) => steps.later(() => options.tellMisrule(cause))
    const logLimited: Options["logLimited"] = (kind, line) => steps.later(() => options.logLimited(kind, line))
    const dispatch = new Dispatch({ ...options, membership, nowNanos, steps, tellMisrule })
    const parts = { ...options, connected, dispatch, membership, steps, isRegtest: chain.kind === "regtest" }
    this.steps = steps
    this.membership = membership
    this.router = new RequestRouter({
      ...parts,
      finds: new FindQueue(parts),
      blocks: new BlockQueue({ ...parts, nowMillis: () => Monotonic.millisUnsafe(clock) }),
      broadcasts: new Broadcasts(parts)
    })
    this.#dispatch = dispatch
    this.#conduct = new Conduct({
      ...parts,
      logLimited,
      nowNanos,
      isNearTip: () => isNearTip(tip(), clock.currentTimeMillisUnsafe() / 1000, policy.nearTipAge)
    })
  }

  /** Learns from what has ended, and routes what can be. At the end of every step. */
  settle(): void {
    let landings = this.#dispatch.takeLandings()
    do {
      for (const landing of landings) this.#conduct.learn(landing)
      this.router.settle()
      landings = this.#dispatch.takeLandings()
    } while (landings.length > 0)
    for (const id of this.membership.takeLeft()) this.#dispatch.forget(id)
  }

  /** Fails whatever waits, and lets everybody go. */
  end(reason: NetworkEnd): void {
    // Before the connections end, so that whoever waits for one hears the reason.
    this.router.end(reason)
    this.membership.removeAll()
  }
}
