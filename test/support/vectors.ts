/**
 * Test vectors outside of the project, in the folder that NETWORK_EFFECT_VECTORS names. What is in the project itself
 * (`goldens.ts`) is always tested.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"

const folder = process.env["NETWORK_EFFECT_VECTORS"]

export const hasVectors = folder !== undefined && folder !== ""
if (!hasVectors) console.log("more test vectors are skipped: NETWORK_EFFECT_VECTORS names no folder")

const path = (name: string): string => join(folder ?? "", name)

export const readJson = <A>(name: string): A => JSON.parse(readFileSync(path(name), "utf8")) as A

/** Of a file of raw bytes, or of one line of hexadecimal digits. */
export const readBytes = (name: string): Buffer =>
  name.endsWith(".bin") ? readFileSync(path(name)) : Buffer.from(readFileSync(path(name), "utf8").trim(), "hex")
