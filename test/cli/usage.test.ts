import { afterEach, describe, expect, test } from 'vitest'
import { commands } from '../../cli/commands.ts'
import { Processes } from '../support/processes.ts'

const processes = new Processes()
const usingNetwork = commands.filter(({ options }) => 'transport' in options).map(({ name }) => name)

afterEach(() => processes.endAll())

async function run(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const started = processes.cli(args, { environment })
  started.child.stdin!.end()
  const { code } = await started.exit
  return { code, stdout: started.lines.join('\n'), stderr: started.stderr }
}

describe('wrong usage: exit status 2 and one line that says what to do', () => {
  test.each([
    { args: [], says: 'which command? demo, node, info, top' },
    { args: ['dmeo'], says: 'unknown command dmeo; did you mean demo?' },
    { args: ['frobnicate'], says: 'unknown command frobnicate; there are demo, node, info, top' },
    { args: ['node'], says: '--group is missing' },
    { args: ['node', '--group'], says: '--group needs a value' },
    { args: ['node', '--group', ''], says: '--group needs a value' },
    { args: ['node', '--grup', 'x'], says: 'unknown option --grup; did you mean --group?' },
    {
      args: ['node', '--group', 'x', '--metric-port=1'],
      says: 'unknown option --metric-port; did you mean --metrics-port?',
    },
    { args: ['node', '--group', 'x', '--create', '--join'], says: 'exclude each other' },
    {
      args: ['node', '--group', 'x', '--count', '0'],
      says: '--count is "0"; it must be a whole number from 1',
    },
    { args: ['node', '--group', 'x', '--udp-port', '65536'], says: 'a whole number from 0 to 65535' },
    { args: ['node', '--group', 'x', '--resilience', 'majorty'], says: 'did you mean majority?' },
    { args: ['node', '--group', 'x', '--recovery', 'automatic'], says: 'one of auto, manual' },
    { args: ['node', '--group', 'x', '--interface', 'nowhere'], says: 'interface is "nowhere"' },
    { args: ['node', '--group', 'x'.repeat(256)], says: '255 bytes' },
    {
      args: ['node', '--group', 'x', '--rejoin=maybe'],
      says: '--rejoin is "maybe"; it must be true or false',
    },
    { args: ['node', '--group', 'x', '--insecure=maybe'], says: '--insecure is "maybe"' },
    { args: ['node', '--group', 'x', '--json=fales'], says: '--json is "fales"' },
    { args: ['node', '--group', 'x', '--group', 'y'], says: '--group is given twice; give it once' },
    {
      args: ['node', '--group', 'x', '--create', '--min-starters', '3'],
      says: '--min-starters cannot go with --create, which waits for no starters; leave --create out',
    },
    { args: ['node', '--group', 'x', '--join', '--min-starters=3'], says: 'cannot go with --join' },
    {
      args: ['node', '--group', 'x', '--http-token-file', '/does/not/exist'],
      says: '--http-token-file has no effect without --metrics-port',
    },
    { args: ['gateway', '--http-interface', '127.0.0.1'], says: 'has no effect without --metrics-port' },
    { args: ['node', '--group', 'x', '--advertise', '0.0.0.0'], says: 'the address of one process' },
    { args: ['info', '--group', 'x', '--peers', '224.0.0.1:7000'], says: 'the address of one process' },
    { args: ['demo', '--transport', 'multi'], says: 'did you mean multicast?' },
    { args: ['demo', '--seconds', '1.5'], says: '--seconds is "1.5"' },
    { args: ['demo', '--members', '3', 'now'], says: 'does not know what "now" is for' },
    { args: ['demo', '--kill', '--members', '2'], says: 'set --members 3 or more' },
    { args: ['info'], says: '--group is missing' },
    { args: ['top', '--group', 'x', '--sort', 'size'], says: 'it must be one of id, lag, name' },
    { args: ['completion', '--shell', 'fish'], says: 'it must be one of bash, zsh' },
    {
      args: ['node', '--group', 'x', '--metrics-port', '0', '--http-interface', '0.0.0.0'],
      says: 'beyond loopback, need a token; give httpToken (--http-token-file)',
    },
    {
      args: ['node', '--group', 'x', '--metrics-port', '0', '--http-token-file', '/does/not/exist'],
      says: 'the token file /does/not/exist cannot be read (ENOENT)',
    },
  ])('amoebacast $args', async ({ args, says }) => {
    const { code, stdout, stderr } = await run(args)
    expect(stderr).toContain(says)
    expect(stderr).toMatch(/^amoebacast: [^\n]+\n$/)
    expect(stdout).toBe('')
    expect(code).toBe(2)
  })

  test('a wrong value in the environment is named as such', async () => {
    const { code, stderr } = await run(['info', '--group', 'x'], { AMOEBACAST_DETECTION: 'quick' })
    expect(stderr).toContain('AMOEBACAST_DETECTION is "quick"; it must be one of default, fast, wan')
    expect(code).toBe(2)
  })

  test('a misspelt variable is no way to go without what it says', async () => {
    const { code, stdout, stderr } = await run(['node', '--group', 'x'], { AMOEBACAST_KEYFILE: 'group.key' })
    expect(stderr).toBe(
      'amoebacast: unknown environment variable AMOEBACAST_KEYFILE; did you mean AMOEBACAST_KEY_FILE?\n',
    )
    expect([code, stdout]).toEqual([2, ''])
  })

  test.each(['AMOEBACAST_KEY_FILE', 'AMOEBACAST_PEERS', 'AMOEBACAST_HTTP_TOKEN_FILE'])(
    'an empty %s is no way to say none',
    async (variable) => {
      const { code, stderr } = await run(['node', '--group', 'x'], { [variable]: '' })
      expect(stderr).toMatch(
        new RegExp(`^amoebacast: ${variable} is empty; it must be .*, or not be set at all\n$`),
      )
      expect(code).toBe(2)
    },
  )
})

describe('help', () => {
  test('lists the commands that exist', async () => {
    const { code, stdout, stderr } = await run(['--help'])
    for (const { name } of commands) expect(stdout).toContain(`amoebacast ${name} `)
    expect(stdout).not.toContain('amoebacast frobnicate ')
    expect([code, stderr]).toEqual([0, ''])
  })

  test.each(usingNetwork)('of %s has examples and the network options', async (command) => {
    const { code, stdout, stderr } = await run([command, '--help'])
    expect(stdout).toContain('Examples:')
    expect(stdout).toContain('--transport')
    expect(stdout).toContain('AMOEBACAST_INTERFACE')
    expect([code, stderr]).toEqual([0, ''])
  })

  test('--version', async () => {
    const { code, stdout } = await run(['--version'])
    expect(stdout).toMatch(/^\d+\.\d+\.\d+$/)
    expect(code).toBe(0)
  })
})
