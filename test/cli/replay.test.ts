/** `network-effect replay`: what it says of good, bad and strange records, and, as a process, that it stays off the network. */
import { execFileSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Message } from "../../src/wire/Message.ts"
import { memoryRecorder, ping, talk } from "../recording/talk.ts"
import { runIn } from "../support/inProcess.ts"
import { isListening, makeHome, outcomeOf, startIn, until } from "../support/process.ts"

const { directory, remove } = makeHome()
afterAll(remove)
const guard = new URL("../support/noNetwork.mjs", import.meta.url).href
const start = startIn(directory, { NODE_OPTIONS: `--import ${guard}` })
/** As a process under the guard. */
const outcome = (...args: ReadonlyArray<string>) => outcomeOf(start(...args))
/** The same without a process of its own: for what it says. */
const said = runIn(directory)

/** The record of a peer that pings three times and then says `verack` once more. */
const record = (() => {
  const { recorder, sink } = memoryRecorder()
  const { hears } = talk(recorder.recording(""))
  hears(ping, ping, ping, Message.Verack())
  return sink.segments()[0]?.text ?? ""
})()
const file = (name: string, text: string | Uint8Array) => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}
const good = file("good.ndjson", record)

describe.concurrent("replay", () => {
  it("says what was said and that all actions are the same", async () => {
    const { code, errors, output } = await outcome("replay", good)
    assert.deepStrictEqual({ code, errors }, { code: 0, errors: [] })
    assert.deepStrictEqual(output.trim().split("\n").slice(1), [
      "the peer said: ping 3, verack 1",
      "after 0.000 s: DuplicateHandshake",
      "identical: all actions of 7 events"
    ])
    assert.match(output, /^connection 1, to 198\.51\.\d+\.\d+:8233, \/Zebra:7\.0\.0\/, segment 1\n/)
  })

  it("shows the first event that has other actions, with those before it, and ends with 1", async () => {
    const lines = record.split("\n")
    const at = lines.findLastIndex((line) => line.includes("Send pong"))
    lines[at] = (lines[at] ?? "").replace("Send pong 5", "Send pong 6")
    // Whoever changes a record leaves out its end, or the checksum gives it away.
    const changed = file("changed.ndjson", `${lines.slice(0, -2).join("\n")}\n`)
    const { code, errors, output } = await said("replay", changed)
    assert.strictEqual(code, 1)
    assert.deepStrictEqual(errors, [`network-effect: ${changed} has other actions from event 5 on.`])
    assert.include(output, "the peer says ping 5")
    assert.include(output, "then   Send pong 6")
    assert.include(output, "now    Send pong 5")
  })

  it("writes the shortest record of what happens for a test, and finds where it does", async () => {
    const fixture = join(directory, "good.shrunk.ndjson")
    const { code, output } = await outcome("replay", good, "--until", "ending:DuplicateHandshake", "--shrink")
    assert.strictEqual(code, 0)
    assert.strictEqual(output, `${good}: 1 of 7 events still show ending:DuplicateHandshake: ${fixture}\n`)
    assert.strictEqual(statSync(fixture).mode & 0o777, 0o600)
    assert.strictEqual(readFileSync(fixture, "utf8").split("\n").length, 4)
    const shown = await said("replay", fixture, "--until", "ending")
    assert.deepStrictEqual([shown.code, shown.errors], [0, []])
    assert.match(shown.output, /the peer says verack\n.*Unasked verack\n.*Close DuplicateHandshake\n$/)
  })

  it("looks for something in a folder past a file that is empty, and not in what was shrunk before", async () => {
    const folder = join(directory, "searched")
    mkdirSync(folder)
    writeFileSync(join(folder, "1.ndjson"), "")
    writeFileSync(join(folder, "1.shrunk.ndjson"), record)
    writeFileSync(join(folder, "2.ndjson"), record)
    const found = await said("replay", folder, "--until", "message:verack", "--json")
    assert.deepStrictEqual([found.code, found.errors], [0, []])
    const { events, file } = JSON.parse(found.output)
    assert.strictEqual(file, join(folder, "2.ndjson"))
    assert.deepStrictEqual(events.at(-1), {
      event: 7,
      at: 0,
      on: { message: "verack" },
      do: ["Unasked verack", "Close DuplicateHandshake"],
      now: ["Unasked verack", "Close DuplicateHandshake"]
    })
    const never = await said("replay", folder, "--until", "message:addr")
    assert.deepStrictEqual(never.errors, [
      `network-effect: ${folder} never shows message:addr, as far as it can be read: ${join(folder, "1.ndjson")} is empty.`
    ])
    assert.strictEqual(never.code, 1)
  })

  it("leaves a fixture that is there alone", async () => {
    const again = file("again.ndjson", record)
    const fixture = file("again.shrunk.ndjson", "mine")
    const { code, errors } = await said("replay", again, "--until", "ending", "--shrink")
    assert.deepStrictEqual(errors, [`network-effect: ${fixture} is there already: move or remove it.`])
    assert.strictEqual(code, 1)
    assert.strictEqual(readFileSync(fixture, "utf8"), "mine")
  })

  it("says of a record that is cut where it is cut, and ends with 1", async () => {
    const cut = file("cut.ndjson", record.slice(0, record.lastIndexOf('{"end"') - 20))
    const { code, errors } = await said("replay", cut)
    assert.deepStrictEqual(errors, [`network-effect: ${cut} is cut after event 6, up to which it is identical.`])
    assert.strictEqual(code, 1)
  })

  it("replays the rest of a folder when a file of it is empty or cut, as of a node that was killed", async () => {
    const folder = join(directory, "killed")
    mkdirSync(folder)
    writeFileSync(join(folder, "1.ndjson"), "")
    writeFileSync(join(folder, "2.ndjson"), record)
    writeFileSync(join(folder, "3.ndjson"), record.slice(0, 100))
    const { code, errors, output } = await outcome("replay", folder, "--json")
    assert.deepStrictEqual(errors, [`network-effect: ${join(folder, "1.ndjson")} is empty, and 1 other of 3.`])
    assert.strictEqual(code, 1)
    assert.include(output, `"file":"${join(folder, "2.ndjson")}","events":7,"identical":true,"whole":true`)
  })

  it("reads no more of what has no lines than a line may have", async () => {
    const { code, errors } = await outcome("replay", "/dev/zero")
    assert.deepStrictEqual(errors, [
      "network-effect: /dev/zero has a line of more than 67108864 characters, so it is no record."
    ])
    assert.strictEqual(code, 1)
  })

  it("waits for nobody who might write to a pipe", async () => {
    const pipe = join(directory, "pipe.ndjson")
    execFileSync("mkfifo", [pipe])
    const { code, errors } = await said("replay", pipe)
    assert.deepStrictEqual(errors, [`network-effect: ${pipe} is a pipe: write what comes from it to a file.`])
    assert.strictEqual(code, 1)
  })

  it("says that there is no such file", async () => {
    const { code, errors } = await said("replay", join(directory, "missing.ndjson"))
    assert.deepStrictEqual(errors, [`network-effect: ${directory}/missing.ndjson: there is no such file.`])
    assert.strictEqual(code, 1)
  })

  it("says how long a file may be that is searched, and takes none into memory that is longer", async () => {
    const long = file("long.ndjson", record)
    // Zeros that are on no disk.
    truncateSync(long, 256 * 1_048_576 + 1)
    for (const what of [["--until", "ending"], ["--step"]]) {
      const { code, errors } = await said("replay", long, ...what)
      assert.deepStrictEqual(errors, [
        `network-effect: ${long} is too long to be walked, searched or shrunk: 268435457 bytes, of 268435456 at most.`
      ])
      assert.strictEqual(code, 1)
    }
  })

  it("says that a folder has none, that a record has no events, and that a property needs one", async () => {
    const folder = join(directory, "none")
    mkdirSync(folder)
    const empty = file("empty.ndjson", "")
    const bare = file("bare.ndjson", `${record.split("\n")[0]}\n`)
    for (const [args, sentence] of [
      [[folder], `${folder} has no records in it.`],
      [[empty, "--step"], `${empty} is empty.`],
      [[bare, "--step"], `${bare} has no events.`],
      [[good, "--shrink"], "--shrink needs to know what to keep: say --until PROPERTY."],
      [[good, "--step", "--until", "ending:PeerOverloaded"], `${good} never shows ending:PeerOverloaded.`]
    ] as const) {
      const { code, errors } = await said("replay", ...args)
      assert.deepStrictEqual([code, errors], [1, [`network-effect: ${sentence}`]])
    }
  })

  it("says of a folder how many segments are identical, and of how many it is not so", async () => {
    const folder = join(directory, "several")
    mkdirSync(folder)
    for (const name of ["1", "2"]) writeFileSync(join(folder, `${name}.ndjson`), record)
    const both = await said("replay", folder)
    assert.deepStrictEqual([both.code, both.output], [0, "identical: all actions of 14 events of 2 segments\n"])
    for (const name of ["3", "4", "5"]) writeFileSync(join(folder, `${name}.ndjson`), "")
    const some = await said("replay", folder)
    const first = join(folder, "3.ndjson")
    assert.deepStrictEqual([some.code, some.errors], [1, [`network-effect: ${first} is empty, and 2 others of 5.`]])
    const found = await said("replay", folder, "--until", "ending:PeerOverloaded")
    assert.deepStrictEqual(found.errors, [
      `network-effect: ${folder} never shows ending:PeerOverloaded, as far as it can be read: ${first} is empty, and 2 of 5 likewise.`
    ])
  })

  it("tells programs the first event that has other actions, and where the shortest record is", async () => {
    const lines = record.split("\n")
    const at = lines.findLastIndex((line) => line.includes("Send pong"))
    lines[at] = (lines[at] ?? "").replace("Send pong 5", "Send pong 6")
    const other = file("other.ndjson", `${lines.slice(0, -2).join("\n")}\n`)
    const told = JSON.parse((await said("replay", other, "--json")).output)
    assert.deepInclude(told, { identical: false, whole: false })
    assert.strictEqual(told.first.event, 5)
    assert.include(told.first.recorded.join(), "Send pong 6")
    assert.include(told.first.decided.join(), "Send pong 5")
    const mine = file("mine.ndjson", record)
    const shrunk = JSON.parse((await said("replay", mine, "--until", "ending", "--shrink", "--json")).output)
    assert.deepStrictEqual(shrunk, { file: mine, events: 1, of: 7, fixture: join(directory, "mine.shrunk.ndjson") })
  })

  it("says what this node asked, and that nothing was said", async () => {
    const { recorder, sink } = memoryRecorder()
    const { asks } = talk(recorder.recording(""))
    asks(1, { _tag: "MempoolTransactionIds" })
    recorder.stop()
    const of = file("asking.ndjson", sink.segments()[0]?.text ?? "")
    const { output } = await said("replay", of)
    assert.deepStrictEqual(output.trim().split("\n").slice(1), [
      "this node asked: MempoolTransactionIds 1",
      "after 0.000 s: it was recorded no longer",
      "identical: all actions of 4 events"
    ])
    const { ending } = JSON.parse((await said("replay", of, "--json")).output)
    assert.isNull(ending)
  })

  it("says who began a connection, and what is decided now that was not then", async () => {
    const lines = record.split("\n")
    const first = JSON.parse(lines[0] ?? "")
    const at = lines.findIndex((line) => line.includes('"Send pong 5"'))
    const entry = JSON.parse(lines[at] ?? "")
    const changed = [
      JSON.stringify({ ...first, connection: { ...first.connection, isInbound: true } }),
      ...lines.slice(1, at),
      JSON.stringify({ ...entry, do: [] })
    ]
    const { output } = await said("replay", file("inbound.ndjson", `${changed.join("\n")}\n`))
    assert.match(output, /^connection 1, from 198\.51\./)
    assert.match(output, /^ +now +Send pong 5$/m)
    assert.notInclude(output, "then ")
    const more = [...lines.slice(0, at), JSON.stringify({ ...entry, do: [...entry.do, "Send pong 7"] })]
    const extra = await said("replay", file("extra.ndjson", `${more.join("\n")}\n`))
    assert.match(extra.output, /^ +then +Send pong 7$/m)
    assert.notInclude(extra.output, "now ")
  })

  it("shows the last events before what is looked for, and no more of them", async () => {
    const { recorder, sink } = memoryRecorder()
    const { hears } = talk(recorder.recording(""))
    hears(...Array.from({ length: 40 }, () => ping), Message.Verack())
    const long = file("pings.ndjson", sink.segments()[0]?.text ?? "")
    const { output } = await said("replay", long, "--until", "message:verack")
    assert.include(output, "the peer says verack")
    assert.isBelow(output.split("the peer says ping").length, 20)
    const never = await said("replay", long, "--until", "message:tx", "--shrink")
    assert.deepStrictEqual(never.errors, [`network-effect: ${long} never shows message:tx.`])
  })

  it("says of which node of several a connection is, and who began it", async () => {
    const { recorder, sink } = memoryRecorder()
    talk(recorder.recording("7")).hears(ping)
    recorder.stop()
    const of = file("seventh.ndjson", sink.segments()[0]?.text ?? "")
    const { code, output } = await said("replay", of)
    assert.strictEqual(code, 0)
    assert.match(output, /^connection 1 of node 7, to 198\.51\./)
    assert.include(output, "it was recorded no longer")
  })

  it.each(["shrink", "json"])("walks, or does what --%s says, and not half of both", async (other) => {
    const { code, errors } = await said("replay", good, "--step", "--until", "ending", `--${other}`)
    assert.deepStrictEqual(errors, [
      `network-effect: --step draws on the terminal, and does not go with --${other}: leave one of them out.`
    ])
    assert.strictEqual(code, 1)
  })

  it("says what a property is", async () => {
    assert.deepStrictEqual((await said("replay", good, "--until", "soon")).errors, [
      'network-effect: --until has to be ending, ending:TAG, message:COMMAND, action:TEXT or defect, not "soon": see network-effect replay --help.'
    ])
  })

  it("runs under a guard that would have ended it at the first socket, as it ends a node", async () => {
    const { code, errors } = await outcome("start", "--network", "regtest", "--listen", "127.0.0.1:0")
    assert.deepStrictEqual([code, errors], [97, ["reached the network: listen"]])
  })
})

describe("start --record", () => {
  const plain = startIn(directory)

  it("leaves the records of its connections, with pseudonyms and without", async () => {
    const [first, second] = [join(directory, "hidden"), join(directory, "shown")]
    const one = plain("start", "--network", "regtest", "--listen", "127.0.0.1:0", "--record", first)
    await isListening(one)
    const [, address = ""] = /listening on (\S+);/.exec(one.output()) ?? []
    const flags = ["--network", "regtest", "--listen", "127.0.0.2:0", "--peer", address, "--record", second]
    const other = plain("start", ...flags, "--show-addresses")
    await isListening(other)
    await until(() => readdirSync(first).length > 0 && readdirSync(second).length > 0, "both ends to be recorded")
    one.child.kill("SIGTERM")
    await one.ended
    other.child.kill("SIGTERM")
    await other.ended
    const [hidden, shown] = [await said("replay", first, "--json"), await said("replay", second, "--json")]
    assert.deepStrictEqual([hidden.code, shown.code], [0, 0], hidden.errors.concat(shown.errors).join())
    const addresses = ({ output }: typeof hidden): ReadonlyArray<string> =>
      output
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).connection.address)
    assert.include(addresses(shown), address)
    for (const pseudonym of addresses(hidden)) {
      assert.match(pseudonym, /^127\.0\.\d+\.\d+:\d+$/)
      assert.notMatch(pseudonym, /^127\.0\.0\.[12]:/)
    }
  })

  it("says in one sentence that a folder is none of records", async () => {
    const { code, errors } = await said("start", "--network", "regtest", "--record", directory)
    assert.deepStrictEqual(
      [code, errors],
      [1, [`network-effect: --record ${directory} is a folder with other things in it: name a new or an empty one.`]]
    )
  })
})
