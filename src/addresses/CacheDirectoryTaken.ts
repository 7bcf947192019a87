/**
 * What a node says that may not use its cache directory.
 *
 * @module
 */
import { Schema } from "effect"

/** Another process has the files of this chain. */
export class CacheDirectoryTaken extends Schema.TaggedError<CacheDirectoryTaken>()("CacheDirectoryTaken", {
  directory: Schema.String,
  /** Number of that process, when it could be found out. */
  pid: Schema.NullOr(Schema.Int)
}) {
  override get message(): string {
    const who = this.pid === null ? "another node" : `another node (process ${this.pid})`
    return `${who} keeps its addresses in ${this.directory}: stop it, or choose another directory with cache_dir.`
  }
}
