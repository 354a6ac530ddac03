/** Groups over HTTP: opening, sending, reading, leaving, and how failures look. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readEnvelope, startGateway, writeEnvelope } from '../../cli/gateway/index.ts'
import { fakeKernel, joins } from '../group/fake.ts'
import { groupPath, poll, Stage, uniquePort } from './support.ts'

let stage: Stage

beforeEach(() => {
  stage = new Stage()
})
afterEach(() => stage[Symbol.asyncDispose]())

describe('a group over HTTP', () => {
  test('is created, used, left', async () => {
    const client = await stage.gateway()
    const port = uniquePort()
    const created = await client.open(port, { mode: 'create', resilience: 1, maxMessageSize: 1000 })
    expect(created).toMatchObject({
      status: 201,
      body: { isMember: true, port, phase: 'member', parameters: { resilience: 1, maxMessageSize: 1000 } },
    })
    expect(await client.open(port)).toMatchObject({ status: 200, body: { port } })
    expect(await client.open(port, { mode: 'create' })).toMatchObject({
      status: 409,
      body: { code: 'ERR_GROUP_EXISTS' },
    })
    const sent = await client.send(port, 'hello', { type: 'text/plain' })
    expect(sent).toMatchObject({ status: 200, body: { repeat: false } })
    expect((await client.info(port)).body).toMatchObject({ seq: sent.body.seq, gateway: { ringMessages: 1 } })
    expect((await client.ask('GET', '/groups')).body).toEqual({
      groups: [{ port, memberId: created.body.memberId, members: 1, isReady: true, readers: 0 }],
    })
    expect(await client.ask('POST', `${groupPath(port)}/leave`)).toMatchObject({
      status: 200,
      body: { left: true },
    })
    expect((await client.ask('GET', '/groups')).body).toEqual({ groups: [] })
    expect(await client.send(port, 'x')).toMatchObject({
      status: 404,
      body: { code: 'ERR_GROUP_NOT_FOUND', outcome: 'refused' },
    })
  })

  test('one that the gateway is not in is told about, and joined', async () => {
    const kernel = await stage.kernel()
    const port = uniquePort()
    const member = await kernel.createGroup<Uint8Array>(port, { codec: 'binary' })
    const client = await stage.gateway()
    expect((await client.info(port)).body).toMatchObject({ isMember: false, port, view: { sequencer: 1 } })
    expect(await client.open(port, { mode: 'join', memberName: 'web' })).toMatchObject({ status: 201 })
    expect(await member.receiveFromGroup()).toMatchObject({ kind: 'join' })
    expect(member.view.members.map(({ name }) => name)).toContain('web')
    expect(await client.open(uniquePort(), { mode: 'join' })).toMatchObject({ status: 404 })
    expect(await client.info(uniquePort())).toMatchObject({
      status: 404,
      body: { code: 'ERR_GROUP_NOT_FOUND' },
    })
  })

  test('what plain members send reaches readers, and what gateways send is the body as it was', async () => {
    const kernel = await stage.kernel()
    const port = uniquePort()
    const member = await kernel.createGroup<Uint8Array>(port, { codec: 'binary' })
    const client = await stage.gateway({ groups: { [port]: {} } })
    const events = await client.events(port)
    await member.sendToGroup(Uint8Array.of(1, 2, 255), { header: Uint8Array.of(9) })
    await member.sendToGroup(Buffer.from('with an envelope'), {
      header: writeEnvelope({ contentType: 'text/plain' }),
    })
    await client.send(port, '{"a":\n1}', { type: 'application/json' })
    await client.send(port, 'grüße', { type: 'text/plain' })
    await client.send(port, Uint8Array.of(0xff), { type: 'text/plain' })
    const told = (await events.messages(5)).map(({ data }) => data)
    expect(told[0]).toMatchObject({ via: 'member', header: 'CQ==', base64: 'AQL/', sender: member.memberId })
    expect(told[1]).toMatchObject({ via: 'gateway', contentType: 'text/plain', text: 'with an envelope' })
    expect(told[2]).toMatchObject({ via: 'gateway', json: { a: 1 } })
    expect(told[3]).toMatchObject({ text: 'grüße' })
    expect(told[4]).toMatchObject({ contentType: 'text/plain', base64: '/w==' })
    const received: string[] = []
    while (received.length < 5) {
      const delivery = await member.receiveFromGroup()
      if (delivery.kind !== 'message' || delivery.error) continue
      received.push(`${readEnvelope(delivery.header)?.contentType} ${Buffer.from(delivery.body).toString()}`)
    }
    expect(received[2]).toBe('application/json {"a":\n1}')
    expect(received[3]).toBe('text/plain grüße')
  })

  test('joins, leaves and resets are events in the order', async () => {
    const client = await stage.gateway()
    const port = uniquePort()
    await client.open(port)
    const events = await client.events(port)
    expect(await events.event('open')).toMatchObject({
      data: { port, view: { members: [{ role: 'full' }] } },
    })
    const member = await (await stage.kernel()).joinGroup<Uint8Array>(port, { codec: 'binary' })
    expect((await events.event('join')).data).toMatchObject({
      sender: member.memberId,
      view: { members: [{}, {}] },
    })
    expect(await client.ask('POST', `${groupPath(port)}/reset`, { body: '{"minMembers":2}' })).toMatchObject({
      status: 200,
      body: { members: 2 },
    })
    expect((await events.event('reset')).data).toMatchObject({ removed: [], lossPossible: false })
    await member.leaveGroup()
    expect((await events.event('leave')).data).toMatchObject({
      sender: member.memberId,
      view: { members: [{}] },
    })
    const seqs = events.all
      .filter(({ id }) => id !== undefined)
      .map(({ id }) => Number(id!.split('-').at(-1)))
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
    await client.ask('POST', `${groupPath(port)}/leave`)
    expect((await events.event('end')).data).toMatchObject({ reason: 'left' })
    await events.over()
  })
})

describe('what is refused', () => {
  test.each([
    ['POST', '', '{"resilence":1}', 400, 'did you mean resilience?'],
    ['POST', '', '{"resilience":-1}', 400, 'resilience is -1'],
    ['POST', '', '{"mode":"make"}', 400, 'mode is "make"'],
    ['POST', '', '[1]', 400, 'a JSON object'],
    ['POST', '', '{', 400, 'not JSON'],
    ['POST', '/reset', '{"minMembers":"two"}', 400, 'minMembers is "two"'],
    ['POST', '/reset', '{"members":2}', 400, 'field is "members"'],
    ['POST', '/leave', '{"now":true}', 400, 'field is "now"'],
    ['GET', '/events?from=then', undefined, 400, "'now' or 'oldest'"],
    ['GET', '/events?lastEventId=7', undefined, 400, 'Last-Event-ID is "7"'],
    ['GET', '/socket', undefined, 426, 'WebSocket'],
    ['GET', '/nothing', undefined, 404, 'there is no GET'],
    ['DELETE', '', undefined, 404, 'there is no DELETE'],
  ])('%s /groups/{port}%s %s', async (method, path, body, status, says) => {
    const port = uniquePort()
    const client = await stage.gateway({ kernel: fakeKernel().kernel, groups: { [port]: {} } })
    const answer = await client.ask(method, `${groupPath(port)}${path}`, { body })
    expect(answer.status).toBe(status)
    expect(answer.body.message).toContain(says)
  })

  test('a name that is none', async () => {
    const client = await stage.gateway()
    expect(await client.open('x'.repeat(256))).toMatchObject({
      status: 400,
      body: { code: 'ERR_INVALID_ARGUMENT' },
    })
    expect(await client.ask('GET', '/groups/%ff')).toMatchObject({
      status: 400,
      body: { code: 'ERR_BAD_REQUEST' },
    })
  })

  test.each([
    [{ key: 'k'.repeat(256) }, 'Idempotency-Key must be'],
    [{ type: 'application/json' }, 'is said to be JSON, and is not'],
    [{ type: 'nonsense' }, 'Unsupported Media Type'],
  ])('a message with %o', async (settings, says) => {
    const port = uniquePort()
    const client = await stage.gateway({ kernel: fakeKernel().kernel, groups: { [port]: {} } })
    const answer = await client.send(port, '{"a":', settings)
    expect([400, 415]).toContain(answer.status)
    expect(answer.body.message).toContain(says)
    expect((await client.info(port)).body.gateway).toMatchObject({ ringMessages: 0, waitingRequests: 0 })
  })

  test('a body over the limit of the group, announced or not', async () => {
    const port = uniquePort()
    const client = await stage.gateway({ groups: { [port]: { maxMessageSize: 1000 } } })
    const tooLarge = { status: 413, body: { code: 'ERR_MESSAGE_TOO_LARGE', outcome: 'refused' } }
    expect(await client.send(port, 'x'.repeat(1001))).toMatchObject(tooLarge)
    const pieces = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(600)),
    })
    const streamed = await client.ask('POST', `${groupPath(port)}/messages`, {
      body: pieces,
      duplex: 'half',
    } as RequestInit)
    expect(streamed).toMatchObject(tooLarge)
    // The group counts the header as well.
    expect(await client.send(port, 'x'.repeat(1000))).toMatchObject(tooLarge)
    expect(await client.send(port, 'x'.repeat(900))).toMatchObject({ status: 200 })
    expect((await client.info(port)).body.gateway).toMatchObject({ waitingRequests: 0, waitingBytes: 0 })
  })

  test('more groups than the gateway takes', async () => {
    const client = await stage.gateway({ maxGroups: 1 })
    expect(await client.open(uniquePort())).toMatchObject({ status: 201 })
    const refused = await client.open(uniquePort())
    expect(refused).toMatchObject({ status: 503, body: { code: 'ERR_BUSY' } })
    expect(refused.headers.get('retry-after')).toBe('1')
  })

  test('options of the library', async () => {
    await expect(startGateway({ listen: 'nowhere' })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
    await expect(startGateway({ ringMessages: 0 })).rejects.toThrow('ringMessages is 0')
    await expect(startGateway({ ringMessage: 1 } as object)).rejects.toThrow('did you mean ringMessages?')
    const client = await stage.gateway()
    const listen = client.url.replace('http://', '')
    await expect(stage.gateway({ listen })).rejects.toMatchObject({ code: 'ERR_ADDRESS' })
  })
})

describe('outcomes', () => {
  const failures = [
    ['ERR_EXPELLED', 'unknown', 504, null],
    ['ERR_MEMBER_FAILED', 'unknown', 504, null],
    ['ERR_ABORTED', 'unknown', 504, null],
    ['ERR_EXPELLED', 'refused', 503, '1'],
    ['ERR_WOULD_BLOCK', 'refused', 503, '1'],
    ['ERR_MEMBER_FAILED', 'refused', 503, '1'],
    ['ERR_MESSAGE_TOO_LARGE', 'refused', 413, null],
  ] as const

  test.each(failures)('a send that ends with %s, %s, is %i', async (code, outcome, status, retryAfter) => {
    const { kernel } = fakeKernel((machine, call) => {
      joins()(machine, call)
      if (call.call !== 'send') return
      queueMicrotask(() =>
        machine.emit({ output: 'failed', token: call.token, code, message: 'no', outcome }),
      )
    })
    const client = await stage.gateway({ kernel, groups: { fake: {} } })
    for (const key of [undefined, 'k']) {
      const answer = await client.send('fake', 'x', { key })
      expect(answer).toMatchObject({ status, body: { code, outcome } })
      expect(answer.headers.get('retry-after')).toBe(retryAfter)
    }
  })

  test('a send that is not ordered in time is given up, and its outcome told', async () => {
    const { kernel } = fakeKernel((machine, call) => {
      joins()(machine, call)
      if (call.call !== 'cancel') return
      const outcome = machine.callsOf('send').length === 1 ? 'refused' : 'unknown'
      machine.emit({ output: 'failed', token: call.token, code: 'ERR_ABORTED', message: 'no', outcome })
    })
    const client = await stage.gateway({ kernel, groups: { fake: {} }, sendMs: 20 })
    expect(await client.send('fake', 'x')).toMatchObject({ status: 503, body: { outcome: 'refused' } })
    const unknown = await client.send('fake', 'x')
    expect(unknown).toMatchObject({ status: 504, body: { code: 'ERR_ABORTED', outcome: 'unknown' } })
    expect(unknown.body.message).toContain('same Idempotency-Key')
  })
})

describe('probes', () => {
  test('readiness follows the groups', async () => {
    const { kernel, rim } = fakeKernel()
    const client = await stage.gateway({ kernel, groups: { fake: {} } })
    expect(await client.ask('GET', '/healthz')).toMatchObject({ status: 200, body: { ok: true } })
    expect(await client.ask('GET', '/readyz')).toMatchObject({ status: 200, body: { ready: true } })
    const machine = rim.machines[0]!
    machine.info = () => ({ ...Object.getPrototypeOf(machine).info.call(machine), phase: 'failed' })
    expect(await client.ask('GET', '/readyz')).toMatchObject({ status: 503, body: { ready: false } })
    expect(await client.ask('GET', '/healthz')).toMatchObject({ status: 200 })
  })
})

describe('the end', () => {
  test('streams end with an event, the groups are left in order, and nothing is served any more', async () => {
    const kernel = await stage.kernel()
    const port = uniquePort()
    const member = await kernel.createGroup<Uint8Array>(port, { codec: 'binary' })
    const client = await stage.gateway({ groups: { [port]: {} } })
    const events = await client.events(port)
    const socket = await client.socket(port)
    await client.send(port, 'last', { type: 'text/plain' })
    await client.gateway.close()
    await events.over()
    expect(events.texts).toEqual(['last'])
    expect(events.all.at(-1)).toMatchObject({ event: 'end', data: { reason: 'stopping' } })
    await socket.until('the end', ({ closeCode }) => closeCode !== undefined)
    expect(socket.events('end')).toHaveLength(1)
    const kinds: string[] = []
    while (kinds.at(-1) !== 'leave') kinds.push((await member.receiveFromGroup()).kind)
    expect(kinds).toEqual(['join', 'message', 'leave'])
    await expect(fetch(`${client.url}/healthz`).catch(() => 'gone')).resolves.toBe('gone')
  })

  test('a send that is on its way is waited for', async () => {
    const { kernel, rim } = fakeKernel()
    const client = await stage.gateway({ kernel, groups: { fake: {} }, stopMs: 30_000 })
    const sending = client.send('fake', 'x')
    await poll('the send', () => rim.machines[0]!.callsOf('send').length === 1)
    const closing = client.gateway.close()
    expect(rim.machines[0]!.callsOf('leave')).toHaveLength(0)
    rim.machines[0]!.emit({ output: 'sent', token: 1, count: 1, seq: 7 })
    expect(await sending).toMatchObject({ status: 200, body: { seq: 7 } })
    await closing
    expect(rim.machines[0]!.callsOf('leave')).toHaveLength(1)
    expect(rim.isClosed).toBe(false)
  })

  test('a group that does not let go is left without a word', async () => {
    const { kernel, rim } = fakeKernel((machine, call) => {
      if (call.call !== 'leave') joins()(machine, call)
    })
    const client = await stage.gateway({ kernel, groups: { fake: {} }, leaveMs: 50, stopMs: 50 })
    const events = await client.events('fake')
    const sending = client.send('fake', 'x')
    await poll('the send', () => rim.machines[0]!.callsOf('send').length === 1)
    await client.gateway.close()
    expect(rim.machines[0]!.callsOf('leave')).toHaveLength(1)
    expect(rim.machines[0]!.callsOf('cancel')).toHaveLength(1)
    expect(rim.machines[0]!.isClosed).toBe(true)
    expect(await sending.catch(() => 'cut off')).toSatisfy(
      (answer) => answer === 'cut off' || (answer as { status: number }).status === 504,
    )
    await events.over()
    expect(events.all.at(-1)).toMatchObject({ event: 'end' })
  })
})
