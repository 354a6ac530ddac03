/**
 * Copies of what the simulator needs, in a temporary folder that is removed at the end: one as it is, and from
 * that one for each mutant, patched and built. The repository itself is only read.
 */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { repositoryRoot } from '../support/files.ts'

const SOURCES = [
  'kernel',
  'sequencer',
  'recovery',
  'group/member',
  'test/simulator',
  'test/protocol',
  'test/mutants/hunt.ts',
  'tsconfig.json',
  'package.json',
]
/** Neither does the simulator need these, nor may they slow down each build. */
const NOT_COPIED = /\.(test\.ts|md|patch)$|\/kernel\/node$/
/** Only what the hunt imports is compiled; a fault may leave a name unused. */
const BUILD = {
  extends: './tsconfig.json',
  compilerOptions: {
    noEmit: false,
    noEmitOnError: true,
    outDir: 'dist',
    allowImportingTsExtensions: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
  },
  files: ['test/mutants/hunt.ts'],
  include: [],
}
const TOOL_MS = 120_000

export class Workshop {
  private readonly folder = mkdtempSync(join(tmpdir(), 'amoebacast-mutants-'))
  private readonly original = join(this.folder, 'original')

  constructor() {
    for (const source of SOURCES)
      cpSync(join(repositoryRoot, source), join(this.original, source), {
        recursive: true,
        filter: (path) => !NOT_COPIED.test(path),
      })
    writeFileSync(join(this.original, 'tsconfig.hunt.json'), JSON.stringify(BUILD))
    symlinkSync(join(repositoryRoot, 'node_modules'), join(this.original, 'node_modules'))
  }

  /** Builds a copy, with the patch if one is given; gives the script that hunts in it. Throws what the tools say. */
  async build(patch?: string): Promise<string> {
    const copy = join(this.folder, patch === undefined ? 'baseline' : basename(patch, '.patch'))
    mkdirSync(copy)
    cpSync(this.original, copy, { recursive: true, verbatimSymlinks: true })
    if (patch !== undefined) await apply(copy, patch)
    const tsc = join(copy, 'node_modules/typescript/bin/tsc')
    await run('the build', process.execPath, [tsc, '-p', 'tsconfig.hunt.json'], copy)
    return join(copy, 'dist/test/mutants/hunt.js')
  }

  /** Throws if the patch does not apply to what is here now. */
  async check(patch: string): Promise<void> {
    await apply(this.original, patch, '--check')
  }

  discard(patch: string): void {
    rmSync(join(this.folder, basename(patch, '.patch')), { recursive: true, force: true })
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function apply(folder: string, patch: string, ...options: string[]): Promise<void> {
  return run('the patch no longer applies', 'git', ['apply', '-p1', ...options, patch], folder)
}

/** Git must look at the folder that it is in, and at no repository around it or named by the environment. */
function environment(folder: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_'))
  return { ...Object.fromEntries(kept), GIT_CEILING_DIRECTORIES: folder }
}

function run(what: string, command: string, args: readonly string[], folder: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { cwd: folder, env: environment(folder), timeout: TOOL_MS }
    execFile(command, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve()
      else reject(new Error(`${what}: ${`${stdout}${stderr}`.trim() || error.message}`))
    })
  })
}
