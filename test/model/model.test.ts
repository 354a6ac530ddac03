/** The tables as far as they are quick, long counter-examples by their paths, and what README.md says of them. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Prng } from '../../kernel/prng.ts'
import { repositoryRoot } from '../support/files.ts'
import { explore } from './explore.ts'
import {
  HELD_BY_NOBODY,
  INCARNATION_TWICE,
  KEPT_OWN,
  LOST,
  MISSING,
  NONE,
  OVERWRITTEN,
  RETURNED,
  TWO_LINES,
  violations,
} from './invariants.ts'
import { Model } from './model.ts'
import { defaultOptions, type OptionName, optionTable, parseOptions, parseSize } from './options.ts'
import { replay } from './replay.ts'
import { Rows } from './rows.ts'
import { doRun, isAsExpected, modelOf } from './run.ts'
import { initialState, State } from './state.ts'
import { Steps } from './steps/steps.ts'
import { isInTests, isQuick, type Run, suite } from './suite.ts'
import { walk } from './walk.ts'

const allRuns = suite.flatMap(({ runs }) => runs)
const title = ({ size, options, expect: verdict }: Run) => `${size} ${options || '(all rules)'}: ${verdict}`

describe.each(suite.filter(({ runs }) => runs.some(isInTests)))('$title', ({ runs }) => {
  test.each(runs.filter(isInTests).map((run) => [title(run), run] as const))('%s', (_, run) => {
    const { verdict, steps, states } = doRun(run)
    expect({ verdict, steps, states }).toEqual({
      verdict: run.expect,
      steps: run.steps ?? 0,
      states: run.states,
    })
  })
})

describe('counter-examples that take long to find', () => {
  const known = allRuns.filter((run) => run.path !== undefined)

  test.each(known.map((run) => [title(run), run] as const))('%s', (_, run) => {
    const { lines, violation } = replay(modelOf(run), run.path!)
    expect(violations[violation]![0]).toBe('I12')
    expect(lines).toHaveLength(run.steps!)
  })

  test('there are some, and every other violation is found here', () => {
    expect(known).toHaveLength(2)
    const bad = allRuns.filter((run) => run.expect !== 'ok')
    expect(bad.filter((run) => !isInTests(run))).toEqual(known)
    expect(allRuns.filter(isInTests).every(isQuick)).toBe(true)
  })
})

describe('the checker', () => {
  test('a counter-example ends in its violation, and no sooner', () => {
    const model = new Model(parseSize('3_0_3'), parseOptions(['voteBindsNot']))
    const { path, violation } = explore(model)
    expect(path).toHaveLength(6)
    expect(replay(model, path).violation).toBe(violation)
    expect(replay(model, path.slice(0, -1)).violation).toBe(NONE)
    expect(() => replay(model, [...path.slice(0, -1), 999])).toThrow('no step 999')
  })

  test('stops at a bound, and says so', () => {
    const model = new Model(parseSize('3_0_3'), defaultOptions())
    const { verdict, states } = explore(model, { limit: 1000 })
    expect(verdict).toBe('bound')
    expect(states).toBeGreaterThan(1000)
    expect(states).toBeLessThan(1100)
    expect(explore(model, { isTimeUp: () => true }).verdict).toBe('bound')
  })

  test.each([
    [OVERWRITTEN, '3_0_3', 'voteBindsNot'],
    [KEPT_OWN, '3_0_3', 'ownEventsKept'],
    [HELD_BY_NOBODY, '3_1_2', 'min=1 msgs0=1 msgs=0 joinerUnfetched=acks'],
    [LOST, '4_0_2', 'r=2 min=1 msgs0=1 msgs=0 leaves=1 handover=2 handoverWithR'],
    [RETURNED, '3_0_3', 'msgs0=1 newView=voters'],
    [INCARNATION_TWICE, '3_0_3', 'incarnationAgain'],
    [TWO_LINES, '3_1_3', 'msgs0=1 joinWithR'],
    [MISSING, '3_0_3', 'ackAfterVote'],
  ])('finds violation %i', (expected, size, options) => {
    const { violation } = explore(modelOf({ size, options, expect: 'bad' }))
    expect(violations[violation]).toBe(violations[expected])
  })

  test('a run is as expected only if all of it is', () => {
    const run: Run = { size: '3_0_3', options: 'voteBindsNot', expect: 'bad', steps: 6, states: 3178 }
    const outcome = doRun(run)
    expect(isAsExpected(run, outcome)).toBe(true)
    expect(isAsExpected({ ...run, expect: 'ok' }, outcome)).toBe(false)
    expect(isAsExpected({ ...run, steps: 7 }, outcome)).toBe(false)
    expect(isAsExpected({ ...run, states: 3179 }, outcome)).toBe(false)
    const bounded: Run = { size: '3_0_3', options: '', expect: 'ok', limit: 1000 }
    expect(isAsExpected(bounded, doRun(bounded))).toBe(true)
    expect(isAsExpected({ ...bounded, limit: undefined }, doRun(bounded))).toBe(false)
  })

  test('walks find a rule taken away, and the same ones from the same seed', () => {
    const model = new Model(parseSize('3_0_3'), parseOptions(['voteBindsNot']))
    const found = () => walk(model, new Prng(1), 60, ({ walks }) => walks === 20_000)
    const first = found()
    expect(first.violation).not.toBe(NONE)
    expect(replay(model, first.path).violation).toBe(first.violation)
    expect(found()).toEqual(first)
  })

  test('walks find nothing with all rules', () => {
    const model = new Model(parseSize('4_1_4'), parseOptions(['r=2', 'leaves=1', 'handover=2']))
    const { violation, acceptedResults, walks } = walk(model, new Prng(1), 80, (sums) => sums.walks === 2000)
    expect({ violation, walks }).toEqual({ violation: NONE, walks: 2000 })
    expect(acceptedResults).toBeGreaterThan(100)
  })

  test('a row holds all of a state, however its members are numbered', () => {
    const model = new Model(parseSize('4_1_4'), parseOptions(['r=2', 'leaves=1', 'handover=2']))
    const rows = new Rows(model)
    const again = new Rows(model)
    const unpacked = new State(model)
    const at = new State(model)
    const dice = new Prng(1)
    let steps = 0
    const walker = new Steps(model, {
      onStep: (next) => {
        if (dice.below(++steps) === 0) at.copyFrom(next)
      },
    })
    for (let i = 0; i < 200; i++) {
      at.copyFrom(initialState(model))
      for (let step = 0; step < 30; step++) {
        walker.now.copyFrom(at)
        steps = 0
        walker.all()
        rows.pack(at)
        rows.unpack(rows.row, 0, unpacked)
        again.pack(unpacked)
        expect(again.row).toEqual(rows.row)
        expect([again.hashLow, again.hashHigh]).toEqual([rows.hashLow, rows.hashHigh])
        if (steps === 0) break
      }
    }
  })
})

describe('options', () => {
  test('are read from NAME=VALUE', () => {
    const options = parseOptions(['r=-1', 'joinWithR', 'newView=voters', 'leaveWithR=0'])
    expect(options).toEqual({ ...defaultOptions(), r: -1, joinWithR: true, newView: 'voters' })
  })

  test.each(['nothing=1', 'r=x', 'r=', 'newView=some', 'joinWithR=2'])('%s is refused', (text) => {
    expect(() => parseOptions([text])).toThrow()
  })

  test.each(['3_0', '3_0_3_1', '9_0_3', '3_2_3', '3_0_15', '0_0_3'])('size %s is refused', (text) => {
    expect(() => new Model(parseSize(text), defaultOptions())).toThrow()
  })
})

describe('README.md', () => {
  const readme = readFileSync(`${repositoryRoot}test/model/README.md`, 'utf8')
  const rows = readme.split('\n').filter((line) => line.startsWith('|'))
  const removable = (Object.keys(optionTable) as OptionName[]).filter(
    (name) => optionTable[name].section !== undefined,
  )
  /** A value that a rule can be replaced by, as the table writes it. */
  const removals = removable.flatMap((name) => {
    const { values } = optionTable[name]
    if (values === 'number') return []
    return values.slice(1).map((value) => (value === '1' ? name : `${name}=${value}`))
  })

  test.each(removals)('has a row for %s, with the steps of its counter-example', (removal) => {
    const row = rows.find((line) => line.includes(`| \`${removal}\` |`))
    expect(row, 'no row').toBeDefined()
    const runs = suite.flatMap(({ runs: all, title: name }) =>
      name === 'the design with one rule taken away' ? all : [],
    )
    const run = runs.find(({ options }) => options.split(' ').includes(removal) && options.endsWith(removal))
    expect(run, 'no run').toBeDefined()
    const said = run!.expect === 'ok' ? 'none' : `${run!.expect === 'bad' ? '' : 'blocked, '}${run!.steps}`
    expect(row!.split('|').map((cell) => cell.trim())).toContain(said)
    expect(row).toContain(`| ${optionTable[removal.split('=')[0] as OptionName].section}`)
  })
})
