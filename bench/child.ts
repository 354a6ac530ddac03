/**
 * A process that the bench has started, and what is said between the two: a question has one answer, in time, or
 * the process has failed. Every wait has an end.
 */
import { type ChildProcess, spawn } from 'node:child_process'

const KEPT_ERROR_CHARACTERS = 2_000

export class BenchError extends Error {}

interface Told {
  readonly say: string
}

export interface ChildOptions<From> {
  /** For complaints. */
  readonly name: string
  readonly script: string
  /** Its one argument, as JSON. */
  readonly order: unknown
  readonly execArgv: readonly string[]
  /** A command to run it under. */
  readonly prefix?: readonly string[]
  /** Told of everything that it says, asked or not. */
  readonly onHeard?: (told: From) => void
}

/** `From` is what the process says, with `{ say: 'failed', message }` among it; `To` what it is told. */
export class Child<From extends Told, To extends Told> {
  readonly gone: Promise<void>
  private readonly child: ChildProcess
  private readonly name: string
  private readonly onHeard: ((told: From) => void) | undefined
  /** Questions under way, by what answers them: one of each at a time. */
  private readonly waiting = new Map<string, { resolve: (told: From) => void; reject: (e: Error) => void }>()
  private problem: string | undefined
  private errorText = ''
  private isClosing = false

  constructor({ name, script, order, execArgv, prefix = [], onHeard }: ChildOptions<From>) {
    this.name = name
    this.onHeard = onHeard
    const [command, ...args] = [...prefix, process.execPath, ...execArgv, script, JSON.stringify(order)]
    this.child = spawn(command!, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errorText = (this.errorText + text).slice(-KEPT_ERROR_CHARACTERS)
    })
    this.child.on('message', (message) => this.hear(message as From))
    this.gone = new Promise((resolve) => {
      const end = (why: string) => (): void => {
        if (!this.isClosing) this.fail(why)
        resolve()
      }
      this.child.on('error', end('could not be started'))
      this.child.on('exit', end('ended'))
    })
  }

  async ask<S extends From['say']>(
    say: S,
    told: To | undefined,
    withinMs: number,
  ): Promise<Extract<From, { say: S }>> {
    if (this.problem !== undefined) throw this.error()
    const answer = new Promise<From>((resolve, reject) => {
      this.waiting.set(say, { resolve, reject })
    })
    const timer = setTimeout(() => this.fail(`did not say ${say} within ${withinMs} ms`), withinMs)
    if (told !== undefined) this.child.send(told)
    try {
      return (await answer) as Extract<From, { say: S }>
    } finally {
      clearTimeout(timer)
    }
  }

  /** Tells it to end by itself. */
  close(told: To): void {
    this.isClosing = true
    if (this.child.connected) this.child.send(told)
  }

  /** SIGSTOP for a process that is to fall silent and be ended later. */
  kill(signal: 'SIGKILL' | 'SIGSTOP' = 'SIGKILL'): void {
    this.isClosing = true
    this.child.kill(signal)
    // It will answer nothing any more.
    this.fail('was ended')
  }

  private hear(told: From): void {
    this.onHeard?.(told)
    if (told.say === 'failed') this.fail(`failed: ${(told as { message?: string }).message}`)
    else {
      this.waiting.get(told.say)?.resolve(told)
      this.waiting.delete(told.say)
    }
  }

  private fail(why: string): void {
    this.problem ??= why
    for (const { reject } of this.waiting.values()) reject(this.error())
    this.waiting.clear()
  }

  private error(): BenchError {
    const heard = this.errorText === '' ? '' : `; its standard error: ${this.errorText.trim()}`
    return new BenchError(`${this.name} ${this.problem}${heard}`)
  }
}
