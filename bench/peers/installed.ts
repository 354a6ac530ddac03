/** Which peers can be measured here, and why the others cannot. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import type { PeerName } from '../messages.ts'
import { launchers } from './launchers.ts'

const run = promisify(execFile)

export interface PeerHere {
  readonly name: PeerName
  /** The server's own word, one line. */
  readonly version: string
  /** Its clients on npm, each with its version. */
  readonly clients: readonly string[]
  readonly settings: string
}

export interface PeerMissing {
  readonly name: PeerName
  readonly why: string
}

export async function lookFor(
  names: readonly PeerName[],
): Promise<{ here: PeerHere[]; missing: PeerMissing[] }> {
  const here: PeerHere[] = []
  const missing: PeerMissing[] = []
  for (const name of names) {
    const { command, versionArgs, clients, debian, settings } = launchers[name]
    const versions = clients.map((client) => ({ client, version: versionOf(client) }))
    const absent = versions.filter((each) => each.version === undefined).map(({ client }) => client)
    const version = await run(command, [...versionArgs]).then(
      ({ stdout }) => stdout.split('\n')[0]!.trim(),
      () => undefined,
    )
    if (version === undefined)
      missing.push({ name, why: `${command} is not installed (Debian: apt-get install ${debian})` })
    else if (absent.length > 0)
      missing.push({ name, why: `its client is not installed (npm install ${absent.join(' ')})` })
    else
      here.push({
        name,
        version: version.replace(/ malloc=.*| sha=\S+/g, ''),
        clients: versions.map((each) => `client ${each.client} ${each.version}`),
        settings,
      })
  }
  return { here, missing }
}

/** Of an installed module; undefined if it is not. */
function versionOf(module: string): string | undefined {
  try {
    // what it exports need not include its package.json: that lies above what it resolves to
    for (let at = new URL('.', import.meta.resolve(module)); at.pathname !== '/'; at = new URL('..', at)) {
      const found = read(new URL('package.json', at))
      if (found?.name === module) return found.version
    }
  } catch {
    // not installed
  }
  return undefined
}

function read(file: URL): { readonly name?: string; readonly version?: string } | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
