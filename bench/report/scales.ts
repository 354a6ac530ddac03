/** From values to places on the paper: d3's scales, with domains and ticks as our plots want them. */
import { type ScaleContinuousNumeric, scaleLinear, scaleLog } from 'd3-scale'
import type { Axis } from './parts.ts'

export interface Tick {
  readonly at: number
  readonly label: string
}

export interface Scaled {
  readonly ticks: readonly Tick[]
  at(value: number): number
}

type Scale = ScaleContinuousNumeric<number, number>

/** Of a logarithmic axis: room beyond the outermost values. */
const LOG_MARGIN = 1.25
const TICKS_WANTED = 6
/** Over more decades than this only the powers of ten are labelled. */
const DECADES_WITH_STEPS = 3.2
const STEPS = [1, 2, 5]

export function scaled(axis: Axis, values: readonly number[], from: number, to: number): Scaled {
  const scale: Scale = axis.scale === 'log' ? logarithmic(axis, values) : linear(axis, values)
  scale.range([from, to])
  const write = axis.format ?? short
  const ticks = (axis.ticks ?? ticksOf(axis, scale)).map((value) => ({
    at: scale(value),
    label: write(value),
  }))
  return { ticks, at: (value) => scale(value) }
}

function linear({ ticks }: Axis, values: readonly number[]): Scale {
  if (ticks !== undefined) {
    const [least, most] = [Math.min(...ticks, ...values), Math.max(...ticks, ...values)]
    const margin = least === most ? 1 : (most - least) * 0.04
    return scaleLinear().domain([least - margin, most + margin])
  }
  // A part of a bar says more than it should: linear axes begin at nothing.
  const most = Math.max(...values)
  return scaleLinear()
    .domain([0, most > 0 ? most : 1])
    .nice(TICKS_WANTED)
}

function logarithmic({ ticks = [] }: Axis, values: readonly number[]): Scale {
  const all = [...ticks, ...values]
  return scaleLog().domain([Math.min(...all) / LOG_MARGIN, Math.max(...all) * LOG_MARGIN])
}

function ticksOf({ scale: kind }: Axis, scale: Scale): number[] {
  if (kind === 'linear') return scale.ticks(TICKS_WANTED)
  const [least, most] = scale.domain() as [number, number]
  const steps = Math.log10(most / least) > DECADES_WITH_STEPS ? [1] : STEPS
  const all: number[] = []
  for (let decade = Math.floor(Math.log10(least)); decade <= Math.ceil(Math.log10(most)); decade++) {
    for (const step of steps) all.push(Number(`${step}e${decade}`))
  }
  const inside = all.filter((tick) => tick >= least && tick <= most)
  return inside.length > 1 ? inside : scale.ticks(TICKS_WANTED)
}

/** As short as it can be said: 250, 2.5 k, 1 M. */
function short(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`
  return value >= 1e4 ? `${Number((value / 1e3).toPrecision(3))} k` : String(Number(value.toPrecision(3)))
}
