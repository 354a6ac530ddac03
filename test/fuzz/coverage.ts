/**
 * Which code has been reached, told by the engine itself: node:inspector's precise coverage, block by block, in this process.
 * One taking costs about a millisecond, so it is for batches of cases.
 */
import { type Profiler, Session } from 'node:inspector'

/** What one taking has found: where, in which script, code was executed, character by character. */
type Reached = readonly { readonly url: string; readonly from: number; readonly marks: Uint8Array }[]

export class Coverage {
  private readonly session = new Session()
  private readonly isWanted: (url: string) => boolean
  /** Of each script, the characters of code that have been executed. */
  private readonly scripts = new Map<string, Uint8Array>()

  /** Watches the scripts whose URL is wanted. */
  constructor(isWanted: (url: string) => boolean) {
    this.isWanted = isWanted
    this.session.connect()
    this.post('Profiler.enable')
    this.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** What has been executed since the last call. */
  take(): Reached {
    const { result } = this.post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType
    return result
      .filter(({ url }) => this.isWanted(url))
      .flatMap(({ url, functions }) => functions.map(({ ranges }) => ({ url, ...marksOf(ranges) })))
  }

  /** How many characters of it nothing before has reached. */
  newIn(reached: Reached): number {
    let news = 0
    for (const { url, from, marks } of reached) {
      const known = this.scripts.get(url)
      for (let i = 0; i < marks.length; i++) if (marks[i] === 1 && known?.[from + i] !== 1) news++
    }
    return news
  }

  merge(reached: Reached): void {
    for (const { url, from, marks } of reached) {
      const known = grown(this.scripts.get(url), from + marks.length)
      this.scripts.set(url, known)
      for (let i = 0; i < marks.length; i++) if (marks[i] === 1) known[from + i] = 1
    }
  }

  /** Characters reached so far, in all scripts. */
  get reached(): number {
    let characters = 0
    for (const script of this.scripts.values()) for (const mark of script) characters += mark
    return characters
  }

  close(): void {
    this.post('Profiler.stopPreciseCoverage')
    this.session.disconnect()
  }

  private post(method: string, parameters: object = {}): unknown {
    let answer: unknown
    let failure: Error | null = null
    // in the same process a session answers before `post` returns
    this.session.post(method, parameters, (error, result) => {
      failure = error
      answer = result
    })
    if (failure !== null) throw failure
    return answer
  }
}

/** Ranges lie in each other, the outer ones first; each says for itself how often it was executed. */
function marksOf(ranges: readonly Profiler.CoverageRange[]): { from: number; marks: Uint8Array } {
  const from = ranges[0]!.startOffset
  const marks = new Uint8Array(ranges[0]!.endOffset - from)
  for (const { startOffset, endOffset, count } of ranges)
    marks.fill(count > 0 ? 1 : 0, startOffset - from, endOffset - from)
  return { from, marks }
}

function grown(bytes: Uint8Array | undefined, length: number): Uint8Array {
  if (bytes !== undefined && bytes.length >= length) return bytes
  const larger = new Uint8Array(2 * length)
  if (bytes !== undefined) larger.set(bytes)
  return larger
}
