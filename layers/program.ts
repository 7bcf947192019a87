/**
 * What `bin.js` runs. In the package it is another file of this name: it leads to the same program in few files, with a copy of
 * Effect of its own.
 *
 * @module
 */
export { run } from "./main.ts"
