/**
 * Compares our codec with a foreign one, over bytes that either may be sent: what each makes of them, and what both would send.
 *
 * A foreign program reads records and answers with a line each:
 *
 *     record   network u8 (0 Mainnet, 1 Testnet, 2 Regtest), negotiated version u32, longest body u32, length u32 (little-endian), bytes
 *     I …      incomplete, or a command it does not know
 *     E …      refused, and why
 *     M HEX …  accepted, and the message encoded again (its first 24 bytes when it has more than 300), then hashes in it
 *     X …      accepted, and it cannot be encoded
 */
import { Arbitrary, Effect, Result } from "effect"
import { type ChainParamsShape, Frame, mainnet, Message, regtest, testnet } from "network-effect"
import { Generators, SeededRandom } from "network-effect/simulation"

export interface Case {
  readonly network: 0 | 1 | 2
  readonly negotiatedVersion: number
  readonly maxBodyBytes: number
  readonly bytes: Uint8Array
}

const chains: readonly [ChainParamsShape, ChainParamsShape, ChainParamsShape] = [mainnet, testnet, regtest]

/** A case as a foreign program reads it. */
export const recordOf = ({ bytes, maxBodyBytes, negotiatedVersion, network }: Case): Uint8Array => {
  const record = Buffer.alloc(13 + bytes.length)
  record.writeUInt8(network, 0)
  record.writeUInt32LE(negotiatedVersion, 1)
  record.writeUInt32LE(maxBodyBytes, 5)
  record.writeUInt32LE(bytes.length, 9)
  record.set(bytes, 13)
  return record
}

// -- our verdict -------------------------------------------------------------------------------

/** Hashes travel in the other order than they are shown. */
const asOnTheWire = (id: string): string =>
  (id.match(/.{64}/g) ?? []).map((hash) => Buffer.from(hash, "hex").reverse().toString("hex")).join("+")

const hashesIn = (message: Message.Message): string => {
  switch (message._tag) {
    case "Tx":
      return asOnTheWire(message.transaction.id)
    case "Block":
      return [message.block.hash, ...message.block.transactionIds].map(asOnTheWire).join(",")
    case "Headers":
      return message.headers.map(({ hash }) => asOnTheWire(hash)).join(",")
    default:
      return ""
  }
}

/** What ours makes of a case, in the form of a foreign program's line. */
export const verdictOf = ({ bytes, maxBodyBytes, negotiatedVersion, network }: Case): string => {
  const { magic } = chains[network]
  const decoder = new Frame.FrameDecoder(magic, maxBodyBytes)
  decoder.push(bytes)
  const frame = decoder.next()
  if (Result.isFailure(frame)) return `E ${frame.failure._tag}`
  if (frame.success === undefined) return "I"
  const message = Message.decode(frame.success, { negotiatedVersion })
  if (Result.isFailure(message)) {
    const { failure } = message
    return `E ${failure._tag} ${failure._tag === "WireParse" ? failure.reason : failure._tag === "WireEof" ? failure.field : ""}`
  }
  if (message.success === undefined) return "I"
  const encoded = Message.encode(message.success, { magic, negotiatedVersion, maxBodyBytes })
  const hashes = hashesIn(message.success)
  if (Result.isFailure(encoded)) return `X ${encoded.failure._tag} ${hashes}`
  const { success } = encoded
  return `M ${Buffer.from(success.length <= 300 ? success : success.subarray(0, 24)).toString("hex")} ${hashes}`
}

// -- disagreement ------------------------------------------------------------------------------

/** Differences that are meant, by their names, and why. */
export const documented: Readonly<Record<string, string>> = {
  "a wrong magic is refused as soon as it is there":
    "ours says so after four bytes, and need not wait for a header of 24",
  "points and field elements are not looked at":
    "of transactions ours checks the structure; the program that validates does the rest"
}

const isOf = (command: string, ...commands: ReadonlyArray<string>) => commands.includes(command)

/** The command of a message, as far as it has one. */
export const commandOf = (bytes: Uint8Array): string => {
  const text = Buffer.from(bytes.subarray(4, 16)).toString("latin1").replace(/\0.*$/s, "")
  return /^[a-z0-9]+$/.test(text) ? text : "none"
}

/** The class of a disagreement, one of `documented` or another; `undefined` when both say the same. */
export const disagreement = (aCase: Case, theirs: string, ours: string): string | undefined => {
  const [theirKind = "", theirBytes = "", ...theirRest] = theirs.trim().split(" ")
  const [ourKind = "", ourBytes = "", ...ourRest] = ours.trim().split(" ")
  const command = commandOf(aCase.bytes)
  if (theirKind === "I" && ours === "E WrongMagic" && aCase.bytes.length < Frame.headerBytes) {
    return "a wrong magic is refused as soon as it is there"
  }
  if (theirKind === "E" && ourKind !== "E") {
    const isPoint =
      /point|field element|canonical|jubjub|pallas|\brk\b|cmu|invalid cv|nullifier|verification key|small.?order/i.test(
        theirs
      )
    if (isOf(command, "tx", "block") && isPoint) return "points and field elements are not looked at"
    // Figures in a reason are the case's, not the class's.
    return `${command}: refused there, not here: ${theirs.slice(2).replace(/\d+/g, "N").slice(0, 100)}`
  }
  if (ourKind === "E" && theirKind !== "E") return `${command}: refused here, not there: ${ours.slice(2)}`
  if (theirKind !== ourKind) return `${command}: ${theirKind} there, ${ourKind} here`
  if (theirKind !== "M") return undefined
  if (theirBytes !== ourBytes) return `${command}: encoded in another way`
  return theirRest.join(" ") === ourRest.join(" ") ? undefined : `${command}: another hash`
}

/** What came of many cases: for each class how many, and the shortest of them. */
export class Comparison {
  readonly classes = new Map<string, { count: number; shortest: Case; theirs: string; ours: string }>()
  readonly verdicts = new Map<string, number>()
  cases = 0

  add(aCase: Case, theirs: string): void {
    const ours = verdictOf(aCase)
    this.cases++
    const verdict = `${commandOf(aCase.bytes)} ${ours[0]}`
    this.verdicts.set(verdict, (this.verdicts.get(verdict) ?? 0) + 1)
    const name = disagreement(aCase, theirs, ours)
    if (name === undefined) return
    const known = this.classes.get(name)
    if (known === undefined) this.classes.set(name, { count: 1, shortest: aCase, theirs, ours })
    else {
      known.count++
      if (aCase.bytes.length < known.shortest.bytes.length) Object.assign(known, { shortest: aCase, theirs, ours })
    }
  }

  /** Classes that are not documented. */
  get unknown(): ReadonlyArray<string> {
    return [...this.classes.keys()].filter((name) => !(name in documented))
  }
}

// -- cases -------------------------------------------------------------------------------------

const commands = [
  "version",
  "verack",
  "ping",
  "pong",
  "reject",
  "getaddr",
  "addr",
  "addrv2",
  "getblocks",
  "getheaders",
  "inv",
  "getdata",
  "notfound",
  "headers",
  "block",
  "tx",
  "mempool",
  "filterload",
  "filteradd",
  "filterclear",
  "other"
]

/** Counts at which some limit is, and those around them. */
const limits = [
  0, 1, 101, 160, 252, 253, 256, 512, 520, 1000, 1024, 36_000, 50_000, 65_535, 65_536, 2_097_152, 0x0200_0000,
  0xffff_ffff
]

/** A count as it is written, also in forms that are longer than they need be. */
const written = (count: number, form: number): Buffer => {
  const bytes = Buffer.alloc(form === 0 ? 1 : form === 1 ? 3 : form === 2 ? 5 : 9)
  if (form === 0) bytes.writeUInt8(count & 0xff)
  else if (form === 1) bytes.writeUInt16LE(count & 0xffff, 1)
  else if (form === 2) bytes.writeUInt32LE(count, 1)
  else bytes.writeBigUInt64LE(BigInt(count), 1)
  if (form > 0) bytes[0] = 0xfc + form
  return bytes
}

/** Cases without end, the same for one seed: random, mutated and boundary bodies of every command, and frames that are none. */
export function* casesOf(seed: number): Generator<Case, never> {
  const draw = SeededRandom.draws(seed, "codec")
  const below = (bound: number) => draw() % bound
  const pick = <A>(list: ReadonlyArray<A>): A => list[below(list.length)]!
  const random = (length: number) => Buffer.from(Array.from({ length }, () => below(256)))
  const samples = Effect.runSync(
    Arbitrary.sampleEffect(Generators.message, { count: 1500, seed: below(2 ** 31), size: 25 })
  ).flatMap((message) => {
    const options = {
      magic: regtest.magic,
      negotiatedVersion: Generators.negotiatedVersion,
      maxBodyBytes: Frame.maxBodyBytes
    }
    const forms = [
      Message.encode(message, options),
      ...(message._tag === "Addr" ? [Message.encodeAddrV2(message, options)] : [])
    ]
    return forms.filter(Result.isSuccess).map(({ success }) => Buffer.from(success))
  })

  const changed = (original: Buffer): Buffer => {
    let body = original
    for (let changes = 1 + below(3); changes > 0; changes--) {
      const at = below(body.length + 1)
      const [before, after] = [body.subarray(0, at), body.subarray(at)]
      switch (below(6)) {
        case 0:
          body = Buffer.concat([before, random(1), after.subarray(1)])
          break
        case 1:
          body = before
          break
        case 2:
          body = Buffer.concat([before, random(1 + below(9)), after])
          break
        case 3:
          body = Buffer.concat([
            before,
            written((pick(limits) + below(3) - 1 + (below(2) === 0 ? 0 : 1)) >>> 0, below(4)),
            after.subarray(1)
          ])
          break
        case 4:
          body = Buffer.concat([before, after.subarray(1 + below(40))])
          break
        case 5:
          body = Buffer.concat([before, Buffer.from(pick(["00", "ff", "7f", "80"]).repeat(1 + below(8)), "hex"), after])
          break
      }
    }
    return body
  }

  const next = (): Unsealed => {
    const sample = pick(samples)
    const command = sample.toString("latin1", 4, 16).replace(/\0.*$/s, "")
    const body = sample.subarray(Frame.headerBytes)
    switch (below(10)) {
      case 0:
        return { command: pick(commands), body: random(below(120)) }
      case 1:
        return { command: pick(commands), body }
      case 2:
        return { command: pick(commands), body: Buffer.concat([written(pick(limits), below(4)), random(below(80))]) }
      case 3:
        return { command, body }
      default:
        return { command, body: changed(body) }
    }
  }

  for (;;) {
    const network = pick([0, 1, 2] as const)
    const bytes = Buffer.from(Frame.encode(chains[network].magic, next()))
    // Some frames are broken themselves, and some stop short.
    const kind = below(40)
    if (kind === 0) bytes[below(Math.min(bytes.length, Frame.headerBytes))]! ^= 1 << below(8)
    yield {
      network,
      negotiatedVersion: pick([Generators.negotiatedVersion, Generators.negotiatedVersion, 170_150, 70_002]),
      maxBodyBytes: below(8) === 0 ? Frame.maxHandshakeBodyBytes : Frame.maxBodyBytes,
      bytes: kind === 1 ? bytes.subarray(0, below(bytes.length)) : bytes
    }
  }
}

interface Unsealed {
  readonly command: string
  readonly body: Uint8Array
}
