/** From results to lines of a plot and to words. */
import { isPeer, type Subject } from '../messages.ts'
import type { Result } from '../results.ts'
import { figure } from '../table.ts'
import type { Series } from './parts.ts'

const names: Record<Subject, string> = {
  amoebacast: 'amoebacast',
  floor: 'floor',
  'floor-delivered': 'floor, delivered',
  redis: 'Redis Streams',
  nats: 'NATS JetStream',
  'nats-core': 'core NATS',
  etcd: 'etcd, 3 nodes',
}

export function nameOf(subject: Subject): string {
  return names[subject]
}

export function roleOf(subject: Subject): Series['role'] {
  if (isPeer(subject)) return 'peer'
  return subject === 'amoebacast' ? 'own' : 'floor'
}

/** Medians with their ranges, in the order of `x`; `scale` turns a result's unit into that of the plot. */
export function seriesOf(
  name: string,
  role: Series['role'],
  results: readonly Result[],
  x: (result: Result) => number,
  scale: (result: Result) => number = () => 1,
): Series {
  const points = results
    .map((result) => {
      const by = scale(result)
      return { x: x(result), y: result.value * by, low: result.min * by, high: result.max * by }
    })
    .sort((a, b) => a.x - b.x)
  return { name, role, points }
}

/** Different values of results, in order. */
export function valuesOf(results: readonly Result[], of: (result: Result) => number): number[] {
  return [...new Set(results.map(of))].sort((a, b) => a - b)
}

export function subjectsOf(results: readonly Result[]): Subject[] {
  return [...new Set(results.map(({ subject }) => subject))]
}

/** "2.0 times", or an empty text if one is missing. */
export function times(value: number | undefined, of: number | undefined): string {
  return value === undefined || of === undefined || of === 0
    ? ''
    : `${(value / of).toFixed(value < 9.95 * of ? 2 : 1)} times`
}

/** ", 2.0 times what the floor takes", to go on with; an empty text if one is missing. */
export function besides(result: Result, other: Result | undefined, what: string): string {
  const by = times(result.value, other?.value)
  return by === '' ? '' : `, ${by} ${what}`
}

export function amount(result: Result | undefined, unit = result?.unit): string {
  if (result === undefined) return 'unknown'
  const { value } = result
  return unit === 'µs' && value >= 10_000 ? `${figure(value / 1000)} ms` : `${figure(value)} ${unit}`
}

/** Sentences into a paragraph, without the empty ones. */
export function say(...sentences: readonly (string | undefined | false)[]): string {
  const said = sentences.filter((each) => typeof each === 'string').filter((each) => each !== '')
  // A sentence may begin with a symbol such as r, which stays as it is.
  return said.map((each) => each.replace(/^[a-z](?=[a-z])/, (letter) => letter.toUpperCase())).join(' ')
}

export function list(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}
