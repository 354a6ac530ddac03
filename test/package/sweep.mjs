/**
 * `node sweep.mjs [FOLDER]`: takes out of FOLDER/dist what was compiled from sources that are gone since, and prints it. The
 * compiler adds and never takes away, and everything in dist would be published. Part of `npm run build`, which `npm pack` and
 * `npm publish` run (prepare). The folder is the repository if not given. What has a source stays, so builds stay incremental.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(process.argv[2] ?? fileURLToPath(new URL('../..', import.meta.url)))
const dist = join(root, 'dist')

/** The source of a compiled file; undefined for a file that no compiler made. */
function sourceOf(path) {
  const [, stem] = /^(.+?)(?:\.js|\.js\.map|\.d\.ts)$/.exec(path) ?? []
  return stem && `${stem}.ts`
}

const compiled = existsSync(dist) ? readdirSync(dist, { recursive: true }) : []
for (const path of compiled) {
  const source = sourceOf(path)
  if (source === undefined || existsSync(join(root, source))) continue
  rmSync(join(dist, path))
  console.log(`dist/${path} has no source any more: removed`)
}
