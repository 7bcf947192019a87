/** An address book under a virtual clock, and the addresses of its tests. */
import { Clock, Effect, Layer } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import { ChainParams, type ChainParamsShape, mainnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { defaults, Policy } from "../../src/Policy.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import { type GossipedAddress, NODE_NETWORK } from "../../src/wire/AddressCodec.ts"

export const address = PeerSocketAddress.fromStringUnsafe

/** Both books, for what holds of either. */
export const books = ["reference", "hardened"] as const
export type BookName = (typeof books)[number]

/** A book, hardened or with the reference's order, that is told our own address, the bans it knows, and what runs in them. */
export const bookWorldOf =
  (book: BookName) =>
  (
    policy: Partial<Policy> = {},
    chain: ChainParamsShape = mainnet,
    own: Layer.Layer<OwnAddress> = OwnAddress.layerNone
  ) =>
    (book === "reference"
      ? AddressBook.layerReference
      : AddressBook.layer.pipe(Layer.provide(SeededRandom.layer("book")))
    ).pipe(
      Layer.provideMerge(BanList.layer),
      Layer.provideMerge(BackgroundTasks.layer),
      Layer.provideMerge(own),
      Layer.provideMerge(Layer.succeed(ChainParams, chain)),
      Layer.provideMerge(Layer.succeed(Policy, { ...defaults, ...policy }))
    )

/** The reference's, for tests of an order or of what dials. */
export const bookWorld = bookWorldOf("reference")

export const nowSeconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

export const gossiped = (text: string, lastSeenSeconds: number, services = NODE_NETWORK): GossipedAddress => ({
  address: address(text),
  services,
  lastSeenSeconds
})

/** Every address of the book, in its order. */
export const order = Effect.flatMap(AddressBook, (book) =>
  Effect.map(book.entries, (entries) => entries.map((entry) => PeerSocketAddress.format(entry.address)))
)

/** A handshake with it, which we dialled. */
export const connects = (text: string) =>
  Effect.flatMap(AddressBook, (book) =>
    book.record({
      _tag: "UpdateConnected",
      address: address(text),
      services: 1n,
      isInbound: false,
      userAgent: "/x/",
      negotiatedVersion: 170_190
    })
  )

/** A dial of it in vain. */
export const fails = (text: string) =>
  Effect.flatMap(AddressBook, (book) =>
    book.record({ _tag: "UpdateFailed", address: address(text), services: undefined })
  )
