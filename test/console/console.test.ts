import { get, type IncomingMessage } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import type { Kernel } from '../../group/index.ts'
import { PAGES_MAX } from '../../kernel/node/console/feed.ts'
import { scripts } from '../../kernel/node/console/routes.ts'
import type { Snapshot } from '../../kernel/node/console/snapshot.ts'
import { listFiles, repositoryRoot } from '../support/files.ts'
import { Kernels, uniquePort } from '../support/kernels.ts'
import { Processes } from '../support/processes.ts'

const kernels = new Kernels()
const streams: IncomingMessage[] = []
const processes = new Processes()

afterEach(async () => {
  for (const stream of streams.splice(0)) stream.destroy()
  await kernels.closeAll()
  await processes.endAll()
})

const start = (): Promise<Kernel> => kernels.start({ metricsPort: 0 })

/** The feed of a node, read as it comes. */
function watch(
  kernel: Pick<Kernel, 'metricsAddress'>,
): Promise<{ status: number; next(isIt: (one: Snapshot) => boolean): Promise<Snapshot> }> {
  return new Promise((resolve, reject) => {
    get(`http://${kernel.metricsAddress}/console/events`, { agent: false }, (response) => {
      streams.push(response)
      let text = ''
      let latest: Snapshot | undefined
      let look = (): void => {}
      response.on('error', () => {})
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const data = /^data: (.*)$/m.exec(text.slice(0, end))
          if (data !== null) latest = JSON.parse(data[1]!) as Snapshot
          text = text.slice(end + 2)
        }
        look()
      })
      const next = (isIt: (one: Snapshot) => boolean): Promise<Snapshot> =>
        new Promise((found) => {
          look = () => {
            if (latest !== undefined && isIt(latest)) found(latest)
          }
          look()
        })
      resolve({ status: response.statusCode!, next })
    }).on('error', reject)
  })
}

describe('the pages', () => {
  test('load nothing from elsewhere, and run no script that stands in them', async () => {
    const kernel = await start()
    const page = await fetch(`http://${kernel.metricsAddress}/`)
    const html = await page.text()
    const policy = page.headers.get('content-security-policy')!
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('unsafe')
    const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!)
    for (const link of links) expect(link).toMatch(/^(data:,|[a-z/.]+)$/)
    expect(html).not.toMatch(/<script(?![^>]*src=)|<style| on\w+=| style=/)
    for (const link of links.filter((one) => one.startsWith('console/'))) {
      const answer = await fetch(`http://${kernel.metricsAddress}/${link}`)
      expect([answer.status, answer.headers.get('x-content-type-options')], link).toEqual([200, 'nosniff'])
      expect(await answer.text()).not.toMatch(/https?:\/\/(?!www\.w3\.org\/2000\/svg)/)
    }
  })

  test('every script of the page is served, and each names only what is served', async () => {
    const kernel = await start()
    const written = listFiles('kernel/node/console/page').map((path) => /([\w-]+)\.ts$/.exec(path)![1]!)
    expect([...scripts].sort()).toEqual(written.sort())
    for (const name of scripts) {
      const answer = await fetch(`http://${kernel.metricsAddress}/console/${name}.js`)
      expect([answer.status, answer.headers.get('content-type')]).toEqual([
        200,
        'text/javascript; charset=utf-8',
      ])
      for (const [, imported] of (await answer.text()).matchAll(/from '\.\/([\w-]+)\.js'/g)) {
        expect(scripts).toContain(imported)
      }
    }
  })
})

describe('the feed', () => {
  test('tells of several groups and members of one process, and of their end', async () => {
    const kernel = await start()
    const [one, two] = [uniquePort('one'), uniquePort('two')]
    const first = await kernel.createGroup(one, { resilience: 1, memberName: 'first' })
    await kernel.joinGroup(one, { memberName: 'second' })
    const other = await kernel.createGroup(two, { memberName: '<b>other</b>' })
    const { next } = await watch(kernel)
    const before = await next(({ groups }) => groups.length === 3)
    expect(
      before.groups.map(({ port: name, name: member, isSequencer }) => [name, member, isSequencer]),
    ).toEqual([
      [one, 'first', true],
      [one, 'second', false],
      [two, '<b>other</b>', true],
    ])
    expect(new Set(before.groups.map(({ key }) => key)).size).toBe(3)

    const sends = 20
    for (let i = 0; i < sends; i++) void first.sendToGroup(`secret ${i}`)
    const moved = await next(({ groups }) => {
      const [a, b] = groups
      return a!.seq >= sends + 1 && b!.seq >= sends + 1 && a!.series.rate.some((rate) => rate > 0)
    })
    const [a, b] = moved.groups
    expect(a!.series.sendP50.some((micros) => micros !== null)).toBe(true)
    expect(b!.series.sendP50.every((micros) => micros === null)).toBe(true)
    expect(a!.parameters).toMatchObject({ resilience: 1 })
    // nobody receives, so nobody has taken anything
    expect(a!.historyMessages).toBeGreaterThanOrEqual(sends)
    expect(JSON.stringify(moved)).not.toContain('secret')

    // the follower hears of the others' lags by asking the sequencer
    const asked = await next(({ groups }) => (groups[1]!.lags.messages['1'] ?? 0) >= sends)
    expect(Object.keys(asked.groups[1]!.lags.messages)).toEqual(['1', '2'])
    expect(asked.groups[1]!.lags.at).toBeTypeOf('number')

    await other.leaveGroup()
    const after = await next(({ groups }) => groups.length === 2)
    expect(after.ended).toMatchObject([{ port: two, name: '<b>other</b>' }])
    expect(after.ended[0]!.timeLine.map(({ kind }) => kind)).toEqual(['joined', 'closed'])
  })

  test('is whole from the first line on, for bounded pages', async () => {
    const kernel = await start()
    await kernel.createGroup(uniquePort('bounded'))
    const pages = await Promise.all(Array.from({ length: PAGES_MAX }, () => watch(kernel)))
    expect(pages.map(({ status }) => status)).toEqual(pages.map(() => 200))
    await Promise.all(pages.map(({ next }) => next(({ groups }) => groups.length === 1)))
    expect((await watch(kernel)).status).toBe(503)
    // one that goes makes room
    streams[0]!.destroy()
    await expect.poll(async () => (await watch(kernel)).status, { timeout: 20_000 }).toBe(200)
  })

  test('a page does not keep a process alive', async () => {
    const script = `
      import { startKernel } from ${JSON.stringify(`${repositoryRoot}dist/group/index.js`)}
      const kernel = await startKernel({ metricsPort: 0 })
      console.log(JSON.stringify({ event: 'ready', at: kernel.metricsAddress }))
      process.stdin.resume()`
    const args = ['--input-type=module', '-e', script]
    const child = processes.add('program', process.execPath, args)
    const { at } = await child.waitForEvent('ready', ({ event }) => event === 'ready')
    const { next } = await watch({ metricsAddress: String(at) })
    await next(() => true)
    child.child.stdin!.end()
    await child.exitsWith(0)
  })

  test('a kernel that is closed ends its pages', async () => {
    const kernel = await start()
    await watch(kernel)
    const ended = new Promise((resolve) => streams[0]!.once('close', resolve))
    await kernel.close()
    await ended
  })

  test('a member that comes back goes on with its story', async () => {
    const kernel = await start()
    const name = uniquePort('back')
    const options = { memberName: 'same' }
    await (await kernel.createGroup(name, options)).leaveGroup()
    await kernel.createGroup(name, options)
    const { next } = await watch(kernel)
    const { groups, ended } = await next((one) => one.groups.length === 1)
    expect(groups[0]!.timeLine.map(({ kind }) => kind)).toEqual(['joined', 'closed', 'joined'])
    expect(ended).toEqual([])
  })
})
