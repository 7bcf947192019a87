/**
 * One machine's part of a census by several: Effect's cluster over sockets, with PostgreSQL for who is in it and who has what.
 *
 * @module
 */
import * as NodeClusterSocket from "@effect/platform-node/NodeClusterSocket"
import { Duration, Effect, Layer, Logger, Option } from "effect"
import { MessageStorage, RunnerAddress, ShardingConfig, SqlRunnerStorage } from "effect/cluster"
import type { SqlClient } from "effect/sql"
import * as ClusterCensus from "../src/census/ClusterCensus.ts"
import { SharedFrontier } from "../src/census/SharedFrontier.ts"

/** Names of tables: each network has a cluster of its own, for a machine speaks of one chain. */
const tablePrefix = (network: string): string => `census_${network.toLowerCase().replace(/[^a-z0-9]/g, "_")}`

/** Times of the cluster: a machine that is killed is missed within half a minute, and its groups are another's. */
const times = {
  shardLockRefreshInterval: Duration.seconds(3),
  shardLockExpiration: Duration.seconds(15),
  refreshAssignmentsInterval: Duration.seconds(1),
  runnerHealthCheckInterval: Duration.seconds(10),
  entityTerminationTimeout: Duration.seconds(5)
}

/**
 * What the cluster says of itself is for whoever looks for a fault: while a database is away it is several lines a second, with
 * stacks, of what the census says in one sentence.
 */
const quietly = Layer.effect(
  Logger.CurrentLoggers,
  Effect.map(
    Logger.CurrentLoggers,
    (loggers) => new Set([...loggers].map((to) => Logger.make((said) => to.log({ ...said, logLevel: "Debug" }))))
  )
)

/**
 * `KeptCensus` of a network, on a database that all machines reach. `runner` is where the others reach this one; fails when
 * it cannot listen there. `client` is for the cluster alone: who has what must be said in time, however much the census has to
 * say. Messages between machines are not kept: what is to be done is in the rows of `SharedFrontier`.
 */
export const layer = <E>(
  network: string,
  runner: { readonly host: string; readonly port: number },
  client: Layer.Layer<SqlClient.SqlClient, E>
) => {
  const address = RunnerAddress.make(runner.host, runner.port)
  const shardingConfig = {
    ...times,
    runnerAddress: Option.some(address),
    runnerListenAddress: Option.some(address),
    simulateRemoteSerialization: false
  }
  const runners = SqlRunnerStorage.layerWith({ prefix: tablePrefix(network) }).pipe(
    Layer.provide(ShardingConfig.layer(shardingConfig)),
    Layer.provide(client)
  )
  const cluster = NodeClusterSocket.layer({ storage: "byo", shardingConfig }).pipe(
    Layer.provide(Layer.mergeAll(runners, MessageStorage.layerNoop)),
    Layer.provide(quietly)
  )
  return ClusterCensus.layer.pipe(Layer.provide(cluster), Layer.provide(SharedFrontier.layer))
}
