/**
 * How much may wait in the gateway for one group: requests, and bytes of their bodies. The group's own flow control
 * makes senders wait; here is the end of the waiting room. Beyond it clients are told to come again.
 */
import { GatewayCode, GatewayError } from './errors.ts'

export interface AdmissionBounds {
  readonly requests: number
  readonly bytes: number
}

export class Admission {
  private readonly bounds: AdmissionBounds
  private inside = 0
  private held = 0

  constructor(bounds: AdmissionBounds) {
    this.bounds = bounds
  }

  /** Requests that wait or are being read. */
  get requests(): number {
    return this.inside
  }

  get bytes(): number {
    return this.held
  }

  /** Throws ERR_BUSY, outcome 'refused'. */
  enter(): Ticket {
    if (this.inside >= this.bounds.requests) throw busy(`${this.inside} requests`)
    this.inside++
    return new Ticket(this)
  }

  /** For tickets. */
  hold(bytes: number): void {
    if (this.held + bytes > this.bounds.bytes) throw busy(`${this.held} bytes`)
    this.held += bytes
  }

  /** For tickets. */
  release(bytes: number): void {
    this.inside--
    this.held -= bytes
  }
}

/** The place of one request; `leave` must be called in any case. */
export class Ticket {
  private readonly admission: Admission
  private bytes = 0
  private hasLeft = false

  constructor(admission: Admission) {
    this.admission = admission
  }

  /** So many more bytes of the body are here. Throws ERR_BUSY. */
  grow(bytes: number): void {
    this.admission.hold(bytes)
    this.bytes += bytes
  }

  leave(): void {
    if (this.hasLeft) return
    this.hasLeft = true
    this.admission.release(this.bytes)
  }
}

function busy(what: string): GatewayError {
  return new GatewayError(
    GatewayCode.busy,
    `${what} wait for this group already; come again later`,
    'refused',
  )
}
