import { afterEach, describe, expect, test } from 'vitest'
import { Processes } from '../support/processes.ts'
import { freshPort } from './one-order.ts'

const processes = new Processes()

afterEach(() => processes.endAll())

describe('amoebacast info', () => {
  test.each(['multicast', 'unicast'])('asks a live group without joining it, %s', async (transport) => {
    const common = [
      '--group',
      freshPort('info'),
      '--interface',
      '127.0.0.1',
      '--transport',
      transport,
      '--json',
    ]
    const first = processes.cli(['node', ...common, '--create', '--stay', '--history-size', '500'])
    const { address } = await first.waitForEvent('ready', ({ event }) => event === 'ready')
    const peers = ['--peers', String(address)]
    const second = processes.cli(['node', ...common, '--join', '--stay', ...peers])
    await second.waitForEvent('ready', ({ event }) => event === 'ready')
    second.child.stdin!.write('one\ntwo\n')
    for (const one of [first, second]) await one.waitForEvent('two', ({ body }) => body === 'two')

    const info = processes.cli(['info', ...common, ...peers])
    await info.exitsWith(0)
    expect(info.lines).toHaveLength(1)
    const { seq } = second.events.find(({ body }) => body === 'two')!
    expect(info.events[0]).toMatchObject({
      event: 'info',
      view: { sequencer: 1, members: [{ id: 1 }, { id: 2 }] },
      seq,
      accepted: seq,
      historySize: 500,
    })
    // Nobody joined, nobody left.
    expect(first.events.filter(({ event }) => event === 'view')).toHaveLength(1)
  })

  test('the last member leaves after it was asked', async () => {
    const common = ['--group', freshPort('asked'), '--interface', '127.0.0.1', '--json']
    const alone = processes.cli(['node', ...common, '--create', '--stay'])
    await alone.waitForEvent('ready', ({ event }) => event === 'ready')
    await processes.cli(['info', ...common]).exitsWith(0)
    alone.kill('SIGTERM')
    await alone.exitsWith(0)
  })

  test('of a group that is not there fails in one line', async () => {
    const info = processes.cli(['info', '--group', freshPort('nobody'), '--interface', '127.0.0.1'])
    await info.exitsWith(1)
    expect(info.stderr).toMatch(/^amoebacast: [^\n]*ERR_GROUP_NOT_FOUND[^\n]*\n$/)
    expect(info.lines).toEqual([])
  })
})
