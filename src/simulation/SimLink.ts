/**
 * One direction between two hosts: when bytes arrive, and who waits for it to let them pass.
 *
 * @module
 */
import * as LinkRule from "./LinkRule.ts"

/** Somebody whose bytes wait until a link lets them pass. */
export interface Sender {
  readonly send: () => void
}

/** What a link needs of the network it is part of. */
export interface LinkWorld {
  /** Milliseconds of the clock in force. */
  readonly now: () => number
  /** Runs at that time, after everything asked for earlier at the same time. */
  readonly at: (millis: number, run: () => void) => void
  /** Runs soon, at the same time, but not inside the caller. */
  readonly wake: (run: () => void) => void
  /** Grows with every change that may change conditions. */
  readonly version: () => number
  readonly conditions: (from: string, to: string) => LinkRule.Conditions
  /** Calls `send` after the next such change. */
  readonly stall: (sender: Sender) => void
  /** Uniform draws from [0, 1) that belong to this direction alone. */
  readonly drawsFor: (from: string, to: string) => () => number
}

export class SimLink {
  readonly from: string
  readonly to: string
  readonly #world: LinkWorld
  readonly now: LinkWorld["now"]
  readonly at: LinkWorld["at"]
  readonly wake: LinkWorld["wake"]
  readonly stall: LinkWorld["stall"]
  #version = -1
  #conditions = LinkRule.perfect
  #draw: (() => number) | undefined
  /** Until when the wire is taken by bytes sent before, where bandwidth is limited. */
  #busyUntil = 0

  constructor(world: LinkWorld, from: string, to: string) {
    this.from = from
    this.to = to
    this.#world = world
    this.now = world.now
    this.at = world.at
    this.wake = world.wake
    this.stall = world.stall
  }

  conditions(): LinkRule.Conditions {
    const version = this.#world.version()
    if (version !== this.#version) {
      this.#version = version
      this.#conditions = this.#world.conditions(this.from, this.to)
    }
    return this.#conditions
  }

  /** When bytes that are sent now arrive, in whole milliseconds. */
  arrival(bytes: number): number {
    const conditions = this.conditions()
    const now = this.now()
    if (conditions === LinkRule.perfect) return now
    let sent = now
    if (conditions.bytesPerSecond !== Number.POSITIVE_INFINITY) {
      sent = Math.max(now, this.#busyUntil) + (bytes * 1000) / conditions.bytesPerSecond
      this.#busyUntil = sent
    }
    return Math.ceil(sent + LinkRule.travelMillis(conditions, bytes, () => this.#next()))
  }

  #next(): number {
    this.#draw ??= this.#world.drawsFor(this.from, this.to)
    return this.#draw()
  }
}
