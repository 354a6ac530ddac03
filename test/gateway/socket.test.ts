/** Both directions over one WebSocket. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fakeKernel, joins } from '../group/fake.ts'
import { groupPath, poll, SocketClient, Stage, uniquePort } from './support.ts'

let stage: Stage
let port: string

beforeEach(() => {
  stage = new Stage()
  port = uniquePort()
})
afterEach(() => stage[Symbol.asyncDispose]())

describe('a WebSocket', () => {
  test('sends, hears what became of it, and receives in order', async () => {
    const client = await stage.gateway({ groups: { [port]: {} } })
    const socket = await client.socket(port)
    socket.send({ type: 'send', id: 1, json: { a: [1, 2] } })
    socket.send({ type: 'send', id: 'two', text: 'grüße', key: 'k' })
    socket.send({ type: 'send', id: 3, base64: 'AQL/', contentType: 'image/x-test' })
    socket.send({ type: 'send', id: 4, text: 'grüße', key: 'k' })
    await socket.until('four replies', (one) => one.of('ordered').length === 4)
    await socket.until('three messages', (one) => one.events('message').length === 3)
    const seqs = new Map(socket.of('ordered').map(({ id, seq }) => [id, seq]))
    expect(seqs.get(4)).toBe(seqs.get('two'))
    const told = socket.events('message').map(({ data }) => data)
    expect(told.map(({ seq }) => seq)).toEqual([seqs.get(1), seqs.get('two'), seqs.get(3)])
    expect(told).toMatchObject([
      { contentType: 'application/json', json: { a: [1, 2] } },
      { contentType: 'text/plain; charset=utf-8', text: 'grüße', key: 'k' },
      { contentType: 'image/x-test', base64: 'AQL/' },
    ])
  })

  test('resumes behind an id, as event streams do', async () => {
    const client = await stage.gateway({ groups: { [port]: {} } })
    const first = await client.socket(port)
    for (const text of ['a', 'b', 'c']) await client.send(port, text, { type: 'text/plain' })
    await first.until('three messages', (one) => one.events('message').length === 3)
    const { id } = first.events('message')[0]
    first.close()
    const second = await client.socket(port, `?resume=${id}`)
    await second.until('two messages', (one) => one.events('message').length === 2)
    expect(second.events('message').map(({ data }) => data.text)).toEqual(['b', 'c'])
    expect(second.events('gap')).toEqual([])
    const third = await client.socket(port, '?from=oldest')
    await third.until('three messages', (one) => one.events('message').length === 3)
  })

  test('without events it only sends', async () => {
    const client = await stage.gateway({ groups: { [port]: {} } })
    const socket = await client.socket(port, '?events=false')
    socket.send({ type: 'send', id: 1, text: 'x' })
    await socket.until('the reply', (one) => one.of('ordered').length === 1)
    expect(socket.arrivals.all).toHaveLength(1)
    expect((await client.info(port)).body.gateway.readers).toBe(0)
  })

  test.each([
    ['not JSON', null, 'not JSON'],
    ['[]', null, 'not a JSON object'],
    ['{"type":"post","id":1,"text":"x"}', 1, 'type is "post"'],
    ['{"type":"send","text":"x"}', null, 'id is undefined'],
    ['{"type":"send","id":1}', 1, 'has one of json, text, base64'],
    ['{"type":"send","id":1,"text":"x","json":1}', 1, 'this one has 2'],
    ['{"type":"send","id":1,"text":5}', 1, 'text is 5'],
    ['{"type":"send","id":1,"base64":"%"}', 1, 'base64 is "%"'],
    ['{"type":"send","id":1,"text":"x","key":""}', 1, 'key must be'],
    ['{"type":"send","id":1,"text":"{","contentType":"application/json"}', 1, 'is said to be JSON'],
    ['{"type":"send","id":1,"text":"x","kex":"k"}', 1, 'field is "kex"'],
  ])('%s fails with a reason, and the socket goes on', async (request, id, says) => {
    const client = await stage.gateway({ groups: { [port]: {} } })
    const socket = await client.socket(port)
    socket.send(request)
    await socket.until('the reply', (one) => one.of('failed').length === 1)
    expect(socket.of('failed')[0]).toMatchObject({ id, status: 400, message: expect.stringContaining(says) })
    socket.send({ type: 'send', id: 9, text: 'x' })
    await socket.until('the reply', (one) => one.of('ordered').length === 1)
  })

  test('too large a message fails; too large a frame ends it', async () => {
    const client = await stage.gateway({ groups: { [port]: { maxMessageSize: 10_000 } } })
    const socket = await client.socket(port)
    socket.send({ type: 'send', id: 1, text: 'x'.repeat(10_001) })
    await socket.until('the reply', (one) => one.of('failed').length === 1)
    expect(socket.of('failed')[0]).toMatchObject({ id: 1, status: 413, outcome: 'refused' })
    socket.send({ type: 'send', id: 2, text: 'x'.repeat(100_000) })
    await socket.until('the end', ({ closeCode }) => closeCode === 1009)
  })

  test('binary frames are not understood', async () => {
    const client = await stage.gateway({ groups: { [port]: {} } })
    const socket = await client.socket(port)
    socket.sendBinary(Uint8Array.of(1))
    await socket.until('the end', ({ closeCode }) => closeCode === 1003)
  })

  test('outcomes are told with their status', async () => {
    const { kernel } = fakeKernel((machine, call) => {
      joins()(machine, call)
      if (call.call !== 'send') return
      machine.emit({
        output: 'failed',
        token: call.token,
        code: 'ERR_EXPELLED',
        message: 'no',
        outcome: 'unknown',
      })
    })
    const client = await stage.gateway({ kernel, groups: { [port]: {} } })
    const socket = await client.socket(port)
    socket.send({ type: 'send', id: 1, text: 'x' })
    await socket.until('the reply', (one) => one.of('failed').length === 1)
    expect(socket.of('failed')[0]).toEqual({
      type: 'failed',
      id: 1,
      status: 504,
      code: 'ERR_EXPELLED',
      message: 'no',
      outcome: 'unknown',
    })
  })

  test('a client that sends faster than the group orders is not read on; one that goes away takes its sends along', async () => {
    const { kernel, rim } = fakeKernel((machine, call) => {
      joins()(machine, call)
      if (call.call !== 'cancel') return
      machine.emit({
        output: 'failed',
        token: call.token,
        code: 'ERR_ABORTED',
        message: 'no',
        outcome: 'refused',
      })
    })
    const client = await stage.gateway({ kernel, groups: { [port]: {} } })
    const socket = await client.socket(port)
    for (let id = 0; id < 2000; id++) socket.send({ type: 'send', id, text: 'x'.repeat(1000) })
    const machine = rim.machines[0]!
    await poll('as many as may be outstanding', () => machine.callsOf('send').length >= 256)
    // The rest waits in the connection; what had been read with the last piece of it may have come through.
    const sent = machine.callsOf('send').length
    await client.info(port)
    expect(machine.callsOf('send').length).toBeLessThan(1000)
    machine.emit({ output: 'sent', token: 1, count: sent, seq: 2 })
    await poll('more of them', () => machine.callsOf('send').length > sent)
    socket.close()
    await poll(
      'the room to be empty',
      async () => (await client.info(port)).body.gateway.waitingRequests === 0,
    )
  })

  test('a reader that does not read is cut off, and others go on', async () => {
    const client = await stage.gateway({ groups: { [port]: {} }, ringBytes: 2_000_000 })
    const deaf = await client.socket(port)
    deaf.pause()
    const other = await client.socket(port)
    const large = 'x'.repeat(200_000)
    for (let i = 0; i < 100; i++)
      expect((await client.send(port, large, { type: 'text/plain' })).status).toBe(200)
    await other.until('all', (one) => one.events('message').length === 100)
    await poll('the cut', async () => (await client.info(port)).body.gateway.readers === 1)
  })

  test('is refused where there is no group, no such path, a wrong id, or no room', async () => {
    const client = await stage.gateway({ groups: { [port]: {} }, maxReaders: 1 })
    const base = client.url.replace('http', 'ws')
    const refused = (path: string): Promise<void> => new SocketClient(`${base}${path}`).opened
    await expect(refused('/groups/nowhere/socket')).rejects.toThrow('404')
    await expect(refused('/elsewhere')).rejects.toThrow('404')
    await expect(refused('/groups/%ff/socket')).rejects.toThrow('400')
    await expect(refused(`${groupPath(port)}/socket?resume=7`)).rejects.toThrow('400')
    const socket = await client.socket(port)
    await expect(refused(`${groupPath(port)}/socket`)).rejects.toThrow('503')
    await client.ask('POST', `${groupPath(port)}/leave`)
    await socket.until('the end', ({ closeCode }) => closeCode === 1001)
    expect(socket.events('end')).toHaveLength(1)
  })

  test('a silent client is found out by heartbeats, and a live one stays', async () => {
    const client = await stage.gateway({ groups: { [port]: {} }, heartbeatMs: 50 })
    const live = await client.socket(port)
    const silent = await client.socket(port)
    silent.pause()
    await poll('the end of the silent one', async () => (await client.info(port)).body.gateway.readers === 1)
    live.send({ type: 'send', id: 1, text: 'x' })
    await live.until('the reply', (one) => one.of('ordered').length === 1)
  })
})
