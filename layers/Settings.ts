/**
 * Settings of the command line: reads the file and the environment and makes a node's options and policy of them.
 *
 * @module
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { type Cause, Config, ConfigProvider, Effect, Layer, Option, Path } from "effect"
import { readFile, shortName } from "../src/cli/Files.ts"
import * as AddressGroups from "../src/addresses/AddressGroups.ts"
import type { PeerSocketAddress } from "../src/chain/PeerSocketAddress.ts"
import { explained, type Failure, root } from "../src/cli/root.ts"
import * as SettingsFile from "../src/cli/SettingsFile.ts"
import { defaults, Policy } from "../src/Policy.ts"
import { Zones } from "../src/transport/Zones.ts"
import { check, StatusListening } from "../src/status/StatusAddress.ts"
import * as CacheLock from "./CacheLock.ts"
import * as Descriptors from "./Descriptors.ts"
import { loaded } from "./Loaded.ts"
import * as Node from "./Node.ts"
import type { NodeOptions } from "./Node.ts"

/** The flags of `start` as they are parsed. */
interface StartFlags {
  readonly network: Option.Option<string>
  readonly listen: Option.Option<string>
  readonly peers: ReadonlyArray<string>
  readonly userAgent: Option.Option<string>
  readonly asmap: Option.Option<string>
  readonly status: Option.Option<PeerSocketAddress>
  readonly statusHosts: ReadonlyArray<string>
  readonly rpcCookie: Option.Option<string>
  readonly record: Option.Option<string>
  readonly recordBodies: boolean
}

/** Every variable of the environment that starts with `ZEBRA_`. */
const environment = Effect.gen(function* () {
  const provider = yield* ConfigProvider.ConfigProvider
  const found: Record<string, string> = {}
  const visit = (path: ReadonlyArray<string>): Effect.Effect<void> =>
    Effect.gen(function* () {
      const node = yield* Effect.orDie(provider.load(path))
      if (node === undefined) return
      if (node.value !== undefined) found[path.join("_")] = node.value
      if (node._tag === "Record") for (const key of node.keys) yield* visit([...path, key])
    })
  yield* visit(["ZEBRA"])
  return found
})

/** Whether there is anybody for a node of Regtest to dial. */
const hasPeers = ({ peers, seeds }: SettingsFile.Settings): boolean =>
  peers !== undefined || seeds.some(SettingsFile.isOfThisMachine)

/** What a node is started with. Fails with one sentence that says what to change. */
export const load = Effect.fnUntraced(function* (flags: SettingsFile.Flags) {
  const { config } = yield* root
  const path = yield* Path.Path
  const name = Option.isNone(config) ? undefined : yield* shortName(config.value)
  const file = name === undefined ? undefined : { name, text: yield* readFile(name, `--config ${name}`) }
  const settings = yield* Effect.fromResult(
    SettingsFile.load({
      file,
      environment: yield* environment,
      flags,
      platform: {
        home: Option.getOrUndefined(yield* Effect.orDie(Config.option(Config.String("HOME")))),
        xdgCacheHome: Option.getOrUndefined(yield* Effect.orDie(Config.option(Config.String("XDG_CACHE_HOME")))),
        os: process.platform,
        cwd: path.resolve(".")
      }
    })
  )
  for (const warning of settings.warnings) yield* Effect.logWarning(warning)
  const policy: Policy = {
    ...defaults,
    targetPeers: settings.targetPeers,
    crawlInterval: settings.crawlInterval,
    connectionsPerGroup: settings.connectionsPerGroup,
    // Nobody knows how many nodes a local network has: one peer is enough, and none where there is nobody to dial.
    ...(settings.chain.kind === "regtest" ? { readyPeers: hasPeers(settings) ? 1 : 0 } : {})
  }
  return { options: settings satisfies NodeOptions, policy, zones: Layer.succeed(Zones, settings.zones) }
})

/** A failure as its sentence. `change` says what to do about a taken address. */
export const failing = (change: string) => (cause: Cause.Cause<Failure>) =>
  Layer.effectContext(explained(change)(Effect.failCause(cause)))

/** The same, for commands that start nothing. */
export const loadWithoutPeers = (flags: Pick<StartFlags, "network" | "listen">) =>
  load({
    network: Option.getOrUndefined(flags.network),
    listen: Option.getOrUndefined(flags.listen),
    peers: [],
    userAgent: undefined
  })

/** As whoever stops the process from outside, so that everything is closed in order. */
const stopProcess = Effect.sync(() => process.kill(process.pid, "SIGTERM"))

/** The node that `start` runs with these flags, and its status interface. */
export const layerNode = (flags: StartFlags) => {
  const recording = Option.match(flags.record, {
    onNone: () => Layer.empty,
    onSome: (directory) =>
      loaded(
        () => import("../src/recording/RecordFolder.ts"),
        ({ layerRecording }) => layerRecording({ directory, keepsBodies: flags.recordBodies })
      ).pipe(Layer.provide([NodeFileSystem.layer, NodePath.layer, NodeCrypto.layerSecureRandom]))
  })
  const node = Layer.unwrap(
    load({
      network: Option.getOrUndefined(flags.network),
      listen: Option.getOrUndefined(flags.listen),
      peers: flags.peers,
      userAgent: Option.getOrUndefined(flags.userAgent),
      asmap: Option.getOrUndefined(flags.asmap)
    }).pipe(
      Effect.map(({ options, policy, zones }) => {
        const { asmap, cacheDirectory, chain } = options
        return Node.layer(options).pipe(
          Layer.catchTag(Node.madeByHand, (error) => Layer.effectContext(Effect.die(error))),
          Layer.provideMerge(asmap === undefined ? Layer.empty : AddressGroups.layerFile(asmap)),
          Layer.provide(zones),
          Layer.provide(recording),
          Layer.merge(Descriptors.layer),
          // Before anything is bound, and given back when all is written.
          Layer.provide(cacheDirectory === undefined ? Layer.empty : CacheLock.layer(cacheDirectory, chain)),
          Layer.provideMerge(Layer.succeed(Policy, policy))
        )
      })
    )
  ).pipe(Layer.catchCause(failing("choose another with --listen")))
  if (Option.isNone(flags.status) && Option.isSome(flags.rpcCookie)) {
    const message = "--rpc-cookie is a login of the status interface: say where that is with --status, which is off"
    return Layer.effectContext(explained("")(Effect.fail(new SettingsFile.SettingsError({ message }))))
  }
  return Option.match(flags.status, {
    onNone: () => Layer.succeed(StatusListening, { address: Option.none() }).pipe(Layer.provideMerge(node)),
    onSome: (address) => {
      const change = failing("choose another with --status, or --status off")
      // The node listens before the modules of the page are read.
      const status = loaded(
        () => import("./StatusServer.ts"),
        ({ layer }) =>
          layer(address, {
            hosts: flags.statusHosts,
            rpcCookie: Option.getOrUndefined(flags.rpcCookie),
            stop: stopProcess
          })
      ).pipe(Layer.catchCause(change))
      // Before the node is built, which binds and dials.
      const checked = Layer.effectDiscard(check(address)).pipe(Layer.catchCause(change))
      return Layer.unwrap(Effect.as(Layer.build(checked), status.pipe(Layer.provideMerge(node))))
    }
  })
}
