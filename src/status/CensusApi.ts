/**
 * What a census over HTTP answers: the whole of a network in one look, and one host.
 *
 * @module
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiError, HttpApiGroup, OpenApi } from "effect/http-api"
import * as ApiExamples from "./ApiExamples.ts"
import { words } from "./CensusExamples.ts"
import { Access, BadRequest, NotFound, Problems } from "./StatusApi.ts"

/** The store does not answer, or cannot be read. */
export class StoreUnavailable extends HttpApiError.Problem<StoreUnavailable>()(
  "StoreUnavailable",
  { type: "about:blank", status: 503, title: "Service Unavailable" },
  { detail: Schema.String }
) {}

const documented = <S extends Schema.Top>(schema: S, description: string) => schema.annotate({ description })
const Counts = Schema.Record(Schema.String, Schema.Finite)
const Maybe = Schema.NullOr(Schema.Finite)
/** Seconds since the Unix epoch. */
const Seconds = Schema.Finite

/** Who is ready for one upgrade. */
const Readiness = Schema.Struct({
  upgrade: Schema.String,
  version: documented(Schema.Int, "Protocol version that it demands"),
  count: Schema.Int,
  share: documented(Schema.Finite, "Of the nodes reached, in 0..1"),
  low: documented(Maybe, "If every node that was missed is not ready; null without an interval"),
  high: documented(Maybe, "If every node that was missed is ready"),
  groupsReady: Schema.Int,
  groups: Schema.Int
})

/** One run in numbers. */
export class RunPoint extends Schema.Class<RunPoint>("RunPoint")({
  id: Schema.Int,
  startedAt: Seconds,
  endedAt: documented(Schema.NullOr(Seconds), "Null: it runs, or was ended by force"),
  ending: Schema.NullOr(Schema.String),
  reachable: documented(Schema.Int, "Nodes reached"),
  estimate: documented(Maybe, "Nodes reachable at the middle of the run; null without an interval"),
  low: documented(Maybe, "Of the 95 % interval"),
  high: Maybe,
  claimed: documented(Schema.Finite, "Hosts that somebody told of"),
  unreachable: Schema.Int,
  arrived: documented(Schema.NullOr(Schema.Int), "Reached now and not in the run before; null when there is none"),
  departed: documented(Schema.NullOr(Schema.Int), "Reached in the run before, and dialled in vain now"),
  versions: documented(Counts, "Nodes by protocol version"),
  tip: documented(Maybe, "Height at which half of the groups are")
}) {}

/** A host that came, or went. */
const Moved = Schema.Struct({
  host: Schema.String,
  version: Maybe,
  userAgent: Schema.NullOr(Schema.String)
})

/** A network as its latest run found it, and the runs before. */
export class CensusOverview extends Schema.Class<CensusOverview>("CensusOverview")({
  network: Schema.String,
  networks: documented(Schema.Array(Schema.String), "Those that the store has runs of"),
  runs: documented(Schema.Array(RunPoint), "Oldest first"),
  runsKept: documented(Schema.Int, "Runs in the store; at most the latest 60 are told"),
  reason: documented(Schema.NullOr(Schema.String), "Why the latest run has no interval"),
  agents: Counts,
  readiness: Schema.Array(Readiness),
  heights: Schema.Struct({
    known: Schema.Int,
    unknown: Schema.Int,
    tip: Schema.NullOr(
      Schema.Struct({
        height: Schema.Finite,
        tolerance: Schema.Finite,
        behind: Schema.Int,
        there: Schema.Int,
        ahead: Schema.Int,
        groups: Schema.Int,
        groupsThere: Schema.Int
      })
    )
  }),
  groups: Schema.Struct({
    count: Schema.Int,
    largest: Schema.Array(Schema.Struct({ group: Schema.String, hosts: Schema.Int }))
  }),
  reasons: documented(Counts, "Why hosts did not answer"),
  latency: Schema.Struct({ median: Maybe, p90: Maybe }),
  arrived: documented(Schema.Array(Moved), "Since the run before, at most 100"),
  departed: Schema.Array(Moved),
  notes: documented(Schema.Array(Schema.String), "What to know when reading the numbers")
}) {}

/** What the runs found at one host. */
export class CensusHost extends Schema.Class<CensusHost>("CensusHost")({
  host: Schema.String,
  firstDialled: Seconds,
  lastDialled: Seconds,
  firstReached: Schema.NullOr(Seconds),
  lastReached: Schema.NullOr(Seconds),
  sightings: documented(
    Schema.Array(
      Schema.Struct({
        runId: Schema.Int,
        at: Seconds,
        address: Schema.String,
        isReached: Schema.Boolean,
        reason: Schema.NullOr(Schema.String),
        version: Maybe,
        userAgent: Schema.NullOr(Schema.String),
        height: Maybe,
        latency: Maybe
      })
    ),
    "The runs that are kept, oldest first"
  )
}) {}

const name = Schema.String.check(Schema.isMaxLength(60))

class CensusReads extends HttpApiGroup.make("census", { topLevel: true })
  .add(
    HttpApiEndpoint.get("overview", "/census/overview", {
      query: { network: Schema.optional(name) },
      success: CensusOverview,
      error: [NotFound, StoreUnavailable]
    }).annotate(OpenApi.Description, "A network in numbers: that of the latest run unless told."),
    HttpApiEndpoint.get("host", "/census/host", {
      query: { network: name, host: name },
      success: CensusHost,
      error: [BadRequest, NotFound, StoreUnavailable]
    }).annotate(OpenApi.Description, "One host over all runs: an IP, or on loopback an ip:port.")
  )
  .middleware(Access) {}

/** The whole interface. */
export class CensusApi extends HttpApi.make("network-effect census")
  .add(CensusReads)
  .middleware(Problems)
  .annotate(HttpApi.ParseOptions, { onExcessProperty: "error" })
  .annotate(HttpApi.HeadersParseOptions, {})
  .annotateMerge(
    OpenApi.annotations({
      title: "network-effect census",
      version: "1",
      description: "What censuses have found.",
      transform: (spec) => ApiExamples.complete(spec, words)
    })
  ) {}
