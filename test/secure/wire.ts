/** Kernels over real UDP on loopback whose wire somebody listens to: below the seal, as a stranger in the middle would. */
import type { Group, KernelOptions } from '../../group/index.ts'
import { Kernel } from '../../group/kernel.ts'
import { checkKernelOptions } from '../../group/options.ts'
import { openRim } from '../../group/rim.ts'
import type { Address } from '../../kernel/identity.ts'
import { monotonicClock, systemWakeups } from '../../kernel/node/clock.ts'
import { randomNonce, randomSeed } from '../../kernel/node/random.ts'
import { loadCiphers } from '../../kernel/node/secure/sodium.ts'
import type { PacketHandler, Transport } from '../../kernel/node/transport.ts'
import { UdpTransport } from '../../kernel/node/udp.ts'

export interface Recorded {
  readonly from: Address
  readonly bytes: Uint8Array
}

/** A transport that keeps what arrives, and hands in whatever somebody else puts on the wire, with any source. */
export class Tapped {
  readonly recorded: Recorded[] = []
  readonly transport: Transport
  /** Everything that arrives does so twice. */
  isDoubling = false
  /** Nothing goes out, and nothing comes in. */
  isCut = false
  /** What comes from there is kept back, for somebody to hand in later. */
  delayedFrom: Address | undefined
  readonly delayed: Recorded[] = []
  private handler: PacketHandler = () => {}

  constructor(inner: Transport) {
    this.transport = new Proxy(inner, {
      get: (target, name) => {
        if (name === 'onPacket') return (handler: PacketHandler) => this.tap(target, handler)
        const isSending = name === 'send' || name === 'multicast' || name === 'check'
        if (isSending && this.isCut) return () => {}
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  arrive({ from, bytes }: Recorded): void {
    // A copy, as a socket gives: whoever opens or reads it may keep it.
    this.handler(from, Uint8Array.from(bytes))
  }

  private tap(inner: Transport, handler: PacketHandler): void {
    this.handler = handler
    inner.onPacket((from, bytes) => {
      if (this.isCut) return
      const packet = { from, bytes: Uint8Array.from(bytes) }
      if (from === this.delayedFrom) {
        this.delayed.push(packet)
        return
      }
      this.recorded.push(packet)
      handler(from, bytes)
      if (this.isDoubling) this.arrive(packet)
    })
  }
}

export interface TappedKernel {
  readonly kernel: Kernel
  readonly tap: Tapped
}

export async function startTapped(options: KernelOptions): Promise<TappedKernel> {
  const checked = checkKernelOptions({ logLevel: 'silent', ...options })
  const tap = new Tapped(await UdpTransport.open({ mode: checked.transport, interface: checked.interface }))
  const rim = await openRim(checked, {
    transport: tap.transport,
    clock: monotonicClock(),
    wakeups: systemWakeups,
    ciphers: await loadCiphers(),
    nonce: randomNonce,
    seed: randomSeed,
  })
  return { kernel: new Kernel(rim), tap }
}

/** Keeps all that a member is told, in order; ends with the group. */
export class Diary {
  /** Messages as `seq sender body`, everything else as its kind. */
  readonly messages: string[] = []
  readonly changes: string[] = []
  private returnedAt = 0
  /** Events that tell of trouble. */
  readonly alarms: string[] = []

  constructor(group: Group<string>) {
    for (const name of ['suspect', 'expelled', 'split', 'slow'] as const)
      group.on(name, (event) => this.alarms.push(`${name} ${JSON.stringify(event, (_, v) => String(v))}`))
    this.read(group).catch(() => {})
  }

  /** Messages since the last rejoin: what came before it has a gap behind it. */
  get sinceReturn(): readonly string[] {
    return this.messages.slice(this.returnedAt)
  }

  private async read(group: Group<string>): Promise<void> {
    for (;;) {
      for (const { kind, seq, sender, body } of await group.receiveBatch()) {
        if (kind === 'message') this.messages.push(`${seq} ${sender} ${body}`)
        else this.changes.push(kind)
        if (kind === 'rejoin') this.returnedAt = this.messages.length
      }
    }
  }
}
