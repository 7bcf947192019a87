/** What a file of ours imports from `effect`, for processes that start two hundred times: all of it takes twice as long. */
export * as Effect from "effect/Effect"
export * as FileSystem from "effect/FileSystem"
export * as Layer from "effect/Layer"
export * as Metric from "effect/Metric"
export * as Path from "effect/Path"
export * as PlatformError from "effect/PlatformError"
export * as Random from "effect/Random"
export * as Stream from "effect/Stream"
