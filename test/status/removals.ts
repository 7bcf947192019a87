/** How rules of the status interface are taken out of the source. `test/support/removal.ts` says how it is written. */
import { edit, rule, type ScenarioRemoval } from "../support/removal.ts"

const guard = "status/Guard"
const clients = "status/Clients"

export const removals: ReadonlyArray<ScenarioRemoval> = [
  ...rule(
    "status 1",
    "status/Hostile",
    "has no answer for another site, or for a name that may be anybody's",
    edit(guard, "!isOurHost(host, access.hosts) && !hasLogin(headers, access)", "false")
  ),
  ...rule(
    "status 2",
    "status/Hostile",
    "has no answer for another site, or for a name that may be anybody's",
    edit(guard, "if (!isOwn) return $SENTENCE")
  ),
  ...rule(
    "status 3",
    "status/Status",
    "needs the token, where there is one; that the process lives is told to everybody",
    edit(guard, "Option.isSome(access.token) && !hasToken(headers, access)", "false")
  ),
  ...rule(
    "status 4",
    "status/Clients",
    "are a client's until it has its share; then its own connection without a request makes room",
    edit(clients, "!client.isLoopback && (own?.size ?? 0) >= connectionsPerClient", "false")
  ),
  ...rule(
    "status 5",
    "status/Clients",
    "are kept for loopback, however many come from elsewhere",
    edit(clients, "!client.isLoopback && this.#elsewhere >= connections - keptForLoopback", "false")
  ),
  ...rule(
    "status 6",
    "status/Clients",
    "are taken from who waits longest without a request",
    edit(clients, "if (instead !== undefined) this.leave(instead)")
  ),
  ...rule(
    "status 7",
    "status/Clients",
    "are never all taken for a request from loopback: by strangers some are not, and whoever has them gives one up",
    edit(clients, "this.#underWayElsewhere >= requests - keptForLoopback", "false")
  ),
  ...rule(
    "status 8",
    "status/Clients",
    "are never all taken for a request from loopback: by strangers some are not, and whoever has them gives one up",
    edit(clients, "if (client.isLoopback) instead = $WHO")
  ),
  ...rule(
    "status 9",
    "status/Rpc",
    "send no more than a request may have, in pieces or whole",
    edit("status/Answers", "told(limited(answer), $UNKNOWN, log)", "told(answer, $UNKNOWN, log)")
  )
]
