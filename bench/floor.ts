/**
 * The floor that figures are set beside: the library's packet pattern, bare, over node:dgram. Packets are full, built once and
 * sent again and again, by the method that the library takes for such blocks (floor-packets.ts); a sender may have
 * as many bytes on their way as the library's would. No order is kept, nothing is repaired or checked, and messages
 * are not looked at one by one: no protocol over this pattern can be faster.
 *
 * As `floor-delivered` it does what a program does at both ends (floor-program.ts), and still nothing between.
 */
import { randomInt } from 'node:crypto'
import type { Socket } from 'node:dgram'
import { formatAddress, groupAddress, localInterface, parseAddress } from '../kernel/node/addresses.ts'
import {
  bindSocket,
  joinMulticast,
  openSocket,
  setBuffers,
  setMulticast,
  windowOf,
} from '../kernel/node/socket-options.ts'
import {
  type FloorBlock,
  type FloorPacket,
  floorBlock,
  isNames,
  isToBeNamed,
  type Named,
  namedBytes,
  partOf,
  senderOf,
  writeFloorPacket,
  writeNames,
} from './floor-packets.ts'
import { FloorProgram } from './floor-program.ts'
import { Latencies } from './latencies.ts'
import type { BenchMember, MemberOrder, RunOrder, RunReport } from './messages.ts'
import { cpuSeconds, MeasuringWindow } from './window.ts'

const INTERFACE = '127.0.0.1'
/** A packet that has not come back by then is lost, and its sender goes on. */
const LOST_AFTER_MS = 50

interface Run {
  readonly order: RunOrder
  readonly root: { readonly host: string; readonly port: number }
  readonly block: FloorBlock
  /** At the root: others' blocks come from them and not by way of it. */
  readonly areOthersDirect: boolean
  readonly packets: readonly { readonly built: Buffer; readonly of: FloorPacket }[]
  readonly window: MeasuringWindow
  readonly latencies: Latencies
  readonly cpu: number
  /** Messages that have arrived, by sender, parts of large ones as parts; bounded by the members. */
  readonly bySender: Map<number, number>
  total: number
  sent: number
  packetsOut: number
  bytesOut: number
  packetsIn: number
  /** Writes and reads messages, where they are delivered. */
  readonly program: FloorProgram | undefined
  /** Times, in the measured part, that packets were lost. */
  lost: number
  /** Bytes of own packets on their way, and when the last came back. */
  outstanding: number
  heardAt: number
  isOver: boolean
  wake: (() => void) | undefined
}

export class FloorMember implements BenchMember {
  readonly address: string
  private readonly order: MemberOrder
  private readonly socket: Socket
  private readonly groupSocket: Socket
  private readonly group: { readonly host: string; readonly port: number }
  private readonly sendWindow: number
  /** At the root: blocks that are named at the end of the loop's turn. */
  private named: Named[] = []
  private current: Run | undefined

  static async open(order: MemberOrder): Promise<FloorMember> {
    const local = localInterface(INTERFACE)
    const fail = (error: Error): void => {
      throw error
    }
    const socket = openSocket(4, false, () => {})
    await bindSocket(socket, INTERFACE, 0, 'a free port')
    const window = windowOf(setBuffers(socket))
    setMulticast(socket, local)
    const groupSocket = openSocket(4, true, fail)
    // The root chooses where to multicast, and says so in its address.
    const known = order.peers[0]?.split(' ')[1]
    const group = {
      host: groupAddress(order.port, 4),
      port: known === undefined ? randomInt(20_000, 60_000) : Number(known),
    }
    await bindSocket(groupSocket, group.host, group.port, 'the multicast port')
    joinMulticast(groupSocket, group.host, local)
    setBuffers(groupSocket)
    return new FloorMember(order, socket, groupSocket, group, window)
  }

  private constructor(
    order: MemberOrder,
    socket: Socket,
    groupSocket: Socket,
    group: { readonly host: string; readonly port: number },
    window: number,
  ) {
    this.order = order
    this.socket = socket
    this.groupSocket = groupSocket
    this.group = group
    this.sendWindow = Math.max(4 * order.packetSize, Math.floor(window / 4))
    this.address = `${formatAddress(INTERFACE, socket.address().port)} ${group.port}`
    socket.on('message', (packet: Buffer) => {
      if (this.current !== undefined) this.current.packetsIn++
      this.multicast(packet)
    })
    groupSocket.on('message', (packet: Buffer) => this.arrive(packet))
  }

  async prepare(order: RunOrder): Promise<void> {
    const { pattern, size, readsBodies = false } = order
    const { packetSize, method, index, subject } = this.order
    const isLone = pattern === 'lone'
    const blockOf = (isSequencer: boolean): FloorBlock =>
      floorBlock({ packetSize, method, size, isLone, isSequencer })
    const block = blockOf(index === 0)
    const run: Run = {
      order,
      root: parseAddress(order.addresses[0]!.split(' ')[0]!),
      block,
      areOthersDirect: index === 0 && blockOf(false).isToAll,
      packets: block.packets.map((of) => ({ built: writeFloorPacket(index, block, of), of })),
      window: new MeasuringWindow(() => run.total),
      latencies: new Latencies(),
      cpu: cpuSeconds(),
      bySender: new Map(),
      total: 0,
      sent: 0,
      packetsOut: 0,
      bytesOut: 0,
      packetsIn: 0,
      program: subject === 'floor' ? undefined : new FloorProgram(size, block, readsBodies),
      lost: 0,
      outstanding: 0,
      heardAt: 0,
      isOver: false,
      wake: undefined,
    }
    this.current = run
  }

  async run(): Promise<number> {
    const run = this.current!
    const { pattern, isSender, rampMs, measureMs } = run.order
    const passed = run.window.pass(rampMs, measureMs).then(() => {
      run.isOver = true
    })
    const timer = setInterval(() => this.giveUpLost(run), LOST_AFTER_MS / 2)
    try {
      if (isSender) await (pattern === 'lone' ? this.sendOneByOne(run) : this.sendStream(run))
      await passed
      return 0
    } finally {
      clearInterval(timer)
    }
  }

  async finish(): Promise<RunReport> {
    const run = this.current!
    this.current = undefined
    this.named = []
    return {
      messages: run.window.messages,
      seconds: run.window.seconds,
      sent: Math.round(run.sent),
      total: Math.round(run.total),
      bySender: Object.fromEntries([...run.bySender].map(([sender, count]) => [sender, Math.round(count)])),
      digest: '',
      outOfOrder: 0,
      latency: run.latencies.percentiles,
      cpuSeconds: cpuSeconds() - run.cpu,
      packetsOut: run.packetsOut,
      bytesOut: run.bytesOut,
      packetsIn: run.packetsIn,
      repeated: run.lost,
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.socket, this.groupSocket].map((each) => new Promise<void>((r) => each.close(r))))
  }

  private async sendOneByOne(run: Run): Promise<void> {
    while (!run.isOver) {
      const { isOpen } = run.window
      const calledAt = performance.now()
      run.heardAt = calledAt
      for (const packet of run.packets) this.send(run, packet.built)
      await this.untilBack(run, 0)
      if (isOpen) run.latencies.add(performance.now() - calledAt)
      await new Promise(setImmediate)
    }
  }

  private async sendStream(run: Run): Promise<void> {
    run.heardAt = performance.now()
    while (!run.isOver) {
      for (const { built, of } of run.packets) {
        // An own packet that comes back opens the window again, at the end of the loop's turn.
        if (run.outstanding + built.length > this.sendWindow) {
          await this.untilBack(run, this.sendWindow - built.length)
          await new Promise(setImmediate)
        }
        this.send(run, run.program?.write(built, of) ?? built, run.program)
      }
    }
    await this.untilBack(run, 0)
  }

  private async untilBack(run: Run, outstanding: number): Promise<void> {
    while (run.outstanding > outstanding) {
      await new Promise<void>((resolve) => {
        run.wake = resolve
      })
    }
  }

  private giveUpLost(run: Run): void {
    if (run.outstanding === 0 || performance.now() - run.heardAt < LOST_AFTER_MS) return
    // before and after the measured part it costs the rate nothing
    if (run.window.isOpen) run.lost++
    run.outstanding = 0
    run.wake?.()
  }

  /** A packet that `program` has written is its own again when the system has taken it. */
  private send(run: Run, packet: Buffer, program?: FloorProgram): void {
    run.sent += partOf(packet)
    run.outstanding += packet.length
    const taken = program === undefined ? undefined : (): void => program.release(packet)
    if (run.block.isToAll) this.multicast(packet, taken)
    else this.transmit(packet, run.root, taken)
  }

  private multicast(packet: Buffer, taken?: () => void): void {
    this.transmit(packet, this.group, taken)
    // What goes to all by way of the root, or from it, it knows before it hears it.
    if (this.order.index === 0 && isToBeNamed(packet)) this.name(packet)
  }

  private transmit(
    packet: Buffer,
    to: { readonly host: string; readonly port: number },
    taken?: () => void,
  ): void {
    const run = this.current
    if (run !== undefined) {
      run.packetsOut++
      run.bytesOut += packet.length
    }
    this.socket.send(packet, 0, packet.length, to.port, to.host, taken)
  }

  /** One small packet a turn of the loop for all blocks that have come in it. */
  private name(packet: Buffer): void {
    if (this.named.length === 0)
      setImmediate(() => {
        const { named } = this
        this.named = []
        for (const names of writeNames(named, this.order.packetSize)) this.transmit(names, this.group)
      })
    this.named.push({ sender: senderOf(packet), bytes: packet.length })
  }

  private arrive(packet: Buffer): void {
    const run = this.current
    if (run === undefined) return
    run.packetsIn++
    const { index } = this.order
    if (isNames(packet)) {
      this.back(run, namedBytes(packet, index))
      return
    }
    const sender = senderOf(packet)
    if (run.areOthersDirect && sender !== index && isToBeNamed(packet)) this.name(packet)
    run.program?.read(sender, packet)
    const part = partOf(packet)
    run.total += part
    run.bySender.set(sender, (run.bySender.get(sender) ?? 0) + part)
    if (sender === index && !isToBeNamed(packet)) this.back(run, packet.length)
  }

  /** So many own bytes are on their way no longer. */
  private back(run: Run, bytes: number): void {
    if (bytes === 0) return
    run.outstanding = Math.max(0, run.outstanding - bytes)
    run.heardAt = performance.now()
    run.wake?.()
  }
}
