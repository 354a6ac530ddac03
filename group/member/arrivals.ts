/**
 * What comes in from outside, and who in this member hears it: the door says who may say anything, and the rest
 * follows from who it is. Packets of fellow members go on to fellow-packets.ts, those of a reset to renewal.ts,
 * questions to the concierge. The word that somebody lives no more comes in here, too.
 */
import type { Counters } from '../../kernel/counters.ts'
import type { Address, MemberId, Nonce, Seq } from '../../kernel/identity.ts'
import { decodeJoinRequest, type Locate } from '../../kernel/meeting-packets.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind, type RejectReason, sealKeyOf } from '../../kernel/packet.ts'
import { encodeLeft, readStreamAck } from '../../kernel/packets.ts'
import type { Streams } from '../../kernel/streams.ts'
import type { Timers } from '../../kernel/timers.ts'
import type { Member as ViewMember } from '../../kernel/view.ts'
import type { Concierge } from './concierge.ts'
import { admit } from './door.ts'
import type { FellowPackets } from './fellow-packets.ts'
import type { Fellows } from './fellows.ts'
import type { Gaps } from './gaps.ts'
import type { Leaver } from './leaver.ts'
import type { Lookout } from './lookout.ts'
import type { Office } from './office.ts'
import type { Patrons } from './patrons.ts'
import type { Renewal } from './renewal.ts'
import type { Silence } from './silence.ts'

export interface ArrivalsHost {
  /** Whether the own join is accepted. */
  hasJoined(): boolean
  onOrder(member: ViewMember, header: PacketHeader, packet: Uint8Array): void
  /** Nobody needs this member any more, which has left. */
  onLeftGroup(): void
}

export class Arrivals {
  private readonly port: string
  private readonly self: MemberId
  private readonly state: OrderState
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly counters: Counters
  private readonly streams: Streams
  private readonly concierge: Concierge
  private readonly fellows: Fellows
  private readonly fellowPackets: FellowPackets
  private readonly gaps: Gaps
  private readonly leaver: Leaver
  private readonly lookout: Lookout
  private readonly office: Office
  private readonly renewal: Renewal
  private readonly silence: Silence
  private readonly patrons: Patrons
  private readonly host: ArrivalsHost

  constructor(parts: {
    port: string
    self: MemberId
    state: OrderState
    outbox: Outbox
    timers: Timers
    counters: Counters
    streams: Streams
    concierge: Concierge
    fellows: Fellows
    fellowPackets: FellowPackets
    gaps: Gaps
    leaver: Leaver
    lookout: Lookout
    office: Office
    renewal: Renewal
    silence: Silence
    patrons: Patrons
    host: ArrivalsHost
  }) {
    this.port = parts.port
    this.self = parts.self
    this.state = parts.state
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.counters = parts.counters
    this.streams = parts.streams
    this.concierge = parts.concierge
    this.fellows = parts.fellows
    this.fellowPackets = parts.fellowPackets
    this.gaps = parts.gaps
    this.leaver = parts.leaver
    this.lookout = parts.lookout
    this.office = parts.office
    this.renewal = parts.renewal
    this.silence = parts.silence
    this.patrons = parts.patrons
    this.host = parts.host
  }

  private reject(reason: RejectReason): void {
    this.counters.rejected[reason]++
  }

  // ---- packets ----------------------------------------------------------------------------------------

  /** Somebody asks for a port: to open it, to look at it, or to see whether it is the only group there. */
  onLocate(from: Address, header: PacketHeader, locate: Locate, bytes: number): void {
    if (locate.port !== this.port || !this.host.hasJoined() || this.leaver.isLingering) return
    if (this.lookout.onLocate(from, header, locate, bytes)) return
    // a group that stands still lives: nobody may take its port for free
    const heardAt = this.renewal.recovery.isBound
      ? Number.NEGATIVE_INFINITY
      : this.silence.suspicion.lastHeard(this.state.view.sequencer)
    this.concierge.onLocate(from, header, bytes, heardAt)
  }

  onPacket(from: Address, header: PacketHeader, packet: Uint8Array): void {
    const { recovery } = this.renewal
    if (header.kind === PacketKind.inspect && header.groupId === this.state.view.groupId) {
      if (!this.concierge.onInspect(from, header, packet)) this.reject('malformed')
      return
    }
    if (header.kind === PacketKind.streamAck) return this.onStreamAck(header, packet)
    if (header.groupId === this.state.view.groupId && !this.leaver.isLingering) {
      const rejected = this.renewal.onResetPacket(from, header, packet)
      if (rejected !== 'not one') return rejected === undefined ? undefined : this.reject(rejected)
    }
    if (this.renewal.onOlderGap(header, packet)) return
    const partner = recovery.partner(header.senderNonce)
    const admittance = admit(this.state, header, this.self, this.outbox.identity, partner)
    if (typeof admittance === 'string') {
      const { outsiders } = this.renewal
      const isSequencer = this.office.sequencer !== undefined
      if (admittance === 'group' && header.kind === PacketKind.hereIs) {
        return this.lookout.onHereIs(from, header, packet)
      }
      if (admittance === 'incarnation') outsiders.onForeign(from, header, isSequencer, packet.length)
      return this.reject(admittance)
    }
    if (recovery.isBound && admittance.who !== 'member') return this.reject('phase')
    switch (admittance.who) {
      case 'joiner':
        this.onJoiner(from, header, packet)
        return
      case 'former':
        this.onFormer(admittance.member, admittance.leftAt, header, packet)
        return
      case 'member':
        this.silence.onHeard(admittance.member)
        if (recovery.isBound) this.renewal.onPacketWhileBound(admittance.member, from, header, packet)
        else this.fellowPackets.on(admittance.member, from, header, packet)
        return
    }
  }

  private onJoiner(from: Address, header: PacketHeader, packet: Uint8Array): void {
    const { sequencer } = this.office
    const request = decodeJoinRequest(packet)
    if (request === undefined || request.port !== this.port) return this.reject('malformed')
    if (this.state.former.some(({ member }) => member.nonce === header.senderNonce)) {
      // it was let in without ever hearing of it, and removed: only another life can join again
      this.renewal.outsiders.tell(from, header, packet.length)
    } else if (sequencer === undefined) this.concierge.tellWhere(from, header, packet.length)
    else {
      const keys = [sealKeyOf(packet), header.newestKey]
      sequencer.changes.onJoinRequest(from, header.senderNonce, request, keys)
    }
  }

  /** It is answered where it was a member: whoever else can write its nonce has nothing sent to a third. */
  private onFormer(former: ViewMember, leftAt: Seq, header: PacketHeader, packet: Uint8Array): void {
    const { address } = former
    // two who have both left must not tell each other so for ever; and an old sequencer waits for the
    // word of its successor, who may not have heard yet that it is the successor
    if (header.kind === PacketKind.left) return
    if (header.kind === PacketKind.order && this.office.sequencer === undefined) return
    if (header.kind === PacketKind.gap) this.fellowPackets.repairFor(address, header, packet, leftAt)
    if (header.kind === PacketKind.dataGap) this.fellowPackets.repairDataFor(address, header, packet, leftAt)
    const seq = encodeLeft(leftAt)
    this.outbox.unicast(address, this.outbox.packetOf(PacketKind.left, 0, header.senderNonce, seq))
  }

  /** Streams go to joiners and askers, too, who are no members; the stream knows its receiver by the nonce. */
  private onStreamAck(header: PacketHeader, packet: Uint8Array): void {
    const ack = readStreamAck(packet)
    if (ack === undefined) return this.reject('malformed')
    this.streams.onAck(header.senderNonce, ack)
    this.timers.setEarlier('flush', this.outbox.now)
  }

  // ---- who lives no more ------------------------------------------------------------------------------

  /** The kernel at somebody's address says that this nonce lives no more. */
  onGone(from: Address, header: PacketHeader): void {
    const member = this.fellows.present.find(({ nonce }) => nonce === header.senderNonce)
    const isOfGroup = header.groupId === this.state.view.groupId
    if (isOfGroup && member === undefined && this.office.sequencer?.changes.onGone(from, header.senderNonce))
      return
    if (!isOfGroup || member?.address !== from) return this.reject('stranger')
    this.tellGone(member)
    if (this.leaver.isLingering && member.id === this.state.view.sequencer) this.host.onLeftGroup()
  }

  /**
   * The operating system says that nobody listens at this address: whoever was there is gone. Refusals can be forged on the
   * network, so it is believed only of one that has been asked since it was heard last, and has not answered.
   */
  onRefused(address: Address): void {
    for (const member of this.fellows.present) {
      if (member.address !== address || member.id === this.self) continue
      if (this.silence.owesAnswer(member.id)) this.tellGone(member)
      else this.reject('stranger')
    }
    this.timers.setEarlier('flush', this.outbox.now)
  }

  private tellGone({ id, nonce }: { id: MemberId; nonce: Nonce }): void {
    this.office.sequencer?.onGone(nonce)
    this.gaps.onGone(id)
    this.renewal.onGone(nonce)
    this.patrons.onGone(nonce)
    if (this.office.sequencer === undefined) this.silence.onGone(id)
  }
}
