/** Names asked of a real DNS server on loopback, and of the system. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lookupAt, parseDnsServers, systemLookup } from '../../kernel/node/lookup.ts'
import { PeerWatch } from '../../kernel/node/peers.ts'
import { DnsServer } from '../support/dns.ts'

let dns: DnsServer
let watch: PeerWatch | undefined

beforeEach(async () => {
  dns = await DnsServer.start()
})
afterEach(async () => {
  watch?.close()
  watch = undefined
  await dns[Symbol.asyncDispose]()
})

describe('a given DNS server', () => {
  test('is asked for A and AAAA', async () => {
    const { addresses } = lookupAt([dns.address])
    await expect(addresses('members.test')).rejects.toMatchObject({ code: 'ENOTFOUND' })
    dns.say('members.test', ['127.0.0.1', '127.0.0.2', 'fd00::5'])
    const found = await addresses('members.test')
    expect([...found].sort()).toEqual(['127.0.0.1', '127.0.0.2', 'fd00::5'])
    expect(new Set(dns.questions.map(({ type }) => type))).toEqual(new Set([1, 28]))
    dns.say('members.test', ['fd00::6'])
    expect(await addresses('members.test')).toEqual(['fd00::6'])
    dns.say('members.test', [])
    await expect(addresses('members.test')).rejects.toMatchObject({ code: 'ENODATA' })
  })

  test('that is silent is given up by cancel', async () => {
    dns.ignore('members.test')
    const lookup = lookupAt([dns.address])
    const asking = lookup.addresses('members.test')
    await dns.waitForQuestions('members.test')
    lookup.cancel()
    await expect(asking).rejects.toMatchObject({ code: 'ECANCELLED' })
  })

  test('that says half is believed, and its silence is told, not that there is no record', async () => {
    const { addresses } = lookupAt([dns.address])
    dns.ignore('half.test', 'AAAA')
    dns.say('half.test', ['127.0.0.1'])
    expect(await addresses('half.test')).toEqual(['127.0.0.1'])
    dns.say('half.test', [])
    await expect(addresses('half.test')).rejects.toMatchObject({ code: 'ETIMEOUT' })
  })

  test.each([
    [4, ['127.0.0.1:7788', '127.0.0.2:7788']],
    [6, ['[fd00::5]:7788']],
  ] as const)('answers late, and each family takes its own (IPv%i)', async (family, expected) => {
    const found = new Promise<readonly string[]>((resolve) => {
      watch = new PeerWatch('members.test:7788', resolve, { family, lookup: lookupAt([dns.address]) })
    })
    watch!.need()
    await dns.waitForQuestions('members.test', 3)
    expect(watch!.unresolved()).toMatchObject([{ name: 'members.test' }])
    dns.say('members.test', ['127.0.0.1', 'fd00::5', '127.0.0.2'])
    expect([...(await found)].sort()).toEqual(expected)
  })
})

test('DNS servers are addresses, with a port or without', () => {
  expect(parseDnsServers('10.0.0.10, 127.0.0.1:5353')).toEqual(['10.0.0.10', '127.0.0.1:5353'])
  expect(parseDnsServers(['[::1]:5353', '::1'])).toEqual(['[::1]:5353', '::1'])
  expect(parseDnsServers([])).toEqual([])
  for (const wrong of ['dns.example', '10.0.0.1:99999', 53, {}, ['10.0.0.10', 'x']]) {
    expect(() => parseDnsServers(wrong)).toThrow(/dnsServers is .*it must be addresses of DNS servers/)
  }
})

test('the system knows localhost', async () => {
  expect(await systemLookup.addresses('localhost')).toContain('127.0.0.1')
})
