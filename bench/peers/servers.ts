/** Servers of peers: started on free ports of loopback, with what they keep in a temporary folder, ended by pid. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BenchError } from '../child.ts'
import type { PeerName } from '../messages.ts'
import { type Launch, launchers } from './launchers.ts'

const READY_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 20
const KEPT_OUTPUT_CHARACTERS = 2_000
/** Of a Linux clock tick, which /proc counts in. */
const TICKS_PER_SECOND = 100

export interface Servers {
  /** `host:port` of each, for clients. */
  readonly addresses: readonly string[]
  /** Processor time of all so far; 0 where the system does not tell. */
  cpuSeconds(): number
  end(): void
}

interface Server {
  readonly process: ChildProcess
  readonly name: string
  output: string
  isGone: boolean
}

export async function startServers(peer: PeerName): Promise<Servers> {
  const { servers: count, portsOfEach, launch } = launchers[peer]
  const folder = mkdtempSync(join(tmpdir(), `amoebacast-bench-${peer}-`))
  const servers: Server[] = []
  const end = (): void => {
    for (const { process } of servers) process.kill('SIGKILL')
    servers.length = 0
    process.off('exit', end)
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }
  process.on('exit', end)
  try {
    const ports = await freePorts(count * portsOfEach)
    const launches = launch(ports, folder)
    for (const each of launches) servers.push(start(each))
    const addresses = launches.map(({ port }) => `127.0.0.1:${port}`)
    await Promise.all(launches.map(({ port }, i) => untilOpen(port, servers[i]!)))
    return { addresses, end, cpuSeconds: () => servers.reduce((sum, each) => sum + cpuOf(each), 0) }
  } catch (error) {
    end()
    throw error
  }
}

function start({ command, args, config }: Launch): Server {
  config?.()
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const server: Server = { process: child, name: command, output: '', isGone: false }
  const keep = (text: string): void => {
    server.output = (server.output + text).slice(-KEPT_OUTPUT_CHARACTERS)
  }
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  child.on('error', (error) => {
    server.isGone = true
    keep(error.message)
  })
  child.on('exit', () => {
    server.isGone = true
  })
  return server
}

async function untilOpen(port: number, server: Server): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS
  while (!(await isOpen(port))) {
    if (server.isGone) throw new BenchError(`${server.name} ended: ${server.output.trim()}`)
    if (performance.now() > until)
      throw new BenchError(
        `${server.name} did not listen within ${READY_WITHIN_MS} ms: ${server.output.trim()}`,
      )
    await sleep(LOOK_EVERY_MS)
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (open: boolean) => (): void => {
      socket.destroy()
      resolve(open)
    }
    socket.on('connect', end(true))
    socket.on('error', end(false))
  })
}

/** Held all at once, so that they differ; somebody else may take one before its server does, who then complains. */
async function freePorts(count: number): Promise<number[]> {
  const holders = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    holders.map(
      (holder) =>
        new Promise<number>((resolve, reject) => {
          holder.on('error', reject)
          holder.listen(0, '127.0.0.1', () => resolve((holder.address() as { port: number }).port))
        }),
    ),
  )
  await Promise.all(holders.map((holder) => new Promise((resolve) => holder.close(resolve))))
  return ports
}

function cpuOf({ process: { pid } }: Server): number {
  try {
    // The name of the command, in parentheses, may hold anything; fields are counted from behind it.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  } catch {
    return 0
  }
}
