/**
 * The command's name, the flags its subcommands share, and how it says what is wrong.
 *
 * @module
 */
import { Clock, Config, Console, Data, Effect, Layer, Option, Stdio } from "effect"
import { CliError, CliOutput, Command, Flag } from "effect/cli"
import type { CacheDirectoryTaken } from "../addresses/CacheDirectoryTaken.ts"
import type { NetworkEnd, TaskNameTaken } from "../BackgroundTasks.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { InvalidSetting } from "../network/Network.ts"
import type { RecordFolderError } from "../recording/RecordFolder.ts"
import type { RpcCookieUnwritable } from "../status/RpcCookie.ts"
import * as StatusAddress from "../status/StatusAddress.ts"
import type { ListenError } from "../transport/Transport.ts"
import * as Help from "./Help.ts"
import * as Mistakes from "./Mistakes.ts"
import type { SettingsError } from "./SettingsFile.ts"
import { fit, harmless } from "./Text.ts"

/** `network-effect`. Shared flags are accepted before and after the subcommand. */
export const root = Command.make("network-effect").pipe(
  Command.withSharedFlags({
    config: Flag.File("config", { mustExist: true }).pipe(
      Flag.withAlias("c"),
      Flag.withDescription("Settings file, in the form of a zebrad.toml"),
      Flag.withMetavar("FILE"),
      Flag.optional
    ),
    logFormat: Flag.Literals("log-format", ["pretty", "json"]).pipe(
      Flag.withDescription("How logs look on stderr; pretty on a terminal and json otherwise, unless told"),
      Flag.optional
    ),
    showAddresses: Flag.Boolean("show-addresses").pipe(
      Flag.withDescription("Logs and records say the IPs of peers in full"),
      Flag.withDefault(false)
    ),
    otlp: Flag.String("otlp").pipe(
      Flag.withDescription("Sends traces, logs and metrics to this OpenTelemetry collector, http://host:4318"),
      Flag.withMetavar("URL"),
      Flag.filter(
        (text) => /^https?:\/\//.test(text) && URL.canParse(text),
        () => "a URL such as http://127.0.0.1:4318"
      ),
      Flag.optional
    )
  }),
  Command.withDescription(
    "The Zcash peer-to-peer network: run a node or a whole local network, and ask a running node.\n" +
      "Exit code 0: done. 1: it could not be done, and one sentence says why. 130: stopped by Ctrl-C."
  ),
  Command.withExamples([
    { command: "network-effect devnet", description: "A local network of 12 nodes, with a page to look at" },
    { command: "network-effect start", description: "A Mainnet node" },
    { command: "network-effect peers", description: "Whom it is connected to" }
  ])
)

/** A value, which errors say as it was given, and whether a flag has it or the variable that stands in for the flag. */
const given = (text: string, isOfVariable: boolean) => ({ text, isOfVariable, toString: () => text })

/** The value of a flag, else that of `NETWORK_EFFECT_STATUS`, by which a node and whoever asks it find each other. */
export const orStatusVariable =
  <A>(parse: (text: string) => A | undefined, expected: string) =>
  (flag: Flag.Flag<string>): Flag.Flag<A> =>
    flag.pipe(
      Flag.map((text) => given(text, false)),
      Flag.withFallbackConfig(Config.map(Config.String("NETWORK_EFFECT_STATUS"), (text) => given(text, true))),
      Flag.filterMap(
        ({ text }) => Option.fromUndefinedOr(parse(text)),
        ({ isOfVariable }) => (isOfVariable ? Mistakes.ofVariable("NETWORK_EFFECT_STATUS", expected) : expected)
      )
    )

/** Where the status interface is wanted: `None` when nobody said, `Some(None)` for nowhere. Of every command that runs a node. */
export const optionalStatusFlag = Flag.String("status").pipe(
  Flag.withDescription("Where the status page and its interface are: ip:port, or off; port 0 takes a free one"),
  Flag.withMetavar("ADDR"),
  orStatusVariable((text) => {
    if (text === "off") return Option.none<PeerSocketAddress.PeerSocketAddress>()
    const address = PeerSocketAddress.fromText(text, StatusAddress.defaultPort)
    return address === undefined ? undefined : Option.some(address)
  }, "ip:port, [ip6]:port or off"),
  Flag.optional
)

/** Names that a server is also asked by. */
export const hostsFlag = (description: string) =>
  Flag.String("status-host").pipe(
    Flag.withDescription(description),
    Flag.withMetavar("NAME"),
    Flag.filter(
      (text) => /^[a-z\d]([a-z\d._-]*[a-z\d])?\.?$/i.test(text),
      () => "a name such as node.example.org, without a port"
    ),
    Flag.between(0, 20)
  )

/** The same, on its usual port when nobody said. */
export const statusFlag = Flag.map(
  optionalStatusFlag,
  Option.getOrElse(() => Option.some(StatusAddress.defaultAddress))
)

/** For whoever reads events as JSON: where the status interface was bound, in the form of an event. */
export const statusListening = (address: PeerSocketAddress.PeerSocketAddress) =>
  Effect.map(Clock.currentTimeMillis, (at) => ({
    _tag: "StatusListening",
    at,
    address: PeerSocketAddress.format(address),
    url: urlOf(address)
  }))

/** Refuses what an empty variable of a shell leaves of a value. */
export const notBlank = (what: string) =>
  Flag.filter<string>(
    (text) => text.trim() !== "",
    () => what
  )

/** What is recorded, and where. Of every command that runs nodes. */
export const recordFlags = {
  record: Flag.String("record").pipe(
    Flag.withDescription("Writes down what happens on each connection, into this folder; replay runs it again"),
    Flag.withMetavar("DIR"),
    notBlank("a folder"),
    Flag.optional
  ),
  recordBodies: Flag.Boolean("record-bodies").pipe(
    Flag.withDescription("Records keep blocks, transactions and headers of any length"),
    Flag.withDefault(false)
  )
}

/** The whole answer, for programs. Of every command that answers something. */
export const jsonFlag = Flag.Boolean("json").pipe(
  Flag.withDescription("The answer as JSON on stdout"),
  Flag.withDefault(false)
)

/** A number in these bounds; a whole one unless told. Outside of them one sentence says what they are. */
export const numberFlag = (
  name: string,
  {
    integer = true,
    maximum,
    minimum
  }: { readonly minimum: number; readonly maximum: number; readonly integer?: boolean }
) =>
  Flag.String(name).pipe(
    Flag.withMetavar("N"),
    Flag.filterMap(
      (text) => {
        const number = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
        const fits = number >= minimum && number <= maximum && (!integer || Number.isInteger(number))
        return fits ? Option.some(number) : Option.none()
      },
      () => `a ${integer ? "whole " : ""}number from ${minimum} to ${maximum}`
    )
  )

/** Where a browser finds the status page. */
export const urlOf = (address: PeerSocketAddress.PeerSocketAddress): string =>
  `http://${PeerSocketAddress.format(address)}/`

/** Every failure on one line of stderr, without the help text in front of it: the sentence names what to change. */
export const layerOutput = Layer.merge(
  CliOutput.layerPresenter({
    present: (event) =>
      event._tag === "InvalidInvocation"
        ? Console.error(`network-effect: ${Mistakes.sentence(event.errors, event.commandPath)}`)
        : CliOutput.defaultPresenter.present(event)
  }),
  CliOutput.layer({
    ...CliOutput.defaultFormatter(),
    formatHelpDoc: Help.format,
    formatCliError: (error) => harmless(error.message),
    formatError: (error) => lines(error.message),
    formatErrors: (errors) => errors.map((error) => lines(error.message)).join("\n")
  })
)

/** The program with the words of its command line as its parser takes them. */
export const withWords: <A, E, R>(program: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | Stdio.Stdio> =
  Effect.updateService(Stdio.Stdio, (stdio) => ({ ...stdio, args: Effect.map(stdio.args, Mistakes.joined) }))

/** Each line for itself, as settings have one for each thing that is wrong. A word that nobody would read is cut. */
const lines = (message: string): string =>
  message
    .split("\n")
    .map((line) => `network-effect: ${harmless(line).replace(/\S{300,}/g, (word) => fit(word, 60))}`)
    .join("\n")

/** One sentence for the operator: what was wrong, and what to change. `change` says what to do about a taken address. */
const sentenceOf = (error: Failure, change: string): string => {
  switch (error._tag) {
    case "ListenError":
      switch (error.code) {
        case "EADDRINUSE":
          return `${error.address} is already in use, probably by another node: ${change}.`
        case "EACCES":
          return `${error.address} may not be listened on by this user: ${change}.`
        case "EADDRNOTAVAIL":
          return `${error.address} is not an address of this machine: ${change}.`
        default:
          return `${error.address} cannot be listened on (${error.code}): ${change}.`
      }
    case "SettingsError":
      return error.message
    case "StatusNeedsToken":
      if (error.token === "unsayable") return StatusAddress.unsayable
      return `${error.address} can be reached by others, who could then rule this node: set NETWORK_EFFECT_STATUS_TOKEN, or choose a loopback address with --status.`
    case "InvalidSetting":
      return `${error.setting} is ${error.value} and has to be ${error.expected}: change it in the settings file.`
    case "BackgroundTaskExited":
      return `the node stopped because its ${error.task} ended, which is a bug: ${String(error.cause)}.`
    case "RecordFolderError":
    case "ReplayFailure":
    case "CacheDirectoryTaken":
    case "RpcCookieUnwritable":
    case "NodeOutdated":
    case "TaskNameTaken":
      return error.message
    case "NetworkClosed":
      return "the node has stopped."
  }
}

/** A record that cannot be replayed, or is replayed with other actions. `message` is the sentence that says so. */
export class ReplayFailure extends Data.TaggedError("ReplayFailure")<{ readonly message: string }> {}

/** Whatever may end a command. */
export type Failure =
  | CacheDirectoryTaken
  | ListenError
  | StatusAddress.StatusNeedsToken
  | RecordFolderError
  | ReplayFailure
  | RpcCookieUnwritable
  | SettingsError
  | InvalidSetting
  | NetworkEnd
  | TaskNameTaken

/** Shows a failure as its sentence; the exit code is 1. */
export const explained =
  (change: string) =>
  <A, E extends Failure, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, CliError.UserError, R> =>
    Effect.mapError(effect, (error) => new CliError.UserError({ cause: error, userMessage: sentenceOf(error, change) }))
