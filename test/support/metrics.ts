/** What metrics say. */
import { Effect, Metric } from "effect"

/** The series of a metric, each by its labels in the order of their names, `kind=waited network=mainnet`, with its count or value. */
export const seriesOf = (id: string): Effect.Effect<Record<string, number>> =>
  Effect.map(Metric.snapshot, (metrics) =>
    Object.fromEntries(
      metrics.flatMap((metric) => {
        if (metric.id !== id) return []
        const labels = Object.entries(metric.attributes ?? {}).map(([name, value]) => `${name}=${value}`)
        const { state } = metric
        const value = "count" in state ? state.count : "value" in state ? state.value : Number.NaN
        return [[labels.toSorted().join(" "), Number(value)]]
      })
    )
  )

/** With metrics of its own. */
export const withMetrics = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map()))
