/** A group made by hand, for tests of checkers: what machines would have said, told to a judge. */
import { ErrorCode, type Outcome } from '../../kernel/errors.ts'
import { type MemberId, type Micros, Right, type Seq } from '../../kernel/identity.ts'
import { completeParameters, type GroupParameters } from '../../kernel/parameters.ts'
import type { MemberInfo, OrderedEvent } from '../../kernel/port.ts'
import { type Member, type View, withJoined } from '../../kernel/view.ts'
import { messageBlock } from '../support/blocks.ts'
import { infoOf, memberOf } from '../support/members.ts'
import { Judge } from './checkers/judge.ts'
import { isLiving, type LifeRecord, type SendRecord } from './checkers/ledger.ts'
import { tagged } from './tag.ts'

const NO_BYTES = new Uint8Array(0)

type ResetEvent = Extract<OrderedEvent, { kind: 'reset' }>

export class Scene {
  readonly judge: Judge
  now: Micros = 0
  /** The next free seq after the joins. */
  readonly next: Seq
  private readonly lives = new Map<MemberId, LifeRecord>()
  /** How much each holds; as much as it has delivered, if not said. */
  private readonly held = new Map<LifeRecord, Seq>()
  private heldByAll: Seq
  private readonly parameters: GroupParameters
  private readonly rights: Readonly<Record<MemberId, Right>>

  /** `rights` of those who have not every one. */
  constructor(
    members: number,
    parameters: Partial<GroupParameters>,
    rights: Readonly<Record<MemberId, Right>> = {},
  ) {
    this.rights = rights
    this.judge = new Judge(
      { packetSize: 1400 },
      () => this.sampleAll(),
      () => this.now,
    )
    this.parameters = completeParameters(parameters)
    this.next = members
    this.heldByAll = members - 1
    const creator = this.begin(1)
    let view: View = {
      groupId: 7n,
      incarnation: 1,
      coordinator: 1,
      seq: 0,
      sequencer: 1,
      members: [this.member(creator, 1)],
    }
    this.joined(creator, 1, view)
    for (let id = 2; id <= members; id++) {
      const life = this.begin(id)
      view = withJoined(view, this.member(life, id), id - 1)
      for (const other of [...this.lives.values()])
        this.deliver(other, { kind: 'join', seq: id - 1, sender: id, header: NO_BYTES, view })
      this.joined(life, id, view)
    }
  }

  begin(id: MemberId): LifeRecord {
    const life = this.judge.begin(`n${id}`, BigInt(100 + id))
    life.openToken = -1
    life.right = this.rights[id]
    return life
  }

  member({ name, nonce }: LifeRecord, id: MemberId): Member {
    return memberOf(id, { nonce, name, address: name, right: this.rights[id] ?? Right.all })
  }

  private joined(life: LifeRecord, id: MemberId, view: View, key = id): void {
    const { parameters } = this
    const common = { port: 'p', nonce: life.nonce, parameters, view }
    this.lives.set(key, life)
    this.judge.output(life, { output: 'joined', token: -1, memberId: id, ...common })
  }

  /** One more member in the view of `host`. The two sides of a split give the same id, so the test names it by `key`. */
  join(host: MemberId, id: MemberId, key = id): void {
    const before = this.life(host).view!
    const seq = this.life(host).delivered + 1
    const life = this.begin(key)
    const view = withJoined(before, this.member(life, id), seq)
    this.heldByAll = Math.max(this.heldByAll, seq)
    for (const other of this.judge.ledger.livesOf(before))
      this.deliver(other, { kind: 'join', seq, sender: id, header: NO_BYTES, view })
    this.joined(life, id, view, key)
  }

  life(id: MemberId): LifeRecord {
    return this.lives.get(id)!
  }

  get living(): MemberId[] {
    return [...this.lives].filter(([, life]) => isLiving(life)).map(([id]) => id)
  }

  /** From now on all hold everything up to `seq`. */
  hold(seq: Seq): void {
    this.heldByAll = seq
  }

  holdAt(id: MemberId, seq: Seq): void {
    this.held.set(this.life(id), seq)
  }

  deliver(life: LifeRecord, ...deliveries: OrderedEvent[]): void {
    this.judge.output(life, { output: 'deliveries', deliveries })
    this.judge.stepped(life)
  }

  send(id: MemberId): SendRecord {
    const life = this.life(id)
    const { header, body } = tagged({ life: life.index, counter: life.sends.length }, 0, 20)
    this.judge.call(life, { call: 'send', token: life.sends.length + 1, channel: 0, header, body })
    return life.sends.at(-1)!
  }

  message({ life, header, body, counter }: SendRecord, seq: Seq): OrderedEvent {
    const sender = this.judge.ledger.lives[life]!.memberId
    const block = messageBlock(sender, counter + 1, [{ header, body }])
    return { kind: 'messages', seq, count: 1, sender, block }
  }

  sent(id: MemberId, { token }: SendRecord, seq: Seq): void {
    this.heldByAll = Math.max(this.heldByAll, seq)
    this.judge.output(this.life(id), { output: 'sent', token, count: 1, seq })
    this.judge.stepped(this.life(id))
  }

  failed(id: MemberId, { token }: SendRecord, code: ErrorCode, outcome: Outcome): void {
    this.judge.output(this.life(id), { output: 'failed', token, code, message: code, outcome })
  }

  /** From the newest view of the coordinator, which the test names by its key. */
  reset(
    seq: Seq,
    incarnation: number,
    removed: readonly MemberId[],
    { coordinator, lossPossible = true }: { coordinator: MemberId; lossPossible?: boolean },
  ): ResetEvent {
    const { view, memberId } = this.life(coordinator)
    const before = view!
    const members = before.members.filter(({ id }) => !removed.includes(id))
    const after = { ...before, incarnation, coordinator: memberId, seq, sequencer: memberId, members }
    const gone = before.members.map(({ id }) => id).filter((id) => removed.includes(id))
    this.heldByAll = Math.max(this.heldByAll, seq)
    const sides = { view: after, removed: gone, lossPossible }
    return { kind: 'reset', seq, sender: memberId, header: NO_BYTES, ...sides }
  }

  crash(id: MemberId): void {
    this.judge.crashed(this.life(id))
  }

  expel(id: MemberId): void {
    const reason = 'the group has gone on'
    this.judge.output(this.life(id), { output: 'event', event: { event: 'expelled', reason } })
    const event = { event: 'closed', code: ErrorCode.expelled, reason } as const
    this.judge.output(this.life(id), { output: 'event', event })
  }

  finish(): void {
    this.judge.finished()
  }

  private sampleAll(): void {
    for (const life of this.judge.ledger.lives)
      if (isLiving(life) || life.phase === 'opening') this.judge.sampled(life, this.info(life))
  }

  private info(life: LifeRecord): MemberInfo {
    const received = Math.max(life.delivered, this.held.get(life) ?? this.heldByAll)
    const { memberId, view, taken } = life
    return infoOf({ memberId, view, seq: received, received, accepted: received, taken })
  }
}
