import { describe, expect, test } from 'vitest'
import { detectionPresets } from '../../group/member/options.ts'
import { checkGroupOptions, checkKernelOptions, checkPort, nearestName } from '../../group/options.ts'

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
    ['transport', { transport: 'tcp' }],
    ['peers', { peers: ['nowhere'] }],
    ['peers', { peers: ['10.0.0.1:99999'] }],
    ['peers', { peers: 7 }],
    ['udpPort', { udpPort: -1 }],
    ['udpPort', { udpPort: 65_536 }],
    ['advertise', { advertise: 'some where' }],
    ['detection', { detection: 'slow' }],
    ['detection.tries', { detection: { tries: 0 } }],
    ['detection.minRtoMs', { detection: { minRtoMs: 900 } }],
    ['method', { method: 'cc' }],
    ['methodThreshold', { methodThreshold: -1 }],
    ['methodThreshold', { methodThreshold: 2 ** 24 + 1 }],
    ['packetSize', { packetSize: 511 }],
    ['metricsPort', { metricsPort: 1.5 }],
    ['logLevel', { logLevel: 'loud' }],
    ['name', { name: '' }],
    ['options', 5 as never],
  ]
  test.each(wrong)('a wrong %s is named', (field, given) => {
    expect(() => checkKernelOptions(given)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }))
    expect(() => checkKernelOptions(given)).toThrow(field)
  })

  test('unknown options are refused, naming the nearest', () => {
    const unknown =
      (given: object): (() => void) =>
      () =>
        checkKernelOptions(given)
    expect(unknown({ interfce: '127.0.0.1' })).toThrow('there is no option interfce; did you mean interface?')
    expect(unknown({ detection: { trys: 4 } })).toThrow('did you mean tries?')
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

  test('a slip of the fingers is understood', () => {
    expect(() => checkGroupOptions('joinGroup', { resiliance: 1 } as object)).toThrow(
      'did you mean resilience?',
    )
    expect(nearestName('historysize', ['historySize', 'historyBytes'])).toBe('historySize')
    expect(nearestName('zzz', ['header', 'codec'])).toBeUndefined()
  })

  test('ports are 1 to 255 bytes of UTF-8', () => {
    checkPort('a')
    checkPort('ü'.repeat(127))
    for (const port of ['', 'ü'.repeat(128), '\ud800', 5, undefined]) {
      expect(() => checkPort(port)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }))
    }
  })
})
