/**
 * Version and verack, decided apart from sending and receiving: the same for whoever dialled and whoever was dialled.
 *
 *     AwaitingVersion ── version ──▶ Judging ── verack sent ──▶ AwaitingVerack ── verack ──▶ Over
 *                                      └── refused ────────────────────────────────────────────▲
 *
 * Messages that are not awaited are passed over, however many there are: whoever runs the machine has a time limit.
 *
 * What the peer says of itself is a value, `Met`, also when a node could not use it: whoever only wants to know who is there
 * does not refuse, and sees peers of every version.
 *
 * **Security**
 *
 * Nothing is kept but the peer's `version`. A peer that shows a nonce of ours is refused whatever else it says, and whoever
 * asks: it is ourselves, or somebody who echoes.
 *
 * Pure but for its own state.
 *
 * Source: Zebra peer/handshake.rs, `negotiate_version`.
 *
 * @module
 */
import { Data } from "effect"
import { NODE_NETWORK } from "../wire/AddressCodec.ts"
import { Message, type Version } from "../wire/Message.ts"

/** The remote's nonce is one of ours: we talk to ourselves, or to somebody who echoes. */
export class RemoteNonceReuse extends Data.TaggedError("RemoteNonceReuse")<{}> {}
/** The peer speaks a protocol older than the chain's state demands. */
export class ObsoleteVersion extends Data.TaggedError("ObsoleteVersion")<{
  readonly version: number
  readonly minimumVersion: number
}> {}
/** We dialled to catch up, and the peer serves no blocks. It may be useful later, so this says nothing about its address. */
export class MissingRequiredServices extends Data.TaggedError("MissingRequiredServices")<{
  readonly services: bigint
}> {}

/** Why a node has no use for a peer, by what the peer says of itself. */
export type Refusal = RemoteNonceReuse | ObsoleteVersion | MissingRequiredServices

/** Who the peer is. */
export interface Met {
  /** The remote's `version` message. */
  readonly remote: Version
  /** The lower of our version and theirs. */
  readonly negotiatedVersion: number
  /** Why a node refuses it; `undefined` for one that it would keep. */
  readonly refusal: Refusal | undefined
}

/** What this node knows at the moment the peer's `version` comes. */
export interface Facts {
  /** Whether the peer's nonce is one of those we used. */
  readonly isOurNonce: boolean
  /** The lowest version that the height of the chain allows. */
  readonly minimumVersion: number
}

/** What happened. */
export type Event =
  /** Answers `Read`. */
  | { readonly _tag: "Message"; readonly message: Message }
  /** Answers `Look`. */
  | { readonly _tag: "Looked"; readonly facts: Facts }

/** What is to be done about it, in this order. */
export type Action =
  | { readonly _tag: "Send"; readonly message: Message }
  /** The next message of the peer. */
  | { readonly _tag: "Read" }
  /** The peer's `version` is here: what do we know? */
  | { readonly _tag: "Look"; readonly theirs: Version }
  /** It may go on. */
  | { readonly _tag: "Accept"; readonly met: Met; readonly minimumVersion: number }
  /** The last one. With a refusal there was no `verack`, unless nobody is refused. */
  | { readonly _tag: "End"; readonly met: Met }

export interface Options {
  readonly ours: Version
  /** As of before our `version` was sent. */
  readonly isSyncing: boolean
  /** Dialled by this node for the network. */
  readonly isOutbound: boolean
  /** Whether a peer of no use is refused, as a node does. Else it gets its `verack`, as long as it is not ourselves. */
  readonly isRefusing: boolean
}

export class HandshakeMachine {
  readonly #options: Options
  #phase: "AwaitingVersion" | "Judging" | "AwaitingVerack" | "Over" = "AwaitingVersion"
  #theirs: Version | undefined
  #met: Met | undefined

  constructor(options: Options) {
    this.#options = options
  }

  /** What to do first: nobody waits for the other to begin. */
  get begin(): ReadonlyArray<Action> {
    return [{ _tag: "Send", message: this.#options.ours }, read]
  }

  /** What to do about an event. */
  step(event: Event): ReadonlyArray<Action> {
    switch (event._tag) {
      case "Message":
        return this.#receive(event.message)
      case "Looked":
        return this.#judge(event.facts)
    }
  }

  #receive(message: Message): ReadonlyArray<Action> {
    if (this.#phase === "AwaitingVersion" && message._tag === "Version") {
      this.#phase = "Judging"
      this.#theirs = message
      return [{ _tag: "Look", theirs: message }]
    }
    if (this.#phase === "AwaitingVerack" && message._tag === "Verack" && this.#met !== undefined) {
      return this.#end(this.#met)
    }
    return this.#phase === "Over" ? [] : [read]
  }

  #judge(facts: Facts): ReadonlyArray<Action> {
    const theirs = this.#theirs
    if (this.#phase !== "Judging" || theirs === undefined) return []
    const met = metOf(theirs, facts, this.#options)
    if (met.refusal !== undefined && (this.#options.isRefusing || facts.isOurNonce)) return this.#end(met)
    this.#phase = "AwaitingVerack"
    this.#met = met
    return [
      { _tag: "Accept", met, minimumVersion: facts.minimumVersion },
      { _tag: "Send", message: Message.Verack() },
      read
    ]
  }

  #end(met: Met): ReadonlyArray<Action> {
    this.#phase = "Over"
    return [{ _tag: "End", met }]
  }
}

/** Who a peer is that said `theirs`, and what a node would do about it. */
export const metOf = (
  theirs: Version,
  facts: Facts,
  options: Pick<Options, "ours" | "isOutbound" | "isSyncing">
): Met => ({
  remote: theirs,
  negotiatedVersion: Math.min(options.ours.version, theirs.version),
  refusal: refusalOf(theirs, facts, options)
})

/** The first that holds, in this order. */
const refusalOf = (
  theirs: Version,
  { isOurNonce, minimumVersion }: Facts,
  { isOutbound, isSyncing }: Pick<Options, "isOutbound" | "isSyncing">
): Refusal | undefined => {
  if (isOurNonce) return new RemoteNonceReuse()
  if (theirs.version < minimumVersion) return new ObsoleteVersion({ version: theirs.version, minimumVersion })
  if (isSyncing && isOutbound && (theirs.services & NODE_NETWORK) === 0n) {
    return new MissingRequiredServices({ services: theirs.services })
  }
  return undefined
}

const read: Action = { _tag: "Read" }
