/**
 * Packets of another version of the wire format, told to the operator once for each source: during an upgrade, or
 * where two systems share a port, they are why somebody does not find the group. The counter
 * `amoebacast_packets_rejected_total{reason="version"}` has them all.
 */
import type { Address, Micros } from '../identity.ts'
import { hasVersion, ownVersions } from '../meeting-packets.ts'
import { MAGIC, WIRE_VERSION } from '../packet.ts'
import type { Clock } from './clock.ts'
import { type Log, logIncompatible } from './log.ts'

/** Sources that are remembered, and so told of; whoever forges sources gets no more lines than this. */
const SOURCES_MAX = 64
/** When those are forgotten, and told of again if they are still there. */
const FORGET_AFTER: Micros = 24 * 3600 * 1_000_000

export class Incompatible {
  private readonly log: Log
  /** BOUNDED by SOURCES_MAX. */
  private readonly told = new Set<Address>()
  private since: Micros | undefined

  constructor(log: Log) {
    this.log = log
  }

  /** A packet that was not admitted. */
  note(from: Address, packet: Uint8Array, clock: Clock): void {
    const version = packet[1]
    if (packet[0] !== MAGIC || version === undefined || hasVersion(ownVersions, version)) return
    const now = clock()
    if (this.since === undefined || now - this.since >= FORGET_AFTER) {
      this.since = now
      this.told.clear()
    }
    if (this.told.size >= SOURCES_MAX || this.told.has(from)) return
    this.told.add(from)
    logIncompatible(this.log, from, version, WIRE_VERSION)
  }
}
