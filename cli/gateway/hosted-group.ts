/**
 * The gateway's membership of one group. It always receives: what is delivered goes into the key window and the ring,
 * and readers take it from there at their own pace, so nobody behind the gateway holds up the group.
 */
import type { Delivery, Group, GroupReport, Seq } from '../../group/index.ts'
import { type ErrorCode, GroupError } from '../../kernel/errors.ts'
import { Admission } from './admission.ts'
import { formatCursor } from './cursor.ts'
import { EventReader, type Sink, type Start } from './event-reader.ts'
import { EventRing } from './event-ring.ts'
import { besideOrder, cursorOf, deliveryEvent, plainEvent } from './events.ts'
import { KeyWindow } from './key-window.ts'
import type { GatewayLimits, GatewayLog } from './options.ts'
import { type Ordered, type OutgoingMessage, Sends } from './sends.ts'

/** What is needed of a group; a fake one will do. */
export type GatewayMember = Pick<
  Group<Uint8Array>,
  | 'port'
  | 'memberId'
  | 'view'
  | 'parameters'
  | 'closed'
  | 'sendToGroup'
  | 'receiveBatch'
  | 'resetGroup'
  | 'leaveGroup'
  | 'abandon'
  | 'getInfoGroup'
> & {
  on: Group<Uint8Array>['on']
}

/** Deliveries taken at once. */
const BATCH = 256

export class HostedGroup {
  readonly group: GatewayMember
  readonly admission: Admission
  private readonly limits: GatewayLimits
  private readonly log: GatewayLog
  private readonly ring: EventRing
  private readonly keys: KeyWindow
  /** BOUNDED by the gateway's maxReaders. */
  private readonly readers = new Set<EventReader>()
  private readonly sends: Sends
  private readonly joinedAt: Seq
  private hasBegun = false
  private hasEnded = false
  /** Settles when everything that the member received is with the readers. */
  readonly done: Promise<void>

  constructor(group: GatewayMember, limits: GatewayLimits, log: GatewayLog) {
    const { ringMessages, ringBytes, ringMs, keyMessages, keyMs } = limits
    this.group = group
    this.limits = limits
    this.log = log
    this.admission = new Admission({ requests: limits.maxWaiting, bytes: limits.maxWaitingBytes })
    const join = cursorOf({ seq: group.view.seq, view: group.view })
    this.joinedAt = join.seq
    this.ring = new EventRing(join, { messages: ringMessages, bytes: ringBytes, ageMs: ringMs })
    this.keys = new KeyWindow(join.seq, { messages: keyMessages, ms: keyMs })
    this.sends = new Sends(group, this.keys, limits.sendMs, join.seq)
    // What was delivered before is taken in this very turn.
    group.on('expelled', ({ reason }) => setImmediate(() => this.sends.missed(reason)))
    for (const name of ['expelled', 'suspect', 'stopped', 'slow', 'split'] as const) {
      group.on(name, (event) => this.tell(besideOrder(name, event)))
    }
    this.done = this.receive()
  }

  /** Bodies over so many bytes are never read. */
  get maxMessageSize(): number {
    return this.group.parameters.maxMessageSize
  }

  /** Whether the member is in a view that may go on; see kernel/node/readiness.ts for the other phases. */
  get isReady(): boolean {
    return !this.hasEnded && this.group.getInfoGroup().phase === 'member'
  }

  /** The membership has ended, or its streams have. */
  get isOver(): boolean {
    return this.hasEnded
  }

  get readerCount(): number {
    return this.readers.size
  }

  /**
   * Sends a message and waits until it is ordered: `sendMs` at most, or until the client has gone. With a key: a
   * message that is known already is not sent again, and one that another gateway has sent meanwhile is found in the
   * order. Rejects with a GroupError that has an outcome, or with ERR_KEY_REUSED.
   */
  send(message: OutgoingMessage, signal: AbortSignal): Promise<Ordered> {
    return this.sends.send(message, signal)
  }

  /** Adds a reader; the caller calls `ready` and `stop` of it, and `drop` when its connection is over. */
  read(sink: Sink, start: Start, client: string): EventReader {
    const { group, limits, log } = this
    const reader = new EventReader(this.ring, sink, {
      stuckMs: limits.stuckMs,
      start,
      opening: { port: group.port, memberId: group.memberId, view: group.view },
      now: Date.now(),
      onCut: (reason) => {
        this.readers.delete(reader)
        log.warn({ group: group.port, client, reason }, 'a reader is cut off')
      },
    })
    this.readers.add(reader)
    reader.pump(Date.now())
    return reader
  }

  drop(reader: EventReader): void {
    reader.stop()
    this.readers.delete(reader)
  }

  /** Lets time pass for what lies in the ring, and for readers. */
  tick(now: number): void {
    this.ring.trim(now)
    for (const reader of this.readers) reader.check(now)
  }

  heartbeat(): void {
    for (const reader of this.readers) reader.heartbeat()
  }

  info(): object {
    const info = this.group.getInfoGroup()
    const { ring, keys, admission } = this
    return {
      isMember: true,
      ...groupFacts(info),
      phase: info.phase,
      memberId: info.memberId,
      role: info.role,
      right: info.right,
      isSequencer: info.isSequencer,
      received: info.received,
      taken: info.taken,
      waitingSends: info.waitingSends,
      outstandingSends: info.outstandingSends,
      queuedRequests: info.queuedRequests,
      gateway: {
        last: formatCursor(ring.last),
        oldest: formatCursor(ring.floor),
        ringMessages: ring.end - ring.start,
        ringBytes: ring.bytes,
        keysKnownFrom: keys.knownFrom,
        keys: keys.size,
        readers: this.readers.size,
        waitingRequests: admission.requests,
        waitingBytes: admission.bytes,
      },
    }
  }

  /** Ends all streams with a last event. */
  endStreams(reason: string, code?: ErrorCode): void {
    this.hasEnded = true
    for (const reader of this.readers) reader.finish({ reason, ...(code === undefined ? {} : { code }) })
    this.readers.clear()
  }

  /**
   * Leaves in order. Where that takes longer than `ms`, because a member that does not receive holds up all, the
   * gateway goes without a word, and the others find out.
   */
  async leave(ms: number): Promise<void> {
    const giveUp = setTimeout(() => {
      this.log.warn({ group: this.group.port }, 'the group does not let the gateway leave; it goes without')
      this.group.abandon(`not let go within ${ms} ms`)
    }, ms)
    try {
      await this.group.leaveGroup()
    } finally {
      clearTimeout(giveUp)
      await this.done
    }
  }

  /** Gives up what waits to be ordered. */
  giveUpSends(): void {
    this.sends.giveUp()
  }

  // ---- receiving --------------------------------------------------------------------------------------

  private async receive(): Promise<void> {
    try {
      for (;;) {
        const batch = await this.group.receiveBatch({ max: BATCH })
        const now = Date.now()
        for (const delivery of batch) this.take(delivery, now)
        for (const reader of this.readers) reader.pump(now)
      }
    } catch (error) {
      this.hasEnded = true
      this.sends.missed('the gateway is out of the group')
      // A member that does not receive any more would hold up all others.
      if (!(error instanceof GroupError)) await this.leaveAfterFault(error)
      const { code, reason } = await this.group.closed
      this.endStreams(code === undefined ? 'left' : reason, code)
    }
  }

  private async leaveAfterFault(error: unknown): Promise<void> {
    this.log.error({ group: this.group.port, err: error }, 'a fault of the gateway; it leaves the group')
    await this.group.leaveGroup().catch(() => {})
  }

  private take(delivery: Delivery<Uint8Array>, now: number): void {
    if (!this.hasBegun) this.begin(delivery)
    if (delivery.kind === 'rejoin') {
      const { seq, missedFrom } = delivery
      this.keys.restart(seq)
      const gap = plainEvent('gap', { reason: 'expelled', after: missedFrom, before: seq })
      this.ring.restart(cursorOf(delivery), [gap, deliveryEvent(delivery, undefined)], now)
      this.sends.delivered(seq)
      return
    }
    const first =
      delivery.kind === 'message' && delivery.error === undefined ? this.keys.note(delivery) : undefined
    this.ring.push(deliveryEvent(delivery, first?.seq), now)
    this.sends.delivered(delivery.seq)
  }

  /** Other views may have arrived between the own join and the moment that this object was made. */
  private begin(first: Delivery<Uint8Array>): void {
    this.hasBegun = true
    if (first.seq > this.joinedAt) return
    const seq = first.seq - 1
    this.ring.rebase({ ...cursorOf(first), seq })
    this.keys.restart(seq)
    this.sends.delivered(seq)
  }

  private tell(event: ReturnType<typeof besideOrder>): void {
    const now = Date.now()
    this.ring.push(event, now)
    for (const reader of this.readers) reader.pump(now)
  }
}

/** What a group tells about itself to its members and to others; chosen here, so that the answers keep their form. */
export function groupFacts(info: Pick<GroupReport, keyof GroupFacts>): GroupFacts {
  const { port, view, parameters, seq, accepted, stable, historyMessages, historyBytes, lags } = info
  return { port, view, parameters, seq, accepted, stable, historyMessages, historyBytes, lags }
}

type GroupFacts = Omit<GroupReport, 'historySize' | 'wireVersion' | 'keyId' | 'abilities'>
