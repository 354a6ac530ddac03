import { describe, expect, test } from 'vitest'
import { refuseUnknownVariables } from '../../cli/environment.ts'
import { kernelOptions } from '../../cli/network.ts'
import {
  checkOptions,
  fromEnvironment,
  networkOptions,
  type OptionTable,
  readFlags,
  refuseRepeatedOptions,
  refuseUnknownOptions,
} from '../../cli/options.ts'
import { editDistance, nearest } from '../../kernel/nearest.ts'

describe('options', () => {
  test('the command line wins over the environment, the environment over defaults', () => {
    const environment = fromEnvironment({ AMOEBACAST_INTERFACE: '10.0.0.1', AMOEBACAST_UDP_PORT: '7000' })
    const given = checkOptions(networkOptions, { 'udp-port': '7001' }, environment)
    expect(given.text('interface')).toBe('10.0.0.1')
    expect(given.whole('udp-port')).toBe(7001)
    expect(given.text('log-level')).toBe('warn')
    expect(given.text('peers')).toBeUndefined()
  })

  test('every shared option can come from the environment, and nothing else', () => {
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
    expect(() => refuseUnknownOptions({ group: { kind: 'text', describe: '' } }, ['--grp'])).toThrow(
      'did you mean --group?',
    )
    expect(() => refuseUnknownOptions(table, ['-json'])).toThrow('did you mean --json?')
    expect(() => refuseUnknownOptions(table, ['--constructor'])).toThrow('unknown option')
  })
})

describe('flags and repeated options', () => {
  const table: OptionTable = {
    json: { kind: 'flag', describe: '' },
    group: { kind: 'text', describe: '' },
  }

  test.each([
    [['--json=true'], ['--json']],
    [['--json=1'], ['--json']],
    [['--json=false'], ['--no-json']],
    [['--json=0'], ['--no-json']],
    [['--no-json'], ['--no-json']],
    [
      ['--json', '--group=maybe', '--', '--json=maybe'],
      ['--json', '--group=maybe', '--', '--json=maybe'],
    ],
  ])('%j is read as %j', (args, read) => {
    expect(readFlags(table, args)).toEqual(read)
    expect(() => refuseRepeatedOptions(table, args)).not.toThrow()
  })

  test.each(['--json=maybe', '--json=fales', '--json=', '--no-json=true'])('%s is neither', (arg) => {
    for (const check of [readFlags, refuseRepeatedOptions])
      expect(() => check(table, [arg])).toThrow(/^--json is ".*"; it must be true or false$/)
  })

  test.each([
    [['--group', 'x', '--group', 'y'], 'group'],
    [['--group=x', '--group', 'x'], 'group'],
    [['--json', '--no-json'], 'json'],
    [['--json=false', '--json'], 'json'],
  ])('%j is refused', (args, name) => {
    expect(() => refuseRepeatedOptions(table, args)).toThrow(`--${name} is given twice; give it once`)
  })

  test('a flag may say the same twice, and what is behind -- is no option', () => {
    expect(() => refuseRepeatedOptions(table, ['--json', '--json=1'])).not.toThrow()
    expect(() => refuseRepeatedOptions(table, ['--group', 'x', '--', '--group'])).not.toThrow()
  })
})

test('every shared option comes to the kernel, under its name there', () => {
  const given = {
    interface: '10.0.0.1',
    transport: 'unicast',
    peers: 'a:7000, b',
    'dns-servers': '10.0.0.53',
    'udp-port': '7001',
    advertise: '10.0.0.9:7002',
    'key-file': 'group.key',
    insecure: true,
    method: 'bb',
    detection: 'fast',
    'log-level': 'debug',
  }
  const options = checkOptions(networkOptions, given, {})
  expect(kernelOptions(options)).toEqual({
    interface: '10.0.0.1',
    transport: 'unicast',
    peers: ['a:7000', 'b'],
    dnsServers: ['10.0.0.53'],
    udpPort: 7001,
    advertise: '10.0.0.9:7002',
    keyFile: 'group.key',
    insecure: true,
    method: 'bb',
    detection: 'fast',
    logLevel: 'debug',
  })
  expect(Object.keys(kernelOptions(options))).toHaveLength(Object.keys(networkOptions).length)
})

describe('the environment', () => {
  test.each(Object.keys(networkOptions))(
    'an empty variable for %s is refused, and not taken for none',
    (name) => {
      const variable = `AMOEBACAST_${name.toUpperCase().replaceAll('-', '_')}`
      const environment = fromEnvironment({ [variable]: '' })
      expect(() => checkOptions(networkOptions, {}, environment)).toThrow(
        new RegExp(`^${variable} is empty; it must be .*, or not be set at all$`),
      )
    },
  )

  test('the command line makes up for an empty variable', () => {
    const environment = fromEnvironment({ AMOEBACAST_KEY_FILE: '' })
    const options = checkOptions(networkOptions, { 'key-file': 'group.key' }, environment)
    expect(options.text('key-file')).toBe('group.key')
    expect([options.isOnLine('key-file'), options.isOnLine('interface')]).toEqual([true, false])
  })
})

describe('variables with the prefix that are not known', () => {
  const refused = (environment: NodeJS.ProcessEnv) => () =>
    refuseUnknownVariables(environment, ['metrics-port', 'group', 'peers'])

  test.each([
    ['AMOEBACAST_KEYFILE', 'did you mean AMOEBACAST_KEY_FILE?'],
    ['AMOEBACAST_PEER', 'did you mean AMOEBACAST_PEERS?'],
    ['AMOEBACAST_UPD_PORT', 'did you mean AMOEBACAST_UDP_PORT?'],
    ['AMOEBACAST_HTTP_TOKEN', 'did you mean AMOEBACAST_HTTP_TOKEN_FILE?'],
    ['AMOEBACAST_interface', 'did you mean AMOEBACAST_INTERFACE?'],
  ])('%s: %s', (name, says) => {
    for (const value of ['x', ''])
      expect(refused({ PATH: '/bin', [name]: value })).toThrow(
        `unknown environment variable ${name}; ${says}`,
      )
  })

  test('an option of the command line only is named as such', () => {
    expect(refused({ AMOEBACAST_METRICS_PORT: '9400' })).toThrow(
      'AMOEBACAST_METRICS_PORT is not read from the environment; give --metrics-port on the command line',
    )
  })

  test('known ones, and those of others, are let pass', () => {
    expect(refused({ AMOEBACAST_PEERS: 'a:1', AMOEBACAST_HTTP_TOKEN_FILE: 'x', AMOEBA: 'y' })).not.toThrow()
    expect(refused({ AMOEBACAST_SCREENSHOTS: 'x', AMOEBACAST_SIM_BASE: '1', AMOEBACAST_: '' })).not.toThrow()
    expect(refused({ AMOEBACAST_HOME: '/x', AMOEBACAST_IMAGE: 'y', AMOEBACAST_VERSION: '1' })).not.toThrow()
  })

  test('what Kubernetes invents for services called amoebacast and amoebacast-pages is let pass', () => {
    for (const service of ['AMOEBACAST', 'AMOEBACAST_PAGES', 'AMOEBACAST_HTTP'])
      expect(
        refused({
          [`${service}_SERVICE_HOST`]: '10.0.0.1',
          [`${service}_SERVICE_PORT`]: '7788',
          [`${service}_SERVICE_PORT_GROUP`]: '7788',
          [`${service}_PORT`]: 'udp://10.0.0.1:7788',
          [`${service}_PORT_7788_UDP`]: 'udp://10.0.0.1:7788',
          [`${service}_PORT_7788_UDP_PROTO`]: 'udp',
          [`${service}_PORT_7788_UDP_PORT`]: '7788',
          [`${service}_PORT_7788_UDP_ADDR`]: '10.0.0.1',
        }),
      ).not.toThrow()
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
