/**
 * JoinGroup after the group has been found: asks the sequencer until its answer has come (design 4.4). The
 * answer is a stream with parameters, view and tables; what it does not contain, the events that are not
 * stable yet, is fetched like any gap.
 */
import { NO_BYTES } from '../../kernel/bytes.ts'
import type { Credentials } from '../../kernel/credentials.ts'
import {
  type Address,
  type GroupId,
  type Incarnation,
  type MemberId,
  type Nonce,
  type RequestNumber,
  Right,
  Role,
  type RoleName,
} from '../../kernel/identity.ts'
import {
  encodeJoinRequest,
  type HereIs,
  JoinRefusal,
  type JoinRefused,
} from '../../kernel/meeting-packets.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind } from '../../kernel/packet.ts'
import type { RoundTrips } from '../../kernel/rtt.ts'
import type { Agreed } from '../../kernel/settings.ts'
import type { Timers } from '../../kernel/timers.ts'
import type { Knocking, WaitingWord } from './knocking.ts'

export interface JoinerOptions {
  readonly name: string
  readonly address: Address
  readonly role: RoleName
  readonly lastRequest: RequestNumber
  readonly tries: number
  readonly nonce: Nonce
  readonly credentials: Credentials | undefined
  readonly token: Uint8Array | undefined
}

export interface JoinerHost {
  /** The sequencer does not answer, or is not the sequencer any more: look for the group again. */
  lost(): void
  /** The group writes a version that this process does not read. */
  incompatible(version: number): void
  /** The group seals with a key that this process does not hold. */
  lacksKey(keyId: number): void
  /** Who admits does not let this process in as what it wants to be. */
  notAuthorized(): void
  /** The sequencer has answered for long, and only that this process has to wait. */
  keptWaiting(word: WaitingWord): void
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
  /** Questions since the sequencer's last word that this process has to wait. */
  private unanswered = 0
  /** Where the sequencer's last answer came from. */
  private answeredFrom: Address | undefined
  private readonly port: string
  private readonly header: Uint8Array
  private readonly outbox: Outbox
  private readonly timers: Timers
  private readonly times: RoundTrips
  private readonly knocking: Knocking
  private readonly options: JoinerOptions
  private readonly host: JoinerHost

  constructor(
    request: { port: string; header: Uint8Array; found: Found },
    parts: { outbox: Outbox; timers: Timers; roundTrips: RoundTrips; knocking: Knocking; host: JoinerHost },
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
    this.knocking = parts.knocking
  }

  get sequencerNonce(): Nonce {
    return this.found.hereIs.sequencerNonce
  }

  start(): void {
    const { groupId, incarnation, coordinator, hereIs } = this.found
    Object.assign(this.outbox.identity, { groupId, incarnation, coordinator })
    if (this.goBy(hereIs.agreed)) this.ask()
  }

  /**
   * The request is written and sealed as the group does it: who cannot do that could not follow it as a member. False if
   * this process cannot.
   */
  private goBy(agreed: Agreed): boolean {
    const lack = this.outbox.goBy(agreed)
    if (lack === 'version') this.host.incompatible(agreed.version)
    else if (lack === 'key') this.host.lacksKey(agreed.keyId)
    return lack === undefined
  }

  stop(): void {
    this.timers.stop('join')
  }

  private ask(): void {
    const to = this.knocking.where(this.found.hereIs.sequencerAddress, this.answeredFrom)
    if (to !== undefined) this.request(to)
    this.timers.set('join', this.outbox.now + this.times.timeout(this.tries))
  }

  /** At once, because a packet has asked for it: where there have been too many of those the timer will. */
  private askPrompted(): void {
    if (this.knocking.mayFollow(this.outbox.now)) this.ask()
  }

  private request(to: Address): void {
    const { name, address, role, lastRequest, nonce, credentials, token = NO_BYTES } = this.options
    const { sequencerNonce } = this.found.hereIs
    const { port, challenge, header } = this
    const { groupId } = this.found
    const proof = credentials?.prove({ groupId, nonce, challenge, address }, this.outbox.ownSettings.keyId)
    const body = encodeJoinRequest({
      port,
      challenge,
      name,
      address,
      role: Role[role],
      right: credentials?.right ?? Right.all,
      lastRequest,
      header,
      proof: proof ?? NO_BYTES,
      token,
      versions: this.outbox.versions,
    })
    this.outbox.unicast(to, this.outbox.packetOf(PacketKind.joinRequest, 0, sequencerNonce, body))
  }

  /** The `join` timer has run out. */
  onTimer(): void {
    this.tries++
    if (++this.unanswered > this.options.tries) this.host.lost()
    else this.ask()
  }

  onRefused(from: Address, header: PacketHeader, refusal: JoinRefused): void {
    if (header.senderNonce !== this.sequencerNonce) return
    this.answeredFrom = from
    this.knocking.answered(from)
    switch (refusal.reason) {
      case JoinRefusal.challenge:
        if (refusal.challenge === this.challenge) return
        this.challenge = refusal.challenge
        this.askPrompted()
        return
      case JoinRefusal.full:
        this.host.full(this.found.hereIs.maxMembers)
        return
      case JoinRefusal.notAuthorized:
        this.host.notAuthorized()
        return
      case JoinRefusal.deciding:
        // a person may have been asked: the timer goes on asking, ever more slowly
        this.wait('deciding')
        return
      case JoinRefusal.decided:
        if (this.wait('deciding')) this.askPrompted()
        return
      case JoinRefusal.heldUp:
        this.wait('heldUp')
        return
      case JoinRefusal.busy:
        this.wait('busy')
        return
      case JoinRefusal.version:
      case JoinRefusal.key: {
        // the group has changed since it was found; the timer asks again where nothing is new
        const { version, keyId } = this.outbox.ownSettings
        const { agreed } = refusal
        const isNews = agreed.version !== version || agreed.keyId !== keyId
        if (refusal.reason === JoinRefusal.version && !isNews) this.host.incompatible(agreed.version)
        else if (this.goBy(agreed) && isNews) this.askPrompted()
        return
      }
      case JoinRefusal.notSequencer:
        this.host.lost()
        return
    }
  }

  /** It answers, so it is not lost, and the timer asks again; false if that is over. */
  private wait(word: WaitingWord): boolean {
    this.unanswered = 0
    const mayWait = this.knocking.mayWait(word, this.outbox.now)
    if (!mayWait) this.host.keptWaiting(word)
    return mayWait
  }
}
