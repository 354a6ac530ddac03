/**
 * Answers processes that are not members: who asks for the port, who asks about the group, and joiners that
 * come to the wrong member. The sequencer answers; the others only where they are asked one by one, and some of them when the
 * sequencer has not been heard for a while, or when the question comes again: a multicast costs few answers, and not n.
 */

import { encodeInspection } from '../../kernel/answers.ts'
import type { Counters } from '../../kernel/counters.ts'
import type { Address, Micros, Nonce } from '../../kernel/identity.ts'
import { keepNewest } from '../../kernel/keep-newest.ts'
import { decodeInspect, encodeHereIs, HERE_IS_FLAG_STANDS_STILL } from '../../kernel/meeting-packets.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { HEADER_BYTES, type PacketHeader, PacketKind } from '../../kernel/packet.ts'
import { StreamPurpose } from '../../kernel/packets.ts'
import type { Streams } from '../../kernel/streams.ts'
import { findMember, rankAmongOthers } from '../../kernel/view.ts'
import type { Sequencer } from '../../sequencer/sequencer.ts'

/** Streams under way at which nobody is told more about the group. */
const INSPECTIONS_MAX = 32
/** Processes whose questions are counted. */
const ASKERS_KEPT = 1024
/** So many of those who do not number answer: a question that somebody else has forged is answered by few. */
const STAND_INS = 2
/** While the sequencer is silent that many times more with each time that the question comes: the oldest may be dead as well. */
const MORE_STAND_INS = 4
/** One packet that comes twice is one question. */
const ASKS_AGAIN: Micros = 5_000

interface Asker {
  readonly times: number
  readonly at: Micros
}

export class Concierge {
  private readonly port: string
  private readonly state: OrderState
  private readonly outbox: Outbox
  private readonly counters: Counters
  private readonly streams: Streams
  private readonly sequencer: () => Sequencer | undefined
  /** Whether each member is asked by itself. */
  private readonly isAskedSingly: boolean
  private readonly silence: Micros
  /** Whether the group stands still here: being rebuilt, or waiting for that. */
  private readonly standsStill: () => boolean
  /** How often each has asked for the port. BOUNDED by ASKERS_KEPT, the one that asked longest ago goes first. */
  private readonly askers = new Map<Nonce, Asker>()

  constructor(parts: {
    port: string
    state: OrderState
    outbox: Outbox
    counters: Counters
    streams: Streams
    sequencer: () => Sequencer | undefined
    isAskedSingly: boolean
    silence: Micros
    standsStill: () => boolean
  }) {
    this.port = parts.port
    this.state = parts.state
    this.outbox = parts.outbox
    this.counters = parts.counters
    this.streams = parts.streams
    this.sequencer = parts.sequencer
    this.isAskedSingly = parts.isAskedSingly
    this.silence = parts.silence
    this.standsStill = parts.standsStill
  }

  /**
   * Somebody asks for this group's port. Whoever asks again has had no answer of the sequencer, which may have died a
   * moment ago, or stand still, with nobody knowing as yet: to the second question the oldest of the others answers as
   * well, from the third on the two oldest. (When only silence of many heartbeats made the others answer, a process
   * that started in that time found nobody, and created the port a second time while most of the group lived.)
   */
  onLocate(from: Address, header: PacketHeader, questionBytes: number, sequencerHeardAt: Micros): void {
    const isSilent = this.outbox.now - sequencerHeardAt > this.silence
    const answers =
      this.sequencer() !== undefined || this.isAskedSingly || this.standsIn(header.senderNonce, isSilent)
    if (answers) this.tellWhere(from, header, questionBytes)
  }

  /**
   * Whether this member answers beside the sequencer, or in its place: by how often the question has come. (While the sequencer
   * was silent all answered at once, and sixteen members sent eight times the bytes of the question to whoever it named.)
   */
  private standsIn(nonce: Nonce, isSilent: boolean): boolean {
    const rank = rankAmongOthers(this.state.view, this.outbox.identity.memberId)
    const before = this.timesAsked(nonce) - 1
    return rank < (isSilent ? STAND_INS * MORE_STAND_INS ** before : Math.min(STAND_INS, before))
  }

  private timesAsked(nonce: Nonce): number {
    const { now } = this.outbox
    const known = this.askers.get(nonce)
    if (known !== undefined && now - known.at < ASKS_AGAIN) return known.times
    const times = (known?.times ?? 0) + 1
    keepNewest(this.askers, nonce, { times, at: now }, ASKERS_KEPT)
    return times
  }

  /** Where the group's sequencer is, as far as this member knows; never in more bytes than the question had. */
  tellWhere(to: Address, question: PacketHeader, questionBytes: number): void {
    const { view, parameters } = this.state
    const sequencer = findMember(view, view.sequencer)
    if (sequencer === undefined) return
    const body = encodeHereIs({
      port: this.port,
      sequencer: sequencer.id,
      sequencerNonce: sequencer.nonce,
      sequencerAddress: sequencer.address,
      members: view.members.length,
      versions: this.outbox.versions,
      agreed: this.state.settings,
      maxMembers: parameters.maxMembers,
      challenge:
        this.sequencer()?.changes.currentChallenge({ address: to, nonce: question.senderNonce }) ?? 0n,
    })
    if (HEADER_BYTES + body.length > questionBytes) {
      this.counters.overflow('unpadded')
      return
    }
    const flags = this.standsStill() ? HERE_IS_FLAG_STANDS_STILL : 0
    this.outbox.unicast(to, this.outbox.packetOf(PacketKind.hereIs, flags, question.senderNonce, body))
  }

  /** Everything that may be asked about the group; only for who can repeat the challenge. */
  onInspect(from: Address, header: PacketHeader, packet: Uint8Array): boolean {
    const inspect = decodeInspect(packet)
    const sequencer = this.sequencer()
    if (inspect === undefined || inspect.port !== this.port) return false
    const asker = { address: from, nonce: header.senderNonce }
    if (sequencer === undefined || !sequencer.changes.isCurrentChallenge(inspect.challenge, asker)) {
      this.tellWhere(from, header, packet.length)
      return true
    }
    if (this.streams.isSendingTo(header.senderNonce)) return true
    if (this.streams.count >= INSPECTIONS_MAX) {
      this.counters.overflow('inspections')
      return true
    }
    const { view, parameters, accepted, history, highest } = this.state
    const inspection = encodeInspection({
      port: this.port,
      view,
      parameters,
      seq: highest,
      accepted,
      stable: history.stable,
      historyMessages: history.messages,
      historyBytes: history.bytes,
      lags: sequencer.lags(),
      settings: this.state.settings,
      newestKeys: view.members.map(({ id }) => ({ id, keyId: sequencer.settings.newestKeyOf(id) })),
    })
    this.streams.open(from, header.senderNonce, StreamPurpose.inspection, inspection)
    return true
  }
}
