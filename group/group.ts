/** One membership of one group, as a program holds it: the paper's primitives (section 3). */
import { ErrorCode, GroupError, invalidArgument } from '../kernel/errors.ts'
import type { MemberId, Nonce, Seq } from '../kernel/identity.ts'
import type { GroupParameters } from '../kernel/parameters.ts'
import type { MemberEvent, MemberInfo, OrderedEvent, Output } from '../kernel/port.ts'
import type { View as MachineView } from '../kernel/view.ts'
import { checkSignal, doNothing, rejected } from './abort.ts'
import { type Codec, encodeBody } from './codec.ts'
import type { ControlCalls } from './control-calls.ts'
import { type Delivery, toView, type View } from './deliveries.ts'
import { type Closed, Events, type GroupEventName, type GroupListener } from './events.ts'
import type { MemberPort, Observer } from './member-port.ts'
import { checkHeader, checkMinMembers, wholeNumber } from './options.ts'
import { ReceiveQueue } from './receive-queue.ts'
import { SendCalls } from './send-calls.ts'

export interface SendOptions {
  /** A small message beside the body, handed out with it; at most 1,024 bytes. */
  readonly header?: Uint8Array
  /** Gives up the send; ERR_ABORTED says by its `outcome` whether the message may still be ordered. */
  readonly signal?: AbortSignal
}

export interface ReceiveOptions {
  /** Gives up waiting; nothing is lost, the next call receives it. */
  readonly signal?: AbortSignal
}

export interface ReceiveBatchOptions extends ReceiveOptions {
  /** Deliveries at most, 1 to 2^24. Default 1,024. */
  readonly max?: number
}

export interface ResetOptions {
  /** Delivered with the reset to all members of the new group; at most 1,024 bytes. */
  readonly header?: Uint8Array
  readonly signal?: AbortSignal
}

/** The group as this member sees it now. Numbers of messages unless the name says otherwise. */
export interface GroupInfo extends Omit<MemberInfo, 'view'> {
  readonly view: View
  readonly parameters: GroupParameters
}

/** What a group is made of; the kernel puts it together when the machine has answered `joined`. */
export interface GroupParts<T> {
  readonly port: MemberPort
  readonly observer: Observer
  /** The calls that wait; the one that opened the group was the first. */
  readonly controls: ControlCalls
  readonly codec: Codec<T>
  readonly copy: boolean
  readonly joined: {
    readonly memberId: MemberId
    readonly nonce: Nonce
    readonly port: string
    readonly parameters: GroupParameters
    readonly view: MachineView
  }
}

const BATCH_MAX = 2 ** 24
/** Places between two reports of what is taken, where the history is large enough for it. */
const REPORT_EVERY = 256

export class Group<T = unknown> implements AsyncIterable<Delivery<T>>, AsyncDisposable {
  /** The group's name. */
  readonly port: string
  readonly memberId: MemberId
  /** What the group's creator chose; the same at every member. */
  readonly parameters: GroupParameters
  /** Settles when the member's life is over; never rejects. */
  readonly closed: Promise<Closed>

  private readonly machine: MemberPort
  private readonly codec: Codec<T>
  private readonly events = new Events()
  private readonly sends: SendCalls
  private readonly controls: ControlCalls
  private readonly queue: ReceiveQueue<T>
  private currentView: View
  private end: Closed | undefined
  private lastInfo: MemberInfo | undefined
  private leaving: Promise<void> | undefined
  private resolveClosed!: (closed: Closed) => void

  /** For the kernel: programs get their groups from createGroup, joinGroup and joinOrCreateGroup. */
  constructor({ port, observer, controls, codec, copy, joined }: GroupParts<T>) {
    this.port = joined.port
    this.memberId = joined.memberId
    this.parameters = joined.parameters
    this.machine = port
    this.codec = codec
    this.currentView = toView(joined.view)
    this.closed = new Promise((resolve) => {
      this.resolveClosed = resolve
    })
    this.controls = controls
    this.sends = new SendCalls({
      call: (call) => port.call(call),
      now: () => port.now(),
      observe: (seconds) => observer.sendAnswered(seconds),
    })
    this.queue = new ReceiveQueue<T>({
      decode: (bytes) => codec.decode(bytes),
      copy,
      view: this.currentView,
      taken: (seq) => port.call({ call: 'taken', seq }),
      // A quarter of a small history, so that reports never become what senders wait for.
      reportEvery: Math.max(1, Math.min(REPORT_EVERY, joined.parameters.historySize >>> 2)),
    })
  }

  /** The newest view that has reached this member; a delivery's own `view` is the one as of its place. */
  get view(): View {
    return this.currentView
  }

  get isSequencer(): boolean {
    return this.currentView.sequencer === this.memberId
  }

  /**
   * Sends `body` to all members, this one included (paper: SendToGroup). Resolves with the message's place in
   * the order once it is ordered and, at resilience degree r > 0, r others hold it. Sends of one member are
   * ordered as they were called, without waiting for each other; a full history makes them wait.
   *
   * Rejects with a GroupError that has an `outcome`: 'refused' if the message never was and never will be
   * ordered, 'unknown' if that cannot be known. ERR_MESSAGE_TOO_LARGE: header and body together are over
   * the group's maxMessageSize. ERR_INVALID_ARGUMENT: the codec cannot encode it. ERR_WOULD_BLOCK: only
   * this program's own receiving can make room. ERR_ABORTED, ERR_MEMBER_FAILED, ERR_EXPELLED,
   * ERR_GROUP_CLOSED. With codec 'binary', leave the body unchanged until the call has settled.
   */
  sendToGroup(body: T, options: SendOptions = {}): Promise<Seq> {
    try {
      checkSignal(options.signal)
      const header = checkHeader(options.header)
      const bytes = encodeBody(this.codec, body)
      this.checkSize(header.length + bytes.length)
      return this.sends.send(header, bytes, options.signal)
    } catch (error) {
      return rejected(error)
    }
  }

  /**
   * Sends many bodies under one promise: the cheap way for much traffic. Resolves with their seqs, in the
   * order of the bodies, once all are ordered; others' messages may lie between. Nothing is sent if any body
   * is too large or cannot be encoded. If some fail later it rejects with a SendManyError, whose `seqs` tell
   * which were ordered.
   */
  sendMany(bodies: Iterable<T>, options: { readonly signal?: AbortSignal } = {}): Promise<Seq[]> {
    try {
      checkSignal(options.signal)
      if (typeof bodies?.[Symbol.iterator] !== 'function') throw invalidArgument('bodies', bodies, 'iterable')
      const encoded: Uint8Array[] = []
      for (const body of bodies) {
        const bytes = encodeBody(this.codec, body)
        this.checkSize(bytes.length)
        encoded.push(bytes)
      }
      return this.sends.sendMany(encoded, options.signal)
    } catch (error) {
      return rejected(error)
    }
  }

  /**
   * The next delivery in the group's order (paper: ReceiveFromGroup); waits for it. Calls are served in
   * the order in which they were made. Once the member's life is over, what had arrived can still be
   * received; then it rejects with ERR_GROUP_CLOSED, or with why the member was lost (ERR_EXPELLED …).
   * ERR_ABORTED if the signal fires first.
   */
  receiveFromGroup(options: ReceiveOptions = {}): Promise<Delivery<T>> {
    const promise = this.next(options.signal).then(
      (delivery) => delivery ?? rejected<never>(this.closedError()),
    )
    promise.catch(doNothing)
    return promise
  }

  /** The next delivery if one is waiting, else undefined at once; also undefined after the end. */
  tryReceive(): Delivery<T> | undefined {
    return this.queue.tryTake()
  }

  /** All that is waiting, at least one and at most `max`; waits for the first. Ends like receiveFromGroup. */
  receiveBatch(options: ReceiveBatchOptions = {}): Promise<Delivery<T>[]> {
    try {
      const { max = 1024, signal } = options
      wholeNumber('max', max, 1, BATCH_MAX)
      checkSignal(signal)
      const waiting = this.queue.takeBatch(max, signal)
      const promise = waiting.then((batch) =>
        batch.length > 0 ? batch : rejected<never>(this.closedError()),
      )
      promise.catch(doNothing)
      return promise
    } catch (error) {
      return rejected(error)
    }
  }

  /**
   * The deliveries as an iterable. Nothing is read ahead: only what the loop was handed counts as taken.
   * Ends when the member has left and everything is received; throws if the member was lost (ERR_EXPELLED …).
   * Breaking out of the loop does not leave the group: another loop, or receiveFromGroup, goes on.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Delivery<T>> {
    let isDone = false
    const done = { value: undefined, done: true } as const
    const iterator: AsyncIterableIterator<Delivery<T>> = {
      next: async () => {
        const value = isDone ? undefined : await this.next(undefined)
        if (value === undefined) return done
        return { value, done: false }
      },
      return: async () => {
        isDone = true
        return done
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  /** View, sequencer, seqs, history fill and, at the sequencer, the lag of each member (paper: GetInfoGroup). */
  getInfoGroup(): GroupInfo {
    const info = this.lastInfo ?? this.machine.info()
    return { ...info, view: this.currentView, parameters: this.parameters }
  }

  /**
   * Leaves (paper: LeaveGroup): resolves when the leave is ordered and accepted. Sends made before are ordered
   * before it. Deliveries up to the leave can still be received. The last member's leave ends the group.
   * Rejects with ERR_GROUP_CLOSED if the life is over already, or ERR_MEMBER_FAILED while a reset is needed.
   */
  leaveGroup(options: { readonly header?: Uint8Array } = {}): Promise<void> {
    try {
      const header = checkHeader(options.header)
      if (this.end !== undefined) return rejected(this.closedError())
      if (this.leaving !== undefined) return this.leaving
      const leaving = this.controls.start<void>((token) =>
        this.machine.call({ call: 'leave', token, header }),
      )
      this.leaving = leaving
      // A leave that failed may be tried again.
      leaving.catch(() => {
        this.leaving = undefined
      })
      return leaving
    } catch (error) {
      return rejected(error)
    }
  }

  /**
   * Rebuilds the group from the members that still answer (paper: ResetGroup). Resolves with the size of the
   * new group; ERR_RESET_FAILED if it would have fewer than `minMembers`, or fewer than the group's own floor.
   * Any number of members may call it at once: one new group is made. All receive a 'reset' delivery.
   */
  resetGroup(minMembers: number, options: ResetOptions = {}): Promise<number> {
    try {
      checkMinMembers(minMembers)
      checkSignal(options.signal)
      const header = checkHeader(options.header)
      return this.controls.start<number>(
        (token) => this.machine.call({ call: 'reset', token, minMembers, header }),
        options.signal,
      )
    } catch (error) {
      return rejected(error)
    }
  }

  /** Calls `listener` at every `name` event from now on; see GroupEvents. */
  on<N extends GroupEventName>(name: N, listener: GroupListener<N>): this {
    this.events.add(name, listener, false)
    return this
  }

  /** Calls `listener` at the next `name` event only. */
  once<N extends GroupEventName>(name: N, listener: GroupListener<N>): this {
    this.events.add(name, listener, true)
    return this
  }

  off<N extends GroupEventName>(name: N, listener: GroupListener<N>): this {
    this.events.remove(name, listener)
    return this
  }

  /** Leaves, if that has not happened yet; where leaving fails, the member goes without a word. Never throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.end !== undefined) return
    await this.leaveGroup().catch(({ message }: Error) => this.abandon(`left without a word: ${message}`))
  }

  /** For the kernel: ends this membership as a crash would. */
  abandon(reason: string): void {
    this.finish({ code: undefined, reason })
  }

  /** For the kernel: takes what the machine puts out. */
  handle(output: Output): void {
    if (this.end !== undefined) return
    switch (output.output) {
      case 'deliveries':
        this.noteViews(output.deliveries)
        this.queue.push(output.deliveries)
        return
      case 'sent':
        this.sends.sent(output.token, output.count, output.seq)
        return
      case 'failed': {
        const error = new GroupError(output.code, output.message, { outcome: output.outcome })
        if (!this.sends.failed(output.token, error)) this.controls.fail(output.token, error)
        return
      }
      case 'left':
        this.controls.answer(output.token, undefined)
        return
      case 'reset':
        this.controls.answer(output.token, output.size)
        return
      case 'event':
        this.noteEvent(output.event)
        return
      case 'joined':
        return
    }
  }

  private next(signal: AbortSignal | undefined): Promise<Delivery<T> | undefined> {
    try {
      checkSignal(signal)
      return this.queue.take(signal)
    } catch (error) {
      return rejected(error)
    }
  }

  private checkSize(bytes: number): void {
    const { maxMessageSize } = this.parameters
    if (bytes <= maxMessageSize) return
    throw new GroupError(
      ErrorCode.tooLarge,
      `the message has ${bytes} bytes, the group ${this.port} takes ${maxMessageSize}; ` +
        'send it in parts, or create the group with a larger maxMessageSize',
      { outcome: 'refused' },
    )
  }

  private noteViews(deliveries: readonly OrderedEvent[]): void {
    for (const delivery of deliveries) {
      if (delivery.kind === 'messages') continue
      const view = toView(delivery.view)
      this.currentView = view
      this.events.emit('view', view)
    }
  }

  private noteEvent(event: MemberEvent): void {
    switch (event.event) {
      case 'suspect': {
        const { member, reason } = event
        const suspect = { member, name: this.nameOf(member), reason }
        this.events.emit('suspect', suspect)
        return
      }
      case 'slow': {
        const { member, lagMessages } = event
        const slow = { member, name: this.nameOf(member), lagMessages }
        this.events.emit('slow', slow)
        return
      }
      case 'expelled':
        this.events.emit('expelled', { reason: event.reason })
        return
      case 'closed':
        this.finish({ code: event.code, reason: event.reason })
        return
    }
  }

  private nameOf(id: MemberId): string {
    return this.currentView.members.find((member) => member.id === id)?.name ?? ''
  }

  private finish(end: Closed): void {
    if (this.end !== undefined) return
    this.end = end
    this.lastInfo = this.machine.info()
    this.machine.close()
    const error = this.closedError()
    this.queue.end(end.code === undefined ? undefined : error)
    this.sends.end(error)
    this.controls.end(error)
    this.events.emit('closed', end)
    this.events.clear()
    this.resolveClosed(end)
  }

  private closedError(): GroupError {
    const { code = ErrorCode.closed, reason } = this.end ?? { reason: 'closed' }
    return new GroupError(
      code,
      `this member of group ${this.port} is closed (${reason}); join again to go on`,
    )
  }
}
