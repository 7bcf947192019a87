/**
 * Layers whose modules are read when they are built: for what only some starts need, as most of a start is reading modules.
 *
 * @module
 */
import { Effect, Layer } from "effect"

/** A layer of a module that is read when the layer is built. A module that is not there is a broken installation: a defect. */
export const loaded = <Module, A, E, R>(
  load: () => Promise<Module>,
  layerOf: (module: Module) => Layer.Layer<A, E, R>
): Layer.Layer<A, E, R> => Layer.unwrap(Effect.map(Effect.promise(load), layerOf))
