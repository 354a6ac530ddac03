/**
 * Keeps the ledger and asks every checker. The run tells it of each call and each output; a test can do so
 * by hand.
 */
import type { detectionPresets } from '../../../group/member/options.ts'
import { ErrorCode } from '../../../kernel/errors.ts'
import type { Micros, Nonce } from '../../../kernel/identity.ts'
import type { Call, MemberInfo, OrderedEvent, Output } from '../../../kernel/port.ts'
import type { TraceEvent } from '../../../kernel/trace.ts'
import { Bounds } from './bounds.ts'
import { type Checker, Violation } from './checker.ts'
import { Forks } from './forks.ts'
import { Integrity, SenderOrder } from './integrity.ts'
import { isLiving, Ledger, type LifeRecord, outcomeState } from './ledger.ts'
import { NoDoubt } from './no-doubt.ts'
import { OneOrder } from './one-order.ts'
import { complete } from './order.ts'
import { OwnMessages } from './own-messages.ts'
import { isProgressDemanded } from './progress.ts'
import { Resets } from './resets.ts'
import { Resilience } from './resilience.ts'
import { Rights } from './rights.ts'
import { SettingsChecker } from './settings.ts'
import { Survivors } from './survivors.ts'
import { OneGroup, Views } from './views.ts'

export class Judge {
  readonly ledger = new Ledger()
  private readonly checkers: readonly Checker[]
  private readonly now: () => Micros

  /** `sampleAll` has the info of every living machine sampled; for I5. */
  constructor(
    options: { packetSize: number; detection?: DetectionName },
    sampleAll: () => void,
    now: () => Micros = () => 0,
  ) {
    this.now = now
    const { ledger } = this
    this.checkers = [
      new OneOrder(),
      new Forks(ledger),
      new Resets(),
      new Integrity(ledger),
      new SenderOrder(),
      new OwnMessages(ledger),
      new NoDoubt(ledger),
      new Views(ledger),
      new OneGroup(ledger),
      new Bounds(ledger, options.packetSize),
      new Resilience(ledger, sampleAll),
      new Survivors(ledger, options),
      new Rights(ledger),
      new SettingsChecker(ledger),
    ]
  }

  begin(name: string, nonce: Nonce): LifeRecord {
    return this.ledger.begin(name, nonce)
  }

  call(life: LifeRecord, call: Call): void {
    switch (call.call) {
      case 'open':
        life.openToken = call.token
        return
      case 'send':
        this.ledger.send(life, call.token, call.header, call.body)
        return
      case 'sendMany':
        call.bodies.forEach((body, i) => {
          this.ledger.send(life, call.token + i, NO_BYTES, body)
        })
        return
      case 'cancel': {
        const send = this.ledger.sendOf(life, call.token)
        if (send !== undefined) send.cancelled = true
        return
      }
      case 'taken':
        life.taken = call.seq
        return
      case 'leave':
        life.leaveToken = call.token
        life.phase = 'leaving'
        return
      case 'reset':
        life.resets.add(call.token)
        this.ledger.isDisturbed = true
        return
      default:
        return
    }
  }

  // ---- what is done to nodes and links ----------------------------------------------------------------

  crashed(life: LifeRecord): void {
    this.ledger.moment++
    this.ledger.isDisturbed = true
    life.phaseBefore = life.phase
    life.phase = 'crashed'
    for (const checker of this.checkers) checker.crashed?.(life)
  }

  paused(life: LifeRecord): void {
    this.ledger.isDisturbed = true
    life.pauses.push({ from: this.ledger.moment++, to: undefined, since: this.now(), length: 0, at: life.at })
  }

  woke(life: LifeRecord): void {
    const pause = life.pauses.at(-1)
    if (pause === undefined) return
    pause.to = this.ledger.moment++
    pause.length = this.now() - pause.since
  }

  partitioned(): void {
    this.ledger.isDisturbed = this.ledger.wasPartitioned = true
  }

  /** A machine has told of a turning point: a result of its own is on its way, or somebody's join. */
  marked(life: LifeRecord, mark: string, detail: TraceEvent['detail'] = {}): void {
    if (mark === RESULT_MARK) life.hasResultOut = true
    if (mark === CREATED_MARK) {
      const { versions, keys } = life.abilities ?? { versions: { highest: 1 }, keys: () => [] }
      const agreed = { version: versions.highest, keyId: keys()[0] ?? 0 }
      this.ledger.begunWith.set(String(detail.groupId).padStart(16, '0'), { seq: 0, ...agreed })
    }
    if (mark === JOIN_MARK) this.ledger.numberedJoins.add(String(detail.nonce))
  }

  output(life: LifeRecord, output: Output): void {
    this.ledger.moment++
    for (const checker of this.checkers) checker.output?.(life, output)
    switch (output.output) {
      case 'joined':
        return this.joined(life, output)
      case 'sent':
        for (let i = 0; i < output.count; i++)
          this.answered(life, output.token + i, output.seq + i, undefined)
        return
      case 'failed':
        return this.failed(life, output)
      case 'deliveries':
        for (const event of output.deliveries) this.delivered(life, event)
        return
      case 'left':
        life.phase = 'left'
        life.isLeftBehind = !output.isOrdered
        // (out of a view that nobody may number in, everybody goes)
        if (life.isLeftBehind && !this.ledger.isDisturbed && life.view?.sequencer !== 0)
          throw new Violation('I6', `${life.name} leaves without its group, and nothing was wrong`)
        return
      case 'reset':
        if (!life.resets.delete(output.token))
          throw new Violation('I9', `${life.name} gets an answer to #${output.token}, which is no reset`)
        return
      case 'event':
        if (output.event.event === 'suspect') this.ledger.isDisturbed = true
        if (output.event.event === 'expelled') life.isExpelled = true
        if (output.event.event === 'closed') {
          life.phase = 'closed'
          if (output.event.code === ErrorCode.expelled) life.isExpelled = true
        }
        return
      default:
        return
    }
  }

  private joined(life: LifeRecord, output: Extract<Output, { output: 'joined' }>): void {
    if (life.phase !== 'opening' || output.token !== life.openToken) {
      throw new Violation(
        'I6',
        `${life.name} is told that it joined (#${output.token}) while it is ${life.phase}`,
      )
    }
    this.ledger.join(life, output.memberId, output.view, output.parameters)
    for (const checker of this.checkers) checker.joined?.(life, output.view)
  }

  private answered(
    life: LifeRecord,
    token: number,
    seq: number | undefined,
    failure: Extract<Output, { output: 'failed' }> | undefined,
  ): void {
    const send = this.ledger.sendOf(life, token)
    if (send === undefined || send.state !== 'open') {
      throw new Violation(
        'I9',
        `${life.name} gets an answer to #${token}, ${send === undefined ? 'which is no send' : `which was ${send.state} already`}`,
      )
    }
    const state = failure === undefined ? 'sent' : outcomeState(failure.outcome)
    this.ledger.answer(life, send, state, seq, failure?.code)
    for (const checker of this.checkers) checker.answered?.(life, send)
  }

  private failed(life: LifeRecord, output: Extract<Output, { output: 'failed' }>): void {
    const { token, code, message } = output
    if (token === life.openToken && life.phase === 'opening') {
      life.phase = 'failed'
    } else if (life.resets.delete(token)) {
      return
    } else if (token === life.leaveToken && mayFailLeave(life, code)) {
      life.leaveToken = undefined
      life.phase = 'member'
    } else if (token === life.leaveToken) {
      throw new Violation(
        'I9',
        `the leave of ${life.name} fails with ${code} (${message}), and nothing was wrong`,
      )
    } else {
      this.answered(life, token, undefined, output)
    }
  }

  private delivered(life: LifeRecord, event: OrderedEvent): void {
    if (!isLiving(life))
      throw new Violation('I6', `${life.name} is handed ${event.seq} while it is ${life.phase}`)
    const { record, clash } = this.ledger.orders.place(life, event, this.ledger.moment)
    for (const checker of this.checkers) checker.delivered?.(life, event, record, clash)
    life.delivered = record.last
    life.at = record
    if (event.kind !== 'messages') life.view = event.view
    if (event.kind === 'reset') life.hasResultOut = false
    // told of as soon as everything before it is known
    for (const known of complete(record, this.ledger.lives))
      for (const checker of this.checkers) checker.ordered?.(known, known.parent!.view)
  }

  sampled(life: LifeRecord, info: MemberInfo): void {
    life.received = info.received
    life.heldMost = Math.max(life.heldMost, info.received)
    for (const checker of this.checkers) checker.sampled?.(life, info)
  }

  stepped(life: LifeRecord): void {
    for (const checker of this.checkers) checker.stepped?.(life)
  }

  /** What must hold at the end holds only where the run could reach its goal. */
  finished(): void {
    if (!isProgressDemanded(this.ledger)) return
    for (const checker of this.checkers) checker.finished?.()
  }
}

/** By the group's own wish a leave waits for the program to reset; an expelled member need not leave any more. */
function mayFailLeave({ parameters }: LifeRecord, code: ErrorCode): boolean {
  if (code === ErrorCode.memberFailed) return parameters?.recovery === 'manual'
  return code === ErrorCode.expelled
}

const NO_BYTES = new Uint8Array(0)
/** The mark of a coordinator that begins to send its result. */
const RESULT_MARK = 'proposing'
const CREATED_MARK = 'created'
/** The mark of a sequencer that has given a join its place. */
const JOIN_MARK = 'join-numbered'
type DetectionName = keyof typeof detectionPresets
