/** Reads a page in Prometheus' text format strictly: a line that is not understood is an error. */

export interface Page {
  /** By name, as `# TYPE` says. */
  readonly types: Map<string, string>
  readonly helps: Map<string, string>
  /** By name and labels, the labels in order of their names: `name{a="1",b="2"}`. */
  readonly samples: Map<string, number>
}

export function parsePage(text: string): Page {
  const types = new Map<string, string>()
  const helps = new Map<string, string>()
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\w+) (\w+)$/.exec(line)
    if (type !== null) types.set(type[1]!, type[2]!)
    const help = /^# HELP (\w+) (.+)$/.exec(line)
    if (help !== null) helps.set(help[1]!, help[2]!)
    if (line === '' || line.startsWith('#')) continue
    const sample = /^(\w+)(?:\{((?:\w+="[^"]*",?)*)\})? (\S+)$/.exec(line)
    if (sample === null) throw new Error(`not a sample: ${line}`)
    const labels = (sample[2] ?? '').split(',').filter(Boolean).sort().join(',')
    const key = `${sample[1]}{${labels}}`
    if (samples.has(key)) throw new Error(`twice: ${key}`)
    samples.set(key, Number(sample[3]))
  }
  return { types, helps, samples }
}

/** The sum of the series of that name that have all of these labels. */
export function sumOf(
  samples: ReadonlyMap<string, number>,
  name: string,
  labels: Readonly<Record<string, string>>,
): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  let sum = 0
  for (const [key, value] of samples) {
    if (!key.startsWith(`${name}{`)) continue
    const own = key.slice(name.length + 1, -1).split(',')
    if (wanted.every((pair) => own.includes(pair))) sum += value
  }
  return sum
}

/** The labels of each series, by name: of a histogram, without `le`, under the histogram's own name. */
export function labelsOf({ types, samples }: Page): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const key of samples.keys()) {
    const [series, rest] = key.slice(0, -1).split('{', 2) as [string, string]
    const base = series.replace(/_(bucket|sum|count)$/, '')
    const name = types.get(base) === 'histogram' ? base : series
    const labels = found.get(name) ?? new Set()
    found.set(name, labels)
    for (const pair of rest.split(',').filter(Boolean)) {
      const label = pair.slice(0, pair.indexOf('='))
      if (label !== 'le') labels.add(label)
    }
  }
  return found
}
