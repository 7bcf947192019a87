/**
 * The commands that ask a running node, with the client they ask with.
 *
 * @module
 */
import { Command } from "effect/cli"
import * as BoundedFetch from "../../src/cli/BoundedFetch.ts"
import * as remote from "../../src/cli/remote.ts"
import { top } from "../../src/cli/top.ts"

export const commands = [
  remote.peers.pipe(Command.provide(BoundedFetch.layer)),
  remote.addresses.pipe(Command.provide(BoundedFetch.layer)),
  remote.why.pipe(Command.provide(BoundedFetch.layer)),
  remote.bans.pipe(Command.provide(BoundedFetch.layer)),
  remote.ban.pipe(Command.provide(BoundedFetch.layer)),
  remote.unban.pipe(Command.provide(BoundedFetch.layer)),
  remote.connect.pipe(Command.provide(BoundedFetch.layer)),
  remote.logLevel.pipe(Command.provide(BoundedFetch.layer)),
  top.pipe(Command.provide(BoundedFetch.layer))
] as const
