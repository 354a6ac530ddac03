/** How far a bench is and how long it still takes: a bar on a terminal, elsewhere a line now and then. */
import { SingleBar } from 'cli-progress'
import type { Progress } from './plan.ts'

const PLAIN_EVERY_MS = 10_000
const LOOK_EVERY_MS = 1000
/** Before so much is done, nothing is said about the time left. */
const SHARE_LEAST = 0.02

export interface Shown {
  readonly progress: Progress
  stop(): void
}

/** On standard error. */
export function showProgress(name: string): Shown {
  return process.stderr.isTTY ? showBar(name) : showLines(name)
}

function showBar(name: string): Shown {
  const left = new TimeLeft()
  const bar = new SingleBar({
    format: `${name.padEnd(10)} {bar} {percentage} %, {left}: {what}`,
    barsize: 24,
    hideCursor: true,
    stopOnComplete: false,
  })
  bar.start(1, 0, { left: 'starting', what: '' })
  // Single runs may take long: the time goes on between them.
  const timer = setInterval(() => bar.update({ left: left.text }), LOOK_EVERY_MS)
  return {
    progress: (done, of, what) => {
      left.note(done / of)
      bar.setTotal(of)
      bar.update(done, { left: left.text, what })
    },
    stop: () => {
      clearInterval(timer)
      bar.stop()
    },
  }
}

function showLines(name: string): Shown {
  const left = new TimeLeft()
  let saidAt = performance.now()
  return {
    progress: (done, of, what) => {
      left.note(done / of)
      if (performance.now() - saidAt < PLAIN_EVERY_MS) return
      saidAt = performance.now()
      process.stderr.write(`${name}: ${Math.floor((100 * done) / of)} %, ${left.text}, now ${what}\n`)
    },
    stop: () => {},
  }
}

/** By what has been done so far, since it began. */
export class TimeLeft {
  private readonly began: number
  private readonly clock: () => number
  private share = 0
  private notedAt: number

  constructor(clock: () => number = () => performance.now()) {
    this.clock = clock
    this.began = clock()
    this.notedAt = this.began
  }

  note(share: number): void {
    if (share === this.share) return
    this.share = share
    this.notedAt = this.clock()
  }

  get text(): string {
    if (this.share < SHARE_LEAST) return 'starting'
    const whole = (this.notedAt - this.began) / this.share
    const seconds = Math.max(0, Math.round((whole - (this.clock() - this.began)) / 1000))
    const minutes = Math.floor(seconds / 60)
    return minutes > 0 ? `${minutes} min ${seconds % 60} s left` : `${seconds} s left`
  }
}
