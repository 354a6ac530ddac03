/** Full groups, clients that go away, and readers that do not read. */
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Group, Kernel } from '../../group/index.ts'
import { fakeKernel } from '../group/fake.ts'
import { type Answer, type Client, groupPath, poll, Stage, uniquePort } from './support.ts'

let stage: Stage
let port: string

beforeEach(() => {
  stage = new Stage()
  port = uniquePort()
})
afterEach(() => stage[Symbol.asyncDispose]())

const text = { type: 'text/plain' }

/** A gateway that has created a group, with a member that does not receive, and no room for another message. */
async function fullGroup(
  options: object = {},
): Promise<{ client: Client; member: Group<Uint8Array>; sent: number }> {
  const historySize = 8
  const client = await stage.gateway({ groups: { [port]: { historySize } }, ...options })
  const kernel: Kernel = await stage.kernel()
  const member = await kernel.joinGroup<Uint8Array>(port, { codec: 'binary' })
  let sent = 0
  for (; sent < historySize; sent++) {
    expect(await client.send(port, `m${sent}`, text)).toMatchObject({ status: 200 })
  }
  return { client, member, sent }
}

/** Requests that wait in the gateway. */
async function waiting(client: Client): Promise<number> {
  return (await client.info(port)).body.gateway.waitingRequests
}

/** Large messages, until what may be on its way to the sequencer is full as well, and the next one waits here. */
async function fillOutgoing(client: Client): Promise<Promise<Answer>[]> {
  const fillers: Promise<Answer>[] = []
  const isWaiting = async (): Promise<boolean> => (await client.info(port)).body.waitingSends > 0
  for (let i = 1; !(await isWaiting()); i++) {
    fillers.push(client.send(port, `filler ${'x'.repeat(300_000)}`, text))
    await poll('the filler', async () => (await waiting(client)) === i)
  }
  return fillers
}

async function receiveUntil(member: Group<Uint8Array>, last: string): Promise<string[]> {
  const texts: string[] = []
  while (texts.at(-1) !== last) texts.push(...(await receiveTexts(member, 1)))
  return texts
}

async function receiveTexts(member: Group<Uint8Array>, count: number): Promise<string[]> {
  const texts: string[] = []
  while (texts.length < count) {
    const { kind, body } = await member.receiveFromGroup()
    if (kind === 'message') texts.push(Buffer.from(body!).toString())
  }
  return texts
}

describe('a full group', () => {
  test('makes a POST wait, and it goes on when there is room', async () => {
    const { client, member, sent } = await fullGroup()
    const sending = client.send(port, 'last', text)
    await poll('the waiting send', async () => (await waiting(client)) === 1)
    const texts = await receiveTexts(member, sent + 1)
    expect(await sending).toMatchObject({ status: 200 })
    expect(texts.at(-1)).toBe('last')
  })

  test('a client that goes away takes its waiting message with it', async () => {
    const { client, member, sent } = await fullGroup()
    const fillers = await fillOutgoing(client)
    const before = (await client.info(port)).body.waitingSends
    const gone = new AbortController()
    const sending = client.send(port, 'gone', { ...text, signal: gone.signal })
    await poll('the waiting send', async () => (await client.info(port)).body.waitingSends === before + 1)
    gone.abort()
    await expect(sending).rejects.toThrow()
    await poll('the send to be gone', async () => (await client.info(port)).body.waitingSends === before)
    const received = receiveTexts(member, sent + fillers.length + 1)
    for (const filler of fillers) expect(await filler).toMatchObject({ status: 200 })
    await client.send(port, 'last', text)
    const texts = await received
    expect(texts.at(-1)).toBe('last')
    expect(texts).not.toContain('gone')
  })

  test('a client that goes away does not take the message of another with the same key', async () => {
    const { client, member, sent } = await fullGroup()
    const gone = new AbortController()
    const one = client.send(port, 'shared', { ...text, key: 'k', signal: gone.signal })
    const two = client.send(port, 'shared', { ...text, key: 'k' })
    await poll('both', async () => (await client.info(port)).body.gateway.waitingRequests === 2)
    gone.abort()
    await expect(one).rejects.toThrow()
    await poll('one to be gone', async () => (await client.info(port)).body.gateway.waitingRequests === 1)
    const texts = await receiveTexts(member, sent + 1)
    expect(await two).toMatchObject({ status: 200 })
    expect(texts.at(-1)).toBe('shared')
  })

  test('more waiting requests than there is room for are told to come again', async () => {
    const { client, member, sent } = await fullGroup({ maxWaiting: 2 })
    const waitingSends = [client.send(port, 'a', text), client.send(port, 'b', text)]
    await poll('both', async () => (await client.info(port)).body.gateway.waitingRequests === 2)
    const refused = await client.send(port, 'c', text)
    expect(refused).toMatchObject({ status: 503, body: { code: 'ERR_BUSY', outcome: 'refused' } })
    expect(refused.headers.get('retry-after')).toBe('1')
    const texts = await receiveTexts(member, sent + 2)
    for (const sending of waitingSends) expect(await sending).toMatchObject({ status: 200 })
    expect(texts.slice(-2).sort()).toEqual(['a', 'b'])
  })

  test('bytes of waiting bodies are bounded as well', async () => {
    const { kernel, rim } = fakeKernel()
    const client = await stage.gateway({ kernel, groups: { fake: {} }, maxWaitingBytes: 65_536 })
    const first = client.send('fake', new Uint8Array(60_000))
    await poll('the send', () => rim.machines[0]!.callsOf('send').length === 1)
    expect(await client.send('fake', new Uint8Array(60_000))).toMatchObject({
      status: 503,
      body: { code: 'ERR_BUSY' },
    })
    rim.machines[0]!.emit({ output: 'sent', token: 1, count: 1, seq: 2 })
    expect(await first).toMatchObject({ status: 200 })
    expect((await client.info('fake')).body.gateway).toMatchObject({ waitingRequests: 0, waitingBytes: 0 })
  })

  test('a send is given up after its time, and its outcome told: refused while it waits here', async () => {
    const { client, member } = await fullGroup({ sendMs: 8000 })
    const fillers = await fillOutgoing(client)
    const late = await client.send(port, 'late', text)
    expect(late).toMatchObject({ status: 503, body: { code: 'ERR_ABORTED', outcome: 'refused' } })
    expect(late.headers.get('retry-after')).toBe('1')
    // What had been handed to the sequencer may come yet.
    const unknown = (await Promise.all(fillers)).filter(({ body }) => body.outcome === 'unknown')
    expect(unknown.length).toBeGreaterThan(0)
    for (const { status } of unknown) expect(status).toBe(504)
    const received = receiveUntil(member, 'last')
    expect(await client.send(port, 'last', text)).toMatchObject({ status: 200 })
    expect(await received).not.toContain('late')
  })
})

/** A reader that sends its request and then takes nothing from the connection. */
async function deafReader(client: Client): Promise<{ socket: Socket; isClosed: () => boolean }> {
  const { hostname, port: tcpPort } = new URL(client.url)
  const socket = connect(Number(tcpPort), hostname)
  socket.on('error', () => {})
  stage.onEnd(() => socket.destroy())
  let isClosed = false
  socket.on('close', () => {
    isClosed = true
  })
  socket.pause()
  socket.write(`GET ${groupPath(port)}/events HTTP/1.1\r\nHost: ${hostname}:${tcpPort}\r\n\r\n`)
  await poll('the reader', async () => (await client.info(port)).body.gateway.readers >= 1)
  return { socket, isClosed: () => isClosed }
}

describe('a reader that does not read', () => {
  const large = 'x'.repeat(200_000)

  async function sendMuch(client: Client, count: number): Promise<void> {
    for (let i = 0; i < count; i++) expect((await client.send(port, large, text)).status).toBe(200)
  }

  test('is cut off when its place has left the ring; others and the group go on', async () => {
    const client = await stage.gateway({ groups: { [port]: {} }, ringBytes: 2_000_000 })
    await deafReader(client)
    const other = await client.events(port)
    await poll('both readers', async () => (await client.info(port)).body.gateway.readers === 2)
    // Far more than what the connection's buffers hold.
    await sendMuch(client, 100)
    await other.messages(100)
    await poll('the cut', async () => (await client.info(port)).body.gateway.readers === 1)
    expect(other.isOver).toBe(false)
    expect((await client.info(port)).body.gateway.ringBytes).toBeLessThanOrEqual(2_000_000)
    await client.send(port, 'after', text)
    await other.until('what comes after', ({ texts }) => texts.at(-1) === 'after')
  })

  test('is cut off when it takes nothing for too long', async () => {
    const client = await stage.gateway({ groups: { [port]: {} }, stuckMs: 300 })
    const { socket, isClosed } = await deafReader(client)
    await sendMuch(client, 60)
    await poll('the cut', async () => (await client.info(port)).body.gateway.readers === 0)
    socket.resume()
    await poll('the end of the connection', isClosed)
  })

  test('one that is idle hears heartbeats, and stays', async () => {
    const client = await stage.gateway({ groups: { [port]: {} }, heartbeatMs: 20, stuckMs: 50 })
    const events = await client.events(port)
    await poll('heartbeats', () => events.comments >= 10)
    expect(events.isOver).toBe(false)
  })

  test('more readers than there is room for are told to come again', async () => {
    const client = await stage.gateway({ groups: { [port]: {} }, maxReaders: 1 })
    const events = await client.events(port)
    const path = `${groupPath(port)}/events`
    expect(await client.ask('GET', path)).toMatchObject({ status: 503, body: { code: 'ERR_BUSY' } })
    events.close()
    await poll('room', async () => (await client.info(port)).body.gateway.readers === 0)
    const next = await client.events(port)
    await next.event('open')
  })
})
