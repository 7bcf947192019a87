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

/**
 * What each signal ends with. To be told to stop is no failure; to be interrupted is what shells call 130.
 *
 * @type {Readonly<Record<string, number>>}
 */
const codes = { SIGINT: 130, SIGTERM: 0, SIGHUP: 0 }

/** Ends what runs, in order; there once something runs. @type {((code: number) => void) | undefined} */
let stop
let isStopping = false

for (const [signal, code] of Object.entries(codes)) {
  process.on(signal, () => {
    // Before anything runs there is nothing to close, and who asks twice does not want to wait.
    if (stop === undefined || isStopping) process.exit(code)
    isStopping = true
    stop(code)
  })
}

// Node opens a debugger by this one, on a port that every user of the machine reaches, and others use it to have logs rotated.
process.on("SIGUSR1", () => {})

// Whoever read what we print has gone, which is how `| head -1` says that it is enough: end in order.
process.stdout.on("error", (/** @type {NodeJS.ErrnoException} */ error) => {
  if (error.code === "EPIPE") process.kill(process.pid, "SIGTERM")
})
/** Commands that go on when what they print cannot be written. Any other is there to print it. */
const lasting = ["start", "devnet", "top"]
process.on("exit", (code) => {
  const error = /** @type {NodeJS.ErrnoException | null} */ (process.stdout.errored)
  if (code !== 0 || error === null || error.code === "EPIPE" || lasting.some((name) => process.argv.includes(name)))
    return
  process.stderr.write(`network-effect: what this command prints cannot be written: ${error.code}\n`)
  process.exitCode = 1
})
// Logs that nobody can read are no reason to end.
process.stderr.on("error", () => {})

/**
 * Keeps what V8 has compiled in the user's own folder of caches, so that the next start takes two thirds of the time. Where
 * that can't be written there is none, and nothing is said: it is only slower. `NODE_DISABLE_COMPILE_CACHE=1` turns it off.
 */
const keepCompiled = async () => {
  const { HOME, XDG_CACHE_HOME } = process.env
  const caches = XDG_CACHE_HOME || (HOME && `${HOME}/.cache`)
  if (!caches) return
  // One by one: Node's own way to make all of a path never ends, and lets no signal through, where the system says of a folder
  // that is there that it is not, as /proc does.
  const { mkdir } = await import("node:fs/promises")
  for (const folder of [caches, `${caches}/network-effect`, `${caches}/network-effect/compiled`]) {
    const isThere = await mkdir(folder).then(
      () => true,
      (/** @type {NodeJS.ErrnoException} */ error) => error.code === "EEXIST"
    )
    if (!isThere) return
  }
  const { enableCompileCache } = await import("node:module")
  // Not there in runtimes that only resemble Node.
  enableCompileCache?.(`${caches}/network-effect/compiled`)
}

/**
 * Lets V8's space for new objects grow under load, to so many bytes and not to twice as many: where it is smaller, garbage grows
 * old before it is found, and stays until the next full collection. A node with its status interface has 101 MB, and 132 to 153
 * after a flood of `inv`; where that space stays as it is after the start, or grows on, 224.
 *
 * @param {number} bytes
 */
const keepNewSpaceAt = (bytes) => {
  const { getHeapSpaceStatistics, setFlagsFromString } = process.getBuiltinModule("node:v8")
  const isLarge = () =>
    getHeapSpaceStatistics().some(({ space_name, space_size }) => space_name === "new_space" && space_size >= bytes)
  // It doubles only after what lived long enough would have filled it, which takes a flood a second.
  const timer = setInterval(() => {
    if (!isLarge()) return
    setFlagsFromString("--semi-space-growth-factor=1")
    clearInterval(timer)
  }, 250).unref()
}

const isSomewhere = () => {
  try {
    return process.cwd() !== ""
  } catch {
    return false
  }
}

if (!isEnough(process.versions.node)) {
  process.stderr.write(
    `network-effect: Node ${process.versions.node} is too old: install ${needed.join(".")} or later, see https://nodejs.org\n`
  )
  process.exitCode = 1
} else if (!isSomewhere()) {
  process.stderr.write("network-effect: the folder it was started in is gone: go to another one with cd\n")
  process.exitCode = 1
} else {
  const { setFlagsFromString } = process.getBuiltinModule("node:v8")
  // What peers send is garbage a moment later. Yet V8 puts what such code makes among the old objects as soon as some of it has
  // lasted, and there it stays until the next full collection: a flood of `addr` takes 150 MB more. Before the code is loaded.
  setFlagsFromString("--no-allocation-site-pretenuring")
  // A full collection comes when there are a quarter more old objects than the last one left, and not four times as many, which V8
  // allows where there is much memory: two minutes of `inv` took 122 MB more; with half as many again 41, and of `getdata` 65.
  setFlagsFromString("--heap-growing-percent=25")
  // Of a census V8's space for new objects never grows: with 59 460 known hosts it has 180 MB instead of 250.
  if (process.argv[2] === "census") setFlagsFromString("--semi-space-growth-factor=1")
  // The package has several modules in one file: where they were, and on which line, is what stack traces say. It is among those
  // of others then; elsewhere the maps of those are left alone, for to read them takes a fifth of the start.
  const { setSourceMapsSupport } = process.getBuiltinModule("node:module")
  setSourceMapsSupport?.(true, { nodeModules: import.meta.url.includes("/node_modules/"), generatedCode: false })
  // PostgreSQL's client is a package beside this one, and stands on the Effect beside it: what speaks with it stands there too.
  const isOnPostgres = process.argv.some((argument) => /^(--store=)?postgres(ql)?:\/\//i.test(argument))
  // A failure of its own has its own words; what is thrown here is a broken installation, which Node reports.
  void keepCompiled()
    .then(() => (isOnPostgres ? import("./main.ts") : import("./program.ts")))
    .then(({ run }) => {
      keepNewSpaceAt(32e6)
      return run((stopping) => {
        stop = stopping
      })
    })
}
