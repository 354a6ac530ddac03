/**
 * Small plots, drawn as SVG: lines of the last two minutes over a common scale from 0. Nothing to point at or to
 * zoom into, so no library; the newest value stands beside in words, and a text says the same to those who do
 * not see the lines.
 */
import { el, type PageElement, setText, svg } from './dom.ts'

const WIDTH = 240
const HEIGHT = 56
/** Samples that the width stands for. */
const SAMPLES = 120
const MARGIN = 3

export interface PlotLine {
  readonly label: string
  readonly values: readonly (number | null)[]
}

export interface PlotOptions {
  readonly title: string
  /** How a value is written. */
  readonly write: (value: number | null) => string
  /** The scale reaches at least to here. */
  readonly least: number
}

export class Plot {
  readonly element: PageElement
  private readonly options: PlotOptions
  private readonly now = el('span', { class: 'now' })
  private readonly top = el('span', { class: 'top' })
  private readonly picture: PageElement
  private readonly lines: PageElement[]

  constructor(options: PlotOptions, lines: number) {
    this.options = options
    this.lines = Array.from({ length: lines }, (_, i) => svg('path', { class: `line line-${i + 1}` }))
    const viewBox = `0 0 ${WIDTH} ${HEIGHT}`
    this.picture = svg('svg', { viewBox, preserveAspectRatio: 'none', role: 'img' })
    this.picture.append(svg('path', { class: 'base', d: `M0 ${HEIGHT - MARGIN}H${WIDTH}` }), ...this.lines)
    const head = el('div', { class: 'plot-head' }, el('h3', {}, options.title), this.now)
    const foot = el('div', { class: 'plot-foot' }, el('span', {}, '2 min ago'), this.top)
    this.element = el('div', { class: 'plot' }, head, this.picture, foot)
  }

  show(lines: readonly PlotLine[]): void {
    const { write, least, title } = this.options
    const all = lines.flatMap(({ values }) => values.filter((value) => value !== null))
    const highest = Math.max(0, ...all)
    const scale = Math.max(least, highest)
    const texts = lines.map(({ label, values }) => {
      const last = write(values.at(-1) ?? null)
      return lines.length === 1 ? last : `${label} ${last}`
    })
    setText(this.now, texts.join(' · '))
    setText(this.top, `highest ${all.length === 0 ? write(null) : write(highest)}`)
    this.picture.setAttribute('aria-label', `${title}, last two minutes: now ${texts.join(', ')}`)
    for (const [i, line] of this.lines.entries()) {
      line.setAttribute('d', path(lines[i]?.values ?? [], scale))
    }
  }
}

/** The newest value at the right edge; gaps where there is none, and a dot for one that stands alone. */
export function path(values: readonly (number | null)[], scale: number): string {
  const step = WIDTH / (SAMPLES - 1)
  const first = SAMPLES - values.length
  let isDown = false
  let d = ''
  for (const [i, value] of values.entries()) {
    if (value === null) {
      isDown = false
      continue
    }
    const x = round((first + i) * step)
    const y = round(HEIGHT - MARGIN - (value / scale) * (HEIGHT - 2 * MARGIN))
    const stands = !isDown && (values[i + 1] ?? null) === null
    d += `${isDown ? 'L' : 'M'}${x} ${y}${stands ? 'h0.01' : ''}`
    isDown = true
  }
  return d
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

/** How full something is: a bar, its numbers in words, and the same for screen readers. */
export class Gauge {
  readonly element: PageElement
  private readonly bar = svg('rect', { class: 'fill', height: 8, width: 0, x: 0, y: 0 })
  private readonly text = el('span', { class: 'gauge-text' })
  private readonly frame: PageElement

  constructor(label: string) {
    this.frame = svg(
      'svg',
      { viewBox: '0 0 100 8', preserveAspectRatio: 'none', class: 'gauge', role: 'img', 'aria-label': label },
      svg('rect', { class: 'room', height: 8, width: 100, x: 0, y: 0 }),
      this.bar,
    )
    this.element = el(
      'div',
      { class: 'gauge-row' },
      el('span', { class: 'label' }, label),
      this.text,
      this.frame,
    )
  }

  show(share: number, text: string): void {
    const width = Math.min(100, Math.max(0, share * 100))
    this.bar.setAttribute('width', String(round(width)))
    this.bar.setAttribute('class', share >= 0.8 ? 'fill high' : 'fill')
    setText(this.text, share >= 0.8 ? `${text} · nearly full` : text)
    this.frame.setAttribute('aria-label', text)
  }
}
