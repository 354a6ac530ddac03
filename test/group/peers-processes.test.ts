/** Names among the peers from the shell, and programs that must end by themselves while names are unanswered. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DnsServer } from '../support/dns.ts'
import { Processes } from '../support/processes.ts'

const processes = new Processes()
let dns: DnsServer

beforeEach(async () => {
  dns = await DnsServer.start()
})
afterEach(async () => {
  await processes.endAll()
  await dns[Symbol.asyncDispose]()
})

describe('amoebacast node', () => {
  test('joins by a DNS name, given by options or by the environment', async () => {
    const common = ['node', '--json', '--stay', '--transport', 'unicast', '--group', `names ${process.pid}`]
    const first = processes.cli([...common, '--create', '--interface', '127.0.0.2'])
    const { address } = await first.waitForEvent('ready', ({ event }) => event === 'ready')
    const peers = `members.test:${String(address).split(':')[1]}`
    const second = processes.cli([...common, '--join', '--peers', peers, '--dns-servers', dns.address])
    await dns.waitForQuestions('members.test', 4)
    dns.say('members.test', ['127.0.0.2', 'fd00::1'])
    await second.waitForEvent('ready', ({ event }) => event === 'ready')
    expect(second.stderr.match(/does not resolve/g)).toHaveLength(1)
    const environment = { AMOEBACAST_PEERS: peers, AMOEBACAST_DNS_SERVERS: dns.address }
    const third = processes.cli([...common, '--join'], { environment })
    expect(await third.waitForEvent('ready', ({ event }) => event === 'ready')).toMatchObject({ memberId: 3 })
    expect(third.stderr).toBe('')
  })

  test('refuses a name without a port, and says what to do', async () => {
    const refused = processes.cli(['node', '--group', 'x', '--peers', 'members.test'])
    await refused.exitsWith(2)
    expect(refused.stderr).toMatch(/^amoebacast: peers is "members\.test"; [^\n]*members\.test:7788[^\n]*\n$/)
  })

  test('explains it in --help', async () => {
    const help = processes.cli(['node', '--help'])
    await help.exitsWith(0)
    const text = help.lines.join(' ').replace(/\s+/g, ' ')
    expect(text).toMatch(/--peers .*DNS name.*--dns-servers .*--peers work\.svc:7788/)
  })
})

/** Runs a program against the built package; `names` is a kernel's options. */
async function run(statements: string, options: object): Promise<string> {
  const door = new URL('../../dist/group/index.js', import.meta.url).href
  const program = `
    import { startKernel } from ${JSON.stringify(door)}
    const kernel = await startKernel(${JSON.stringify({ dnsServers: [dns.address], logLevel: 'silent', ...options })})
    ${statements}`
  const args = ['--unhandled-rejections=strict', '--input-type=module', '--eval', program]
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000, cwd })
  return stdout
}

describe('a program', () => {
  test('that waits for a name stays alive until it has waited long enough, and then ends', async () => {
    const options = { transport: 'unicast', peers: ['nowhere.test:1'], dnsWaitMs: 500 }
    const stdout = await run(
      `await kernel.joinGroup('x').catch(({ message }) => console.log(message))`,
      options,
    )
    expect(stdout).toContain('nowhere.test (ENOTFOUND)')
  })

  test('ends where a kernel with unanswered names is left open, or is closed', async () => {
    dns.ignore('silent.test')
    const options = { peers: ['nowhere.test:1', 'silent.test:1'] }
    expect(await run(`console.log('open')`, options)).toBe('open\n')
    const closing = `
      const opening = kernel.createGroup('x').catch(({ code }) => console.log(code))
      const before = performance.now()
      process.on('exit', () => console.log(performance.now() - before < 900 ? 'at once' : 'late'))
      setTimeout(() => kernel.close(), 50)`
    expect(await run(closing, options)).toBe('ERR_GROUP_CLOSED\nat once\n')
  })
})
