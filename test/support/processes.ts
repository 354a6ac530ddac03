/**
 * Real processes for tests: started with their pid kept, waited for by what they print, always ended by pid.
 * When a wait fails, the error shows what the process last printed and its standard error.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cliScript } from './files.ts'

export interface JsonEvent {
  readonly event: string
  readonly [field: string]: unknown
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const WAIT_MS = 45_000
/** Of standard error, this many last characters are kept. */
const KEPT_CHARACTERS = 20_000

/** One process of the command line, in JSON or plain mode. */
export class CliProcess {
  readonly name: string
  readonly child: ChildProcess
  readonly exit: Promise<Exit>
  /** Standard output, line by line, as printed. */
  readonly lines: string[] = []
  stderr = ''
  private rest = ''
  private isGone = false
  private readonly watchers = new Set<() => void>()

  constructor(name: string, command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    this.name = name
    this.child = spawn(command, args, { env: { ...process.env, ...environment }, stdio: 'pipe' })
    // A process that has gone does not read: its end says why.
    this.child.stdin?.on('error', () => {})
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.read(text))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-KEPT_CHARACTERS)
      this.notify()
    })
    this.exit = new Promise((resolve) => {
      this.child.on('error', (error) => {
        this.stderr += error.message
        this.gone()
        resolve({ code: null, signal: null })
      })
      this.child.on('close', (code, signal) => {
        if (this.rest !== '') this.lines.push(this.rest)
        this.gone()
        resolve({ code, signal })
      })
    })
  }

  get events(): JsonEvent[] {
    return this.lines.map((line) => JSON.parse(line) as JsonEvent)
  }

  /** The first event for which `isIt` holds, among those printed and those to come. */
  async waitForEvent(what: string, isIt: (event: JsonEvent) => boolean): Promise<JsonEvent> {
    let looked = 0
    let found: JsonEvent | undefined
    await this.waitUntil(what, () => {
      for (; looked < this.lines.length && found === undefined; looked++) {
        const event = JSON.parse(this.lines[looked]!) as JsonEvent
        if (isIt(event)) found = event
      }
      return found !== undefined
    })
    return found!
  }

  /** Waits until `isSo` holds, looking whenever the process prints something. */
  waitUntil(what: string, isSo: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => {
        clearTimeout(timer)
        this.watchers.delete(look)
        if (error === undefined) resolve()
        else reject(error)
      }
      const look = (): void => {
        if (isSo()) settle()
        else if (this.isGone) settle(this.describe(`ended before ${what}`))
      }
      const timer = setTimeout(
        () => settle(this.describe(`waited ${WAIT_MS} ms in vain for ${what}`)),
        WAIT_MS,
      )
      this.watchers.add(look)
      look()
    })
  }

  /** Resolves with the exit; fails if it is not the expected status. */
  async exitsWith(status: number): Promise<void> {
    const timer = setTimeout(() => this.kill('SIGKILL'), WAIT_MS)
    const { code, signal } = await this.exit
    clearTimeout(timer)
    if (code !== status)
      throw this.describe(`ended with ${signal ?? `status ${code}`} instead of status ${status}`)
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.isGone) this.child.kill(signal)
  }

  describe(problem: string): Error {
    return new Error(
      [
        `${this.name} (pid ${this.child.pid}): ${problem}`,
        `last output:\n${this.lines.slice(-10).join('\n')}`,
        `standard error:\n${this.stderr}`,
      ].join('\n'),
    )
  }

  private read(text: string): void {
    const lines = (this.rest + text).split('\n')
    this.rest = lines.pop()!
    for (const line of lines) this.lines.push(line)
    if (lines.length > 0) this.notify()
  }

  private gone(): void {
    this.isGone = true
    this.notify()
  }

  private notify(): void {
    for (const look of [...this.watchers]) look()
  }
}

/** The processes of one test; `endAll` belongs into its afterEach. */
export class Processes {
  private readonly all: CliProcess[] = []

  /** Runs `amoebacast` as built; `prefix` is a command to run it under, such as `ip netns exec NAME`. */
  cli(
    args: readonly string[],
    options: { name?: string; prefix?: readonly string[]; environment?: NodeJS.ProcessEnv } = {},
  ): CliProcess {
    if (!existsSync(cliScript))
      throw new Error('dist/ is missing; run npm test, or npm run build before vitest')
    const [command, ...rest] = [...(options.prefix ?? []), process.execPath, cliScript, ...args]
    return this.add(options.name ?? args[0] ?? 'amoebacast', command!, rest, options.environment)
  }

  /** Any command. */
  add(
    name: string,
    command: string,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ): CliProcess {
    const started = new CliProcess(name, command, args, environment)
    this.all.push(started)
    return started
  }

  async endAll(): Promise<void> {
    for (const started of this.all) started.kill('SIGKILL')
    await Promise.all(this.all.map(({ exit }) => exit))
    this.all.length = 0
  }
}
