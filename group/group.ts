/** One membership of one group, as a program holds it: the paper's primitives (section 3). */
import { checkCallOptions, wholeNumber } from '../kernel/checks.ts'
import { ErrorCode, GroupError, invalidArgument } from '../kernel/errors.ts'
import { hex64, type MemberId, type Seq } from '../kernel/identity.ts'
import type { GroupParameters } from '../kernel/parameters.ts'
import type { MemberEvent, MemberInfo, OrderedEvent, Output } from '../kernel/port.ts'
import { checkSignal, doNothing, rejected } from './abort.ts'
import {
  batchFields,
  headerAndSignal,
  headerOnly,
  NONE,
  type ReceiveBatchOptions,
  type ReceiveOptions,
  type ResetOptions,
  type SendOptions,
  signalOnly,
} from './call-options.ts'
import { type Codec, codecName, decoderFor, encodeBody } from './codec.ts'
import { type Delivery, toAgreed, toView, type View } from './deliveries.ts'
import { type Closed, Events, type GroupEventName, type GroupListener } from './events.ts'
import { type Entered, Life } from './life.ts'
import type { OutputHandler } from './member-port.ts'
import { checkHeader, checkMinMembers } from './options.ts'
import { ReceiveQueue, type Visitor } from './receive-queue.ts'
import { Rejoin, type Rejoiner } from './rejoin.ts'

/** The group as this member sees it now. Numbers of messages unless the name says otherwise. */
export interface GroupInfo extends Omit<MemberInfo, 'view' | 'settings'> {
  readonly view: View
  readonly parameters: GroupParameters
  /** Of the wire format: what members write. */
  readonly wireVersion: number
  /** The group key that members seal with, as `amoebacast keygen` names it: 8 hexadecimal digits; undefined without one. */
  readonly keyId: string | undefined
}

/** What a group is made of; the kernel puts it together when the machine has answered `joined`. */
export interface GroupParts<T> extends Entered {
  readonly codec: Codec<T>
  readonly copy: boolean
  /** How this process comes back after an expulsion, if it is to. */
  readonly rejoiner?: Rejoiner | undefined
}

/** Expelled, and on the way back. */
interface Away {
  readonly error: GroupError
  readonly rejoin: Rejoin
}

const BATCH_MAX = 2 ** 24
/** Places between two reports of what is taken, where the history is large enough for it. */
const REPORT_EVERY = 256

export class Group<T = unknown> implements AsyncIterable<Delivery<T>>, AsyncDisposable {
  /** The group's name. */
  readonly port: string
  /** Settles when the member's life is over; never rejects. */
  readonly closed: Promise<Closed>

  /** The present one, or the last. */
  private life: Life
  private readonly codec: Codec<T>
  private readonly events = new Events()
  private readonly queue: ReceiveQueue<T>
  private readonly rejoiner: Rejoiner | undefined
  private away: Away | undefined
  private currentView: View
  private end: Closed | undefined
  private lastInfo: MemberInfo | undefined
  private leaving: Promise<void> | undefined
  private resolveClosed!: (closed: Closed) => void

  /** For the kernel: programs get their groups from createGroup, joinGroup and joinOrCreateGroup. */
  constructor({ codec, copy, rejoiner, ...entered }: GroupParts<T>) {
    this.port = entered.joined.port
    this.life = new Life(entered)
    this.codec = codec
    this.rejoiner = rejoiner
    this.currentView = toView(this.life.view)
    this.closed = new Promise((resolve) => {
      this.resolveClosed = resolve
    })
    this.queue = new ReceiveQueue<T>({
      decode: decoderFor(codec),
      codecName: codecName(codec),
      onUndecodable: (sender) => this.life.observer.undecodable(sender, codecName(codec)),
      copy,
      view: this.currentView,
      taken: (seq) => this.life.machine.call({ call: 'taken', seq }),
      reportEvery: reportEvery(this.parameters),
    })
  }

  /** Of the present life, or the last: a member that comes back after an expulsion has a new one. */
  get memberId(): MemberId {
    return this.life.memberId
  }

  /** What the group's creator chose; the same at every member. */
  get parameters(): GroupParameters {
    return this.life.parameters
  }

  /** The newest view that has reached this member; a delivery's own `view` is the one as of its place. */
  get view(): View {
    return this.currentView
  }

  get isSequencer(): boolean {
    return this.away === undefined && this.currentView.sequencer === this.memberId
  }

  /**
   * Sends `body` to all members, this one included (paper: SendToGroup). Resolves with the message's place in
   * the order once it is ordered and, at resilience degree r > 0, r others hold it. Sends of one member are
   * ordered as they were called, without waiting for each other; a full history makes them wait.
   *
   * After a crash the group is rebuilt (paper, section 4.2). With `recovery: 'auto'` sends only take longer
   * meanwhile: they are ordered once, in the new view. With 'manual' they fail with ERR_MEMBER_FAILED as soon as the
   * sequencer, or a member that they wait for, is suspect: those on their way with outcome 'unknown', new ones at once as
   * 'refused'. Call resetGroup, and look at what is delivered up to its 'reset'; what has not come by then never will. If the
   * suspect answers after all, sends are taken again without a reset, and what was 'unknown' may still come. Sends that
   * wait for nobody suspect (at resilience 0 as long as the history has room for what the suspect has not taken) go on.
   *
   * Rejects with a GroupError that has an `outcome`: 'refused' if the message never was and never will be
   * ordered, 'unknown' if that cannot be known. ERR_MESSAGE_TOO_LARGE: header and body together are over
   * the group's maxMessageSize. ERR_INVALID_ARGUMENT: the codec cannot encode it, or an option is wrong. ERR_WOULD_BLOCK: only
   * this program's own receiving can make room. ERR_NOT_AUTHORIZED: this member may only receive. ERR_EXPELLED:
   * the others have gone on without this member; with `rejoin: true` what was refused can be sent again after
   * 'rejoined'. ERR_ABORTED, ERR_MEMBER_FAILED, ERR_GROUP_CLOSED. With codec 'binary', leave the body unchanged until the call has settled.
   */
  sendToGroup(body: T, options: SendOptions = NONE): Promise<Seq> {
    try {
      if (options !== NONE) checkCallOptions('sendToGroup', options, headerAndSignal)
      checkSignal(options.signal)
      const header = checkHeader(options.header)
      const bytes = encodeBody(this.codec, body)
      this.checkSize(header.length + bytes.length)
      return this.life.sends.send(header, bytes, options.signal)
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
  sendMany(bodies: Iterable<T>, options: { readonly signal?: AbortSignal } = NONE): Promise<Seq[]> {
    try {
      if (options !== NONE) checkCallOptions('sendMany', options, signalOnly)
      checkSignal(options.signal)
      checkBodies(bodies)
      const encoded: Uint8Array[] = []
      for (const body of bodies) {
        const bytes = encodeBody(this.codec, body)
        this.checkSize(bytes.length)
        encoded.push(bytes)
      }
      return this.life.sends.sendMany(encoded, options.signal)
    } catch (error) {
      return rejected(error)
    }
  }

  /**
   * The next delivery in the group's order (paper: ReceiveFromGroup); waits for it. Calls are served in
   * the order in which they were made. Once the member's life is over, what had arrived can still be
   * received; then it rejects with ERR_GROUP_CLOSED, or with why the member was lost (ERR_EXPELLED …). With
   * `rejoin: true` it waits through an expulsion; a 'rejoin' delivery stands where events are missed.
   * ERR_ABORTED if the signal fires first.
   */
  receiveFromGroup(options: ReceiveOptions = NONE): Promise<Delivery<T>> {
    try {
      if (options !== NONE) checkCallOptions('receiveFromGroup', options, signalOnly)
      const promise = this.next(options.signal).then(
        (delivery) => delivery ?? rejected<never>(this.closedError()),
      )
      promise.catch(doNothing)
      return promise
    } catch (error) {
      return rejected(error)
    }
  }

  /** The next delivery if one is waiting, else undefined at once; also undefined after the end. */
  tryReceive(): Delivery<T> | undefined {
    return this.queue.tryTake()
  }

  /** All that is waiting, at least one and at most `max`; waits for the first. Ends like receiveFromGroup. */
  receiveBatch(options: ReceiveBatchOptions = NONE): Promise<Delivery<T>[]> {
    try {
      if (options !== NONE) checkCallOptions('receiveBatch', options, batchFields)
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
   * Like receiveBatch, but hands every delivery to `visitor` where it lies, without an object for each message: the
   * cheapest way to receive, for programs that read bytes themselves. The codec has no part in it. Resolves with
   * how many there were, at least one and at most `max` (default 4,096). What the visitor throws rejects the call;
   * the delivery that it was handed counts as received. Ends like receiveFromGroup.
   */
  receiveEach(visitor: Visitor<T>, options: ReceiveBatchOptions = NONE): Promise<number> {
    try {
      if (options !== NONE) checkCallOptions('receiveEach', options, batchFields)
      const { max = 4096, signal } = options
      wholeNumber('max', max, 1, BATCH_MAX)
      checkSignal(signal)
      if (typeof visitor?.message !== 'function') {
        throw invalidArgument('visitor', visitor, 'an object with a function message')
      }
      const waiting = this.queue.takeEach(visitor, max, signal)
      const promise = waiting.then((count) => (count > 0 ? count : rejected<never>(this.closedError())))
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
      next: () => {
        if (isDone) return Promise.resolve(done)
        // a loop that has fallen behind is not made to wait for anything
        const waiting = this.queue.tryTake()
        if (waiting !== undefined) return Promise.resolve({ value: waiting, done: false })
        const next = this.next(undefined).then((value) =>
          value === undefined ? done : { value, done: false },
        )
        next.catch(doNothing)
        return next
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
    const { settings, ...info } = this.lastInfo ?? this.life.machine.info()
    return { ...info, view: this.currentView, parameters: this.parameters, ...toAgreed(settings) }
  }

  /**
   * Leaves (paper: LeaveGroup): resolves when the leave is ordered and accepted. Sends made before are ordered
   * before it. Deliveries up to the leave can still be received. The last member's leave ends the group.
   * Rejects with ERR_GROUP_CLOSED if the life is over already, or with why the member was lost. Where the group has
   * stopped and nobody is there to order the leave, the member goes at once; `closed` gives the reason. While it is out of the group
   * (`rejoin: true`), this ends the way back; nobody hears the header.
   */
  leaveGroup(options: { readonly header?: Uint8Array } = NONE): Promise<void> {
    try {
      checkCallOptions('leaveGroup', options, headerOnly)
      const header = checkHeader(options.header)
      if (this.end !== undefined) return rejected(this.closedError())
      if (this.leaving !== undefined) return this.leaving
      const leaving = this.away === undefined ? this.leave(header) : this.leaveAway(this.away, header)
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
   * Rebuilds the group from the members that still answer (paper, sections 3 and 4.2: ResetGroup). Resolves with
   * the size of the new group, and all its members receive a 'reset' delivery. Any number of members may call it
   * at once: one new group is made, by the largest minimum among them. With `recovery: 'auto'` there is no need
   * for it, but no harm: a group without faults is rebuilt as it is.
   *
   * `minMembers`: how many members it takes, this one included; 0 to 1,024. The floor that the group was created
   * with holds in any case, and alone where `minMembers` is left out, 0 or 1. ERR_RESET_FAILED at once, and nothing is
   * changed, if it is more than the view has: nobody else could answer. ERR_RESET_FAILED if too few answer, and the message
   * says how many do, how many it takes, and who has asked for that:
   * the group stays stopped (with 'auto' it tries again by itself; the event `stopped` tells the others), what has been
   * received can still be read, and the call can be made again, when others are back or for fewer. ERR_NOT_AUTHORIZED if this member has not
   * every right. ERR_EXPELLED if the others have gone on without this member; ERR_GROUP_CLOSED; ERR_ABORTED.
   */
  resetGroup(minMembers = 0, options: ResetOptions = NONE): Promise<number> {
    try {
      checkMinMembers(minMembers)
      checkCallOptions('resetGroup', options, headerAndSignal)
      checkSignal(options.signal)
      const header = checkHeader(options.header)
      const { controls, machine } = this.life
      return controls.start<number>(
        (token) => machine.call({ call: 'reset', token, minMembers, header }),
        options.signal,
        true,
      )
    } catch (error) {
      return rejected(error)
    }
  }

  /** For the kernel, whose key file has changed in a way that cannot be taken over. */
  noteKeyRefused(reason: string): void {
    if (this.end === undefined) this.events.emit('keyRefused', { reason })
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

  /** For the kernel: takes what the machine of the present life puts out. */
  get handler(): OutputHandler {
    const { life } = this
    return (output) => {
      if (life === this.life && this.away === undefined) this.handle(output)
    }
  }

  private handle(output: Output): void {
    if (this.end !== undefined) return
    const { sends, controls } = this.life
    switch (output.output) {
      case 'deliveries':
        this.noteViews(output.deliveries)
        this.queue.push(output.deliveries)
        return
      case 'sent':
        sends.sent(output.token, output.count, output.seq)
        return
      case 'failed': {
        const error = new GroupError(output.code, output.message, { outcome: output.outcome })
        if (!sends.failed(output.token, error)) controls.fail(output.token, error)
        return
      }
      case 'left':
        controls.answer(output.token, undefined)
        return
      case 'reset':
        controls.answer(output.token, output.size)
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
      case 'stopped': {
        const { event: _, ...stopped } = event
        this.events.emit('stopped', stopped)
        return
      }
      case 'slow': {
        const { member, lagMessages } = event
        const slow = { member, name: this.nameOf(member), lagMessages }
        this.events.emit('slow', slow)
        return
      }
      case 'expelled': {
        const { reason } = event
        // what a listener sends now does not go out, and this is known
        this.life.sends.refuse(this.expelledError(reason))
        this.events.emit('expelled', { reason })
        return
      }
      case 'settings': {
        const { seq } = event.settings
        const { keyId, wireVersion } = toAgreed(event.settings)
        const before = toAgreed(event.before)
        if (keyId !== undefined && keyId !== before.keyId)
          this.events.emit('key', { keyId, before: before.keyId, seq })
        if (wireVersion !== before.wireVersion)
          this.events.emit('version', { wireVersion, before: before.wireVersion, seq })
        return
      }
      case 'split': {
        const { event: _, groupId, ...other } = event
        this.events.emit('split', groupId === undefined ? other : { ...other, groupId: hex64(groupId) })
        return
      }
      case 'closed': {
        const { code, reason } = event
        const { rejoiner } = this
        // (out of a group that nobody could rebuild, too: somebody may create it anew)
        const isOut = code === ErrorCode.expelled || code === ErrorCode.resetFailed
        const comesBack = isOut && this.leaving === undefined
        if (comesBack && rejoiner !== undefined) this.goAway(rejoiner, reason)
        else this.finish({ code, reason })
        return
      }
    }
  }

  private nameOf(id: MemberId): string {
    return this.currentView.members.find((member) => member.id === id)?.name ?? ''
  }

  // ---- out of the group, and back --------------------------------------------------------------------

  private goAway(rejoiner: Rejoiner, reason: string): void {
    const { machine, sends, controls, memberId } = this.life
    const error = this.expelledError(reason)
    this.lastInfo = { ...machine.info(), phase: 'rejoining', isSequencer: false }
    machine.close()
    this.queue.interrupt()
    sends.end(error)
    controls.end(error)
    const others = this.currentView.members.filter(({ id }) => id !== memberId)
    const addresses = others.map(({ address }) => address)
    const rejoin = new Rejoin(
      rejoiner,
      addresses,
      (entered) => this.comeBack(entered),
      (failure) => this.finish({ code: failure.code, reason: failure.message }),
    )
    this.away = { error, rejoin }
  }

  private comeBack(entered: Entered): OutputHandler {
    this.life = new Life(entered)
    this.away = undefined
    this.lastInfo = undefined
    const { life, handler } = this
    const { memberId, parameters } = life
    const view = toView(life.view)
    this.currentView = view
    const missedFrom = this.queue.resume(view.seq, memberId, life.view, reportEvery(parameters))
    this.events.emit('rejoined', { memberId, view, missedFrom })
    this.events.emit('view', view)
    return handler
  }

  private leave(header: Uint8Array): Promise<void> {
    const { controls, machine } = this.life
    return controls.start<void>((token) => machine.call({ call: 'leave', token, header }))
  }

  private async leaveAway({ rejoin }: Away, header: Uint8Array): Promise<void> {
    await rejoin.stop()
    // The last attempt may have been faster: then this is a member again, and leaves like one.
    if (this.end === undefined && this.away === undefined) return this.leave(header)
    this.finish({ code: undefined, reason: 'left while it was out of the group' })
  }

  private expelledError(reason: string): GroupError {
    const advice =
      this.rejoiner === undefined ? 'join again to come back' : "send again after 'rejoined', as a new member"
    return new GroupError(ErrorCode.expelled, `${reason}; ${advice}`)
  }

  // ---- the end ----------------------------------------------------------------------------------------

  private finish(end: Closed): void {
    if (this.end !== undefined) return
    this.end = end
    const { machine, sends, controls } = this.life
    this.lastInfo = this.away === undefined ? machine.info() : { ...this.lastInfo!, phase: 'closed' }
    machine.close()
    void this.away?.rejoin.stop()
    const error = this.closedError()
    this.queue.end(end.code === undefined ? undefined : error)
    sends.end(error)
    controls.end(error)
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

/** (A text is iterable: its characters would go out one by one.) */
function checkBodies(bodies: unknown): void {
  const isMany = typeof bodies === 'object' && bodies !== null && Symbol.iterator in bodies
  if (!isMany) throw invalidArgument('bodies', bodies, 'an iterable of bodies, such as an array')
}

/** A quarter of a small history, so that reports never become what senders wait for. */
function reportEvery({ historySize }: GroupParameters): number {
  return Math.max(1, Math.min(REPORT_EVERY, historySize >>> 2))
}
