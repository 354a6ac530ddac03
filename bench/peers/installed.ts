/** Which peers can be measured here, and why the others cannot. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { PeerName } from '../messages.ts'
import { launchers } from './launchers.ts'

const run = promisify(execFile)

export interface PeerHere {
  readonly name: PeerName
  /** The server's own word, one line. */
  readonly version: string
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
    const absent = clients.filter((client) => !isInstalled(client))
    const version = await run(command, [...versionArgs]).then(
      ({ stdout }) => stdout.split('\n')[0]!.trim(),
      () => undefined,
    )
    if (version === undefined)
      missing.push({ name, why: `${command} is not installed (Debian: apt-get install ${debian})` })
    else if (absent.length > 0)
      missing.push({ name, why: `its client is not installed (npm install ${absent.join(' ')})` })
    else here.push({ name, version: version.replace(/ malloc=.*| sha=\S+/g, ''), settings })
  }
  return { here, missing }
}

function isInstalled(module: string): boolean {
  try {
    import.meta.resolve(module)
    return true
  } catch {
    return false
  }
}
