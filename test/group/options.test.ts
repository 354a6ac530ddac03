import { describe, expect, test } from 'vitest'
import { detectionPresets } from '../../group/member/options.ts'
import { checkGroupOptions, checkKernelOptions, checkPort } from '../../group/options.ts'
import { nearest } from '../../kernel/nearest.ts'

describe('options of a kernel', () => {
  test('the defaults send nothing onto a network', () => {
    const options = checkKernelOptions()
    expect(options).toMatchObject({
      interface: '127.0.0.1',
      transport: 'multicast',
      udpPort: 0,
      logLevel: 'warn',
    })
    expect(options.detection).toEqual(detectionPresets.default)
    expect(checkKernelOptions({ interface: '::1' }).transport).toBe('unicast')
    expect(checkKernelOptions({ interface: undefined, peers: undefined })).toMatchObject({
      interface: '127.0.0.1',
    })
  })

  test('detection times are a preset, or single times over one', () => {
    expect(checkKernelOptions({ detection: 'fast' }).detection).toEqual(detectionPresets.fast)
    expect(checkKernelOptions({ detection: { tries: 20 } }).detection).toEqual({
      ...detectionPresets.default,
      tries: 20,
    })
    const wan = checkKernelOptions({ detection: { preset: 'wan', tries: 20 } }).detection
    expect(wan).toEqual({ ...detectionPresets.wan, tries: 20 })
  })

  const wrong: [string, object][] = [
    ['interface', { interface: 'eth0' }],
    ['interface', { interface: 5 }],
    ['interface', { interface: null }],
    ['transport', { transport: 'tcp' }],
    ['transport', { transport: null }],
    ['peers', { peers: ['nowhere'] }],
    ['peers', { peers: 7 }],
    ['dnsServers', { dnsServers: null }],
    ['dnsWaitMs', { dnsWaitMs: -1 }],
    ['udpPort', { udpPort: -1 }],
    ['udpPort', { udpPort: 65_536 }],
    ['advertise', { advertise: 'some where' }],
    ['advertise', { advertise: 'some-name:7000' }],
    ['advertise', { advertise: null }],
    ['detection', { detection: 'slow' }],
    ['detection.tries', { detection: { tries: 0 } }],
    ['detection.tries', { detection: { tries: 101 } }],
    ['detection.locateTries', { detection: { locateTries: 3_600_000 } }],
    ['detection.minRtoMs', { detection: { minRtoMs: 900 } }],
    ['detection.heartbeatFirstMs', { detection: { heartbeatFirstMs: 5000, heartbeatIdleMs: 10 } }],
    ['detection.heartbeatFirstMs', { detection: { heartbeatIdleMs: 5 } }],
    ['method', { method: 'cc' }],
    ['methodThreshold', { methodThreshold: -1 }],
    ['methodThreshold', { methodThreshold: 2 ** 24 + 1 }],
    ['methodThreshold', { methodThreshold: 100, method: 'pb' }],
    ['methodThreshold', { methodThreshold: 100, method: 'bb' }],
    ['packetSize', { packetSize: 511 }],
    ['metricsPort', { metricsPort: 1.5 }],
    ['httpInterface', { httpInterface: '127.0.0.1' }],
    ['httpToken', { httpToken: 'sixteen-characters' }],
    ['logLevel', { logLevel: 'loud' }],
    ['name', { name: '' }],
    ['options', 5 as never],
  ]
  test.each(wrong)('a wrong %s is named', (field, given) => {
    expect(() => checkKernelOptions(given)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }))
    expect(() => checkKernelOptions(given)).toThrow(field)
  })

  const nobodys: [object, string][] = [
    ...['0.0.0.0', '224.0.0.1', '239.1.2.3', '255.255.255.255'].flatMap((host): [object, string][] => [
      [{ advertise: host }, 'not unspecified'],
      [{ advertise: `${host}:7000` }, 'not unspecified'],
      [{ peers: [`${host}:7000`] }, 'not unspecified'],
      [{ peers: host, udpPort: 7000 }, 'not unspecified'],
    ]),
    ...['[::]:7000', '[ff02::1]:7000', '[0:0::0]:7000'].flatMap((address): [object, string][] => [
      [{ advertise: address, interface: '::1' }, 'not unspecified'],
      [{ peers: address, interface: '::1' }, 'not unspecified'],
    ]),
    ...['10.0.0.1:0', '10.0.0.1:99999', 'work.svc:65536', '[::1]:0', '10.0.0.1:123456'].flatMap(
      (address): [object, string][] => [
        [{ advertise: address }, 'given with a port from 1 to 65535'],
        [{ peers: ['10.0.0.2:7000', address] }, 'given with a port from 1 to 65535'],
      ],
    ),
  ]
  test.each(nobodys)('%j is no address of a member: %s', (given, says) => {
    expect(() => checkKernelOptions(given)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }))
    expect(() => checkKernelOptions(given)).toThrow(says)
  })

  test('addresses of members are taken', () => {
    for (const host of ['10.0.0.1', '169.254.1.1', '240.0.0.1']) {
      checkKernelOptions({ advertise: host, peers: [`${host}:1`, `${host}:65535`, 'work.svc:7788'] })
    }
    checkKernelOptions({ interface: '::1', advertise: '[2001:db8::1]:7000', peers: '[fe80::1%lo]:7000' })
  })

  const slips: [string, object][] = [
    ['unicast', { transport: 'unicats' }],
    ['multicast', { transport: 'multi' }],
    ['pb', { method: 'PB' }],
    ['warn', { logLevel: 'wran' }],
    ['warn', { logLevel: 'warning' }],
    ['fast', { detection: 'fats' }],
    ['fast', { detection: { preset: 'fsat' } }],
  ]
  test.each(slips)("the value '%s' is suggested for %j", (meant, given) => {
    expect(() => checkKernelOptions(given)).toThrow(new RegExp(`it must be .*; did you mean '${meant}'\\?$`))
  })

  test('nothing is suggested for what is far from all', () => {
    expect(() => checkKernelOptions({ method: 'cc' as never })).toThrow(/it must be 'auto' or 'pb' or 'bb'$/)
  })

  test('a token that nobody would be asked for is not shown', () => {
    const httpToken = 'sixteen-characters'
    expect(() => checkKernelOptions({ httpToken })).toThrow('httpToken is given without metricsPort')
    expect(() => checkKernelOptions({ httpInterface: '127.0.0.2' })).toThrow(
      'httpInterface (127.0.0.2) is given without metricsPort',
    )
    expect(() => checkKernelOptions({ httpToken })).not.toThrow(httpToken)
    expect(checkKernelOptions({ httpToken, metricsPort: 0, httpInterface: '::1' })).toMatchObject({
      httpToken,
    })
  })

  test('unknown options are refused, naming the nearest', () => {
    const unknown =
      (given: object): (() => void) =>
      () =>
        checkKernelOptions(given)
    expect(unknown({ interfce: '127.0.0.1' })).toThrow('there is no option interfce; did you mean interface?')
    expect(unknown({ detection: { trys: 4 } })).toThrow(
      'there is no option detection.trys; did you mean detection.tries?',
    )
    expect(unknown({ colour: 'red' })).toThrow('known are interface, transport')
  })
})

describe('options of a group', () => {
  test('parameters and own settings are told apart', () => {
    const header = new Uint8Array(3)
    const options = checkGroupOptions('createGroup', {
      resilience: 1,
      maxMembers: 4,
      header,
      memberName: 'ann',
    })
    expect(options.parameters).toMatchObject({ resilience: 1, maxMembers: 4, historySize: 65_536 })
    expect(options).toMatchObject({ header, memberName: 'ann', role: 'full', copy: false })
  })

  const wrong: [string, object][] = [
    ['resilience', { resilience: 64 }],
    ['resilience', { resilience: 'all' }],
    ['minMembers', { minMembers: 0 }],
    ['recovery', { recovery: 'never' }],
    ['historySize', { historySize: 0 }],
    ['historyBytes', { historyBytes: 5000, maxMessageSize: 4000 }],
    ['maxMessageSize', { maxMessageSize: 2 ** 25 }],
    ['slowMember', { slowMember: 'shout' }],
    ['slowMember', { slowMember: [] }],
    ['slowMember.expelAfterMs', { slowMember: {} }],
    ['slowMember.x', { slowMember: { expelAfterMs: 500, x: 1 } }],
    ['minStarters', { minStarters: 3 }],
    ['header', { header: 'text' }],
    ['header', { header: new Uint8Array(1025) }],
    ['codec', { codec: 'json' }],
    ['copy', { copy: 1 }],
    ['signal', { signal: {} }],
    ['memberName', { memberName: 'x'.repeat(256) }],
    ['role', { role: 'spy' }],
  ]
  test.each(wrong)('a wrong %s is named', (field, given) => {
    expect(() => checkGroupOptions('createGroup', given)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
    )
    expect(() => checkGroupOptions('createGroup', given)).toThrow(field)
  })

  const slips: [string, object][] = [
    ['majority', { resilience: 'majorty' }],
    ['majority', { minMembers: 'majorit' }],
    ['manual', { recovery: 'manuel' }],
    ['block', { slowMember: 'blok' }],
    ['msgpack', { codec: 'msgpck' }],
    ['full', { role: 'ful' }],
  ]
  test.each(slips)("the value '%s' is suggested for %j", (meant, given) => {
    expect(() => checkGroupOptions('createGroup', given)).toThrow(
      new RegExp(`it must be .*; did you mean '${meant}'\\?$`),
    )
  })

  test('fields inside an option are named with it', () => {
    const given = { slowMember: { expelafterMs: 5 } } as object
    expect(() => checkGroupOptions('createGroup', given)).toThrow(
      'there is no option slowMember.expelafterMs; did you mean slowMember.expelAfterMs?',
    )
  })

  test('starters are waited for by joinOrCreateGroup only, and by no more than can be members', () => {
    const check = (caller: string, minStarters: number, maxMembers = 64) =>
      checkGroupOptions(caller, { minStarters, maxMembers }).minStarters
    expect(check('joinOrCreateGroup', 64)).toBe(64)
    expect(() => check('joinOrCreateGroup', 65)).toThrow(
      'minStarters is 65; it must be at most maxMembers (64)',
    )
    expect(check('joinOrCreateGroup', 65, 65)).toBe(65)
    for (const caller of ['createGroup', 'joinGroup']) {
      expect(check(caller, 1)).toBe(1)
      expect(() => check(caller, 2)).toThrow(/left out with .*; joinOrCreateGroup does/)
    }
  })

  test('a slip of the fingers is understood', () => {
    expect(() => checkGroupOptions('joinGroup', { resiliance: 1 } as object)).toThrow(
      'did you mean resilience?',
    )
    expect(nearest('historysize', ['historySize', 'historyBytes'])).toBe('historySize')
    expect(nearest('zzz', ['header', 'codec'])).toBeUndefined()
  })

  test('ports are 1 to 255 bytes of UTF-8', () => {
    checkPort('a')
    checkPort('ü'.repeat(127))
    for (const port of ['', 'ü'.repeat(128), '\ud800', 5, undefined]) {
      expect(() => checkPort(port)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }))
    }
  })
})
