/** How the scenarios of addresses, bans and settings are taken out of the source. `test/support/removal.ts` says how it is written. */
import { edit, removed, type ScenarioRemoval } from "../support/removal.ts"

const book = "addresses/Book"
const bans = "addresses/BanList"
const rules = "addresses/AddressRules"
const peer = "addresses/PeerAddress"
const policy = "Policy"

/** The `/64` of an address is no group. */
const everyAddressForItself = edit(
  rules,
  'of._tag === "InetAddressV4" ? $OCTETS : $PREFIX',
  "NetAddress.formatIp(of.address)"
)

export const removals: ReadonlyArray<ScenarioRemoval> = [
  // -- the book
  ...removed(
    "addresses/AddressBook",
    "AB-1",
    edit(
      book,
      "const candidate = choose(now); if (candidate === undefined) return Option.none()",
      "const candidate = choose(now)!"
    )
  ),
  ...removed(
    "addresses/AddressBook",
    "AB-2, AB-5, advisory A3, advisory A4",
    edit(book, "for (const entry of gone) forget(entry)", "for (const entry of gone.slice(0, 1)) forget(entry)")
  ),
  ...removed(
    "addresses/AddressBook",
    "AB-3",
    edit(peer, "absentFirst(b.untrustedLastSeenSeconds, a.untrustedLastSeenSeconds)", "0")
  ),
  ...removed(
    "addresses/AddressBook",
    "AB-4",
    edit("addresses/RecentTimes", "atMillis !== undefined && nowMillis - atMillis <= this.#spanMillis", "false")
  ),
  ...removed("addresses/AddressBook", "EX-7", edit(book, "policy.connectionsPerGroup === 1", "true")),
  ...removed(
    "addresses/AddressBook",
    "AB-6",
    edit(
      book,
      "entries: read(() => [...entries.all()].toSorted(PeerAddress.compare))",
      "entries: read(() => [...entries.all()])"
    )
  ),
  ...removed(
    "addresses/AddressBook",
    "AB-7, advisory A1, advisory A2",
    edit("chain/PeerSocketAddress", "NetAddress.toCanonical(address)", "address")
  ),
  ...removed(
    "addresses/AddressBook",
    "AB-8, AB-P3, advisory A7",
    edit(book, "entries.size > policy.addressBookCapacity", "false")
  ),
  ...removed(
    "addresses/AddressBook",
    "EX-5",
    edit(
      "addresses/ReferenceBook",
      "!entry.isConfigured && !PeerAddress.isRecentlyUpdated(entry, now, policy)",
      "!entry.isConfigured",
      {
        within: "victim"
      }
    )
  ),
  ...removed("addresses/AddressBook", "AB-9, AB-12, AB-16, UP-3", everyAddressForItself),
  ...removed(
    "addresses/AddressBook",
    "AB-10",
    edit(
      rules,
      'of._tag === "InetAddressV4" ? $OCTETS : $PREFIX',
      'of._tag === "InetAddressV4" ? NetAddress.ipv4ToOctets(of.address).slice(0, 3).join(".") : $PREFIX'
    )
  ),
  ...removed("addresses/AddressBook", "AB-13, AB-18, AB-20", edit(bans, "nowSeconds < ban.value.untilSeconds", "true")),
  ...removed("addresses/AddressBook", "AB-14", edit(bans, "first !== undefined && first.untilSeconds <= now", "false")),
  ...removed(
    "addresses/AddressBook",
    "AB-15",
    edit(bans, "first !== undefined && first.untilSeconds <= now", "false"),
    edit(bans, "Option.isSome(before) && before.value.untilSeconds >= untilSeconds", "Option.isSome(before)")
  ),
  ...removed(
    "addresses/AddressBook",
    "AB-17",
    edit("chain/PeerSocketAddress", "NetAddress.toCanonical(address)", "address")
  ),
  ...removed(
    "addresses/AddressBook",
    "AB-19, EX-22",
    edit(bans, "Option.isSome(before) && before.value.untilSeconds >= untilSeconds", "Option.isSome(before)")
  ),
  ...removed(
    "addresses/AddressBook",
    "AB-21, EX-4",
    edit(bans, "byEnd.size > policy.banCapacity && byEnd.first !== undefined", "false")
  ),
  ...removed(
    "addresses/AddressBook",
    "AB-22",
    edit(bans, "Option.isSome(ban) && nowSeconds < ban.value.untilSeconds", "true")
  ),
  ...removed("addresses/AddressBook", "EX-14", edit(book, "if (isBanned(address, now)) return undefined")),
  ...removed("addresses/AddressBook", "EX-13, advisory A9", edit(book, "if (start > 0) yield* Effect.yieldNow")),
  ...removed(
    "addresses/AddressBook",
    "AB-P1, EX-6",
    edit(book, "pool.dropOlder(now.wallSeconds - Duration.toSeconds(policy.gossipAge))")
  ),
  ...removed("addresses/AddressBook", "MA-P4", edit(book, "if (Option.isSome(own)) pool.put(own.value)")),
  ...removed(
    "addresses/AddressBook",
    "EX-18",
    edit(
      peer,
      "entry.isConfigured || isProbablyReachable(entry, now, policy)",
      "isProbablyReachable(entry, now, policy)"
    )
  ),
  ...removed(
    "addresses/AddressBook",
    "UP-1",
    edit(book, "entries.get(address) === undefined ? $APPLY : false", "false")
  ),
  ...removed("addresses/AddressBook", "advisory A5", everyAddressForItself),
  ...removed("addresses/BookProperties", "AB-P2", edit(peer, 'entry.state !== "Failed" || $WITHIN', "true")),
  ...removed(
    "addresses/BookProperties",
    "MA-P5",
    edit(book, "own.has(key) || AddressRules.validForOutbound(address, chain) !== undefined", "own.has(key)")
  ),

  ...removed("addresses/AddressBook", "advisory A6", edit(book, "own.add(key)")),

  // -- one address
  ...removed(
    "addresses/PeerAddress",
    "MA-2, MA-3, MA-4, MA-5, MA-6, MA-7, MA-8",
    edit(peer, "isWithin(lastSeenSeconds(entry), now.wallSeconds, Duration.toSeconds(policy.gossipAge))", "true")
  ),
  ...removed("addresses/PeerAddress", "MA-9, MA-10", edit(peer, "isAhead(attempted) || isAhead(responded)", "false")),
  ...removed(
    "addresses/PeerAddress",
    "MA-11, MA-12",
    edit(peer, "progress[created.state] <= progress[previous.state]", "false")
  ),
  ...removed(
    "addresses/PeerAddress",
    "MA-13, EX-3",
    edit(
      peer,
      "pingSentAtMillis: created.pingSentAtMillis",
      "pingSentAtMillis: created.pingSentAtMillis ?? previous.pingSentAtMillis"
    )
  ),
  ...removed("addresses/PeerAddress", "EX-1", edit(peer, 'if (previous.state !== "NeverAttempted") return undefined')),
  ...removed("addresses/PeerAddress", "EX-2", edit(peer, "compareFacts(a, b) || $TEXT", "compareFacts(a, b)")),
  ...removed(
    "addresses/PeerAddress",
    "MA-1",
    edit("addresses/Gossip", "lastSeen - (lastSeen % truncationSeconds)", "lastSeen")
  ),
  ...removed("addresses/PeerAddress", "MA-P1", edit("addresses/Gossip", "entry.isInbound", "false")),
  ...removed(
    "addresses/PeerAddress",
    "MA-P2",
    edit(peer, "previous.untrustedLastSeenSeconds === undefined ? created : previous", "created")
  ),
  ...removed("addresses/PeerAddress", "MA-P3, UP-2", edit(peer, "!isRecentlyUpdated(entry, now, policy)", "true")),
  ...removed("addresses/PeerAddress", "MA-P8, MA-P9", edit(peer, "Duration.toMillis(policy.retryAge)", "Infinity")),

  // -- misbehaviour
  ...removed(
    "addresses/Misbehavior",
    "AB-11",
    edit("addresses/Misbehavior", "sum < policy.banScore", "sum <= policy.banScore")
  ),
  ...removed(
    "addresses/Misbehavior",
    "MA-14, MA-15",
    edit("chain/PeerSocketAddress", "NetAddress.toCanonical(address)", "address")
  ),
  ...removed("addresses/Misbehavior", "advisory N14", edit("addresses/Misbehavior", "gathered.clear()")),
  ...removed("addresses/Misbehavior", "advisory N5", edit("addresses/Misbehavior", "yield* book.ban(report)")),

  // -- rules
  ...removed("addresses/Rules", "PR-1", edit(rules, 'if (address.port === 0) return "the port is 0"')),
  ...removed(
    "addresses/Rules",
    "PR-2, PR-3",
    edit(rules, "if (port === mainnetPort || port === testnetPort) { $$$OWNER }")
  ),
  ...removed(
    "addresses/Rules",
    "PR-4, PR-6",
    edit(rules, "chain === undefined ? $ANY : port === chain.defaultPort", "true")
  ),
  ...removed(
    "addresses/Rules",
    "PR-5",
    edit(
      rules,
      'if (address.port === 0) return "the port is 0"',
      'if (address.port === 0 || NetAddress.isLoopback(address.address)) return "the port is 0"'
    )
  ),
  ...removed("addresses/Rules", "CS-2, CS-4", edit("addresses/Gossip", "!(excess > 0)", "false")),
  ...removed(
    "addresses/Rules",
    "CS-P1",
    edit("addresses/Gossip", "gossiped.lastSeenSeconds - excess", "gossiped.lastSeenSeconds")
  ),

  // -- seeds and files
  ...removed("addresses/DnsSeeds", "EX-10", edit("addresses/DnsSeeds", "unique(addresses.flat())", "addresses.flat()")),
  ...removed(
    "addresses/DnsSeeds",
    "EX-20, CF-22",
    edit("addresses/DnsSeeds", "if (!isRegtest) return [seedOf(text, host, port)]", "return [seedOf(text, host, port)]")
  ),
  ...removed(
    "addresses/files",
    "EX-9",
    edit(
      "addresses/AddressBookFile",
      "Effect.delay(writeOnce, policy.cacheInterval)",
      "Effect.delay(writeOnce, policy.cacheFirstWrite)"
    )
  ),
  ...removed(
    "addresses/files",
    "EX-19",
    edit(
      "addresses/AddressBookFile",
      'chain.custom ? `${name}-${Buffer.from(chain.magic).toString("hex")}` : name',
      "name"
    )
  ),
  ...removed("addresses/files", "EX-17", edit(bans, "ban.untilSeconds > now && isLater", "false")),

  // -- numbers
  ...removed(
    "Policy",
    "peer 56, CO-1",
    edit(policy, "reconnectDelay: Duration.seconds(119)", "reconnectDelay: Duration.seconds(120)")
  ),
  ...removed(
    "Policy",
    "peer 57, CO-2",
    edit(policy, "answerTimeDecay: Duration.seconds(200)", "answerTimeDecay: Duration.seconds(19)")
  ),
  ...removed("Policy", "peer 58, CO-3", edit(policy, "gossipAge: Duration.hours(3)", "gossipAge: Duration.days(4)")),
  ...removed("Policy", "peer 59, CO-4", edit(policy, "addressBookCapacity: 5000", "addressBookCapacity: 500")),
  ...removed(
    "Policy",
    "peer 60, CO-5",
    edit(policy, "inventoryRotation: Duration.seconds(53)", "inventoryRotation: Duration.seconds(76)")
  )
]
