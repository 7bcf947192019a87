/**
 * Random and mutated bytes against the codec: nothing may throw, loop, or be held beyond the limit.
 *
 *     npm run fuzz -- [--cases 1000000] [--seed N]
 *
 * Prints the seed, and for a failure the bytes. Needs nothing, writes nothing. Exit code 1 on the first failure.
 */
import { isDeepStrictEqual, parseArgs } from "node:util"
import { Arbitrary, Effect, Result } from "effect"
import { Frame, Message, regtest } from "network-effect"
import { Generators, SeededRandom } from "network-effect/simulation"

const { values } = parseArgs({
  options: { cases: { type: "string", default: "1000000" }, seed: { type: "string", default: "1" } }
})
const cases = Number(values.cases)
if (!Number.isInteger(cases) || cases < 1) {
  console.error(`fuzz: --cases ${values.cases} is not a number from 1 on`)
  process.exit(1)
}
const draw = SeededRandom.draws(values.seed, "fuzz")
const below = (bound: number) => draw() % bound
const options = {
  magic: regtest.magic,
  negotiatedVersion: Generators.negotiatedVersion,
  maxBodyBytes: Frame.maxBodyBytes
}

/** Whole messages to begin with; those with addresses in both of their forms. */
const samples = (
  await Effect.runPromise(Arbitrary.sampleEffect(Generators.message, { count: 2000, seed: below(2 ** 31), size: 30 }))
).flatMap((message) =>
  [Message.encode(message, options), ...(message._tag === "Addr" ? [Message.encodeAddrV2(message, options)] : [])].map(
    (bytes) => Buffer.from(Result.getOrThrow(bytes))
  )
)

const commands = (
  "version verack ping pong reject getaddr addr addrv2 getblocks getheaders inv headers getdata notfound block tx " +
  "mempool filterload filteradd filterclear other"
).split(" ")

const randomBytes = (length: number) => {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = below(256)
  return bytes
}

/** A body with a good checksum, so that what is in it is looked at. */
const mutated = (): Buffer => {
  const sample = samples[below(samples.length)]!
  const command =
    below(10) === 0 ? commands[below(commands.length)]! : sample.toString("latin1", 4, 16).replaceAll("\0", "")
  let body = Buffer.from(sample.subarray(Frame.headerBytes))
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = body.length === 0 ? 0 : below(body.length)
    switch (below(5)) {
      case 0:
        if (body.length > 0) body[at] = below(256)
        break
      case 1:
        if (body.length > 0) body[at]! ^= 1 << below(8)
        break
      case 2:
        body = body.subarray(0, at)
        break
      case 3:
        body = Buffer.concat([body.subarray(0, at), randomBytes(1 + below(9)), body.subarray(at)])
        break
      case 4:
        // The largest counts there are.
        body = Buffer.concat([body.subarray(0, at), Buffer.from("ffffffffffffffffff", "hex"), body.subarray(at + 1)])
        break
    }
  }
  return Buffer.from(Frame.encode(regtest.magic, { command, body }))
}

const nextCase = (): Buffer => {
  switch (below(8)) {
    case 0:
      return randomBytes(below(200))
    case 1:
      return Buffer.from(
        Frame.encode(regtest.magic, { command: commands[below(commands.length)]!, body: randomBytes(below(300)) })
      )
    case 2: {
      const bytes = mutated()
      bytes[below(bytes.length)]! ^= 1 << below(8)
      return bytes
    }
    default:
      return mutated()
  }
}

/** Entries that were built one by one. */
const elementsOf = (message: Message.Message): number => {
  switch (message._tag) {
    case "Inv":
    case "GetData":
    case "NotFound":
      return message.items.length
    case "Addr":
      return message.addresses.length
    case "Headers":
      return message.headers.length
    case "GetBlocks":
    case "GetHeaders":
      return message.known.length
    default:
      return 0
  }
}

type Decoded = ReturnType<typeof Message.decode>

const decodeInSlices = (frame: Frame.Frame, most: number): Decoded => {
  const slices = Message.decodeSlices(frame, options, most)
  for (;;) {
    const slice = slices.next()
    if (slice.done === true) return slice.value
  }
}

/** The same error, or a message that is said in the same way. */
const sameVerdict = (one: Decoded, other: Decoded): boolean => {
  if (Result.isFailure(one) || Result.isFailure(other)) return isDeepStrictEqual(one, other)
  if (one.success === undefined || other.success === undefined) return one.success === other.success
  const [bytes, otherBytes] = [one.success, other.success].map((message) => Message.encode(message, options))
  return isDeepStrictEqual(bytes, otherBytes)
}

/** Memory that must never be needed: a hundred times the longest message, and what Node itself has. */
const maxMemoryBytes = 512 * 1024 * 1024

const started = process.hrtime.bigint()
const outcomes = new Map<string, number>()
const count = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)

for (let n = 1; n <= cases; n++) {
  const bytes = nextCase()
  try {
    const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
    decoder.push(Uint8Array.from(bytes))
    if (decoder.bufferedBytes() > Frame.maxBodyBytes + Frame.headerBytes) throw new Error("too much is held")
    const frame = decoder.next()
    if (Result.isFailure(frame)) count(frame.failure._tag)
    else if (frame.success === undefined) count("incomplete")
    else {
      const message = Message.decode(frame.success, options)
      const sliced = decodeInSlices(frame.success, 1 + (n % 5))
      if (!sameVerdict(message, sliced)) throw new Error("in slices it is something else")
      if (Result.isFailure(message)) count(message.failure._tag)
      else if (message.success === undefined) count("ignored")
      else {
        count("accepted")
        // What was accepted is no more than its bytes can hold, and can be looked at and said again.
        const { success } = message
        if (elementsOf(success) > bytes.length) throw new Error("more was built than there are bytes")
        if (success._tag === "Block") void success.block.transactionIds
        if (success._tag === "Tx")
          void [success.transaction.id, success.transaction.inputs, success.transaction.outputs]
        Result.getOrThrow(Message.encode(success, options))
      }
    }
  } catch (error) {
    console.error(`fuzz: case ${n} of seed ${values.seed} failed: ${String(error)}\n  bytes: ${bytes.toString("hex")}`)
    process.exit(1)
  }
  if (n % 100_000 === 0 || n === cases) {
    const seconds = Number(process.hrtime.bigint() - started) / 1e9
    const memory = process.memoryUsage().rss
    console.log(`seed ${values.seed}: ${n} cases in ${seconds.toFixed(1)} s, ${Math.round(memory / 1e6)} MB`)
    if (memory > maxMemoryBytes) {
      console.error(`fuzz: ${memory} bytes of memory are in use after case ${n} of seed ${values.seed}`)
      process.exit(1)
    }
  }
}
console.log([...outcomes].map(([outcome, times]) => `${outcome} ${times}`).join(", "))
