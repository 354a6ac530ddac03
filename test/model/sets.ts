/** Sets of processes as the bits of one byte. */

const counts = Uint8Array.from(
  { length: 256 },
  (_, set) => [0, 1, 2, 3, 4, 5, 6, 7].filter((i) => set & (1 << i)).length,
)

/** How many are in the set. */
export function count(set: number): number {
  return counts[set]!
}

/** The only one, or the highest, in the set; -1 if it is empty. */
export function only(set: number): number {
  return 31 - Math.clz32(set)
}

export function has(set: number, process: number): boolean {
  return ((set >>> process) & 1) === 1
}

/** Whether the part holds more than half of the whole. */
export function isMajority(part: number, whole: number): boolean {
  return 2 * count(part & whole) > count(whole)
}
