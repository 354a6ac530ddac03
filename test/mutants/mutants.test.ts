/** Every planted fault still fits the sources, and a few are hunted from end to end; `npm run mutants` hunts all. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type OptionName, optionTable } from '../model/options.ts'
import { scenes } from '../protocol/scenes.ts'
import { parseOverride } from '../simulator/options.ts'
import { repositoryRoot } from '../support/files.ts'
import { hunt, judgeMutant } from './hunter.ts'
import { readMutants } from './patches.ts'
import { Workshop } from './workshop.ts'

const INVARIANTS = ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9', 'I10', 'I11', 'I12', 'packets']

const mutants = readMutants()
const names = mutants.map(({ name }) => name)
const workshop = new Workshop()

afterAll(() => workshop[Symbol.dispose]())

describe('the planted faults', () => {
  it.each(mutants)('$name applies', async ({ path, options, scene }) => {
    await workshop.check(path)
    if (scene !== undefined) expect(Object.keys(scenes)).toContain(scene)
    for (const option of options) expect(() => parseOverride(option)).not.toThrow()
  })

  // a change nearby would else let one slip to the other place, where it may break nothing
  it.each(mutants)('$name fits in one place only', ({ path }) => {
    for (const { file, before } of changesOf(readFileSync(path, 'utf8')))
      expect(readFileSync(`${repositoryRoot}${file}`, 'utf8').split(before).length, before).toBe(2)
  })

  it.each(INVARIANTS)('two or more break %s', (invariant) => {
    expect(mutants.filter(({ expected }) => expected[0] === invariant).length).toBeGreaterThanOrEqual(2)
  })

  it('are found, and only they', { timeout: 60_000 }, async () => {
    const baseline = await workshop.build()
    const seeds = { from: 1, count: 60 }
    const [early, ack, own] = readMutants([
      'early-request-numbered',
      'accepted-with-an-ack-less.patch',
      'reset-own-events-kept',
    ])
    const verdicts = await Promise.all([
      judgeMutant(workshop, early!, seeds, baseline),
      judgeMutant(workshop, ack!, seeds, baseline),
      judgeMutant(workshop, own!, seeds, baseline),
      hunt(baseline, { from: 1, count: 20 }),
    ])
    expect(verdicts).toMatchObject([
      { isFound: true, find: { by: 'I3' } },
      { isFound: true, find: { by: 'I5' } },
      { isFound: true, find: { by: 'I7', seed: 0 } },
      undefined,
    ])
  })

  it('are what the table of old mistakes and complaints names, beside tests that there are', () => {
    const readme = readFileSync(`${repositoryRoot}test/mutants/README.md`, 'utf8')
    const [, section] = readme.split('## Old mistakes and present complaints\n')
    const rows = section!
      .split('\n## ')[0]!
      .split('\n')
      .filter((line) => /^\| [^-c]|^\| c(?!omplaint)/.test(line))
    expect(rows.length).toBeGreaterThanOrEqual(15)
    for (const row of rows) {
      const [, complaint, faults, tests] = row.split('|').map((cell) => cell.trim())
      for (const [, name] of faults!.matchAll(/`([^`]+)`/g)) expect(names, complaint).toContain(name)
      const files = [...tests!.matchAll(/`([a-z]+\/[a-z-]+\.test\.ts)`(?: "([^"]+)")?/g)]
      expect(files.length, complaint).toBeGreaterThan(0)
      for (const [, file, title = ''] of files)
        expect(readFileSync(`${repositoryRoot}test/${file}`, 'utf8'), complaint).toContain(title)
    }
  })

  it('are named beside the rules of recovery, and all rules of the model are', () => {
    const readme = readFileSync(`${repositoryRoot}recovery/README.md`, 'utf8')
    const [, section] = readme.split('| planted fault (`test/mutants/`)')
    const rows = section!
      .split('\n## ')[0]!
      .split('\n')
      .filter((line) => /^\| [^-]/.test(line))
    for (const row of rows) {
      const [, rule, , , faults] = row.split('|').map((cell) => cell.trim())
      for (const [name] of faults!.matchAll(/[a-z]+(?:-[a-z]+)+/g)) expect(names, rule).toContain(name)
    }
    const isRule = (name: OptionName) => optionTable[name].section !== undefined
    for (const name of (Object.keys(optionTable) as OptionName[]).filter(isRule))
      expect(rows.filter((row) => row.includes(`\`${name}`)).length, name).toBeGreaterThan(0)
  })

  it('that do not apply any more are an error that says so', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'amoebacast-mutants-test-'))
    try {
      const path = join(folder, 'stale.patch')
      writeFileSync(
        path,
        '--- a/kernel/view.ts\n+++ b/kernel/view.ts\n@@ -1,1 +1,1 @@\n-no such line\n+other\n',
      )
      const stale = { name: 'stale', path, expected: ['I1'], rule: '', options: [], scene: undefined }
      const { isFound, error } = await judgeMutant(workshop, stale, { from: 1, count: 1 }, '')
      expect(isFound).toBe(false)
      expect(error).toContain('the patch no longer applies')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('that are not there are refused by name', () => {
    expect(() => readMutants(['no-such'])).toThrow(/there is no mutant "no-such"/)
  })
})

/** The lines that each part of a patch finds in the sources. */
function changesOf(patch: string): { file: string; before: string }[] {
  return patch
    .split(/^--- a\//m)
    .slice(1)
    .flatMap((ofFile) => {
      const [file = '', ...rest] = ofFile.split('\n')
      const parts = rest
        .join('\n')
        .split(/^@@.*\n/m)
        .slice(1)
      const isBefore = (line: string): boolean => line.startsWith(' ') || line.startsWith('-')
      return parts.map((part) => {
        const lines = part.split('\n').filter(isBefore)
        return { file, before: `\n${lines.map((line) => line.slice(1)).join('\n')}\n` }
      })
    })
}
