/**
 * What `network-effect/simulation` exports.
 *
 * @module
 */
export * as Eclipse from "./Eclipse.ts"
export * as EclipseRecords from "./EclipseRecords.ts"
export { type Invariant, invariants, type Violation } from "./Invariants.ts"
export * as Generators from "./Generators.ts"
export * as LinkRule from "./LinkRule.ts"
export { NotReached, type Scenario } from "./Scenario.ts"
export { scenarios } from "./Scenarios.ts"
export * as ScriptedPeer from "./ScriptedPeer.ts"
export * as SeededRandom from "./SeededRandom.ts"
export * as SimDisk from "./SimDisk.ts"
export * as SimNames from "./SimNames.ts"
export { SimNetwork } from "./SimNetwork.ts"
export { type Ending, SimRuntime, type Sleeper, StillWaiting } from "./SimRuntime.ts"
export * as Simulation from "./Simulation.ts"
export * as World from "./World.ts"
