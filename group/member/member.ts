/** The member machine (being written). */
import { Counters } from '../../kernel/counters.ts'
import type { Micros } from '../../kernel/identity.ts'
import type { Input, Machine, Sink } from '../../kernel/machine.ts'
import type { MemberInfo } from '../../kernel/port.ts'
import type { MemberOptions } from './options.ts'

export class Member implements Machine {
  readonly counters = new Counters()
  readonly options: MemberOptions

  constructor(options: MemberOptions) {
    this.options = options
  }

  step(_now: Micros, _input: Input, _sink: Sink): void {}

  nextDeadline(): Micros | undefined {
    return undefined
  }

  info(): MemberInfo {
    throw new Error('being written')
  }
}
