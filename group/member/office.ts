/**
 * The office of the sequencer, in the one member of each view that has it ("the same code, a flag tells it to
 * process messages differently", paper, section 4): taking it, and giving it up when a reset begins.
 */
import { assert } from '../../kernel/assert.ts'
import type { Counters } from '../../kernel/counters.ts'
import type { MemberId } from '../../kernel/identity.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { SipKey } from '../../kernel/siphash.ts'
import type { Streams } from '../../kernel/streams.ts'
import type { Timers } from '../../kernel/timers.ts'
import { findMember, type Member as ViewMember } from '../../kernel/view.ts'
import { Sequencer } from '../../sequencer/sequencer.ts'
import { type MemberOptions, timesOf } from './options.ts'
import type { Receiver } from './receiver.ts'

/** Requests kept for one member at the sequencer, as a multiple of what a sender may have on its way. */
export const REQUEST_WINDOWS = 4

export interface OfficeParts {
  readonly self: MemberId
  readonly state: OrderState
  readonly receiver: Receiver
  readonly outbox: Outbox
  readonly timers: Timers
  readonly streams: Streams
  readonly counters: Counters
  readonly roundTrips: RoundTrips
  readonly host: {
    /** For the challenges of one time in office. */
    challengeKey(): SipKey
    isSuspect(id: MemberId): boolean
    /** A member has been asked, and has not answered. */
    asked(member: ViewMember): void
    /** All that a broadcast is for. */
    present(): readonly ViewMember[]
    /** The end of a turn. */
    flush(): void
    /** This member has the office now. */
    taken(): void
  }
}

export class Office {
  /** The sequencer part of this member, while it has the office. */
  sequencer: Sequencer | undefined
  private readonly parts: OfficeParts
  private readonly options: MemberOptions

  constructor(parts: OfficeParts, options: MemberOptions) {
    this.parts = parts
    this.options = options
  }

  take(): void {
    const { options } = this
    const { state, receiver, outbox, timers, streams, counters, roundTrips, host } = this.parts
    const { received } = state.history
    const self = findMember(state.view, this.parts.self)
    assert(self !== undefined, 'only a member becomes sequencer', this.parts.self)
    assert(
      received === state.accepted,
      'the successor numbers behind what is accepted',
      received,
      state.accepted,
    )
    for (const timer of ['report', 'gap'] as const) timers.stop(timer)
    state.highest = received
    const times = timesOf(options.detection)
    this.sequencer = new Sequencer({
      self,
      state,
      outbox,
      timers,
      streams,
      counters,
      roundTrips,
      challengeKey: host.challengeKey(),
      options: {
        packetSize: options.packetSize,
        requestBytes: REQUEST_WINDOWS * options.sendWindow,
        window: options.window,
        ownShare: options.sendWindow,
        joinPatience: 2 * times.maxRto,
        verify: options.credentials?.verify,
        asksProgram: options.asksProgram === true,
        ...times,
      },
      host: {
        numbered: (entry) => receiver.noteHeld(entry),
        accepted: () => receiver.deliver(),
        flush: () => host.flush(),
        unanswered: (silent) => {
          for (const member of silent) host.asked(member)
        },
        isSuspect: (id) => host.isSuspect(id),
        slow: (member, lagMessages) => {
          outbox.output({ output: 'event', event: { event: 'slow', member, lagMessages } })
        },
      },
    })
    host.taken()
  }

  /** Bound by a reset: nobody numbers in the older view any more. */
  giveUp(): void {
    if (this.sequencer === undefined) return
    this.sequencer.isRetired = true
    for (const { nonce } of this.parts.host.present()) this.parts.streams.close(nonce)
    this.sequencer = undefined
  }
}
