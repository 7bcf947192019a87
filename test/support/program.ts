/**
 * The program in few files, as the package has it: it starts in less than half the time that it takes from the sources, and most
 * tests of a process are little else. It is made by whichever test is the first to start it, and anew when a source has changed.
 *
 * @module
 */
import { spawnSync } from "node:child_process"
import { createHash, randomUUID } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = new URL("../..", import.meta.url).pathname
const programs = join(root, "test/.program")

/** What the program is made of, and what makes it. */
const hashOfSources = (): string => {
  const hash = createHash("sha256")
  for (const folder of ["src", "layers", "scripts"]) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).toSorted()) {
      if (!/\.(?:[jt]s|html|css)$/.test(name) || (folder === "scripts" && name.includes("/"))) continue
      hash.update(`${folder}/${name}\0`).update(readFileSync(join(root, folder, name)))
    }
  }
  return hash.digest("hex").slice(0, 16)
}

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Whether it is ours to make it: nobody else that still runs does. */
const isOurs = (lock: string): boolean => {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" })
    return true
  } catch {
    const maker = existsSync(lock) ? Number(readFileSync(lock, "utf8")) : 0
    // Written in two steps: nobody is named for a moment.
    if (maker > 0 && !isRunning(maker)) rmSync(lock, { force: true })
    return false
  }
}

const make = (to: string): void => {
  const unfinished = join(programs, randomUUID())
  mkdirSync(unfinished)
  const { status, stderr } = spawnSync(process.execPath, ["scripts/build.ts", unfinished], {
    cwd: root,
    encoding: "utf8"
  })
  if (status !== 0) throw new Error(`the program cannot be made: ${stderr}`)
  renameSync(unfinished, to)
}

/** Those of sources that have been others for a day. */
const removeOld = (): void => {
  for (const name of readdirSync(programs)) {
    const path = join(programs, name)
    if (Date.now() - statSync(path).mtimeMs > 86_400_000) rmSync(path, { recursive: true, force: true })
  }
}

/** Of these sources: the file that is run. */
export const program = (): string => {
  const folder = join(programs, hashOfSources())
  const lock = `${folder}.lock`
  mkdirSync(programs, { recursive: true })
  while (!existsSync(folder)) {
    if (!isOurs(lock)) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
      continue
    }
    try {
      if (!existsSync(folder)) make(folder)
      removeOld()
    } finally {
      rmSync(lock, { force: true })
    }
  }
  return join(folder, "layers/bin.js")
}
