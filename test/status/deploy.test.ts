/**
 * What `scripts/deploy` has, given to the programs it is for: promtool and systemd, where they are installed, and Prometheus where
 * NETWORK_EFFECT_PROMETHEUS is set too, as `.ci/run` does: it takes several seconds to have data.
 */
import { execFile, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { PeerSocketAddress } from "network-effect"
import { implementationOf } from "../../src/peer/ConnectionMetrics.ts"
import { runIn } from "../support/inProcess.ts"
import { freeAddress } from "../support/process.ts"
import { listenAddress, node, withStatus } from "../support/statusWorld.ts"

const deploy = new URL("../../scripts/deploy/", import.meta.url).pathname
const has = (program: string) => ["/usr/bin", "/usr/local/bin"].some((folder) => existsSync(join(folder, program)))
for (const program of ["prometheus", "promtool", "systemd-analyze"]) {
  if (!has(program)) console.log(`what is for ${program} is not tested: it is not installed`)
}
const isWanted = process.env["NETWORK_EFFECT_PROMETHEUS"] !== undefined
if (!isWanted) console.log("what is for prometheus is not tested: NETWORK_EFFECT_PROMETHEUS is not set")

/** A program's exit code, and all that it printed. */
const run = (program: string, ...args: ReadonlyArray<string>) =>
  Effect.callback<{ readonly code: number; readonly text: string }>((resume) => {
    const child = execFile(program, args, { cwd: deploy }, (_, stdout, stderr) =>
      resume(Effect.succeed({ code: child.exitCode ?? -1, text: stdout + stderr }))
    )
  })

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "deploy-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Every query of the dashboard, with the range that Grafana would put in. */
const queries = () => {
  const { panels } = JSON.parse(readFileSync(join(deploy, "dashboard.json"), "utf8")) as {
    readonly panels: ReadonlyArray<{ readonly targets: ReadonlyArray<{ readonly expr: string }> }>
  }
  return panels.flatMap(({ targets }) =>
    targets.map(({ expr }) => expr.replaceAll("$__rate_interval", "1m").replaceAll("$instance", ".*"))
  )
}

describe("the files for an operator", () => {
  it.live.skipIf(!has("promtool"))("are rules and a configuration that promtool takes", () =>
    Effect.gen(function* () {
      assert.deepInclude(yield* run("promtool", "check", "rules", "alerts.yml"), { code: 0 })
      assert.deepInclude(yield* run("promtool", "test", "rules", "alerts.test.yml"), { code: 0 })
      assert.deepInclude(yield* run("promtool", "check", "config", "--syntax-only", "prometheus.yml"), { code: 0 })
    })
  )

  it.live.skipIf(!has("systemd-analyze"))("are a unit that systemd takes, and that lets the node do little", () =>
    Effect.gen(function* () {
      const unit = "network-effect.service"
      assert.deepStrictEqual(yield* run("systemd-analyze", "verify", "--recursive-errors=yes", `./${unit}`), {
        code: 0,
        text: ""
      })
      // Ten times the figure it prints: below 2.0.
      const { code } = yield* run("systemd-analyze", "security", "--offline=true", "--threshold=20", `./${unit}`)
      assert.strictEqual(code, 0)
      assert.match(readFileSync(join(deploy, unit), "utf8"), /^SuccessExitStatus=143$/m)
    })
  )

  it.live.skipIf(!isWanted || !has("prometheus"))(
    "make Prometheus scrape a node, and every query of the dashboard has data",
    () =>
      Effect.gen(function* () {
        const { at, client, url } = yield* withStatus("127.0.14.1", { token: "open sesame" })
        for (const ip of ["127.0.14.2", "127.0.14.3"]) {
          const other = yield* Layer.build(node(ip))
          yield* client.connect({ payload: { address: listenAddress(other), mode: "onetry" } })
        }
        yield* Effect.ignore(client.connect({ payload: { address: "127.0.14.4:1", mode: "onetry" } }))
        // Somebody who sends no version, and bytes that are no message.
        const { listen } = yield* client.health()
        yield* Effect.promise(() => fetch(`http://${listen ?? ""}/`).catch(() => undefined))

        const path = yield* folder
        const target = PeerSocketAddress.format(at)
        const own = readFileSync(join(deploy, "prometheus.yml"), "utf8")
        writeFileSync(join(path, "status-token"), "open sesame")
        writeFileSync(join(path, "alerts.yml"), readFileSync(join(deploy, "alerts.yml")))
        writeFileSync(
          join(path, "prometheus.yml"),
          own.replace("node:8234", target).replace("scrape_interval: 15s", "scrape_interval: 1s")
        )
        const web = PeerSocketAddress.format(yield* freeAddress("127.0.14.5"))
        yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn(
              "prometheus",
              [
                `--config.file=${join(path, "prometheus.yml")}`,
                `--storage.tsdb.path=${join(path, "data")}`,
                `--web.listen-address=${web}`
              ],
              { stdio: "ignore" }
            )
          ),
          (child) =>
            Effect.callback<void>((resume) => {
              child.on("exit", () => resume(Effect.void))
              child.kill("SIGKILL")
            })
        )
        /** How many series a query finds; none before Prometheus is ready. */
        const ask = (query: string) =>
          Effect.tryPromise(() =>
            fetch(`http://${web}/api/v1/query?query=${encodeURIComponent(query)}`).then(
              (response) => response.json() as Promise<{ readonly data: { readonly result: ReadonlyArray<unknown> } }>
            )
          ).pipe(
            Effect.map(({ data }) => data.result.length),
            Effect.orElseSucceed(() => 0)
          )
        const empty = Effect.filter(queries(), (query) => Effect.map(ask(query), (found) => found === 0))
        const missing = yield* empty.pipe(
          Effect.tap((missing) => (missing.length === 0 ? Effect.void : Effect.sleep("200 millis"))),
          Effect.repeat({ times: 100, until: (missing) => missing.length === 0 })
        )
        assert.deepStrictEqual(missing, [])
        assert.strictEqual(yield* ask('up{job="network-effect"} == 1'), 1)
        const metrics = yield* Effect.promise(() =>
          fetch(`${url}/metrics`, { headers: { authorization: "Bearer open sesame" } }).then((answer) => answer.text())
        )
        assert.match(metrics, /^zcash_net_peers_implementation\{implementation="other"\} 2$/m)
        assert.match(metrics, /^zebrad_build_info\{version="0\.1\.0"\} 1$/m)
        assert.match(metrics, /^process_resident_memory_bytes [1-9]/m)
        assert.match(metrics, /^nodejs_eventloop_lag_max_seconds \d/m)
      }).pipe(Effect.scoped)
  )

  it("show agents in four classes, whatever ten thousand of them say", () => {
    const agents = Array.from(
      { length: 10_000 },
      (_, n) => `/${["Zebra", "MagicBean", "Zakura", `x${n}`][n % 4]}:${n}/`
    )
    assert.sameMembers([...new Set(agents.map(implementationOf))], ["zebra", "legacy_zcashd", "zakura", "other"])
  })

  it.live("are asked for without a token only whether the node lives and is ready", () =>
    Effect.gen(function* () {
      const { url } = yield* withStatus("127.0.14.6", { token: "open sesame" })
      const statuses = yield* Effect.promise(() =>
        Promise.all(
          ["/health", "/ready", "/metrics"].map((path) => fetch(`${url}${path}`).then(({ status }) => status))
        )
      )
      assert.deepStrictEqual(statuses, [200, 503, 401])
    }).pipe(Effect.scoped)
  )

  const file = (name: string) => readFileSync(join(deploy, name), "utf8")

  /** The instructions of the container file, with what continues a line. */
  const instructions = file("Containerfile")
    .replace(/^#.*\n/gm, "")
    .replaceAll("\\\n", " ")
    .split("\n")
    .filter((line) => line !== "")
  const jsonOf = (name: string): ReadonlyArray<string> => {
    const line = instructions.find((line) => line.startsWith(`${name} `)) ?? ""
    return JSON.parse(line.slice(line.indexOf("["))) as ReadonlyArray<string>
  }

  it("build a container of what there is, and start what is in it", () => {
    const root = new URL("../../", import.meta.url).pathname
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      readonly name: string
      readonly version: string
      readonly bin: Readonly<Record<string, string>>
      readonly optionalDependencies: Readonly<Record<string, string>>
    }
    const packed = `${manifest.name}-${manifest.version}.tgz`
    const copies = instructions.filter((line) => line.startsWith("COPY "))
    assert.lengthOf(copies, 3)
    for (const copy of copies) {
      const sources = copy.split(/ +/).slice(1, -1)
      if (sources[0] === "--from=build") {
        assert.match(packed, new RegExp(`^${(sources[1] ?? "").replace("/tmp/", "").replace("*", ".*")}$`))
      } else for (const source of sources) assert.isTrue(existsSync(join(root, source)), source)
    }
    assert.deepStrictEqual(jsonOf("ENTRYPOINT"), Object.keys(manifest.bin))
    // The client that a census asks for, as the package was tested with it.
    const [, wanted] = /@effect\/sql-pg@(\S+)/.exec(instructions.join("\n")) ?? []
    assert.strictEqual(wanted, manifest.optionalDependencies["@effect/sql-pg"])
    assert.strictEqual(/npm install --prefix (\S+)/.exec(instructions.join("\n"))?.[1], "/app")
    assert.match(instructions.find((line) => line.startsWith("ENV ")) ?? "", / PATH=\/app\/node_modules\/\.bin:\$PATH$/)
  })

  it.live("give the command words that it takes", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const census = file("census.yaml")
      const words = [
        jsonOf("CMD"),
        JSON.parse(/^ {4}command: (\[.*\])$/m.exec(file("compose.yaml"))?.[1] ?? "[]") as ReadonlyArray<string>,
        [...(/^ {4}command:\n((?: {6}- .*\n)+)/m.exec(census)?.[1] ?? "").matchAll(/- (.*)/g)].map(([, word = ""]) =>
          word.replace(/\$\{[^}]*\}/g, "10.0.0.1")
        ),
        /^ExecStart=\/usr\/bin\/env network-effect (.*)$/m.exec(file("network-effect.service"))?.[1]?.split(" ") ?? []
      ]
      for (const command of words) {
        assert.isAbove(command.length, 2)
        // What follows is all that is wrong with it.
        const { errors } = yield* Effect.promise(() => runIn(home)(...command, "--nonsense"))
        assert.match(errors.join(), /^network-effect: --nonsense is no flag of /)
      }
    }).pipe(Effect.scoped)
  )

  it.live("say of a container that it is well while its node answers", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.14.7", {})
      const [program = "", ...args] = jsonOf("HEALTHCHECK")
      assert.strictEqual(program, "node")
      const asked = (address: string) =>
        run(process.execPath, ...args.map((arg) => arg.replace("127.0.0.1:8234", address)))
      assert.strictEqual((yield* asked(PeerSocketAddress.format(at))).code, 0)
      assert.strictEqual((yield* asked(PeerSocketAddress.format(yield* freeAddress("127.0.14.8")))).code, 1)
    }).pipe(Effect.scoped)
  )

  it("agree with each other about files and ports", () => {
    const compose = file("compose.yaml")
    for (const [, name = ""] of compose.matchAll(/^\s+- \.\/([^:]+):/gm)) {
      assert.isTrue(name.startsWith("secrets/") || existsSync(join(deploy, name)), name)
    }
    assert.include(compose, "dockerfile: scripts/deploy/Containerfile")
    assert.include(file("census.yaml"), "dockerfile: scripts/deploy/Containerfile")
    const ports = [...file("census.yaml").matchAll(/(?:census|RUNNER:\?[^}]*\}|DATABASE:\?[^}]*\}):(\d+)/g)]
    assert.deepStrictEqual(
      ports.map(([, port]) => port),
      ["5432", "34431"]
    )
    assert.include(file("prometheus.yml"), '["node:8234"]')
    // The package leaves it out, and the census of several machines is in it.
    const manifest: { readonly optionalDependencies: Readonly<Record<string, string>> } = JSON.parse(
      readFileSync(join(deploy, "../../package.json"), "utf8")
    )
    assert.include(file("Containerfile"), ` @effect/sql-pg@${manifest.optionalDependencies["@effect/sql-pg"]} `)
    assert.match(file("Containerfile"), /^STOPSIGNAL SIGTERM$/m)
    assert.match(file("Containerfile"), /^HEALTHCHECK /m)
  })
})
