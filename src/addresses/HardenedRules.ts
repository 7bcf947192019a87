/**
 * Which rules of a hardened book hold: all of them, but in measurements of what each is worth.
 *
 * @module
 */

/** Each rule of `HardenedBook.ts` that can be switched off. */
export interface Rules {
  /** At most one or two outbound connections per group. */
  readonly groupLimit: boolean
  /** A draw takes a group first; else every address is as likely as any other. */
  readonly drawGroups: boolean
  /** Sources and groups have a part of the buckets; else all of them. */
  readonly tables: boolean
  /** Half of the dials go to whom we met. */
  readonly preferTried: boolean
  /** Places are kept for those first met a day ago. */
  readonly tenure: boolean
  /** What fails often is dialled less. */
  readonly failureWeight: boolean
  /** Addresses of one source cost tokens. */
  readonly sourceTokens: boolean
}

export const allRules: Rules = {
  groupLimit: true,
  drawGroups: true,
  tables: true,
  preferTried: true,
  tenure: true,
  failureWeight: true,
  sourceTokens: true
}
