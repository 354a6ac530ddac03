/** What npm would publish: only what users need, and types that resolve for whoever imports it. */
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listFiles, repositoryRoot } from '../support/files.ts'
import { makeConsumer, packedFiles } from './pack.ts'

const layers = ['kernel', 'sequencer', 'recovery', 'group', 'cli', 'bench']
const atTheTop = ['LICENSE', 'README.md', 'SECURITY.md', 'package.json']

describe('the package', () => {
  test('holds compiled layers with their types, and four files', () => {
    const files = packedFiles()
    const paths = files.map(({ path }) => path)
    const odd = paths.filter((path) => {
      const isBuilt = new RegExp(`^dist/(${layers.join('|')})/.*\\.(js|d\\.ts)$`).test(path)
      return !isBuilt && !atTheTop.includes(path)
    })
    expect(odd).toEqual([])
    for (const layer of layers) expect(paths.some((path) => path.startsWith(`dist/${layer}/`))).toBe(true)
    for (const path of atTheTop) expect(paths).toContain(path)
    expect(paths.filter((path) => /\.test\.|\/testdata\//.test(path))).toEqual([])
    const bytes = files.reduce((sum, { size }) => sum + size, 0)
    expect(bytes).toBeLessThan(4 * 1024 * 1024)
  })

  test('holds what the sources make, all of it and nothing else', () => {
    const packed = packedFiles()
      .map(({ path }) => path)
      .filter((path) => path.startsWith('dist/'))
    const sources = listFiles().filter(
      (path) => path.endsWith('.ts') && !path.endsWith('.d.ts') && layers.includes(path.split('/')[0]!),
    )
    const made = sources.flatMap((path) =>
      ['.js', '.d.ts'].map((ending) => `dist/${path.replace(/\.ts$/, ending)}`),
    )
    expect(made.length).toBeGreaterThan(200)
    // of a source that is gone: npm run build takes it out
    expect(packed.filter((path) => !made.includes(path))).toEqual([])
    // not built: npm run build
    expect(made.filter((path) => !packed.includes(path))).toEqual([])
  })

  test('is swept with each build, as npm pack makes one: what has no source any more goes, and nothing else', () => {
    const { scripts } = JSON.parse(readFileSync(`${repositoryRoot}package.json`, 'utf8')) as {
      scripts: Record<string, string>
    }
    expect(scripts.build).toBe('tsc -p tsconfig.build.json && node test/package/sweep.mjs')
    expect(scripts.prepare).toBe('npm run --silent build')
    const root = mkdtempSync(join(tmpdir(), 'amoebacast-sweep-'))
    try {
      const stays = ['dist/.tsbuildinfo', 'dist/a/b.js', 'dist/a/b.js.map', 'dist/a/b.d.ts']
      const goes = ['dist/a/old.js', 'dist/a/old.js.map', 'dist/a/old.d.ts', 'dist/gone/c.js']
      for (const path of ['a/b.ts', ...stays, ...goes]) {
        mkdirSync(dirname(join(root, path)), { recursive: true })
        writeFileSync(join(root, path), '')
      }
      const { status, stdout } = spawnSync(process.execPath, ['test/package/sweep.mjs', root], {
        cwd: repositoryRoot,
        encoding: 'utf8',
      })
      expect(status).toBe(0)
      for (const path of goes) expect(stdout).toContain(`${path} has no source any more: removed`)
      const left = readdirSync(root, { recursive: true }) as string[]
      const isFile = (path: string): boolean => /\.\w+$/.test(path)
      expect(left.filter(isFile).sort()).toEqual(['a/b.ts', ...stays].sort())
      expect(existsSync(join(root, 'dist/gone/c.js'))).toBe(false)
    } finally {
      rmSync(root, { recursive: true })
    }
  })

  test('has no install script of its own, and none among what it depends on', () => {
    const { packages } = JSON.parse(readFileSync(`${repositoryRoot}package-lock.json`, 'utf8')) as {
      packages: Record<string, { dev?: boolean; optional?: boolean; hasInstallScript?: boolean }>
    }
    const scripted = Object.entries(packages)
      .filter(([, one]) => one.hasInstallScript === true && one.dev !== true && one.optional !== true)
      .map(([path]) => path)
    expect(scripted).toEqual([])
  })
})

describe('a project that uses it', () => {
  let folder = ''

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'amoebacast-consumer-'))
    makeConsumer(folder)
    copyFileSync(`${repositoryRoot}test/package/consumer.ts.txt`, join(folder, 'consumer.ts'))
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each([
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ])('finds its types with module %s and resolution %s', (module, moduleResolution) => {
    const compilerOptions = {
      module,
      moduleResolution,
      target: 'es2023',
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      preserveSymlinks: true,
      types: ['node'],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }))
    const tsc = join(repositoryRoot, 'node_modules/typescript/bin/tsc')
    const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' })
    expect(stdout).toBe('')
    expect(status).toBe(0)
  })

  test('runs with its runtime dependencies alone', () => {
    const program = join(folder, 'smoke.mjs')
    copyFileSync(`${repositoryRoot}test/package/smoke.mjs`, program)
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--preserve-symlinks', program], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
    })
    expect(stderr).toBe('')
    expect(stdout).toContain('smoke ok')
    expect(status).toBe(0)
  })
})
