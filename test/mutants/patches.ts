/**
 * The planted faults: each *.patch here breaks one rule of the protocol. README.md says what its first lines
 * must say.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { repositoryRoot } from '../support/files.ts'

export interface Mutant {
  /** The file's name without `.patch`. */
  readonly name: string
  readonly path: string
  /** What may find it: names of invariants, `assertion` for the machine's own; the first is the one meant. */
  readonly expected: readonly string[]
  /** The rule that it breaks. */
  readonly rule: string
  /** `OPTION=VALUE` for the simulator, where what is drawn leads there too seldom. */
  readonly options: readonly string[]
  /** A schedule of `test/protocol/scenes.ts` that finds it, where random ones get there too seldom. */
  readonly scene: string | undefined
}

const patchFolder = `${repositoryRoot}test/mutants/`

const FIRST_LINE =
  /^Breaks ((?:I\d+|packets|rights|settings|assertion)(?: or (?:I\d+|packets|rights|settings|assertion))*): (.+)$/

/** All mutants, or those named; throws for a name that there is not, and for a patch that does not say what it breaks. */
export function readMutants(names: readonly string[] = []): Mutant[] {
  const all = readdirSync(patchFolder)
    .filter((file) => file.endsWith('.patch'))
    .sort()
    .map((file) => readMutant(file.slice(0, -'.patch'.length)))
  if (names.length === 0) return all
  return names.map((given) => {
    const name = given.replace(/^.*\//, '').replace(/\.patch$/, '')
    const mutant = all.find((one) => one.name === name)
    if (mutant === undefined)
      throw new Error(
        `there is no mutant ${JSON.stringify(name)}; there are ${all.map((one) => one.name).join(', ')}`,
      )
    return mutant
  })
}

function readMutant(name: string): Mutant {
  const path = `${patchFolder}${name}.patch`
  const [first = '', second = '', third = ''] = readFileSync(path, 'utf8').split('\n', 3)
  const [, expected, rule] = FIRST_LINE.exec(first) ?? []
  if (expected === undefined || rule === undefined)
    throw new Error(
      `${name}.patch must begin with a line "Breaks I1: RULE" ("Breaks I1 or assertion: RULE"), not ${JSON.stringify(first)}`,
    )
  if (!second.startsWith('Story: ')) throw new Error(`${name}.patch must have "Story: …" as its second line`)
  const options = third.startsWith('With: ') ? third.slice('With: '.length).trim().split(/ +/) : []
  const scene = third.startsWith('Scene: ') ? third.slice('Scene: '.length).trim() : undefined
  return { name, path, expected: expected.split(' or '), rule, options, scene }
}
