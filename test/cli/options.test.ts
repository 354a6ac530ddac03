import { describe, expect, test } from 'vitest'
import { editDistance, nearest } from '../../cli/errors.ts'
import { checkOptions, fromEnvironment, networkOptions, refuseUnknownOptions } from '../../cli/options.ts'

describe('options', () => {
  test('the command line wins over the environment, the environment over defaults', () => {
    const environment = fromEnvironment({ AMOEBACAST_INTERFACE: '10.0.0.1', AMOEBACAST_UDP_PORT: '7000' })
    const given = checkOptions(networkOptions, { 'udp-port': '7001' }, environment)
    expect(given.text('interface')).toBe('10.0.0.1')
    expect(given.whole('udp-port')).toBe(7001)
    expect(given.text('log-level')).toBe('warn')
    expect(given.text('peers')).toBeUndefined()
  })

  test('every shared option can come from the environment; nothing else with the prefix is looked at', () => {
    const environment = {
      AMOEBACAST_PORT: 'tcp://10.0.0.1:1',
      AMOEBACAST_SERVICE_HOST: 'x',
      AMOEBACAST_LOG_LEVEL: 'info',
    }
    expect(fromEnvironment(environment)).toEqual({ 'log-level': 'info' })
  })

  test('numbers are whole and inside their bounds', () => {
    const table = { n: { kind: 'whole', describe: '', min: 2, max: 9 } } as const
    for (const value of ['2', '9', '007'])
      expect(checkOptions(table, { n: value }, {}).whole('n')).toBe(Number(value))
    for (const value of ['1', '10', '1e1', '0x3', ' 3', '3.0', '-3', 'three', '9'.repeat(20)]) {
      expect(() => checkOptions(table, { n: value }, {})).toThrow('a whole number from 2 to 9')
    }
  })

  test('options are known by their whole name', () => {
    const table = { json: { kind: 'flag', describe: '' } } as const
    for (const args of [
      ['--json'],
      ['--no-json'],
      ['--json=true'],
      ['--help'],
      ['-h'],
      ['-5'],
      ['--', '--other'],
    ]) {
      expect(() => refuseUnknownOptions(table, args)).not.toThrow()
    }
    expect(() => refuseUnknownOptions(table, ['--jsn'])).toThrow('did you mean --json?')
    expect(() => refuseUnknownOptions(table, ['-json'])).toThrow('did you mean --json?')
    expect(() => refuseUnknownOptions(table, ['--constructor'])).toThrow('unknown option')
  })
})

describe('suggestions', () => {
  test.each([
    ['dmeo', 'demo'],
    ['demonstration', undefined],
    ['no', 'node'],
    ['x', undefined],
    ['NODE', 'node'],
  ])('%s: %s', (given, expected) => {
    expect(nearest(given, ['demo', 'node', 'info'])).toBe(expected)
  })

  test('distances count insertions, deletions, replacements and swaps', () => {
    expect(editDistance('group', 'group')).toBe(0)
    expect(editDistance('grup', 'group')).toBe(1)
    expect(editDistance('gruop', 'group')).toBe(1)
    expect(editDistance('', 'abc')).toBe(3)
    expect(editDistance('kitten', 'sitting')).toBe(3)
  })
})
