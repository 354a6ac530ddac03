/**
 * I9, progress: once packets get through, every call is answered, every member has received everything, and all
 * that live are in one view, or have been told that they are out.
 *
 * When it is demanded: if members may have suspected each other at all, only where recovery can end. V is the
 * newest view that anybody who lives has delivered, and each later one that those who are lost have delivered: of
 * these nobody can know that they were official. Of each V so many must live as the minimum asks of V, and also of V
 * with a joiner or without a leaver whose change of view may be under way. A coordinator that is lost may have had a
 * result accepted without anybody's having delivered it; then the living must be enough for each view that it may
 * have made of V. A member that is out must know somebody who lives, to be told. Where living sides have parted for good (a minimum below a majority), nothing is demanded.
 */
import { hex64, Right } from '../../../kernel/identity.ts'
import { isLiving, type Ledger, type LifeRecord } from './ledger.ts'
import { isOnLineTo, type Order } from './order.ts'
import { rightOf } from './rights.ts'

/** What is still missing, in words; undefined when the goal is reached. */
export function missing(ledger: Ledger): string | undefined {
  for (const life of ledger.lives) {
    const problem = unansweredAt(life) ?? (life.phase === 'member' ? strayed(ledger, life) : undefined)
    if (problem !== undefined) return problem
  }
  return undefined
}

/**
 * What must be answered whatever has become of the group: where recovery is manual, a program that never asks for a reset
 * must not wait for ever (paper, section 4.2).
 */
export function unanswered(ledger: Ledger): string | undefined {
  for (const life of ledger.lives) {
    const problem = unansweredAt(life)
    if (problem !== undefined) return problem
  }
  return undefined
}

function unansweredAt(life: LifeRecord): string | undefined {
  if (life.phase === 'crashed') return undefined
  if (life.phase === 'opening') return `${life.name} has no answer to its open`
  if (life.phase === 'leaving') return `${life.name} has no answer to its leave`
  if (life.unanswered > 0) {
    const first = life.sends.find(({ state }) => state === 'open')
    return `${life.name} has no answer to ${life.unanswered} of its ${life.sends.length} sends, the first its ${first?.counter}`
  }
  return life.resets.size > 0 ? `${life.name} has no answer to its reset` : undefined
}

/** Why a living member is not where its group is; undefined if it is. */
export function strayed(ledger: Ledger, life: LifeRecord): string | undefined {
  const { tip } = ledger.orderOf(life)
  if (life.isExpelled) return `${life.name} is expelled, and its life goes on`
  if (tip.view.members.every(({ nonce }) => nonce !== life.nonce))
    return `${life.name} is out of the view at ${tip.last}, and has not been told`
  const isThere = life.delivered >= tip.last || !life.at!.isKnown
  if (!isThere)
    return `${life.name} has delivered up to ${life.delivered}, and the order goes on to ${tip.last}`
  return isOnLineTo(tip, life.at!) || !life.at!.isKnown
    ? undefined
    : `${life.name} is not in the view at ${tip.last} of ${tip.by.name}`
}

/** See above. */
export function isProgressDemanded(ledger: Ledger): boolean {
  if (!ledger.isDisturbed) return true
  if (ledger.isLeftAlone) return false
  for (const order of ledger.orders.values()) if (!isDemandedOf(ledger, order)) return false
  return true
}

function isDemandedOf(ledger: Ledger, order: Order): boolean {
  const lives = ledger.inGroup(order.group)
  const living = lives.filter(isLiving)
  if (living.length === 0) return true
  if (order.isForked && living.some(({ at }) => !isOnLineTo(at!, order.tip) && hasOwnReset(at!, order)))
    return false
  if (living.some((life) => isStranded(life, living))) return false
  const isAlive = new Set(living.map(({ nonce }) => nonce))
  const view = order.tip.view.members.map(({ nonce }) => nonce)
  const counted = countedViews(order, living)
  const joiners = ledger.lives.filter((life) => life.group === undefined && mayBeJoining(ledger, life))
  const leavers = lives.filter((life) => life.phase === 'leaving' || life.phaseBefore === 'leaving')
  const views = counted.flatMap((one) => [
    one,
    ...joiners.filter(({ nonce }) => !one.includes(nonce)).map(({ nonce }) => [...one, nonce]),
    ...leavers
      .map((leaver) => one.filter((nonce) => nonce !== leaver.nonce))
      .filter((without) => without.length > 0),
  ])
  // a joiner that lives can vote for the view with it
  for (const life of joiners) if (life.phase === 'opening') isAlive.add(life.nonce)
  if (!views.every((one) => one.filter((nonce) => isAlive.has(nonce)).length >= minimumOf(order, one.length)))
    return false
  // only members with every right rebuild a group: one that is neither coming nor going must be in each of these views
  const patrons = living.filter((life) => life.phase === 'member' && rightOf(life) === Right.all)
  if (!patrons.some(({ nonce }) => views.every((one) => one.includes(nonce)))) return false
  const hidden = lives.filter((life) => life.hasResultOut && !isLiving(life)).length
  if (hidden === 0) return true
  return hidden === 1 && survivesHidden(order, view.length, view.filter((nonce) => isAlive.has(nonce)).length)
}

/**
 * From the newest that a living member has delivered to the newest of all. (Four members; the sequencer dies, the next
 * has its reset of three acked by all, delivers it alone, and dies: the two that hold it do not know that it was official,
 * and they are no majority of the four.)
 */
function countedViews(order: Order, living: readonly LifeRecord[]): LifeRecord['nonce'][][] {
  const views = new Set<Order['tip']['view']>()
  for (let one: Order['tip'] | undefined = order.tip; one !== undefined; one = one.parent) {
    views.add(one.view)
    const here = one
    if (living.some(({ at }) => isOnLineTo(here, at!))) break
  }
  return [...views].map(({ members }) => members.map(({ nonce }) => nonce))
}

/** Whether none of those that it knows, itself excepted, is there to tell it that it is out. */
function isStranded(life: LifeRecord, living: readonly LifeRecord[]): boolean {
  const isIn = (nonce: LifeRecord['nonce'], view = life.view) =>
    view?.members.some((member) => member.nonce === nonce) === true
  if (isIn(life.nonce, life.at!.order.tip.view)) return false
  return !living.some((one) => one !== life && isIn(one.nonce))
}

/** Whether a living member has delivered a reset that is not on the line to the tip. */
function hasOwnReset(at: Order['tip'], order: Order): boolean {
  for (let one: Order['tip'] | undefined = at; one !== undefined; one = one.parent)
    if (one.event?.kind === 'reset' && !isOnLineTo(one, order.tip)) return true
  return false
}

/** Its join may lie in a log, accepted or not, though it has never been told: then its vote counts. */
function mayBeJoining(ledger: Ledger, life: LifeRecord): boolean {
  if (life.phase === 'opening' || life.phaseBefore === 'opening') return true
  return ledger.numberedJoins.has(hex64(life.nonce))
}

/** Whether the living are enough for each view that a lost coordinator may have made, as few of them as may be. */
function survivesHidden(order: Order, size: number, alive: number): boolean {
  const lost = size - alive
  for (let made = minimumOf(order, size); made <= size; made++) {
    const left = Math.max(1, made - lost)
    if (made > 1 && left < minimumOf(order, made)) return false
  }
  return true
}

function minimumOf({ parameters }: Order, size: number): number {
  return parameters.minMembers === 'majority' ? Math.floor(size / 2) + 1 : parameters.minMembers
}
