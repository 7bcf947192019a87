/**
 * Sends traces, logs and metrics to an OpenTelemetry collector.
 *
 * @module
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Layer } from "effect"
import { Otlp } from "effect/observability"
import * as CollectorClient from "../src/status/CollectorClient.ts"

/** To the collector at this URL, `http://host:port`. */
export const layer = (url: string) =>
  Otlp.layerJson({ baseUrl: url, resource: { serviceName: "network-effect" } }).pipe(
    Layer.provide(CollectorClient.layer),
    Layer.provide(NodeHttpClient.layerNodeHttp)
  )
