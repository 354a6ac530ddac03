/**
 * JoinGroup after the group has been found: asks the sequencer until its answer has come (design 4.4). The
 * answer is a stream with parameters, view and tables; what it does not contain, the events that are not
 * stable yet, is fetched like any gap.
 */
import type {
  Address,
  GroupId,
  Incarnation,
  MemberId,
  Nonce,
  RequestNumber,
  RoleName,
} from '../../kernel/identity.ts'
import { Role } from '../../kernel/identity.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind } from '../../kernel/packet.ts'
import { encodeJoinRequest, type HereIs, JoinRefusal } from '../../kernel/packets.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { Timers } from '../../kernel/timers.ts'

export interface JoinerOptions {
  readonly name: string
  readonly address: Address
  readonly role: RoleName
  readonly lastRequest: RequestNumber
  readonly tries: number
}

export interface JoinerHost {
  /** The sequencer does not answer, or is not the sequencer any more: look for the group again. */
  lost(): void
  /** The group speaks no version that this process does. */
  incompatible(): void
  /** The group is full. */
  full(maxMembers: number): void
}

export interface Found {
  readonly groupId: GroupId
  readonly incarnation: Incarnation
  readonly coordinator: MemberId
  readonly hereIs: HereIs
}

export class Joiner {
  readonly found: Found
  private challenge: bigint
  private tries = 0
  private readonly port: string
  private readonly header: Uint8Array
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly times: RoundTrips
  private readonly options: JoinerOptions
  private readonly host: JoinerHost

  constructor(
    request: { port: string; header: Uint8Array; found: Found },
    parts: { outbox: Outbox; timers: Timers; roundTrips: RoundTrips; host: JoinerHost },
    options: JoinerOptions,
  ) {
    this.port = request.port
    this.header = request.header
    this.found = request.found
    this.challenge = request.found.hereIs.challenge
    this.outbox = parts.outbox
    this.timers = parts.timers
    this.host = parts.host
    this.options = options
    this.times = parts.roundTrips
  }

  get sequencerNonce(): Nonce {
    return this.found.hereIs.sequencerNonce
  }

  start(): void {
    const { identity } = this.outbox
    identity.groupId = this.found.groupId
    identity.incarnation = this.found.incarnation
    identity.coordinator = this.found.coordinator
    this.ask()
  }

  stop(): void {
    this.timers.stop('join')
  }

  private ask(): void {
    const { name, address, role, lastRequest } = this.options
    const { sequencerNonce, sequencerAddress } = this.found.hereIs
    const { port, challenge, header } = this
    const body = encodeJoinRequest({ port, challenge, name, address, role: Role[role], lastRequest, header })
    this.outbox.unicast(
      sequencerAddress,
      this.outbox.packetOf(PacketKind.joinRequest, 0, sequencerNonce, body),
    )
    this.timers.set('join', this.outbox.now + this.times.timeout(this.tries))
  }

  /** The `join` timer has run out. */
  onTimer(): void {
    if (++this.tries > this.options.tries) this.host.lost()
    else this.ask()
  }

  onRefused(header: PacketHeader, refusal: { reason: JoinRefusal; challenge: bigint }): void {
    if (header.senderNonce !== this.sequencerNonce) return
    switch (refusal.reason) {
      case JoinRefusal.challenge:
        if (refusal.challenge === this.challenge) return
        this.challenge = refusal.challenge
        this.ask()
        return
      case JoinRefusal.full:
        this.host.full(this.found.hereIs.maxMembers)
        return
      case JoinRefusal.version:
        this.host.incompatible()
        return
      case JoinRefusal.notSequencer:
        this.host.lost()
        return
      case JoinRefusal.busy:
        // the timer asks again
        return
    }
  }
}
