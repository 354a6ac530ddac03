/** All schedules that are made by hand, by name: what a planted fault of `test/mutants` may ask for. */
import { otherScenes } from './other-rules.ts'
import { recoveryScenes } from './recovery-rules.ts'
import { rightScenes } from './rights-rules.ts'

export const scenes: Readonly<Record<string, () => void>> = {
  ...recoveryScenes,
  ...otherScenes,
  ...rightScenes,
}
