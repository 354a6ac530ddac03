/** Options that cannot be meant, and parameters that a joiner assumes and its group does not have. */
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { checkGroupOptions, checkKernelOptions } from '../../group/options.ts'
import { createTestNetwork } from '../../group/testing.ts'
import { otherParameters, parameterDefaults } from '../../kernel/parameters.ts'

const secret = ['httpToken', 'key']

/** The options that exist, as the refusal of one that does not tells them. */
function known(check: (given: object) => unknown): string[] {
  try {
    check({ zzzzzzzzzzzz: 1 })
  } catch (error) {
    return /known are (.*)$/.exec((error as Error).message)![1]!.split(', ')
  }
  throw new Error('an unknown option was taken')
}

describe.each([
  ['startKernel', checkKernelOptions, known(checkKernelOptions)],
  [
    'createGroup',
    (given: object) => checkGroupOptions('createGroup', given),
    known((given) => checkGroupOptions('createGroup', given)),
  ],
] as const)('%s', (_caller, check, fields) => {
  test.each(fields)(
    'a number with a fraction is no %s: the field, the value and what is allowed are named',
    (field) => {
      const given = () => check({ [field]: 1234.5 })
      expect(given).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }))
      // what is secret is not repeated
      const says = secret.includes(field) ? `^${field} ` : `^${field}.* is 1234.5; it must be `
      expect(given).toThrow(new RegExp(says))
    },
  )

  test.each(fields)('a slip in %s is understood', (field) => {
    const slip = `${field.slice(0, -1)}${field.at(-1) === 'x' ? 'y' : 'x'}`
    expect(() => check({ [slip]: 1 })).toThrow(new RegExp(`there is no option ${slip}; did you mean `))
  })
})

describe('parameters of a group that a joiner assumes', () => {
  test('are compared one by one, those that were given', () => {
    const given = {
      resilience: 2,
      historySize: parameterDefaults.historySize,
      slowMember: { expelAfterMs: 5 },
    }
    expect(otherParameters(given, parameterDefaults)).toEqual([
      { field: 'resilience', assumed: '2', actual: '0' },
      { field: 'slowMember', assumed: '{"expelAfterMs":5}', actual: '"block"' },
    ])
  })

  test('are told in the log where the group has others; the group’s count', async () => {
    await using network = createTestNetwork()
    const lines: string[] = []
    const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
    const first = await network.startKernel()
    const second = await network.startKernel({ logger })
    const creating = first.createGroup('work', { resilience: 1, maxMembers: 7 })
    await network.advance(1000)
    await creating
    const joining = second.joinGroup('work', { resilience: 2, maxMembers: 7, historySize: 1000 })
    await network.advance(1000)
    const group = await joining
    expect(group.parameters.resilience).toBe(1)
    const told = lines.filter((line) => line.includes('other parameters'))
    expect(told).toHaveLength(1)
    expect(told[0]).toContain('resilience is 1, and 2 was given; historySize is 65536, and 1000 was given')
    expect(told[0]).not.toContain('maxMembers')
  })
})
