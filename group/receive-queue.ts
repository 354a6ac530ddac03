/**
 * The receiving half of a group at the program's side (paper, section 3: ReceiveFromGroup).
 *
 * Blocks lie here as they came from the machine and are walked record by record; the cursor stands at the next
 * record, so that `more` is known, and nothing is decoded before it is handed out. What is handed out counts as
 * taken. The machine is told so when the queue is empty (in a microtask, so that one report serves a turn),
 * every `reportEvery` places under load, and otherwise at the end of the event loop's turn: a program that
 * stops receiving never holds the group up by more than what it really has not taken.
 *
 * A member that comes back after an expulsion has another life, with places of its own: between what its former
 * life delivered and what the new one does lies a mark, which the program receives as a 'rejoin'. Only what is
 * handed out of the present life is reported. A mark that the program has not received when the next life
 * begins gives way to the next one, with all behind it: it is missed as well.
 *
 * Records on other channels than the programs' are not handed out; they are taken when all before them are.
 * A malformed block gives fewer records; the rest of its places count as such.
 *
 * BOUNDED: events by twice the group's history (kernel/port.ts, credit; of two lives at most); waiters by the program's own calls.
 */
import { assert } from '../kernel/assert.ts'
import { Channel, RecordCursor } from '../kernel/block.ts'
import { Deque } from '../kernel/deque.ts'
import type { GroupError } from '../kernel/errors.ts'
import type { MemberId, Seq } from '../kernel/identity.ts'
import type { OrderedEvent } from '../kernel/port.ts'
import type { View as MachineView } from '../kernel/view.ts'
import { aborted, doNothing, rejected, watchSignal } from './abort.ts'
import { undecodable } from './codec.ts'
import { type Delivery, toView, type View } from './deliveries.ts'

export interface ReceiveQueueOptions<T> {
  /** The body that lies in `bytes` from `from` to `to`; `bytes` is a view that only this queue's deliveries use. */
  decode(bytes: Uint8Array, from: number, to: number): T
  /** For the complaint about a body that it cannot decode. */
  readonly codecName?: string
  /** Hears of each such body. */
  onUndecodable?(sender: MemberId): void
  /** Headers are copied too. */
  readonly copy: boolean
  /** The view as of the own join: deliveries begin after it. */
  readonly view: View
  /** Tells the machine that everything up to `seq` is taken. */
  taken(seq: Seq): void
  /** Places between two reports under load; at least 1, and small against the history. */
  readonly reportEvery: number
}

/** Where a new life begins. */
interface RejoinMark {
  readonly kind: 'rejoin'
  readonly seq: Seq
  readonly sender: MemberId
  readonly view: MachineView
  /** The last place before it in the queue. */
  readonly missedFrom: Seq
}

type ViewChange = Exclude<OrderedEvent, { kind: 'messages' }> | RejoinMark
type Messages = Extract<OrderedEvent, { kind: 'messages' }>

/**
 * Takes deliveries without an object for each message (receiveEach). What it throws comes out of the call; the
 * delivery that it was handed then counts as taken.
 */
export interface Visitor<T> {
  /**
   * One message. Its body is `bytes` from `from` to `to`, as encoded by its sender, and its header, empty for most,
   * `bytes` from `headerFrom` to `from`; never overwritten, and not to be written to.
   */
  message(bytes: Uint8Array, from: number, to: number, seq: Seq, sender: MemberId, headerFrom: number): void
  /** A delivery of another kind, in its place between the messages. */
  change?(delivery: Exclude<Delivery<T>, { kind: 'message' }>): void
}

/** A call that waits: `serve` hands it something, `end` tells it that nothing comes any more. */
interface Waiter {
  serve(): void
  end(): void
}

export class ReceiveQueue<T> {
  private readonly options: ReceiveQueueOptions<T>
  private events = new Deque<OrderedEvent | RejoinMark>()
  private readonly waiters = new Set<Waiter>()
  private view: View

  /** The block being walked, and the place of the record behind the one that the cursor stands at. */
  private block: Messages | undefined
  private cursor: RecordCursor | undefined
  private recordSeq: Seq = 0
  private endSeq: Seq = 0
  /** What is handed out next: the record at the cursor, whose place is `nextSeq`, or a change of view. */
  private hasRecord = false
  private nextChange: ViewChange | undefined
  private nextSeq: Seq = 0

  /** Everything up to here is handed out, or not for programs. */
  private passed: Seq
  private reported: Seq
  private lastPushed: Seq
  private reportEvery: number
  /** Ends of lives whose mark has not been found yet: until then nothing that is handed out is of the present life. */
  private behind = 0
  private reportsSoon = false
  private reportsThisTurn = false
  private ended: { readonly error: GroupError | undefined } | undefined

  constructor(options: ReceiveQueueOptions<T>) {
    this.options = options
    this.view = options.view
    this.reportEvery = options.reportEvery
    this.passed = this.reported = this.lastPushed = options.view.seq
  }

  /** Whether something can be handed out at once. */
  get hasNext(): boolean {
    return this.hasRecord || this.nextChange !== undefined
  }

  private get nextKind(): ViewChange['kind'] | undefined {
    return this.nextChange?.kind
  }

  push(events: readonly OrderedEvent[]): void {
    if (this.ended !== undefined) return
    for (const event of events) {
      assert(event.seq > this.lastPushed, 'deliveries rise in seq', event.seq, this.lastPushed)
      this.lastPushed = event.kind === 'messages' ? event.seq + event.count - 1 : event.seq
      this.events.push(event)
    }
    this.serve()
  }

  /** The life whose deliveries these are is over. What is here can still be received; calls wait for the next life. */
  interrupt(): void {
    this.behind++
  }

  /** Another life begins with its join at `seq`. Gives the last place of the former one that is handed out. */
  resume(seq: Seq, sender: MemberId, view: MachineView, reportEvery: number): Seq {
    const missedFrom = this.dropUnread() ?? this.lastPushed
    this.lastPushed = seq
    this.reportEvery = reportEvery
    this.events.push({ kind: 'rejoin', seq, sender, view, missedFrom })
    this.serve()
    return missedFrom
  }

  /** Drops a life of which the program has received nothing; gives the place from which on it has missed all. */
  private dropUnread(): Seq | undefined {
    if (this.nextChange?.kind === 'rejoin') {
      const { missedFrom } = this.nextChange
      this.nextChange = undefined
      this.events.clear()
      return missedFrom
    }
    const kept = new Deque<OrderedEvent | RejoinMark>()
    for (const event of this.events) {
      if (event.kind === 'rejoin') {
        this.events = kept
        this.behind--
        return event.missedFrom
      }
      kept.push(event)
    }
    return undefined
  }

  private serve(): void {
    if (!this.hasNext) this.lookAhead()
    for (const waiter of this.waiters) {
      if (!this.hasNext) break
      this.waiters.delete(waiter)
      waiter.serve()
    }
    if (this.passed > this.reported) this.scheduleReport()
  }

  /** What is here can still be received; after it, calls end, with `error` unless the end was orderly. */
  end(error: GroupError | undefined): void {
    if (this.ended !== undefined) return
    this.ended = { error }
    for (const waiter of this.waiters) waiter.end()
    this.waiters.clear()
  }

  tryTake(): Delivery<T> | undefined {
    if (!this.hasNext) return undefined
    const delivery = this.handOut()
    if (this.passed > this.reported) this.scheduleReport()
    return delivery
  }

  /** The next delivery; undefined once the member has left in order and all is received. */
  take(signal: AbortSignal | undefined): Promise<Delivery<T> | undefined> {
    if (this.hasNext && !signal?.aborted) return Promise.resolve(this.tryTake())
    return this.wait<Delivery<T> | undefined>(signal, () => this.tryTake(), undefined)
  }

  /** At least one delivery and at most `max`; none once the member has left in order and all is received. */
  takeBatch(max: number, signal: AbortSignal | undefined): Promise<Delivery<T>[]> {
    return this.wait(signal, () => this.tryTakeBatch(max), [])
  }

  private tryTakeBatch(max: number): Delivery<T>[] {
    const batch: Delivery<T>[] = []
    while (batch.length < max && this.hasNext) batch.push(this.handOut())
    if (this.passed > this.reported) this.scheduleReport()
    return batch
  }

  /** Hands at least one and at most `max` deliveries to `visitor`; how many, 0 as for takeBatch. */
  takeEach(visitor: Visitor<T>, max: number, signal: AbortSignal | undefined): Promise<number> {
    return this.wait(signal, () => this.tryTakeEach(visitor, max), 0)
  }

  private tryTakeEach(visitor: Visitor<T>, max: number): number {
    let count = 0
    try {
      for (; count < max && this.hasNext; count++) {
        if (!this.hasRecord) {
          const delivery = this.handOut()
          if (delivery.kind !== 'message') visitor.change?.(delivery)
          continue
        }
        const { bytes, headerAt, bodyAt, end } = this.cursor!
        const seq = this.nextSeq
        const { sender } = this.block!
        this.lookAhead()
        visitor.message(bytes, bodyAt, end, seq, sender, headerAt)
      }
      return count
    } finally {
      if (this.passed > this.reported) this.scheduleReport()
    }
  }

  private wait<R>(signal: AbortSignal | undefined, take: () => R, atEnd: R): Promise<R> {
    if (signal?.aborted) return rejected(aborted(signal))
    // A call that came earlier is served earlier: who waits is in the set only while there is nothing.
    if (this.hasNext) {
      try {
        return Promise.resolve(take())
      } catch (error) {
        return rejected(error)
      }
    }
    if (this.ended !== undefined)
      return this.ended.error ? rejected(this.ended.error) : Promise.resolve(atEnd)
    const promise = new Promise<R>((resolve, reject) => {
      const stopWatching = watchSignal(signal, () => {
        this.waiters.delete(waiter)
        reject(aborted(signal!))
      })
      const waiter: Waiter = {
        serve: () => {
          stopWatching?.()
          try {
            resolve(take())
          } catch (error) {
            reject(error)
          }
        },
        end: () => {
          stopWatching?.()
          const error = this.ended?.error
          if (error === undefined) resolve(atEnd)
          else reject(error)
        },
      }
      this.waiters.add(waiter)
    })
    promise.catch(doNothing)
    return promise
  }

  private handOut(): Delivery<T> {
    const change = this.nextChange
    if (change !== undefined) {
      this.lookAhead()
      return this.changeDelivery(change)
    }
    const { bytes, headerAt, bodyAt, end } = this.cursor!
    const seq = this.nextSeq
    const { sender } = this.block!
    this.lookAhead()
    const header = headerAt === bodyAt ? NO_BYTES : this.ownBytes(bytes.subarray(headerAt, bodyAt))
    const { view, hasNext: more } = this
    try {
      const body = this.options.decode(bytes, bodyAt, end)
      return { seq, kind: 'message', sender, header, body, more, view }
    } catch (cause) {
      const { codecName = 'its codec', onUndecodable } = this.options
      onUndecodable?.(sender)
      const error = undecodable(seq, this.named(sender), codecName, cause)
      return { seq, kind: 'message', sender, header, body: undefined, more, view, error }
    }
  }

  private named(id: MemberId): string {
    const name = this.view.members.find((member) => member.id === id)?.name
    return name === undefined ? `member ${id}` : `member ${id} (${name})`
  }

  private changeDelivery(change: ViewChange): Delivery<T> {
    this.view = toView(change.view)
    const { seq, kind, sender } = change
    const header = kind === 'rejoin' ? NO_BYTES : this.ownBytes(change.header)
    const common = { seq, sender, header, body: undefined, more: this.hasNext, view: this.view }
    if (kind === 'rejoin') return { kind, ...common, missedFrom: change.missedFrom }
    if (kind !== 'reset') return { kind, ...common }
    return { kind, ...common, removed: change.removed, lossPossible: change.lossPossible }
  }

  private ownBytes(bytes: Uint8Array): Uint8Array {
    return this.options.copy && bytes.length > 0 ? new Uint8Array(bytes) : bytes
  }

  /** Called when everything found so far is handed out: what lies before the next find is passed. */
  private lookAhead(): void {
    if (this.hasRecord && this.nextOfBlock()) {
      // nearly always: messages come in blocks
      this.passed = this.nextSeq - 1
      return
    }
    this.hasRecord = false
    this.nextChange = undefined
    this.findNext()
    if (this.nextKind === 'rejoin') {
      // the own join counts as taken from the start
      this.behind--
      this.passed = this.reported = this.nextSeq
    } else {
      this.passed = this.hasNext ? this.nextSeq - 1 : this.lastPushed
    }
  }

  /** Finds what is handed out next, passing over what is not for programs. */
  private findNext(): void {
    for (;;) {
      const event = this.events.shift()
      if (event === undefined) return
      if (event.kind !== 'messages') {
        this.nextChange = event
        this.nextSeq = event.seq
        return
      }
      this.block = event
      this.cursor = new RecordCursor(ownView(event.block))
      this.recordSeq = event.seq
      this.endSeq = event.seq + event.count
      if (this.nextOfBlock()) {
        this.hasRecord = true
        return
      }
    }
  }

  /** Moves the cursor to the block's next record for programs. */
  private nextOfBlock(): boolean {
    const cursor = this.cursor!
    while (this.recordSeq < this.endSeq && cursor.next()) {
      this.nextSeq = this.recordSeq++
      if (cursor.channel === Channel.program) return true
    }
    return false
  }

  private scheduleReport(): void {
    if (this.ended !== undefined || this.behind > 0) return
    if (this.passed - this.reported >= this.reportEvery) {
      this.report()
    } else if (!this.hasNext) {
      if (this.reportsSoon) return
      this.reportsSoon = true
      queueMicrotask(() => {
        this.reportsSoon = false
        this.report()
      })
    } else if (!this.reportsThisTurn) {
      this.reportsThisTurn = true
      setImmediate(() => {
        this.reportsThisTurn = false
        this.report()
      })
    }
  }

  private report(): void {
    if (this.ended !== undefined || this.behind > 0 || this.passed === this.reported) return
    this.reported = this.passed
    this.options.taken(this.passed)
  }
}

const NO_BYTES = new Uint8Array(0)

/**
 * Without Buffer's methods, whatever the transport received into: a body is a Uint8Array and looks like one. And apart from
 * the history's view of the same block: a codec may hang its own things onto it.
 */
function ownView({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length)
}
