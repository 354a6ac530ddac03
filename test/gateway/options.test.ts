/** The gateway's options: what is wrong is said before anything is opened. */
import { describe, expect, test } from 'vitest'
import { startGateway } from '../../cli/gateway/index.ts'
import { checkGatewayOptions, checkHostedOptions, checkMode } from '../../cli/gateway/options.ts'

const twoGroups = { a: {}, b: {} }

describe('wrong options', () => {
  const wrong: [string, object | null][] = [
    ['the options of startGateway is 5', 5 as never],
    ['the options of startGateway is null', null],
    ['there is no option lisen; did you mean listen?', { lisen: '127.0.0.1:0' }],
    ['listen is 5; it must be an address', { listen: 5 }],
    ['listen is null; it must be an address', { listen: null }],
    ['kernel is 5; it must be a kernel, from startKernel', { kernel: 5 }],
    ['kernel is Object; it must be a kernel, from startKernel', { kernel: {} }],
    ['kernel is null; it must be', { kernel: null }],
    ['the options of startKernel is 5; it must be an object', { kernelOptions: 5 }],
    ['the options of startKernel is null', { kernelOptions: null }],
    ['there is no option interfce; did you mean interface?', { kernelOptions: { interfce: '::1' } }],
    ['logLevel is "loud"; it must be', { kernelOptions: { logLevel: 'loud' } }],
    ['groups is 5; it must be an object', { groups: 5 }],
    ['groups is null; it must be an object', { groups: null }],
    ['groups is Array; it must be an object', { groups: [] }],
    ['groups is Array; it must be an object', { groups: ['orders'] }],
    ['port is ""; it must be', { groups: { '': {} } }],
    ['the options of a group of the gateway is null', { groups: { a: null } }],
    ['there is no option resilence; did you mean resilience?', { groups: { ok: {}, a: { resilence: 1 } } }],
    ['there is no option codec', { groups: { a: { codec: 'binary' } } }],
    ['minStarters is 65; it must be at most maxMembers (64)', { groups: { a: { minStarters: 65 } } }],
    ['groups is "2 groups"; it must be at most maxGroups (1)', { groups: twoGroups, maxGroups: 1 }],
    ['logger is 5; it must be a pino logger', { logger: 5 }],
    ['logger is null; it must be a pino logger', { logger: null }],
    ['signal is 5; it must be an AbortSignal', { signal: 5 }],
    ['signal is null; it must be an AbortSignal', { signal: null }],
    ['maxGroups is 0; it must be a whole number from 1 to 1024', { maxGroups: 0 }],
    ['maxGroups is null; it must be a whole number', { maxGroups: null }],
    ['sendMs is "1s"; it must be a whole number', { sendMs: '1s' }],
  ]
  test.each(wrong)('%s', async (says, given) => {
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(says) }
    expect(() => checkGatewayOptions(given as never)).toThrow(expect.objectContaining(refused))
  })

  test('are what startGateway fails with', async () => {
    const listen = '127.0.0.1:0'
    await expect(startGateway({ listen, kernel: 5 as never })).rejects.toThrow('kernel is 5')
    await expect(startGateway({ listen, token: null as never })).rejects.toThrow('token is no string')
  })

  test('what is undefined is not given', () => {
    const given = {
      listen: undefined,
      kernel: undefined,
      groups: undefined,
      signal: undefined,
      sendMs: undefined,
    }
    expect(checkGatewayOptions(given as object)).toMatchObject({
      listen: { host: '127.0.0.1', port: 7070 },
      limits: { sendMs: 30_000 },
    })
    expect(checkGatewayOptions({ groups: {} }).groups).toEqual({})
  })
})

describe('options of a group', () => {
  test('starters are waited for where the group is joined or created', () => {
    expect(checkHostedOptions({ minStarters: 3 }, 'join-or-create')).toEqual({ rejoin: true, minStarters: 3 })
    for (const mode of ['create', 'join'] as const) {
      expect(checkHostedOptions({ minStarters: 1 }, mode)).toMatchObject({ minStarters: 1 })
      expect(() => checkHostedOptions({ minStarters: 3 }, mode)).toThrow(
        `minStarters is 3; it must be left out with mode '${mode}', which waits for no starters`,
      )
    }
  })

  test('the mode that was probably meant is named', () => {
    expect(() => checkMode('creat')).toThrow(
      "it must be 'create' or 'join' or 'join-or-create'; did you mean 'create'?",
    )
    expect(() => checkMode('join-or-creat')).toThrow("did you mean 'join-or-create'?")
  })
})
