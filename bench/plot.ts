/** A line plot with logarithmic axes as one SVG file: medians as lines, ranges as bars, readable in light and dark. */

export interface Point {
  readonly x: number
  readonly y: number
  readonly low: number
  readonly high: number
}

export interface Series {
  readonly name: string
  readonly points: readonly Point[]
}

export interface Plot {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly series: readonly Series[]
}

const WIDTH = 720
const HEIGHT = 440
const LEFT = 78
const RIGHT = 24
const TOP = 62
const BOTTOM = 56
/** Told apart also without colours: by their marks. */
const COLOURS = ['#2b6cb0', '#c05621', '#2f855a', '#805ad5']
/** Of a decade, the values that get a line of their own. */
const STEPS = [1, 2, 5]
const LABELS_MAX = 9

/** Empty if there is nothing to draw. Values must be above 0. */
export function linePlot({ title, xLabel, yLabel, series }: Plot): string {
  const points = series.flatMap((each) => each.points).filter(({ x, y }) => x > 0 && y > 0)
  if (points.length === 0) return ''
  const xs = points.map(({ x }) => x)
  const x = axis(Math.min(...xs), Math.max(...xs), LEFT, WIDTH - RIGHT)
  const y = axis(
    Math.min(...points.map(({ low, y }) => (low > 0 ? low : y))),
    Math.max(...points.map(({ high }) => high)),
    HEIGHT - BOTTOM,
    TOP,
  )
  const grid = [
    ...y.ticks.map((tick) => {
      const at = fixed(y.at(tick))
      return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/><text class="end" x="${LEFT - 8}" y="${at}" dy="0.35em">${label(tick)}</text>`
    }),
    ...[...new Set(xs)]
      .sort((a, b) => a - b)
      .map((tick) => {
        const at = fixed(x.at(tick))
        return `<line class="grid" x1="${at}" x2="${at}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/><text class="mid" x="${at}" y="${HEIGHT - BOTTOM + 18}">${binaryLabel(tick)}</text>`
      }),
  ]
  const lines = series.map((each, i) => {
    const colour = COLOURS[i % COLOURS.length]!
    const places = each.points.map((point) => ({
      ...point,
      px: fixed(x.at(point.x)),
      py: fixed(y.at(point.y)),
    }))
    const path = places.map(({ px, py }) => `${px},${py}`).join(' ')
    const bars = places.map(({ px, low, high, y: middle }) => {
      const [from, to] = [y.at(low > 0 ? low : middle), y.at(high)].map(fixed)
      return `<line x1="${px}" x2="${px}" y1="${from}" y2="${to}" stroke="${colour}" stroke-width="1.5" opacity="0.6"/>`
    })
    const marks = places.map(({ px, py }) => mark(i, px, py, colour))
    const legendAt = LEFT + i * 120
    return [
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...bars,
      ...marks,
      `${mark(i, String(legendAt + 6), '44', colour)}<text x="${legendAt + 18}" y="44" dy="0.35em">${escapeText(each.name)}</text>`,
    ].join('\n')
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escapeText(title)}">
<style>
  svg { background: #ffffff; color: #1a202c; font: 13px system-ui, sans-serif; }
  text { fill: #1a202c; } .grid { stroke: #cbd5e0; } .title { font-size: 15px; font-weight: 600; }
  .end { text-anchor: end; } .mid { text-anchor: middle; }
  @media (prefers-color-scheme: dark) { svg { background: #171923; } text { fill: #e2e8f0; } .grid { stroke: #4a5568; } }
</style>
<text class="title" x="${LEFT}" y="22">${escapeText(title)}</text>
${grid.join('\n')}
${lines.join('\n')}
<text class="mid" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 12}">${escapeText(xLabel)}</text>
<text class="mid" transform="translate(16 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)">${escapeText(yLabel)}</text>
</svg>
`
}

interface Axis {
  readonly ticks: readonly number[]
  at(value: number): number
}

function axis(least: number, most: number, from: number, to: number): Axis {
  const all: number[] = []
  for (let decade = Math.floor(Math.log10(least)) - 1; decade <= Math.ceil(Math.log10(most)); decade++) {
    for (const step of STEPS) all.push(step * 10 ** decade)
  }
  const begin = [...all].reverse().find((tick) => tick <= least)!
  const end = all.find((tick) => tick >= most && tick > begin)!
  const [low, high] = [Math.log(begin), Math.log(end)]
  const inside = all.filter((tick) => tick >= begin && tick <= end)
  const tens = inside.filter((tick) => Number.isInteger(Number(Math.log10(tick).toFixed(9))))
  return {
    ticks: inside.length > LABELS_MAX && tens.length > 1 ? tens : inside,
    at: (value) => from + ((Math.log(value) - low) / (high - low)) * (to - from),
  }
}

function mark(kind: number, x: string, y: string, colour: string): string {
  if (kind % 2 === 0) return `<circle cx="${x}" cy="${y}" r="4.5" fill="${colour}"/>`
  return `<rect x="${Number(x) - 4}" y="${Number(y) - 4}" width="8" height="8" fill="${colour}"/>`
}

function label(value: number): string {
  const [scaled, unit] = value >= 1e6 ? [value / 1e6, ' M'] : value >= 1e3 ? [value / 1e3, ' k'] : [value, '']
  return `${Number(scaled.toPrecision(3))}${unit}`
}

function binaryLabel(value: number): string {
  if (value >= 2 ** 20) return `${Number((value / 2 ** 20).toPrecision(3))} Mi`
  return value >= 1024 ? `${Number((value / 1024).toPrecision(3))} Ki` : String(value)
}

function fixed(value: number): string {
  return value.toFixed(1)
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
