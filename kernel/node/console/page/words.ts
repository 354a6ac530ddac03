/** Numbers, times and events in words. */
import type { ResetPhase, ResetStep, TimeLineEntry, TimeLineKind } from '../snapshot.ts'

const whole = new Intl.NumberFormat('en')

export function count(value: number): string {
  return whole.format(value)
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`
  if (value < 1024 * 1024) return `${trim(value / 1024)} KiB`
  return `${trim(value / 1024 / 1024)} MiB`
}

export function micros(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  if (value < 1000) return `${value} µs`
  return value < 1_000_000 ? `${trim(value / 1000)} ms` : `${trim(value / 1_000_000)} s`
}

export function millis(value: number): string {
  return value < 1000 ? `${trim(value)} ms` : `${trim(value / 1000)} s`
}

export function percent(share: number): string {
  return `${trim(share * 100)} %`
}

/** Three figures are enough to look at. */
function trim(value: number): string {
  if (value === 0) return '0'
  if (value >= 100) return count(Math.round(value))
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

export function ago(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`
}

export function clock(at: number): string {
  return new Date(at).toLocaleTimeString('en-GB')
}

/** A sign for those who look, beside the words for everybody. */
export const signs: Record<TimeLineKind, string> = {
  joined: '●',
  join: '+',
  leave: '−',
  reset: '↻',
  suspect: '?',
  slow: '…',
  split: '≠',
  expelled: '×',
  stopped: '■',
  closed: '○',
}

export const kinds: Record<TimeLineKind, string> = {
  joined: 'Joined',
  join: 'Join',
  leave: 'Leave',
  reset: 'Reset',
  suspect: 'Suspect',
  slow: 'Slow',
  split: 'Split',
  expelled: 'Expelled',
  stopped: 'Stopped',
  closed: 'Closed',
}

export const phases: Record<ResetPhase, string> = {
  suspected: 'suspected',
  inviting: 'inviting',
  'catching up': 'catching up',
  'waiting for acks': 'waiting for acks',
  voted: 'voted',
  following: 'catching up',
  acked: 'waiting for all',
  stopped: 'stopped: too few answer',
}

export function steps(list: readonly ResetStep[]): string {
  return list.map(({ phase, ms }) => `${phases[phase]} +${millis(ms)}`).join(' → ')
}

export function who(member: number | undefined, name: string | undefined): string {
  if (member === undefined) return 'a member'
  return name === undefined || name === '' ? `member ${member}` : `member ${member} (${name})`
}

function size(entry: TimeLineEntry): string {
  const { members, sequencer } = entry
  if (members === undefined || sequencer === undefined) return ''
  return `; ${plural(members, 'member')}, sequencer ${sequencer}`
}

/** One entry of the time line, as a sentence. */
export function sentence(entry: TimeLineEntry): string {
  const { member, name, reason = '' } = entry
  switch (entry.kind) {
    case 'joined':
      return `This node is member ${member}${size(entry)}`
    case 'join':
      return `${capital(who(member, name))} joined${size(entry)}`
    case 'leave':
      return `${capital(who(member, name))} left${size(entry)}`
    case 'reset': {
      const removed = (entry.removed ?? []).map((one) => who(one.id, one.name)).join(', ')
      const without = removed === '' ? '' : ` without ${removed}`
      const loss = entry.lossPossible === true ? '; messages may be lost' : ''
      const took = entry.ms === undefined ? '' : ` in ${millis(entry.ms)}`
      return `Rebuilt by ${who(member, name)}${took}${without}${size(entry)}${loss}`
    }
    case 'suspect':
      return `${capital(who(member, name))} is suspected: ${reason}`
    case 'slow':
      return `${capital(who(member, name))} holds the group up, ${plural(entry.lagMessages ?? 0, 'message')} behind`
    case 'split':
      return entry.groupId === undefined
        ? `This group has fallen apart: the other side is incarnation ${entry.incarnation} of member ${member}`
        : `There is another group on this port: ${entry.groupId}, met at ${entry.address ?? 'an unknown address'}`
    case 'expelled':
      return `The others have gone on without this node: ${reason}`
    case 'stopped':
      return `The group stands still: ${reason}`
    case 'closed':
      return `No member any more: ${reason}`
  }
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
