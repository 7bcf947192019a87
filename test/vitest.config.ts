/** How the tests run: from the project's root, ending with one line that counts them. */
import { defineConfig } from "vitest/config"
import { CountReporter } from "./support/countReporter.ts"

export default defineConfig({
  root: new URL("..", import.meta.url).pathname,
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/support/chance.ts"],
    reporters: ["default", new CountReporter()],
    // For what hangs. Where thirty processes want two processors, what takes three seconds takes two minutes.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // Many tests wait for sockets and other processes: with one more than the two cores there are at least, none is idle.
    maxWorkers: 3,
    // State is in layers, never in modules: files of one worker may share what they import, which saves a quarter of the time.
    isolate: false
  }
})
