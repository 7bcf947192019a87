/**
 * Who advertised which block or transaction, who lacks it, and who failed to deliver it.
 *
 * What is registered lives for at least `Policy.inventoryRotation`, and up to twice as long: entries go into a current
 * map, which becomes the previous one at each rotation and is then forgotten.
 *
 * Changes are registered in the very step that reports them, so there is no queue that could overflow, and a request
 * that is routed next sees them.
 *
 * **Security**
 *
 * Peers write to this registry. It steers requests and never suppresses one. Hashes and peers per hash are bounded,
 * oldest out first. A peer that said it lacks something cannot take that back by advertising it, and a failure to deliver
 * is remembered apart from what the peer says.
 *
 * Source: Zebra peer_set/inventory_registry.rs.
 *
 * @module
 */
import { Clock, Context, Deferred, Duration, Effect, Layer, type Scope } from "effect"
import { BackgroundTasks, type TaskNameTaken } from "../BackgroundTasks.ts"
import { dropOldest } from "../Bounded.ts"
import * as Monotonic from "../Monotonic.ts"
import { Policy } from "../Policy.ts"
import type { ConnectionId } from "../peer/Request.ts"
import type { InventoryItem } from "../wire/Message.ts"

/** What a peer said of an item. */
export type InventoryStatus = "available" | "missing"

/** What is known of one item. A peer is in at most one of `advertised` and `missing`; it may have left long ago. */
export interface HashRecord {
  readonly advertised: ReadonlySet<ConnectionId>
  readonly missing: ReadonlySet<ConnectionId>
  /** Peers that were asked for this block and neither delivered it nor said that they lack it. */
  readonly failed: ReadonlySet<ConnectionId>
}

/** What peers said they have, lack, or failed to deliver. */
export class InventoryRegistry extends Context.Service<
  InventoryRegistry,
  {
    /** Items that are neither blocks nor transactions are ignored, as is what exceeds `Policy.inventoryHashes` at once. */
    readonly register: (
      connection: ConnectionId,
      status: InventoryStatus,
      items: ReadonlyArray<InventoryItem>
    ) => Effect.Effect<void>
    /** The peer failed to deliver the block. A repeated failure counts as the newest. */
    readonly recordFailure: (connection: ConnectionId, item: InventoryItem) => Effect.Effect<void>
    /** A copy of what is known of the item now. */
    readonly record: (item: InventoryItem) => HashRecord
    /**
     * Calls `listener` with each item whose record changed, or with `undefined` when any may have, until the scope closes. What
     * it throws is a bug that ends the network, and keeps nothing from the other listeners. (At once, for what is routed next has
     * to see it; through a `PubSub` it would come later, and take a hundred times as long.)
     */
    readonly onChange: (listener: (item: InventoryItem | undefined) => void) => Effect.Effect<void, never, Scope.Scope>
    /** Entries in all maps, for status pages and tests. */
    readonly size: () => { readonly hashes: number; readonly failures: number }
  }
>()("network-effect/routing/InventoryRegistry") {
  /** What connections tell of, in memory, for as long as `Policy.inventoryRotation` says. */
  static readonly layer: Layer.Layer<InventoryRegistry, TaskNameTaken, BackgroundTasks> = Layer.effect(
    InventoryRegistry,
    Effect.gen(function* () {
      const policy = yield* Policy
      const tasks = yield* BackgroundTasks
      const clock = yield* Clock.Clock
      const statuses = new RotatingMap<InventoryStatus>(policy)
      const failures = new RotatingMap<true>(policy)
      const listeners = new Set<(item: InventoryItem | undefined) => void>()
      const rotationMillis = Duration.toMillis(policy.inventoryRotation)
      const monotonicMillis = () => Monotonic.millisUnsafe(clock)
      let nextRotation = monotonicMillis() + rotationMillis

      const broken = yield* Deferred.make<never>()

      const changed = (item: InventoryItem | undefined) => {
        for (const listener of listeners) {
          try {
            listener(item)
          } catch (defect) {
            Deferred.doneUnsafe(broken, Effect.die(defect))
          }
        }
      }

      /** Rotates once, however late it is, and before anything new is registered, so that nothing new is lost with the old. */
      const rotateIfDue = () => {
        const now = monotonicMillis()
        if (now < nextRotation) return
        nextRotation = now + rotationMillis
        statuses.rotate()
        failures.rotate()
        changed(undefined)
      }

      const register = (
        connection: ConnectionId,
        status: InventoryStatus,
        items: ReadonlyArray<InventoryItem>
      ): Effect.Effect<void> =>
        Effect.sync(() => {
          rotateIfDue()
          for (const item of items.slice(0, policy.inventoryHashes)) {
            const key = keyOf(item)
            if (key === undefined) continue
            if (status === "available" && statuses.current(key, connection) === "missing") continue
            statuses.set(key, connection, status)
            changed(item)
          }
        })

      const recordFailure = (connection: ConnectionId, item: InventoryItem): Effect.Effect<void> =>
        Effect.sync(() => {
          rotateIfDue()
          const key = keyOf(item)
          if (key === undefined) return
          failures.refresh(key, connection, true)
          changed(item)
        })

      const record = (item: InventoryItem): HashRecord => {
        rotateIfDue()
        const advertised = new Set<ConnectionId>()
        const missing = new Set<ConnectionId>()
        const failed = new Set<ConnectionId>()
        const key = keyOf(item)
        if (key !== undefined) {
          statuses.forEach(key, (connection, status) => (status === "missing" ? missing : advertised).add(connection))
          failures.forEach(key, (connection) => failed.add(connection))
        }
        return { advertised, missing, failed }
      }

      const onChange = (listener: (item: InventoryItem | undefined) => void) =>
        Effect.asVoid(
          Effect.acquireRelease(
            Effect.sync(() => listeners.add(listener)),
            () => Effect.sync(() => listeners.delete(listener))
          )
        )

      // Entries end on time also when nobody asks; whoever comes between a late timer and its turn rotates in its place.
      const rotate = Effect.suspend(() =>
        Effect.sleep(Duration.millis(Math.max(0, nextRotation - monotonicMillis())))
      ).pipe(Effect.andThen(Effect.sync(rotateIfDue)), Effect.forever)
      yield* tasks.run("inventory", Effect.raceFirst(rotate, Deferred.await(broken)))

      return InventoryRegistry.of({
        register,
        recordFailure,
        record,
        onChange,
        size: () => ({ hashes: statuses.size, failures: failures.size })
      })
    })
  )
}

/** One name per item, or `undefined` for what is neither a block nor a transaction. A block may share its digits with a txid. */
const keyOf = (item: InventoryItem): string | undefined => {
  switch (item._tag) {
    case "Block":
      return `block ${item.hash}`
    case "Tx":
    case "Wtx":
      return item.id
    case "Error":
    case "FilteredBlock":
      return undefined
  }
}

interface Limits {
  readonly inventoryHashes: number
  readonly peersPerHash: number
}

type PeersByHash<A> = Map<string, Map<ConnectionId, A>>

/** Two generations of hash → peer → value, both in the order of insertion and both bounded. */
class RotatingMap<A> {
  readonly #limits: Limits
  #current: PeersByHash<A> = new Map()
  #previous: PeersByHash<A> = new Map()
  /** Since the current map was made. */
  #inserted = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#current.size + this.#previous.size
  }

  rotate(): void {
    this.#previous = this.#current
    this.#current = new Map()
    this.#inserted = 0
  }

  /** The value of this generation. */
  current(key: string, connection: ConnectionId): A | undefined {
    return this.#current.get(key)?.get(connection)
  }

  /** An entry that is there already keeps its age. */
  set(key: string, connection: ConnectionId, value: A): void {
    let peers = this.#current.get(key)
    if (peers === undefined) {
      peers = new Map()
      this.#insert(key, peers)
    }
    peers.set(connection, value)
    dropOldest(peers, this.#limits.peersPerHash)
    dropOldest(this.#current, this.#limits.inventoryHashes)
  }

  /** The entry and its hash become the newest. */
  refresh(key: string, connection: ConnectionId, value: A): void {
    const peers = this.#current.get(key)
    if (peers !== undefined) {
      peers.delete(connection)
      this.#current.delete(key)
      this.#insert(key, peers)
    }
    this.set(key, connection, value)
  }

  /**
   * V8 never cleans a `Map` up: from time to time it moves the entries to a new table, and leaves a link to that in the one before.
   * Of such a chain all tables last as long as the oldest, with everything that was in them then, which is until the next full
   * collection, and a flood of adverts makes hundreds of tables a second. A new map ends the chain.
   */
  #insert(key: string, peers: Map<ConnectionId, A>): void {
    this.#current.set(key, peers)
    if (++this.#inserted < this.#limits.inventoryHashes) return
    this.#current = new Map(this.#current)
    this.#inserted = 0
  }

  /** Every peer of this generation, then those that only the previous one knows. */
  forEach(key: string, visit: (connection: ConnectionId, value: A) => void): void {
    const current = this.#current.get(key)
    if (current !== undefined) for (const [connection, value] of current) visit(connection, value)
    const previous = this.#previous.get(key)
    if (previous === undefined) return
    for (const [connection, value] of previous) if (current?.has(connection) !== true) visit(connection, value)
  }
}
