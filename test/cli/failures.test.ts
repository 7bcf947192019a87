/** What ends a command, as the sentence that its operator reads: those that no process can be brought to, too. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { CacheDirectoryTaken } from "../../src/addresses/CacheDirectoryTaken.ts"
import { BackgroundTaskExited, NetworkClosed, NodeOutdated, TaskNameTaken } from "../../src/BackgroundTasks.ts"
import { explained, type Failure } from "../../src/cli/root.ts"
import { InvalidSetting } from "../../src/network/Network.ts"
import { StatusNeedsToken } from "../../src/status/StatusAddress.ts"
import { ListenError } from "../../src/transport/Transport.ts"

const sentenceOf = (failure: Failure) =>
  Effect.fail(failure).pipe(
    explained("choose another with --listen"),
    Effect.flip,
    Effect.map(({ message }) => message)
  )

const listening = (code: string) => new ListenError({ address: "10.0.0.1:80", code, cause: new Error(code) })

const failures: ReadonlyArray<readonly [failure: Failure, sentence: string]> = [
  [listening("EADDRINUSE"), "10.0.0.1:80 is already in use, probably by another node: choose another with --listen."],
  [listening("EACCES"), "10.0.0.1:80 may not be listened on by this user: choose another with --listen."],
  [listening("EADDRNOTAVAIL"), "10.0.0.1:80 is not an address of this machine: choose another with --listen."],
  [listening("EMFILE"), "10.0.0.1:80 cannot be listened on (EMFILE): choose another with --listen."],
  [
    new StatusNeedsToken({ address: "0.0.0.0:8080", token: "missing" }),
    "0.0.0.0:8080 can be reached by others, who could then rule this node: set NETWORK_EFFECT_STATUS_TOKEN, or choose a loopback address with --status."
  ],
  [
    new StatusNeedsToken({ address: "127.0.0.1:8080", token: "unsayable" }),
    "NETWORK_EFFECT_STATUS_TOKEN holds what no request can carry: use printable ASCII characters, and no blank at an end."
  ],
  [
    new InvalidSetting({ setting: "crawlInterval", value: 0, expected: "at least 1" }),
    "crawlInterval is 0 and has to be at least 1: change it in the settings file."
  ],
  [
    new BackgroundTaskExited({ task: "crawler", cause: new Error("no way") }),
    "the node stopped because its crawler ended, which is a bug: Error: no way."
  ],
  [new NetworkClosed(), "the node has stopped."],
  [
    new CacheDirectoryTaken({ directory: "/cache", pid: 7 }),
    "another node (process 7) keeps its addresses in /cache: stop it, or choose another directory with cache_dir."
  ],
  [
    new CacheDirectoryTaken({ directory: "/cache", pid: null }),
    "another node keeps its addresses in /cache: stop it, or choose another directory with cache_dir."
  ],
  [
    new NodeOutdated({ ourVersion: 170_190, requiredVersion: 170_200, height: 5 }),
    "This build speaks protocol version 170190, but the chain demands 170200 at height 5: update network-effect."
  ],
  [
    new TaskNameTaken({ task: "crawler" }),
    'Two background tasks are named "crawler": provide the service that runs it once, or rename one of them.'
  ]
]

describe("what ends a command says what to do about", () => {
  for (const [failure, sentence] of failures) {
    it.effect("code" in failure ? `${failure._tag} ${failure.code}` : failure._tag, () =>
      Effect.map(sentenceOf(failure), (said) => assert.strictEqual(said, sentence))
    )
  }
})
