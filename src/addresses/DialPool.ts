/**
 * Who may be dialled, by the part of the internet they are in, so that finding one costs the same in a book of any size.
 *
 *     waiting ─ its time has come ─▶ ready: by group
 *
 * A draw takes a group first and then one of its members. A crowd in one place is therefore as likely as a single host in
 * another, however many addresses it has.
 *
 * @module
 */
import { compareText } from "./PeerAddress.ts"
import { SortedList } from "./SortedList.ts"

/** Whoever is in a pool. What begins with `pool` is the pool's. */
export interface Pooled<Self> {
  readonly key: string
  readonly group: string
  /** Monotonic milliseconds after which it may be dialled. */
  poolDueMillis: number
  /** Its place among those of its group while it is ready, and of its second while it waits. */
  poolPlace: number
  poolState: "absent" | "waiting" | "ready"
  /** Those of its `group` in this pool: kept with it, for looking a name up costs more the more names there are. */
  poolGroup: Group<Self> | undefined
}

/** A part of the internet that somebody in a pool is in who is or was ready. */
interface Group<A> {
  readonly name: string
  /** Those that are ready. */
  members: Array<A>
  /** So many have it as their `poolGroup`. */
  size: number
  /** Its place among the groups in which somebody is ready. */
  place: number
}

/** Those that wait for the same second of the monotonic clock. */
interface Second<A> {
  readonly second: number
  readonly items: Array<A>
}

/** Groups drawn by chance before they are gone through one by one. */
const groupDraws = 16

export class DialPool<A extends Pooled<A>> {
  /** By second, so that one that comes or goes is compared with no other. */
  readonly #seconds = new Map<number, Second<A>>()
  readonly #waiting = new SortedList<Second<A>>((a, b) => a.second - b.second)
  /** In which somebody is ready. */
  readonly #groups: Array<Group<A>> = []
  readonly #byName = new Map<string, Group<A>>()

  /** From the next millisecond after `dueMillis` on. It is in no other pool. */
  put(item: A, dueMillis: number): void {
    this.#take(item)
    item.poolDueMillis = dueMillis
    item.poolState = "waiting"
    const second = Math.floor(dueMillis / 1000)
    const others = this.#seconds.get(second)
    if (others !== undefined) {
      item.poolPlace = others.items.push(item) - 1
      return
    }
    item.poolPlace = 0
    const first = { second, items: [item] }
    this.#seconds.set(second, first)
    this.#waiting.add(first)
  }

  remove(item: A): void {
    this.#take(item)
    item.poolState = "absent"
    const group = item.poolGroup
    if (group === undefined) return
    item.poolGroup = undefined
    if (--group.size === 0) this.#byName.delete(group.name)
  }

  /** Makes those ready whose time has come, in the order in which it came. */
  advance(nowMillis: number): void {
    for (let first = this.#waiting.first; first !== undefined; first = this.#waiting.first) {
      if (first.second * 1000 >= nowMillis) return
      const due = first.items.filter(({ poolDueMillis }) => poolDueMillis < nowMillis)
      if (due.length === 0) return
      due.sort((a, b) => a.poolDueMillis - b.poolDueMillis || compareText(a.key, b.key))
      for (const item of due) {
        this.#stopWaiting(item)
        this.#join(item)
      }
    }
  }

  /** Those that wait, those of an earlier second first. Not to be changed meanwhile. */
  *waiting(): IterableIterator<A> {
    for (const { items } of this.#waiting) yield* items
  }

  /** Those that are ready, by group. Not to be changed meanwhile. */
  ready(): Iterable<{ readonly name: string; readonly members: ReadonlyArray<A> }> {
    return this.#groups
  }

  /**
   * One that is ready and suits: of a group that does, drawn with the chance that `weight` gives it. `random` draws from [0, 1).
   * Ends without one only when there is none.
   */
  draw(
    random: () => number,
    isOpen: (group: string) => boolean,
    suits: (item: A) => boolean,
    weight: (item: A) => number
  ): A | undefined {
    const count = this.#groups.length
    if (count === 0) return undefined
    // Each one that was passed over makes the next more welcome, so that it ends.
    let welcome = 1
    for (let draws = 0; draws < groupDraws; draws++) {
      const group = this.#groups[Math.floor(random() * count)]
      if (group === undefined || !isOpen(group.name)) continue
      const item = group.members[Math.floor(random() * group.members.length)]
      if (item === undefined || !suits(item)) continue
      if (random() < weight(item) * welcome) return item
      welcome *= 1.2
    }
    const start = Math.floor(random() * count)
    for (let step = 0; step < count; step++) {
      const group = this.#groups[(start + step) % count]
      if (group === undefined || !isOpen(group.name)) continue
      const first = Math.floor(random() * group.members.length)
      for (let place = 0; place < group.members.length; place++) {
        const item = group.members[(first + place) % group.members.length]
        if (item !== undefined && suits(item)) return item
      }
    }
    return undefined
  }

  #stopWaiting(item: A): void {
    const second = this.#seconds.get(Math.floor(item.poolDueMillis / 1000))
    if (second === undefined) return
    takeOut(second.items, item)
    if (second.items.length > 0) return
    this.#seconds.delete(second.second)
    this.#waiting.remove(second)
  }

  /** From where it is, and not from its group. */
  #take(item: A): void {
    if (item.poolState === "waiting") this.#stopWaiting(item)
    else if (item.poolState === "ready") this.#leave(item)
  }

  /** Its group, which it has from the first time it is ready until it is removed. */
  #groupOf(item: A): Group<A> {
    if (item.poolGroup !== undefined) return item.poolGroup
    let group = this.#byName.get(item.group)
    if (group === undefined) {
      group = { name: item.group, members: [], size: 0, place: 0 }
      this.#byName.set(item.group, group)
    }
    group.size++
    item.poolGroup = group
    return group
  }

  #join(item: A): void {
    const group = this.#groupOf(item)
    item.poolState = "ready"
    if (group.members.length > 0) {
      item.poolPlace = group.members.push(item) - 1
      return
    }
    // Of room for one: most groups have no more, and there are as many as addresses.
    group.members = [item]
    item.poolPlace = 0
    group.place = this.#groups.push(group) - 1
  }

  #leave(item: A): void {
    const group = item.poolGroup
    if (group === undefined) return
    takeOut(group.members, item)
    if (group.members.length > 0) return
    const lastGroup = this.#groups.pop()
    if (lastGroup === undefined || lastGroup === group) return
    this.#groups[group.place] = lastGroup
    lastGroup.place = group.place
  }
}

/** Takes an item out of those it has its place among; the last one has that place then. */
const takeOut = <A extends Pooled<A>>(items: Array<A>, item: A): void => {
  const last = items.pop()
  if (last === undefined || last === item) return
  items[item.poolPlace] = last
  last.poolPlace = item.poolPlace
}
