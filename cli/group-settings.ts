/** What a group has agreed upon, and whom it waits for before it changes: key, and version of the wire format. */
import type { GroupReport } from '../group/index.ts'
import { bodyText } from './output.ts'

/** Of those that are waited for; the others are counted. */
const NAMES_MAX = 8

type Report = Pick<GroupReport, 'wireVersion' | 'keyId' | 'abilities' | 'view'>

/** One line where nothing is about to change; else one more for each change that is waited for. */
export function settingsLines(report: Report): string[] {
  const { wireVersion, keyId } = report
  const key = keyId === undefined ? 'no group key' : `group key ${keyId}`
  return [`wire version ${wireVersion}, ${key}`, ...keyLines(report), ...versionLines(report)]
}

function keyLines({ keyId, abilities, view }: Report): string[] {
  const next = abilities.find(({ id }) => id === view.sequencer)?.newestKey
  const others = abilities.filter(({ newestKey }) => newestKey !== keyId)
  if (others.length === 0) return []
  const newest = next !== undefined && next !== keyId ? next : others[0]!.newestKey!
  const late = abilities.filter(({ newestKey }) => newestKey !== newest)
  return [`the key ${newest} waits for ${names(late, view)}: it is not the first in their key files yet`]
}

function versionLines({ wireVersion, abilities, view }: Report): string[] {
  const highest = Math.max(wireVersion, ...abilities.map(({ highestVersion }) => highestVersion))
  const late = abilities.filter(({ highestVersion }) => highestVersion < highest)
  if (highest === wireVersion || late.length === 0) return []
  return [
    `wire version ${highest} waits for ${names(late, view)}: they read up to ${late[0]!.highestVersion}`,
  ]
}

function names(late: Report['abilities'], { members }: Report['view']): string {
  const shown = late.slice(0, NAMES_MAX).map(({ id }) => {
    const name = members.find((member) => member.id === id)?.name ?? ''
    return `member ${id} (${bodyText(name)})`
  })
  const more = late.length > shown.length ? ` and ${late.length - shown.length} more` : ''
  return shown.join(', ') + more
}
