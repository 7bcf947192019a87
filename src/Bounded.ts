/**
 * Maps and sets that hold no more than they may: what came first goes first.
 *
 * @module
 */

/**
 * Drops what was put in first, until at most `limit` are left. What is put in again stays in its place, unless it was taken out before.
 * For bounds that are seldom met: a map whose oldest key goes again and again looks through all that went before it.
 */
export const dropOldest = (kept: Map<unknown, unknown> | Set<unknown>, limit: number): void => {
  let over = kept.size - limit
  // Most times; looking for the oldest costs more.
  if (over <= 0) return
  for (const oldest of kept.keys()) {
    kept.delete(oldest)
    if (--over <= 0) return
  }
}
