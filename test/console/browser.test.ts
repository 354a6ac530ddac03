/**
 * The console in a real browser, over three real processes: a kill of the sequencer and the new view show without
 * a reload. AMOEBACAST_SCREENSHOTS names a folder for pictures of what is seen on the way.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import puppeteer, { type Browser, type Page, type Viewport } from 'puppeteer-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startKernel } from '../../group/index.ts'
import { type CliProcess, Processes } from '../support/processes.ts'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const chromium = places.find((path) => existsSync(path))
if (chromium === undefined) {
  console.warn(`the console is not tried in a browser: there is none at ${places.join(', ')}`)
}

const WAIT_MS = 45_000
const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true }
const DESK = { width: 1200, height: 900 }
const folder = process.env.AMOEBACAST_SCREENSHOTS
const processes = new Processes()
let browser: Browser
let pages: Page[] = []

/** Expressions for the browser are texts: its names are not those of this project. */
const seen = (page: Page, selector: string): Promise<string> =>
  page.evaluate(`document.querySelector(${JSON.stringify(selector)})?.textContent ?? ''`) as Promise<string>

async function until(page: Page, what: string, expression: string): Promise<void> {
  await page.waitForFunction(expression, { timeout: WAIT_MS, polling: 100 }).catch(async (error: Error) => {
    throw new Error(`${what}: ${error.message}; the page says: ${await seen(page, 'body')}`)
  })
}

const has = (selector: string, text: string): string =>
  `(document.querySelector(${JSON.stringify(selector)})?.textContent ?? '').includes(${JSON.stringify(text)})`

async function picture(page: Page, name: string): Promise<void> {
  if (folder === undefined) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true })
}

describe.skipIf(chromium === undefined)('the console in a browser', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
    browser = await puppeteer.launch({ executablePath: chromium!, args, timeout: WAIT_MS })
  })
  afterEach(async () => {
    await Promise.all(pages.map((page) => page.close()))
    pages = []
    await processes.endAll()
  })
  afterAll(() => browser?.close())

  /** Starts a node, and says where its pages are. */
  async function node(
    name: string,
    group: string,
    ...more: readonly string[]
  ): Promise<{ node: CliProcess; at: string }> {
    const fixed = ['--group', group, '--json', '--stay', '--member-name', name, '--log-level', 'error']
    const port = more.includes('--metrics-port') ? [] : ['--metrics-port', '0']
    const started = processes.cli(['node', ...fixed, ...port, ...more], { name })
    const { metrics } = await started.waitForEvent('ready', ({ event }) => event === 'ready')
    return { node: started, at: `http://${metrics}/` }
  }

  async function open(
    address: string,
    viewport: Viewport = DESK,
  ): Promise<{ page: Page; problems: string[]; requests: string[] }> {
    const page = await browser.newPage()
    pages.push(page)
    const problems: string[] = []
    const requests: string[] = []
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('console', (message) => {
      // that a connection is refused is what some of this is about
      if (message.type() === 'error' && !message.text().includes('net::ERR_')) problems.push(message.text())
    })
    page.on('request', (request) => requests.push(request.url()))
    await page.setViewport(viewport)
    await page.goto(address, { waitUntil: 'domcontentloaded' })
    return { page, problems, requests }
  }

  test('shows a kill of the sequencer and the new view without a reload, and at last that the node is gone', async () => {
    const group = `console-${process.pid}`
    const alpha = await node('alpha', group, '--create', '--resilience', '1', '--history-size', '1000')
    const beta = await node('beta', group, '--join')
    const gamma = await node('gamma', group, '--join')
    const { page, problems, requests } = await open(beta.at)
    await until(page, 'three members', `document.querySelectorAll('tbody tr').length === 3`)
    await page.evaluate('window.isTheSamePage = true')

    // seq and stable seq move, the plots with them
    for (let i = 0; i < 200; i++)
      for (const { node: one } of [alpha, beta, gamma]) one.child.stdin!.write(`${i}\n`)
    await until(page, 'seq 602', has('.tile:nth-child(1) dd', '602'))
    await until(page, 'stable 602', has('.tile:nth-child(2) dd', '602'))
    await until(
      page,
      'a rate',
      `[...document.querySelectorAll('.plot path.line')].some((line) => line.getAttribute('d').includes('L'))`,
    )
    await until(page, 'lags of all', has('caption', 'as the sequencer told'))
    expect(await seen(page, 'tr.sequencer')).toContain('alpha')
    expect(await seen(page, 'tr.self')).toMatch(/beta.*this node/)
    expect(await seen(page, '.reset p')).toContain('No reset is running')
    for (const scheme of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
      await picture(page, scheme)
    }

    // a reader of the screen finds a table in it, and where things are
    const read = async (one: Page) =>
      JSON.stringify(await one.accessibility.snapshot({ interestingOnly: false }))
    const roles = ['table', 'rowheader', 'columnheader', 'status', 'heading', 'banner', 'main']
    for (const role of roles) expect(await read(page)).toContain(`"role":"${role}"`)

    // nothing sticks out on a phone, and the table is a table still
    const phone = await open(beta.at, PHONE)
    await phone.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }])
    await until(phone.page, 'the members on a phone', `document.querySelectorAll('tbody tr').length === 3`)
    await until(phone.page, 'room enough', 'document.documentElement.scrollWidth <= window.innerWidth')
    for (const role of roles) expect(await read(phone.page)).toContain(`"role":"${role}"`)
    await picture(phone.page, 'narrow')

    alpha.node.kill('SIGKILL')
    await until(page, 'the reset in the time line', has('li.entry.reset', 'without member 1 (alpha)'))
    await until(page, 'the new view', `document.querySelectorAll('tbody tr').length === 2`)
    expect(await seen(page, 'tr.sequencer')).not.toContain('alpha')
    expect(await seen(page, 'li.entry.reset .steps')).toMatch(/suspected \+0 ms → /)
    await picture(page, 'after-kill')

    // two are left of a group that needs two: without the other one it stands still, and says so
    gamma.node.kill('SIGKILL')
    await until(page, 'standing still', has('.reset.stopped', 'stands still'))
    expect(await seen(page, 'li.entry.stopped')).toContain('Stopped')
    await picture(page, 'stopped')

    expect(await page.evaluate('window.isTheSamePage')).toBe(true)
    expect(requests.filter((url) => !url.startsWith(beta.at) && !url.startsWith('data:'))).toEqual([])

    beta.node.kill('SIGKILL')
    await until(page, 'gone', has('#link', 'does not answer any more'))
    await picture(page, 'gone')
    expect(problems).toEqual([])
  })

  test('asks for the token once, and comes back when the node does', async () => {
    const secrets = mkdtempSync(`${tmpdir()}/amoebacast-console-`)
    try {
      const token = 'a-token-for-the-console'
      writeFileSync(`${secrets}/token`, `${token}\n`)
      const guard = ['--http-token-file', `${secrets}/token`]
      const first = await node('guarded', `guarded-${process.pid}`, '--create', ...guard)
      const { page, problems } = await open(first.at)
      await until(page, 'the question', has('body', 'Token'))
      await picture(page, 'token')
      await page.type('input[name=token]', token)
      await page.click('button')
      await until(page, 'live', has('#link', 'live'))
      expect(page.url()).toBe(first.at)
      expect(await page.content()).not.toContain(token)
      expect(await page.evaluate('document.cookie')).toBe('')

      first.node.kill('SIGKILL')
      await until(page, 'gone', has('#link', 'does not answer any more'))
      const port = new URL(first.at).port
      await node('again', `again-${process.pid}`, '--create', ...guard, '--metrics-port', port)
      await until(page, 'the node that came back', has('main', `again-${process.pid}`))
      await until(page, 'live again', has('#link', 'live'))
      // the first answer was the question for the token
      expect(problems.filter((problem) => !problem.includes('401'))).toEqual([])
    } finally {
      rmSync(secrets, { recursive: true })
    }
  })

  test('shows several groups of one process; what comes from the network is text', async () => {
    await using kernel = await startKernel({ metricsPort: 0, logLevel: 'silent' })
    const names = [1, 2].map((i) => `several-${i}-${process.pid}`)
    const evil = '<img src=x onerror="window.isBroken = true">'
    for (const name of names) await kernel.createGroup(name, { memberName: evil })
    const { page, problems } = await open(`http://${kernel.metricsAddress}/`)
    await until(page, 'two cards', `document.querySelectorAll('.card').length === 2`)
    expect(await seen(page, 'td.name')).toBe(evil)
    const links = (await page.evaluate(
      `[...document.querySelectorAll('#groups a')].map((link) => document.querySelector(link.getAttribute('href')).textContent)`,
    )) as string[]
    expect(links.map((text, i) => text.startsWith(names[i]!))).toEqual([true, true])
    await picture(page, 'several')
    expect(await page.evaluate('window.isBroken')).toBeUndefined()
    expect(problems).toEqual([])
  })
})
