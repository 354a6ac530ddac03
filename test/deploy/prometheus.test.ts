/**
 * A real Prometheus reads three real nodes on loopback, with the rules of deploy/: what its operators would ask is
 * asked by its own API, before and after the sequencer is killed.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { FedNode } from '../processes/fed-nodes.ts'
import { freshPort } from '../processes/one-order.ts'
import { repositoryRoot } from '../support/files.ts'
import { freeTcpPort } from '../support/ports.ts'
import { Processes } from '../support/processes.ts'
import { run, Service, whyMissing } from './tools.ts'

const processes = new Processes()
afterEach(() => processes.endAll())

interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [at: number, value: string]
}

/** Prometheus' answers, by its HTTP API. */
class Asking {
  private readonly url: string

  constructor(url: string) {
    this.url = url
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.url}${path}`)
    const answer = (await response.json()) as { status: string; data: T; error?: string }
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error}`)
    return answer.data
  }

  async query(expr: string): Promise<readonly Sample[]> {
    const { result } = await this.get<{ result: readonly Sample[] }>(
      `/api/v1/query?query=${encodeURIComponent(expr)}`,
    )
    return result
  }

  /** The one value that a query has; undefined if it has none, or several. */
  async value(expr: string): Promise<number | undefined> {
    const result = await this.query(expr)
    return result.length === 1 ? Number(result[0]!.value[1]) : undefined
  }
}

test('three nodes, scraped by a real Prometheus', { timeout: 240_000 }, async (context) => {
  const why = whyMissing(['prometheus', 'promtool'], 'prometheus')
  if (why !== undefined) {
    console.warn(`skipped: ${why}`)
    return context.skip(why)
  }
  const group = freshPort('prometheus')
  const nodes = ['a', 'b', 'c'].map((name, i) => {
    const options = [
      '--stay',
      '--json',
      '--metrics-port',
      '0',
      '--member-name',
      name,
      '--min-starters',
      '2',
      '--detection',
      'wan',
    ]
    return new FedNode(processes.cli(['node', '--group', group, ...options], { name }), i)
  })
  const ready = await Promise.all(
    nodes.map(({ process }) => process.waitForEvent('ready', ({ event }) => event === 'ready')),
  )
  const targets = ready.map(({ metrics }) => String(metrics))
  for (const node of nodes) node.feed()
  await Promise.all(nodes.map((node) => node.hasSent(50)))

  // The page of each is one that promtool has nothing to say against.
  for (const target of targets) {
    const page = await (await fetch(`http://${target}/metrics`)).text()
    expect(await run('promtool', ['check', 'metrics'], page)).toEqual({ status: 0, output: '' })
  }
  expect((await run('promtool', ['check', 'metrics'], '# TYPE x counter\nx 1\n')).status).not.toBe(0)

  const folder = mkdtempSync(join(tmpdir(), 'amoebacast-prometheus-'))
  try {
    // As deploy/prometheus/prometheus.yml, but for these targets and less patient; the rules are those of deploy/.
    const rules = ['recording.yml', 'alerts.yml'].map((name) => {
      const text = readFileSync(`${repositoryRoot}deploy/prometheus/${name}`, 'utf8').replace(
        'interval: 15s',
        'interval: 1s',
      )
      writeFileSync(join(folder, name), text)
      return name
    })
    writeFileSync(
      join(folder, 'prometheus.yml'),
      stringify({
        global: { scrape_interval: '1s', evaluation_interval: '1s' },
        rule_files: rules,
        scrape_configs: [{ job_name: 'amoebacast', static_configs: [{ targets }] }],
      }),
    )
    const port = await freeTcpPort()
    await using prometheus = new Service('prometheus', [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ])
    const asking = new Asking(`http://127.0.0.1:${port}`)
    const until = (what: string, isSo: () => Promise<boolean>) =>
      prometheus.until(what, async () => ((await isSo()) ? true : undefined))
    const own = `group="${group}"`

    await until('three targets are up', async () => (await asking.value('sum(up{job="amoebacast"})')) === 3)
    await until(
      'all have a view of three',
      async () => (await asking.value(`sum(amoebacast_view_members{${own}})`)) === 9,
    )
    expect(await asking.value(`sum(amoebacast_ready{${own}})`)).toBe(3)
    // ρ, by the recording rule that alerts and dashboard go by.
    const load = `job_group:amoebacast_sequencer_load:rate1m{${own}}`
    await until('there is a load', async () => ((await asking.value(load)) ?? 0) > 0)
    await until(
      'messages are ordered',
      async () => ((await asking.value(`job_group:amoebacast_ordered_messages:rate1m{${own}}`)) ?? 0) > 0,
    )
    // Lag: of the two that the sequencer waits for, by their member ids.
    const lags = await asking.query(`amoebacast_member_lag_messages{${own}}`)
    expect(lags.length).toBeGreaterThanOrEqual(2)
    for (const { metric, value } of lags) {
      expect(metric.member).toMatch(/^\d+$/)
      expect(Number(value[1])).toBeGreaterThanOrEqual(0)
    }
    const [sequencer, ...others] = await asking.query(`amoebacast_is_sequencer{${own}} == 1`)
    expect(others).toEqual([])
    const fill = await asking.value(`job_group:amoebacast_history_fill:ratio{${own}}`)
    expect(fill).toBeGreaterThanOrEqual(0)
    expect(fill).toBeLessThanOrEqual(1)

    const victim = nodes[targets.indexOf(sequencer!.metric.instance!)]!
    victim.stopFeeding()
    victim.process.kill('SIGKILL')
    await until(
      'two have a view of two',
      async () => (await asking.value(`sum(amoebacast_view_members{${own}} == 2)`)) === 4,
    )
    await until(
      'one target is down',
      async () => (await asking.value('sum(up{job="amoebacast"} == 0) or vector(-1)')) === 0,
    )
    expect(await asking.value(`min(amoebacast_resets_total{${own},outcome="ok"})`)).toBeGreaterThanOrEqual(1)
    expect(await asking.value(`sum(increase(amoebacast_reset_seconds_count{${own}}[1m])) >= bool 0`)).toBe(1)
    await until('another one numbers', async () => {
      const instances = await asking.query(`amoebacast_is_sequencer{${own}} == 1`)
      return instances.length === 1 && instances[0]!.metric.instance !== sequencer!.metric.instance
    })
    // The alert about it waits for its minute, and its text is rendered.
    const { alerts } = await prometheus.until('an alert', async () => {
      const found = await asking.get<{
        alerts: readonly { labels: Record<string, string>; annotations: Record<string, string> }[]
      }>('/api/v1/alerts')
      return found.alerts.some(({ labels }) => labels.alertname === 'AmoebacastNodeDown') ? found : undefined
    })
    for (const { annotations } of alerts) expect(JSON.stringify(annotations)).not.toMatch(/<no value>|<error/)
    const down = alerts.find(({ labels }) => labels.alertname === 'AmoebacastNodeDown')!
    expect(down.annotations.summary).toBe(`amoebacast node ${sequencer!.metric.instance} does not answer`)

    // Of two, both are needed: with another one gone the last stands still, is alive, and says so.
    const [second, last] = nodes.filter((node) => node !== victim) as [FedNode, FedNode]
    for (const node of [second, last]) node.stopFeeding()
    second.process.kill('SIGKILL')
    const lastTarget = targets[nodes.indexOf(last)]
    await until('the group stands still', async () => {
      const instances = await asking.query(`amoebacast_ready{${own}} == 0`)
      return instances.length === 1 && instances[0]!.metric.instance === lastTarget
    })
    expect(await asking.value(`up{instance="${lastTarget}"}`)).toBe(1)
    expect((await fetch(`http://${lastTarget}/readyz`)).status).toBe(503)
    await until('an alert about it waits or fires', async () => {
      return (await asking.query(`ALERTS{alertname="AmoebacastGroupStopped",${own}}`)).length === 1
    })
    // Nobody is there to order its leave, and it goes all the same.
    last.process.kill('SIGTERM')
    await last.process.exitsWith(0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
