/** The sink of the driver: what a step wants done, in order, until the step has returned. */
import type { Address } from '../identity.ts'
import type { Sink } from '../machine.ts'
import type { Output } from '../port.ts'
import type { TraceEvent } from '../trace.ts'

/** Emptied after every step; bounded by what one step may do. */
export class Effects implements Sink {
  /** The first `count` of it and of `destinations` count; their room is used again, step after step. */
  readonly packets: (Uint8Array | undefined)[] = []
  /** Where `packets[i]` goes; undefined: multicast. */
  readonly destinations: (Address | undefined)[] = []
  count = 0
  private outputs: Output[] = []
  /** Addresses at which somebody may no longer listen. */
  readonly checks: Address[] = []
  private readonly onTrace: (event: TraceEvent) => void

  constructor(onTrace: (event: TraceEvent) => void) {
    this.onTrace = onTrace
  }

  unicast(to: Address, packet: Uint8Array): void {
    this.packets[this.count] = packet
    this.destinations[this.count++] = to
  }

  multicast(packet: Uint8Array): void {
    this.packets[this.count] = packet
    this.destinations[this.count++] = undefined
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

  /** The outputs, which are the caller's from now on; undefined if there are none. */
  takeOutputs(): Output[] | undefined {
    if (this.outputs.length === 0) return undefined
    const { outputs } = this
    this.outputs = []
    return outputs
  }

  clear(): void {
    for (let i = 0; i < this.count; i++) this.packets[i] = undefined
    this.count = 0
    if (this.outputs.length > 0) this.outputs = []
    if (this.checks.length > 0) this.checks.length = 0
  }
}
