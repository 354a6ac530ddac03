/** What was probably meant by a name that does not exist. */

/**
 * The known name with the fewest edits from `given`, at most so many `slips` (or a third of its letters, if that is
 * more, and never all of them); a beginning of two letters, or a longer form of the name, counts as near. Undefined if none is near.
 */
export function nearest(given: string, known: readonly string[], slips = 1): string | undefined {
  const most = Math.min(Math.max(slips, Math.floor(given.length / 3)), given.length - 1)
  let best: string | undefined
  let fewest = most + 1
  for (const candidate of known) {
    const isBeginning =
      (given.length >= 2 && candidate.startsWith(given)) ||
      (2 * candidate.length >= given.length && given.startsWith(candidate))
    const edits = isBeginning ? 0.5 : editDistance(given.toLowerCase(), candidate.toLowerCase())
    if (edits < fewest) {
      best = candidate
      fewest = edits
    }
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let cost = Math.min(replace, last[j]! + 1, row[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2]! + 1)
      }
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
