/** Fakes for the tests of the rim: a machine that does what it is told, a network without a network. */
import { Counters } from '../../kernel/counters.ts'
import type { Address, GroupId, Micros, Nonce } from '../../kernel/identity.ts'
import type { Input, Machine, Sink } from '../../kernel/machine.ts'
import type { PacketHandler, Transport, TransportStats } from '../../kernel/node/transport.ts'
import { PacketKind } from '../../kernel/packet.ts'
import type { MemberInfo, Output } from '../../kernel/port.ts'
import type { View } from '../../kernel/view.ts'
import { infoOf, memberOf } from '../support/members.ts'
import { packetOf } from '../support/packets.ts'

export interface PacketFields {
  readonly kind?: PacketKind
  readonly groupId?: GroupId
  readonly senderNonce?: Nonce
  readonly destination?: Nonce
  readonly body?: Uint8Array
}

/** Of a member, but for what is given. */
export function packet({ kind = PacketKind.state, body, ...names }: PacketFields = {}): Uint8Array {
  return packetOf(kind, { incarnation: 3, coordinator: 1, sender: 1, ...names }, body)
}

type Step = (now: Micros, input: Input, sink: Sink) => void

/** Remembers its inputs, and does in a step what the test says. */
export class FakeMachine implements Machine {
  readonly inputs: Input[] = []
  readonly counters = new Counters()
  deadline: Micros | undefined
  private readonly onStep: Step
  private waiters: { wanted: () => boolean; resolve: () => void }[] = []

  constructor(onStep: Step = () => {}) {
    this.onStep = onStep
  }

  step(now: Micros, input: Input, sink: Sink): void {
    this.inputs.push(input)
    try {
      this.onStep(now, input, sink)
    } finally {
      const due = this.waiters.filter(({ wanted }) => wanted())
      this.waiters = this.waiters.filter((waiter) => !due.includes(waiter))
      for (const { resolve } of due) resolve()
    }
  }

  nextDeadline(): Micros | undefined {
    return this.deadline
  }

  get packets(): { from: Address; bytes: Uint8Array }[] {
    return this.inputs.flatMap((input) => (input.kind === 'packet' ? [input] : []))
  }

  count(kind: Input['kind']): number {
    return this.inputs.filter((input) => input.kind === kind).length
  }

  /** Resolves after the step after which `wanted` holds. */
  until(wanted: () => boolean): Promise<void> {
    if (wanted()) return Promise.resolve()
    return new Promise((resolve) => this.waiters.push({ wanted, resolve }))
  }

  packetsReach(count: number): Promise<void> {
    return this.until(() => this.packets.length >= count)
  }
}

/** A call that means nothing to a fake machine, for starting a step. */
export const poke = { call: 'cancel', token: 0 } as const

/** Keeps what is sent; the test plays the network. */
export class FakeTransport implements Transport {
  readonly address: Address = '10.0.0.1:1000'
  readonly mode = 'multicast'
  readonly window = 65_536
  readonly packetSizeMax = 65_507
  readonly packetSizeDefault = 1400
  readonly stats: TransportStats = { lostSends: new Map(), tooLarge: 0, echoes: 0 }
  isIdle = false
  readonly staysInMemory = false
  readonly sent: { to: Address | undefined; port: string | undefined; packet: Uint8Array }[] = []
  readonly listening: string[] = []
  held = true
  closed = false
  private handler: PacketHandler = () => {}

  isOwn(to: Address): boolean {
    return to === this.address
  }

  send(to: Address, bytes: Uint8Array): void {
    this.sent.push({ to, port: undefined, packet: bytes })
  }

  multicast(port: string, bytes: Uint8Array): void {
    this.sent.push({ to: undefined, port, packet: bytes })
  }

  async listen(port: string): Promise<void> {
    this.listening.push(port)
  }

  unlisten(port: string): void {
    this.listening.splice(this.listening.indexOf(port), 1)
  }

  onPacket(handler: PacketHandler): void {
    this.handler = handler
  }

  arrive(from: Address, bytes: Uint8Array): void {
    this.handler(from, bytes)
  }

  hold(keep: boolean): void {
    this.held = keep
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    this.closed = true
  }
}

export function view(sequencer = 1, members: readonly number[] = [1, 2], groupId: GroupId = 7n): View {
  return {
    groupId,
    incarnation: 3,
    coordinator: 1,
    seq: 10,
    sequencer,
    members: members.map((id) => memberOf(id)),
  }
}

export function info(given: Partial<MemberInfo> = {}): MemberInfo {
  return infoOf({
    port: 'orders',
    view: view(),
    isSequencer: true,
    seq: 42,
    received: 42,
    accepted: 41,
    taken: 40,
    stable: 39,
    historyMessages: 3,
    historyBytes: 300,
    waitingSends: 2,
    outstandingSends: 1,
    queuedRequests: 5,
    lags: [{ id: 2, messages: 4 }],
    settings: { seq: 1, version: 1, keyId: 0 },
    ...given,
  })
}

export function joined(sequencer: number, memberId: number, groupId: GroupId = 7n): Output {
  return {
    output: 'joined',
    token: 1,
    memberId,
    nonce: BigInt(memberId),
    port: 'orders',
    parameters: {
      resilience: 0,
      minMembers: 'majority',
      recovery: 'auto',
      maxMembers: 8,
      historySize: 128,
      historyBytes: 4096,
      maxMessageSize: 1024,
      slowMember: 'block',
    },
    view: view(sequencer, [1, 2], groupId),
  }
}
