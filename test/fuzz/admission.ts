/** Bytes from outside at the door of a process: the driver with its router, hosting machines that throw if they are handed rubbish. */
import type { Address } from '../../kernel/identity.ts'
import { Driver } from '../../kernel/node/driver.ts'
import { HEADER_BYTES, readHeader } from '../../kernel/packet.ts'
import { Prng } from '../../kernel/prng.ts'
import { FakeMachine, FakeTransport } from '../node/support.ts'
import type { Corpus } from './corpus.ts'
import { mutate, randomBytes, reseal } from './mutate.ts'

export interface AdmissionCounts {
  cases: number
  /** Handed to a machine. */
  admitted: number
  /** Packets that the process sent of its own accord: answers to those who ask the dead, or in another version. */
  answers: number
}

/** Throws with the seed and the bytes if a machine is handed what has no header, or an answer is larger than its question. */
export async function fuzzAdmission(corpus: Corpus, seed: number, cases: number): Promise<AdmissionCounts> {
  const prng = new Prng(seed)
  const counts: AdmissionCounts = { cases: 0, admitted: 0, answers: 0 }
  const transport = new FakeTransport()
  const driver = new Driver({
    transport,
    onFault: ({ error }) => {
      throw error
    },
  })
  const machine = new FakeMachine((_now, input) => {
    if (input.kind !== 'packet') return
    counts.admitted++
    const header = readHeader(input.bytes)
    const isOdd = header === 'foreign' || header === 'kind' || input.bytes.length < HEADER_BYTES
    if (isOdd) throw new Error(`a machine was handed a packet that is ${String(header)}`)
  })
  await driver.attach(machine, { port: 'pört', nonce: 0x2222222222222222n })
  const packets = [...corpus.values()].flat()
  for (let i = 0; i < cases; i++) {
    const bytes = draw(prng, packets)
    const copy = bytes.slice()
    transport.sent.length = 0
    machine.inputs.length = 0
    transport.arrive(address(prng), bytes)
    counts.cases++
    counts.answers += transport.sent.length
    const answered = transport.sent.reduce((sum, { packet }) => sum + packet.length, 0)
    if (answered > copy.length)
      throw new Error(`seed ${seed}, case ${i}: ${answered} bytes for ${Buffer.from(copy).toString('hex')}`)
  }
  await driver.close()
  return counts
}

function draw(prng: Prng, packets: readonly Uint8Array[]): Uint8Array {
  const sample = prng.pick(packets)
  switch (prng.below(6)) {
    case 0:
      return randomBytes(prng, 1 + prng.below(300))
    case 1:
      return sample.slice(0, 1 + prng.below(sample.length))
    case 2:
      return mutate(prng, sample)
    default:
      return reseal(mutate(prng, sample, prng.chance(1, 2) ? 0 : HEADER_BYTES))
  }
}

function address(prng: Prng): Address {
  return `10.0.0.${prng.below(255)}:${1 + prng.below(60_000)}`
}
