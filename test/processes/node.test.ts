import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { type CliProcess, Processes } from '../support/processes.ts'
import { madeText } from '../support/texts.ts'
import { freshPort } from './one-order.ts'

const processes = new Processes()

afterEach(() => processes.endAll())

function node(port: string, ...args: string[]): CliProcess {
  return processes.cli(['node', '--group', port, '--interface', '127.0.0.1', ...args])
}

async function ready(started: CliProcess): Promise<CliProcess> {
  await started.waitForEvent('ready', ({ event }) => event === 'ready')
  return started
}

/** Waits for the end; the one line on standard error. */
async function failure(started: CliProcess): Promise<string> {
  await started.exitsWith(1)
  expect(started.stderr).toMatch(/^amoebacast: [^\n]+\n$/)
  return started.stderr
}

describe('amoebacast node', () => {
  test('alone: sends its lines, prints them, leaves at the end of input', async () => {
    const alone = node(freshPort('alone'), '--create')
    alone.child.stdin!.end('one\n\nthree, ümläut\r\nlast without an end')
    await alone.exitsWith(0)
    const [first] = alone.lines
    const seq = Number(first!.split(' ')[0])
    expect(alone.lines).toEqual([
      `${seq} 1 one`,
      `${seq + 1} 1 `,
      `${seq + 2} 1 three, ümläut`,
      `${seq + 3} 1 last without an end`,
    ])
  })

  test('a joiner that assumes other parameters than the group has is told which', async () => {
    const port = freshPort('assumed')
    await ready(node(port, '--json', '--stay', '--create'))
    const others = node(port, '--json', '--join', '--resilience', '2', '--recovery', 'manual')
    const same = node(port, '--json', '--join', '--resilience', '0', '--history-size', '65536')
    for (const joiner of [others, same]) {
      joiner.child.stdin!.end()
      await joiner.exitsWith(0)
    }
    expect(others.stderr).toContain(
      'resilience is 0, and 2 was given; recovery is \\"auto\\", and \\"manual\\" was',
    )
    expect(same.stderr).toBe('')
  })

  test('ready comes first and says who and where it is', async () => {
    const port = freshPort('ready')
    const first = await ready(node(port, '--json', '--stay', '--member-name', 'ada'))
    const second = await ready(node(port, '--json', '--stay', '--member-name', 'bob'))
    expect(first.events[0]).toMatchObject({
      event: 'ready',
      memberId: 1,
      sequencer: 1,
      members: [{ id: 1, name: 'ada' }],
    })
    expect(second.events[0]).toMatchObject({
      event: 'ready',
      memberId: 2,
      sequencer: 1,
      members: [
        { id: 1, name: 'ada' },
        { id: 2, name: 'bob' },
      ],
      incarnation: first.events[0]!.incarnation,
      groupId: first.events[0]!.groupId,
    })
    expect(second.events[0]!.address).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(await first.waitForEvent('the view', ({ event }) => event === 'view')).toMatchObject({
      members: [{ id: 1 }, { id: 2 }],
    })
    expect(await first.waitForEvent('the join', ({ event }) => event === 'delivery')).toMatchObject({
      kind: 'join',
      sender: 2,
      body: null,
    })
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('%s leaves in order', async (signal) => {
    const port = freshPort('stop')
    const first = await ready(node(port, '--json', '--create'))
    const second = await ready(node(port, '--json', '--join'))
    second.kill(signal)
    await second.exitsWith(0)
    await first.waitForEvent(
      'the leave',
      ({ event, kind, sender }) => event === 'delivery' && kind === 'leave' && sender === 2,
    )
    first.kill(signal)
    await first.exitsWith(0)
  })

  test('the sequencer leaves, and the others go on', async () => {
    const port = freshPort('handover')
    const first = await ready(node(port, '--json', '--create', '--stay'))
    const second = await ready(node(port, '--json', '--join', '--stay'))
    const third = await ready(node(port, '--json', '--join', '--stay'))
    first.kill('SIGTERM')
    await first.exitsWith(0)
    for (const left of [second, third])
      await left.waitForEvent('the handover', ({ event, sequencer }) => event === 'view' && sequencer === 2)
    third.child.stdin!.write('after\n')
    for (const left of [second, third]) await left.waitForEvent('the message', ({ body }) => body === 'after')
  })

  test('a group that lives cannot be created, one that does not cannot be joined', async () => {
    const port = freshPort('exists')
    expect(await failure(node(port, '--join'))).toContain('ERR_GROUP_NOT_FOUND')
    await ready(node(port, '--json', '--create', '--stay'))
    expect(await failure(node(port, '--create'))).toContain('ERR_GROUP_EXISTS')
  })

  test('a message over the limit is refused; what came before it is sent', async () => {
    const large = node(freshPort('large'), '--json', '--create', '--max-message-size', '100')
    large.child.stdin!.end(`small\n${'x'.repeat(200)}\nnever\n`)
    await large.exitsWith(1)
    expect(large.stderr).toMatch(/^amoebacast: line 2: [^\n]*ERR_MESSAGE_TOO_LARGE[^\n]*\n$/)
    expect(large.events).toContainEqual({ event: 'refused', line: 2, code: 'ERR_MESSAGE_TOO_LARGE' })
    expect(large.events.filter(({ event }) => event === 'sent')).toMatchObject([{ line: 1 }])
  })

  test('a UDP port or a metrics port in use is one line', async () => {
    const socket = createSocket('udp4').bind({ port: 0, address: '127.0.0.1', exclusive: true })
    await once(socket, 'listening')
    const server = createServer().listen(0)
    await once(server, 'listening')
    try {
      const busy = String(socket.address().port)
      expect(await failure(node(freshPort('busy'), '--create', '--udp-port', busy))).toContain(busy)
      const taken = String((server.address() as AddressInfo).port)
      expect(await failure(node(freshPort('busy'), '--create', '--metrics-port', taken))).toContain(taken)
    } finally {
      socket.close()
      server.close()
    }
  })

  test('serves metrics', async () => {
    const measured = await ready(node(freshPort('metrics'), '--json', '--create', '--metrics-port', '0'))
    measured.child.stdin!.write('one\n')
    await measured.waitForEvent('sent', ({ event }) => event === 'sent')
    const address = String(measured.events[0]!.metrics)
    const page = await (await fetch(`http://${address}/metrics`)).text()
    expect(page).toMatch(/^amoebacast_is_sequencer\{[^}]*\} 1$/m)
    expect((await fetch(`http://${address}/healthz`)).status).toBe(200)
    expect((await fetch(`http://${address}/readyz`)).status).toBe(200)
  })

  test('a reader of standard output that goes away ends it quietly', async () => {
    const port = freshPort('epipe')
    const first = await ready(node(port, '--json', '--create', '--stay'))
    const second = await ready(node(port, '--json', '--join', '--stay'))
    second.child.stdout!.destroy()
    first.child.stdin!.write('one\ntwo\n')
    await second.exitsWith(0)
    expect(second.stderr).toBe('')
    await first.waitForEvent('the leave', ({ kind }) => kind === 'leave')
  })

  test('a slow reader holds the senders up, and nothing is lost', async () => {
    const port = freshPort('slow')
    const text = madeText(7, 4000).map((line, i) => `${i} ${line}`)
    const count = String(text.length)
    const first = await ready(node(port, '--json', '--create', '--count', count, '--history-size', '256'))
    const second = await ready(node(port, '--json', '--join', '--count', count))
    second.child.stdout!.pause()
    first.child.stdin!.end(`${text.join('\n')}\n`)
    // The pipe and the history are full long before all is sent: the sender stands still.
    await first.waitForEvent('some deliveries', ({ event }) => event === 'delivery')
    second.child.stdout!.resume()
    for (const one of [first, second]) {
      await one.exitsWith(0)
      const bodies = one.events.filter(({ kind }) => kind === 'message').map(({ body }) => body)
      expect(bodies).toEqual(text)
    }
  })

  test('several that neither create nor join end in one group', async () => {
    const port = freshPort('any')
    const all = Array.from({ length: 3 }, () => node(port, '--json', '--stay'))
    for (const one of all) {
      await one.waitForEvent('three members', ({ members }) => Array.isArray(members) && members.length === 3)
    }
    const groups = new Set(all.map((one) => one.events[0]!.groupId))
    expect(groups.size).toBe(1)
  })
})
