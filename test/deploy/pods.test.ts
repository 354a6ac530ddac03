/**
 * What the StatefulSet starts, started here: its very command line, with addresses of loopback for those of pods, and
 * a DNS server (the package dns2) that shows the pods under the headless service's name, as a cluster's does. The
 * pods find each other by that name alone, and are replaced one after the other, each at a new address.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import dns2 from 'dns2'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freshPort } from '../processes/one-order.ts'
import { freeTcpPort, freeUdpPort } from '../support/ports.ts'
import { type CliProcess, Processes } from '../support/processes.ts'
import { container, service, statefulSet } from './manifests.ts'

const TOKEN = 'a-token-for-the-tests-of-pods'
const READY_MS = 45_000
/** No such name (RFC 1035, section 4.1.1). */
const NAME_ERROR = 3

const processes = new Processes()
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'amoebacast-pods-'))
})
afterEach(async () => {
  await processes.endAll()
  rmSync(folder, { recursive: true })
})

interface Pod {
  readonly name: string
  readonly address: string
  readonly process: CliProcess
}

/** A, for the addresses of one name; NXDOMAIN for all other names, and for the one while it has none. */
async function serveName(name: string, addresses: ReadonlySet<string>) {
  const { Packet } = dns2
  const questions: string[] = []
  const server = dns2.createServer({
    udp: true,
    handle: (request, send) => {
      const response = Packet.createResponseFromRequest(request)
      const [question] = request.questions
      questions.push(question!.name)
      const isKnown = question!.name === name && addresses.size > 0
      if (!isKnown) response.header.rcode = NAME_ERROR
      else if ((question!.type ?? Packet.TYPE.A) === Packet.TYPE.A) {
        for (const address of addresses) {
          const record = { name, type: Packet.TYPE.A, class: Packet.CLASS.IN, ttl: 0, address }
          response.answers.push(record as dns2.Packet.Resource)
        }
      }
      void send(response)
    },
  })
  await server.listen({ udp: { port: 0, address: '127.0.0.1' } })
  const { port } = server.addresses().udp as { port: number }
  return { address: `127.0.0.1:${port}`, questions, close: () => server.close() }
}

/** 200 and what it says, or undefined while it is refused or not there yet. */
async function page(url: string, token?: string): Promise<{ status: number; text: string } | undefined> {
  try {
    const headers = token === undefined ? undefined : { authorization: `Bearer ${token}` }
    const response = await fetch(url, headers === undefined ? {} : { headers })
    return { status: response.status, text: await response.text() }
  } catch {
    return undefined
  }
}

test('pods find each other by the name of their service, and are replaced one by one', {
  timeout: 240_000,
}, async () => {
  const replicas = statefulSet.spec!.replicas!
  const [udpPort, metricsPort] = [await freeUdpPort(), await freeTcpPort()]
  const tokenFile = join(folder, 'http-token')
  writeFileSync(tokenFile, `${TOKEN}\n`)
  const group = freshPort('pods')
  const shown = new Set<string>()
  const dns = await serveName(service.metadata!.name!, shown)
  try {
    let started = 0
    // A part of loopback that hardly anybody uses; each pod has an address of its own, as in a cluster.
    const network = `127.${64 + (process.pid % 128)}.${(process.pid >> 7) % 256}`
    const start = (index: number): Pod => {
      const name = `${statefulSet.metadata!.name}-${index}`
      const address = `${network}.${++started}`
      const values: Record<string, string> = { POD_IP: address, POD_NAME: name }
      const args = container.args!.map((arg) =>
        arg
          .replace(/\$\((\w+)\)/g, (_, variable: string) => values[variable]!)
          .replace('7788', String(udpPort))
          .replace('9400', String(metricsPort))
          // pods do not share their ports, and these do
          .replace('=0.0.0.0', `=${address}`)
          .replace('/etc/amoebacast/http-token', tokenFile)
          .replace('--group=orders', `--group=${group}`),
      )
      const environment = {
        AMOEBACAST_DNS_SERVERS: dns.address,
        // Tests share their machine: what stands still for a moment is not dead.
        AMOEBACAST_DETECTION: 'wan',
      }
      return { name, address, process: processes.cli([...args, '--json'], { name, environment }) }
    }
    const url = ({ address }: Pod, path: string): string => `http://${address}:${metricsPort}${path}`
    const untilReady = async (pod: Pod): Promise<void> => {
      const limit = performance.now() + READY_MS
      while ((await page(url(pod, '/readyz')))?.status !== 200) {
        if (performance.now() > limit) throw pod.process.describe(`is not ready after ${READY_MS} ms`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    const viewOf = async (pod: Pod): Promise<unknown> => {
      const { text } = (await page(url(pod, '/metrics'), TOKEN))!
      return /^amoebacast_view_members\{.*\} (\d+)$/m.exec(text)?.[1]
    }

    const pods = Array.from({ length: replicas }, (_, index) => start(index))
    // They live before they are ready, and the name appears only after they have begun to ask for it.
    for (const pod of pods) {
      const limit = performance.now() + READY_MS
      while ((await page(url(pod, '/healthz')))?.status !== 200) {
        if (performance.now() > limit) throw pod.process.describe('does not live')
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    expect((await page(url(pods[0]!, '/readyz')))?.status).toBe(503)
    for (const { address } of pods) shown.add(address)
    await Promise.all(pods.map(untilReady))
    const ready = await Promise.all(
      pods.map(({ process }) => process.waitForEvent('ready', ({ event }) => event === 'ready')),
    )
    const groups = new Set(ready.map(({ groupId }) => groupId))
    expect(groups.size).toBe(1)
    expect(ready.map(({ address }) => address).sort()).toEqual(
      pods.map(({ address }) => `${address}:${udpPort}`).sort(),
    )
    expect(dns.questions).toContain(service.metadata!.name)

    // Probes need no token, the numbers do.
    expect((await page(url(pods[0]!, '/metrics')))?.status).toBe(401)
    expect((await page(url(pods[0]!, '/metrics'), TOKEN))?.status).toBe(200)

    // A rolling update, from the last pod to the first.
    const ended: Pod[] = []
    for (let index = replicas - 1; index >= 0; index--) {
      const old = pods[index]!
      old.process.kill('SIGTERM')
      await old.process.exitsWith(0)
      ended.push(old)
      shown.delete(old.address)
      const next = start(index)
      pods[index] = next
      shown.add(next.address)
      await untilReady(next)
      const { groupId } = await next.process.waitForEvent('ready', ({ event }) => event === 'ready')
      expect(groups).toContain(groupId)
    }
    for (const pod of pods) {
      await expect.poll(() => viewOf(pod), { timeout: 30_000 }).toBe(String(replicas))
    }
    for (const { name, process } of [...pods, ...ended]) {
      const bad = process.events.filter(({ event, kind }) => kind === 'reset' || event === 'expelled')
      expect([name, bad]).toEqual([name, []])
      expect(process.stderr).not.toContain(TOKEN)
    }
    for (const { process } of pods) process.kill('SIGTERM')
    for (const { process } of pods) await process.exitsWith(0)
  } finally {
    await dns.close()
  }
})
