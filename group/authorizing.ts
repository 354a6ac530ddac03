/** Puts a joiner to the program's `authorize` function, and brings back what it says. */
import { type Nonce, rightNames, roleNames } from '../kernel/identity.ts'
import type { Log } from '../kernel/node/log.ts'
import type { Call, Output } from '../kernel/port.ts'
import { DECISION_LIMIT } from '../sequencer/authorization.ts'
import type { Authorize } from './options.ts'

/** The machine that asks. */
export interface Asking {
  readonly isAttached: boolean
  call(call: Call): void
}

export class Authorizing {
  private readonly authorize: Authorize
  private readonly machine: Asking
  private readonly log: Log

  constructor(authorize: Authorize, machine: Asking, log: Log) {
    this.authorize = authorize
    this.machine = machine
    this.log = log
  }

  /** Never throws. How long the program may take is the machine's to say: an answer that is late changes nothing. */
  onOutput({ joiner, token }: Extract<Output, { output: 'authorize' }>): void {
    const { nonce, name, address } = joiner
    const member = { name, address, role: roleNames[joiner.role], right: rightNames[joiner.right] }
    const timer = this.warnWhenLate(name, address)
    void this.ask(member, token).then(
      (isAllowed) => {
        clearTimeout(timer)
        if (!isAllowed) this.log.warn({ name, address }, 'the authorize function has refused a joiner')
        this.answer(nonce, isAllowed)
      },
      (error: unknown) => {
        clearTimeout(timer)
        this.log.error(
          { err: error, name, address },
          'the authorize function has failed; the joiner is refused',
        )
        this.answer(nonce, false)
      },
    )
  }

  /** The joiner hears no more than that it is refused: here is the one place that can say why. */
  private warnWhenLate(name: string, address: string): NodeJS.Timeout {
    const seconds = DECISION_LIMIT / 1e6
    const warn = () => {
      if (!this.machine.isAttached) return
      this.log.warn(
        { name, address },
        `the authorize function has not answered in ${seconds} s; the joiner is refused`,
      )
    }
    return setTimeout(warn, DECISION_LIMIT / 1000).unref()
  }

  /** Anything but `true` is a refusal: a function that forgets to say yes lets nobody in. */
  private async ask(...asked: Parameters<Authorize>): Promise<boolean> {
    return (await this.authorize(...asked)) === true
  }

  private answer(nonce: Nonce, isAllowed: boolean): void {
    this.machine.call({ call: 'authorized', nonce, isAllowed })
  }
}
