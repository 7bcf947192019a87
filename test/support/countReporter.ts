/** A reporter whose last line counts the tests in a form every log reader knows. */
import type { Reporter, TestModule } from "vitest/node"

export class CountReporter implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>): void {
    const counts = { passed: 0, failed: 0, skipped: 0 }
    for (const module of modules) {
      if (module.state() === "failed" && module.children.size === 0) counts.failed++
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === "passed" || state === "failed") counts[state]++
        else counts.skipped++
      }
    }
    // The default reporter writes its summary in the same turn; this line has to be the last.
    setImmediate(() => {
      process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`)
    })
  }
}
