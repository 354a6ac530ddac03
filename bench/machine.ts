/** The machine and the versions that figures come from. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  /** Bytes that a socket may ask for to receive and to send (net.core.rmem_max, wmem_max); null where not told. */
  readonly socketBytesMax: { readonly receive: number | null; readonly send: number | null }
  readonly commit: string
  readonly date: string
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() || 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
    node: process.version,
    socketBytesMax: { receive: limitOf('rmem_max'), send: limitOf('wmem_max') },
    commit: commit(),
    date: new Date().toISOString(),
  }
}

function limitOf(name: string): number | null {
  try {
    return Number(readFileSync(`/proc/sys/net/core/${name}`, 'utf8'))
  } catch {
    return null
  }
}

function commit(): string {
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no') !== ''
    return git('rev-parse', '--short=12', 'HEAD') + (changed ? ' with changes' : '')
  } catch {
    return 'unknown'
  }
}
