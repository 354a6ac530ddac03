/**
 * A member that may not rebuild its group waits for its former companions, and asks them. While it was cut off they may have
 * gone on to another key, and have let go of the one that it knows the group to seal with.
 */
import { expect, test } from 'vitest'
import { sealKeyOf } from '../../kernel/packet.ts'
import { credentialsFor } from '../simulator/credentials.ts'
import { GroupOf } from './group-of.ts'

const OLD = 0x0a0a0a0a
const NEW = 0x0b0b0b0b

test.each([
  ['under each key that it holds', [NEW, OLD], 0],
  ['under the one that it holds', [OLD], OLD],
])('asks them %s', (_, keys, expected) => {
  const group = new GroupOf()
  group.add({ credentials: credentialsFor('all'), keys: [OLD] })
  const waiting = group.add({ credentials: credentialsFor('send'), keys })
  group.settle()
  expect(waiting.machine.info().settings.keyId).toBe(OLD)
  group.first.crash()
  const asked: number[] = []
  group.unicast = (from, to, bytes) => {
    if (from === waiting && to === group.first.address) asked.push(sealKeyOf(bytes))
  }
  group.until(() => waiting.events.some(({ event }) => event === 'suspect'), 'it suspects its sequencer')
  group.advance(500)
  asked.length = 0
  group.advance(10_000)
  expect(asked.length).toBeGreaterThan(0)
  expect(new Set(asked)).toEqual(new Set([expected]))
})
