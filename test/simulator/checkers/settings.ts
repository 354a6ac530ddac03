/**
 * Settings (kernel/settings.ts): at every place of the order each member goes by the same ones, every member of the view
 * there can do what they say and would not let go of their key, and in the end the group goes by the best that all its
 * members can.
 */
import type { MemberInfo } from '../../../kernel/port.ts'
import { decodeSettings, keyText, type Settings } from '../../../kernel/settings.ts'
import { type Checker, check } from './checker.ts'
import { isLiving, type Ledger, type LifeRecord } from './ledger.ts'
import { isSplitOff, needsMajority, type OrderedRecord } from './order.ts'

export class SettingsChecker implements Checker {
  readonly invariant = 'settings'
  /** By the record from which on they hold; what a group began with, by its root. BOUNDED by the changes of a run. */
  private readonly known = new Map<OrderedRecord, Settings>()
  private readonly ledger: Ledger

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  ordered(record: OrderedRecord): void {
    const settings = settingsIn(record)
    if (settings !== undefined) this.known.set(record, settings)
    const isJoin = record.event?.kind === 'join'
    if (settings === undefined && !isJoin) return
    const there = settings ?? this.at(record)
    if (there === undefined) return
    for (const { nonce } of record.view.members) {
      const life = this.ledger.lives.find((one) => one.nonce === nonce)
      const problem = life && lacking(life, there)
      // (it may have gone another way since, where nobody knows of the change: seed 43200118, with a minimum of one)
      const isElsewhere = problem !== undefined && !needsMajority(record.order) && isSplitOff(life!, record)
      check(problem === undefined || isElsewhere, 'settings', () => `at ${record.last} ${problem}`)
    }
  }

  sampled(life: LifeRecord, { received, settings }: MemberInfo): void {
    const { at } = life
    if (at?.isKnown !== true || !isLiving(life) || received !== at.last) return
    if (at.event === undefined && !this.known.has(at)) this.known.set(at, settings)
    const expected = this.at(at)
    check(
      expected === undefined || isSame(expected, settings),
      'settings',
      () =>
        `${life.name} goes by ${textOf(settings)} at ${received}, and the order says ${textOf(expected!)}`,
    )
  }

  private at(record: OrderedRecord): Settings | undefined {
    for (let one: OrderedRecord | undefined = record; one !== undefined; one = one.parent) {
      const settings = this.known.get(one)
      if (settings !== undefined) return settings
    }
    return undefined
  }
}

/** Why the groups do not go by the best that their members can yet; undefined if they do. */
export function unsettled(ledger: Ledger): string | undefined {
  for (const order of ledger.orders.values()) {
    let last: OrderedRecord | undefined = order.tip
    while (last !== undefined && settingsIn(last) === undefined) last = last.parent
    const members = ledger.lives.filter(
      (life) => isLiving(life) && order.tip.view.members.some(({ nonce }) => nonce === life.nonce),
    )
    const abilities = members.flatMap((life) => life.abilities ?? [])
    if (abilities.length === 0 || abilities.length < order.tip.view.members.length) continue
    // what the group began with is its creator's best
    const settings = last === undefined ? ledger.begunWith.get(order.group) : settingsIn(last)
    if (settings === undefined) continue
    const version = Math.min(...abilities.map(({ versions }) => versions.highest))
    if (version > settings.version)
      return `${order.group} writes version ${settings.version}, and all can ${version}`
    const newest = abilities[0]!.keys()[0] ?? 0
    if (newest !== settings.keyId && abilities.every(({ keys }) => keys()[0] === newest))
      return `${order.group} seals with ${keyText(settings.keyId)}, and all have ${keyText(newest)}`
  }
  return undefined
}

function settingsIn({ event }: OrderedRecord): Settings | undefined {
  if (event?.kind !== 'messages') return undefined
  const agreed = decodeSettings(event.block)
  return agreed && { seq: event.seq, ...agreed }
}

function lacking(life: LifeRecord, { version, keyId }: Settings): string | undefined {
  const { name, abilities } = life
  if (abilities === undefined) return undefined
  const { versions, keys, needed } = abilities
  if (version < versions.lowest || version > versions.highest)
    return `the group takes version ${version}, and ${name} reads up to ${versions.highest}`
  if (keyId === 0) return undefined
  const taken = `the group takes the key ${keyText(keyId)}, and ${name}`
  if (!keys().includes(keyId)) return `${taken} does not hold it`
  // it need not know of the change yet (a leaver may be through with the group)
  return life.phase === 'member' && !needed().includes(keyId) ? `${taken} would let go of it` : undefined
}

function isSame(a: Settings, b: Settings): boolean {
  return a.version === b.version && a.keyId === b.keyId
}

function textOf({ seq, version, keyId }: Settings): string {
  return `version ${version}, key ${keyText(keyId)} of ${seq}`
}
