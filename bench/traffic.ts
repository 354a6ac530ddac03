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
}

export async function trafficOf({ registry }: Kernel, port: string): Promise<Traffic> {
  const sum = async (name: string, direction?: string): Promise<number> => {
    const metric = await registry.getSingleMetric(name)?.get()
    let all = 0
    for (const { value, labels } of metric?.values ?? []) {
      if (labels.group === port && (direction === undefined || labels.direction === direction)) all += value
    }
    return all
  }
  return {
    cpuSeconds: cpuSeconds(),
    packetsOut: await sum('amoebacast_packets_total', 'out'),
    bytesOut: await sum('amoebacast_packet_bytes_total', 'out'),
    packetsIn: await sum('amoebacast_packets_total', 'in'),
    repeated: await sum('amoebacast_retransmissions_total'),
  }
}

export function trafficSince(before: Traffic, after: Traffic): Traffic {
  return {
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    packetsOut: after.packetsOut - before.packetsOut,
    bytesOut: after.bytesOut - before.bytesOut,
    packetsIn: after.packetsIn - before.packetsIn,
    repeated: after.repeated - before.repeated,
  }
}
