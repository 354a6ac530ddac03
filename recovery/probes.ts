/**
 * Probes: packets that ask for nothing but an answer. Each carries a number that the answer repeats, so that
 * what has lain in a socket's buffer during a stall is not taken for a sign of life.
 */
import type { Outbox } from '../kernel/outbox.ts'
import { PacketKind } from '../kernel/packet.ts'
import { encodeProbe } from '../kernel/recovery-packets.ts'
import type { Member } from '../kernel/view.ts'

export class Probes {
  private cookie = 0
  private readonly outbox: Outbox

  constructor(outbox: Outbox) {
    this.outbox = outbox
  }

  /** The number of the newest probe: answers to older ones say less. */
  get newest(): number {
    return this.cookie
  }

  send({ address, nonce }: Member): void {
    const body = encodeProbe(this.cookie)
    this.outbox.unicast(address, this.outbox.packetOf(PacketKind.probe, 0, nonce, body))
  }

  /** From here on only answers to probes sent later are fresh. */
  renew(): void {
    this.cookie = (this.cookie + 1) >>> 0
  }

  answer({ address, nonce }: Member, cookie: number): void {
    const body = encodeProbe(cookie)
    this.outbox.unicast(address, this.outbox.packetOf(PacketKind.probeAnswer, 0, nonce, body))
  }
}
