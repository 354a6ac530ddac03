/**
 * As much of PromQL as a test of names needs: which series a query selects, by which labels, and which labels it
 * groups by. Whether the query can be parsed is promtool's business.
 */

export interface Queried {
  readonly name: string
  /** Labels that it is selected by. */
  readonly labels: readonly string[]
  /** Labels that the query groups by, anywhere. */
  readonly grouping: readonly string[]
}

/** Labels that a scrape adds to every series. */
const scraped = ['job', 'instance']

export function seriesOf(expr: string): readonly Queried[] {
  const grouping = [
    ...expr.matchAll(/\b(?:by|on|without|ignoring|group_left|group_right) *\(([^)]*)\)/g),
  ].flatMap(([, list]) => list!.split(',').map((label) => label.trim()))
  return [...expr.matchAll(/([a-z_:]*amoebacast_[a-z0-9_:]+)(?:\{([^}]*)\})?/g)].map(
    ([, name, selector]) => ({
      name: name!,
      labels: [...(selector ?? '').matchAll(/(\w+) *(?:=~|!~|!=|=)/g)].map(([, label]) => label!),
      grouping: grouping.filter((label) => label !== ''),
    }),
  )
}

/** What of it is not published; `published` has the labels of each series by its name. */
export function unknownIn(
  queried: readonly Queried[],
  published: ReadonlyMap<string, ReadonlySet<string>>,
): readonly string[] {
  const problems: string[] = []
  const known = new Set(scraped)
  for (const { name, labels } of queried) {
    const own = published.get(name)
    if (own === undefined) {
      problems.push(`${name} does not exist`)
      continue
    }
    for (const label of own) known.add(label)
    for (const label of labels) {
      if (!own.has(label) && !scraped.includes(label)) problems.push(`${name} has no label ${label}`)
    }
  }
  if (problems.length > 0) return problems
  const grouping = new Set(queried.flatMap((one) => one.grouping))
  return [...grouping]
    .filter((label) => !known.has(label))
    .map((label) => `nothing in the query has the label ${label}`)
}
