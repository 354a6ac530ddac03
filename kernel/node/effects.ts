/** The sink of the driver: what a step wants done, in order, until the step has returned. */
import type { Address } from '../identity.ts'
import type { Sink } from '../machine.ts'
import type { Output } from '../port.ts'
import type { TraceEvent } from '../trace.ts'

/** Emptied after every step; bounded by what one step may do. */
export class Effects implements Sink {
  readonly packets: Uint8Array[] = []
  /** Where `packets[i]` goes; undefined: multicast. */
  readonly destinations: (Address | undefined)[] = []
  readonly outputs: Output[] = []
  /** Addresses at which somebody may no longer listen. */
  readonly checks: Address[] = []
  private readonly onTrace: (event: TraceEvent) => void

  constructor(onTrace: (event: TraceEvent) => void) {
    this.onTrace = onTrace
  }

  unicast(to: Address, packet: Uint8Array): void {
    this.packets.push(packet)
    this.destinations.push(to)
  }

  multicast(packet: Uint8Array): void {
    this.packets.push(packet)
    this.destinations.push(undefined)
  }

  check(address: Address): void {
    this.checks.push(address)
  }

  output(output: Output): void {
    this.outputs.push(output)
  }

  trace(event: TraceEvent): void {
    this.onTrace(event)
  }

  clear(): void {
    this.packets.length = 0
    this.destinations.length = 0
    this.outputs.length = 0
    this.checks.length = 0
  }
}
