/** Every error has a name of its own: whoever catches by tag catches one thing. */
import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import type { BlockAdvertiser, InboundRequests, ManualPeers, PeerSet } from "network-effect"
import type { Node } from "network-effect/layers"
import type { Effect } from "effect"

const src = new URL("../src/", import.meta.url)

/** The tags of every error class that a file of `src` exports, each class once. */
const errorTags = async (): Promise<ReadonlyArray<string>> => {
  const classes = new Set<{ readonly prototype: Error }>()
  for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".ts")) continue
    const module: Record<string, unknown> = await import(new URL(entry.name, `file://${entry.parentPath}/`).href)
    for (const value of Object.values(module)) {
      if (typeof value === "function" && value.prototype instanceof Error) {
        classes.add(value as unknown as { readonly prototype: Error })
      }
    }
  }
  return [...classes].map(({ prototype }) => prototype.name).toSorted()
}

describe("errors", () => {
  it("have tags that are unique over the whole program", async () => {
    const tags = await errorTags()
    assert.isAbove(tags.length, 40)
    for (const tag of [
      "RequestError",
      "NotFoundRegistry",
      "AdvertError",
      "PeerRefused",
      "Overloaded",
      "PeerOverloaded"
    ]) {
      assert.include(tags, tag)
    }
    assert.deepStrictEqual(
      tags.filter((tag, index) => tags[index + 1] === tag),
      []
    )
  })

  it("of the network are in the README, each by its name", () => {
    const table = /^## Errors$([\s\S]*?)^## /m.exec(readFileSync(new URL("../README.md", import.meta.url), "utf8"))?.[1]
    assert.deepStrictEqual(
      Object.keys(actedOn).filter((tag) => table?.includes(`\`${tag}\``) !== true),
      []
    )
  })
})

type ErrorOf<F> = F extends (...args: never) => Effect.Effect<unknown, infer E, unknown> ? E : never

/** An error, and its reason if that is one of several. */
type Tags<E> = E extends { readonly _tag: infer Tag extends string }
  ? Tag | (E extends { readonly reason: infer Reason } ? (Reason extends string ? Reason : Tags<Reason>) : never)
  : never

/** What a program can be told of. */
type ActedOn =
  | Tags<ErrorOf<PeerSet["Service"]["request"]>>
  | Tags<ErrorOf<BlockAdvertiser["Service"]["advertise"]>>
  | Tags<ErrorOf<ManualPeers["Service"]["connect"]>>
  | Tags<ErrorOf<ManualPeers["Service"]["add"]>>
  | Tags<ErrorOf<InboundRequests["Service"]["answer"]>>
  | Tags<Node.NodeError>

/** Each of them: the compiler says which one is missing here, and the test which one is in the README. */
const actedOn: Readonly<Record<ActedOn, true>> = {
  RequestError: true,
  NotFoundRegistry: true,
  NotFoundResponse: true,
  ConnectionClosed: true,
  ConnectionDropped: true,
  ClientDropped: true,
  PeerEvicted: true,
  ConnectionTaskExited: true,
  ClientCancelledHeartbeatTask: true,
  HeartbeatTaskExited: true,
  ConnectionSendTimeout: true,
  ConnectionReceiveTimeout: true,
  Serialization: true,
  DuplicateHandshake: true,
  PeerOverloaded: true,
  InboundTimeout: true,
  ServiceShutdown: true,
  AdvertAuthorizationRevoked: true,
  AdvertError: true,
  NoEligiblePeers: true,
  AdvertIncomplete: true,
  ConnectError: true,
  NoFreeSlot: true,
  AlreadyConnected: true,
  PeerBanned: true,
  DialError: true,
  HandshakeError: true,
  RemoteNonceReuse: true,
  ObsoleteVersion: true,
  MissingRequiredServices: true,
  LocalDuplicateNonce: true,
  HandshakeTimeout: true,
  PeerRefused: true,
  Connected: true,
  GroupFull: true,
  Outdated: true,
  Banned: true,
  Full: true,
  Ended: true,
  ListFull: true,
  Overloaded: true,
  AnswerFailed: true,
  NetworkClosed: true,
  BackgroundTaskExited: true,
  NodeOutdated: true,
  ListenError: true,
  InvalidSetting: true,
  PartFailed: true,
  ServiceProvidedTwice: true,
  TaskNameTaken: true
}
