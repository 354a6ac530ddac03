/** `node dist/test/fuzz/main.js [--part decoders|door|stranger|former|member|liar] [--kind NAME] [--cases N] [--seed S]
 * [--seconds T] [--coverage]`: long runs by hand. With --coverage decoders, strangers, former members and members are guided by
 * the code that they reach (README.md). */
import { parseArgs } from 'node:util'
import { PacketKind, type PacketKindName } from '../../kernel/packet.ts'
import { fuzzAdmission } from './admission.ts'
import { recordCorpus } from './corpus.ts'
import { fuzzDecoders } from './decoding.ts'
import { besiegeGuided, fuzzGuided } from './guided.ts'
import { fuzzLiars } from './liar.ts'
import { type Attacker, Siege } from './siege.ts'
import type { Size } from './size.ts'

const attackers: readonly Attacker[] = ['stranger', 'former', 'member']
const { values } = parseArgs({
  options: {
    part: { type: 'string' },
    kind: { type: 'string' },
    cases: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    seconds: { type: 'string', default: '150' },
    coverage: { type: 'boolean', default: false },
  },
})
const cases = Number(values.cases)
const seed = Number(values.seed)
const until = performance.now() + 1000 * Number(values.seconds)
const only = values.kind === undefined ? undefined : PacketKind[values.kind as PacketKindName]
const corpus = recordCorpus()

type Counts = Readonly<Record<string, number | Size>>

interface Part {
  readonly name: string
  /** Cases or packets of one run at most; each run has a seed of its own. */
  readonly atOnce: number
  run(seed: number, cases: number): Promise<object> | object
}

const blind: readonly Part[] = [
  { name: 'decoders', atOnce: 20_000, run: (seed, cases) => fuzzDecoders(corpus, seed, cases) },
  { name: 'door', atOnce: 20_000, run: (seed, cases) => fuzzAdmission(corpus, seed, cases) },
  ...attackers.map((name) => ({
    name,
    atOnce: 20_000,
    run: (seed: number, cases: number) => new Siege(name, corpus, seed, only).run(cases),
  })),
  { name: 'liar', atOnce: 2000, run: fuzzLiars },
]
const guided: readonly Part[] = [
  { name: 'decoders', atOnce: cases, run: (seed, cases) => fuzzGuided(corpus, seed, cases) },
  ...attackers.map((name) => ({
    name,
    atOnce: cases,
    run: (seed: number, cases: number) => besiegeGuided(name, corpus, seed, cases),
  })),
]

/** One run or more, until there are enough cases or the time is over. */
async function carryOut({ name, atOnce, run }: Part): Promise<void> {
  const began = performance.now()
  let total: Counts = {}
  const done = (): number => Number(total.cases ?? total.packets ?? 0)
  let runs = 0
  do total = added(total, (await run(seed + runs++, Math.min(atOnce, cases - done()))) as Counts)
  while (done() < cases && performance.now() < until)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  console.log(`${name}, seed ${seed}: ${JSON.stringify(total)} in ${seconds} s`)
}

/** Sums; of sizes the largest. */
function added(total: Counts, more: Counts): Counts {
  const both = Object.entries(more).map(([name, value]) => {
    const before = total[name]
    if (typeof value === 'number') return [name, value + ((before as number | undefined) ?? 0)]
    const { things = 0, bytes = 0 } = (before as Size | undefined) ?? {}
    return [name, { things: Math.max(value.things, things), bytes: Math.max(value.bytes, bytes) }]
  })
  return Object.fromEntries(both) as Counts
}

const parts = values.coverage ? guided : blind
const chosen = parts.filter(({ name }) => values.part === undefined || values.part === name)
if (chosen.length === 0 || (values.kind !== undefined && only === undefined)) {
  console.error(
    `--part takes ${parts.map(({ name }) => name).join(', ')}; --kind the name of a kind of packet`,
  )
  process.exitCode = 64
} else for (const part of chosen) await carryOut(part)
