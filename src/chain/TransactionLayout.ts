/**
 * Where the parts of a transaction are, found in one walk that builds nothing.
 *
 * The walk makes every structural check of the reference parser: canonical counts, amounts in range, coinbase heights,
 * branch ids, flags, proof lengths. Encodings that need curve arithmetic (points and field elements of Sapling, Orchard
 * and Ironwood) are left to the program that validates: such a transaction is delivered, not refused.
 *
 * Source: librustzcash zcash_primitives transaction/{mod,components}; zebra-chain transaction.rs, transparent/serialize.rs;
 * ZIP 202, 225, 229, 243.
 *
 * @module
 */
import { Result } from "effect"
import { maxTransactionCompactSize, type Reader } from "../bytes/Reader.ts"
import { isUpgradeAtLeast, type Upgrade, upgradeOfBranchId } from "./ChainParams.ts"
import { coinbaseHeight } from "./CoinbaseHeight.ts"

/**
 * Most bytes one transaction, and one block, may have.
 *
 * Source: zebra-chain block/serialize.rs, `MAX_BLOCK_BYTES`.
 */
export const maxBlockBytes = 2_000_000

/** All money there can be, in zatoshi: 21 million coins of 10^8. */
const maxMoney = 2_100_000_000_000_000

/** Actions of Orchard or Ironwood. Places are indices into the bytes of the transaction. */
export class ActionsLayout {
  count = 0
  /** `count` actions of 820 bytes. */
  actionsAt = 0
  /** Flags 1, value balance 8, anchor 32. */
  flagsAt = 0
  proofAt = 0
  proofLength = 0
  /** `count` signatures of 64 bytes, then the binding signature of 64. */
  signaturesAt = 0
}

/** What is only judged when all of the transaction was there: the first reason to refuse it. */
type LateProblem = string | undefined

/**
 * One transaction, as places in the bytes it was read from. Reused from transaction to transaction while a block is
 * walked, so every walk sets what later code reads.
 */
export class TransactionLayout {
  start = 0
  /** After the last byte. */
  end = 0
  /** 1 to 2^31 - 1. */
  version = 0
  overwintered = false
  /** 0 when there is none: v1 to v4. */
  branchId = 0
  lockTimeAt = 0
  /** 0 when there is none: v1 and v2. */
  expiryHeightAt = 0
  inputCount = 0
  inputsAt = 0
  outputCount = 0
  outputsAt = 0
  /** After the last output. */
  outputsEnd = 0
  /** Exactly one input, whose previous output is null. */
  isCoinbase = false
  joinSplitCount = 0
  joinSplitsAt = 0
  /** Bytes of one JoinSplit: its proof has 296 or 192. */
  joinSplitSize = 0
  spendCount = 0
  spendsAt = 0
  saplingOutputCount = 0
  saplingOutputsAt = 0
  /** 0 when absent. */
  saplingBalanceAt = 0
  /** Sapling parts that v5 and later keep apart. */
  saplingAnchorAt = 0
  spendProofsAt = 0
  spendSignaturesAt = 0
  outputProofsAt = 0
  bindingSignatureAt = 0
  readonly orchard = new ActionsLayout()
  readonly ironwood = new ActionsLayout()
  /** How many of each long list are behind the walk, and the place after them: where it goes on after a pause of the reader. */
  walkedInputs = 0
  walkedInputsTo = 0
  walkedOutputs = 0
  walkedOutputsTo = 0
  walkedJoinSplits = 0
  walkedJoinSplitsTo = 0
  inputProblem: LateProblem
  /** Whether the reader paused in it. */
  isHalfway = false
}

/** What version 6 is written with. An argument, so that published vectors with other ids can be read. */
export interface Version6Ids {
  readonly groupId: number
  readonly isBranchId: (branchId: number) => boolean
}

const version6Ids: Version6Ids = {
  groupId: 0xd884b698,
  isBranchId: (branchId) => {
    const upgrade = upgradeOfBranchId(branchId)
    return upgrade !== undefined && isUpgradeAtLeast(upgrade, "NU6.3")
  }
}

const version3GroupId = 0x03c48270
const version4GroupId = 0x892f2085
const version5GroupId = 0x26a7270a

const joinSplitSizePhgr = 1802
const joinSplitSizeGroth = 1698
const actionBytes = 820
const proofBytesBase = 2720
const proofBytesPerAction = 2272

/**
 * Walks one transaction from the reader's position. The reader ends up behind it, or has a failure, or has paused: then
 * `walkOn` has to follow once it is resumed. At most `maxBlockBytes` are read.
 */
export const walk = (reader: Reader, layout: TransactionLayout, ids: Version6Ids = version6Ids): void => {
  layout.walkedInputs = 0
  layout.walkedOutputs = 0
  layout.walkedJoinSplits = 0
  layout.isCoinbase = false
  layout.inputProblem = undefined
  walkFrom(reader.position, reader, layout, ids)
}

/** Goes on with a walk where the reader paused. All but the long lists is looked at again: that is nothing beside them. */
export const walkOn = (reader: Reader, layout: TransactionLayout, ids: Version6Ids = version6Ids): void =>
  walkFrom(layout.start, reader, layout, ids)

const walkFrom = (start: number, reader: Reader, layout: TransactionLayout, ids: Version6Ids): void => {
  reader.position = start
  const outerEnd = reader.end
  reader.end = Math.min(outerEnd, reader.position + maxBlockBytes)
  layout.start = reader.position
  const header = reader.u32("transaction header")
  layout.overwintered = header >>> 31 === 1
  layout.version = header & 0x7fff_ffff
  layout.branchId = 0
  layout.expiryHeightAt = 0
  layout.joinSplitCount = 0
  layout.spendCount = 0
  layout.saplingOutputCount = 0
  layout.saplingBalanceAt = 0
  layout.orchard.count = 0
  layout.ironwood.count = 0
  const late = layout.overwintered ? walkOverwintered(reader, layout, ids) : walkEarly(reader, layout)
  layout.end = reader.position
  layout.isHalfway = reader.isPaused
  reader.end = outerEnd
  if (reader.failure === undefined && late !== undefined) reader.refuse(late)
  else if (reader.failure === undefined && isUnbalanced(reader, layout)) reader.refuseBalance()
}

/** Whether the transaction has authorising data apart from its id: versions 5 and later. */
export const isWitnessed = (layout: TransactionLayout): boolean => layout.overwintered && layout.version >= 5

const walkEarly = (reader: Reader, layout: TransactionLayout): LateProblem => {
  if (layout.version === 0) reader.refuse("transaction version 0")
  const late = walkTransparent(reader, layout)
  layout.lockTimeAt = reader.position
  reader.skip(4, "lock time")
  // Any number above 1 has the layout of version 2.
  if (layout.version > 1) walkJoinSplits(reader, layout, joinSplitSizePhgr)
  return late
}

const walkOverwintered = (reader: Reader, layout: TransactionLayout, ids: Version6Ids): LateProblem => {
  const groupId = reader.u32("version group id")
  const { version } = layout
  if (version === 3 && groupId === version3GroupId) return walkVersion3(reader, layout)
  if (version === 4 && groupId === version4GroupId) return walkVersion4(reader, layout)
  if (version === 5 && groupId === version5GroupId) return walkVersion5(reader, layout)
  if (version === 6 && groupId === ids.groupId) return walkVersion6(reader, layout, ids)
  reader.refuse("unknown transaction version or version group id")
  return undefined
}

const walkVersion3 = (reader: Reader, layout: TransactionLayout): LateProblem => {
  const late = walkTransparent(reader, layout)
  walkTimes(reader, layout)
  walkJoinSplits(reader, layout, joinSplitSizePhgr)
  return late
}

const walkVersion4 = (reader: Reader, layout: TransactionLayout): LateProblem => {
  const late = walkTransparent(reader, layout)
  walkTimes(reader, layout)
  walkSaplingBalance(reader, layout)
  layout.spendCount = walkArray(reader, 384, "Sapling spends")
  layout.spendsAt = reader.position - layout.spendCount * 384
  layout.saplingOutputCount = walkArray(reader, 948, "Sapling outputs")
  layout.saplingOutputsAt = reader.position - layout.saplingOutputCount * 948
  walkJoinSplits(reader, layout, joinSplitSizeGroth)
  if (layout.spendCount + layout.saplingOutputCount > 0) {
    layout.bindingSignatureAt = reader.position
    reader.skip(64, "Sapling binding signature")
  }
  return late ?? coinbaseSpendsProblem(layout)
}

const walkVersion5 = (reader: Reader, layout: TransactionLayout): LateProblem => {
  layout.branchId = reader.u32("consensus branch id")
  const upgrade = layout.branchId === 0 ? "Genesis" : upgradeOfBranchId(layout.branchId)
  if (upgrade === undefined) reader.refuse("unknown consensus branch id")
  const late = walkFromVersion5(reader, layout)
  walkActions(reader, layout.orchard, upgrade, 0b011, "Orchard")
  return late ?? coinbaseSpendsProblem(layout)
}

const walkVersion6 = (reader: Reader, layout: TransactionLayout, ids: Version6Ids): LateProblem => {
  layout.branchId = reader.u32("consensus branch id")
  const accepted = ids.isBranchId(layout.branchId)
  const upgrade = accepted ? "NU6.3" : upgradeOfBranchId(layout.branchId)
  if (upgrade === undefined && layout.branchId !== 0) reader.refuse("unknown consensus branch id")
  const late = walkFromVersion5(reader, layout)
  walkActions(reader, layout.orchard, upgrade, 0b011, "Orchard")
  walkActions(reader, layout.ironwood, upgrade, 0b111, "Ironwood")
  return accepted ? (late ?? coinbaseSpendsProblem(layout)) : "version 6 under a branch id older than NU6.3"
}

/** What versions 5 and 6 share: from the lock time to the end of Sapling. */
const walkFromVersion5 = (reader: Reader, layout: TransactionLayout): LateProblem => {
  walkTimes(reader, layout)
  const late = walkTransparent(reader, layout)
  const spends = (layout.spendCount = walkArray(reader, 96, "Sapling spends"))
  layout.spendsAt = reader.position - spends * 96
  const outputs = (layout.saplingOutputCount = walkArray(reader, 756, "Sapling outputs"))
  layout.saplingOutputsAt = reader.position - outputs * 756
  if (spends + outputs === 0) return late
  walkSaplingBalance(reader, layout)
  layout.saplingAnchorAt = reader.position
  if (spends > 0) reader.skip(32, "Sapling anchor")
  layout.spendProofsAt = reader.position
  reader.skip(192 * spends, "Sapling spend proofs")
  layout.spendSignaturesAt = reader.position
  reader.skip(64 * spends, "Sapling spend signatures")
  layout.outputProofsAt = reader.position
  reader.skip(192 * outputs, "Sapling output proofs")
  layout.bindingSignatureAt = reader.position
  reader.skip(64, "Sapling binding signature")
  return late
}

const walkTimes = (reader: Reader, layout: TransactionLayout): void => {
  layout.lockTimeAt = reader.position
  layout.expiryHeightAt = reader.position + 4
  reader.skip(8, "lock time and expiry height")
}

/** A count and that many items of one size, none of which has anything to check. Returns the count. */
const walkArray = (reader: Reader, size: number, field: string): number => {
  const count = reader.compactSize(maxTransactionCompactSize, field)
  reader.skip(count * size, field)
  return count
}

const walkTransparent = (reader: Reader, layout: TransactionLayout): LateProblem => {
  const inputs = reader.compactSize(maxTransactionCompactSize, "input count")
  layout.inputCount = inputs
  layout.inputsAt = reader.position
  let input = layout.walkedInputs
  if (input > 0) reader.position = layout.walkedInputsTo
  for (; input < inputs && reader.goesOn; input++) {
    const at = reader.position
    reader.skip(36, "previous output")
    const length = reader.compactSize(maxTransactionCompactSize, "input script length")
    const scriptAt = reader.position
    reader.skip(length, "input script")
    reader.skip(4, "sequence")
    if (reader.failure === undefined && isNullOutput(reader.bytes, at)) {
      layout.isCoinbase = inputs === 1
      const height = coinbaseHeight(reader.bytes, scriptAt, length)
      if (Result.isFailure(height)) layout.inputProblem ??= height.failure
    }
  }
  layout.walkedInputs = input
  layout.walkedInputsTo = reader.position
  const outputs = reader.compactSize(maxTransactionCompactSize, "output count")
  layout.outputCount = outputs
  layout.outputsAt = reader.position
  let output = layout.walkedOutputs
  if (output > 0) reader.position = layout.walkedOutputsTo
  for (; output < outputs && reader.goesOn; output++) {
    walkAmount(reader, "output value")
    reader.skip(reader.compactSize(maxTransactionCompactSize, "output script length"), "output script")
  }
  layout.walkedOutputs = output
  layout.walkedOutputsTo = reader.position
  layout.outputsEnd = reader.position
  return layout.inputProblem
}

const walkJoinSplits = (reader: Reader, layout: TransactionLayout, size: number): void => {
  const count = reader.compactSize(maxTransactionCompactSize, "JoinSplit count")
  layout.joinSplitCount = count
  layout.joinSplitsAt = reader.position
  layout.joinSplitSize = size
  let joinSplit = layout.walkedJoinSplits
  if (joinSplit > 0) reader.position = layout.walkedJoinSplitsTo
  for (; joinSplit < count && reader.goesOn; joinSplit++) {
    walkAmount(reader, "JoinSplit value")
    walkAmount(reader, "JoinSplit value")
    reader.skip(size - 16, "JoinSplit")
  }
  layout.walkedJoinSplits = joinSplit
  layout.walkedJoinSplitsTo = reader.position
  if (count > 0) reader.skip(96, "JoinSplit key and signature")
}

const walkActions = (
  reader: Reader,
  actions: ActionsLayout,
  upgrade: Upgrade | undefined,
  allowedFlags: number,
  name: string
): void => {
  const count = reader.compactSize(maxTransactionCompactSize, `${name} actions`)
  actions.count = count
  if (count === 0) return
  if (upgrade === undefined || !isUpgradeAtLeast(upgrade, "NU5")) reader.refuse(`${name} actions before their upgrade`)
  actions.actionsAt = reader.position
  reader.skip(count * actionBytes, `${name} actions`)
  actions.flagsAt = reader.position
  if ((reader.u8(`${name} flags`) & ~allowedFlags) !== 0) reader.refuse(`${name} flags with a reserved bit`)
  walkBalance(reader, `${name} balance`)
  reader.skip(32, `${name} anchor`)
  const length = reader.compactSize(maxTransactionCompactSize, `${name} proof length`)
  actions.proofAt = reader.position
  actions.proofLength = length
  reader.skip(length, `${name} proof`)
  const canonical = proofBytesBase + proofBytesPerAction * count
  if (upgrade !== undefined && isUpgradeAtLeast(upgrade, "NU6.2") && length !== canonical) {
    reader.refuse(`${name} proof of another length than its actions need`)
  }
  actions.signaturesAt = reader.position
  reader.skip(64 * count + 64, `${name} signatures`)
}

/** An amount in 0 to `maxMoney`. */
const walkAmount = (reader: Reader, field: string): void => {
  const low = reader.u32(field)
  const value = reader.u32(field) * 0x1_0000_0000 + low
  if (value > maxMoney) reader.refuse(`${field} out of range`)
}

/** A difference of amounts: at most `maxMoney` either way. Beyond 2^53 it is not exact, and refused anyway. */
const walkBalance = (reader: Reader, field: string): void => {
  const low = reader.u32(field)
  const value = (reader.u32(field) | 0) * 0x1_0000_0000 + low
  if (Math.abs(value) > maxMoney) reader.refuse(`${field} out of range`)
}

const walkSaplingBalance = (reader: Reader, layout: TransactionLayout): void => {
  layout.saplingBalanceAt = reader.position
  walkBalance(reader, "Sapling balance")
}

/** Where the input at `at`, which was walked before, ends. */
export const inputEnd = (bytes: Buffer, at: number): number => {
  const first = bytes[at + 36]!
  return first < 0xfd
    ? at + 41 + first
    : first === 0xfd
      ? at + 43 + bytes.readUInt16LE(at + 37)
      : at + 45 + bytes.readUInt32LE(at + 37)
}

/** The previous output of a coinbase input: 32 zero bytes and the index 2^32 - 1. */
const isNullOutput = (bytes: Buffer, at: number): boolean => {
  for (let i = at + 32; i < at + 36; i++) if (bytes[i] !== 0xff) return false
  for (let i = at; i < at + 32; i++) if (bytes[i] !== 0) return false
  return true
}

const coinbaseSpendsProblem = (layout: TransactionLayout): LateProblem =>
  layout.isCoinbase && layout.spendCount > 0 ? "coinbase with Sapling spends" : undefined

/** Version 4 always has a Sapling balance; without spends and outputs it has nothing to balance. */
const isUnbalanced = ({ bytes }: Reader, layout: TransactionLayout): boolean => {
  if (layout.version !== 4 || !layout.overwintered || layout.spendCount + layout.saplingOutputCount > 0) return false
  const at = layout.saplingBalanceAt
  return bytes.readUInt32LE(at) !== 0 || bytes.readUInt32LE(at + 4) !== 0
}
