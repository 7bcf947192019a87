#!/usr/bin/env node
/**
 * The entry of the command: whether this Node can run it, and then the rest.
 *
 * JavaScript, and without an import of its own, so that a Node that is too old still reads it and can be told so: `main.ts`
 * would end there with a stack trace.
 *
 * @module
 */

/** Source: `engines` of package.json, which is what `@effect/platform-node` asks for. */
const needed = [22, 19, 0]

/** @param {string} version */
const isEnough = (version) => {
  const parts = version.split(".").map(Number)
  const differing = needed.findIndex((part, i) => part !== parts[i])
  return differing < 0 || Number(parts[differing]) > Number(needed[differing])
}

if (isEnough(process.versions.node)) {
  // A failure of its own has its own words; what is thrown here is a broken installation, which Node reports.
  void import("./main.ts")
} else {
  process.stderr.write(
    `network-effect: Node ${process.versions.node} is too old: install ${needed.join(".")} or later, see https://nodejs.org\n`
  )
  process.exitCode = 1
}
