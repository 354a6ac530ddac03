/** A fake machine behind a group: it records the calls, and the test says what it puts out. */
import { Registry } from 'prom-client'
import { Kernel, type MemberSettings, type OpenedMember, type Rim } from '../../group/kernel.ts'
import { KeyChanges } from '../../group/key-changes.ts'
import type { MemberPort, Observer, OutputHandler } from '../../group/member-port.ts'
import { silentLog } from '../../kernel/node/log.ts'
import { KeyRing } from '../../kernel/node/secure/key-ring.ts'
import { completeParameters, type GroupParameters } from '../../kernel/parameters.ts'
import type { Call, MemberInfo, OrderedEvent, Output } from '../../kernel/port.ts'
import type { View } from '../../kernel/view.ts'
import { messageBlock, type RecordLike } from '../support/blocks.ts'
import { infoOf, memberOf } from '../support/members.ts'

export const NO_BYTES = new Uint8Array(0)

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function text(body: Uint8Array): string {
  return new TextDecoder().decode(body)
}

/** A block of messages as it comes from the order. */
export function messages(seq: number, records: readonly (string | RecordLike)[], sender = 1): OrderedEvent {
  const all = records.map((record) => (typeof record === 'string' ? { body: bytes(record) } : record))
  return { kind: 'messages', seq, count: all.length, sender, block: messageBlock(sender, 1, all) }
}

export function viewOf(seq: number, ids: readonly number[], changes: Partial<View> = {}): View {
  return {
    groupId: 0xabcn,
    incarnation: 1,
    coordinator: 1,
    seq,
    sequencer: ids[0]!,
    members: ids.map((id) => memberOf(id)),
    ...changes,
  }
}

export class FakeMachine implements MemberPort, Observer {
  readonly calls: Call[] = []
  readonly answerTimes: number[] = []
  /** Who sent what could not be decoded, and the codec's name. */
  readonly undecodables: string[] = []
  readonly settings: MemberSettings
  isClosed = false
  hasEnded = false
  clock = 0
  private readonly onOutput: OutputHandler
  private readonly script: (machine: FakeMachine, call: Call) => void

  constructor(
    settings: MemberSettings,
    onOutput: OutputHandler,
    script: (machine: FakeMachine, call: Call) => void,
  ) {
    this.settings = settings
    this.onOutput = onOutput
    this.script = script
  }

  call(call: Call): void {
    this.calls.push(call)
    this.script(this, call)
  }

  emit(output: Output): void {
    if (output.output === 'event' && output.event.event === 'closed') this.hasEnded = true
    this.onOutput(output)
  }

  deliver(...deliveries: OrderedEvent[]): void {
    this.emit({ output: 'deliveries', deliveries })
  }

  callsOf<C extends Call['call']>(name: C): Extract<Call, { call: C }>[] {
    return this.calls.filter((call): call is Extract<Call, { call: C }> => call.call === name)
  }

  get takenReports(): number[] {
    return this.callsOf('taken').map(({ seq }) => seq)
  }

  info(): MemberInfo {
    return infoOf({
      phase: this.hasEnded ? 'closed' : 'member',
      port: 'test',
      view: viewOf(1, [1]),
      isSequencer: true,
      seq: 9,
      received: 9,
      accepted: 9,
      taken: 9,
      stable: 9,
      historyMessages: 3,
      historyBytes: 77,
    })
  }

  now(): number {
    return this.clock
  }

  close(): void {
    this.isClosed = true
  }

  sendAnswered(seconds: number): void {
    this.answerTimes.push(seconds)
  }

  undecodable(sender: number, codec: string): void {
    this.undecodables.push(`${sender} ${codec}`)
  }
}

/** What a machine says that is told to give up opening, and has not asked anybody yet. */
export function givesUp(machine: FakeMachine, token: number): void {
  machine.emit({ output: 'failed', token, code: 'ERR_ABORTED', message: 'no' })
  machine.emit({ output: 'event', event: { event: 'closed', code: undefined, reason: 'cancelled' } })
}

/** Answers `open` at once as the first member, and orders nothing by itself. */
export function joins(parameters: Partial<GroupParameters> = {}): (machine: FakeMachine, call: Call) => void {
  return (machine, call) => {
    if (call.call === 'open') {
      machine.emit({
        output: 'joined',
        token: call.token,
        memberId: 1,
        nonce: 1n,
        port: call.port,
        parameters: completeParameters({ ...call.parameters, ...parameters }),
        view: viewOf(1, [1]),
      })
    } else if (call.call === 'leave') {
      machine.emit({ output: 'left', token: call.token, isOrdered: true })
      machine.emit({ output: 'event', event: { event: 'closed', code: undefined, reason: 'left' } })
    }
  }
}

export class FakeRim implements Rim {
  readonly address = '127.0.0.1:4001'
  readonly registry = new Registry()
  readonly metricsAddress = undefined
  readonly keys = new KeyChanges({
    ring: new KeyRing([]),
    transport: undefined,
    file: undefined,
    isWatched: false,
    log: silentLog,
    keysInUse: () => [],
    tell: () => {},
  })
  readonly unread = { sealed: 0, plain: 0, key: 0 }
  readonly machines: FakeMachine[] = []
  isClosed = false
  private readonly script: (machine: FakeMachine, call: Call) => void

  constructor(script = joins()) {
    this.script = script
  }

  async openInspector(): Promise<never> {
    throw new Error('nothing to inspect')
  }

  async openMember(settings: MemberSettings, onOutput: OutputHandler): Promise<OpenedMember> {
    const machine = new FakeMachine(settings, onOutput, this.script)
    this.machines.push(machine)
    return { port: machine, observer: machine }
  }

  /** Wake-ups that wait; the test says when they come. */
  readonly wakeups: { readonly micros: number; readonly callback: () => void }[] = []

  after(micros: number, callback: () => void): () => void {
    const wakeup = { micros, callback }
    this.wakeups.push(wakeup)
    return () => {
      const at = this.wakeups.indexOf(wakeup)
      if (at >= 0) this.wakeups.splice(at, 1)
    }
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

export function fakeKernel(script = joins()): { rim: FakeRim; kernel: Kernel } {
  const rim = new FakeRim(script)
  return { rim, kernel: new Kernel(rim) }
}

/** One turn of the event loop: every microtask and immediate that waits has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
}
