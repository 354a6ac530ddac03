/** Which process holds which member of which group. */

export interface Place {
  readonly group: number
  readonly index: number
  readonly process: number
}

/**
 * In the order in which members are opened: those with the same index at the same time. With a process for each member, group g's sequencer is in process g,
 * counted round; with fewer, the first process has the sequencer alone, and the rest share the others.
 */
export function placesOf(members: number, groups = 1, processes = members): Place[] {
  const processOf = (group: number, index: number): number => {
    if (processes >= members) return (index + group) % members
    return index === 0 ? 0 : 1 + ((index - 1) % (processes - 1))
  }
  return Array.from({ length: members }, (_, index) =>
    Array.from({ length: groups }, (_, group) => ({ group, index, process: processOf(group, index) })),
  ).flat()
}
