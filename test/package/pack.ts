/** The package as npm would publish it, unpacked into a project that has nothing but what the package asks for. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { repositoryRoot } from '../support/files.ts'

export interface PackedFile {
  readonly path: string
  readonly size: number
}

interface Packed {
  readonly filename: string
  readonly files: readonly PackedFile[]
}

function npmPack(args: readonly string[]): Packed {
  // the build is what it is: whoever runs the tests has made it
  const output = execFileSync('npm', ['pack', '--json', '--ignore-scripts', ...args], {
    cwd: repositoryRoot,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return (JSON.parse(output) as Packed[])[0]!
}

export function packedFiles(): readonly PackedFile[] {
  return npmPack(['--dry-run']).files
}

/** A project in `folder` with the package, its runtime dependencies and the types of Node. */
export function makeConsumer(folder: string): void {
  const modules = join(folder, 'node_modules')
  const home = join(modules, 'amoebacast')
  mkdirSync(home, { recursive: true })
  const { filename } = npmPack(['--pack-destination', folder])
  execFileSync('tar', ['-xzf', join(folder, filename), '-C', home, '--strip-components=1'])
  const { dependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  for (const name of [...Object.keys(dependencies), '@types/node', 'undici-types']) {
    const path = join(modules, name)
    mkdirSync(dirname(path), { recursive: true })
    symlinkSync(join(repositoryRoot, 'node_modules', name), path, 'dir')
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "private": true }\n')
}
