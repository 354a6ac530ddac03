/**
 * A group whose network is led by hand, judged by the simulator's checkers: for schedules of a reset that chance
 * brings about too seldom. Each rule says of each packet whether it passes, is lost, or waits to be let through.
 */
import type { Sink } from '../../kernel/machine.ts'
import type { PacketKindName } from '../../kernel/packet.ts'
import type { GroupParameters } from '../../kernel/parameters.ts'
import type { Output } from '../../kernel/port.ts'
import { Violation } from '../simulator/checkers/checker.ts'
import { Judge } from '../simulator/checkers/judge.ts'
import type { LifeRecord } from '../simulator/checkers/ledger.ts'
import { isProgressDemanded, missing } from '../simulator/checkers/progress.ts'
import { tagged } from '../simulator/tag.ts'
import { GroupOf, type Passing, type Seat, type Sent } from './group-of.ts'

export type Fate = 'pass' | 'lose' | 'hold'
export type Rule = (packet: Passing & { readonly fromId: number; readonly toId: number }) => Fate

export const passAll: Rule = () => 'pass'

/** Members reach each other only inside one of the sets; who is in none reaches nobody. */
export function only(...sides: readonly (readonly number[])[]): Rule {
  return ({ fromId, toId }) =>
    sides.some((side) => side.includes(fromId) && side.includes(toId)) ? 'pass' : 'lose'
}

export const losing =
  (kind: PacketKindName, from: number, to?: number): Rule =>
  (packet) =>
    packet.kind === kind && packet.fromId === from && (to ?? packet.toId) === packet.toId ? 'lose' : 'pass'

export const holding =
  (kind: PacketKindName, from: number, to: number): Rule =>
  (packet) =>
    packet.kind === kind && packet.fromId === from && packet.toId === to ? 'hold' : 'pass'

/** The first rule that does not let it pass. */
export function all(...rules: readonly Rule[]): Rule {
  return (packet) => rules.map((rule) => rule(packet)).find((fate) => fate !== 'pass') ?? 'pass'
}

/** Longer than the default times take for a suspicion, and for an attempt that waits for votes in vain. */
export const LONG_MS = 1_500
const PACKET_SIZE = 8192
/** So long after a schedule everything must be well again. */
const PROGRESS_MS = 60_000
const RESET_AGAIN_MS = 2_000

export class JudgedGroup {
  readonly group: GroupOf
  readonly judge: Judge
  private readonly records = new Map<Seat, LifeRecord>()
  private readonly marks = new Map<Seat, string[]>()
  private readonly resets = new Map<number, 'open' | 'done' | 'failed'>()
  private nextReset = -10
  private held: Passing[] = []
  private rule: Rule = passAll

  constructor(members: number, parameters: Partial<GroupParameters>) {
    this.group = new GroupOf({ parameters, member: { packetSize: PACKET_SIZE } })
    this.judge = new Judge(
      { packetSize: PACKET_SIZE },
      () => this.sampleAll(),
      () => this.group.queue.now,
    )
    this.group.isLost = (packet) => this.isLost(packet)
    for (let i = 0; i < members; i++) {
      const seat = this.begin()
      this.group.until(() => seat.memberId !== 0, `${seat.name} is a member`)
    }
    this.group.settle()
  }

  /** One more, which has not joined yet when this returns. */
  begin(): Seat {
    const seat = this.group.begin()
    const { machine } = seat
    const record = this.judge.begin(seat.name, machine.options.nonce)
    record.openToken = 1
    this.records.set(seat, record)
    this.marks.set(seat, [])
    const step = machine.step.bind(machine)
    const note = machine.note.bind(machine)
    machine.note = (call) => {
      const isNoted = note(call)
      if (isNoted) this.judge.call(record, call)
      return isNoted
    }
    machine.step = (now, input, sink) => {
      if (input.kind === 'call') this.judge.call(record, input.call)
      const outputs: Output[] = []
      step(now, input, this.listening(seat, sink, outputs))
      if (seat.isOver) return
      for (const output of outputs) this.onOutput(record, output)
      this.judge.sampled(record, machine.info())
      this.judge.stepped(record)
    }
    return seat
  }

  private listening(seat: Seat, sink: Sink, outputs: Output[]): Sink {
    return {
      unicast: (to, packet) => sink.unicast(to, packet),
      multicast: (packet) => sink.multicast(packet),
      output: (output) => {
        outputs.push(output)
        sink.output(output)
      },
      trace: (event) => {
        this.marks.get(seat)!.push(event.mark)
        this.judge.marked(this.records.get(seat)!, event.mark, event.detail)
        sink.trace?.(event)
      },
    }
  }

  private onOutput(record: LifeRecord, output: Output): void {
    if (output.output === 'reset') this.resets.set(output.token, 'done')
    if (output.output === 'failed' && this.resets.has(output.token)) this.resets.set(output.token, 'failed')
    this.judge.output(record, output)
  }

  private sampleAll(): void {
    for (const [seat, record] of this.records)
      if (!seat.isOver) this.judge.sampled(record, seat.machine.info())
  }

  /** By member id; the last that has it. */
  seat(id: number): Seat {
    const seat = [...this.group.seats].reverse().find(({ memberId }) => memberId === id)
    if (seat === undefined) throw new Error(`there is no member ${id}`)
    return seat
  }

  // ---- what programs do ---------------------------------------------------------------------------------

  send(id: number, bytes = 20): Sent {
    const seat = this.seat(id)
    const { index, sends } = this.records.get(seat)!
    return seat.send(tagged({ life: index, counter: sends.length }, 0, bytes).body)
  }

  /** ResetGroup; says how far that has come. */
  reset(id: number, minMembers = 0): () => 'open' | 'done' | 'failed' {
    const token = this.nextReset--
    this.resets.set(token, 'open')
    this.seat(id).call({ call: 'reset', token, minMembers, header: new Uint8Array(0) })
    return () => this.resets.get(token)!
  }

  /** Calls of ResetGroup by one member, one after the other, until it is so, or for so long. */
  resetUntil(id: number, isSo: () => boolean, ms: number): void {
    let call = this.reset(id)
    this.watch(() => {
      if (call() === 'failed' && !isSo()) call = this.reset(id)
      return isSo()
    }, ms)
  }

  crash(id: number): void {
    const seat = this.seat(id)
    seat.crash()
    this.judge.crashed(this.records.get(seat)!)
  }

  /** The operating system of member `at` says that nobody listens at the address of member `id`. */
  refuse(at: number, id: number): void {
    this.seat(at).input({ kind: 'refused', address: this.seat(id).address })
  }

  // ---- the network --------------------------------------------------------------------------------------

  /** From now on; what is under way arrives. */
  lead(...rules: readonly Rule[]): void {
    this.judge.partitioned()
    this.rule = all(...rules)
  }

  private isLost(packet: Passing): boolean {
    const fate = this.rule({ ...packet, fromId: packet.from.memberId, toId: packet.to.memberId })
    if (fate === 'hold') this.held.push(packet)
    return fate !== 'pass'
  }

  /** What was held arrives now. */
  release(): void {
    const { held } = this
    this.held = []
    for (const { from, to, bytes } of held) to.input({ kind: 'packet', from: from.address, bytes })
  }

  get isHolding(): boolean {
    return this.held.length > 0
  }

  // ---- time ---------------------------------------------------------------------------------------------

  hasMarked(id: number, mark: string): boolean {
    return this.marks.get(this.seat(id))!.includes(mark)
  }

  /** How often so far. */
  timesMarked(id: number, mark: string): number {
    return this.marks.get(this.seat(id))!.filter((one) => one === mark).length
  }

  until(isSo: () => boolean, what: string, limitMs?: number): void {
    this.group.until(isSo, what, limitMs)
  }

  /** Until it is so, or for so long: for what a planted fault brings about, and else does not happen. */
  watch(isSo: () => boolean, ms: number): boolean {
    const end = this.group.queue.now + ms * 1000
    while (!isSo() && this.group.queue.now < end) this.group.advance(1)
    return isSo()
  }

  advance(ms: number): void {
    this.group.advance(ms)
  }

  /** Everything is well again; programs of a group that stands still reset it, now and then. */
  finish(): void {
    this.lead(passAll)
    const { ledger } = this.judge
    const end = this.group.queue.now + PROGRESS_MS * 1000
    while (isProgressDemanded(ledger) && missing(ledger) !== undefined) {
      if (this.group.queue.now > end) throw new Violation('I9', missing(ledger)!)
      this.advance(RESET_AGAIN_MS)
      if (missing(ledger) !== undefined) this.resetWhereManual()
    }
    this.sampleAll()
    this.judge.finished()
  }

  private resetWhereManual(): void {
    if ([...this.resets.values()].includes('open')) return
    for (const [seat, { phase, parameters }] of this.records)
      if (phase === 'member' && parameters?.recovery === 'manual') this.reset(seat.memberId)
  }
}
