/**
 * The HTTP client that sends traces, logs and metrics to a collector.
 *
 * **Security**
 *
 * Peers decide how many spans and logs there are. A collector that is slow, or does not answer, must not make this node keep
 * all of them: few batches are under way at a time, each for a short while. Beyond that the exporter is told so by a defect,
 * which it does not try again: it drops what it has and pauses for a minute.
 *
 * @module
 */
import { Duration, Effect, Layer } from "effect"
import { HttpClient } from "effect/http"

/** Batches that are sent at the same time; each holds up to 1000 spans or lines. */
const maxUnderWay = 8

/** Time for the collector to take one. */
const timeout = Duration.seconds(10)

const tooSlow = Effect.die(new Error("the collector does not keep up"))

/** A client with these limits, over the client it is given. */
export const layer = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(HttpClient.HttpClient, (client) => {
    let underWay = 0
    return HttpClient.transform(client, (response) =>
      Effect.suspend(() => {
        if (underWay >= maxUnderWay) return tooSlow
        underWay++
        return response.pipe(
          Effect.timeoutOrElse({ duration: timeout, orElse: () => tooSlow }),
          Effect.ensuring(Effect.sync(() => underWay--))
        )
      })
    )
  })
)
