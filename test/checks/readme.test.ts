import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { listFiles, repositoryRoot } from '../support/files.ts'

/** Folders of this many levels have a README of their own; deeper ones are covered by the one above. */
const LEVELS = 2

function foldersWithFiles(files: readonly string[]): string[] {
  const folders = new Set<string>()
  for (const file of files) {
    const parts = file.split('/').slice(0, -1)
    for (let i = 1; i <= Math.min(parts.length, LEVELS); i++) folders.add(parts.slice(0, i).join('/'))
  }
  return [...folders].sort()
}

/** Folders without a README; in test/ one README covers the small folders below it. */
function withoutReadme(files: readonly string[]): string[] {
  return foldersWithFiles(files).filter(
    (folder) =>
      !(folder.startsWith('test/') && folder !== 'test/simulator') && !files.includes(`${folder}/README.md`),
  )
}

describe('what people read first', () => {
  test('every folder has a README', () => {
    expect(withoutReadme(listFiles())).toEqual([])
  })

  test('a folder without one is found', () => {
    expect(withoutReadme(['a/README.md', 'a/b.ts', 'a/c/d.ts', 'test/README.md', 'test/x/y.ts'])).toEqual([
      'a/c',
    ])
  })

  test('the README begins with the two commands', () => {
    const path = `${repositoryRoot}README.md`
    expect(existsSync(path)).toBe(true)
    const top = readFileSync(path, 'utf8').split('\n').slice(0, 30).join('\n')
    expect(top).toContain('npm ci && npm start')
    expect(top).toContain('npm ci && npm test')
  })
})
