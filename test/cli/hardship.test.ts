/** A node on a machine that is short of something: file descriptors, a disk, IPv6, a cache directory of its own, time to start. */
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { isLong } from "../support/long.ts"
import { compiled, isListening, makeHome, outcomeOf, type Run, runOf, startIn, until } from "../support/process.ts"
import { program } from "../support/program.ts"

const home = makeHome()
afterAll(home.remove)
const node = ["start", "--network", "regtest", "--listen", "127.0.0.1:0"] as const

/** Nodes that have one cache directory, which others have not. */
const sharing = (directory: string) => startIn(directory, { XDG_CACHE_HOME: directory })

const directoryOf = (name: string) => {
  const directory = join(home.directory, name)
  mkdirSync(directory)
  return directory
}

const portOf = (run: Run) => Number(/^listening on \S+:(\d+);/m.exec(run.output())?.[1])

/** A connection from a host of its own, when there is one: a host that was here is not let in again soon. */
const connection = (port: number, localAddress = "127.0.0.2") =>
  new Promise<net.Socket>((resolve, reject) => {
    const socket = net.connect({ port, host: "127.0.0.1", localAddress }, () => resolve(socket))
    socket.on("error", reject)
  })

const stop = async (run: Run) => {
  run.child.kill("SIGTERM")
  assert.deepStrictEqual(await run.ended, { code: 0, signal: null }, run.errors())
}

describe("a node", () => {
  it("with 48 file descriptors says that they are too few, and outlives guests who take them all", async () => {
    const directory = directoryOf("descriptors")
    const run = runOf(
      spawn("sh", ["-c", 'ulimit -n 48; exec "$0" "$@"', process.execPath, program(), ...node], {
        env: {
          PATH: process.env["PATH"] ?? "",
          HOME: directory,
          XDG_CACHE_HOME: directory,
          NODE_COMPILE_CACHE: compiled,
          NETWORK_EFFECT_STATUS: "off"
        },
        stdio: ["ignore", "pipe", "pipe"]
      })
    )
    await isListening(run)
    assert.include(run.errors(), "this process may open fewer files than it has places for connections")
    const guests = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) => connection(portOf(run), `127.1.${n}.1`))
    )
    for (const guest of guests) if (guest.status === "fulfilled") guest.value.destroy()
    // Their descriptors are free when they have left: the next one is spoken to.
    const next = await connection(portOf(run), "127.2.0.1")
    let heard = 0
    next.on("data", (bytes) => (heard += bytes.length))
    await until(() => heard > 0, "the next guest to be spoken to")
    next.destroy()
    await stop(run)
  })

  it("says that no folder can be made for its records, and does without one for its cache, where Node would try for ever", async () => {
    const refused = startIn(home.directory)(...node, "--record", "/proc/no-records")
    assert.deepStrictEqual((await outcomeOf(refused)).errors, [
      "network-effect: --record /proc/no-records cannot be written to (NotFound): name a folder of yours."
    ])
    const run = startIn(home.directory, { ZEBRA_NETWORK__CACHE_DIR: "/proc/no-cache" })(...node)
    await isListening(run)
    assert.include(run.errors(), "nothing can be kept in the cache directory; going on without it")
    await stop(run)
  })

  it("has a guest's descriptor back when it leaves before its turn, also one that has spoken", async () => {
    const run = sharing(directoryOf("turns"))(...node, "--json")
    await until(() => run.output().includes('"Listening"'), "the node to listen")
    const [, port = ""] = /"Listening".*?127\.0\.0\.1:(\d+)/.exec(run.output()) ?? []
    const sockets = () =>
      readdirSync(`/proc/${run.child.pid}/fd`).filter((fd) => {
        try {
          return readlinkSync(`/proc/${run.child.pid}/fd/${fd}`).startsWith("socket:")
        } catch {
          return false
        }
      }).length
    const before = sockets()
    const guests = await Promise.all(Array.from({ length: 40 }, (_, n) => connection(Number(port), `127.1.${n}.1`)))
    await until(() => sockets() > before + 20, "the guests to be taken in")
    for (const guest of guests) guest.end("hello")
    await until(() => sockets() === before, "the descriptors to be free")
    // Who had its turn is told of, and most have not had it.
    assert.isBelow(run.output().split('"HandshakeFailed"').length, 20)
    await stop(run)
  })

  it("with a home that cannot be written says so, keeps nothing, and goes on", async () => {
    const directory = directoryOf("file")
    const file = join(directory, "home")
    writeFileSync(file, "")
    const run = sharing(file)(...node)
    await isListening(run)
    assert.include(run.errors(), "nothing can be kept in the cache directory")
    await stop(run)
  })

  const shim = join(home.directory, "noipv6.so")
  const hasCompiler = (() => {
    const source = `
      #define _GNU_SOURCE
      #include <dlfcn.h>
      #include <errno.h>
      #include <sys/socket.h>
      int socket(int domain, int type, int protocol) {
        static int (*real)(int, int, int);
        if (domain == AF_INET6) { errno = EAFNOSUPPORT; return -1; }
        if (!real) real = (int (*)(int, int, int)) dlsym(RTLD_NEXT, "socket");
        return real(domain, type, protocol);
      }`
    try {
      execFileSync("cc", ["-shared", "-fPIC", "-x", "c", "-o", shim, "-"], { input: source, stdio: "pipe" })
      return true
    } catch {
      console.log("a node without IPv6 is not tried: there is no C compiler (cc) to take it away with")
      return false
    }
  })()

  it.skipIf(!hasCompiler)("without IPv6 listens on IPv4, with one warning", async () => {
    const run = startIn(directoryOf("ipv4"), { LD_PRELOAD: shim })(
      "start",
      "--network",
      "regtest",
      "--listen",
      "[::]:0"
    )
    await isListening(run)
    assert.match(run.output(), /^listening on 0\.0\.0\.0:\d+;/m)
    assert.lengthOf(run.errors().match(/this machine has no IPv6/g) ?? [], 1)
    ;(await connection(portOf(run))).destroy()
    await stop(run)
  })
})

describe("a signal", () => {
  it("that opens Node's debugger opens none", async () => {
    const run = startIn(directoryOf("debugger"))(...node)
    await isListening(run)
    run.child.kill("SIGUSR1")
    // A debugger says where it is at once; a guest's turn is later.
    for (const host of ["127.0.0.3", "127.1.0.3"]) {
      const guest = await connection(portOf(run), host)
      let heard = 0
      guest.on("data", (bytes) => (heard += bytes.length))
      await until(() => heard > 0, "a guest to be spoken to")
      guest.destroy()
    }
    await stop(run)
    assert.notInclude(run.errors(), "Debugger")
  })
})

describe("a cache directory", () => {
  it("is its owner's, and has one node for each chain: the second says who the first is, before it listens", async () => {
    const start = sharing(directoryOf("shared"))
    const first = start(...node)
    await isListening(first)
    const second = start(...node)
    assert.deepStrictEqual(await second.ended, { code: 1, signal: null })
    const directory = join(home.directory, "shared", "zebra")
    assert.strictEqual(
      second.errors(),
      `network-effect: another node (process ${first.child.pid}) keeps its addresses in ${directory}: ` +
        "stop it, or choose another directory with cache_dir.\n"
    )
    assert.strictEqual(second.output(), "")
    // It is its owner's alone.
    assert.strictEqual(statSync(join(directory, "network")).mode & 0o777, 0o700)
    assert.notInclude(first.errors(), "others on this machine can read")
    const elsewhere = start("start", "--network", "testnet", "--listen", "127.0.0.1:0", "--peer", "127.0.0.1:1")
    await isListening(elsewhere)
    await stop(elsewhere)
    await stop(first)
  })

  it("is free again after its node was killed, and so is the address", async () => {
    const start = sharing(directoryOf("killed"))
    const first = start(...node)
    await isListening(first)
    const address = `127.0.0.1:${portOf(first)}`
    first.child.kill("SIGKILL")
    await first.ended
    const second = start("start", "--network", "regtest", "--listen", address)
    await isListening(second)
    assert.include(second.output(), `listening on ${address};`)
    const { pid } = second.child
    const file = join(home.directory, "killed", "zebra", "network", "regtest.pid")
    assert.strictEqual(readFileSync(file, "utf8"), String(pid))
    await stop(second)
  })

  it("that is not its owner's alone is said once", async () => {
    const open = directoryOf("open")
    mkdirSync(join(open, "zebra", "network"), { recursive: true, mode: 0o755 })
    const run = sharing(open)(...node)
    await isListening(run)
    assert.lengthOf(run.errors().match(/others on this machine can read/g) ?? [], 1)
    await stop(run)
  })
})

describe("a process that is told to stop", () => {
  // From the moment on when it runs any line of ours.
  const mark = "data:text/javascript,process.stdout.write('up\\n')"
  for (const [signal, code, delays] of [
    ["SIGTERM", 0, [100, 300, 1000]],
    // The same way for both: one that came early is enough here.
    ["SIGINT", 130, isLong ? [100, 300, 1000] : [100]]
  ] as const) {
    it(`by ${signal} ends with ${code} after ${delays.join(", ")} ms, and at once when told twice`, async () => {
      await Promise.all(
        delays.map(async (delay) => {
          const run = startIn(directoryOf(`${signal}${delay}`), { NODE_OPTIONS: `--import=${mark}` })(...node)
          await until(() => run.output().startsWith("up"), "the process to begin")
          await new Promise((resolve) => setTimeout(resolve, delay))
          run.child.kill(signal)
          assert.deepStrictEqual(await run.ended, { code, signal: null }, `${delay} ms: ${run.errors()}`)
        })
      )
      const run = startIn(directoryOf(`${signal}twice`))(...node)
      await isListening(run)
      run.child.kill(signal)
      run.child.kill(signal)
      assert.deepStrictEqual(await run.ended, { code, signal: null })
    })
  }
})

describe("a command", () => {
  const ran = (script: string, ...args: ReadonlyArray<string>) => {
    const { status, stderr } = spawnSync("sh", ["-c", script, process.execPath, program(), ...args], {
      cwd: directoryOf(`command ${script.length}`),
      env: { PATH: process.env["PATH"] ?? "", HOME: home.directory, NODE_COMPILE_CACHE: compiled },
      encoding: "utf8"
    })
    return { status, stderr }
  }

  it("whose answer does not fit the disk says so and fails, for it was all there is of it", () => {
    assert.deepStrictEqual(ran('exec "$0" "$@" > /dev/full', "config", "default"), {
      status: 1,
      stderr: "network-effect: what this command prints cannot be written: ENOSPC\n"
    })
  })

  it("in a folder that is gone says so in one sentence", () => {
    assert.deepStrictEqual(ran('rmdir "$PWD"; exec "$0" "$@"', "config", "check", "zebrad.toml"), {
      status: 1,
      stderr: "network-effect: the folder it was started in is gone: go to another one with cd\n"
    })
  })
})
