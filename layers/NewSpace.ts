/**
 * How large V8's space for new objects may become.
 *
 * `bin.js` holds it at its first megabyte while modules are read: nearly all of what they make stays, and copying that to and
 * fro would leave 32 MB behind that nobody uses. A node that works lets it grow again, for what it makes is mostly garbage.
 *
 * @module
 */
import { setFlagsFromString } from "node:v8"
import { Effect, Layer } from "effect"

/** Lets it double whenever much of it is still in use, which is V8's default. */
export const layerMayGrow = Layer.effectDiscard(Effect.sync(() => setFlagsFromString("--semi-space-growth-factor=2")))
