/**
 * What a package says that was packed without its scripts (`npm pack --ignore-scripts`): it would have the checkout's manifest
 * and no program. Runs when something is installed by that manifest; in the checkout it has nothing to say.
 */
import { existsSync } from "node:fs"

if (!existsSync(new URL("../src/index.ts", import.meta.url))) {
  console.error("network-effect: this file holds no program, as npm packed it without scripts: run npm pack alone")
  process.exit(1)
}
