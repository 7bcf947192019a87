/** Who has a place on the status server when there is none left. */
import { assert, describe, it } from "@effect/vitest"
import { type Client, Clients } from "../../src/status/Clients.ts"

const limits = {
  connections: 4,
  keptForLoopback: 1,
  connectionsPerClient: 2,
  requests: 5,
  requestsPerClient: 2,
  requestsPerConnection: 3
}
const bob: Client = { key: "192.0.2.2", isLoopback: false }
const carol: Client = { key: "198.51.100.3", isLoopback: false }
const mallory: Client = { key: "203.0.113.4", isLoopback: false }
const operator: Client = { key: "127.0.0.1", isLoopback: true }

describe("the places of a server", () => {
  it("are a client's until it has its share; then its own connection without a request makes room", () => {
    const clients = new Clients<string>(limits)
    clients.enter("bob 1", bob)
    clients.enter("bob 2", bob)
    assert.strictEqual(clients.start("bob 1")._tag, "Admitted")
    assert.deepStrictEqual(clients.enter("bob 3", bob), { _tag: "Admitted", instead: "bob 2" })
    assert.strictEqual(clients.start("bob 3")._tag, "Admitted")
    assert.deepStrictEqual(clients.enter("bob 4", bob), { _tag: "Full" })
    assert.deepStrictEqual(clients.enter("carol 1", carol), { _tag: "Admitted", instead: undefined })
    assert.strictEqual(clients.size, 3)
  })

  it("are kept for loopback, however many come from elsewhere", () => {
    const clients = new Clients<string>(limits)
    for (const [name, client] of [
      ["bob", bob],
      ["carol", carol],
      ["mallory", mallory]
    ] as const) {
      clients.enter(name, client)
      assert.strictEqual(clients.start(name)._tag, "Admitted")
    }
    assert.deepStrictEqual(clients.enter("bob 2", bob), { _tag: "Full" })
    assert.deepStrictEqual(clients.enter("operator", operator), { _tag: "Admitted", instead: undefined })
    // Everybody is busy, and strangers go before the operator's own.
    assert.strictEqual(clients.start("operator")._tag, "Admitted")
    assert.deepStrictEqual(clients.enter("operator 2", operator), { _tag: "Admitted", instead: "bob" })
    assert.strictEqual(clients.underWay, 3)
  })

  it("are taken from who waits longest without a request", () => {
    const clients = new Clients<string>(limits)
    for (const name of ["1", "2", "3", "4"]) clients.enter(name, operator)
    clients.start("1")
    clients.end("1")
    assert.deepStrictEqual(clients.enter("5", operator), { _tag: "Admitted", instead: "2" })
    for (const name of ["1", "3", "4", "5"]) clients.start(name)
    // All are busy and on this machine: whoever came first goes, and nobody there is kept out.
    assert.deepStrictEqual(clients.enter("6", operator), { _tag: "Admitted", instead: "1" })
    assert.strictEqual(clients.underWay, 3)
    assert.deepStrictEqual(clients.enter("bob", bob), { _tag: "Full" })
  })

  it("have so many requests each, so many of a client, and so many in all", () => {
    const clients = new Clients<string>(limits)
    for (const name of ["operator", "operator 2"]) clients.enter(name, operator)
    clients.enter("bob", bob)
    clients.enter("carol", carol)
    for (let n = 0; n < 3; n++) assert.strictEqual(clients.start("operator")._tag, "Admitted")
    assert.strictEqual(clients.start("operator")._tag, "TooMany")
    assert.strictEqual(clients.start("bob")._tag, "Admitted")
    assert.strictEqual(clients.start("bob")._tag, "Admitted")
    assert.strictEqual(clients.start("bob")._tag, "ClientBusy")
    assert.strictEqual(clients.start("carol")._tag, "ServerBusy")
    clients.end("bob")
    assert.strictEqual(clients.start("carol")._tag, "Admitted")
    clients.leave("carol")
    clients.leave("bob")
    assert.strictEqual(clients.underWay, 3)
    clients.leave("operator")
    clients.leave("operator")
    assert.strictEqual(clients.underWay, 0)
    assert.strictEqual(clients.start("operator")._tag, "TooMany")
  })

  it("are never all taken for a request from loopback: by strangers some are not, and whoever has them gives one up", () => {
    const clients = new Clients<string>({ ...limits, requests: 3 })
    clients.enter("bob", bob)
    clients.enter("carol", carol)
    for (const name of ["bob", "carol"]) assert.strictEqual(clients.start(name)._tag, "Admitted")
    assert.strictEqual(clients.start("carol")._tag, "ServerBusy")
    for (const name of ["operator", "operator 2"]) clients.enter(name, operator)
    assert.deepStrictEqual(clients.start("operator"), { _tag: "Admitted", instead: undefined })
    assert.deepStrictEqual(clients.start("operator 2"), { _tag: "Admitted", instead: "bob" })
    assert.deepStrictEqual(clients.start("operator 2"), { _tag: "Admitted", instead: "carol" })
    assert.deepStrictEqual(clients.start("operator 2"), { _tag: "Admitted", instead: "operator" })
    assert.deepStrictEqual([clients.size, clients.underWay], [1, 3])
  })

  it("are not read at once for a client that was cut: what it opens meanwhile waits", () => {
    const clients = new Clients<string>({ ...limits, connectionsPerClient: 3 })
    clients.enter("bob 1", bob)
    clients.enter("bob 2", bob)
    clients.cut("bob 1")
    clients.leave("bob 1")
    clients.enter("bob 3", bob)
    clients.enter("bob 4", bob)
    clients.enter("carol", carol)
    assert.deepStrictEqual(
      ["bob 2", "bob 3", "bob 4", "carol"].map((name) => clients.isLater(name)),
      [false, true, true, false]
    )
    clients.leave("bob 4")
    assert.deepStrictEqual(clients.readOn(), ["bob 3"])
    assert.deepStrictEqual(clients.readOn(), [])
    clients.enter("bob 5", bob)
    assert.isFalse(clients.isLater("bob 5"))
  })
})
