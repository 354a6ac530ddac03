/**
 * The way back after an expulsion (design 4.7; the paper leaves it to the program): the port is looked for again
 * and again, further and further apart, until the group lets this process in as a new member. It only joins:
 * a group that does not answer is waited for, and never created a second time.
 */
import { ErrorCode, GroupError, OpenError } from '../kernel/errors.ts'
import type { Address, Micros } from '../kernel/identity.ts'
import type { Entered } from './life.ts'
import type { OutputHandler } from './member-port.ts'

/** What a group needs for its way back; the kernel makes one where `rejoin` is set. */
export interface Rejoiner {
  /**
   * One attempt to join. `enter` is called in the very step that joins and says where the outputs go; rejects
   * if nobody answers, if the group does not let this process in, or soon after the signal has fired.
   */
  attempt(
    contacts: readonly Address[],
    signal: AbortSignal,
    enter: (entered: Entered) => OutputHandler,
  ): Promise<void>
  /** The group seals with a key that this process does not hold yet, as the error says: it goes on asking. */
  waitsForKey(error: GroupError): void
  /** Calls back after so many microseconds; returns how to call it off. */
  after(micros: Micros, callback: () => void): () => void
}

const WAIT_FIRST: Micros = 100_000
const WAIT_LAST: Micros = 5_000_000

/**
 * What is no matter of time: what a group has decided, or what somebody has to change here. (A key that is missing is not:
 * key files change while processes live, and this one may be the last that gets it.)
 */
const finalCodes: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.incompatible,
  ErrorCode.notAuthorized,
  ErrorCode.invalid,
])

export class Rejoin {
  private readonly stopping = new AbortController()
  private readonly rejoiner: Rejoiner
  private readonly gaveUp: (error: GroupError) => void
  private wake: (() => void) | undefined
  /** What was said last of a key that is missing. */
  private told: string | undefined
  private readonly done: Promise<void>

  /** `contacts` are the addresses of the members last seen: one of them may know the group without multicast. */
  constructor(
    rejoiner: Rejoiner,
    contacts: readonly Address[],
    enter: (entered: Entered) => OutputHandler,
    gaveUp: (error: GroupError) => void,
  ) {
    this.rejoiner = rejoiner
    this.gaveUp = gaveUp
    this.done = this.run(contacts, enter)
  }

  /** Resolves when nothing is under way any more; the attempt that is may have succeeded by then. */
  stop(): Promise<void> {
    this.stopping.abort()
    this.wake?.()
    return this.done
  }

  private async run(contacts: readonly Address[], enter: (entered: Entered) => OutputHandler): Promise<void> {
    const { signal } = this.stopping
    for (let wait = WAIT_FIRST; !signal.aborted; wait = Math.min(WAIT_LAST, 2 * wait)) {
      try {
        return await this.rejoiner.attempt(contacts, signal, enter)
      } catch (error) {
        if (signal.aborted) return
        if (isMissingKey(error)) this.tellOnce(error)
        else if (error instanceof GroupError && finalCodes.has(error.code))
          return this.gaveUp(hasEnded(error))
      }
      await this.sleep(wait)
    }
  }

  private tellOnce(error: GroupError): void {
    if (this.told === error.message) return
    this.told = error.message
    this.rejoiner.waitsForKey(error)
  }

  private async sleep(micros: Micros): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.rejoiner.after(micros, resolve)
      this.wake = () => {
        cancel()
        resolve()
      }
    })
    this.wake = undefined
  }
}

function isMissingKey(error: unknown): error is OpenError {
  return error instanceof OpenError && error.openFailure === 'missingKey'
}

/** Whoever set `rejoin` waits for a member that does not come any more, unless it is told so. */
function hasEnded(error: GroupError): GroupError {
  return new GroupError(
    error.code,
    `it was expelled, and has stopped trying to come back (rejoin), because waiting would not help: ${error.message}`,
    { cause: error },
  )
}
