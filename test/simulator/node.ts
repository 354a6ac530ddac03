/**
 * A node: an address with a bounded receive buffer, the event loop that drains it, and one machine at a time
 * with the program above it. It does with a machine what the real driver does: step, then carry out what was
 * recorded, then one timer for `nextDeadline()`.
 */
import type { Counters } from '../../kernel/counters.ts'
import type { Address, Micros, Nonce } from '../../kernel/identity.ts'
import type { Input, Machine, Sink } from '../../kernel/machine.ts'
import { HEADER_BYTES, PacketKind, readHeader, readRoute, writeHeader } from '../../kernel/packet.ts'
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
}

/** info() is costly and changes little from step to step. */
const STEPS_PER_SAMPLE = 16
/** A step that does so much never ends. */
const EFFECTS_MOST = 20_000
/** A machine that wants so many ticks without time going on never stops. */
const TICKS_AT_ONCE = 10_000

type Effect = () => void

export class SimulatedNode implements Endpoint {
  readonly address: Address
  private life: Life | undefined
  /** BOUNDED by queuePackets and queueBytes. */
  private readonly buffer: { from: Address; bytes: Uint8Array }[] = []
  private bufferBytes = 0
  private turnIsDue = false
  private busyUntil: Micros = 0
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
    this.life = life
  }

  /** The machine is gone; what comes for it finds nobody. */
  end(life: Life): void {
    if (this.life === life) this.life = undefined
  }

  arrive(from: Address, bytes: Uint8Array): DropReason | undefined {
    const { options, queue } = this.world
    if (this.life === undefined) {
      this.answerGone(from, bytes)
      return 'nobody'
    }
    if (this.buffer.length >= options.queuePackets || this.bufferBytes + bytes.length > options.queueBytes)
      return 'overrun'
    this.buffer.push({ from, bytes })
    this.bufferBytes += bytes.length
    if (!this.turnIsDue) {
      this.turnIsDue = true
      queue.at(Math.max(queue.now, this.busyUntil), () => this.turn())
    }
    return undefined
  }

  private isForAnother(life: Life, bytes: Uint8Array): boolean {
    if (bytes.length < HEADER_BYTES) return false
    const { destination } = readRoute(bytes)
    return destination !== 0n && destination !== life.machine.options.nonce
  }

  /** What a kernel's router says to who writes to a life that is over (kernel/node/router.ts). */
  private answerGone(from: Address, bytes: Uint8Array): void {
    const header = readHeader(bytes)
    if (typeof header === 'string' || header.destination === 0n || header.senderNonce === 0n) return
    if (header.kind === PacketKind.gone) return
    const answer = new Uint8Array(HEADER_BYTES)
    const { groupId, incarnation, coordinator, destination, senderNonce } = header
    writeHeader(answer, {
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
    this.world.network.unicast(this.address, from, answer)
  }

  /** One turn of the event loop: some packets, one by one; a machine's flush comes after them. */
  private turn(): void {
    const { options, queue, network } = this.world
    const count = Math.min(options.turn, this.buffer.length)
    this.turnIsDue = false
    for (let i = 0; i < count; i++) {
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
    }
    this.busyUntil = queue.now + count * options.service
    if (this.buffer.length > 0) {
      this.turnIsDue = true
      queue.at(this.busyUntil, () => this.turn())
    }
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

  constructor(parts: {
    record: LifeRecord
    machine: SimulatedMachine
    node: SimulatedNode
    world: World
    program: (output: Output) => void
  }) {
    this.record = parts.record
    this.machine = parts.machine
    this.node = parts.node
    this.world = parts.world
    this.program = parts.program
    this.node.begin(this)
  }

  get isAlive(): boolean {
    return !this.isOver
  }

  call(call: Call): void {
    if (this.isOver) return
    const { judge, trace, queue } = this.world
    judge.call(this.record, call)
    trace?.add(queue.now, this.record.name, describeCall(call))
    this.input({ kind: 'call', call })
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
    const record = (effect: Effect) => {
      if (!isOpen) throw new Violation('machine', 'a machine uses its sink after the step')
      if (effects.length === EFFECTS_MOST)
        throw new Violation('I9', `a step of ${this.record.name} goes on without end`)
      effects.push(effect)
    }
    this.machine.step(queue.now, input, this.sink(record))
    isOpen = false
    for (const effect of effects) effect()
    if (this.steps++ % STEPS_PER_SAMPLE === 0) this.sample()
    judge.stepped(this.record)
  }

  private sink(record: (effect: Effect) => void): Sink {
    const { network, judge, trace, queue, marks } = this.world
    const { address } = this.node
    return {
      unicast: (to, packet) => record(() => network.unicast(address, to, packet)),
      multicast: (packet) => record(() => network.multicast(address, packet)),
      output: (output) =>
        record(() => {
          trace?.add(queue.now, this.record.name, describeOutput(output))
          judge.output(this.record, output)
          this.program(output)
        }),
      trace: ({ mark, detail }) => {
        marks.set(mark, (marks.get(mark) ?? 0) + 1)
        trace?.add(queue.now, this.record.name, `(${mark} ${JSON.stringify(detail)})`)
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
    const at = Math.max(deadline, queue.now)
    if (at === this.armedFor) return
    this.armedFor = at
    const arming = ++this.arming
    queue.at(at, () => {
      if (arming !== this.arming || this.isOver) return
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

  /** Takes the machine away, as its kernel does once its life is over. */
  end(): void {
    if (this.isOver) return
    this.sample()
    this.isOver = true
    this.node.end(this)
  }
}
