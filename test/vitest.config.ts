/** How the tests run: from the project's root, ending with one line that counts them. */
import { defineConfig } from "vitest/config"
import { CountReporter } from "./support/countReporter.ts"

export default defineConfig({
  root: new URL("..", import.meta.url).pathname,
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["default", new CountReporter()],
    // For what hangs. On a machine with ten times as much to do as it has processors, what takes a second takes half a minute.
    testTimeout: 120_000,
    hookTimeout: 300_000,
    // Many tests wait for sockets and other processes: with one more than the two cores there are at least, none is idle.
    maxWorkers: 3,
    // State is in layers, never in modules: files of one worker may share what they import, which saves a quarter of the time.
    isolate: false
  }
})
