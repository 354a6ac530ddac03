/** The members of a view, as a table: one row each, kept by member id. */
import type { GroupSnapshot, ViewSnapshot } from '../snapshot.ts'
import { el, type PageElement, setText } from './dom.ts'
import { ago, count, plural } from './words.ts'

const memberWords = { all: 'member', send: 'member, no reset', receive: 'receives only' } as const

interface Row {
  readonly element: PageElement
  readonly marks: PageElement
  readonly name: PageElement
  readonly address: PageElement
  readonly behind: PageElement
}

export class MemberTable {
  readonly element: PageElement
  private readonly rows = new Map<number, Row>()
  private readonly body = el('tbody', { role: 'rowgroup' })
  private readonly caption = el('caption')
  private order = ''

  constructor() {
    const heads = ['Id', 'Name', 'Address', 'Part', 'Behind']
    const columns = heads.map((text) => el('th', { scope: 'col', role: 'columnheader' }, text))
    const head = el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...columns))
    // the roles say again what a phone's layout would take away from the elements
    const table = el('table', { role: 'table' }, this.caption, head, this.body)
    this.element = el('div', { class: 'table' }, table)
  }

  show({ view, memberId, lags, isSequencer, parameters }: GroupSnapshot, now: number): void {
    if (view === undefined) {
      setText(this.caption, 'In no view yet')
      this.keep([])
      return
    }
    const { at } = lags
    const source =
      at === undefined
        ? 'the sequencer has not told how far the others are'
        : isSequencer
          ? 'lags as this sequencer knows them'
          : `lags as the sequencer told ${ago(now - at)} ago`
    const hidden = view.hidden === 0 ? '' : `, ${count(view.hidden)} more not listed`
    setText(this.caption, `${plural(view.members.length + view.hidden, 'member')}${hidden}; ${source}`)
    for (const member of view.members) {
      const lag = lags.messages[member.id]
      const isFar = lag !== undefined && parameters !== undefined && lag >= parameters.historySize / 2
      this.showRow(member, view.sequencer, memberId, lag, isFar)
    }
    this.keep(view.members.map(({ id }) => id))
  }

  private showRow(
    { id, name, address, role, right }: ViewSnapshot['members'][number],
    sequencer: number,
    self: number,
    lag: number | undefined,
    isFar: boolean,
  ): void {
    const row = this.rows.get(id) ?? this.add(id)
    const part = id === sequencer ? '★ sequencer' : role === 'full' ? memberWords[right] : role
    setText(row.marks, id === self ? `${part}, this node` : part)
    row.element.className = [id === sequencer ? 'sequencer' : '', id === self ? 'self' : ''].join(' ').trim()
    setText(row.name, name)
    setText(row.address, address)
    setText(row.behind, lag === undefined ? '?' : isFar ? `▲ slow: ${count(lag)}` : count(lag))
    if (lag === undefined) row.behind.setAttribute('aria-label', 'not known')
    else row.behind.removeAttribute('aria-label')
  }

  private add(id: number): Row {
    const marks = cell('part')
    const name = cell('name')
    const address = cell('address')
    const behind = cell('number')
    const head = el('th', { scope: 'row', role: 'rowheader' }, String(id))
    const element = el('tr', { role: 'row' }, head, name, address, marks, behind)
    const row = { element, marks, name, address, behind }
    this.rows.set(id, row)
    return row
  }

  /** The rows of these members, in this order, and no others. */
  private keep(ids: readonly number[]): void {
    for (const id of this.rows.keys()) if (!ids.includes(id)) this.rows.delete(id)
    const order = ids.join()
    if (order === this.order) return
    this.order = order
    this.body.replaceChildren(...ids.map((id) => this.rows.get(id)!.element))
  }
}

function cell(name: string): PageElement {
  return el('td', { class: name, role: 'cell' })
}
