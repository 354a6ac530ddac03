/** Processor time of the whole machine, and what of it others have used. */
import { cpus } from 'node:os'

export interface ProcessorTime {
  readonly busy: number
  readonly all: number
}

/** Seconds, of all cores together. */
export function processorTime(): ProcessorTime {
  let busy = 0
  let idle = 0
  for (const { times } of cpus()) {
    busy += times.user + times.nice + times.sys
    idle += times.idle
  }
  return { busy: busy / 1000, all: (busy + idle) / 1000 }
}

/** Per cent of the machine since `before`; `own` seconds are not the others'. */
export function usedByOthers(before: ProcessorTime, own: number): number {
  const after = processorTime()
  const share = (after.busy - before.busy - own) / Math.max(1e-3, after.all - before.all)
  return Math.min(100, Math.max(0, 100 * share))
}
