import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ErrorCode } from '../../kernel/errors.ts'
import type { Lookup } from '../../kernel/node/lookup.ts'
import { countPeerFailures } from '../../kernel/node/peer-metrics.ts'
import { type PeersOptions, PeerWatch, parsePeers } from '../../kernel/node/peers.ts'

const invalid = expect.objectContaining({ code: ErrorCode.invalid })

describe('peers as given', () => {
  test('are addresses and names', () => {
    expect(parsePeers('10.0.0.1:1, [::1]:2 ,members.example', { defaultPort: 9 })).toEqual([
      { host: '10.0.0.1', port: 1 },
      { host: '::1', port: 2 },
      { host: 'members.example', port: 9 },
    ])
    expect(parsePeers(['10.0.0.1', '[fd00::1]', 'amoebacast.svc:7788'], { defaultPort: 9 })).toEqual([
      { host: '10.0.0.1', port: 9 },
      { host: 'fd00::1', port: 9 },
      { host: 'amoebacast.svc', port: 7788 },
    ])
    expect(parsePeers('')).toEqual([])
  })

  test('are refused if they can be neither', () => {
    for (const wrong of [
      'a:b:c',
      '10.0.0:1',
      'no port',
      '300.1.1.1:5',
      'x:0',
      'x:70000',
      '-x:5',
      'a,b/c:1',
    ]) {
      expect(() => parsePeers(wrong, { defaultPort: 9 })).toThrow(invalid)
    }
  })

  test('need a port where there is no default, and the error says what to do', () => {
    expect(() => parsePeers('members.example')).toThrow(
      /members\.example.*such as members\.example:7788.*udpPort/,
    )
    expect(() => parsePeers('::1')).toThrow('[::1]:7788')
  })

  test('of the wrong family are refused', () => {
    expect(() => parsePeers('[::1]:2', { family: 4 })).toThrow(/IPv4/)
    expect(() => parsePeers('10.0.0.1:2', { family: 6 })).toThrow(/IPv6/)
    expect(parsePeers('name:2', { family: 6 })).toHaveLength(1)
  })
})

/** What a name answers: addresses, an error's code, or nothing before the test says so. */
type Answer = readonly string[] | string | Promise<readonly string[]>

class FakeLookup implements Lookup {
  /** Milliseconds at which each name was asked. */
  readonly asked: { readonly name: string; readonly at: number }[] = []
  readonly answers = new Map<string, Answer>()
  cancels = 0

  async addresses(name: string): Promise<readonly string[]> {
    this.asked.push({ name, at: Math.round(performance.now() - startedAt) })
    const answer = this.answers.get(name) ?? 'ENOTFOUND'
    if (typeof answer === 'string') throw Object.assign(new Error(`query ${answer}`), { code: answer })
    return answer
  }

  cancel(): void {
    this.cancels++
  }

  times(name = 'a.example'): number[] {
    return this.asked.filter((asked) => asked.name === name).map(({ at }) => at)
  }
}

let startedAt = 0
let watch: PeerWatch | undefined
let lookup = new FakeLookup()
let reports: (readonly string[])[] = []
const unhandled: unknown[] = []
const note = (reason: unknown): number => unhandled.push(reason)

function start(given: string, options: PeersOptions = {}): PeerWatch {
  watch = new PeerWatch(given, (addresses) => reports.push(addresses), { lookup, family: 4, ...options })
  return watch
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

beforeEach(() => {
  vi.useFakeTimers()
  process.on('unhandledRejection', note)
  startedAt = performance.now()
  lookup = new FakeLookup()
  reports = []
})
afterEach(async () => {
  watch?.close()
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

describe('watching peers', () => {
  test('literals are reported before the constructor returns', () => {
    const { hasNames, isWaiting } = start('10.0.0.1:1,10.0.0.2:2')
    expect(reports).toEqual([['10.0.0.1:1', '10.0.0.2:2']])
    expect([hasNames, isWaiting]).toEqual([false, false])
  })

  test('a name is asked until it is answered, further and further apart, and holds nobody else up', async () => {
    lookup.answers.set('early.example', ['10.1.0.1'])
    const watch = start('10.0.0.1:1,a.example:5,early.example:6')
    watch.need()
    await pass(8000)
    expect(lookup.times()).toEqual([0, 100, 300, 700, 1500, 3100, 5100, 7100])
    expect(reports).toEqual([['10.0.0.1:1'], ['10.0.0.1:1', '10.1.0.1:6']])
    expect(watch.isWaiting).toBe(true)
    expect(watch.unresolved()).toEqual([{ name: 'a.example', reason: 'ENOTFOUND' }])
    lookup.answers.set('a.example', ['10.2.0.1', '::1', 'nonsense', '10.2.0.2'])
    await pass(2000)
    expect(reports.at(-1)).toEqual(['10.0.0.1:1', '10.2.0.1:5', '10.2.0.2:5', '10.1.0.1:6'])
    expect([watch.isWaiting, watch.unresolved()]).toEqual([false, []])
  })

  test('while nobody needs peers, nobody is asked', async () => {
    const watch = start('a.example:5')
    await pass(60_000)
    expect(lookup.times()).toEqual([0])
    const releases = [watch.need(), watch.need()]
    await pass(150)
    expect(lookup.times()).toEqual([0, 60_000, 60_100])
    releases[0]!()
    releases[0]!()
    await pass(200)
    expect(lookup.times()).toHaveLength(4)
    releases[1]!()
    await pass(60_000)
    expect(lookup.times()).toHaveLength(4)
  })

  test('an answered name is asked now and then: peers come and go', async () => {
    lookup.answers.set('a.example', ['10.0.0.1'])
    start('a.example:5').need()
    await pass(1000)
    lookup.answers.set('a.example', ['10.0.0.1', '10.0.0.2'])
    await pass(1000)
    lookup.answers.set('a.example', ['10.0.0.2'])
    await pass(2000)
    await pass(2000)
    expect(lookup.times()).toEqual([0, 2000, 4000, 6000])
    expect(reports).toEqual([['10.0.0.1:5'], ['10.0.0.1:5', '10.0.0.2:5'], ['10.0.0.2:5']])
  })

  test('what was answered is kept while the servers are away', async () => {
    lookup.answers.set('a.example', ['10.0.0.1'])
    const watch = start('a.example:5')
    watch.need()
    await pass(100)
    lookup.answers.set('a.example', 'ESERVFAIL')
    await pass(10_000)
    expect(reports).toEqual([['10.0.0.1:5']])
    expect(watch.isWaiting).toBe(false)
    expect(watch.unresolved()).toEqual([{ name: 'a.example', reason: 'ESERVFAIL' }])
  })

  test('who needs peers later waits for an answer as of then', async () => {
    lookup.answers.set('a.example', ['10.0.0.1'])
    const watch = start('a.example:5')
    await pass(1000)
    const release = watch.need()
    expect(watch.isWaiting).toBe(false)
    release()
    await pass(60_000)
    let answer: (hosts: readonly string[]) => void = () => {}
    lookup.answers.set('a.example', new Promise<readonly string[]>((resolve) => (answer = resolve)))
    const changes: boolean[] = []
    const stop = watch.onChange(() => changes.push(watch.isWaiting))
    watch.need()
    expect(watch.isWaiting).toBe(true)
    answer(['10.0.0.9'])
    await pass(0)
    expect(changes).toEqual([false])
    expect(reports.at(-1)).toEqual(['10.0.0.9:5'])
    stop()
  })

  test('the own address is an answer, but no peer', async () => {
    lookup.answers.set('a.example', ['10.0.0.1', '10.0.0.2'])
    const watch = start('a.example:5,a.example:6', { isOwn: (address) => address === '10.0.0.1:5' })
    await pass(0)
    expect(reports).toEqual([['10.0.0.1:6', '10.0.0.2:5', '10.0.0.2:6']])
    expect(lookup.times()).toHaveLength(1)
    expect(watch.isWaiting).toBe(false)
  })

  test('the own address alone is an answer', async () => {
    lookup.answers.set('a.example', ['10.0.0.1'])
    const watch = start('a.example:5', { isOwn: () => true })
    await pass(0)
    expect([watch.isWaiting, watch.unresolved(), reports]).toEqual([false, [], []])
  })

  test('an answer without an address of use is a failure that says so', async () => {
    lookup.answers.set('a.example', ['fd00::1'])
    lookup.answers.set('b.example', [])
    const watch = start('a.example:5,b.example:5')
    await pass(0)
    expect(watch.unresolved()).toEqual([
      { name: 'a.example', reason: 'no IPv4 address, which the interface needs' },
      { name: 'b.example', reason: 'no address' },
    ])
    expect(watch.isWaiting).toBe(true)
  })

  test('failures are logged once a name, and all are counted', async () => {
    const lines: unknown[] = []
    const log = { debug() {}, error() {}, info: vi.fn(), warn: (fields: unknown) => lines.push(fields) }
    const registry = new Registry()
    lookup.answers.set('b.example', 'ETIMEOUT')
    const watch = start('a.example:5,a.example:6,b.example:5', { log: log as never })
    watch.need()
    const stop = countPeerFailures(registry, watch.failures)
    countPeerFailures(registry, new Map([['a.example', 10]]))
    await pass(1000)
    expect(lines).toEqual([
      { peer: 'a.example', reason: 'ENOTFOUND' },
      { peer: 'b.example', reason: 'ETIMEOUT' },
    ])
    expect(await registry.metrics()).toContain('amoebacast_peer_lookup_failures_total{name="a.example"} 14')
    expect(await registry.metrics()).toContain('amoebacast_peer_lookup_failures_total{name="b.example"} 4')
    expect(log.info).not.toHaveBeenCalled()
    lookup.answers.set('a.example', ['10.0.0.1'])
    await pass(1000)
    expect(log.info).toHaveBeenCalledOnce()
    stop()
    expect(await registry.metrics()).not.toContain('b.example')
  })

  test('after the close nothing is asked or reported', async () => {
    let answer: (hosts: readonly string[]) => void = () => {}
    lookup.answers.set('a.example', new Promise<readonly string[]>((resolve) => (answer = resolve)))
    const watch = start('a.example:5,b.example:6')
    const changed = vi.fn()
    watch.need()
    await pass(150)
    watch.onChange(changed)
    watch.close()
    watch.close()
    expect(lookup.cancels).toBe(1)
    expect(vi.getTimerCount()).toBe(0)
    answer(['10.0.0.1'])
    watch.need()
    await pass(60_000)
    expect(lookup.times('b.example')).toEqual([0, 100])
    expect(reports).toEqual([])
    expect(changed).not.toHaveBeenCalled()
  })

  test('a lookup that throws is a failure like any other', async () => {
    lookup.addresses = () => {
      throw new Error('out of order')
    }
    const watch = start('a.example:5')
    await pass(0)
    expect(watch.unresolved()).toEqual([{ name: 'a.example', reason: 'out of order' }])
  })
})
