/**
 * Members and their receive queues with nothing between them: a packet is at its receivers at once, and its buffer
 * goes back to its sender, as it does after a send that the system took. For tests that count what the protocol
 * itself costs: no clock, no sockets, no loss.
 */

import { toView } from '../../group/deliveries.ts'
import { Member } from '../../group/member/member.ts'
import { detectionPresets } from '../../group/member/options.ts'
import { ReceiveQueue } from '../../group/receive-queue.ts'
import type { Address, Micros } from '../../kernel/identity.ts'
import type { Input, Sink } from '../../kernel/machine.ts'
import { completeParameters, type GroupParameters } from '../../kernel/parameters.ts'
import type { Output } from '../../kernel/port.ts'

const NO_BYTES = new Uint8Array(0)
const WINDOW = 4 * 1024 * 1024
/** Of virtual time, between two rounds. */
const ROUND: Micros = 20
const ROUNDS_MAX = 100_000

export interface BareOptions {
  readonly members: number
  readonly packetSize: number
  readonly method?: 'auto' | 'pb' | 'bb'
  readonly parameters?: Partial<GroupParameters>
}

export class BareGroup {
  now: Micros = 1000
  readonly seats: BareSeat[] = []
  /** Inputs of all machines together. */
  steps = 0
  /** Every buffer of a pool that a packet has left in: those of small packets and of blocks are never used again. */
  readonly buffers = new Set<ArrayBufferLike>()

  readonly options: BareOptions

  constructor(options: BareOptions) {
    this.options = options
    const parameters = completeParameters(options.parameters)
    for (let i = 0; i < options.members; i++) {
      const seat = new BareSeat(this, i, parameters)
      this.seats.push(seat)
      seat.open(i === 0 ? 'create' : 'join')
      this.until(() => seat.isMember)
    }
  }

  /** Hands round everything that is on its way, until nothing is. */
  pump(): void {
    for (let isMore = true; isMore; ) {
      isMore = false
      for (const seat of this.seats) if (seat.turn()) isMore = true
    }
  }

  until(isSo: () => boolean): void {
    for (let i = 0; i < ROUNDS_MAX && !isSo(); i++) {
      this.pump()
      this.now += ROUND
    }
    if (!isSo()) throw new Error('what was waited for does not come')
  }

  /** Everybody sends `bodies` once in each of so many rounds; returns when all have received all. */
  stream(bodies: readonly Uint8Array[], rounds: number): void {
    const before = this.seats[0]!.received
    for (let round = 0; round < rounds; round++) {
      for (const seat of this.seats) seat.sendMany(bodies)
      this.pump()
      this.now += ROUND
    }
    const all = before + rounds * bodies.length * this.seats.length
    this.until(() => this.seats.every(({ received }) => received >= all))
  }

  carry(from: BareSeat, packet: Uint8Array, to: Address | undefined): void {
    if (packet.buffer.byteLength === this.options.packetSize) this.buffers.add(packet.buffer)
    for (const seat of this.seats) {
      if (seat !== from && (to === undefined || seat.address === to))
        seat.arrive(from.address, packet.slice())
    }
  }

  /** Of all machines, by what they count. */
  sum(of: (machine: Member) => number): number {
    return this.seats.reduce((sum, { machine }) => sum + of(machine), 0)
  }

  get packets(): number {
    return this.sum(({ counters }) => counters.packets.out.reduce((a, b) => a + b, 0))
  }

  get wireBytes(): number {
    return this.sum(({ counters }) => counters.packetBytes.out.reduce((a, b) => a + b, 0))
  }
}

export class BareSeat implements Sink {
  readonly address: Address
  readonly machine: Member
  isMember = false
  /** Messages handed out, and their bytes. */
  received = 0
  bytes = 0
  private queue: ReceiveQueue<Uint8Array> | undefined
  private box: { from: Address; bytes: Uint8Array }[] = []
  private outputs: Output[] = []
  private sent: Uint8Array[] = []
  private token = 1
  private readonly group: BareGroup
  private readonly parameters: GroupParameters

  constructor(group: BareGroup, number: number, parameters: GroupParameters) {
    this.group = group
    this.address = `bare-${number}:1`
    this.parameters = parameters
    const { packetSize, method = 'auto' } = group.options
    this.machine = new Member({
      nonce: BigInt(number + 1),
      seed: number + 1,
      address: this.address,
      name: this.address,
      role: 'full',
      transport: 'multicast',
      peers: [],
      packetSize,
      window: WINDOW,
      sendWindow: WINDOW / 4,
      method,
      methodThreshold: 4096,
      detection: detectionPresets.default,
    })
  }

  open(how: 'create' | 'join'): void {
    const { parameters } = this
    this.step({
      kind: 'call',
      call: { call: 'open', token: 0, how, port: 'bare', parameters, header: NO_BYTES },
    })
  }

  sendMany(bodies: readonly Uint8Array[]): void {
    const { token } = this
    this.token += bodies.length
    this.step({ kind: 'call', call: { call: 'sendMany', token, channel: 0, bodies } })
  }

  arrive(from: Address, bytes: Uint8Array): void {
    this.box.push({ from, bytes })
  }

  /** A turn of the event loop: what has come, then what is due, then the program. */
  turn(): boolean {
    const { box, machine, queue, group } = this
    this.box = []
    for (const { from, bytes } of box) this.step({ kind: 'packet', from, bytes })
    const due = machine.nextDeadline()
    const isDue = due !== undefined && due <= group.now
    if (isDue) this.step({ kind: 'tick' })
    const hasNext = queue?.hasNext === true
    if (hasNext) void queue.takeEach(this, Number.MAX_SAFE_INTEGER, undefined)
    return box.length > 0 || isDue || hasNext
  }

  /** For the queue: a message. */
  message(_bytes: Uint8Array, from: number, to: number): void {
    this.received++
    this.bytes += to - from
  }

  private step(input: Input): void {
    const { group, machine } = this
    group.steps++
    machine.step(group.now, input, this)
    const { sent, outputs } = this
    if (sent.length > 0) {
      this.sent = []
      for (const packet of sent) machine.release(packet)
    }
    if (outputs.length === 0) return
    this.outputs = []
    for (const output of outputs) this.onOutput(output)
  }

  private onOutput(output: Output): void {
    if (output.output === 'failed') throw new Error(output.message)
    if (output.output === 'deliveries') this.queue!.push(output.deliveries)
    if (output.output !== 'joined') return
    this.isMember = true
    this.queue = new ReceiveQueue<Uint8Array>({
      decode: (bytes, from, to) => bytes.subarray(from, to),
      copy: false,
      view: toView(output.view),
      taken: (seq) => this.step({ kind: 'call', call: { call: 'taken', seq } }),
      reportEvery: 256,
    })
  }

  // ---- the sink -----------------------------------------------------------------------------------------

  unicast(to: Address, packet: Uint8Array): void {
    this.group.carry(this, packet, to)
    this.sent.push(packet)
  }

  multicast(packet: Uint8Array): void {
    this.group.carry(this, packet, undefined)
    this.sent.push(packet)
  }

  output(output: Output): void {
    this.outputs.push(output)
  }
}
