/** Memory in use by this process after everything that can be collected was collected. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

/** Heap and buffers, in bytes. */
export const bytesInUse = (): number => {
  for (let round = 0; round < 3; round++) collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
