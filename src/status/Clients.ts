/**
 * Who is connected to the status server, and who has to go when there is no room.
 *
 * A client is a peer group (`AddressRules.limitKey`), so that who owns a /64 is one client. At a limit the connection that
 * waits longest without a request makes room: connections are cheap to open and cheap to open again. Only when nobody waits,
 * the newcomer is turned away.
 *
 * **Security**
 *
 * Who was cut comes again at once if it likes, each time with 64 KiB that have to be read. So what a client opens after one of
 * its connections was cut is read when others of that kind are looked at next (`readOn`), at most once in a second.
 *
 * On loopback is the operator, who is never turned away. Some places and some requests are for loopback only; where those are
 * taken too, somebody from elsewhere goes for a newcomer from there, else whoever of this machine came first: whoever takes all
 * places there may lose one, and keeps nobody out.
 *
 * @module
 */

/** Numbers the server goes by. */
export interface ClientLimits {
  /** Connections in all. */
  readonly connections: number
  /** Of these, how many only loopback may have; of the requests as many. */
  readonly keptForLoopback: number
  /** Connections of one client that is not on loopback. */
  readonly connectionsPerClient: number
  /** Requests under way in all, event streams among them. */
  readonly requests: number
  /** Requests under way of one client that is not on loopback. */
  readonly requestsPerClient: number
  /** Requests under way on one connection. Browsers, scrapers and our own tools have one. */
  readonly requestsPerConnection: number
}

/** One client, and how much of the server it has. */
export interface Client {
  readonly key: string
  readonly isLoopback: boolean
}

interface Held {
  readonly client: Client
  /** Requests under way. */
  requests: number
}

/** What happens to a newcomer, and to whom it costs the place. */
export type Entry<C> =
  | { readonly _tag: "Admitted"; readonly instead: C | undefined }
  /** It is turned away. */
  | { readonly _tag: "Full" }

/** What happens to a request, and to whom it costs the place. */
export type Start<C> =
  | { readonly _tag: "Admitted"; readonly instead: C | undefined }
  /** The client has as many under way as it may have. */
  | { readonly _tag: "ClientBusy" }
  /** All clients together have. */
  | { readonly _tag: "ServerBusy" }
  /** The connection has: nobody who means well sends so many without reading. */
  | { readonly _tag: "TooMany" }

/** Connections of type `C`, each with its client and the requests it has under way. */
export class Clients<C> {
  readonly #limits: ClientLimits
  readonly #held = new Map<C, Held>()
  /** Those without a request under way, who waits longest first: by loopback and not. */
  readonly #waiting = { loopback: new Set<C>(), elsewhere: new Set<C>() }
  readonly #connections = new Map<string, Set<C>>()
  readonly #requests = new Map<string, number>()
  /** Clients that were cut since the last `readOn`, and their connections since then. */
  readonly #cut = new Set<string>()
  readonly #later = new Set<C>()
  #elsewhere = 0
  #underWay = 0
  #underWayElsewhere = 0

  constructor(limits: ClientLimits) {
    this.#limits = limits
  }

  /** Connections held. */
  get size(): number {
    return this.#held.size
  }

  /** Requests under way. */
  get underWay(): number {
    return this.#underWay
  }

  /** A new connection. The one that is to go `instead` has left already. */
  enter(connection: C, client: Client): Entry<C> {
    const { connections, connectionsPerClient, keptForLoopback } = this.#limits
    let instead: C | undefined
    const own = this.#connections.get(client.key)
    if (!client.isLoopback && (own?.size ?? 0) >= connectionsPerClient) {
      instead = first(own, (connection) => this.#held.get(connection)?.requests === 0)
      if (instead === undefined) return { _tag: "Full" }
    } else if (this.#held.size >= connections) {
      instead = first(this.#waiting.elsewhere)
      if (client.isLoopback) instead ??= first(this.#waiting.loopback) ?? this.#firstToGo(() => true)
      if (instead === undefined) return { _tag: "Full" }
    } else if (!client.isLoopback && this.#elsewhere >= connections - keptForLoopback) {
      instead = first(this.#waiting.elsewhere)
      if (instead === undefined) return { _tag: "Full" }
    }
    if (instead !== undefined) this.leave(instead)
    this.#held.set(connection, { client, requests: 0 })
    this.#waitingOf(client).add(connection)
    const connectionsOfClient = this.#connections.get(client.key)
    if (connectionsOfClient === undefined) this.#connections.set(client.key, new Set([connection]))
    else connectionsOfClient.add(connection)
    if (!client.isLoopback) this.#elsewhere++
    if (this.#cut.has(client.key)) this.#later.add(connection)
    return { _tag: "Admitted", instead }
  }

  /** The connection is to be cut for what came on it. */
  cut(connection: C): void {
    const held = this.#held.get(connection)
    if (held !== undefined && this.#cut.size < this.#limits.connections) this.#cut.add(held.client.key)
  }

  /** Whether it is to be read only when `readOn` names it. */
  isLater(connection: C): boolean {
    return this.#later.has(connection)
  }

  /** Connections that may be read from now on. */
  readOn(): ReadonlyArray<C> {
    const later = [...this.#later]
    this.#later.clear()
    this.#cut.clear()
    return later
  }

  /** The connection is over, with all that was under way on it. Does nothing the second time. */
  leave(connection: C): void {
    const held = this.#held.get(connection)
    if (held === undefined) return
    const { client, requests } = held
    this.#held.delete(connection)
    this.#later.delete(connection)
    this.#waitingOf(client).delete(connection)
    const own = this.#connections.get(client.key)
    own?.delete(connection)
    if (own?.size === 0) this.#connections.delete(client.key)
    if (!client.isLoopback) this.#elsewhere--
    this.#count(client, -requests)
  }

  /** A request has come in. When it is admitted, `end` is to be called once; the one that is to go `instead` has left already. */
  start(connection: C): Start<C> {
    const held = this.#held.get(connection)
    if (held === undefined) return { _tag: "TooMany" }
    const { client } = held
    const { keptForLoopback, requests, requestsPerClient, requestsPerConnection } = this.#limits
    if (held.requests >= requestsPerConnection) return { _tag: "TooMany" }
    let instead: C | undefined
    if (!client.isLoopback) {
      if ((this.#requests.get(client.key) ?? 0) >= requestsPerClient) return { _tag: "ClientBusy" }
      if (this.#underWayElsewhere >= requests - keptForLoopback) return { _tag: "ServerBusy" }
    }
    if (this.#underWay >= requests) {
      if (client.isLoopback) instead = this.#firstToGo((other) => other !== connection && this.isBusy(other))
      if (instead === undefined) return { _tag: "ServerBusy" }
      this.leave(instead)
    }
    held.requests++
    this.#waitingOf(client).delete(connection)
    this.#count(client, 1)
    return { _tag: "Admitted", instead }
  }

  /** An admitted request has been answered, or given up. */
  end(connection: C): void {
    const held = this.#held.get(connection)
    if (held === undefined || held.requests === 0) return
    held.requests--
    if (held.requests === 0) this.#waitingOf(held.client).add(connection)
    this.#count(held.client, -1)
  }

  /** Whether a request is under way on it. */
  isBusy(connection: C): boolean {
    return (this.#held.get(connection)?.requests ?? 0) > 0
  }

  /** Whom it costs its place when somebody on loopback comes: from elsewhere, else who came first. */
  #firstToGo(mayGo: (connection: C) => boolean): C | undefined {
    return (
      first(this.#held.keys(), (connection) => mayGo(connection) && this.#isElsewhere(connection)) ??
      first(this.#held.keys(), mayGo)
    )
  }

  #isElsewhere(connection: C): boolean {
    return this.#held.get(connection)?.client.isLoopback === false
  }

  #waitingOf({ isLoopback }: Client): Set<C> {
    return isLoopback ? this.#waiting.loopback : this.#waiting.elsewhere
  }

  #count({ isLoopback, key }: Client, change: number): void {
    this.#underWay += change
    if (!isLoopback) this.#underWayElsewhere += change
    const requests = (this.#requests.get(key) ?? 0) + change
    if (requests === 0) this.#requests.delete(key)
    else this.#requests.set(key, requests)
  }
}

const first = <A>(values: Iterable<A> | undefined, holds: (value: A) => boolean = () => true): A | undefined => {
  for (const value of values ?? []) if (holds(value)) return value
  return undefined
}
