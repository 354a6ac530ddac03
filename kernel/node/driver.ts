/**
 * Hosts the machines of one process over one transport: a packet or a call goes in, the step's effects are
 * carried out after it has returned, one timer waits for the nearest deadline of all. It is boring on
 * purpose; what needs a word of the protocol belongs elsewhere.
 *
 * - Effects are carried out packets first (the others are waiting for them), then outputs, which run the
 *   program's code. Calls that this code makes, and copies for machines of this same process, are queued and
 *   stepped afterwards: nothing is re-entered.
 * - A deadline that has come waits for the end of this turn of the loop (setImmediate): whatever else has
 *   arrived is handed in first, so that a busy machine fills its packets.
 * - Real timers have grains of a millisecond. A deadline nearer than `spinMicros` is met by turning the loop
 *   until it comes; the timer aims that much early for those further off. That costs a core for 300 µs at
 *   most for each deadline, and only where a deadline is to be met, not where packets come in before it.
 * - An open membership keeps the process alive, by the transport's sockets and by the timer; a driver without
 *   one lets it end.
 */
import { assert } from '../assert.ts'
import { Deque } from '../deque.ts'
import { ErrorCode, GroupError } from '../errors.ts'
import type { Address, Micros, Nonce } from '../identity.ts'
import type { Input, Machine } from '../machine.ts'
import { writeSealKey } from '../packet.ts'
import type { Call, Output } from '../port.ts'
import { seal } from './checksum.ts'
import { type Clock, monotonicClock, systemWakeups, type Wakeups } from './clock.ts'
import { Effects } from './effects.ts'
import { Hosted, type OutputHandler } from './hosted.ts'
import { Incompatible } from './incompatible.ts'
import { type Log, silentLog } from './log.ts'
import { Reporter } from './reporter.ts'
import { Router } from './router.ts'
import { isEnvelope } from './secure/envelope.ts'
import { faultTeller } from './secure/warnings.ts'
import type { Transport } from './transport.ts'
import { youngBuffers } from './young-buffers.ts'

/** Inputs stepped in one go before the loop gets a turn: siblings that talk to each other must not lock it out. */
const DRAIN_MAX = 1024
/** Packets remembered until the transport has read them. */
const LENT_MAX = 256

const TICK: Input = { kind: 'tick' }

export interface DriverOptions {
  readonly transport: Transport
  readonly clock?: Clock
  readonly wakeups?: Wakeups
  readonly log?: Log
  /** The program's output handler threw, or a machine did. The driver goes on. Default: logged. */
  readonly onFault?: (fault: Fault) => void
}

export interface Fault {
  /** `program`: an output handler threw. `machine`: a step threw, and that machine is detached. */
  readonly kind: 'program' | 'machine'
  readonly port: string
  readonly error: unknown
}

export interface AttachOptions {
  /** The group's name: what is listened to, and where multicasts go. */
  readonly port: string
  /** Names this life of the machine, as in its packets. */
  readonly nonce: Nonce
}

export interface MachineHandle {
  /** Hands in a call; stepped at once, or after the step that runs. Ignored once detached. */
  call(call: Call): void
  /** The program's handler for outputs, run after the step that made them. Those made before come at once. */
  onOutput(handler: OutputHandler): void
  /** Takes the machine out: it is never stepped again, and what is written to it is answered `gone`. */
  detach(): void
  readonly isAttached: boolean
  /** Seconds spent in steps and sends while this machine was its group's sequencer. */
  readonly sequencerBusySeconds: number
}

interface Waiting {
  readonly hosted: Hosted
  readonly input: Input
}

export class Driver {
  readonly transport: Transport
  readonly router = new Router()
  private readonly clock: Clock
  private readonly wakeups: Wakeups
  private readonly log: Log
  private readonly onFault: (fault: Fault) => void
  private readonly effects: Effects
  private readonly incompatible: Incompatible
  private readonly tellOfKeys: ReturnType<typeof faultTeller>
  /** Inputs that came while another was stepped; bounded by what one step sends to siblings and its program calls. */
  private readonly waiting = new Deque<Waiting>()
  /** Whose step runs or whose effects are carried out. */
  private running: Hosted | undefined
  private busy = false
  /** Packets of the step under way that machines of this process have been handed. BOUNDED by what one step sends. */
  private readonly kept = new Set<Uint8Array>()
  /** Packets that the transport may still have to read. BOUNDED by LENT_MAX; more are left to the collector. */
  private readonly lent: { readonly machine: Machine; readonly packet: Uint8Array }[] = []
  /** Each calls its wake-up off. */
  private timer: (() => void) | undefined
  private timerAt: Micros = 0
  private immediate: (() => void) | undefined
  private flushed: (() => void)[] = []
  private closing: Promise<void> | undefined

  constructor(options: DriverOptions) {
    this.transport = options.transport
    this.clock = options.clock ?? monotonicClock()
    this.wakeups = options.wakeups ?? systemWakeups
    this.log = options.log ?? silentLog
    this.incompatible = new Incompatible(this.log)
    this.tellOfKeys = faultTeller(this.log)
    this.onFault = options.onFault ?? (() => {})
    this.effects = new Effects((event) => {
      this.running?.reporter.traced(event)
    })
    this.transport.hold(false)
    this.transport.onPacket((from, bytes) => this.receive(from, bytes))
  }

  now(): Micros {
    return this.clock()
  }

  /** Begins to listen to the group's multicasts, then hosts the machine. Rejects with the transport's GroupError. */
  async attach(machine: Machine, { port, nonce }: AttachOptions): Promise<MachineHandle> {
    assert(nonce !== 0n, 'a machine has a nonce')
    this.checkOpen()
    await this.transport.listen(port)
    this.checkOpen()
    const reporter = new Reporter({ log: this.log, group: port, nonce, clock: this.clock })
    const hosted = new Hosted(machine, port, nonce, reporter, (address) =>
      this.handIn(hosted, { kind: 'refused', address }),
    )
    this.router.add(hosted)
    this.transport.hold(true)
    return {
      call: (call) => {
        reporter.called(call)
        if (hosted.attached && machine.note?.(call) === true) return
        this.handIn(hosted, { kind: 'call', call })
      },
      onOutput: (handler) => {
        for (const output of hosted.setHandler(handler)) this.hand(hosted, output)
      },
      detach: () => this.detach(hosted),
      get isAttached() {
        return hosted.attached
      },
      get sequencerBusySeconds() {
        return hosted.sequencerBusy / 1e6
      },
    }
  }

  private checkOpen(): void {
    if (this.closing !== undefined)
      throw new GroupError(ErrorCode.closed, 'the kernel is closed; start another')
  }

  /** Resolves when nothing waits to be stepped and all packets sent so far are with the system. */
  async flush(): Promise<void> {
    if (this.busy || this.waiting.length > 0) await new Promise<void>((resolve) => this.flushed.push(resolve))
    await this.transport.flush()
  }

  /** Detaches every machine, without a word to the others, and closes the transport. */
  close(): Promise<void> {
    this.closing ??= this.closeAll()
    return this.closing
  }

  private async closeAll(): Promise<void> {
    for (const hosted of [...this.router.machines]) this.detach(hosted)
    this.waiting.clear()
    for (const resolve of this.flushed.splice(0)) resolve()
    await this.transport.close()
    this.disarm()
  }

  private detach(hosted: Hosted): void {
    if (!hosted.attached) return
    hosted.attached = false
    this.router.remove(hosted)
    this.transport.unlisten(hosted.port)
    if (this.router.machines.length > 0) return
    this.disarm()
    this.transport.hold(false)
  }

  // ---- in -----------------------------------------------------------------------------------------------

  private receive(from: Address, bytes: Uint8Array): void {
    if (!this.router.admit(bytes, this.transport.staysInMemory, this.transport.isAuthentic))
      return this.refuse(from, bytes)
    this.route(from, bytes)
    this.drain()
  }

  private refuse(from: Address, bytes: Uint8Array): void {
    if (this.transport.isAuthentic !== true && isEnvelope(bytes)) this.tellOfKeys(from, 'sealed')
    this.incompatible.note(from, bytes, this.clock)
    this.answer(from, this.router.incompatible(bytes, this.clock()))
  }

  private route(from: Address, bytes: Uint8Array): void {
    this.answer(from, this.router.route(from, bytes, this.clock(), this.take))
  }

  private answer(from: Address, answer: Uint8Array | undefined): void {
    if (answer === undefined) return
    if (this.transport.isAuthentic !== true) {
      writeSealKey(answer, 0)
      seal(answer, this.transport.staysInMemory)
    }
    this.send(from, answer)
  }

  /** One function for all packets: an object more for each would be the costliest part of routing it. */
  private readonly take = (hosted: Hosted, from: Address, bytes: Uint8Array): void => {
    if (this.running !== undefined) this.kept.add(bytes)
    this.waiting.push({ hosted, input: { kind: 'packet', from, bytes } })
  }

  private handIn(hosted: Hosted, input: Input): void {
    if (!hosted.attached) return
    this.waiting.push({ hosted, input })
    this.drain()
  }

  /** Steps what waits, in order of arrival, unless that is going on further up the stack. */
  private drain(): void {
    if (this.busy) return
    this.busy = true
    try {
      for (let i = 0; i < DRAIN_MAX; i++) {
        const next = this.waiting.shift()
        if (next === undefined) break
        if (next.hosted.attached) this.step(next.hosted, next.input)
      }
    } finally {
      this.busy = false
    }
    if (this.waiting.length === 0 && this.flushed.length > 0)
      for (const resolve of this.flushed.splice(0)) resolve()
    this.arm()
  }

  private tick(): void {
    const now = this.clock()
    for (const hosted of this.router.machines) {
      if (hosted.deadline === undefined || hosted.deadline > now || hosted.tickWaits) continue
      hosted.tickWaits = true
      this.waiting.push({ hosted, input: TICK })
    }
    this.drain()
  }

  // ---- the step and its effects -------------------------------------------------------------------------

  private step(hosted: Hosted, input: Input): void {
    const { effects } = this
    const began = this.clock()
    this.running = hosted
    if (input.kind === 'tick') hosted.tickWaits = false
    try {
      hosted.machine.step(began, input, effects)
      hosted.deadline = hosted.machine.nextDeadline()
    } catch (error) {
      effects.clear()
      this.running = undefined
      this.stop(hosted, error)
      return
    }
    for (let i = 0; i < effects.count; i++) {
      this.transmit(hosted, effects.destinations[i], effects.packets[i]!)
    }
    this.lend(hosted.machine)
    if (this.lent.length > 0 && this.transport.isIdle) this.giveBack()
    for (const address of effects.checks) this.check(hosted, address)
    this.running = undefined
    if (hosted.isSequencer) hosted.sequencerBusy += this.clock() - began
    // Taken out first: the program may close everything, and so come back here.
    const outputs = effects.takeOutputs()
    effects.clear()
    if (outputs !== undefined) for (const output of outputs) this.emit(hosted, output)
  }

  private transmit(hosted: Hosted, to: Address | undefined, packet: Uint8Array): void {
    if (this.transport.isAuthentic !== true) seal(packet, this.transport.staysInMemory)
    hosted.learnFromPacket(packet)
    if (to === undefined) {
      this.transport.multicast(hosted.port, packet)
      if (this.router.machines.length > 1) this.route(this.transport.address, packet)
    } else {
      this.send(to, packet)
    }
  }

  /**
   * What a machine of this process keeps is never written to again. (In a fan-out one copy may be for such a machine and the next for
   * another host: decided for each copy by itself, the machine's was lent as well, and later packets were written over messages
   * that its program had not read yet.)
   */
  private lend(machine: Machine): void {
    const { effects, kept, lent } = this
    for (let i = 0; i < effects.count && lent.length < LENT_MAX; i++) {
      const packet = effects.packets[i]!
      if (packet !== lent.at(-1)?.packet && !kept.has(packet)) lent.push({ machine, packet })
    }
    if (kept.size > 0) kept.clear()
  }

  /** The transport has read everything: machines may use the buffers of their packets again. */
  private giveBack(): void {
    for (const { machine, packet } of this.lent) {
      // what is not used again was made for this packet
      if (machine.release?.(packet) !== true) youngBuffers.note(packet.length)
    }
    this.lent.length = 0
  }

  private send(to: Address, packet: Uint8Array): void {
    if (this.transport.isOwn(to)) this.route(this.transport.address, packet)
    else this.transport.send(to, packet)
  }

  /** Whether a member of this very process lives is known here, and no system has to be asked. */
  private check(hosted: Hosted, address: Address): void {
    if (!this.transport.isOwn(address)) this.transport.check?.(address, hosted.refused)
  }

  private emit(hosted: Hosted, output: Output): void {
    hosted.learnFromOutput(output)
    hosted.reporter.saw(output)
    this.hand(hosted, output)
  }

  private hand(hosted: Hosted, output: Output): void {
    try {
      hosted.emit(output)
    } catch (error) {
      this.log.error({ group: hosted.port, err: error }, 'the program threw while it was handed an output')
      this.onFault({ kind: 'program', port: hosted.port, error })
    }
  }

  /** A machine with a broken invariant is worse than none: its group goes on without it. */
  private stop(hosted: Hosted, error: unknown): void {
    const reason = whyStopped(error)
    this.log.error({ group: hosted.port, err: error }, reason)
    this.detach(hosted)
    this.emit(hosted, { output: 'event', event: { event: 'closed', code: ErrorCode.closed, reason } })
    this.onFault({ kind: 'machine', port: hosted.port, error })
  }

  // ---- the one timer ------------------------------------------------------------------------------------

  private arm(): void {
    if (this.immediate !== undefined || this.closing !== undefined) return
    if (this.waiting.length > 0) {
      this.turn()
      return
    }
    let nearest: Micros | undefined
    for (const { deadline } of this.router.machines) {
      if (deadline !== undefined && (nearest === undefined || deadline < nearest)) nearest = deadline
    }
    if (nearest === undefined) return
    const away = nearest - this.clock()
    if (away <= this.wakeups.spinMicros) this.turn()
    else this.setTimer(nearest, away)
  }

  /** Comes back at the end of this turn of the loop. */
  private turn(): void {
    this.immediate = this.wakeups.soon(() => {
      this.immediate = undefined
      this.tick()
    })
  }

  private setTimer(at: Micros, away: Micros): void {
    // One that is set earlier wakes up in vain and is set anew, which costs less than moving it each time.
    if (this.timer !== undefined && this.timerAt <= at) return
    this.timer?.()
    this.timerAt = at
    this.timer = this.wakeups.after(away - this.wakeups.spinMicros, () => {
      this.timer = undefined
      this.tick()
    })
  }

  private disarm(): void {
    this.timer?.()
    this.immediate?.()
    this.timer = undefined
    this.immediate = undefined
  }
}

/** What to tell of a step that threw. Memory that the program has given away, in V8's words, is no fault of the member's. */
function whyStopped(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.includes('detached ArrayBuffer')
    ? 'this member was stopped because memory that it needs was transferred away: a body that is sent or received must not be in a transfer list (postMessage, structuredClone); give a copy there, or open the group with copy: true'
    : `this member was stopped by a fault inside it, please report this: ${text}`
}
