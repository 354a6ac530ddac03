/**
 * The floor that figures are set beside: the bare packet pattern of method 1 over node:dgram. Senders write to
 * one process, the root, which multicasts what comes as it comes; a sender may have as many bytes on their way as
 * the library's would. Packets are full, built once and sent again and again. No order is kept, nothing is
 * repaired or checked, and messages are not looked at one by one: no protocol over this pattern can be faster.
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
import { FloorProgram } from './floor-program.ts'
import { Latencies } from './latencies.ts'
import type { BenchMember, MemberOrder, RunOrder, RunReport } from './messages.ts'
import { cpuSeconds, MeasuringWindow } from './window.ts'

const INTERFACE = '127.0.0.1'
/** Sender's index and payload bytes; two bytes each, and four for where the payload is in its message. */
const HEADER_BYTES = 8
/** A packet that has not come back by then is lost, and its sender goes on. */
const LOST_AFTER_MS = 50

interface Run {
  readonly order: RunOrder
  readonly root: { readonly host: string; readonly port: number }
  readonly packets: readonly Buffer[]
  readonly window: MeasuringWindow
  readonly latencies: Latencies
  readonly cpu: number
  /** Payload that has arrived, by sender; bounded by the members. */
  readonly bytes: Map<number, number>
  total: number
  sent: number
  packetsOut: number
  bytesOut: number
  packetsIn: number
  /** Writes and reads messages, where they are delivered. */
  readonly program: FloorProgram | undefined
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
    const { pattern, size } = order
    const most = this.order.packetSize - HEADER_BYTES
    const perPacket = Math.max(1, Math.floor(most / size))
    const payload = pattern === 'lone' ? size : size * perPacket
    const packets: Buffer[] = []
    for (let at = 0; at < payload; at += most) packets.push(this.packetOf(Math.min(payload - at, most), at))
    const run: Run = {
      order,
      root: parseAddress(order.addresses[0]!.split(' ')[0]!),
      packets,
      window: new MeasuringWindow(() => run.total / size),
      latencies: new Latencies(),
      cpu: cpuSeconds(),
      bytes: new Map(),
      total: 0,
      sent: 0,
      packetsOut: 0,
      bytesOut: 0,
      packetsIn: 0,
      program: this.order.subject === 'floor' ? undefined : new FloorProgram(size),
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
    const { size } = run.order
    this.current = undefined
    const messages = (bytes: number): number => Math.round(bytes / size)
    return {
      messages: run.window.messages,
      seconds: run.window.seconds,
      sent: messages(run.sent),
      total: messages(run.total),
      bySender: Object.fromEntries([...run.bytes].map(([sender, bytes]) => [sender, messages(bytes)])),
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

  private packetOf(payload: number, offset: number): Buffer {
    const packet = Buffer.alloc(HEADER_BYTES + payload, this.order.index)
    packet.writeUInt16LE(this.order.index, 0)
    packet.writeUInt16LE(payload, 2)
    packet.writeUInt32LE(offset, 4)
    return packet
  }

  private async sendOneByOne(run: Run): Promise<void> {
    while (!run.isOver) {
      const { isOpen } = run.window
      const calledAt = performance.now()
      run.heardAt = calledAt
      for (const packet of run.packets) this.send(run, packet)
      await this.untilBack(run, 0)
      if (isOpen) run.latencies.add(performance.now() - calledAt)
      await new Promise(setImmediate)
    }
  }

  private async sendStream(run: Run): Promise<void> {
    run.heardAt = performance.now()
    while (!run.isOver) {
      for (const built of run.packets) {
        // An own packet that comes back opens the window again, at the end of the loop's turn.
        if (run.outstanding + built.length > this.sendWindow) {
          await this.untilBack(run, this.sendWindow - built.length)
          await new Promise(setImmediate)
        }
        this.send(run, run.program?.write(built, HEADER_BYTES) ?? built)
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
    run.lost++
    run.outstanding = 0
    run.wake?.()
  }

  private send(run: Run, packet: Buffer): void {
    run.sent += packet.length - HEADER_BYTES
    run.outstanding += packet.length
    if (this.order.index === 0) {
      this.multicast(packet)
      return
    }
    run.packetsOut++
    run.bytesOut += packet.length
    this.socket.send(packet, 0, packet.length, run.root.port, run.root.host)
  }

  private multicast(packet: Buffer): void {
    const run = this.current
    if (run !== undefined) {
      run.packetsOut++
      run.bytesOut += packet.length
    }
    this.socket.send(packet, 0, packet.length, this.group.port, this.group.host)
  }

  private arrive(packet: Buffer): void {
    const run = this.current
    if (run === undefined) return
    const sender = packet.readUInt16LE(0)
    const payload = packet.readUInt16LE(2)
    run.packetsIn++
    run.program?.read(sender, packet.subarray(HEADER_BYTES), packet.readUInt32LE(4))
    run.total += payload
    run.bytes.set(sender, (run.bytes.get(sender) ?? 0) + payload)
    if (sender !== this.order.index) return
    run.outstanding = Math.max(0, run.outstanding - packet.length)
    run.heardAt = performance.now()
    run.wake?.()
  }
}
