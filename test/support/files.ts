/** The repository's own files, for tests that read them. */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const isBuilt = import.meta.url.includes('/dist/')

/** With a / at the end. */
export const repositoryRoot = fileURLToPath(new URL(isBuilt ? '../../../' : '../../', import.meta.url))

export const cliScript = `${repositoryRoot}dist/cli/main.js`

const notOurs = new Set(['node_modules', 'dist', 'coverage', 'reports'])

/** Paths below the root, with / between folders; nothing hidden, installed or built. */
export function listFiles(under = ''): string[] {
  return readdirSync(`${repositoryRoot}${under}`, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || notOurs.has(entry.name)) return []
    const path = under === '' ? entry.name : `${under}/${entry.name}`
    return entry.isDirectory() ? listFiles(path) : [path]
  })
}
