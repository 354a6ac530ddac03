/**
 * The facts of a run, without judgement: who sent what, who delivered what where, who was lost when. The first
 * delivery at a place of a group's order is the record that all later ones are compared with. An order is a
 * tree: where all is well it is one line, and what only the lost have delivered hangs off it (order.ts).
 */
import type { ErrorCode, Outcome } from '../../../kernel/errors.ts'
import {
  hex64,
  type MemberId,
  type Micros,
  type Nonce,
  type Right,
  type Seq,
} from '../../../kernel/identity.ts'
import type { Versions } from '../../../kernel/meeting-packets.ts'
import type { GroupParameters } from '../../../kernel/parameters.ts'
import type { Token } from '../../../kernel/port.ts'
import type { Settings } from '../../../kernel/settings.ts'
import type { View } from '../../../kernel/view.ts'
import { type Order, type OrderedRecord, Orders } from './order.ts'

export type SendState = 'open' | 'sent' | 'refused' | 'unknown'

/** One message that a program has sent. */
export interface SendRecord {
  readonly life: number
  readonly counter: number
  readonly token: Token
  readonly header: Uint8Array
  readonly body: Uint8Array
  cancelled: boolean
  state: SendState
  code: ErrorCode | undefined
  /** Where the answer says that it is. */
  seq: Seq | undefined
  /** The view of the sender when the answer came. */
  answeredIn: View | undefined
  /** Where it was when the answer came. */
  answeredAt: OrderedRecord | undefined
  /** When that was, in the ledger's count of moments. */
  answeredMoment: number
  /** Where it has been seen in the order: one place, or one on each branch. BOUNDED by the branches. */
  readonly places: OrderedRecord[]
}

/** A time during which a life was stopped. */
export interface Pause {
  readonly from: number
  to: number | undefined
  readonly since: Micros
  length: Micros
  /** Its place then. */
  readonly at: OrderedRecord | undefined
}

/** One life of a member machine: from its making to its end. */
export interface LifeRecord {
  readonly index: number
  /** For people: `n2`, `n2.2` for the second life on one node. */
  readonly name: string
  readonly nonce: Nonce
  phase: 'opening' | 'member' | 'leaving' | 'left' | 'closed' | 'failed' | 'crashed'
  memberId: MemberId
  group: string | undefined
  parameters: GroupParameters | undefined
  /** The view as of its last delivery. */
  view: View | undefined
  /** Its last delivery; where it joined, before the first. */
  at: OrderedRecord | undefined
  joinedAt: Seq
  delivered: Seq
  taken: Seq
  /** Highest contiguous seq held, as of the last sample. */
  received: Seq
  /** The highest that `received` has ever been: what it held once may be dropped by a reset. */
  heldMost: Seq
  leaveToken: Token | undefined
  openToken: Token | undefined
  readonly sends: SendRecord[]
  unanswered: number
  /** Resets without answer, by token. BOUNDED by the calls of its program. */
  readonly resets: Set<Token>
  /** What it was when it crashed, if it did. */
  phaseBefore: LifeRecord['phase'] | undefined
  /** It was told that the others have gone on without it. */
  isExpelled: boolean
  /** It wanted to leave a group that had stopped, and went without its leave being ordered: like a crash. */
  isLeftBehind: boolean
  /** As a coordinator it may have had a result accepted that nobody has delivered yet. */
  hasResultOut: boolean
  readonly pauses: Pause[]
  /** What its process may be let in as; every right where nobody has said. */
  right?: Right
  /**
   * What its process is able to; keys may rise while it lives. `needed` are those that it would not let go of. Undefined
   * where nobody has said.
   */
  abilities?: {
    readonly versions: Versions
    readonly keys: () => readonly number[]
    readonly needed: () => readonly number[]
  }
}

export function isLiving({ phase }: LifeRecord): boolean {
  return phase === 'member' || phase === 'leaving'
}

export class Ledger {
  readonly lives: LifeRecord[] = []
  readonly orders = new Orders()
  /** Counts what the judge is told, so that one can say what came before what. */
  moment = 0
  /** Something has happened that may make members suspect each other, or somebody has asked for a reset. */
  isDisturbed = false
  /** Nonces of processes whose joins have been numbered, in hexadecimal. */
  readonly numberedJoins = new Set<string>()
  /** By group: what it went by when it was created. */
  readonly begunWith = new Map<string, Settings>()
  /** Nobody ever asks for the reset that the group may need: then nothing is demanded but answers to calls. */
  isLeftAlone = false
  /** There was a time when some could not reach others. */
  wasPartitioned = false

  begin(name: string, nonce: Nonce): LifeRecord {
    const life: LifeRecord = {
      index: this.lives.length,
      name,
      nonce,
      phase: 'opening',
      memberId: 0,
      group: undefined,
      parameters: undefined,
      view: undefined,
      at: undefined,
      joinedAt: 0,
      delivered: 0,
      taken: 0,
      received: 0,
      heldMost: 0,
      leaveToken: undefined,
      openToken: undefined,
      sends: [],
      unanswered: 0,
      resets: new Set(),
      phaseBefore: undefined,
      isExpelled: false,
      isLeftBehind: false,
      hasResultOut: false,
      pauses: [],
    }
    this.lives.push(life)
    return life
  }

  send(life: LifeRecord, token: Token, header: Uint8Array, body: Uint8Array): void {
    life.sends.push({
      life: life.index,
      counter: life.sends.length,
      token,
      header,
      body,
      cancelled: false,
      state: 'open',
      code: undefined,
      seq: undefined,
      answeredIn: undefined,
      answeredAt: undefined,
      answeredMoment: 0,
      places: [],
    })
    life.unanswered++
  }

  /** Tokens of sends rise by one, from the first on. */
  sendOf(life: LifeRecord, token: Token): SendRecord | undefined {
    const first = life.sends[0]
    return first === undefined ? undefined : life.sends[token - first.token]
  }

  answer(life: LifeRecord, send: SendRecord, state: SendState, seq: Seq | undefined, code?: ErrorCode): void {
    send.state = state
    send.seq = seq
    send.code = code
    send.answeredIn = life.view
    send.answeredAt = life.at
    send.answeredMoment = this.moment
    life.unanswered--
  }

  join(life: LifeRecord, memberId: MemberId, view: View, parameters: GroupParameters): void {
    life.phase = 'member'
    life.memberId = memberId
    life.group = hex64(view.groupId)
    life.parameters = parameters
    life.view = view
    life.joinedAt = life.delivered = life.taken = view.seq
    life.heldMost = life.received = Math.max(life.received, view.seq)
    life.at = this.orders.join(life, view, parameters)
  }

  orderOf(life: LifeRecord): Order {
    if (life.at === undefined) throw new Error(`${life.name} is in no group`)
    return life.at.order
  }

  /** By nonce: whoever is or was a member of `view`. */
  livesOf(view: View): LifeRecord[] {
    return this.lives.filter(({ nonce }) => view.members.some((member) => member.nonce === nonce))
  }

  /** Those that take part in `group`, or did until they left. */
  inGroup(group: string): LifeRecord[] {
    return this.lives.filter((life) => life.group === group)
  }
}

export function outcomeState(outcome: Outcome | undefined): SendState {
  return outcome === 'refused' ? 'refused' : 'unknown'
}
