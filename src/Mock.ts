/**
 * Services for tests that need only what the test uses.
 *
 * `layerTest` of a service takes some of its members. Whatever else is used ends the test with one sentence that names it.
 *
 * @module
 */
import { Effect, Stream } from "effect"

/** A test uses a member that its mock was not given. Always a defect: it is the test that has to change. */
export class NotMocked extends Error {
  override readonly name = "NotMocked"
  /** `Network.awaitReady`. */
  readonly member: string

  constructor(service: string, member: string, given: string) {
    super(`The test uses ${service}.${member}, which its mock does not have: ${service}.layerTest({ ${given} }).`)
    this.member = `${service}.${member}`
  }
}

/** How a member is used, so that one that is missing fails when it is used and not before. */
type Kind = "effect" | "stream" | "effects" | "function" | "value"

type KindOf<A> =
  A extends Effect.Effect<unknown, unknown, unknown>
    ? "effect"
    : A extends Stream.Stream<unknown, unknown, unknown>
      ? "stream"
      : A extends (...args: never) => Effect.Effect<unknown, unknown, unknown>
        ? "effects"
        : A extends (...args: never) => unknown
          ? "function"
          : "value"

/** Every member of a service: an effect, a stream, a function that gives effects, another function, or a value. */
export type Kinds<S> = { readonly [Member in keyof S]-?: KindOf<S[Member]> }

/** The service of that name with the members that are given. */
export const make = <S extends object>(
  name: string,
  kinds: Kinds<S> & Readonly<Record<string, Kind>>,
  given: Partial<S>
): S => {
  const service = { ...given }
  for (const [member, kind] of Object.entries<Kind>(kinds)) {
    if (member in given) continue
    const fail = (): never => {
      throw new NotMocked(name, member, `${member}: …`)
    }
    const effect = Effect.sync(fail)
    const missing = { effect, stream: Stream.fromEffect(effect), effects: () => effect, function: fail }
    Object.defineProperty(service, member, { enumerable: true, get: kind === "value" ? fail : () => missing[kind] })
  }
  // Each member was given or is a stand-in of its kind.
  return service as S
}
