import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { listFiles, repositoryRoot } from '../support/files.ts'
import { importsOf } from './imports.ts'
import { impurities, withoutTexts } from './purity.ts'

const pureFolders = /^(?:kernel\/[^/]+|sequencer\/.+|recovery\/.+|group\/member\/.+)\.ts$/
const pureFiles = listFiles().filter((path) => pureFolders.test(path))

const compiler = join(
  dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
  (
    JSON.parse(readFileSync(createRequire(import.meta.url).resolve('typescript/package.json'), 'utf8')) as {
      bin: { tsc: string }
    }
  ).bin.tsc,
)

/** Runs the compiler; gives its output and whether it was content. */
function compile(args: readonly string[]): Promise<{ ok: boolean; text: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [compiler, ...args],
      { cwd: repositoryRoot, maxBuffer: 2 ** 24 },
      (error, stdout, stderr) => {
        resolve({ ok: error === null, text: stdout + stderr })
      },
    )
  })
}

describe('purity', () => {
  test('the pure folders type-check in a program that knows neither Node nor a browser', async () => {
    const { ok, text } = await compile(['-p', 'test/purity/tsconfig.json', '--noEmit'])
    expect(text).toBe('')
    expect(ok).toBe(true)
  })

  test("the program holds exactly the pure files, and none of Node's types", async () => {
    const { text } = await compile(['-p', 'test/purity/tsconfig.json', '--listFilesOnly'])
    const files = text.split('\n').filter((line) => line.endsWith('.ts'))
    expect(files.filter((file) => file.includes('/@types/'))).toEqual([])
    const own = files
      .filter((file) => !file.includes('node_modules'))
      .map((file) => file.slice(file.indexOf(repositoryRoot) + repositoryRoot.length))
    expect(own.sort()).toEqual([...pureFiles].sort())
  })

  test.each([
    'process.pid',
    "Buffer.from('')",
    'setTimeout(() => {}, 1)',
    "await import('node:fs')",
    'new TextEncoder()',
  ])('the program refuses %s', async (expression) => {
    // Inside the repository, so that the compiler finds what it would find for a real file.
    const folder = mkdtempSync(join(repositoryRoot, 'test', 'purity', '.sample-'))
    try {
      writeFileSync(join(folder, 'sample.ts'), `export const x: unknown = ${expression}\n`)
      writeFileSync(
        join(folder, 'tsconfig.json'),
        JSON.stringify({ extends: '../tsconfig.json', include: ['sample.ts'] }),
      )
      const { ok, text } = await compile(['-p', folder, '--noEmit'])
      expect(ok).toBe(false)
      expect(text).toContain('sample.ts')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('no clock, no dice, no timers, no node: imports', () => {
    expect(pureFiles.length).toBeGreaterThan(10)
    const found = pureFiles.flatMap((path) => {
      const source = readFileSync(`${repositoryRoot}${path}`, 'utf8')
      return impurities(path, source, importsOf(source))
    })
    expect(found).toEqual([])
  })

  test.each([
    'const now = Date.now()',
    'const now = performance.now()',
    'const dice = Math.random()',
    'const id = crypto.randomUUID()',
    'setTimeout(f, 1)',
    'queueMicrotask(f)',
    'const pid = process.pid',
    'const b = Buffer.alloc(1)',
    'globalThis.x = 1',
    'const p = new Promise(f)',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the sample holds a template.
    'const s = `at ${Date.now()}`',
    "import fs from 'node:fs'",
    "import pino from 'pino'",
    "import { Registry } from 'prom-client'",
  ])('the check finds: %s', (line) => {
    expect(impurities('sample.ts', line, importsOf(line))).toHaveLength(1)
  })

  test('comments and texts may speak of clocks', () => {
    const source =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the sample holds a template.
      "// Date.now()\n/* process */ const s = 'Math.random()' + `Buffer ${x} process` // it's\nconst y = 'a\\'Date'\n"
    expect(impurities('sample.ts', source, [])).toEqual([])
    expect(withoutTexts(source).split('\n')).toHaveLength(source.split('\n').length)
  })
})
