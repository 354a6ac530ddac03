/** Packets of every released version are read for ever, and say what they said then. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { decodeIncompatible, portAskedFor } from '../../kernel/meeting-packets.ts'
import { packetKindNames, WIRE_VERSION } from '../../kernel/packet.ts'
import { repositoryRoot } from '../support/files.ts'
import { fieldsOf, parseHex } from './reading.ts'
import { packetOf, samples } from './samples.ts'

const root = `${repositoryRoot}test/wire/`
const versions = readdirSync(root).filter((name) => /^v\d+$/.test(name))

function namesIn(version: string): string[] {
  return readdirSync(`${root}${version}`)
    .filter((name) => name.endsWith('.hex'))
    .map((name) => name.slice(0, -'.hex'.length))
}

function packetIn(version: string, name: string): Uint8Array {
  return parseHex(readFileSync(`${root}${version}/${name}.hex`, 'utf8'))
}

describe.each(versions)('packets recorded of %s', (version) => {
  test.each(namesIn(version))('%s is read as it was meant', (name) => {
    const expected: unknown = JSON.parse(readFileSync(`${root}${version}/${name}.json`, 'utf8'))
    expect(fieldsOf(packetIn(version, name))).toEqual(expected)
  })
})

describe('this version', () => {
  const current = `v${WIRE_VERSION}`

  test('every kind has been recorded', () => {
    const recorded = new Set(namesIn(current).map((name) => fieldsOf(packetIn(current, name)).kind))
    expect([...recorded].sort()).toEqual(packetKindNames.filter((name) => name !== undefined).sort())
  })

  test.each(samples.map((sample) => [sample.name, sample] as const))(
    'writes %s as recorded',
    (name, sample) => {
      expect(Buffer.from(packetOf(sample)).toString('hex')).toBe(
        Buffer.from(packetIn(current, name)).toString('hex'),
      )
    },
  )

  test('numbers of kinds are never given to another', () => {
    const known =
      'locate hereIs joinRequest joinRefused request order repair data state gap requestAck streamData streamAck gone left inspect dataGap dataAck invite refusal inquiry testimony probe probeAnswer expelled slow incompatible'
    expect(packetKindNames.slice(1, 28).join(' ')).toBe(known)
  })
})

describe('what is the same in all versions', () => {
  test.each([2, 9, 255])(
    'the port of a locate, and the versions of an incompatible, of version %d',
    (version) => {
      const locate = packetIn('v1', 'locate')
      locate[1] = version
      expect(portAskedFor(locate)).toBe('pört')
      const incompatible = packetIn('v1', 'incompatible')
      incompatible[1] = version
      expect(decodeIncompatible(incompatible)).toEqual({ lowest: 1, highest: 3 })
    },
  )
})
