/** I9, progress: once packets get through, every call is answered and every member has received everything. */
import type { Ledger, LifeRecord } from './ledger.ts'

/** What is still missing, in words; undefined when the goal is reached. */
export function missing(ledger: Ledger): string | undefined {
  for (const life of ledger.lives) {
    const problem = missingAt(ledger, life)
    if (problem !== undefined) return problem
  }
  return undefined
}

function missingAt(ledger: Ledger, life: LifeRecord): string | undefined {
  if (life.phase === 'opening') return `${life.name} has no answer to its open`
  if (life.phase === 'leaving') return `${life.name} has no answer to its leave`
  if (life.unanswered > 0) {
    const first = life.sends.find(({ state }) => state === 'open')
    return `${life.name} has no answer to ${life.unanswered} of its ${life.sends.length} sends, the first its ${first?.counter}`
  }
  if (life.phase !== 'member') return undefined
  const { last } = ledger.orderOf(life)
  return life.delivered < last
    ? `${life.name} has delivered up to ${life.delivered}, and the order goes on to ${last}`
    : undefined
}
