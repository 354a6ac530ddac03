/** The network of a user's tests: kernels in one process, virtual time, faults drawn from a seed. */
import { checkFields } from '../../kernel/checks.ts'
import { invalidArgument } from '../../kernel/errors.ts'
import type { Address } from '../../kernel/identity.ts'
import { systemCiphers } from '../../kernel/node/secure/ciphers.ts'
import { Prng } from '../../kernel/prng.ts'
import { Kernel } from '../kernel.ts'
import { checkKernelOptions, type KernelOptions } from '../options.ts'
import { openRim } from '../rim.ts'
import { type Carrier, MemoryTransport } from './transport.ts'
import { VirtualTime } from './virtual-time.ts'

/** Faults of the network; each copy of a packet has its own luck. */
export interface Faults {
  /** Part of all packets that is lost, 0 to 1; a multicast is lost for each receiver by itself. Default 0. */
  readonly loss?: number
  /** Part of all packets that arrives twice, 0 to 1. Default 0. */
  readonly duplication?: number
  /** Milliseconds on the way: a number, or drawn between two, which reorders packets. Default 0.1. */
  readonly delayMs?: number | { readonly min: number; readonly max: number }
}

export interface TestNetworkOptions extends Faults {
  /** All dice of the network and of its kernels; the same seed gives the same run. Default 1. */
  readonly seed?: number
}

const faultFields = ['loss', 'duplication', 'delayMs'] as const
const TURN_LIMIT_MS = 600_000

export class TestNetwork implements AsyncDisposable {
  private readonly time = new VirtualTime()
  private readonly prng: Prng
  private faults: { loss: number; duplication: number; minDelay: number; maxDelay: number }
  /** By address. BOUNDED by the kernels that the test starts. */
  private readonly transports = new Map<Address, MemoryTransport>()
  private readonly kernels = new Map<Kernel, Address>()
  /** The side of a partition that an address is on; undefined: no partition. */
  private sides: Map<Address, number> | undefined
  private started = 0
  private stepping: Promise<void> | undefined

  constructor(options: TestNetworkOptions = {}) {
    checkFields('createTestNetwork', options, ['seed', ...faultFields])
    const { seed = 1, ...faults } = options
    if (!Number.isSafeInteger(seed) || seed < 0) throw invalidArgument('seed', seed, 'a whole number from 0')
    this.prng = new Prng(seed)
    this.faults = checkFaults(faults)
  }

  /** Milliseconds of virtual time since the network was made. */
  get now(): number {
    return this.time.clock() / 1000 - 1000
  }

  /** A kernel on this network. Options of real sockets are checked and have no effect; no log unless asked for. */
  async startKernel(options: KernelOptions = {}): Promise<Kernel> {
    const checked = checkKernelOptions({ logLevel: 'silent', ...options })
    const number = ++this.started
    const address = `10.0.${number >>> 8}.${number & 255}:7000`
    const dice = this.prng.fork()
    const transport = new MemoryTransport(address, checked.transport, this.carrier)
    this.transports.set(address, transport)
    const rim = await openRim(
      { ...checked, name: checked.name ?? `kernel-${number}` },
      {
        transport,
        clock: this.time.clock,
        wakeups: this.time,
        ciphers: systemCiphers,
        nonce: () => dice.u64(),
        seed: () => dice.u32(),
      },
    )
    const kernel = new Kernel(rim)
    this.kernels.set(kernel, address)
    return kernel
  }

  /** Lets so many milliseconds of virtual time pass; whatever the program awaits meanwhile goes on in between. */
  async advance(ms: number): Promise<void> {
    if (!(Number.isFinite(ms) && ms >= 0)) throw invalidArgument('ms', ms, 'a number of milliseconds from 0')
    const target = this.time.clock() + Math.round(ms * 1000)
    await turn()
    for (let next = this.time.next(); next !== undefined && next <= target; next = this.time.next()) {
      await this.step()
    }
    if (this.time.clock() < target) this.time.goTo(target)
    await turn()
  }

  /**
   * Lets time pass until `promise` settles, and gives its result. Several runs may go on at once. Throws if
   * it has not settled after `limitMs` of virtual time (default ten minutes), or if it waits for something
   * that is not on this network.
   */
  async run<T>(
    promise: PromiseLike<T>,
    { limitMs = TURN_LIMIT_MS }: { readonly limitMs?: number } = {},
  ): Promise<T> {
    let isSettled = false
    const settle = (): void => {
      isSettled = true
    }
    promise.then(settle, settle)
    const limit = this.time.clock() + limitMs * 1000
    let idleTurns = 0
    await turn()
    while (!isSettled) {
      if (this.time.clock() > limit) throw new Error(`not settled after ${limitMs} ms of virtual time`)
      if (this.time.next() !== undefined) {
        idleTurns = 0
        await this.step()
      } else if (++idleTurns < 1000) {
        await turn()
      } else {
        throw new Error('nothing is scheduled on this network, and the promise has not settled')
      }
    }
    return promise
  }

  /** Changes the faults from now on; what is not named stays. */
  setFaults(faults: Faults): void {
    checkFields('setFaults', faults, faultFields)
    const { loss, duplication, minDelay: min, maxDelay: max } = this.faults
    this.faults = checkFaults({ loss, duplication, delayMs: { min: min / 1000, max: max / 1000 }, ...faults })
  }

  /** Only kernels of one side reach each other from now on; those that are not named are a side of their own. */
  partition(...sides: readonly (readonly Kernel[])[]): void {
    this.sides = new Map()
    for (const [i, side] of sides.entries()) {
      for (const kernel of side) {
        const address = this.kernels.get(kernel)
        if (address === undefined) throw invalidArgument('partition', kernel, 'kernels of this network')
        this.sides.set(address, i)
      }
    }
  }

  /** Everybody reaches everybody again. Loss, duplication and delay stay. */
  heal(): void {
    this.sides = undefined
  }

  /** The kernel is gone at once and without a word, as if its process had been killed. */
  async crash(kernel: Kernel): Promise<void> {
    if (!this.kernels.delete(kernel)) throw invalidArgument('crash', kernel, 'a kernel of this network')
    await kernel.abandon('crashed by the test')
  }

  /** Crashes what is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const kernel of [...this.kernels.keys()]) await this.crash(kernel)
  }

  /** One moment of virtual time, then a turn of the real loop, in which the program's own code goes on. */
  private step(): Promise<void> {
    this.stepping ??= (async () => {
      this.time.runNext()
      await turn()
      this.stepping = undefined
    })()
    return this.stepping
  }

  private readonly carrier: Carrier = {
    unicast: (from, to, packet) => {
      const transport = this.transports.get(to)
      if (transport !== undefined) this.carry(from.address, transport, packet)
    },
    multicast: (from, port, packet) => {
      for (const transport of this.transports.values()) {
        if (transport !== from && transport.listensTo(port)) this.carry(from.address, transport, packet)
      }
    },
    closed: (transport) => {
      this.transports.delete(transport.address)
    },
  }

  private carry(from: Address, to: MemoryTransport, packet: Uint8Array): void {
    if (this.sides !== undefined && this.sides.get(from) !== this.sides.get(to.address)) return
    const { loss, duplication, minDelay, maxDelay } = this.faults
    const copies = duplication > 0 && this.prng.unit() < duplication ? 2 : 1
    for (let i = 0; i < copies; i++) {
      if (loss > 0 && this.prng.unit() < loss) continue
      const delay = minDelay === maxDelay ? minDelay : this.prng.between(minDelay, maxDelay)
      // A copy for each receiver, as sockets give: nobody's packet is another's.
      const bytes = packet.slice()
      this.time.after(delay, () => to.arrive(from, bytes))
    }
  }
}

function checkFaults({ loss = 0, duplication = 0, delayMs = 0.1 }: Faults): TestNetwork['faults'] {
  part('loss', loss)
  part('duplication', duplication)
  const { min, max } = typeof delayMs === 'number' ? { min: delayMs, max: delayMs } : delayMs
  if (!(min >= 0 && max >= min && max <= 3_600_000)) {
    throw invalidArgument('delayMs', delayMs, 'milliseconds from 0, or { min, max }')
  }
  return { loss, duplication, minDelay: Math.round(min * 1000), maxDelay: Math.round(max * 1000) }
}

function part(field: string, value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1))
    throw invalidArgument(field, value, 'a number from 0 to 1')
}

/** One turn of the real event loop: promises and immediates that wait now have run after it. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
