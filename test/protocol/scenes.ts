/** All schedules that are made by hand, by name: what a planted fault of `test/mutants` may ask for. */
import { choiceScenes } from './choice-rules.ts'
import { coordinatorScenes } from './coordinator-rules.ts'
import { formerScenes } from './former-rules.ts'
import { keyScenes } from './key-rules.ts'
import { otherScenes } from './other-rules.ts'
import { recoveryScenes } from './recovery-rules.ts'
import { rightScenes } from './rights-rules.ts'

export const scenes: Readonly<Record<string, () => void>> = {
  ...recoveryScenes,
  ...choiceScenes,
  ...coordinatorScenes,
  ...formerScenes,
  ...otherScenes,
  ...keyScenes,
  ...rightScenes,
}
