/**
 * Steadiness beside slow receivers, after figure 2 of the paper on experiences with reliable multicast: some of 16
 * members stand still for part of the time, and the rate is measured at those who do not.
 */
import { parameterDefaults } from '../group/index.ts'
import { PACKET_BYTES_LOOPBACK } from '../kernel/node/udp.ts'
import type { Workload } from './harness.ts'
import { type Bench, plainCluster } from './plan.ts'
import type { Figure } from './report/parts.ts'
import { amount, say, seriesOf, times, valuesOf } from './report/series.ts'
import { find, type Result } from './results.ts'
import { figure, range, ratio } from './table.ts'

const MEMBERS = 16
/** The sequencer, a sender and one who only receives stay awake. */
const MEMBERS_LEAST = 4
const SLEEPERS = [1, 5]
const SHARES = [0, 0.3, 0.6, 0.9]
/** Loads in messages a second (0: as many as flow control lets through), with the default history and a small one. */
const SITUATIONS: readonly Situation[] = [
  { historySize: undefined, loads: [1000, 0] },
  { historySize: 256, loads: [1000] },
]
const EXPEL_AFTER_MS = [0, 500]

interface Situation {
  readonly historySize: number | undefined
  readonly loads: readonly number[]
}

export const slowBench: Bench = {
  name: 'slow',
  describe: 'the rate at healthy members while others stand still for part of the time',
  // naps take a tenth of a second each: a run must see enough of them
  runShare: 1.5,
  // what counts is the pace of the naps
  warmUps: 0,
  // sleepers that were expelled come back
  runMoreSeconds: 0.45,
  plan({ members, sizes = [100], packetSizes = [PACKET_BYTES_LOOPBACK], method }) {
    const count = Math.max(MEMBERS_LEAST, members?.[0] ?? MEMBERS)
    return SITUATIONS.map(({ historySize, loads }) => ({
      clusters: EXPEL_AFTER_MS.map((expelAfterMs) =>
        plainCluster(count, packetSizes[0]!, { method, expelAfterMs, historySize }),
      ),
      workloads: loads.flatMap((perSecond) => workloadsOf(count, sizes[0]!, perSecond)),
      metrics: ['rate', 'expulsions', 'others'],
    }))
  },
  report(results) {
    const rates = results.filter(({ metric }) => metric === 'rate')
    const rows = rates.map((rate) => {
      const awake = find(results, { ...rate, asleep: { ...rate.asleep!, share: 0 } }, 'rate')
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
    const note = `${members} members, one sends. For each tenth of a second it is drawn whether a sleeper's process stands still, program and protocol alike. Members are suspected after 20 unanswered tries, so that a nap is no death; who is expelled comes back (rejoin). Healthy members must have received everything, in one order.`
    return { tables: [{ headings, rows, note }], figures: figuresOfAll(rates) }
  },
}

function workloadsOf(members: number, size: number, perSecond: number): Workload[] {
  return SLEEPERS.filter((sleepers) => sleepers <= members - 3).flatMap((sleepers) =>
    SHARES.map((share): Workload => {
      const asleep = { members: sleepers, share }
      const pattern = perSecond > 0 ? 'steady' : 'stream'
      return { pattern, senders: 'other', size, asleep, perSecond }
    }),
  )
}

function loadName({ perSecond = 0 }: Result): string {
  return perSecond > 0 ? `${perSecond} messages/s` : 'full'
}

function policyName({ expelAfterMs = 0 }: Result): string {
  return expelAfterMs > 0 ? `expelAfterMs: ${expelAfterMs}` : 'block'
}

function figuresOfAll(rates: readonly Result[]): Figure[] {
  return SITUATIONS.flatMap(({ historySize, loads }) =>
    loads.flatMap((load) => {
      const shown = rates.filter((rate) => rate.perSecond === load && rate.historySize === historySize)
      return shown.length === 0 ? [] : [figureOf(shown, load, historySize)]
    }),
  )
}

function figureOf(shown: readonly Result[], load: number, historySize: number | undefined): Figure {
  const share = ({ asleep }: Result): number => 100 * asleep!.share
  const sleepers = valuesOf(shown, ({ asleep }) => asleep!.members)
  const policies = valuesOf(shown, ({ expelAfterMs = 0 }) => expelAfterMs)
  const lines = sleepers.flatMap((count) =>
    policies.map((policy) =>
      shown.filter((each) => each.asleep?.members === count && (each.expelAfterMs ?? 0) === policy),
    ),
  )
  const ends = lines.map((line) => {
    const [awake, most] = [line[0], line.at(-1)]
    return `${most?.asleep?.members} asleep ${share(most!)} % of the time, ${policyName(most!)}: ${amount(most)}, ${times(most?.value, awake?.value)} that of none asleep.`
  })
  const size = historySize ?? parameterDefaults.historySize
  const [name, title, meaning] =
    load === 0
      ? [
          'slow-full',
          `Slow receivers under full load, ${shown[0]!.members} members`,
          'As much as flow control lets through: the history is full soon, and from then on the group goes at the pace of the sleepers, or without them.',
        ]
      : historySize === undefined
        ? [
            'slow-steady',
            `Steadiness: ${load} messages a second to ${shown[0]!.members} members, history of ${size}`,
            'A steady load, as in the paper: the history holds what sleepers have not taken yet, so that the others need not wait while there is room.',
          ]
        : [
            'slow-small-history',
            `Steadiness: ${load} messages a second to ${shown[0]!.members} members, history of ${size}`,
            `The same load, but only ${size} messages may wait for a sleeper: with block all wait for it then, with expelAfterMs so long at most.`,
          ]
  return {
    name: name!,
    plot: {
      title: title!,
      x: {
        label: 'share of the time that sleepers stand still (%)',
        scale: 'linear',
        ticks: valuesOf(shown, share),
      },
      y: { label: 'messages a second at the slowest healthy member', scale: 'linear' },
      series: lines.map((line) =>
        seriesOf(`${line[0]!.asleep!.members} asleep, ${policyName(line[0]!)}`, 'own', line, share),
      ),
    },
    says: say(meaning, ...ends),
  }
}
