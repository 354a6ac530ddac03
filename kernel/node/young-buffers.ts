/**
 * Collects buffers that have died young. node:dgram makes one for each packet, outside V8's heap. V8 collects its young generation,
 * where such buffers die, when that is full of objects, and a packet makes few; so dead buffers by the hundred megabytes count
 * against a limit that follows the heap's size, and when it is reached everything is collected, a dozen times a second.
 * A group at full speed lost two thirds of its rate to that (bench/README).
 *
 * So after so many bytes of buffers the young generation is collected, in a turn of its own, and never for more than a
 * fifth of the time: where much is young and alive, that takes long, and is better left to V8.
 */
import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** With 16 MiB Node 20 is back at its full collections, Node 24 with 32; at 4 the young collections begin to cost. */
const BYTES_BETWEEN = 8 * 1024 * 1024
/** A collection that took so long is not followed by another before four times as long has passed. */
const PAUSES = 4

type CollectYoung = () => void

export class YoungBuffers {
  private readonly find: () => CollectYoung | undefined
  private readonly clock: () => number
  private collectYoung: CollectYoung | undefined
  private isFound = false
  private isPlanned = false
  private bytes = 0
  private notBefore = 0

  /** `find` is asked once, when there is something to collect. `clock` is in milliseconds. */
  constructor(find = findCollection, clock: () => number = () => performance.now()) {
    this.find = find
    this.clock = clock
  }

  /** A buffer of so many bytes has been made that will hardly live long. */
  note(bytes: number): void {
    this.bytes += bytes
    if (this.bytes < BYTES_BETWEEN || this.isPlanned) return
    this.isPlanned = true
    setImmediate(() => this.collect())
  }

  private collect(): void {
    this.isPlanned = false
    const began = this.clock()
    if (began < this.notBefore) return
    this.bytes = 0
    if (!this.isFound) {
      this.isFound = true
      this.collectYoung = this.find()
    }
    if (this.collectYoung === undefined) return
    this.collectYoung()
    const ended = this.clock()
    this.notBefore = ended + PAUSES * (ended - began)
  }
}

/** The one of this isolate: heap and collector are all its kernels'. */
export const youngBuffers = new YoungBuffers()

/** V8 shows its collector to contexts that are made while the flag is set; the program's own keeps none. */
function findCollection(): CollectYoung | undefined {
  const given = [...process.execArgv, process.env.NODE_OPTIONS ?? '']
  if (!isOfUse(process.versions.v8, given)) return undefined
  try {
    const isShown = 'gc' in globalThis
    if (!isShown) setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as (options: { type: 'minor' }) => void
    if (!isShown) setFlagsFromString('--no-expose-gc')
    return () => collect({ type: 'minor' })
  } catch {
    return undefined
  }
}

/** Where the heap was started larger, the V8 of Node 20 and 22 does better by itself, and that of Node 24 does not (bench/README). */
export function isOfUse(v8: string, flags: readonly string[]): boolean {
  const isLarger = flags.some((flag) => /--initial[-_](?:old[-_]space|heap)[-_]size/.test(flag))
  return !isLarger || Number.parseInt(v8, 10) >= 13
}
