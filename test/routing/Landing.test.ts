import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import { byNetwork } from "../../src/addresses/AddressGroups.ts"
import { ConnectionReceiveTimeout } from "../../src/peer/Peer.ts"
import type { Response } from "../../src/peer/Request.ts"
import { Member } from "../../src/routing/ConnectedPeers.ts"
import { deliveryOf } from "../../src/routing/Landing.ts"
import { TrustedPeers } from "../../src/routing/TrustedPeers.ts"
import { block, transaction } from "../peer/items.ts"
import { fakePeer } from "../support/fakePeer.ts"

const bob = new Member(fakePeer({ id: 1, address: "127.0.0.1:1" }), TrustedPeers.make([]), byNetwork, 0n)
const landing = (exit: Exit.Exit<Response, ConnectionReceiveTimeout>) =>
  deliveryOf({ request: { _tag: "BlocksByHash", hashes: new Set() }, member: bob, promised: false, exit })

const aBlock = { _tag: "Available", value: block(1), source: undefined } as const
const noBlock = { _tag: "Missing", id: block(2).hash } as const
const aTransaction = { _tag: "Available", value: transaction(1), source: undefined } as const
const noTransaction = { _tag: "Missing", id: transaction(2).id } as const

describe("what a peer delivered", () => {
  it.each<[string, Response, "block" | "transaction" | undefined]>([
    ["one block of two", { _tag: "Blocks", items: [noBlock, aBlock] }, "block"],
    ["no block", { _tag: "Blocks", items: [noBlock] }, undefined],
    ["one transaction of two", { _tag: "Transactions", items: [aTransaction, noTransaction] }, "transaction"],
    ["no transaction", { _tag: "Transactions", items: [noTransaction] }, undefined],
    ["nothing that was asked for by name", { _tag: "TransactionIds", ids: [transaction(1).id] }, undefined]
  ])("is told by what is there of it: %s", (_, response, expected) => {
    assert.strictEqual(landing(Exit.succeed(response)), expected)
  })

  it("is nothing when it failed", () => {
    assert.isUndefined(landing(Exit.fail(new ConnectionReceiveTimeout())))
  })
})
