/** What one membership has handed to the network and taken from it, by its kernel's metrics. */
import type { Kernel } from '../group/index.ts'
import { cpuSeconds } from './window.ts'

export interface Traffic {
  /** Of the whole process. */
  readonly cpuSeconds: number
  readonly packetsOut: number
  readonly bytesOut: number
  readonly packetsIn: number
  readonly repeated: number
  readonly suspicions: number
  /** Packets that no group took, of the whole process. */
  readonly rejected: number
}

type Values = readonly { readonly value: number; readonly labels: Partial<Record<string, string | number>> }[]
type Readings = Map<string, Promise<Values>>
/** Read in this turn of the event loop: where a process is a member of many groups, each metric has them all. */
const readings = new WeakMap<Kernel['registry'], Readings>()

function readingsOf(registry: Kernel['registry']): Readings {
  let found = readings.get(registry)
  if (found === undefined) {
    found = new Map()
    readings.set(registry, found)
    setImmediate(() => readings.delete(registry))
  }
  return found
}

export async function trafficOf({ registry }: Kernel, port: string): Promise<Traffic> {
  const read = readingsOf(registry)
  const valuesOf = (name: string): Promise<Values> => {
    let values = read.get(name)
    if (values === undefined) {
      const metric = registry.getSingleMetric(`amoebacast_${name}`)
      values = Promise.resolve(metric?.get()).then((got) => got?.values ?? [])
      read.set(name, values)
    }
    return values
  }
  const packets = await valuesOf('packets_total')
  const sum = (values: Values, direction?: string): number => {
    let all = 0
    for (const { value, labels } of values) {
      if (labels.group === port && (direction === undefined || labels.direction === direction)) all += value
    }
    return all
  }
  const rejected = [...(await valuesOf('packets_rejected_total')), ...(await valuesOf('seal_rejected_total'))]
  return {
    cpuSeconds: cpuSeconds(),
    packetsOut: sum(packets, 'out'),
    bytesOut: sum(await valuesOf('packet_bytes_total'), 'out'),
    packetsIn: sum(packets, 'in'),
    repeated: sum(await valuesOf('retransmissions_total')),
    suspicions: sum(await valuesOf('suspicions_total')),
    rejected: rejected.reduce((all, { value }) => all + value, 0),
  }
}

export function trafficSince(before: Traffic, after: Traffic): Traffic {
  return {
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    packetsOut: after.packetsOut - before.packetsOut,
    bytesOut: after.bytesOut - before.bytesOut,
    packetsIn: after.packetsIn - before.packetsIn,
    repeated: after.repeated - before.repeated,
    suspicions: after.suspicions - before.suspicions,
    rejected: after.rejected - before.rejected,
  }
}
