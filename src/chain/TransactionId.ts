/**
 * What names a transaction: its id, and the digest of its authorising data.
 *
 * Versions 1 to 4 are named by the SHA-256d of their bytes. Later ones have two trees of personalised BLAKE2b, one over
 * what the transaction does (the id) and one over what authorises it (proofs, signatures, scripts of inputs). Both are
 * computed from the places a `TransactionLayout` found, without building anything. All results are in the order of the
 * wire.
 *
 * Source: ZIP 244 (version 5), ZIP 229 (version 6), ZIP 239 (the pair).
 *
 * @module
 */
import { Buffer } from "node:buffer"
import { blake2b256, type Blake2bInput, sha256d } from "../bytes/Hashing.ts"
import { type ActionsLayout, inputEnd, isWitnessed, type TransactionLayout } from "./TransactionLayout.ts"

/** The id of the transaction laid out in `bytes`. */
export const txId = (bytes: Buffer, layout: TransactionLayout): Buffer =>
  isWitnessed(layout)
    ? root("ZcashTxHash_", layout, [
        headerDigest(bytes, layout),
        transparentDigest(bytes, layout),
        saplingDigest(bytes, layout),
        actionsDigest(bytes, layout.orchard, layout.version === 5 ? orchardV5 : orchardV6),
        ...(layout.version === 5 ? [] : [actionsDigest(bytes, layout.ironwood, ironwood)])
      ])
    : sha256d(bytes.subarray(layout.start, layout.end))

/** The digest of the authorising data of a transaction of version 5 or later. */
export const authDigest = (bytes: Buffer, layout: TransactionLayout): Buffer =>
  root("ZTxAuthHash_", layout, [
    transparentAuthDigest(bytes, layout),
    saplingAuthDigest(bytes, layout),
    actionsAuthDigest(bytes, layout.orchard, layout.version === 5 ? orchardV5 : orchardV6),
    ...(layout.version === 5 ? [] : [actionsAuthDigest(bytes, layout.ironwood, ironwood)])
  ])

const root = (prefix: string, layout: TransactionLayout, parts: ReadonlyArray<Buffer>): Buffer => {
  const personalization = Buffer.from(`${prefix}\0\0\0\0`, "latin1")
  personalization.writeUInt32LE(layout.branchId, 12)
  return blake2b256(personalization, (input) => parts.forEach((part) => input.update(part, 0, 32)))
}

/** A kind of node, with the digest it has when there is nothing in it. */
interface NodeKind {
  readonly personalization: Buffer
  readonly empty: Buffer
}

const nodeKind = (name: string): NodeKind => {
  const personalization = Buffer.from(name, "latin1")
  return { personalization, empty: blake2b256(personalization, () => undefined) }
}

const digest = (kind: NodeKind, feed: (input: Blake2bInput) => void): Buffer => blake2b256(kind.personalization, feed)

const all = (input: Blake2bInput, ...parts: ReadonlyArray<Buffer>): void => {
  for (const part of parts) input.update(part, 0, 32)
}

// -- header --------------------------------------------------------------------------------------

const headerKind = nodeKind("ZTxIdHeadersHash")

/** Header, version group id, branch id, lock time and expiry height: the first 20 bytes. */
const headerDigest = (bytes: Buffer, layout: TransactionLayout): Buffer =>
  digest(headerKind, (input) => input.update(bytes, layout.start, layout.start + 20))

// -- transparent ---------------------------------------------------------------------------------

const transparentKind = nodeKind("ZTxIdTranspaHash")
const previousOutputsKind = nodeKind("ZTxIdPrevoutHash")
const sequencesKind = nodeKind("ZTxIdSequencHash")
const outputsKind = nodeKind("ZTxIdOutputsHash")
const transparentAuthKind = nodeKind("ZTxAuthTransHash")

const transparentDigest = (bytes: Buffer, layout: TransactionLayout): Buffer => {
  if (layout.inputCount + layout.outputCount === 0) return transparentKind.empty
  const previousOutputs = digest(previousOutputsKind, (input) =>
    eachInput(bytes, layout, (at) => input.update(bytes, at, at + 36))
  )
  const sequences = digest(sequencesKind, (input) =>
    eachInput(bytes, layout, (_at, end) => input.update(bytes, end - 4, end))
  )
  // Outputs are hashed as they are written, one after the other.
  const outputs = digest(outputsKind, (input) => input.update(bytes, layout.outputsAt, layout.outputsEnd))
  return digest(transparentKind, (input) => all(input, previousOutputs, sequences, outputs))
}

const transparentAuthDigest = (bytes: Buffer, layout: TransactionLayout): Buffer =>
  digest(transparentAuthKind, (input) =>
    // The script of an input with its length is what lies between the previous output and the sequence.
    eachInput(bytes, layout, (at, end) => input.update(bytes, at + 36, end - 4))
  )

const eachInput = (bytes: Buffer, layout: TransactionLayout, visit: (at: number, end: number) => void): void => {
  let at = layout.inputsAt
  for (let i = 0; i < layout.inputCount; i++) {
    const end = inputEnd(bytes, at)
    visit(at, end)
    at = end
  }
}

// -- sapling -------------------------------------------------------------------------------------

const saplingKind = nodeKind("ZTxIdSaplingHash")
const spendsKind = nodeKind("ZTxIdSSpendsHash")
const spendsCompactKind = nodeKind("ZTxIdSSpendCHash")
const spendsNoncompactV5Kind = nodeKind("ZTxIdSSpendNHash")
const spendsNoncompactV6Kind = nodeKind("ZTxIdSSpendNH_v6")
const saplingOutputsKind = nodeKind("ZTxIdSOutputHash")
const outputsCompactKind = nodeKind("ZTxIdSOutC__Hash")
const outputsMemosKind = nodeKind("ZTxIdSOutM__Hash")
const outputsNoncompactKind = nodeKind("ZTxIdSOutN__Hash")
const saplingAuthV5Kind = nodeKind("ZTxAuthSapliHash")
const saplingAuthV6Kind = nodeKind("ZTxAuthSapliH_v6")

/** Of a spend: value commitment 32, nullifier 32, randomised key 32. */
const spendBytes = 96
/** Of an output: value commitment 32, note commitment 32, ephemeral key 32, ciphertexts 580 and 80. */
const outputBytes = 756

const saplingDigest = (bytes: Buffer, layout: TransactionLayout): Buffer => {
  if (layout.spendCount + layout.saplingOutputCount === 0) return saplingKind.empty
  const spends = spendsDigest(bytes, layout)
  const outputs = saplingOutputsDigest(bytes, layout)
  return digest(saplingKind, (input) => {
    all(input, spends, outputs)
    input.update(bytes, layout.saplingBalanceAt, layout.saplingBalanceAt + 8)
  })
}

const spendsDigest = (bytes: Buffer, layout: TransactionLayout): Buffer => {
  const { spendCount, spendsAt } = layout
  if (spendCount === 0) return spendsKind.empty
  const end = spendsAt + spendCount * spendBytes
  const compact = digest(spendsCompactKind, (input) => {
    for (let at = spendsAt; at < end; at += spendBytes) input.update(bytes, at + 32, at + 64)
  })
  const noncompact = digest(layout.version === 5 ? spendsNoncompactV5Kind : spendsNoncompactV6Kind, (input) => {
    for (let at = spendsAt; at < end; at += spendBytes) {
      input.update(bytes, at, at + 32)
      // Version 6 moved the anchor to the authorising data.
      if (layout.version === 5) input.update(bytes, layout.saplingAnchorAt, layout.saplingAnchorAt + 32)
      input.update(bytes, at + 64, at + 96)
    }
  })
  return digest(spendsKind, (input) => all(input, compact, noncompact))
}

const saplingOutputsDigest = (bytes: Buffer, layout: TransactionLayout): Buffer => {
  const { saplingOutputCount, saplingOutputsAt } = layout
  if (saplingOutputCount === 0) return saplingOutputsKind.empty
  const end = saplingOutputsAt + saplingOutputCount * outputBytes
  const compact = digest(outputsCompactKind, (input) => {
    for (let at = saplingOutputsAt; at < end; at += outputBytes) input.update(bytes, at + 32, at + 148)
  })
  const memos = digest(outputsMemosKind, (input) => {
    for (let at = saplingOutputsAt; at < end; at += outputBytes) input.update(bytes, at + 148, at + 660)
  })
  const noncompact = digest(outputsNoncompactKind, (input) => {
    for (let at = saplingOutputsAt; at < end; at += outputBytes) {
      input.update(bytes, at, at + 32)
      input.update(bytes, at + 660, at + 756)
    }
  })
  return digest(saplingOutputsKind, (input) => all(input, compact, memos, noncompact))
}

const saplingAuthDigest = (bytes: Buffer, layout: TransactionLayout): Buffer => {
  const kind = layout.version === 5 ? saplingAuthV5Kind : saplingAuthV6Kind
  if (layout.spendCount + layout.saplingOutputCount === 0) return kind.empty
  return digest(kind, (input) => {
    // Spend proofs, spend signatures, output proofs and the binding signature follow one another.
    input.update(bytes, layout.spendProofsAt, layout.bindingSignatureAt + 64)
    if (layout.version > 5 && layout.spendCount > 0) {
      input.update(bytes, layout.saplingAnchorAt, layout.saplingAnchorAt + 32)
    }
  })
}

// -- orchard and ironwood ------------------------------------------------------------------------

interface ActionsKind {
  readonly id: NodeKind
  readonly auth: NodeKind
  readonly compact: NodeKind
  readonly memos: NodeKind
  readonly noncompact: NodeKind
  /** Whether the anchor is authorising data: from version 6 on. */
  readonly anchorIsAuth: boolean
}

/** Of an action: value commitment, nullifier, randomised key, note commitment, ephemeral key, ciphertexts 580 and 80. */
const actionBytes = 820

const orchardV5: ActionsKind = {
  id: nodeKind("ZTxIdOrchardHash"),
  auth: nodeKind("ZTxAuthOrchaHash"),
  compact: nodeKind("ZTxIdOrcActCHash"),
  memos: nodeKind("ZTxIdOrcActMHash"),
  noncompact: nodeKind("ZTxIdOrcActNHash"),
  anchorIsAuth: false
}

const orchardV6: ActionsKind = {
  ...orchardV5,
  id: nodeKind("ZTxIdOrchardH_v6"),
  auth: nodeKind("ZTxAuthOrchaH_v6"),
  anchorIsAuth: true
}

const ironwood: ActionsKind = {
  id: nodeKind("ZTxIdIronwd_H_v6"),
  auth: nodeKind("ZTxAuthIrnwdH_v6"),
  compact: nodeKind("ZTxIdIrnActCH_v6"),
  memos: nodeKind("ZTxIdIrnActMH_v6"),
  noncompact: nodeKind("ZTxIdIrnActNH_v6"),
  anchorIsAuth: true
}

const actionsDigest = (bytes: Buffer, actions: ActionsLayout, kind: ActionsKind): Buffer => {
  if (actions.count === 0) return kind.id.empty
  const { actionsAt, flagsAt } = actions
  const end = actionsAt + actions.count * actionBytes
  const compact = digest(kind.compact, (input) => {
    for (let at = actionsAt; at < end; at += actionBytes) {
      input.update(bytes, at + 32, at + 64)
      input.update(bytes, at + 96, at + 212)
    }
  })
  const memos = digest(kind.memos, (input) => {
    for (let at = actionsAt; at < end; at += actionBytes) input.update(bytes, at + 212, at + 724)
  })
  const noncompact = digest(kind.noncompact, (input) => {
    for (let at = actionsAt; at < end; at += actionBytes) {
      input.update(bytes, at, at + 32)
      input.update(bytes, at + 64, at + 96)
      input.update(bytes, at + 724, at + 820)
    }
  })
  return digest(kind.id, (input) => {
    all(input, compact, memos, noncompact)
    // Flags and balance, then in version 5 the anchor behind them.
    input.update(bytes, flagsAt, flagsAt + (kind.anchorIsAuth ? 9 : 41))
  })
}

const actionsAuthDigest = (bytes: Buffer, actions: ActionsLayout, kind: ActionsKind): Buffer => {
  if (actions.count === 0) return kind.auth.empty
  return digest(kind.auth, (input) => {
    // The signatures follow the proof.
    input.update(bytes, actions.proofAt, actions.signaturesAt + 64 * actions.count + 64)
    if (kind.anchorIsAuth) input.update(bytes, actions.flagsAt + 9, actions.flagsAt + 41)
  })
}
