/**
 * One life of a member: what a group holds of one machine, from its join to its end. A group that comes back
 * after an expulsion has several, one after the other; each has a nonce, a member id and numbers of its own.
 */
import type { MemberId, Nonce } from '../kernel/identity.ts'
import type { GroupParameters } from '../kernel/parameters.ts'
import type { View as MachineView } from '../kernel/view.ts'
import type { ControlCalls } from './control-calls.ts'
import type { MemberPort, Observer } from './member-port.ts'
import { SendCalls } from './send-calls.ts'

/** A member machine that has just joined, and what goes with it. */
export interface Entered {
  readonly port: MemberPort
  readonly observer: Observer
  /** The calls that wait; the one that opened the member was the first. */
  readonly controls: ControlCalls
  readonly joined: {
    readonly memberId: MemberId
    readonly nonce: Nonce
    readonly port: string
    readonly parameters: GroupParameters
    /** As of the own join. */
    readonly view: MachineView
  }
}

export class Life {
  readonly memberId: MemberId
  readonly parameters: GroupParameters
  readonly view: MachineView
  readonly machine: MemberPort
  readonly observer: Observer
  readonly controls: ControlCalls
  readonly sends: SendCalls

  constructor({ port, observer, controls, joined }: Entered) {
    this.memberId = joined.memberId
    this.parameters = joined.parameters
    this.view = joined.view
    this.machine = port
    this.observer = observer
    this.controls = controls
    this.sends = new SendCalls({
      call: (call) => port.call(call),
      now: () => port.now(),
      observe: (seconds) => observer.sendAnswered(seconds),
    })
  }
}
