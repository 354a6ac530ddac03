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

const CHUNK = 20_000
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

function print(part: string, began: number, counts: object): void {
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  console.log(`${part}, seed ${seed}: ${JSON.stringify(counts)} in ${seconds} s`)
}

if (values.coverage) {
  if (values.part === undefined || values.part === 'decoders') {
    const began = performance.now()
    print('decoders, guided', began, fuzzGuided(corpus, seed, cases))
  }
  for (const attacker of attackers) {
    if (values.part !== undefined && values.part !== attacker) continue
    const began = performance.now()
    print(`${attacker}, guided`, began, besiegeGuided(attacker, corpus, seed, cases))
  }
  process.exit()
}
if (values.part === undefined || values.part === 'decoders') {
  const began = performance.now()
  const total = { cases: 0, accepted: 0 }
  for (let i = 0; total.cases < cases && performance.now() < until; i++) {
    const counts = fuzzDecoders(corpus, seed + i, Math.min(CHUNK, cases - total.cases))
    total.cases += counts.cases
    total.accepted += counts.accepted
  }
  print('decoders', began, total)
}
if (values.part === undefined || values.part === 'door') {
  const began = performance.now()
  const total = { cases: 0, admitted: 0, answers: 0 }
  for (let i = 0; total.cases < cases && performance.now() < until; i++) {
    const counts = await fuzzAdmission(corpus, seed + i, Math.min(CHUNK, cases - total.cases))
    total.cases += counts.cases
    total.admitted += counts.admitted
    total.answers += counts.answers
  }
  print('door', began, total)
}
for (const attacker of attackers) {
  if (values.part !== undefined && values.part !== attacker) continue
  const began = performance.now()
  const total = { packets: 0, groups: 0, ordered: 0, disturbed: 0, things: 0, bytes: 0 }
  for (let i = 0; total.packets < cases && performance.now() < until; i++) {
    const { packets, groups, ordered, disturbed, largest } = new Siege(attacker, corpus, seed + i, only).run(
      Math.min(CHUNK, cases - total.packets),
    )
    total.packets += packets
    total.groups += groups
    total.ordered += ordered
    total.disturbed += disturbed
    total.things = Math.max(total.things, largest.things)
    total.bytes = Math.max(total.bytes, largest.bytes)
  }
  print(attacker, began, total)
}
if (values.part === undefined || values.part === 'liar') {
  const began = performance.now()
  const total = { packets: 0, groups: 0, things: 0, bytes: 0 }
  for (let i = 0; total.packets < cases && performance.now() < until; i++) {
    const { packets, groups, largest } = fuzzLiars(seed + i, Math.min(2000, cases - total.packets))
    total.packets += packets
    total.groups += groups
    total.things = Math.max(total.things, largest.things)
    total.bytes = Math.max(total.bytes, largest.bytes)
  }
  print('liar', began, total)
}
