/**
 * One call that several clients wait for: a message under one idempotency key, or the opening of one group. It is
 * given up only when all of them have gone.
 */
import { watchSignal } from '../../group/abort.ts'
import { ErrorCode, GroupError } from '../../kernel/errors.ts'

export class SharedCall<T> {
  /** Whether it is being given up: who comes now must start another. */
  isGivenUp = false
  private waiting = 0
  private readonly controller = new AbortController()
  private readonly result: Promise<T>

  constructor(run: (signal: AbortSignal) => Promise<T>) {
    this.result = run(this.controller.signal)
    // Where all have gone nobody looks at how it ends.
    this.result.catch(() => {})
  }

  /** Resolves when the call has settled, whatever with. */
  get settled(): Promise<void> {
    return this.result.then(nothing, nothing)
  }

  giveUp(): void {
    this.isGivenUp = true
    this.controller.abort()
  }

  /** Waits with the others. Who gives up alone does not know how it ends: ERR_ABORTED, 'unknown'. */
  async join(signal: AbortSignal): Promise<T> {
    this.waiting++
    let leave = (): void => {}
    const gone = new Promise<never>((_resolve, reject) => {
      leave = () => {
        if (--this.waiting === 0) {
          this.giveUp()
        } else {
          const message = 'the client has gone; others wait for the same call'
          reject(new GroupError(ErrorCode.aborted, message, { outcome: 'unknown' }))
        }
      }
    })
    const stopWatching = watchSignal(signal, leave)
    if (signal.aborted) leave()
    try {
      return await Promise.race([this.result, gone])
    } finally {
      stopWatching?.()
    }
  }
}

function nothing(): void {}
