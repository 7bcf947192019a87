/**
 * Runs what a module exports: builds layers, runs effects, shows the rest. In a program that has the package installed.
 *
 *     node runBlock.js FILE
 *
 * Prints one JSON object, the exports by name, and fails when one of them does.
 */
import { pathToFileURL } from "node:url"
import { Effect, Layer } from "effect"

const [, , file = ""] = process.argv

/** @param {unknown} value */
const outcomeOf = (value) => {
  // The class of a service is an effect too, which asks for the service.
  if (typeof value === "function") return "function"
  if (Effect.isEffect(value)) {
    const effect = /** @type {Effect.Effect<unknown, unknown>} */ (value)
    return Effect.runPromise(Effect.map(Effect.timeout(effect, "90 seconds"), (answer) => answer ?? "done"))
  }
  if (Layer.isLayer(value)) {
    const layer = /** @type {Layer.Layer<unknown, unknown>} */ (value)
    return Effect.runPromise(Effect.scoped(Effect.as(Layer.build(layer), "built")))
  }
  return typeof value === "object" && value !== null && "_tag" in value ? value._tag : typeof value
}

/** @type {Record<string, unknown>} */
const outcomes = {}
for (const [name, value] of Object.entries(await import(pathToFileURL(file).href))) {
  outcomes[name] = await outcomeOf(value)
}
process.stdout.write(`${JSON.stringify(outcomes)}\n`)
