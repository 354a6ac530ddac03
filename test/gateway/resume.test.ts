/** Readers that come back: nothing lost, nothing twice, and where that cannot be, a gap that says so. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createTestNetwork, type TestNetwork } from '../../group/testing.ts'
import { type Client, poll, Stage, type StreamEvent, uniquePort } from './support.ts'

let stage: Stage
let port: string

beforeEach(() => {
  stage = new Stage()
  port = uniquePort()
})
afterEach(() => stage[Symbol.asyncDispose]())

const text = { type: 'text/plain' }

async function sendAll(client: Client, bodies: readonly string[]): Promise<void> {
  for (const body of bodies) expect((await client.send(port, body, text)).status).toBe(200)
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `m${from + i}`)
}

describe('a reader that comes back', () => {
  test('at the same gateway, again and again while messages are sent: no loss, no repeats', async () => {
    const client = await stage.gateway({ groups: { [port]: {} } })
    const total = 200
    const sending = sendAll(client, numbered(0, total))
    const got: StreamEvent[] = []
    let after: string | undefined
    while (got.length < total) {
      const stream = await client.events(port, after === undefined ? { from: 'oldest' } : { after })
      await stream.until('more', ({ all }) => all.length > 1 || got.length + all.length > total)
      stream.close()
      expect(stream.of('gap')).toEqual([])
      got.push(...stream.of('message'))
      after = stream.lastId
    }
    await sending
    expect(got.map(({ data }) => data.text)).toEqual(numbered(0, total))
  })

  test('at another gateway of the group', async () => {
    const one = await stage.gateway({ groups: { [port]: {} } })
    const two = await stage.gateway({ groups: { [port]: {} } })
    const first = await one.events(port)
    await sendAll(one, numbered(0, 10))
    await first.messages(10)
    // The reader has seen the tenth; it goes on at the other with what follows.
    await sendAll(two, numbered(10, 12))
    const second = await two.events(port, { after: first.of('message')[9]!.id! })
    await sendAll(one, numbered(12, 15))
    await second.messages(5)
    expect(second.texts).toEqual(numbered(10, 15))
    expect(second.of('gap')).toEqual([])
    // And with an id from long before the join of the second.
    const oldest = await one.events(port, { from: 'oldest' })
    await oldest.messages(15)
    const early = await two.events(port, { after: oldest.all[0]!.id! })
    await early.messages(15)
    expect(early.of('gap')[0]?.data).toMatchObject({ reason: 'too-old' })
    expect(early.texts).toEqual(numbered(0, 15))
  })

  test('after the ring has wrapped: a gap that says what is missing, then the rest', async () => {
    const client = await stage.gateway({ groups: { [port]: {} }, ringMessages: 5 })
    const first = await client.events(port)
    await sendAll(client, ['before'])
    const seen = (await first.messages(1))[0]!
    first.close()
    await sendAll(client, numbered(0, 20))
    const second = await client.events(port, { after: seen.id! })
    await second.messages(5)
    const names = second.all.map(({ event }) => event)
    expect(names.slice(0, 3)).toEqual(['open', 'gap', 'message'])
    expect(second.texts).toEqual(numbered(15, 20))
    const [next] = second.of('message')
    expect(second.of('gap')).toEqual([
      {
        id: undefined,
        event: 'gap',
        data: { reason: 'too-old', after: seen.data.seq, before: next!.data.seq },
      },
    ])
  })

  test('to a port that has been created anew', async () => {
    const client = await stage.gateway({ groups: { [port]: {} } })
    await sendAll(client, numbered(0, 3))
    const first = await client.events(port, { from: 'oldest' })
    const seen = (await first.messages(3))[2]!
    await client.ask('POST', `/groups/${encodeURIComponent(port)}/leave`)
    await client.open(port, { mode: 'create' })
    await sendAll(client, ['anew'])
    const second = await client.events(port, { after: seen.id! })
    await second.messages(1)
    expect(second.of('gap')[0]?.data).toMatchObject({ reason: 'another-group' })
    expect(second.texts).toEqual(['anew'])
  })
})

describe('an expulsion', () => {
  /** Virtual time goes on by itself, as HTTP takes real time beside it. */
  function run(network: TestNetwork): void {
    let isOn = true
    const going = (async () => {
      while (isOn) {
        await network.advance(5)
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    stage.onEnd(async () => {
      isOn = false
      await going
    })
  }

  test('is told, and the way back is a gap and a rejoin; ids go on to hold', async () => {
    const network = createTestNetwork({ seed: 3 })
    stage.onEnd(() => network[Symbol.asyncDispose]())
    const kernels = [await network.startKernel(), await network.startKernel(), await network.startKernel()]
    run(network)
    const first = await kernels[0]!.createGroup<Uint8Array>(port, { codec: 'binary' })
    await kernels[1]!.joinGroup<Uint8Array>(port, { codec: 'binary' })
    const client = await stage.gateway({ kernel: kernels[2]!, groups: { [port]: {} } })
    const events = await client.events(port)
    await sendAll(client, ['before'])
    const before = (await events.messages(1))[0]!

    network.partition([kernels[0]!, kernels[1]!], [kernels[2]!])
    await poll('the new view of the others', () => first.view.members.length === 2)
    await first.sendToGroup(Buffer.from('missed'))
    const refused = client.send(port, 'lost', { ...text, key: 'k' })
    network.heal()
    await events.event('expelled')
    const answer = await refused
    expect([503, 504]).toContain(answer.status)
    expect(answer.body.outcome).toBe(answer.status === 503 ? 'refused' : 'unknown')
    const rejoin = await events.event('rejoin')
    expect(events.all.at(events.all.indexOf(rejoin) - 1)).toMatchObject({
      event: 'gap',
      data: { reason: 'expelled' },
    })
    expect(rejoin.data).toMatchObject({ missedFrom: before.data.seq, view: { members: [{}, {}, {}] } })
    await poll('readiness', async () => (await client.ask('GET', '/readyz')).status === 200)
    const after = await client.send(port, 'after', { ...text, key: 'k2' })
    expect(after.status).toBe(200)
    await events.until('what came after', ({ texts }) => texts.includes('after'))
    expect(events.texts).toEqual(['before', 'after'])

    const again = await client.events(port, { after: before.id! })
    await again.until('what came after', ({ texts }) => texts.includes('after'))
    const names = again.all
      .map(({ event }) => event)
      .filter((name) => name !== 'suspect' && name !== 'stopped' && name !== 'expelled')
    expect(names.slice(0, 3)).toEqual(['open', 'gap', 'rejoin'])
    const later = await client.events(port, { after: rejoin.id! })
    await later.until('what came after', ({ texts }) => texts.includes('after'))
    expect(later.of('gap')).toEqual([])
  })
})
