/**
 * Schedules made by hand, as in other-rules.ts, for rules about rights that no honest member ever tries: somebody asks for
 * more than it can show, and an invitation comes from one who may not make it.
 */

import { check } from '../simulator/checkers/checker.ts'
import { credentialsFor } from '../simulator/credentials.ts'
import { GroupOf } from './group-of.ts'

/** One has another key, and one has shown less than it wants to be. */
function proofsAreChecked(): void {
  const group = new GroupOf()
  group.add({ credentials: credentialsFor('all') })
  for (const credentials of [
    credentialsFor('all', 2),
    { ...credentialsFor('receive'), right: credentialsFor('all').right },
  ]) {
    const seat = group.begin({ credentials })
    group.until(() => seat.openFailed !== undefined || seat.memberId !== 0, `${seat.name} has an answer`)
    check(seat.memberId === 0, 'rights', () => `${seat.name} has shown no right, and is let in`)
  }
}

/** The program of who admits says no, and says nothing. */
function programIsHeeded(): void {
  for (const answers of [true, false]) {
    const group = new GroupOf()
    const first = group.add({ asksProgram: true })
    if (answers) first.onAuthorize = (question) => first.authorize(question, false)
    const seat = group.begin()
    group.until(() => seat.openFailed !== undefined || seat.memberId !== 0, `${seat.name} has an answer`)
    check(seat.memberId === 0, 'rights', () => `${seat.name} is let in against the program's word`)
  }
}

export const rightScenes: Readonly<Record<string, () => void>> = {
  'proofs-are-checked': proofsAreChecked,
  'program-is-heeded': programIsHeeded,
}
