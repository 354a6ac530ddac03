import { expect, test } from 'vitest'
import { ErrorCode } from '../../kernel/errors.ts'
import {
  canonicalHost,
  formatAddress,
  groupAddress,
  isNobody,
  localInterface,
  parseAddress,
  splitHostPort,
  wrongPort,
} from '../../kernel/node/addresses.ts'

test.each([
  ['127.0.0.1:4000', '127.0.0.1', 4000],
  ['[::1]:65535', '::1', 65_535],
  ['[2001:DB8:0:0::1]:1', '2001:db8::1', 1],
  ['[fe80::1%eth0]:7', 'fe80::1%eth0', 7],
])('%s is an address', (text, host, port) => {
  expect(parseAddress(text)).toEqual({ host, port })
  expect(parseAddress(formatAddress(host, port))).toEqual({ host, port })
})

test.each([
  '',
  '127.0.0.1',
  '127.0.0.1:0',
  '127.0.0.1:65536',
  '::1:4000',
  '[127.0.0.1]:1',
  'name:4000',
  '1.2.3:4',
  ':5',
  'a b:1',
])('%j is no address', (text) => {
  expect(() => parseAddress(text, 'peer')).toThrow(expect.objectContaining({ code: ErrorCode.invalid }))
  expect(() => parseAddress(text, 'peer')).toThrow(/^peer is /)
})

test('a host may be a name where names are looked up', () => {
  expect(splitHostPort('node-1.example:4000')).toEqual({ host: 'node-1.example', port: 4000 })
})

test('one IPv6 address has one spelling', () => {
  expect(canonicalHost('0:0:0:0:0:0:0:1')).toBe('::1')
  expect(canonicalHost('FE80::0001%eth0')).toBe('fe80::1%eth0')
  expect(canonicalHost('10.0.0.1')).toBe('10.0.0.1')
})

test('group addresses stay in the ranges for such use, and differ', () => {
  const ports = Array.from({ length: 500 }, (_, i) => `port-${i}`)
  const four = ports.map((port) => groupAddress(port, 4))
  for (const address of four) expect(address).toMatch(/^239\.19[2-5]\.\d+\.\d+$/)
  for (const port of ports)
    expect(groupAddress(port, 6)).toMatch(
      /^ff15::[89a-f][0-9a-f]{3}:[0-9a-f]{1,4}$|^ff15::[89a-f][0-9a-f]{3}:0$/,
    )
  expect(new Set(four).size).toBeGreaterThan(495)
  // Every version must find the others: these do not change.
  expect(groupAddress('orders', 4)).toBe(groupAddress('orders', 4))
})

test.each([
  ...[
    '0.0.0.0',
    '0.1.2.3',
    '224.0.0.1',
    '239.255.255.255',
    '255.255.255.255',
    '::',
    '0::0',
    'ff02::1',
    'FF15::8000:1',
  ],
])('%s is nobody', (host) => expect(isNobody(host)).toBe(true))

test.each([
  '1.2.3.4',
  '127.0.0.1',
  '223.255.255.255',
  '240.0.0.1',
  '::1',
  'fe80::1%eth0',
  'fd00::ff02',
  'host',
  'ff.example',
])('%s may be somebody', (host) => expect(isNobody(host)).toBe(false))

test.each([
  ['host:0', true],
  ['10.0.0.1:65536', true],
  ['[::1]:99999', true],
  ['10.0.0.1:65535', false],
  ['[::1]:1', false],
  ['::1', false],
  ['host', false],
])('the port of %s is out of its range: %s', (text, wrong) => expect(wrongPort(text)).toBe(wrong))

test('an interface is one address of this machine', () => {
  expect(localInterface('127.0.0.1')).toMatchObject({
    family: 4,
    loopback: true,
    multicastInterface: '127.0.0.1',
  })
  expect(localInterface('127.3.2.1')).toMatchObject({ loopback: true })
  expect(() => localInterface('0.0.0.0')).toThrow(expect.objectContaining({ code: ErrorCode.invalid }))
  expect(() => localInterface('eth0')).toThrow(expect.objectContaining({ code: ErrorCode.invalid }))
  expect(() => localInterface('203.0.113.77')).toThrow(expect.objectContaining({ code: ErrorCode.address }))
  expect(() => localInterface('203.0.113.77')).toThrow(/choose one of these/)
})
