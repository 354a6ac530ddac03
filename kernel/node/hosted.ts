/** One machine as the driver knows it: who it is on the wire, and what waits for it. */
import { readU32 } from '../bytes.ts'
import type { GroupId, Micros, Nonce } from '../identity.ts'
import type { Machine } from '../machine.ts'
import { GROUP_AT } from '../packet.ts'
import type { Output } from '../port.ts'
import type { Reporter } from './reporter.ts'
import type { RefusedHandler } from './transport.ts'

export type OutputHandler = (output: Output) => void

export class Hosted {
  readonly machine: Machine
  readonly port: string
  readonly nonce: Nonce
  /** Tells people and tools what it says. */
  readonly reporter: Reporter
  /** Hands in that nobody listens at an address that the machine has had checked. */
  readonly refused: RefusedHandler
  attached = true
  /** Its next deadline, as of its last step. */
  deadline: Micros | undefined
  /** A tick is queued for it; a second one would tell it nothing. */
  tickWaits = false
  /** Whether it numbers messages, as its outputs tell; its steps are the sequencer's load. */
  isSequencer = false
  /** Microseconds spent in steps and sends, as sequencer. Only rises. */
  sequencerBusy = 0
  private handler: OutputHandler | undefined
  /** Outputs from before there is a handler; bounded, since a machine says nothing before its first call. */
  private waiting: Output[] = []
  private memberId = 0
  // Identities in halves: a bigint for each packet would be an object for each packet.
  private readonly nonceHigh: number
  private readonly nonceLow: number
  private groupHigh = 0
  private groupLow = 0

  constructor(machine: Machine, port: string, nonce: Nonce, reporter: Reporter, refused: RefusedHandler) {
    this.machine = machine
    this.port = port
    this.nonce = nonce
    this.reporter = reporter
    this.refused = refused
    this.nonceHigh = Number(nonce >> 32n)
    this.nonceLow = Number(nonce & 0xffffffffn)
  }

  hasNonce(high: number, low: number): boolean {
    return this.nonceLow === low && this.nonceHigh === high
  }

  hasGroup(high: number, low: number): boolean {
    return this.groupLow === low && this.groupHigh === high
  }

  /** The group is known by what the machine sends; packets from before it has one say 0, and teach nothing. */
  learnFromPacket(packet: Uint8Array): void {
    const high = readU32(packet, GROUP_AT)
    const low = readU32(packet, GROUP_AT + 4)
    if (low !== 0 || high !== 0) {
      this.groupHigh = high
      this.groupLow = low
    }
  }

  /** Group and sequencer are known by what the machine tells its program. */
  learnFromOutput(output: Output): void {
    if (output.output === 'joined') {
      this.memberId = output.memberId
      this.isSequencer = output.view.sequencer === output.memberId
      this.learnGroup(output.view.groupId)
    } else if (output.output === 'deliveries') {
      for (const event of output.deliveries) {
        if (event.kind !== 'messages') this.isSequencer = event.view.sequencer === this.memberId
      }
    } else if (output.output === 'event' && output.event.event === 'closed') {
      this.isSequencer = false
    }
  }

  setHandler(handler: OutputHandler): Output[] {
    this.handler = handler
    return this.waiting.splice(0)
  }

  /** Hands an output to the program; what its code throws comes out here. */
  emit(output: Output): void {
    if (this.handler === undefined) this.waiting.push(output)
    else this.handler(output)
  }

  private learnGroup(groupId: GroupId): void {
    this.groupHigh = Number(groupId >> 32n)
    this.groupLow = Number(groupId & 0xffffffffn)
  }
}
