/**
 * Collects buffers that have died young. node:dgram makes one for each packet, outside V8's heap. V8 collects its young generation,
 * where such buffers die, when that is full of objects, and a packet makes few; so dead buffers by the hundred megabytes count
 * against a limit that follows the heap's size, and when it is reached everything is collected, a dozen times a second.
 * What that costs, and what of it is won back here: bench/README.
 *
 * So after so many bytes of buffers the young generation is collected, in a turn of its own, and for no more than a fifth of
 * the time. A heap that is large has a limit that is high, and takes long to collect: it is left to V8.
 */
import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers'
import { getHeapStatistics } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { shownUnder } from './hidden-v8.ts'

/**
 * What lies between two collections counts against the limit as well, alive or dead: with 16 MiB Node 20 is back at its full
 * collections, Node 24 with 32; with 8 both sometimes, and one leads to the next. At 4 the young collections begin to cost.
 */
const BYTES_BETWEEN = 6 * 1024 * 1024
/** A collection that took so long is not followed by another before four times as long has passed. */
const PAUSES = 4
/** Of objects alive and dead. With 300 MB alive a young collection stopped the process for 50 to 200 ms, and won nothing. */
const HEAP_MAX = 64 * 1024 * 1024

/** What V8 has to say, and do. */
export interface Heap {
  /** Milliseconds. */
  now(): number
  /** Bytes of objects. */
  used(): number
  /** Asked once, when there is something to collect. */
  findCollection(): (() => void) | undefined
}

const v8Heap: Heap = {
  now: () => performance.now(),
  used: () => getHeapStatistics().used_heap_size,
  findCollection,
}

export class YoungBuffers {
  private readonly heap: Heap
  private collectYoung: (() => void) | undefined
  private isFound = false
  private isPlanned = false
  private bytes = 0
  private notBefore = 0

  constructor(heap: Heap = v8Heap) {
    this.heap = heap
  }

  /** A buffer of so many bytes has been made, now or for a packet that has just been sent, and will hardly live long. */
  note(bytes: number): void {
    this.bytes += bytes
    if (this.bytes < BYTES_BETWEEN || this.isPlanned || this.heap.now() < this.notBefore) return
    this.isPlanned = true
    setImmediate(() => this.collect())
  }

  private collect(): void {
    this.isPlanned = false
    this.bytes = 0
    if (!this.isFound) {
      this.isFound = true
      this.collectYoung = this.heap.findCollection()
    }
    if (this.collectYoung === undefined || this.heap.used() > HEAP_MAX) return
    const began = this.heap.now()
    this.collectYoung()
    const ended = this.heap.now()
    this.notBefore = ended + PAUSES * (ended - began)
  }
}

/** The one of this thread: heap and collector are all its kernels'. */
export const youngBuffers = new YoungBuffers()

/** A process that was started with the collector shows it to everybody; a worker finds it then only. */
function findCollection(): (() => void) | undefined {
  if (!isOfUse(process.versions.v8, process.execArgv)) return undefined
  const shown = 'typeof gc === "function" ? gc : undefined'
  try {
    const collect = (runInNewContext(shown) ?? shownUnder('expose-gc', shown)) as Collector | undefined
    return collect && (() => collect({ type: 'minor' }))
  } catch {
    return undefined
  }
}

type Collector = (options: { readonly type: 'minor' }) => void

/** Where the heap was started larger, the V8 of Node 20 and 22 does better by itself, and that of Node 24 does not (bench/README). */
export function isOfUse(v8: string, flags: readonly string[]): boolean {
  const isLarger = flags.some((flag) => /--initial[-_](?:old[-_]space|heap)[-_]size/.test(flag))
  return !isLarger || Number.parseInt(v8, 10) >= 13
}
