/** One key, one effect, whichever gateways it was posted to. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { writeEnvelope } from '../../cli/gateway/envelope.ts'
import { KeyWindow } from '../../cli/gateway/index.ts'
import { fakeKernel, messages } from '../group/fake.ts'
import { type Client, poll, Stage, uniquePort } from './support.ts'

let stage: Stage
let port: string

beforeEach(() => {
  stage = new Stage()
  port = uniquePort()
})
afterEach(() => stage[Symbol.asyncDispose]())

async function twoGateways(): Promise<[Client, Client]> {
  const first = await stage.gateway({ groups: { [port]: {} } })
  const second = await stage.gateway({ groups: { [port]: {} } })
  return [first, second]
}

const text = { type: 'text/plain' }

describe('the same key', () => {
  test('at one gateway: the first seq, and one effect', async () => {
    const client = await stage.gateway({ groups: { [port]: {} } })
    const events = await client.events(port)
    const first = await client.send(port, 'pay', { ...text, key: 'k' })
    await client.send(port, 'other', text)
    const again = await client.send(port, 'pay', { ...text, key: '"k"' })
    expect(again.body).toEqual({ seq: first.body.seq, repeat: true })
    await client.send(port, 'last', text)
    await events.messages(3)
    expect(events.texts).toEqual(['pay', 'other', 'last'])
    expect(events.of('repeat')).toEqual([])
  })

  test('at one gateway many times at once', async () => {
    const client = await stage.gateway({ groups: { [port]: {} } })
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => client.send(port, 'pay', { ...text, key: 'k' })),
    )
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.seq}`)).size).toBe(1)
    expect(answers.filter(({ body }) => !body.repeat)).toHaveLength(1)
  })

  test('at two gateways at once: one ordered effect, and the same seq for all', async () => {
    const [one, two] = await twoGateways()
    const streams = [await one.events(port), await two.events(port)]
    const rounds = 40
    for (let i = 0; i < rounds; i++) {
      const [a, b] = await Promise.all(
        [one, two].map((client) => client.send(port, `pay ${i}`, { ...text, key: `k${i}` })),
      )
      expect([a!.status, b!.status]).toEqual([200, 200])
      expect(a!.body.seq).toBe(b!.body.seq)
      expect([a!.body.repeat, b!.body.repeat].sort()).toEqual([false, true])
    }
    await one.send(port, 'last', text)
    const told = await Promise.all(
      streams.map(async (stream) => {
        await stream.until('the last', ({ texts }) => texts.includes('last'))
        return stream.all.filter(({ event }) => event === 'message' || event === 'repeat')
      }),
    )
    expect(told[0]).toEqual(told[1])
    const texts = told[0]!.filter(({ event }) => event === 'message').map(({ data }) => data.text)
    expect(texts).toEqual([...Array.from({ length: rounds }, (_, i) => `pay ${i}`), 'last'])
    // Both have sent in some rounds, or this would have tested nothing.
    const repeats = told[0]!.filter(({ event }) => event === 'repeat')
    expect(repeats.length).toBeGreaterThan(0)
    for (const { data } of repeats) expect(data.firstSeq).toBeLessThan(data.seq)
  })

  test('with another content is a mistake, at any gateway', async () => {
    const [one, two] = await twoGateways()
    const first = await one.send(port, 'pay 1', { ...text, key: 'k' })
    const reused = { status: 422, body: { code: 'ERR_KEY_REUSED', outcome: 'refused' } }
    expect(await one.send(port, 'pay 2', { ...text, key: 'k' })).toMatchObject(reused)
    const { seq } = first.body
    await poll('delivery', async () => (await two.info(port)).body.taken >= seq)
    expect(await two.send(port, 'pay 2', { ...text, key: 'k' })).toMatchObject(reused)
    expect(await two.send(port, 'pay 1', { type: 'text/html', key: 'k' })).toMatchObject(reused)
  })

  test('after the window is new again', async () => {
    const client = await stage.gateway({ groups: { [port]: {} }, keyMessages: 3 })
    const first = await client.send(port, 'pay', { ...text, key: 'k' })
    for (let i = 0; i < 2; i++) await client.send(port, 'other', text)
    expect((await client.send(port, 'pay', { ...text, key: 'k' })).body).toEqual({
      seq: first.body.seq,
      repeat: true,
    })
    await client.send(port, 'other', text)
    const later = await client.send(port, 'pay', { ...text, key: 'k' })
    expect(later.body).toEqual({ seq: first.body.seq + 4, repeat: false })
  })

  test('from before its join a gateway does not know, and the others still do', async () => {
    const one = await stage.gateway({ groups: { [port]: {} } })
    const events = await one.events(port)
    const first = await one.send(port, 'pay', { ...text, key: 'k' })
    const two = await stage.gateway({ groups: { [port]: {} } })
    const { keysKnownFrom } = (await two.info(port)).body.gateway
    expect(keysKnownFrom).toBeGreaterThan(first.body.seq)
    const again = await two.send(port, 'pay', { ...text, key: 'k' })
    expect(again.body).toMatchObject({ repeat: false })
    expect((await events.event('repeat')).data).toMatchObject({
      seq: again.body.seq,
      firstSeq: first.body.seq,
    })
  })

  test('is recognised by plain members with the same window', async () => {
    const kernel = await stage.kernel()
    const member = await kernel.createGroup<Uint8Array>(port, { codec: 'binary' })
    const keys = new KeyWindow(member.view.seq)
    // The second knows nothing of the first's messages, as if both had sent at once.
    const one = await stage.gateway({ groups: { [port]: {} } })
    const first = await one.send(port, 'pay', { ...text, key: 'k' })
    const two = await stage.gateway({ groups: { [port]: {} } })
    await two.send(port, 'pay', { ...text, key: 'k' })
    const verdicts: (number | undefined)[] = []
    while (verdicts.length < 2) {
      const delivery = await member.receiveFromGroup()
      if (delivery.kind === 'message' && delivery.error === undefined) verdicts.push(keys.note(delivery)?.seq)
    }
    expect(verdicts).toEqual([undefined, first.body.seq])
  })
})

describe('an outcome that was unknown', () => {
  test('is learnt by sending again with the same key', async () => {
    const { kernel, rim } = fakeKernel()
    const client = await stage.gateway({ kernel, groups: { fake: {} } })
    const sending = client.send('fake', 'pay', { ...text, key: 'k' })
    const machine = rim.machines[0]!
    await poll('the send', () => machine.callsOf('send').length === 1)
    machine.emit({
      output: 'failed',
      token: 1,
      code: 'ERR_MEMBER_FAILED',
      message: 'lost',
      outcome: 'unknown',
    })
    expect(await sending).toMatchObject({ status: 504 })
    // It has been ordered after all.
    machine.deliver(messages(5, [{ body: Buffer.from('pay'), header: machine.callsOf('send')[0]!.header }]))
    await poll('the delivery', async () => (await client.info('fake')).body.gateway.ringMessages === 1)
    expect((await client.send('fake', 'pay', { ...text, key: 'k' })).body).toEqual({ seq: 5, repeat: true })
    expect(machine.callsOf('send')).toHaveLength(1)
  })

  test('another gateway was faster: the answer waits for the order, and names its seq', async () => {
    const { kernel, rim } = fakeKernel()
    const client = await stage.gateway({ kernel, groups: { fake: {} } })
    const sending = client.send('fake', 'pay', { ...text, key: 'k' })
    const machine = rim.machines[0]!
    await poll('the send', () => machine.callsOf('send').length === 1)
    const header = writeEnvelope({ contentType: 'text/plain', key: 'k', sentAt: Date.now() })
    machine.emit({ output: 'sent', token: 1, count: 1, seq: 6 })
    const body = Buffer.from('pay')
    machine.deliver(
      messages(5, [{ body, header }], 2),
      messages(6, [{ body, header: machine.callsOf('send')[0]!.header }]),
    )
    expect((await sending).body).toEqual({ seq: 5, repeat: true })
  })

  test('ordered, and lost before its place was delivered here: unknown, since another may have been first', async () => {
    const { kernel, rim } = fakeKernel()
    const client = await stage.gateway({ kernel, groups: { fake: {} } })
    const sending = client.send('fake', 'pay', { ...text, key: 'k' })
    const machine = rim.machines[0]!
    await poll('the send', () => machine.callsOf('send').length === 1)
    machine.emit({ output: 'sent', token: 1, count: 1, seq: 6 })
    machine.emit({ output: 'event', event: { event: 'expelled', reason: 'cut off' } })
    expect(await sending).toMatchObject({ status: 504, body: { code: 'ERR_EXPELLED', outcome: 'unknown' } })
    expect((await client.info('fake')).body.gateway).toMatchObject({ waitingRequests: 0 })
  })
})
