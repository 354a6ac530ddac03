/**
 * One plot as SVG: medians as lines with marks, ranges as whiskers. Colours are in the style, so that the same
 * drawing is readable in light and dark; lines differ by mark and dash as well, for print and for eyes that tell
 * colours apart badly.
 */
import { line, symbol, symbolsFill } from 'd3-shape'
import type { Plot, Point, Series } from './parts.ts'
import { type Scaled, scaled, type Tick } from './scales.ts'
import { escapeText, plotStyle } from './style.ts'

const WIDTH = 760
const PAPER_HEIGHT = 320
const LEFT = 76
const RIGHT = 20
const TITLE_HEIGHT = 30
const LEGEND_LINE = 22
const BOTTOM = 56
const MARK_AREA = 60
const CAP = 3.5
/** Points of different lines over the same value stand beside each other, so far apart. */
const DODGE = 4
/** Where there is but one value, there is room. */
const DODGE_ALONE = 40
/** More points than this are a course over time: no marks, no whiskers. */
const MARKS_MAX = 24
/** Of a letter, about, at 13 px; there is nobody here who could measure text. */
const LETTER = 7.4
const DASHES: Record<Series['role'], readonly string[]> = {
  own: [''],
  floor: ['7 4', '12 3 3 3'],
  peer: ['2 3', '5 2 1 2', '9 3 2 3', '1 2'],
}

interface Look {
  readonly series: Series
  readonly className: string
  readonly dash: string
  readonly mark: string
  readonly shift: number
}

/** Empty if there is nothing to draw. `isAlone`: a file of its own, with the style in it. */
export function drawPlot(plot: Plot, isAlone: boolean): string {
  const looks = looksOf(plot)
  const points = looks.flatMap(({ series }) => series.points)
  if (points.length === 0) return ''
  const legend = placeLegend(looks)
  const top = TITLE_HEIGHT + legend.lines * LEGEND_LINE + 12
  const height = top + PAPER_HEIGHT + BOTTOM
  const bottom = top + PAPER_HEIGHT
  const xs = points.map(({ x }) => x)
  const ys = points.flatMap(({ y, low, high }) => [low > 0 || plot.y.scale === 'linear' ? low : y, y, high])
  const x = scaled(plot.x, xs, LEFT, WIDTH - RIGHT)
  const y = scaled(plot.y, ys, bottom, top)
  const parts = [
    `<text class="title" x="${LEFT}" y="20">${escapeText(plot.title)}</text>`,
    legend.svg,
    ...y.ticks.map(
      ({ at, label }) =>
        `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${px(at)}" y2="${px(at)}"/><text class="end" x="${LEFT - 8}" y="${px(at)}" dy="0.35em">${escapeText(label)}</text>`,
    ),
    ...x.ticks.map(
      ({ at }) => `<line class="grid" x1="${px(at)}" x2="${px(at)}" y1="${top}" y2="${bottom}"/>`,
    ),
    ...withRoom(x.ticks).map(
      ({ at, label }) => `<text class="mid" x="${px(at)}" y="${bottom + 18}">${escapeText(label)}</text>`,
    ),
    `<path class="axis" d="M${LEFT},${top}V${bottom}H${WIDTH - RIGHT}"/>`,
    ...looks.map((look) => drawSeries(look, x, y)),
    `<text class="mid" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${height - 12}">${escapeText(plot.x.label)}</text>`,
    `<text class="mid" transform="translate(16 ${(top + bottom) / 2}) rotate(-90)">${escapeText(plot.y.label)}</text>`,
  ]
  const size = isAlone ? ` width="${WIDTH}" height="${height}"` : ''
  const style = isAlone ? `<style>${plotStyle}</style>\n` : ''
  return `<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 ${WIDTH} ${height}"${size} role="img" aria-label="${escapeText(plot.title)}">
${style}${parts.join('\n')}
</svg>
`
}

function looksOf({ series, x, y }: Plot): Look[] {
  const drawn = series
    .map((each) => ({
      ...each,
      points: each.points.filter(
        (point) => (y.scale === 'linear' || point.y > 0) && (x.scale === 'linear' || point.x > 0),
      ),
    }))
    .filter(({ points }) => points.length > 0)
  const isDodged = x.ticks !== undefined && drawn.every(({ points }) => points.length <= MARKS_MAX)
  const dodge = x.ticks?.length === 1 ? DODGE_ALONE : DODGE
  const counts: Record<Series['role'], number> = { own: 0, floor: 0, peer: 0 }
  return drawn.map((each, i) => {
    const { role } = each
    const nth = counts[role]++
    const coloured = role === 'floor' ? nth : counts.own + counts.peer - 1
    return {
      series: each,
      className: role === 'floor' ? `floor${coloured % 2}` : `colour${coloured % 7}`,
      dash: DASHES[role][nth % DASHES[role].length]!,
      mark: symbol(symbolsFill[i % symbolsFill.length]!, MARK_AREA)() ?? '',
      shift: isDodged ? (i - (drawn.length - 1) / 2) * dodge : 0,
    }
  })
}

function drawSeries({ series, className, dash, mark, shift }: Look, x: Scaled, y: Scaled): string {
  const { points } = series
  const at = (point: Point): number => x.at(point.x) + shift
  const path = line<Point>(at, (point) => y.at(point.y)).digits(1)(points) ?? ''
  const dashed = dash === '' ? '' : ` stroke-dasharray="${dash}"`
  const marks = points.length > MARKS_MAX ? [] : points
  return [
    `<g class="${className}"><title>${escapeText(series.name)}</title>`,
    `<path class="line" d="${path}"${dashed}/>`,
    ...marks.map((point) => {
      const low = point.low > 0 ? point.low : Math.min(point.y, Math.max(point.low, 0))
      const [from, to, middle] = [
        px(y.at(low === 0 && !Number.isFinite(y.at(0)) ? point.y : low)),
        px(y.at(point.high)),
        px(at(point)),
      ]
      const left = px(at(point) - CAP)
      const right = px(at(point) + CAP)
      const whisker =
        point.high > point.low
          ? `<path class="whisker" d="M${middle},${from}V${to}M${left},${from}H${right}M${left},${to}H${right}"/>`
          : ''
      return `${whisker}<path class="mark" d="${mark}" transform="translate(${middle} ${px(y.at(point.y))})"/>`
    }),
    '</g>',
  ].join('')
}

/** As many beside each other as there is room for. */
function placeLegend(looks: readonly Look[]): { svg: string; lines: number } {
  let x = LEFT
  let lines = 1
  const parts = looks.map(({ series, className, dash, mark }) => {
    const width = 44 + series.name.length * LETTER + 22
    if (x > LEFT && x + width > WIDTH - RIGHT) {
      x = LEFT
      lines++
    }
    const y = TITLE_HEIGHT + (lines - 0.5) * LEGEND_LINE
    const dashed = dash === '' ? '' : ` stroke-dasharray="${dash}"`
    const part = `<g class="${className}"><path class="line" d="M${x},${y}h34"${dashed}/><path class="mark" d="${mark}" transform="translate(${x + 17} ${y})"/></g><text x="${x + 42}" y="${y}" dy="0.35em">${escapeText(series.name)}</text>`
    x += width
    return part
  })
  return { svg: parts.join('\n'), lines }
}

/** Labels that do not run into each other: the last one has its place, others where there is room. */
function withRoom(ticks: readonly Tick[]): Tick[] {
  const half = ({ label }: Tick): number => (label.length * LETTER) / 2 + 3
  const kept: Tick[] = []
  const last = ticks.at(-1)
  for (const tick of ticks) {
    const before = kept.at(-1)
    const isFree = before === undefined || tick.at - half(tick) >= before.at + half(before)
    if (isFree && (tick === last || last === undefined || tick.at + half(tick) <= last.at - half(last)))
      kept.push(tick)
  }
  return kept
}

function px(value: number): string {
  return Number(value.toFixed(1)).toString()
}
