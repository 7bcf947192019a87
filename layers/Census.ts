/**
 * What `network-effect census` runs on: this machine's network, and a database by its name.
 *
 * @module
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeDns from "@effect/platform-node/NodeDns"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Effect, FileSystem, Layer, Option, Path, Redacted, Result } from "effect"
import { CliError } from "effect/cli"
import { SqlClient, SqlError } from "effect/sql"
import { fileStem } from "../src/addresses/AddressBookFile.ts"
import * as CacheFile from "../src/addresses/CacheFile.ts"
import { DnsSeeds } from "../src/addresses/DnsSeeds.ts"
import { Census, defaultUserAgent } from "../src/census/Census.ts"
import { CensusPolicy } from "../src/census/CensusPolicy.ts"
import { CensusStore, type CensusStoreError, wordsOf } from "../src/census/CensusStore.ts"
import { KeptCensus } from "../src/census/KeptCensus.ts"
import { ChainParams } from "../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../src/chain/PeerSocketAddress.ts"
import { CensusSource, rateOf, seedPatience } from "../src/cli/census.ts"
import { explained } from "../src/cli/root.ts"
import { unsayable } from "../src/status/StatusAddress.ts"
import * as TcpTransport from "../src/transport/TcpTransport.ts"
import { maxUserAgentBytes } from "../src/wire/HandshakeMessages.ts"
import * as Settings from "./Settings.ts"
import * as SqliteClient from "./SqliteClient.ts"
import * as StatusServer from "./StatusServer.ts"

const sentence = (userMessage: string, cause: unknown = userMessage) => new CliError.UserError({ cause, userMessage })

const isUrl = (store: string): boolean => /^postgres(ql)?:\/\//i.test(store)

/**
 * Whether a package has a copy of `effect` that is not ours, as two that were installed globally have: values of one mean nothing
 * to the other.
 */
const hasOtherEffect = (name: string): boolean => {
  const { createRequire } = process.getBuiltinModule("node:module")
  const effectOf = (url: string) => createRequire(url).resolve("effect/package.json")
  return effectOf(import.meta.resolve(name)) !== effectOf(import.meta.url)
}

/** The client of PostgreSQL is installed only where somebody wants it. */
const postgres = (url: string) =>
  Layer.unwrap(
    Effect.tryPromise({
      // Bundlers of others' programs pass over a package that is not there only where the failure is handled on the spot.
      try: () => import("@effect/sql-pg").catch((cause: unknown) => Promise.reject(cause)),
      catch: (cause) =>
        sentence(
          "a census in PostgreSQL needs one more package in the same folder: npm install network-effect @effect/sql-pg@4.0.5.",
          cause
        )
    }).pipe(
      Effect.filterOrFail(
        () => !hasOtherEffect("@effect/sql-pg"),
        () =>
          sentence(
            "@effect/sql-pg has a copy of effect of its own, which this one does not understand: install both in one folder, npm install network-effect @effect/sql-pg@4.0.5."
          )
      ),
      Effect.map(({ PgClient }) =>
        PgClient.layer({
          url: Redacted.make(url),
          applicationName: "network-effect census",
          connectTimeout: "5 seconds",
          // A machine that stands still in the middle of a transaction: others wait no longer for what it holds.
          startupParameters: { idle_in_transaction_session_timeout: "15s" }
        })
      )
    )
  )

/** A URL without what nobody should read. */
const shown = (store: string): string => store.replace(/\/\/[^@/]*@/, "//")

const cannotOpen = (store: string) => (error: SqlError.SqlError | CliError.UserError) => {
  if (!(error instanceof SqlError.SqlError)) return error
  const words = error.message.replace(/\.$/, "")
  return sentence(`the census' database ${shown(store)} cannot be opened (${words}): see --store.`, error)
}

const failing =
  <E>(explain: (error: E) => CliError.UserError) =>
  <A, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, CliError.UserError, R> =>
    Layer.catch(layer, (error) => Layer.effectContext(Effect.fail(explain(error))))

/** The client of a file or a URL. */
export const layerSql = (store: string): Layer.Layer<SqlClient.SqlClient, CliError.UserError> => {
  const isOther = !isUrl(store) && /^[a-z][a-z0-9+.-]*:\/\//i.test(store)
  if (isOther || (isUrl(store) && !URL.canParse(store))) {
    const userMessage = `--store ${shown(store)} is neither a file nor postgres://user:password@host/database.`
    return Layer.effectContext(Effect.fail(sentence(userMessage)))
  }
  return (isUrl(store) ? postgres(store) : SqliteClient.layer(store)).pipe(failing(cannotOpen(store)))
}

const isMissing = (store: string) =>
  sentence(`there is no census at ${shown(store)}: network-effect census run --store ${shown(store)} makes one.`)

/** Why a store cannot be had, and what to do. */
const cannotUse = (store: string) => (error: CensusStoreError | CliError.UserError) => {
  if (error._tag !== "CensusStoreError") return error
  switch (error.reason) {
    case "Missing":
      return isMissing(store)
    case "Unreachable":
    case "Failed":
      return sentence(`${error.message.replace(/\.$/, "")}: see --store, which is ${shown(store)}.`, error)
    default:
      return sentence(error.message, error)
  }
}

/** The store of a file or a URL, which is made when it is not there. */
export const layerStore = (store: string): Layer.Layer<CensusStore, CliError.UserError> =>
  CensusStore.layer.pipe(Layer.provide(layerSql(store)), failing(cannotUse(store)))

/** The same for questions: a file that is not there is a mistake. */
export const layerExistingStore = ({ store }: { readonly store: string }) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const isThere = isUrl(store) || (yield* Effect.orElseSucceed(files.exists(store), () => true))
      if (!isThere) return yield* isMissing(store)
      return CensusStore.layerExisting.pipe(Layer.provide(layerSql(store)), failing(cannotUse(store)))
    })
  )

interface SourceFlags {
  readonly network: Option.Option<string>
  readonly peers: ReadonlyArray<string>
  readonly contact: Option.Option<string>
}

interface RunFlags extends SourceFlags {
  readonly store: string
  readonly cluster: boolean
  readonly runner: { readonly host: string; readonly port: number }
  readonly maxRate: number
}

/** Most addresses taken from a node's cache. */
const maxCached = 5000

const agentOf = (contact: Option.Option<string>) => {
  if (Option.isSome(contact) && contact.value.trim() === "") {
    return Effect.fail(sentence("--contact is blank: say who runs this census."))
  }
  const agent = Option.match(contact, {
    onNone: () => defaultUserAgent,
    onSome: (contact) => defaultUserAgent.replace(/\/$/, ` (${contact.replaceAll("/", "|")})/`)
  })
  return Buffer.byteLength(agent) <= maxUserAgentBytes
    ? Effect.succeed(agent)
    : Effect.fail(sentence(`--contact is too long: a user agent has at most ${maxUserAgentBytes} bytes.`))
}

/** Whoever is named, else what the seeds and a node's cache on this machine say. */
const layerSource = (flags: SourceFlags) =>
  Layer.effect(
    CensusSource,
    Effect.gen(function* () {
      const { options } = yield* explained("")(
        Settings.load({
          network: Option.getOrUndefined(flags.network),
          listen: undefined,
          peers: flags.peers,
          userAgent: undefined
        })
      )
      const { cacheDirectory, chain, peers, seeds } = options
      const paths = yield* Path.Path
      const cache =
        cacheDirectory === undefined
          ? undefined
          : yield* CacheFile.make({
              path: paths.join(cacheDirectory, "network", `${fileStem(chain)}.peers`),
              name: "peer cache",
              maxLines: maxCached,
              parse: (line) => Result.getOrUndefined(PeerSocketAddress.fromString(line)),
              format: PeerSocketAddress.format
            })
      const seeded = DnsSeeds.pipe(
        Effect.flatMap(({ resolve }) => Effect.timeoutOption(resolve, seedPatience)),
        Effect.map(Option.getOrElse(() => [])),
        Effect.provide(
          DnsSeeds.layer(seeds).pipe(Layer.provide(Layer.succeed(ChainParams, chain)), Layer.provide(NodeDns.layer))
        )
      )
      const context = yield* Effect.context<never>()
      // A network without seeds is no news to whoever counts it, as it is to a node.
      const found = Effect.all(
        [seeds.length === 0 ? Effect.succeed([]) : seeded, cache === undefined ? Effect.succeed([]) : cache.load],
        { concurrency: 2 }
      )
      return CensusSource.of({
        chain,
        userAgent: yield* agentOf(flags.contact),
        from:
          peers !== undefined
            ? Effect.succeed(peers)
            : Effect.map(found, (found) => found.flat()).pipe(Effect.provideContext(context))
      })
    })
  )

/** The network of this machine, and where to begin on it. */
export const layerWatch = (flags: SourceFlags) => {
  const source = layerSource(flags).pipe(Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)))
  const chain = Layer.effect(
    ChainParams,
    Effect.map(CensusSource, ({ chain }) => chain)
  )
  return Layer.mergeAll(TcpTransport.layer, NodeCrypto.layerSecureRandom, chain).pipe(Layer.provideMerge(source))
}

/** Everything `census run` needs. */
export const layerRun = (flags: RunFlags) =>
  (flags.cluster ? layerCluster(flags) : KeptCensus.layer.pipe(Layer.provide(Census.layer))).pipe(
    Layer.provideMerge(CensusPolicy.layer({ maxRate: rateOf(flags.maxRate) })),
    Layer.provideMerge(layerWatch(flags)),
    Layer.provideMerge(layerStore(flags.store))
  )

/** This machine's part of a census by several. Its code is loaded when it is wanted. */
const layerCluster = ({ runner, store }: RunFlags) =>
  Layer.unwrap(
    Effect.gen(function* () {
      if (!isUrl(store)) {
        return yield* sentence(
          "--cluster needs a database that all machines reach: --store postgres://user:password@host/database."
        )
      }
      const { chain } = yield* CensusSource
      const { layer } = yield* Effect.promise(() => import("./CensusCluster.ts"))
      return layer(chain.name, runner, layerSql(store)).pipe(
        failing((error) =>
          error._tag === "UserError"
            ? error
            : sentence(
                `other machines cannot reach this one at ${runner.host}:${runner.port} (${wordsOf(error)}): see --runner.`,
                error
              )
        ),
        Layer.provide(layerSql(store))
      )
    })
  )

interface ServeFlags {
  readonly store: string
  readonly listen: PeerSocketAddress.PeerSocketAddress
  readonly statusHosts: ReadonlyArray<string>
}

/** The page of a store that is there. */
export const layerServe = (flags: ServeFlags) =>
  StatusServer.layerCensus(flags.listen, { hosts: flags.statusHosts }).pipe(
    Layer.catchTag("StatusNeedsToken", ({ address, token }) =>
      Layer.effectContext(
        Effect.fail(
          sentence(
            token === "unsayable"
              ? unsayable
              : `${address} can be reached by others: set NETWORK_EFFECT_STATUS_TOKEN, or choose a loopback address with --listen.`
          )
        )
      )
    ),
    Layer.catchTag("ListenError", (error) =>
      Layer.effectContext(explained("choose another with --listen")(Effect.fail(error)))
    ),
    Layer.provide(layerExistingStore(flags))
  )
