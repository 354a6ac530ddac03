/** What has happened and what is going on: the running reset, and the time line. */
import type { GroupSnapshot, ResetSnapshot, TimeLineEntry } from '../snapshot.ts'
import { el, type PageElement, setText } from './dom.ts'
import { ago, capital, clock, count, kinds, phases, plural, sentence, signs, steps, who } from './words.ts'

/** Told to screen readers when it changes, which is why it has no seconds that tick. */
export class ResetNotice {
  readonly element = el('div', { class: 'reset', role: 'status', 'aria-live': 'polite' })
  private readonly text = el('p')
  private readonly since = el('p', { class: 'since', 'aria-hidden': 'true' })
  private said = ''

  show({ reset, view, phase }: GroupSnapshot, now: number): void {
    const says = words(reset, view, phase)
    this.element.className =
      says === '' ? 'reset quiet' : `reset ${reset?.phase === 'stopped' ? 'stopped' : 'running'}`
    setText(this.since, reset === undefined ? '' : `for ${ago(now - reset.since)}; ${steps(reset.steps)}`)
    if (says === this.said) return
    this.said = says
    setText(this.text, says === '' ? '✓ No reset is running.' : says)
    this.element.replaceChildren(this.text, this.since)
  }

  constructor() {
    setText(this.text, '✓ No reset is running.')
    this.element.append(this.text, this.since)
  }
}

function words(reset: ResetSnapshot | undefined, view: GroupSnapshot['view'], phase: string): string {
  if (reset === undefined) {
    return phase === 'failed' ? '■ The group waits for somebody to call resetGroup.' : ''
  }
  const name = view?.members.find(({ id }) => id === reset.member)?.name
  const about = who(reset.member, name)
  const again = reset.attempts > 1 ? `, attempt ${count(reset.attempts)}` : ''
  const why = reset.reason === undefined ? '' : ` (${reset.reason})`
  switch (reset.phase) {
    case 'suspected':
      return `? ${capital(about)} is ${phases.suspected}; the others are asked.`
    case 'voted':
    case 'following':
    case 'acked':
      return `↻ Reset by ${about}: ${phases[reset.phase]}${why}.`
    case 'stopped':
      return `■ The group stands still${why}${again}. It goes on when enough members can reach each other.`
    default:
      return `↻ Reset by this node: ${phases[reset.phase]}${again}${why}.`
  }
}

/** Newest first. */
export class TimeLineList {
  readonly element = el('ol', { class: 'time-line', reversed: '' })
  private shown = ''

  show(entries: readonly TimeLineEntry[]): void {
    const shown = entries.map(({ number, times = 1 }) => `${number}.${times}`).join()
    if (shown === this.shown) return
    this.shown = shown
    this.element.replaceChildren(...entries.toReversed().map(item))
  }
}

function item(entry: TimeLineEntry): PageElement {
  const { kind, at, seq, incarnation, times = 1 } = entry
  const place = seq === undefined ? [] : [`seq ${count(seq)}`]
  if (seq !== undefined && incarnation !== undefined) place.push(`incarnation ${incarnation}`)
  if (times > 1) place.push(`told ${plural(times, 'time')}`)
  const moment = el('time', { datetime: new Date(at).toISOString() }, clock(at))
  const line = el('p', {}, el('strong', {}, kinds[kind]), ` ${sentence(entry)}`)
  const children = [line, el('p', { class: 'place' }, moment, ...place.map((text) => ` · ${text}`))]
  if (entry.steps !== undefined && entry.steps.length > 0) {
    children.push(el('p', { class: 'steps' }, steps(entry.steps)))
  }
  return el(
    'li',
    { class: `entry ${kind}` },
    el('span', { class: 'sign', 'aria-hidden': 'true' }, signs[kind]),
    el('div', {}, ...children),
  )
}
