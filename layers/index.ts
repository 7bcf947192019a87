/**
 * The compositions, for programs that use us: `import { Node, Simulated } from "network-effect/layers"`.
 *
 * @module
 */
export * as Census from "./Census.ts"
export * as Devnet from "./Devnet.ts"
export * as Node from "./Node.ts"
export * as Simulated from "./Simulated.ts"
export * as StatusServer from "./StatusServer.ts"
export * as SqliteClient from "./SqliteClient.ts"
