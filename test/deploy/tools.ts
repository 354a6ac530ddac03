/** Programs that a test needs and the machine may lack: found on the PATH, run to their end, or told why not. */
import { type ExecFileException, execFile, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter } from 'node:path'

const RUN_MS = 60_000
const OUTPUT_BYTES = 8 * 1024 * 1024

/** Undefined if all are there; else a sentence for the one who wonders why a test was skipped. */
export function whyMissing(programs: readonly string[], debianPackage: string): string | undefined {
  const missing = programs.filter((program) => !isThere(program))
  if (missing.length === 0) return undefined
  return `${missing.join(' and ')} not found; install the package ${debianPackage}`
}

function isThere(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(`${folder}/${program}`, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

export interface Finished {
  readonly status: number
  /** Both streams together. */
  readonly output: string
}

/** Runs a program to its end; it is killed if it takes longer than a minute. */
export function run(program: string, args: readonly string[], input = ''): Promise<Finished> {
  return new Promise((resolve) => {
    const options = { timeout: RUN_MS, maxBuffer: OUTPUT_BYTES }
    const child = execFile(program, [...args], options, (error: ExecFileException | null, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
      resolve({ status, output: stdout + stderr })
    })
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

/** A server of a test's own: started, and ended by its pid. */
export class Service implements AsyncDisposable {
  log = ''
  private readonly child
  private readonly ended: Promise<void>
  private isGone = false

  constructor(program: string, args: readonly string[]) {
    this.child = spawn(program, [...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.log = (this.log + text).slice(-20_000)
      })
    }
    this.ended = new Promise((resolve) => {
      const gone = (): void => {
        this.isGone = true
        resolve()
      }
      this.child.on('error', (error) => {
        this.log += error.message
        gone()
      })
      this.child.on('close', gone)
    })
  }

  /** Asks again and again until `ask` gives something; its errors count as not yet. */
  async until<R>(what: string, ask: () => Promise<R | undefined>, limitMs = 60_000): Promise<R> {
    const limit = performance.now() + limitMs
    let last = 'no answer'
    for (;;) {
      try {
        const answer = await ask()
        if (answer !== undefined) return answer
      } catch (error) {
        last = error instanceof Error ? error.message : String(error)
      }
      if (this.isGone) throw new Error(`ended before ${what}\n${this.log}`)
      if (performance.now() > limit) throw new Error(`waited ${limitMs} ms for ${what}: ${last}\n${this.log}`)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isGone) this.child.kill('SIGTERM')
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10_000)
    await this.ended
    clearTimeout(timer)
  }
}
