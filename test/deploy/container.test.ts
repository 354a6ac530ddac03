/**
 * The container file. There may be no container engine here, so its steps are read and held to what an image should
 * be; then what its last stage holds is put together in a folder and run as it would be: as process 1 of a process
 * namespace, not root, with nothing but the packages that are no development tools.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { freshPort } from '../processes/one-order.ts'
import { repositoryRoot } from '../support/files.ts'
import { freeTcpPort } from '../support/ports.ts'
import { type CliProcess, Processes } from '../support/processes.ts'
import { run, whyMissing } from './tools.ts'

interface Step {
  readonly instruction: string
  readonly rest: string
}

/** Comments away, continued lines joined. */
function readSteps(text: string): Step[] {
  const joined = text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .join('\n')
    .replace(/\\\n\s*/g, ' ')
  return joined
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [instruction, ...words] = line.trim().split(/\s+/)
      return { instruction: instruction!, rest: words.join(' ') }
    })
}

const steps = readSteps(readFileSync(`${repositoryRoot}deploy/container/Containerfile`, 'utf8'))
const stageAt = steps.findLastIndex(({ instruction }) => instruction === 'FROM')
const lastStage = steps.slice(stageAt)

function only(instruction: string): string {
  const found = lastStage.filter((step) => step.instruction === instruction)
  expect([instruction, found.length]).toEqual([instruction, 1])
  return found[0]!.rest
}

const copiesOf = (part: readonly Step[]): string[][] =>
  part.filter(({ instruction }) => instruction === 'COPY').map(({ rest }) => rest.split(' '))

describe('the container file', () => {
  test('has two stages of one pinned, slim base, and known instructions only', () => {
    const bases = steps
      .filter(({ instruction }) => instruction === 'FROM')
      .map(({ rest }) => rest.split(' ')[0])
    expect(bases).toHaveLength(2)
    expect(new Set(bases).size).toBe(1)
    expect(bases[0]).toMatch(/^node:\d+-(slim|alpine)$/)
    const known = [
      'FROM',
      'WORKDIR',
      'COPY',
      'RUN',
      'ENV',
      'USER',
      'HEALTHCHECK',
      'STOPSIGNAL',
      'ENTRYPOINT',
      'CMD',
    ]
    expect(steps.filter(({ instruction }) => !known.includes(instruction))).toEqual([])
  })

  test('does not run as root, ends by SIGTERM, and starts the command without a shell', () => {
    expect(only('USER')).toBe('node')
    expect(only('STOPSIGNAL')).toBe('SIGTERM')
    expect(JSON.parse(only('ENTRYPOINT'))).toEqual(['node', '/app/dist/cli/main.js'])
    expect(JSON.parse(only('CMD'))).toEqual(expect.arrayContaining(['--stay', '--metrics-port', '9400']))
    const order = lastStage.map(({ instruction }) => instruction)
    expect(order.indexOf('USER')).toBeGreaterThan(order.lastIndexOf('COPY'))
    // Nothing is run in the last stage: what it holds was made in the first.
    expect(order).not.toContain('RUN')
    expect(only('HEALTHCHECK')).toMatch(/ CMD \["node", "\/app\/healthcheck\.mjs"\]$/)
  })

  test('copies what there is, and what .dockerignore lets through', () => {
    const ignore = readFileSync(`${repositoryRoot}.dockerignore`, 'utf8').split('\n')
    expect(ignore.filter((line) => line !== '' && !/^(#|!)/.test(line))).toEqual(['*'])
    const sources = copiesOf(steps).flatMap((words) =>
      words[0]!.startsWith('--from') ? [] : words.slice(0, -1),
    )
    expect(sources.length).toBeGreaterThan(10)
    for (const source of sources) {
      expect([source, existsSync(`${repositoryRoot}${source}`)]).toEqual([source, true])
      expect(ignore).toContain(`!${source}`)
    }
    // And nothing else goes to the builder: no secrets, no history, nothing that is built.
    const allowed = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
    expect(allowed.sort()).toEqual([...new Set(sources)].sort())
  })

  test('installs by the lock file, without the scripts of packages', () => {
    const runs = steps.filter(({ instruction }) => instruction === 'RUN').map(({ rest }) => rest)
    const installs = runs.flatMap((rest) => rest.split('&&')).filter((command) => command.includes('npm '))
    expect(installs).toHaveLength(2)
    for (const command of installs) expect(command).toContain('--ignore-scripts')
    expect(installs[0]).toContain('npm ci')
    expect(installs[1]).toContain('npm prune --omit=dev')
  })
})

// ---- what is in it, run ---------------------------------------------------------------------------------

const processes = new Processes()
let folder: string | undefined

afterEach(async () => {
  await processes.endAll()
  if (folder !== undefined) rmSync(folder, { recursive: true })
  folder = undefined
})

/** What the last stage copies, as the folder /app of the image. */
async function assemble(): Promise<string> {
  const app = mkdtempSync(join(tmpdir(), 'amoebacast-image-'))
  folder = app
  chmodSync(app, 0o755)
  const names: string[] = []
  for (const words of copiesOf(lastStage)) {
    const isBuilt = words[0] === '--from=build'
    const sources = words.slice(isBuilt ? 1 : 0, -1)
    const target = words.at(-1)!
    for (const source of sources) {
      const name = target.endsWith('/') ? source.split('/').at(-1)! : target
      names.push(name)
      if (name === 'node_modules') await copyProductionPackages(app)
      else if (isBuilt) {
        const from = source.replace('/build/', repositoryRoot)
        cpSync(from, join(app, name), {
          recursive: true,
          filter: (path) => !/\/dist\/(test$|\.tsbuildinfo)/.test(path),
        })
      } else cpSync(`${repositoryRoot}${source}`, join(app, name))
    }
  }
  expect(names.sort()).toEqual(['LICENSE', 'dist', 'healthcheck.mjs', 'node_modules', 'package.json'])
  return app
}

async function copyProductionPackages(app: string): Promise<void> {
  const { output } = await run('npm', [
    'ls',
    '--omit=dev',
    '--all',
    '--parseable',
    '--prefix',
    repositoryRoot,
  ])
  const paths = output.split('\n').filter((line) => line.startsWith(`${repositoryRoot}node_modules/`))
  expect(paths.length).toBeGreaterThan(5)
  mkdirSync(join(app, 'node_modules'))
  for (const path of paths) {
    const to = join(app, relative(repositoryRoot, path))
    // Packages inside packages come with a line of their own, and may be development tools.
    cpSync(path, to, {
      recursive: true,
      filter: (inside) => !/\/node_modules(\/|$)/.test(inside.slice(path.length)),
    })
  }
}

/** The process 1 of the namespace that `unshare` has made, as its parent's namespace knows it. */
function firstChildOf({ child, describe: describeProblem }: CliProcess): number {
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim()
  if (!/^\d+$/.test(children)) throw describeProblem(`has these children: ${children}`)
  return Number(children)
}

test('what the image holds runs as process 1, not as root, is healthy, and leaves at SIGTERM', {
  timeout: 120_000,
}, async (context) => {
  const why =
    process.getuid?.() === 0
      ? whyMissing(['unshare', 'setpriv'], 'util-linux')
      : 'needs root to make a process namespace'
  if (why !== undefined) {
    console.warn(`skipped: ${why}`)
    return context.skip(why)
  }
  const app = await assemble()
  const main = join(app, 'dist/cli/main.js')
  const metricsPort = await freeTcpPort()
  const group = freshPort('container')
  const other = processes.cli([
    'node',
    '--group',
    group,
    '--json',
    '--stay',
    '--create',
    '--detection',
    'wan',
  ])
  await other.waitForEvent('ready', ({ event }) => event === 'ready')

  const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--no-new-privs']
  const command = [
    'node',
    '--group',
    group,
    '--json',
    '--stay',
    '--metrics-port',
    String(metricsPort),
    '--detection',
    'wan',
  ]
  const boxed = processes.add('container', 'unshare', [
    ...['--pid', '--fork', '--kill-child', 'setpriv', ...nobody],
    ...[process.execPath, main, ...command],
  ])
  // No terminal and no pipe behind it, as in a container.
  boxed.child.stdin!.end()
  await boxed.waitForEvent('ready', ({ event }) => event === 'ready')
  const pid = firstChildOf(boxed)
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  expect(status).toMatch(/^NSpid:\t\d+\t1$/m)
  expect(status).toMatch(/^Uid:\t65534\t65534/m)
  expect(statSync(`/proc/${pid}`).uid).toBe(65534)

  const check = async (port: number) =>
    run('env', [`METRICS_PORT=${port}`, process.execPath, join(app, 'healthcheck.mjs')])
  expect(await check(metricsPort)).toEqual({ status: 0, output: '' })
  expect(await check(await freeTcpPort())).toEqual({
    status: 1,
    output: expect.stringMatching(/healthz: .*ECONNREFUSED/),
  })

  process.kill(pid, 'SIGTERM')
  await boxed.exitsWith(0)
  await other.waitForEvent('its leave', ({ event, kind }) => event === 'delivery' && kind === 'leave')
  expect(other.events.filter(({ kind }) => kind === 'reset')).toEqual([])
  other.kill('SIGTERM')
  await other.exitsWith(0)
})

test('the service for systemd is one that systemd takes', async (context) => {
  const why = whyMissing(['systemd-analyze'], 'systemd')
  if (why !== undefined) {
    console.warn(`skipped: ${why}`)
    return context.skip(why)
  }
  folder = mkdtempSync(join(tmpdir(), 'amoebacast-unit-'))
  const text = readFileSync(`${repositoryRoot}deploy/systemd/amoebacast@.service`, 'utf8')
  // Its command need not be installed here.
  const verify = async (unit: string) => {
    const file = join(folder!, 'amoebacast@orders.service')
    writeFileSync(file, unit.replace('/usr/bin/amoebacast', process.execPath))
    return run('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', file])
  }
  expect(await verify(text)).toEqual({ status: 0, output: '' })
  expect((await verify(text.replace('KillSignal=SIGTERM', 'KillSignals=SIGTERM'))).output).toContain(
    'KillSignals',
  )
})
