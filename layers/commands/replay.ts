/**
 * `replay`, which needs no layers.
 *
 * @module
 */
import { replay } from "../../src/cli/replay.ts"

export const commands = [replay] as const
