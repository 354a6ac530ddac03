/** Everything about one membership: made once, then only its texts and lines change. */
import type { GroupSnapshot } from '../snapshot.ts'
import { el, type PageElement, setText } from './dom.ts'
import { MemberTable } from './members.ts'
import { Gauge, Plot } from './plots.ts'
import { ResetNotice, TimeLineList } from './story.ts'
import { bytes, count, micros, percent } from './words.ts'

const perSecond = (value: number | null): string => (value === null ? '–' : `${count(value)}/s`)

export class GroupCard {
  readonly element: PageElement
  private readonly title = el('h2')
  private readonly badges = el('p', { class: 'badges' })
  private readonly reset = new ResetNotice()
  private readonly numbers = new Numbers(['Seq', 'Stable seq', 'Taken here', 'Sends waiting', 'On their way'])
  private readonly history = new Gauge('History')
  private readonly historyBytes = new Gauge('History bytes')
  private readonly rate = new Plot({ title: 'Delivered', write: perSecond, least: 10 }, 1)
  private readonly latency = new Plot({ title: 'Send time', write: micros, least: 100 }, 2)
  private readonly load = new Plot(
    { title: 'Sequencer load', write: (value) => (value === null ? '–' : percent(value)), least: 0.05 },
    1,
  )
  private readonly members = new MemberTable()
  private readonly timeLine = new TimeLineList()
  private readonly parameters = el('dl', { class: 'parameters' })
  private shownParameters = ''

  constructor({ key }: Pick<GroupSnapshot, 'key'>) {
    const id = `group-${key}`
    this.title.setAttribute('id', `${id}-title`)
    this.element = el(
      'section',
      { class: 'card', id, 'aria-labelledby': `${id}-title` },
      el('div', { class: 'card-head' }, this.title, this.badges),
      this.reset.element,
      this.numbers.element,
      el('div', { class: 'gauges' }, this.history.element, this.historyBytes.element),
      el('div', { class: 'plots' }, this.rate.element, this.latency.element, this.load.element),
      el('h3', {}, 'Members'),
      this.members.element,
      el('h3', {}, 'Time line'),
      this.timeLine.element,
      el('details', {}, el('summary', {}, 'Parameters of the group'), this.parameters),
    )
  }

  show(group: GroupSnapshot, now: number): void {
    const { port, series, parameters, seq, stable, taken, waitingSends, outstandingSends } = group
    setText(this.title, port)
    this.showBadges(group)
    this.reset.show(group, now)
    this.numbers.show([
      count(seq),
      stable === seq ? count(stable) : `${count(stable)} (−${count(seq - stable)})`,
      taken === seq ? count(taken) : `${count(taken)} (−${count(seq - taken)})`,
      count(waitingSends),
      count(outstandingSends),
    ])
    const { historyMessages, historyBytes } = group
    const room = parameters?.historySize ?? 0
    const roomBytes = parameters?.historyBytes ?? 0
    this.history.show(room === 0 ? 0 : historyMessages / room, `${count(historyMessages)} of ${count(room)}`)
    this.historyBytes.show(
      roomBytes === 0 ? 0 : historyBytes / roomBytes,
      `${bytes(historyBytes)} of ${bytes(roomBytes)}`,
    )
    this.rate.show([{ label: 'delivered', values: series.rate }])
    this.latency.show([
      { label: 'p50', values: series.sendP50 },
      { label: 'p99 (dashed)', values: series.sendP99 },
    ])
    this.load.show([{ label: 'load', values: series.load }])
    this.load.element.hidden = !group.isSequencer && !series.load.some((share) => share > 0)
    this.members.show(group, now)
    this.timeLine.show(group.timeLine)
    this.showParameters(group)
  }

  private showBadges({ isSequencer, memberId, name, phase, view }: GroupSnapshot): void {
    const part = isSequencer ? '★ sequencer' : 'member'
    const texts = [
      ...(view === undefined ? [] : [`${part} ${memberId}`]),
      name,
      ...(phase === 'member' ? [] : [`phase: ${phase}`]),
      ...(view === undefined ? [] : [`incarnation ${view.incarnation}`, `group id ${view.groupId}`]),
    ]
    if (this.badges.childElementCount !== texts.length || this.badges.textContent !== texts.join('')) {
      this.badges.replaceChildren(...texts.map((text) => el('span', { class: 'badge' }, text)))
    }
  }

  private showParameters({ parameters }: GroupSnapshot): void {
    const text = JSON.stringify(parameters ?? {})
    if (text === this.shownParameters) return
    this.shownParameters = text
    const pairs = Object.entries(parameters ?? {}).map(([name, value]) =>
      el(
        'div',
        {},
        el('dt', {}, name),
        el(
          'dd',
          {},
          typeof value === 'number'
            ? count(value)
            : typeof value === 'string'
              ? value
              : JSON.stringify(value),
        ),
      ),
    )
    this.parameters.replaceChildren(...pairs)
  }
}

/** Single numbers that move. */
class Numbers {
  readonly element: PageElement
  private readonly values: PageElement[]

  constructor(labels: readonly string[]) {
    this.values = labels.map(() => el('dd'))
    const tiles = labels.map((label, i) => el('div', { class: 'tile' }, el('dt', {}, label), this.values[i]!))
    this.element = el('dl', { class: 'tiles' }, ...tiles)
  }

  show(texts: readonly string[]): void {
    for (const [i, value] of this.values.entries()) setText(value, texts[i] ?? '')
  }
}
