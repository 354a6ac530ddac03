/**
 * A node: an address with a bounded receive buffer, the event loop that drains it, and one machine at a time
 * with the program above it. It does with a machine what the real driver does: step, then carry out what was
 * recorded, then one timer for `nextDeadline()`.
 */
import type { Counters } from '../../kernel/counters.ts'
import type { Address, Micros, Nonce } from '../../kernel/identity.ts'
import type { Input, Machine, Sink } from '../../kernel/machine.ts'
import {
  HEADER_BYTES,
  PacketKind,
  readHeader,
  readRoute,
  sealKeyOf,
  writeHeader,
  writeSealKey,
} from '../../kernel/packet.ts'
import type { Call, MemberInfo, Output } from '../../kernel/port.ts'
import { Violation } from './checkers/checker.ts'
import type { Judge } from './checkers/judge.ts'
import type { LifeRecord } from './checkers/ledger.ts'
import type { EventQueue } from './event-queue.ts'
import type { DropReason, Endpoint, Network } from './network.ts'
import type { RunOptions } from './options.ts'
import { describeCall, describeOutput, type Trace } from './trace.ts'

/** A machine as the simulator drives it: Member, or a stand-in that proves the simulator right. */
export interface SimulatedMachine extends Machine {
  info(): MemberInfo
  readonly counters: Counters
  readonly options: { readonly nonce: Nonce }
  /** Group keys that it cannot do without. */
  keysInUse?(): readonly { readonly keyId: number }[]
}

/** The parts of one run that everything in it shares. */
export interface World {
  readonly queue: EventQueue
  readonly network: Network
  readonly judge: Judge
  readonly options: RunOptions
  readonly trace: Trace | undefined
  /** How often machines told of each turning point. BOUNDED by the marks that there are. */
  readonly marks: Map<string, number>
  /** Told of each mark by whoever aims faults at them. */
  onMark?: (address: Address, mark: string) => void
}

/** info() is costly and changes little from step to step. */
const STEPS_PER_SAMPLE = 16
/** A step that does so much never ends. */
const EFFECTS_MOST = 20_000
/** A machine that wants so many ticks without time going on never stops. */
const TICKS_AT_ONCE = 10_000

/** What a buffer is full of that its machine gets back. */
const SPOILT = 0xa5

type Effect = () => void

export class SimulatedNode implements Endpoint {
  readonly address: Address
  private life: Life | undefined
  /** BOUNDED by queuePackets and queueBytes. */
  private readonly buffer: { from: Address; bytes: Uint8Array }[] = []
  private bufferBytes = 0
  private turnIsDue = false
  private busyUntil: Micros = 0
  /** The host is dead: nobody answers for it. */
  private isSilent = false
  private pausedUntil: Micros | undefined
  /** Calls of a program that is stopped like its machine. BOUNDED by what the program does in a run. */
  private readonly heldCalls: (() => void)[] = []
  /** Ids of the group keys that its process holds, the newest first; none where packets are not sealed. */
  keys: readonly number[] = []
  /** What its clock shows is `offset + rate * time`. */
  clock: { readonly offset: Micros; readonly rate: number } | undefined
  private readonly world: World

  constructor(address: Address, world: World) {
    this.address = address
    this.world = world
    world.network.attach(this)
  }

  get queued(): number {
    return this.buffer.length
  }

  get current(): Life | undefined {
    return this.life
  }

  begin(life: Life): void {
    if (this.life !== undefined) throw new Error(`${this.address} has a life already: a fault of the harness`)
    this.life = life
    this.isSilent = false
  }

  /** The time as the machines of this node see it. Never goes backwards, because time does not. */
  localTime(time: Micros): Micros {
    return this.clock === undefined ? time : Math.floor(this.clock.offset + this.clock.rate * time)
  }

  /** The first moment at which this node's clock shows `local`. */
  trueTime(local: Micros): Micros {
    if (this.clock === undefined) return local
    let time = Math.max(0, Math.floor((local - this.clock.offset) / this.clock.rate) - 1)
    while (this.localTime(time) < local) time++
    return time
  }

  /** The machine and its program are no more, and so is what had come for them. */
  crash(isSilent: boolean): void {
    const { life } = this
    this.isSilent = isSilent
    this.pausedUntil = undefined
    this.heldCalls.length = 0
    this.life = undefined
    for (const { from, bytes } of this.buffer) this.world.network.drop('nobody', from, this.address, bytes)
    this.buffer.length = 0
    this.bufferBytes = 0
    life?.crash()
  }

  get isPaused(): boolean {
    return this.pausedUntil !== undefined
  }

  /** Handles no packets, ticks or calls until `until`; its receive buffer fills meanwhile. */
  pause(until: Micros, packetsFirst: boolean): void {
    if (this.life === undefined || until <= (this.pausedUntil ?? this.world.queue.now)) return
    const { judge, queue } = this.world
    if (this.pausedUntil === undefined) judge.paused(this.life.record)
    this.pausedUntil = until
    queue.at(until, () => {
      if (this.pausedUntil === until) this.wake(packetsFirst)
    })
  }

  wake(packetsFirst: boolean): void {
    if (this.pausedUntil === undefined) return
    const { judge, queue, trace } = this.world
    this.pausedUntil = undefined
    trace?.add(queue.now, this.address, 'goes on')
    if (this.life !== undefined) judge.woke(this.life.record)
    if (packetsFirst) this.turnSoon()
    this.life?.wake()
    for (const call of this.heldCalls.splice(0)) call()
    this.turnSoon()
  }

  hold(call: () => void): void {
    this.heldCalls.push(call)
  }

  private turnSoon(): void {
    const { queue } = this.world
    if (this.turnIsDue || this.buffer.length === 0 || this.isPaused) return
    this.turnIsDue = true
    queue.at(Math.max(queue.now, this.busyUntil), () => this.turn())
  }

  /** The machine is gone; what comes for it finds nobody. */
  end(life: Life): void {
    if (this.life === life) this.life = undefined
  }

  arrive(from: Address, bytes: Uint8Array): DropReason | undefined {
    const { options } = this.world
    if (this.isSilent) return 'silent'
    if (this.life === undefined) {
      this.answerGone(from, bytes)
      return 'nobody'
    }
    if (this.buffer.length >= options.queuePackets || this.bufferBytes + bytes.length > options.queueBytes)
      return 'overrun'
    this.buffer.push({ from, bytes })
    this.bufferBytes += bytes.length
    this.turnSoon()
    return undefined
  }

  private isForAnother(life: Life, bytes: Uint8Array): boolean {
    if (bytes.length < HEADER_BYTES) return false
    const { destination } = readRoute(bytes)
    return destination !== 0n && destination !== life.machine.options.nonce
  }

  /** What a kernel's router says to who writes to a life that is over (kernel/node/router.ts). */
  private answerGone(from: Address, bytes: Uint8Array): void {
    const header = readHeader(bytes, 1, 255)
    if (typeof header === 'string' || header.destination === 0n || header.senderNonce === 0n) return
    if (header.kind === PacketKind.gone) return
    const answer = new Uint8Array(HEADER_BYTES)
    const { groupId, incarnation, coordinator, destination, senderNonce, version } = header
    writeHeader(answer, {
      version,
      kind: PacketKind.gone,
      flags: 0,
      groupId,
      incarnation,
      coordinator,
      sender: 0,
      senderNonce: destination,
      destination: senderNonce,
      received: 0,
      taken: 0,
      window: 0,
    })
    const key = sealKeyOf(bytes)
    if (this.keys.includes(key)) writeSealKey(answer, key)
    this.world.network.unicast(this.address, from, answer)
  }

  /** One turn of the event loop: some packets, one by one; a machine's flush comes after them. */
  private turn(): void {
    const { options, queue, network } = this.world
    const count = Math.min(options.turn, this.buffer.length)
    this.turnIsDue = false
    for (let i = 0; i < count && this.buffer.length > 0 && !this.isPaused; i++) {
      const kind = this.buffer[0]!.bytes[2]!
      const isAlive =
        this.life === undefined || network.watch?.before('received', kind, this.address) !== false
      if (!isAlive || this.isPaused) break
      const { from, bytes } = this.buffer.shift()!
      this.bufferBytes -= bytes.length
      if (this.life === undefined) {
        network.drop('nobody', from, this.address, bytes)
        this.answerGone(from, bytes)
        continue
      }
      network.counts.delivered++
      if (this.isForAnother(this.life, bytes)) this.answerGone(from, bytes)
      this.life.input({ kind: 'packet', from, bytes })
      network.watch?.after('received', kind, this.address)
    }
    this.busyUntil = queue.now + count * options.service
    this.turnSoon()
  }
}

/** One life of a machine, and the way to it. */
export class Life {
  readonly record: LifeRecord
  readonly machine: SimulatedMachine
  private readonly node: SimulatedNode
  private readonly world: World
  private readonly program: (output: Output) => void
  private readonly waiting: Input[] = []
  private isStepping = false
  private isOver = false
  private armedFor: Micros | undefined
  private arming = 0
  private ticksAtOnce = 0
  private lastTick: Micros = -1
  private steps = 0
  /** It dies after so many effects of this step, or of the next. */
  private cutAfter: number | undefined
  private cutIsSilent = false
  private recorded = 0
  /**
   * Half of the machines get the buffers of their packets back at once, spoilt: they may hold on to nothing that they
   * have sent but the block behind the header of a buffer that they do not use again. The network keeps those of the others, and looks whether they are written to.
   */
  private readonly givesBack: boolean
  /** Some drivers ask a machine whether a call needs a step, some do not. */
  private readonly asksFirst: boolean
  /** Handed to the sink in this step. BOUNDED by what one step does. */
  private readonly sent = new Set<Uint8Array>()
  private hasCrashed = false
  private readonly crashed: () => void

  constructor(parts: {
    record: LifeRecord
    machine: SimulatedMachine
    node: SimulatedNode
    world: World
    program: (output: Output) => void
    crashed: () => void
  }) {
    this.crashed = parts.crashed
    this.record = parts.record
    this.machine = parts.machine
    this.node = parts.node
    this.world = parts.world
    this.program = parts.program
    this.givesBack = parts.machine.options.nonce % 2n === 0n
    this.asksFirst = (parts.machine.options.nonce >> 1n) % 2n === 0n
    this.node.begin(this)
  }

  get isAlive(): boolean {
    return !this.isOver
  }

  call(call: Call): void {
    if (this.isOver) return
    if (this.node.isPaused) return this.node.hold(() => this.call(call))
    const { judge, trace, queue } = this.world
    judge.call(this.record, call)
    trace?.add(queue.now, this.record.name, describeCall(call))
    if (!this.asksFirst || this.machine.note?.(call) !== true) this.input({ kind: 'call', call })
  }

  /** What comes while effects are carried out waits for them: a machine is never re-entered. */
  input(input: Input): void {
    this.waiting.push(input)
    if (this.isStepping) return
    this.isStepping = true
    for (let next = this.waiting.shift(); next !== undefined && !this.isOver; next = this.waiting.shift())
      this.step(next)
    this.isStepping = false
    if (!this.isOver) this.arm()
  }

  private step(input: Input): void {
    const { judge, queue } = this.world
    const effects: Effect[] = []
    let isOpen = true
    this.recorded = 0
    const record = (effect: Effect) => {
      if (!isOpen) throw new Violation('machine', 'a machine uses its sink after the step')
      if (effects.length === EFFECTS_MOST)
        throw new Violation('I9', `a step of ${this.record.name} goes on without end`)
      effects.push(effect)
      this.recorded++
    }
    this.machine.step(this.node.localTime(queue.now), input, this.sink(record))
    isOpen = false
    const cut = this.cutAfter ?? Number.POSITIVE_INFINITY
    for (const [i, effect] of effects.entries()) {
      if (i === cut) break
      effect()
      if (this.hasCrashed) return
    }
    if (this.cutAfter !== undefined) return this.node.crash(this.cutIsSilent)
    this.giveBack()
    if (this.steps++ % STEPS_PER_SAMPLE === 0) this.sample()
    judge.stepped(this.record)
  }

  /** What goes onto the network for a packet of the machine's. */
  private leave(packet: Uint8Array): Uint8Array {
    if (!this.givesBack) return packet
    this.sent.add(packet)
    return packet.slice()
  }

  private giveBack(): void {
    for (const packet of this.sent) {
      // in what it is not going to write to there may be a block that it goes on reading, behind the header
      const isTaken = this.machine.release?.(packet) === true
      packet.fill(SPOILT, 0, isTaken ? packet.length : HEADER_BYTES)
    }
    this.sent.clear()
  }

  private sink(record: (effect: Effect) => void): Sink {
    const { network, judge, trace, queue, marks } = this.world
    const { address } = this.node
    return {
      unicast: (to, packet) => record(() => network.unicast(address, to, this.leave(packet))),
      multicast: (packet) => record(() => network.multicast(address, this.leave(packet))),
      output: (output) =>
        record(() => {
          trace?.add(queue.now, this.record.name, describeOutput(output))
          judge.output(this.record, output)
          this.program(output)
        }),
      trace: ({ mark, detail }) => {
        marks.set(mark, (marks.get(mark) ?? 0) + 1)
        trace?.add(queue.now, this.record.name, `(${mark} ${JSON.stringify(detail)})`)
        judge.marked(this.record, mark, detail)
        this.world.onMark?.(address, mark)
      },
    }
  }

  sample(): void {
    if (!this.isOver) this.world.judge.sampled(this.record, this.machine.info())
  }

  /** The one timer: a deadline that has passed is due after everything that already waits at this moment. */
  private arm(): void {
    const { queue } = this.world
    const deadline = this.machine.nextDeadline()
    if (deadline === undefined) {
      this.armedFor = undefined
      this.arming++
      return
    }
    if (!Number.isSafeInteger(deadline))
      throw new Violation(
        'machine',
        `${this.record.name} wants a tick at ${deadline}; times are whole numbers`,
      )
    const at = Math.max(this.node.trueTime(deadline), queue.now)
    if (at === this.armedFor) return
    this.armedFor = at
    const arming = ++this.arming
    queue.at(at, () => {
      if (arming !== this.arming || this.isOver || this.node.isPaused) return
      this.armedFor = undefined
      this.countTick()
      this.input({ kind: 'tick' })
    })
  }

  private countTick(): void {
    const { now } = this.world.queue
    this.ticksAtOnce = now === this.lastTick ? this.ticksAtOnce + 1 : 0
    this.lastTick = now
    if (this.ticksAtOnce > TICKS_AT_ONCE)
      throw new Violation('I9', `${this.record.name} wants ticks without end at one moment`)
  }

  /** After a pause: a deadline that has passed meanwhile is due now. */
  wake(): void {
    this.armedFor = undefined
    if (!this.isOver) this.arm()
  }

  /** It dies in the middle of a step: of this one, if it is under way, or of the next. */
  dieAfter(effects: number | undefined, isSilent: boolean): void {
    this.cutAfter = effects ?? this.recorded
    this.cutIsSilent = isSilent
  }

  crash(): void {
    if (this.isOver) return
    this.sample()
    this.hasCrashed = this.isOver = true
    this.world.trace?.add(this.world.queue.now, this.record.name, 'dies')
    this.world.judge.crashed(this.record)
    this.crashed()
  }

  /** Takes the machine away, as its kernel does once its life is over. */
  end(): void {
    if (this.isOver) return
    this.sample()
    this.isOver = true
    this.node.end(this)
  }
}
