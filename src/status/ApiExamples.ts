/**
 * The description of the interface, made complete: an example of every parameter, request and answer, and words for every
 * operation. Pure.
 *
 * Examples are made of the schemas, so there is one of whatever is added, and none that does not fit; what a field usually
 * says is looked up by its name.
 *
 * @module
 */

type Json = string | number | boolean | null | ReadonlyArray<Json> | { readonly [key: string]: Json }
/** A part of the description, as it is in JSON. */
interface Node {
  [key: string]: unknown
}

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && !Array.isArray(value)

const nodeOf = (value: unknown): Node => (isNode(value) ? value : {})

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** What fields of these names hold at a node that runs, wherever they stand. Addresses are those kept for documents. */
const values: Readonly<Record<string, Json>> = {
  addr: "203.0.113.7:8233",
  address: "203.0.113.7:8233",
  addrlocal: "198.51.100.20:8233",
  added: ["203.0.113.7:8233"],
  banscore: null,
  bytesReceived: 1_284_112,
  bytesSent: 962_480,
  bytesrecv: 184_112,
  bytessent: 96_248,
  command: "ping",
  conntime: 1_796_000_000,
  group: "203.0.113.7",
  id: 7,
  inbound: false,
  lastResponse: 1_796_000_540,
  lastSeen: 1_796_000_000,
  lastrecv: 1_796_000_540,
  lastsend: 1_796_000_541,
  level: "Info",
  limit: 5000,
  listen: "198.51.100.20:8233",
  load_ms: 48.2,
  messagesReceived: { ping: 12, pong: 12, inv: 340 },
  messagesSent: { ping: 12, pong: 12, getdata: 18 },
  messagesrecv: { ping: 3, pong: 3, inv: 85 },
  messagessent: { ping: 3, pong: 3 },
  negotiated_version: 170_190,
  network: "Mainnet",
  peers: 15,
  pingtime: 0.042,
  pingwait: null,
  protocolVersion: 170_190,
  reason: "banned by the operator",
  seconds: 7200,
  services: "0000000000000001",
  startingheight: 3_400_000,
  subver: "/Zebra:5.2.0/",
  timeoffset: -1,
  total: 412,
  until: 1_796_086_400,
  userAgent: "/Zebra:5.2.0/",
  version: 170_190,
  wanted: 13
}

/** Sentences of answers that say what was wrong, by status. */
const details: Readonly<Record<string, string>> = {
  400: "The body is wrong at address: Missing key.",
  401: "Send the token of this node: Authorization: Bearer TOKEN.",
  403: "Pages of https://example.org may not ask this server.",
  404: "No peer has the number 99.",
  409: "No connection was made: it is connected already.",
  500: "The request could not be answered, which is a bug.",
  502: "203.0.113.7:8233 could not be connected: nobody listens there.",
  503: "3 of the 13 peers that make this node ready are connected."
}

/** What a parameter of a path or a query is, and one that makes sense, by its name. */
const parameters: Readonly<Record<string, readonly [description: string, example: string]>> = {
  address: ["An address, `ip:port` or `[ip6]:port`; the port of the chain unless given.", "203.0.113.7:8233"],
  group: ["An IPv4 address or an IPv6 /64, as `/bans` tells it.", "203.0.113.7"],
  host: ["An IP; on loopback an ip:port.", "203.0.113.7"],
  id: ["Number of a connection, as `/peers` tells it.", "7"],
  limit: ["Most entries of the answer, up to 1000.", "20"],
  network: ["A chain that the store has runs of.", "Mainnet"],
  offset: ["How many entries are passed over.", "0"],
  search: ["What an entry has in its address, state, user agent, group or table.", "Responded"]
}

/** Deepest nesting of an example: beyond it a list is empty. */
const maxDepth = 8

/** What an interface says in its own way: whole answers by the name of their schema, and sentences by status. */
export interface Words {
  readonly answers?: Readonly<Record<string, Json>>
  readonly details?: Readonly<Record<string, string>>
}

/** What examples are made of. */
interface Known {
  readonly schemas: Node
  readonly answers: Readonly<Record<string, Json>>
  readonly details: Readonly<Record<string, string>>
}

/** A value that the schema takes, or `undefined` where there is none to be made. */
const exampleOf = (given: unknown, all: Known, name = "", depth = 0): Json | undefined => {
  const schema = nodeOf(given)
  const [, reference] = /^#\/components\/schemas\/(.+)$/.exec(String(schema["$ref"] ?? "")) ?? []
  const answer = reference === undefined ? undefined : all.answers[reference]
  if (answer !== undefined) return answer
  if (reference !== undefined) return exampleOf(all.schemas[reference], all, name, depth + 1)
  if ("const" in schema) return schema["const"] as Json
  const { type } = schema
  const known = values[name]
  const fits = (value: Json): boolean =>
    type === undefined
      ? !("anyOf" in schema) && !("enum" in schema)
      : type === "integer"
        ? Number.isInteger(value)
        : type === (value === null ? "null" : Array.isArray(value) ? "array" : typeof value)
  if (known !== undefined && fits(known) && !("enum" in schema)) return known
  const [first] = listOf(schema["enum"])
  if (first !== undefined) return first as Json
  const branches = [...listOf(schema["anyOf"]), ...listOf(schema["oneOf"])]
  if (branches.length > 0) {
    const examples = branches.map((branch) => exampleOf(branch, all, name, depth + 1))
    return examples.find((example) => example !== null && example !== undefined) ?? examples[0]
  }
  const parts = listOf(schema["allOf"])
  switch (type) {
    case "null":
      return null
    case "boolean":
      return false
    case "integer":
    case "number":
      return Number(schema["minimum"] ?? 0)
    case "array": {
      const prefix = listOf(schema["prefixItems"])
      if (prefix.length > 0) return prefix.map((item) => exampleOf(item, all, name, depth + 1) ?? null)
      const items = depth < maxDepth ? exampleOf(schema["items"], all, name.replace(/s$/, ""), depth + 1) : undefined
      return items === undefined ? [] : [items]
    }
    case "object": {
      const properties = Object.entries(nodeOf(schema["properties"]))
      const required = listOf(schema["required"])
      return Object.fromEntries(
        properties.flatMap(([key, property]) => {
          const example = exampleOf(property, all, key, depth + 1)
          return example === undefined || (!required.includes(key) && depth > 1) ? [] : [[key, example]]
        })
      )
    }
    default:
      return parts.length > 0
        ? exampleOf({ ...schema, ...nodeOf(parts[0]), allOf: parts.slice(1) }, all, name, depth)
        : type === "string"
          ? "text"
          : undefined
  }
}

/** What is sent in other forms than JSON. */
const texts: ReadonlyArray<readonly [type: string, text: string]> = [
  [
    "text/event-stream",
    'id: k3x9-17\ndata: {"_tag":"PeerConnected","at":1796000000000,"address":"203.0.113.7:8233","direction":"outbound","connection":7,"userAgent":"/Zebra:5.2.0/","version":170190}\n\n'
  ],
  ["text/plain", '# TYPE zcash_net_peers gauge\nzcash_net_peers{status="ready"} 15\n']
]

/** Words for operations that have none, by `operationId`. */
const descriptions: Readonly<Record<string, string>> = {
  peers: "Every connected peer, with the fields of zcashd's `getpeerinfo` and ours.",
  bans: "Who is banned, until when, and why.",
  logLevel: "The level that logs are written from.",
  setLogLevel: "Changes the level of the logs until the node stops.",
  disconnect: "Ends the connection with a peer. Its address may be dialled again.",
  unban: "Ends a ban before its time.",
  connect: "Dials an address once and says why it failed, or puts it on the list that is kept connected."
}

const withContent = (part: Node, all: Known, status: string): Node => ({
  ...part,
  content: Object.fromEntries(
    Object.entries(nodeOf(part["content"])).map(([type, media]) => {
      const text = texts.find(([prefix]) => type.startsWith(prefix))?.[1]
      const made = text ?? exampleOf(nodeOf(media)["schema"], all)
      const detail = all.details[status]
      const example = isNode(made) && "detail" in made && detail !== undefined ? { ...made, detail } : made
      return [type, example === undefined ? media : { example, ...nodeOf(media) }]
    })
  )
})

const withWords = (given: unknown): Node => {
  const parameter = nodeOf(given)
  const [description, example] = parameters[String(parameter["name"])] ?? []
  return description === undefined ? parameter : { description, example, ...parameter }
}

/** The description with examples; what has one already keeps it. `own` is what this interface says in another way. */
export const complete = (spec: Readonly<Record<string, unknown>>, own: Words = {}): Record<string, unknown> => {
  const all: Known = {
    schemas: nodeOf(nodeOf(spec["components"])["schemas"]),
    answers: own.answers ?? {},
    details: { ...details, ...own.details }
  }
  const operation = (given: Node): Node => {
    const { description = descriptions[String(given["operationId"])], parameters: named, requestBody } = given
    const responses = Object.entries(nodeOf(given["responses"])).map(([status, response]) => [
      status,
      isNode(response) && "content" in response ? withContent(response, all, status) : response
    ])
    return {
      ...given,
      ...(description === undefined ? {} : { description }),
      ...(Array.isArray(named) ? { parameters: named.map(withWords) } : {}),
      ...(isNode(requestBody) ? { requestBody: withContent(requestBody, all, "") } : {}),
      responses: Object.fromEntries(responses) as Node
    }
  }
  const paths = Object.entries(nodeOf(spec["paths"])).map(([path, operations]) => [
    path,
    Object.fromEntries(Object.entries(nodeOf(operations)).map(([method, one]) => [method, operation(nodeOf(one))]))
  ])
  return { ...spec, paths: Object.fromEntries(paths) as Node }
}
