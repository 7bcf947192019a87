/** Tests that take long at their full size: that size where `NETWORK_EFFECT_LONG` is set, as `.ci/run` does, and a smaller one else. */

/** Whether there is time for the full sizes. */
export const isLong = process.env["NETWORK_EFFECT_LONG"] !== undefined
