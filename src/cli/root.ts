/**
 * The command's name, the flags its subcommands share, and how it says what is wrong.
 *
 * @module
 */
import { Console, Effect } from "effect"
import { CliOutput, Command, Flag } from "effect/cli"

/** `network-effect`. Shared flags are accepted before and after the subcommand. */
export const root = Command.make("network-effect").pipe(
  Command.withSharedFlags({
    config: Flag.String("config").pipe(
      Flag.withAlias("c"),
      Flag.withDescription("Settings file, in the form of a zebrad.toml"),
      Flag.withMetavar("FILE"),
      Flag.optional
    )
  }),
  Command.withDescription("The Zcash peer-to-peer network: run a node, or a whole local network.")
)

/** Every failure on one line of stderr, without the help text in front of it: the sentence names what to change. */
export const layerOutput = CliOutput.layerPresenter({
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Console.error(
          `network-effect: ${event.errors.map((error) => error.message.split("\n")[0]).join(" ")} See ${[
            ...event.commandPath
          ].join(" ")} --help.`
        )
      : CliOutput.defaultPresenter.present(event)
})

/** How a failure of a command is shown: its sentence, after the name of the command. */
export const errorLine = (message: string): Effect.Effect<void> => Console.error(`network-effect: ${message}`)
