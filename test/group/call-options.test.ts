/** Options of calls: a misspelt one is an error, as with those of a kernel or a group, and nothing is called. */
import { describe, expect, test } from 'vitest'
import type { Group } from '../../group/group.ts'
import { createTestNetwork } from '../../group/testing.ts'
import { checkCallOptions } from '../../kernel/checks.ts'
import { fakeKernel } from './fake.ts'

type Call = (group: Group<string>, options: never) => Promise<unknown>

const calls: [string, string, Call][] = [
  ['sendToGroup', 'header', (group, options) => group.sendToGroup('x', options)],
  ['sendMany', 'signal', (group, options) => group.sendMany(['x'], options)],
  ['receiveFromGroup', 'signal', (group, options) => group.receiveFromGroup(options)],
  ['receiveBatch', 'signal', (group, options) => group.receiveBatch(options)],
  ['receiveEach', 'max', (group, options) => group.receiveEach({ message: () => {} }, options)],
  ['leaveGroup', 'header', (group, options) => group.leaveGroup(options)],
  ['resetGroup', 'header', (group, options) => group.resetGroup(2, options)],
]

describe.each(calls)('%s', (name, field, call) => {
  async function open() {
    const { kernel, rim } = fakeKernel()
    const group = await kernel.createGroup<string>('test')
    const machine = rim.machines[0]!
    return { group, made: () => machine.calls.filter((one) => one.call !== 'open').length }
  }

  test('an unknown option is refused, naming the nearest', async () => {
    const { group, made } = await open()
    const slip = field.replace(/.$/, '')
    await expect(call(group, { [slip]: undefined } as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: `there is no option ${slip}; did you mean ${field}?`,
    })
    expect(made()).toBe(0)
  })

  test.each([5, 'text', null, [], true])('%j are no options', async (options) => {
    const { group, made } = await open()
    await expect(call(group, options as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringMatching(`^the options of ${name} is .*; it must be an object$`),
    })
    expect(made()).toBe(0)
  })

  test('a wrong value is refused', async () => {
    const { group } = await open()
    const wrong = call(group, { [field]: 'wrong' } as never)
    await expect(wrong).rejects.toMatchObject({
      message: expect.stringMatching(`^${field} is "wrong"; it must`),
    })
  })
})

test('a text is no list of bodies: its characters would go out one by one', async () => {
  const { kernel, rim } = fakeKernel()
  const group = await kernel.createGroup<string>('test')
  await expect(group.sendMany('abc')).rejects.toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    message: 'bodies is "abc"; it must be an iterable of bodies, such as an array',
  })
  expect(rim.machines[0]!.callsOf('sendMany')).toEqual([])
  void group.sendMany(new Set(['abc']))
  expect(rim.machines[0]!.callsOf('sendMany')).toHaveLength(1)
})

test('inspectGroup knows its options', async () => {
  await using network = createTestNetwork()
  const kernel = await network.startKernel()
  for (const [options, says] of [
    [{ sgnal: 5 }, 'there is no option sgnal; did you mean signal?'],
    [5, 'the options of inspectGroup is 5; it must be an object'],
    [null, 'the options of inspectGroup is null; it must be an object'],
  ] as const) {
    await expect(kernel.inspectGroup('test', options as never)).rejects.toThrow(says)
  }
})

test('what all objects have is no option', () => {
  const prototype = Object.prototype as unknown as Record<string, unknown>
  prototype.everywhere = 1
  try {
    expect(() => checkCallOptions('sendToGroup', {}, ['header'])).not.toThrow()
    expect(() => checkCallOptions('sendToGroup', { everywhere: 1 }, ['header'])).toThrow('everywhere')
  } finally {
    delete prototype.everywhere
  }
})
