/**
 * Steadiness beside slow receivers, after figure 2 of the paper on experiences with reliable multicast: some of 16
 * members stand still for part of the time, and the rate is measured at those who do not.
 */
import { parameterDefaults } from '../group/index.ts'
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import type { Workload } from './harness.ts'
import { type Bench, plainCluster } from './plan.ts'
import type { Figure } from './report/parts.ts'
import { amount, list, say, seriesOf, valuesOf } from './report/series.ts'
import { find, type Result } from './results.ts'
import { figure, range, ratio } from './table.ts'

const MEMBERS = 16
/** The sequencer, a sender and one who only receives stay awake. */
const MEMBERS_LEAST = 4
const SLEEPERS = [1, 5]
const SHARES = [0, 0.3, 0.6, 0.9]
/**
 * A steady load with a history that holds a quarter of a second of it (the default one would hold all of a run, and wait
 * for nobody); and as much as flow control lets through (0), which fills the default one.
 */
const SITUATIONS: readonly Situation[] = [
  { perSecond: 1000, historySize: 256, shares: SHARES },
  { perSecond: 0, historySize: undefined, shares: [0, 0.9] },
]
/** One nap (nap.ts): who sleeps through it while all wait goes. */
const EXPEL_AFTER_MS = [0, 100]
/** Nobody is to be suspected for sleeping, however long. */
const TRIES = 100

interface Situation {
  readonly perSecond: number
  readonly historySize: number | undefined
  readonly shares: readonly number[]
}

export const slowBench: Bench = {
  name: 'slow',
  describe: 'the rate at healthy members while others stand still for part of the time',
  // naps take a tenth of a second each, and a run must see many of them
  runShare: 3,
  // sleepers that were expelled come back
  runMoreSeconds: 0.45,
  plan({ members, sizes = [100], packetSizes = [PACKET_BYTES_LOOPBACK], method }) {
    const count = Math.max(MEMBERS_LEAST, members?.[0] ?? MEMBERS)
    return SITUATIONS.map(({ perSecond, historySize, shares }) => ({
      clusters: EXPEL_AFTER_MS.map((expelAfterMs) =>
        plainCluster(count, packetSizes[0]!, { method, expelAfterMs, historySize, tries: TRIES }),
      ),
      workloads: workloadsOf(count, sizes[0]!, perSecond, shares),
      metrics: ['rate', 'expulsions', 'others'],
    }))
  },
  report(results) {
    const rates = results.filter(({ metric }) => metric === 'rate')
    const rows = rates.map((rate) => {
      const awake = awakeOf(rates, rate)
      return [
        loadName(rate),
        String(rate.historySize ?? parameterDefaults.historySize),
        String(rate.asleep!.members),
        `${Math.round(100 * rate.asleep!.share)}`,
        policyName(rate),
        range(rate),
        ratio(rate.value, awake?.value),
        range(find(results, rate, 'expulsions')),
        figure(find(results, rate, 'others')?.value),
      ]
    })
    const headings = [
      'load',
      'history',
      'asleep',
      '% of the time',
      'slowMember',
      'messages/s at the slowest healthy',
      'to none asleep',
      'expelled a run',
      'others %',
    ]
    const members = rates[0]?.members ?? 0
    const note = `${members} members, one sends. For each tenth of a second it is drawn whether a sleeper's process stands still, program and protocol alike. Members are suspected after ${TRIES} unanswered tries, so that sleep is no death; who is expelled comes back (rejoin), and may be expelled again. Healthy members must have received everything, in one order.`
    const missed = missedOf(results, rates)
    return {
      tables: [{ headings, rows, note: say(note, missed) }],
      figures: figuresOf(results, rates),
    }
  },
}

/** With nobody asleep it does not matter how many sleepers there are: that is measured once. */
function workloadsOf(
  members: number,
  size: number,
  perSecond: number,
  shares: readonly number[],
): Workload[] {
  return SLEEPERS.filter((sleepers) => sleepers <= members - 3).flatMap((sleepers, i) =>
    shares
      .filter((share) => share > 0 || i === 0)
      .map((share): Workload => {
        const asleep = { members: sleepers, share }
        const pattern = perSecond > 0 ? 'steady' : 'stream'
        return { pattern, senders: 'other', size, asleep, perSecond }
      }),
  )
}

/** The same load under the same policy, with nobody asleep. */
function awakeOf(
  rates: readonly Result[],
  { perSecond, historySize, expelAfterMs }: Result,
): Result | undefined {
  return rates.find(
    (each) =>
      each.asleep?.share === 0 &&
      each.perSecond === perSecond &&
      each.historySize === historySize &&
      each.expelAfterMs === expelAfterMs,
  )
}

/** Where somebody stands still nearly always, and ought to have been expelled in every run. */
function missedOf(results: readonly Result[], rates: readonly Result[]): string | undefined {
  const most = Math.max(...SHARES)
  const missed = rates.filter(
    (rate) =>
      (rate.expelAfterMs ?? 0) > 0 &&
      rate.asleep?.share === most &&
      find(results, rate, 'expulsions')?.min === 0,
  )
  if (missed.length === 0) return undefined
  const where = missed.map((rate) => `${loadName(rate)} with ${rate.asleep!.members} asleep`)
  return `In a run or more nobody was expelled (${where.join('; ')}): these runs were too short to say what expelAfterMs does there.`
}

function loadName({ perSecond = 0 }: Result): string {
  return perSecond > 0 ? `${figure(perSecond)} messages/s` : 'full'
}

function policyName({ expelAfterMs = 0 }: Result): string {
  return expelAfterMs > 0 ? `expelAfterMs: ${expelAfterMs}` : 'block'
}

function lineName(line: readonly Result[]): string {
  const { asleep, ...last } = line.at(-1)!
  return `${asleep!.members} asleep, ${policyName(last)}`
}

/** The steady load, as in the paper; what goes at most has two points only, and is in the table and in words. */
function figuresOf(results: readonly Result[], rates: readonly Result[]): Figure[] {
  const steady = rates.filter(({ perSecond = 0 }) => perSecond > 0)
  const first = steady[0]
  if (first === undefined) return []
  const share = ({ asleep }: Result): number => 100 * asleep!.share
  const lines = linesOf(steady)
  const { perSecond = 0, members, historySize = parameterDefaults.historySize } = first
  const seconds = historySize / perSecond
  return [
    {
      name: 'slow',
      plot: {
        title: `Steadiness: ${figure(perSecond)} messages a second to ${members} members, history of ${historySize}`,
        x: {
          label: 'share of the time that sleepers stand still (%)',
          scale: 'linear',
          ticks: valuesOf(steady, share),
        },
        y: { label: 'messages a second at the slowest healthy member', scale: 'linear' },
        series: lines.map((line) => seriesOf(lineName(line), 'own', line, share)),
      },
      says: say(
        `A steady load, as in the paper. The history keeps ${figure(seconds * 1000)} ms of it for a sleeper; when it is full, all wait with block, and with expelAfterMs so long at most before the sleeper goes.`,
        ...compared(results, steady),
        ...compared(
          results,
          rates.filter((each) => each.perSecond === 0),
        ),
      ),
    },
  ]
}

/** By sleepers and policy, each from nobody asleep on. */
function linesOf(rates: readonly Result[]): Result[][] {
  const asleep = rates.filter((each) => each.asleep!.share > 0)
  return valuesOf(asleep, (each) => each.asleep!.members).flatMap((count) =>
    valuesOf(asleep, ({ expelAfterMs = 0 }) => expelAfterMs).flatMap((policy) => {
      const line = asleep.filter(
        (each) => each.asleep!.members === count && (each.expelAfterMs ?? 0) === policy,
      )
      const first = line[0] && awakeOf(rates, line[0])
      return line.length === 0 ? [] : [first === undefined ? line : [first, ...line]]
    }),
  )
}

/** Of one load: what remains of it where sleepers stand still most, under each policy. */
function compared(results: readonly Result[], rates: readonly Result[]): string[] {
  const lines = linesOf(rates)
  const counts = valuesOf(
    lines.flatMap((line) => line.at(-1) ?? []),
    ({ asleep }) => asleep!.members,
  )
  const load = (rates[0]?.perSecond ?? 0) > 0 ? '' : 'as much as goes, '
  const ofOne = (count: number, say: (line: readonly Result[]) => string): string =>
    list(lines.filter((line) => line.at(-1)?.asleep?.members === count).map(say))
  return [
    ...counts.slice(0, 1).map((count) => {
      const awake = ofOne(count, ([first]) => `${amount(first)} with ${policyName(first!)}`)
      return `${load}nobody asleep: ${awake}.`
    }),
    ...counts.map((count) => {
      const most = ofOne(count, (line) => endOf(results, line.at(-1)!))
      const share = lines.at(-1)?.at(-1)?.asleep?.share ?? 0
      return `${load}${count} asleep ${Math.round(100 * share)} % of the time: ${most}.`
    }),
  ]
}

function endOf(results: readonly Result[], most: Result): string {
  const expelled = (most.expelAfterMs ?? 0) > 0 && find(results, most, 'expulsions')
  const gone = expelled ? ` (${figure(expelled.value)} expelled a run)` : ''
  return `${amount(most)} with ${policyName(most)}${gone}`
}
