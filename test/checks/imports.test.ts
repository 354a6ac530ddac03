import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { listFiles, repositoryRoot } from '../support/files.ts'
import { importsOf, layers, wrongImports } from './imports.ts'

const sources = listFiles().filter((path) => path.endsWith('.ts') && layers.some((layer) => layer.has(path)))

describe('the direction of imports', () => {
  test('a folder imports only from folders below it', () => {
    expect(sources.length).toBeGreaterThan(20)
    const wrong = sources.flatMap((path) =>
      wrongImports(path, readFileSync(`${repositoryRoot}${path}`, 'utf8')),
    )
    expect(wrong).toEqual([])
  })

  test.each([
    ['sequencer/a.ts', '../recovery/b.ts'],
    ['recovery/a.ts', '../sequencer/b.ts'],
    ['kernel/a.ts', './node/b.ts'],
    ['kernel/a.ts', '../group/b.ts'],
    ['kernel/node/a.ts', '../../group/b.ts'],
    ['group/member/a.ts', '../b.ts'],
    ['group/member/a.ts', '../../kernel/node/b.ts'],
    ['group/a.ts', '../cli/b.ts'],
    ['cli/a.ts', '../test/support/b.ts'],
    ['kernel/a.ts', 'node:fs'],
    ['group/member/a.ts', 'pino'],
    ['group/a.ts', 'yargs'],
    ['cli/a.ts', '../../elsewhere.ts'],
  ])('%s may not import %s', (path, specifier) => {
    expect(wrongImports(path, `import { x } from '${specifier}'\n`)).toHaveLength(1)
    expect(wrongImports(path, `export type { X } from "${specifier}"\n`)).toHaveLength(1)
    expect(wrongImports(path, `const x = await import('${specifier}')\n`)).toHaveLength(1)
  })

  test.each([
    ['group/a.ts', '../kernel/node/b.ts'],
    ['group/member/a.ts', '../../recovery/b.ts'],
    ['kernel/node/a.ts', 'node:dgram'],
    ['cli/a.ts', 'yargs/helpers'],
  ])('%s may import %s', (path, specifier) => {
    expect(wrongImports(path, `import { x } from '${specifier}'\n`)).toEqual([])
  })

  test('imports are found in all their forms', () => {
    const source = [
      "import 'a'",
      "import b, { type B } from 'b'",
      "import * as c from 'c'",
      "import {\n  d,\n  e,\n} from 'd'",
      "export * from 'e'",
      "import type { F } from 'f'",
      "const g = () => import('g')",
    ].join('\n')
    expect(importsOf(source)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g'])
  })
})
