/**
 * Those whose joins this member has missed, and who invite it to a reset. Nothing is known of them but what they write, not
 * even that they receive where their packets come from, and a vote is a stream of all views, repeated until it is
 * acknowledged: given on a single forged invitation, it went to whatever address that one named. So such a one is probed
 * first, in fewer bytes than it has sent, and its invitation is heeded when its answer has come. The number that it must
 * repeat is a challenge bound to address and nonce, so that an answer needs nothing remembered.
 *
 * It costs a round trip, once for each address and life. Members of a view that is held here are not asked.
 */

import type { Address, Nonce } from '../../kernel/identity.ts'
import { keepNewest } from '../../kernel/keep-newest.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type PacketHeader, PacketKind } from '../../kernel/packet.ts'
import { decodeProbe, encodeProbe, type Invite } from '../../kernel/recovery-packets.ts'
import type { SipKey } from '../../kernel/siphash.ts'
import { Challenge } from '../../sequencer/challenge.ts'

/** Invitations that wait for an answer. One that is forgotten comes again, and finds its inviter known. */
const WAITING_MAX = 16
/** Addresses that have shown to receive; one that is forgotten is probed again. */
const SHOWN_MAX = 64

export interface Invitation {
  readonly from: Address
  readonly header: PacketHeader
  readonly invite: Invite
  /** Of the packet. */
  readonly bytes: number
}

export class Introductions {
  /** The newest of each inviter. BOUNDED by WAITING_MAX, the oldest goes first. */
  private readonly waiting = new Map<Nonce, Invitation>()
  /** Where each of them receives. BOUNDED by SHOWN_MAX, the oldest goes first. */
  private readonly shown = new Map<Nonce, Address>()
  private challenge: Challenge | undefined
  private readonly outbox: Outbox
  private readonly drawKey: () => SipKey

  constructor(outbox: Outbox, drawKey: () => SipKey) {
    this.outbox = outbox
    this.drawKey = drawKey
  }

  /** Whether the inviter has shown that it receives where this comes from. */
  isKnown({ from, header: { senderNonce } }: Invitation): boolean {
    return this.shown.get(senderNonce) === from
  }

  /** Under the ballot of the invitation: its coordinator takes nothing else. */
  probe(invitation: Invitation): void {
    const { from, header, invite } = invitation
    const { senderNonce: nonce } = header
    const { outbox, waiting } = this
    const body = encodeProbe(this.cookieFor(from, nonce))
    outbox.under(invite.ballot, () => {
      outbox.unicast(from, outbox.packetOf(PacketKind.probe, 0, nonce, body))
    })
    outbox.trace('introduced', { id: header.sender })
    keepNewest(waiting, nonce, invitation, WAITING_MAX)
  }

  /** What a probe's answer makes of it: the invitation that waits for it, if one does; false if it answers none. */
  onAnswer(from: Address, { senderNonce: nonce }: PacketHeader, packet: Uint8Array): Invitation | boolean {
    const cookie = decodeProbe(packet)
    if (cookie === undefined || !this.isCookieFor(from, nonce, cookie)) return false
    keepNewest(this.shown, nonce, from, SHOWN_MAX)
    const invitation = this.waiting.get(nonce)
    this.waiting.delete(nonce)
    return invitation?.from === from ? invitation : true
  }

  private cookieFor(address: Address, nonce: Nonce): number {
    return low32(this.challenges.current(this.outbox.now, { address, nonce }))
  }

  private isCookieFor(address: Address, nonce: Nonce, cookie: number): boolean {
    const { challenges, outbox } = this
    return challenges.valid(outbox.now, { address, nonce }).some((challenge) => low32(challenge) === cookie)
  }

  private get challenges(): Challenge {
    this.challenge ??= new Challenge(this.drawKey(), this.outbox.now)
    return this.challenge
  }
}

function low32(challenge: bigint): number {
  return Number(BigInt.asUintN(32, challenge))
}
