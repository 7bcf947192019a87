/**
 * What is in the texts of a record: lists, errors, and what of them is too long.
 *
 * Pure.
 *
 * @module
 */
import { hash } from "node:crypto"
import { Cause, Exit, Option } from "effect"
import type { AdvertNotDelivered, PeerError } from "../peer/Peer.ts"
import type { Source } from "../peer/Request.ts"
import type { InventoryItem } from "../wire/Message.ts"
import type * as Format from "./Format.ts"
import { shownCharacters } from "./Format.ts"

/** Digits of a SHA-256 that stand for a text. */
export const digestDigits = 16

/** A text as it is, or its digest. */
export const short = (text: string): string =>
  text.length <= shownCharacters ? text : `#${hash("sha256", text).slice(0, digestDigits)}`

/** Whom it is from. */
export const by = (source: Source | undefined): string => (source === undefined ? "" : ` by ${source.connection}`)

/** One after the other. */
export const textOfIds = (ids: Iterable<string>): string => {
  let text = ""
  for (const id of ids) text += text === "" ? id : `,${id}`
  return text
}

/** Kind and name of each. */
export const textOfItems = (items: ReadonlyArray<InventoryItem>): string => {
  let text = ""
  for (const item of items) {
    const named = item._tag === "Error" ? "" : "id" in item ? item.id : item.hash
    text += `${text === "" ? "" : ","}${item._tag}:${named}`
  }
  return text
}

/** What is known, and up to where more is wanted. */
export const textOfLocator = ({
  known,
  stop
}: {
  readonly known: ReadonlyArray<string>
  readonly stop: string | undefined
}) => `${textOfIds(known)} to ${stop ?? "the end"}`

/** The tag, and that of what it is about. */
export const textOfError = (error: PeerError | AdvertNotDelivered): string => {
  switch (error._tag) {
    case "Serialization":
      return `Serialization ${error.cause._tag}`
    case "AdvertNotDelivered":
      return `AdvertNotDelivered ${error.reason}`
    case "NotFoundResponse":
      return `NotFoundResponse ${textOfItems(error.hashes)}`
    default:
      return error._tag
  }
}

/** Its own fields, as far as they are texts and numbers: none of them names an address. */
const fieldsOf = (error: object): Record<string, string | number> => {
  const fields: Record<string, string | number> = {}
  for (const [name, value] of Object.entries(error)) {
    if (name === "_tag" || name === "message" || name === "name" || name === "stack") continue
    if (typeof value === "string" || typeof value === "number") fields[name] = value
  }
  return fields
}

/** An error that a connection met, to be made again by `Reading.ts`. */
export const errorOf = (error: PeerError): Format.Error => {
  const cause = error._tag === "Serialization" ? error.cause : undefined
  return {
    _tag: error._tag,
    fields: fieldsOf(error),
    ...(cause === undefined ? {} : { cause: { _tag: cause._tag, fields: fieldsOf(cause) } })
  }
}

/** What kind of bug it is that those who wait hear of. */
export const defectOf = (failure: Exit.Exit<never, PeerError>): string | undefined =>
  Exit.isFailure(failure) && Option.isNone(Cause.findErrorOption(failure.cause))
    ? nameOf(Cause.squash(failure.cause))
    : undefined

/** What kind of thing was thrown. Not what it says: that may be anything, addresses too. */
export const nameOf = (thrown: unknown): string => {
  if (thrown instanceof Error) return thrown.name.slice(0, shownCharacters)
  return typeof thrown
}
