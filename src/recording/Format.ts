/**
 * The form of a record: what happened on one connection, as lines of JSON.
 *
 *     segment     what the connection is, and all of its state at the beginning
 *     event       when, what happened, the chance that was drawn, and what was decided
 *     …
 *     end         why it ends, how many events there are, and a checksum of the lines before
 *
 * A file is one segment: it can be replayed without the one before. A connection that goes on has another one.
 *
 * **What is kept of a message**
 *
 * `body` is what the peer sent after the header, in base64, addresses replaced by pseudonyms; words, such as the reason of a
 * `reject`, are as they were. Of a block, a transaction,
 * headers or a filter of more than `keptBodyBytes` there is the length and the SHA-256 instead, and what a connection
 * decides by: the header of a block, the id of a transaction. Inventories, locators and addresses are kept whatever their
 * length, for it decides by each of them.
 *
 * **What is kept of a decision**
 *
 * One text for each action, in order: what it is, and what it is about. What is longer than `shownCharacters` is there as
 * `#` and the first 16 digits of its SHA-256. Two runs are the same when these texts are.
 *
 * Numbers above 2^53 are texts. Times are nanoseconds of the monotonic clock since `nanos`.
 *
 * @module
 */
import { Schema } from "effect"
import { BlockHash, TransactionId } from "../chain/Hash.ts"

/** Of this form. A record of another one is refused. */
export const version = 1

/** What the first line begins with, in every version. */
export const name = "network-effect record"

/** Longest body of a block, a transaction, headers or a filter that is kept, in bytes. */
export const keptBodyBytes = 4096

/** Longest text of what an action is about. */
export const shownCharacters = 100

/** Longest line that is read, in characters: a snapshot in the midst of an answer of some blocks with their bodies. */
export const maxLineCharacters = 64 * 1024 * 1024

const Nanos = Schema.Int
const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Digits = Schema.String.check(Schema.isPattern(/^\d{1,20}$/))
const Base64 = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9+/]*={0,2}$/))
const Sha256 = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))

/** `ip:port`, services, and seconds since the Unix epoch. */
const Gossiped = Schema.Tuple([Schema.String, Digits, Count])

/** Bytes, or what is left of them. */
const Bytes = Schema.Union([
  Schema.Struct({ bytes: Base64 }),
  Schema.Struct({
    length: Count,
    sha256: Sha256,
    header: Schema.optionalKey(Base64),
    id: Schema.optionalKey(TransactionId)
  })
])
export type Bytes = typeof Bytes.Type

const Message = Schema.Struct({
  message: Schema.String,
  body: Schema.optionalKey(Base64),
  length: Schema.optionalKey(Count),
  sha256: Schema.optionalKey(Sha256),
  header: Schema.optionalKey(Base64),
  id: Schema.optionalKey(TransactionId),
  count: Schema.optionalKey(Count)
})
export type Message = typeof Message.Type

/** The error's tag and its own fields; `cause` of what is about bytes. */
const Error = Schema.Struct({
  _tag: Schema.String,
  fields: Schema.optionalKey(Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Number]))),
  cause: Schema.optionalKey(
    Schema.Struct({
      _tag: Schema.String,
      fields: Schema.optionalKey(Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Number])))
    })
  )
})
export type Error = typeof Error.Type

const Request = Schema.Union([
  Schema.TaggedStruct("Peers", {}),
  Schema.TaggedStruct("MempoolTransactionIds", {}),
  Schema.TaggedStruct("Ping", { nonce: Digits }),
  Schema.TaggedStruct("BlocksByHash", { hashes: Schema.Array(BlockHash) }),
  Schema.TaggedStruct("BlockDownload", { hash: BlockHash }),
  Schema.TaggedStruct("TransactionsById", { ids: Schema.Array(TransactionId) }),
  Schema.TaggedStruct("AdvertiseTransactionIds", { ids: Schema.Array(TransactionId) }),
  Schema.TaggedStruct("PushTransaction", { transaction: Bytes }),
  Schema.TaggedStruct("FindBlocks", { known: Schema.Array(BlockHash), stop: Schema.optionalKey(BlockHash) }),
  Schema.TaggedStruct("FindHeaders", { known: Schema.Array(BlockHash), stop: Schema.optionalKey(BlockHash) })
])
export type Request = typeof Request.Type

const Response = Schema.Union([
  Schema.TaggedStruct("Nil", {}),
  Schema.TaggedStruct("Peers", { addresses: Schema.Array(Gossiped) }),
  Schema.TaggedStruct("Pong", { nanos: Digits }),
  /** A value, or the hash of what is missing. */
  Schema.TaggedStruct("Blocks", { items: Schema.Array(Schema.Union([Bytes, BlockHash])) }),
  Schema.TaggedStruct("Transactions", { items: Schema.Array(Schema.Union([Bytes, TransactionId])) }),
  Schema.TaggedStruct("BlockHashes", { hashes: Schema.Array(BlockHash) }),
  Schema.TaggedStruct("BlockHeaders", { count: Count, headers: Bytes }),
  Schema.TaggedStruct("TransactionIds", { ids: Schema.Array(TransactionId) })
])
export type Response = typeof Response.Type

const Outcome = Schema.Union([
  Schema.TaggedStruct("Answered", { response: Response }),
  Schema.TaggedStruct("Overloaded", {}),
  Schema.TaggedStruct("TooSlow", {}),
  Schema.TaggedStruct("Failed", { cause: Schema.String }),
  Schema.TaggedStruct("Broken", { cause: Schema.String })
])
export type Outcome = typeof Outcome.Type

/** What happened. */
const Event = Schema.Union([
  Schema.Literals(["Quiet", "Written", "Alarm"]),
  Message,
  Schema.TaggedStruct("InputEnd", { error: Error }),
  Schema.TaggedStruct("Request", { waiter: Count, request: Request }),
  Schema.TaggedStruct("Advert", { waiter: Count, hash: BlockHash }),
  Schema.TaggedStruct("Cancel", { waiter: Count }),
  Schema.TaggedStruct("Permitted", { isAllowed: Schema.Boolean }),
  Schema.TaggedStruct("WriteFailed", { error: Error }),
  Schema.TaggedStruct("Answered", { outcome: Outcome }),
  /** `defect`: a bug of this node, by its name. */
  Schema.TaggedStruct("Close", { error: Error, defect: Schema.optionalKey(Schema.String) })
])
export type Event = typeof Event.Type

const Asked = Schema.Struct({ waiter: Count, request: Request, isCancelled: Schema.Boolean })
const Advert = Schema.Struct({ waiter: Count, hash: BlockHash, isCancelled: Schema.Boolean })

/** `ConnectionMachine.Snapshot`. */
const State = Schema.Struct({
  phase: Schema.Literals([
    "Reading",
    "Permitting",
    "SendingRequest",
    "SendingAdvert",
    "Replying",
    "Asking",
    "Answering",
    "Closed"
  ]),
  requests: Schema.Array(Asked),
  adverts: Schema.Array(Advert),
  current: Schema.optionalKey(Schema.Struct({ ...Asked.fields, taken: Nanos })),
  waiting: Schema.optionalKey(Schema.Struct({ since: Nanos, deadline: Nanos, taken: Schema.Array(Message) })),
  advert: Schema.optionalKey(Advert),
  answer: Schema.optionalKey(Schema.Struct({ response: Response, said: Count })),
  addresses: Schema.Array(Gossiped),
  overloadedAt: Schema.optionalKey(Nanos),
  alarm: Schema.optionalKey(Nanos)
})
export type State = typeof State.Type

/** The first line. */
export const Segment = Schema.Struct({
  format: Schema.Literal(name),
  version: Schema.Literal(version),
  connection: Schema.Struct({
    id: Count,
    /** Which of several nodes of one process; empty for the only one. */
    node: Schema.String,
    isInbound: Schema.Boolean,
    /** `ip:port`, a pseudonym unless addresses were to be shown. */
    address: Schema.String,
    userAgent: Schema.String,
    /** Of the protocol, as the peer said; and what both keep to. */
    version: Count,
    negotiatedVersion: Count,
    services: Digits
  }),
  /** From 1. */
  segment: Count,
  /** Milliseconds since the Unix epoch. */
  startedMillis: Schema.Number,
  nanos: Schema.String.check(Schema.isPattern(/^-?\d{1,20}$/)),
  /** Events of the connection before this one that are in no segment, for there was no room for them: those not told of before. */
  missed: Count,
  /** Whether bodies of any length are kept, and whether addresses are as they are. */
  bodies: Schema.Boolean,
  addresses: Schema.Boolean,
  limits: Schema.Struct({
    requestMillis: Schema.Number,
    overloadMillis: Schema.Number,
    minOverloadDropProbability: Schema.Number,
    maxOverloadDropProbability: Schema.Number,
    advertQueueCapacity: Count,
    addressCacheCapacity: Count,
    addressesPerAnswer: Count,
    inventoryHashes: Count
  }),
  state: State
})
export type Segment = typeof Segment.Type

/** A line for each event. */
export const Entry = Schema.Struct({
  at: Nanos,
  on: Event,
  /** Draws from [0, 1), in order. */
  chance: Schema.optionalKey(Schema.Array(Schema.Number.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThan(1)))),
  do: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Nothing was decided: it ended in a bug of this node. */
  defect: Schema.optionalKey(Schema.String)
})
export type Entry = typeof Entry.Type

/**
 * Why a segment ends: with its connection, or before; `lost` when the disk or the memory for it were full. A disk that has no
 * room for this line either leaves a segment without one.
 */
export const endings = ["closed", "full", "stopped", "lost", "shrunk"] as const
export type Ending = (typeof endings)[number]

/** The last line. */
export const End = Schema.Struct({
  end: Schema.Literals(endings),
  events: Count,
  /** CRC-32 of all bytes before this line. */
  crc32: Count
})
export type End = typeof End.Type
