/**
 * I6, one moment: joins and leaves take one place in the order, the same for all; each view follows from the
 * one before; messages come from members only; a joiner begins right after its own join; a leaver's life ends.
 */
import { ErrorCode } from '../../../kernel/errors.ts'
import { hex64, Right } from '../../../kernel/identity.ts'
import type { Output } from '../../../kernel/port.ts'
import { findMember, type View } from '../../../kernel/view.ts'
import { describeView } from '../trace.ts'
import { type Checker, check } from './checker.ts'
import { isLiving, type Ledger, type LifeRecord } from './ledger.ts'
import type { DeliveredEvent, OrderedRecord } from './order.ts'
import { rightOf } from './rights.ts'

export class Views implements Checker {
  readonly invariant = 'I6'
  private readonly ledger: Ledger

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  joined(life: LifeRecord, view: View): void {
    check(
      findMember(view, life.memberId) !== undefined,
      'I6',
      () => `${life.name} joined as m${life.memberId}, which is not in its ${describeView(view)}`,
    )
    const order = this.ledger.orderOf(life)
    const there = order.records.filter(
      (record) => record.event !== undefined && record.event.seq <= view.seq && record.last >= view.seq,
    )
    // below a majority another line of views may have given the same id at the same place to somebody else
    const own = there.find(
      ({ event }) =>
        event!.kind === 'join' && event!.sender === life.memberId && isOfOneIncarnation(event!.view, view),
    )
    const other = there.find(({ parent }) => isOfOneIncarnation(parent!.view, view))
    if (own !== undefined || other !== undefined) this.compareJoin(life, view, (own ?? other)!)
  }

  delivered(life: LifeRecord, event: DeliveredEvent): void {
    check(
      event.kind !== 'leave' || event.sender !== life.memberId,
      'I6',
      () => `${life.name} is handed its own leave at ${event.seq}`,
    )
    check(event.seq !== life.joinedAt, 'I6', () => `${life.name} is handed its own join at ${event.seq}`)
    // a witness holds the result like a member, and delivers nothing
    const isOut = event.kind === 'reset' && event.view.members.every(({ nonce }) => nonce !== life.nonce)
    check(!isOut, 'I6', () => `${life.name} is handed the reset at ${event.seq}, whose view it is not in`)
  }

  ordered(record: OrderedRecord, before: View): void {
    const { event } = record
    if (event === undefined) return
    for (const { life, record: own } of record.order.loose) {
      const isThere = own.last >= event.seq && own.last <= record.last
      if (isThere && isOfOneIncarnation(before, own.view)) this.compareJoin(life, own.view, record)
    }
    const joiner = this.ledger.lives.find(
      (life) => event.kind === 'join' && life.at === record && life.joinedAt === event.seq,
    )
    if (joiner !== undefined && joiner.memberId === event.sender)
      this.compareJoin(joiner, joiner.view!, record)
    const sender = `m${event.sender}`
    if (event.kind === 'messages') {
      check(
        findMember(before, event.sender) !== undefined,
        'I6',
        () =>
          `a message of ${sender} is ordered at ${event.seq}, and ${describeView(before)} does not have it`,
      )
      return
    }
    if (event.kind === 'reset') return
    const expected =
      event.kind === 'join'
        ? joinedMembers(before, event.view, event.sender)
        : leftMembers(before, event.sender)
    check(
      expected !== undefined &&
        event.view.seq === event.seq &&
        memberKey(event.view.members) === memberKey(expected),
      'I6',
      () =>
        `the ${event.kind} of ${sender} at ${event.seq} leads from ${describeView(before)} to ${describeView(event.view)}`,
    )
    const sequencerStays = findMember(event.view, before.sequencer) !== undefined
    check(
      event.view.members.length === 0 ||
        (sequencerStays
          ? event.view.sequencer === before.sequencer
          : event.view.sequencer === (event.view.members.find(({ right }) => right === Right.all)?.id ?? 0)),
      'I6',
      () => `at ${event.seq} m${before.sequencer} is followed as sequencer by m${event.view.sequencer}`,
    )
  }

  private compareJoin(life: LifeRecord, view: View, { event, by }: OrderedRecord): void {
    check(
      event?.kind === 'join' && event.sender === life.memberId,
      'I6',
      () =>
        `${life.name} says that it joined as m${life.memberId} at ${view.seq}, where ${by.name} delivered another event`,
    )
    check(
      viewKey(event.view) === viewKey(view),
      'I6',
      () => `${life.name} joined with ${viewKey(view)}, and ${by.name} has ${viewKey(event.view)} there`,
    )
  }

  output(life: LifeRecord, output: Output): void {
    const isOver = life.phase === 'closed'
    check(!isOver, 'I6', () => `${life.name} is closed, and its machine still says ${output.output}`)
    if (output.output === 'event' && output.event.event === 'closed') {
      const { code } = output.event
      check(
        life.phase === 'left' ||
          life.phase === 'failed' ||
          code === ErrorCode.expelled ||
          (code === ErrorCode.resetFailed && rightOf(life) !== Right.all),
        'I6',
        () =>
          `the life of ${life.name} ends while it is ${life.phase}: ${output.event.event === 'closed' ? output.event.reason : ''}`,
      )
    }
    if (output.output === 'left')
      check(life.phase === 'leaving', 'I6', () => `${life.name} has left without having asked`)
  }

  finished(): void {
    for (const life of this.ledger.lives) {
      if (life.group === undefined || (life.phase !== 'left' && life.phase !== 'closed')) continue
      if (life.isExpelled || mayGoUnordered(this.ledger, life)) continue
      const { tip } = this.ledger.orderOf(life)
      // (by its nonce: below a majority the other side of a split may have given the same id to somebody else)
      const isIn = findMember(tip.view, life.memberId)?.nonce === life.nonce
      const isOver = !isIn || tip.last === life.delivered
      check(isOver, 'I6', () => `${life.name} has left, and ${describeView(tip.view)} still has it`)
    }
  }
}

/** From a group that has stopped one leaves at once, as if by a crash, or as the last. */
function mayGoUnordered(ledger: Ledger, life: LifeRecord): boolean {
  if (!ledger.isDisturbed) return false
  const isLast = !ledger.inGroup(life.group!).some(isLiving)
  return isLast || life.isLeftBehind
}

/**
 * Whether both are made by one attempt, or by joins and leaves since. A name (incarnation, coordinator) does not say
 * so by itself: below a majority the two sides of a split give the same member id to two processes, and these may
 * both rebuild their sides under the same incarnation. Which process it was tells them apart; it never attempts
 * anything twice under one incarnation.
 */
export function isOfOneIncarnation(a: View, b: View): boolean {
  if (a.incarnation !== b.incarnation || a.coordinator !== b.coordinator) return false
  const [mine, theirs] = [findMember(a, a.coordinator), findMember(b, b.coordinator)]
  return mine === undefined || theirs === undefined || mine.nonce === theirs.nonce
}

/** Two groups on one port at once: nobody may be told that a port is free while its group lives. */
export class OneGroup implements Checker {
  readonly invariant = 'I8'
  private readonly ledger: Ledger

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  joined(life: LifeRecord): void {
    const other = this.ledger.lives.find((one) => one.phase === 'member' && one.group !== life.group)
    check(
      other === undefined,
      'I8',
      () => `${life.name} is in group ${life.group} while ${other?.name} is in ${other?.group}`,
    )
  }
}

function joinedMembers(before: View, after: View, id: number): View['members'] | undefined {
  const joined = findMember(after, id)
  const last = before.members.at(-1)
  if (joined === undefined || (last !== undefined && id <= last.id)) return undefined
  return [...before.members, joined]
}

function leftMembers(before: View, id: number): View['members'] | undefined {
  return findMember(before, id) === undefined
    ? undefined
    : before.members.filter((member) => member.id !== id)
}

export function memberKey(members: View['members']): string {
  return members
    .map(
      ({ id, nonce, name, address, role, right }) =>
        `m${id}/${hex64(nonce)}/${name}/${address}/${role}/${right}`,
    )
    .join(' ')
}

/** Everything that makes a view, for comparing and for people. */
export function viewKey(view: View): string {
  const { groupId, incarnation, coordinator, seq, sequencer, members } = view
  return `${hex64(groupId)} ${incarnation}.${coordinator} at ${seq} by m${sequencer}: ${memberKey(members)}`
}
