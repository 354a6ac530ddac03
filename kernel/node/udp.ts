/**
 * UDP by node:dgram. One unicast socket per kernel, its address and the only one that sends (a socket bound
 * to a shared port gets unicast for the last binder only); one multicast socket per group address.
 */
import type { RemoteInfo, Socket } from 'node:dgram'
import { isIP } from 'node:net'
import { ErrorCode, GroupError, invalidArgument } from '../errors.ts'
import type { Address } from '../identity.ts'
import { PACKET_BYTES_MAX } from '../packet.ts'
import {
  formatAddress,
  groupAddress,
  type HostPort,
  type LocalInterface,
  localInterface,
  MULTICAST_PORT_DEFAULT,
  parseAddress,
} from './addresses.ts'
import { freeBuffer } from './free-buffer.ts'
import { Refusals } from './refusals.ts'
import {
  bindSocket,
  clampAdvice,
  joinMulticast,
  openSocket,
  SOCKET_BUFFER_BYTES,
  type SocketBuffers,
  setBuffers,
  setMulticast,
  windowOf,
} from './socket-options.ts'
import type { PacketHandler, RefusedHandler, Transport, TransportMode, TransportStats } from './transport.ts'
import { youngBuffers } from './young-buffers.ts'

export interface UdpOptions {
  /** Address of the interface, IPv4 or IPv6. Default 127.0.0.1: nothing goes onto a network. */
  readonly interface?: string
  /** Whether broadcasts are multicast. Default 'multicast', on ::1 'unicast': `lo` has no IPv6 multicast. */
  readonly mode?: TransportMode
  /** UDP port of the unicast socket; 0 (default) lets the system choose. */
  readonly udpPort?: number
  /** UDP port of all multicasts, the same at everybody who is to meet. */
  readonly multicastPort?: number
  /** `host` or `host:port` under which others reach the unicast socket, if not as it is bound (containers). */
  readonly advertise?: string
  /** Bytes of socket buffer to ask for. */
  readonly bufferBytes?: number
  /** Told things that an operator should act on, each once. */
  readonly onWarning?: (message: string) => void
}

/**
 * Wise sizes of packets (README, Packet size on loopback): loopback has no frame to fit into, so there the sockets decide;
 * elsewhere an Ethernet frame less a tunnel's headers.
 */
export const PACKET_BYTES_LOOPBACK = 60_000
const PACKET_BYTES_SMALL_SOCKETS = 16_384
const PACKET_BYTES_NETWORK = 1400
/** So many of the largest packets must fit into a member's window: some for each of the senders, and a loss costs one. */
const PACKETS_IN_WINDOW = 24
/** Addresses remembered at once. */
const ADDRESSES_MAX = 4096
/** Sends that may wait in the process for a full socket before more are dropped, in bytes; looked at from so many on. */
const QUEUE_BYTES_MAX = 8 * 1024 * 1024
const QUEUE_LOOK = 512

/** The system's way of saying that this packet did not go out; the protocol repeats it like any lost one. */
const LOSS = new Set([
  'EPERM',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ENOBUFS',
  'ECONNREFUSED',
  'EAGAIN',
  'ENETDOWN',
  'EHOSTDOWN',
])

/** `window`: bytes that may be on their way to one member. */
export function loopbackPacketSize(window: number): number {
  return window >= PACKETS_IN_WINDOW * PACKET_BYTES_LOOPBACK
    ? PACKET_BYTES_LOOPBACK
    : PACKET_BYTES_SMALL_SOCKETS
}

interface Listening {
  readonly socket: Socket
  readonly ready: Promise<void>
  /** Ports by name that listen here, each so many times; bounded by the groups of this process. */
  readonly ports: Map<string, number>
}

export class UdpTransport implements Transport {
  readonly address: Address
  readonly mode: TransportMode
  readonly window: number
  readonly staysInMemory: boolean
  readonly packetSizeMax: number
  readonly packetSizeDefault: number
  readonly buffers: SocketBuffers
  readonly stats: TransportStats = { lostSends: new Map(), tooLarge: 0, echoes: 0 }
  /** Where the unicast socket is bound, which is where its packets come from unless something translates addresses. */
  readonly bound: Address
  private readonly socket: Socket
  private readonly local: LocalInterface
  private readonly options: UdpOptions
  private readonly multicastPort: number
  private handler: PacketHandler | undefined
  /** By group address; bounded by the groups of this process. */
  private readonly listening = new Map<string, Listening>()
  /** Group addresses by port; bounded like `listening`, plus locates for ports not listened to, and emptied at ADDRESSES_MAX. */
  private readonly groups = new Map<string, string>()
  /** Parsed destinations and formatted sources; emptied at ADDRESSES_MAX. */
  private readonly destinations = new Map<Address, HostPort>()
  private readonly sources = new Map<number, { host: string; address: Address }>()
  private readonly refusals: Refusals
  private pending = 0
  private idle: (() => void)[] = []
  private held = true
  private closing: Promise<void> | undefined
  /** Multicast sockets that are being closed; bounded by those that were open. */
  private readonly closings = new Set<Promise<void>>()
  private warnedTooLarge = false
  private warnedOther = false

  /** Opens and binds. Throws ERR_ADDRESS (in use, not of this machine) or ERR_INVALID_ARGUMENT, with advice. */
  static async open(options: UdpOptions = {}): Promise<UdpTransport> {
    const local = localInterface(options.interface ?? '127.0.0.1')
    const { udpPort = 0, multicastPort = MULTICAST_PORT_DEFAULT } = options
    checkPort('udpPort', udpPort, 0)
    checkPort('multicastPort', multicastPort, 1)
    const onlyUnicast = local.family === 6 && local.loopback
    if (onlyUnicast && options.mode === 'multicast') {
      throw new GroupError(
        ErrorCode.address,
        "IPv6 multicast does not work on ::1; use transport 'unicast' with peers there, or 127.0.0.1",
      )
    }
    const mode = options.mode ?? (onlyUnicast ? 'unicast' : 'multicast')
    let onError = (_error: Error): void => {}
    const socket = openSocket(local.family, false, (error) => onError(error))
    try {
      await bindSocket(socket, local.host, udpPort, 'udpPort')
      const buffers = setBuffers(socket, options.bufferBytes)
      if (mode === 'multicast') setMulticast(socket, local)
      const transport = new UdpTransport(socket, local, mode, buffers, { ...options, multicastPort })
      onError = (error) => transport.socketError(error)
      return transport
    } catch (error) {
      socket.close()
      throw error
    }
  }

  private constructor(
    socket: Socket,
    local: LocalInterface,
    mode: TransportMode,
    buffers: SocketBuffers,
    options: UdpOptions,
  ) {
    this.socket = socket
    this.local = local
    this.mode = mode
    this.buffers = buffers
    this.options = options
    this.multicastPort = options.multicastPort!
    const port = socket.address().port
    this.bound = formatAddress(local.host, port)
    this.address =
      options.advertise === undefined ? this.bound : advertised(options.advertise, port, local.family)
    this.refusals = new Refusals(local.host, local.family)
    this.window = windowOf(buffers)
    this.staysInMemory = local.loopback
    // A datagram must fit into the send buffer in one piece, with the system's bookkeeping.
    this.packetSizeMax = Math.min(PACKET_BYTES_MAX, Math.floor(buffers.send / 2))
    this.packetSizeDefault = Math.min(
      this.packetSizeMax,
      local.loopback ? loopbackPacketSize(this.window) : PACKET_BYTES_NETWORK,
    )
    const advice = clampAdvice(buffers, options.bufferBytes ?? SOCKET_BUFFER_BYTES)
    if (advice !== undefined) this.warn(advice)
    socket.on('message', (bytes, from) => this.receive(bytes, from))
  }

  isOwn(to: Address): boolean {
    return to === this.address || to === this.bound
  }

  onPacket(handler: PacketHandler): void {
    this.handler = handler
  }

  send(to: Address, packet: Uint8Array): void {
    if (this.closing !== undefined) return
    let destination = this.destinations.get(to)
    if (destination === undefined) {
      try {
        destination = parseAddress(to)
      } catch {
        // Addresses come from packets too; one that is none leads nowhere.
        this.lost('EINVAL')
        return
      }
      if (this.destinations.size >= ADDRESSES_MAX) this.destinations.clear()
      this.destinations.set(to, destination)
    }
    this.transmit(packet, destination.host, destination.port)
  }

  multicast(port: string, packet: Uint8Array): void {
    if (this.closing !== undefined || this.mode === 'unicast') return
    this.transmit(packet, this.groupOf(port), this.multicastPort)
  }

  check(to: Address, refused: RefusedHandler): void {
    if (this.closing === undefined) this.refusals.check(to, refused)
  }

  async listen(port: string): Promise<void> {
    if (this.mode === 'unicast' || this.closing !== undefined) return
    const group = this.groupOf(port)
    let listening = this.listening.get(group)
    if (listening === undefined) {
      const socket = openSocket(this.local.family, true, (error) => this.socketError(error))
      if (!this.held) socket.unref()
      listening = { socket, ready: this.openGroup(socket, group), ports: new Map() }
      this.listening.set(group, listening)
    }
    listening.ports.set(port, (listening.ports.get(port) ?? 0) + 1)
    try {
      await listening.ready
    } catch (error) {
      this.unlisten(port)
      throw error
    }
  }

  private async openGroup(socket: Socket, group: string): Promise<void> {
    // Bound to the group's address a socket gets this group's packets only. Windows cannot, and gets all.
    const host = process.platform === 'win32' ? (this.local.family === 4 ? '0.0.0.0' : '::') : group
    await bindSocket(socket, host, this.multicastPort, 'the multicast port')
    joinMulticast(socket, group, this.local)
    setBuffers(socket, this.options.bufferBytes)
    socket.on('message', (bytes, from) => this.receive(bytes, from))
  }

  unlisten(port: string): void {
    const group = this.groupOf(port)
    const listening = this.listening.get(group)
    const count = listening?.ports.get(port)
    if (listening === undefined || count === undefined) return
    if (count > 1) {
      listening.ports.set(port, count - 1)
      return
    }
    listening.ports.delete(port)
    if (listening.ports.size > 0) return
    this.listening.delete(group)
    const closed = closeSocket(listening).finally(() => this.closings.delete(closed))
    this.closings.add(closed)
  }

  hold(keep: boolean): void {
    this.held = keep
    if (this.closing !== undefined) return
    for (const socket of [this.socket, ...[...this.listening.values()].map((each) => each.socket)]) {
      if (keep) socket.ref()
      else socket.unref()
    }
  }

  get isIdle(): boolean {
    return this.socket.getSendQueueCount() === 0
  }

  flush(): Promise<void> {
    return this.pending === 0 ? Promise.resolve() : new Promise((resolve) => this.idle.push(resolve))
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll()
    return this.closing
  }

  private async closeAll(): Promise<void> {
    this.handler = undefined
    this.refusals.close()
    const all = [...this.listening.values()]
    this.listening.clear()
    await this.flush()
    await Promise.all([...all, { socket: this.socket, ready: Promise.resolve() }].map(closeSocket))
    await Promise.all(this.closings)
  }

  private groupOf(port: string): string {
    let group = this.groups.get(port)
    if (group === undefined) {
      group = groupAddress(port, this.local.family)
      if (this.groups.size >= ADDRESSES_MAX) this.groups.clear()
      this.groups.set(port, group)
    }
    return group
  }

  private transmit(packet: Uint8Array, host: string, port: number): void {
    if (this.pending >= QUEUE_LOOK && this.socket.getSendQueueSize() > QUEUE_BYTES_MAX) {
      this.lost('queue')
      return
    }
    this.pending++
    this.socket.send(packet, 0, packet.length, port, host, this.sent)
  }

  /** One function for all sends: dgram tells it in a later microtask how the send ended. */
  private readonly sent = (error: Error | null): void => {
    this.pending--
    if (error !== null) this.sendError(error)
    if (this.pending === 0 && this.idle.length > 0) {
      for (const resolve of this.idle.splice(0)) resolve()
    }
  }

  private sendError(error: NodeJS.ErrnoException): void {
    const code = error.code ?? 'unknown'
    if (code === 'EMSGSIZE') {
      this.stats.tooLarge++
      if (!this.warnedTooLarge) {
        this.warnedTooLarge = true
        this.warn(`a packet is larger than the network takes (${error.message}); set a smaller packetSize`)
      }
      return
    }
    this.lost(code)
    if (!LOSS.has(code) && !this.warnedOther && this.closing === undefined) {
      this.warnedOther = true
      this.warn(`packets cannot be sent (${error.message}); they count as lost`)
    }
  }

  /** Errors that arrive at a socket without a send, such as a refused port, say nothing about this process. */
  private socketError(error: NodeJS.ErrnoException): void {
    this.lost(error.code ?? 'unknown')
  }

  private lost(code: string): void {
    this.stats.lostSends.set(code, (this.stats.lostSends.get(code) ?? 0) + 1)
  }

  private warn(message: string): void {
    this.options.onWarning?.(message)
  }

  private receive(bytes: Uint8Array, from: RemoteInfo): void {
    const { handler } = this
    if (handler === undefined) return
    // Another kernel asks whether anybody listens here (refusals.ts): that no refusal comes is the answer.
    if (bytes.length === 0) return
    let source = this.sources.get(from.port)
    if (source === undefined || source.host !== from.address) {
      if (this.sources.size >= ADDRESSES_MAX) this.sources.clear()
      source = { host: from.address, address: formatAddress(from.address, from.port) }
      this.sources.set(from.port, source)
    }
    if (source.address === this.bound) {
      this.stats.echoes++
      if (!freeBuffer(bytes)) youngBuffers.note(bytes.length)
      return
    }
    youngBuffers.note(bytes.length)
    handler(source.address, bytes)
  }
}

function checkPort(field: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least || value > 65_535) {
    throw invalidArgument(field, value, `a whole number from ${least} to 65535`)
  }
}

function advertised(text: string, port: number, family: 4 | 6): Address {
  const bare = isIP(text) !== 0
  const address = parseAddress(bare ? formatAddress(text, port) : text, 'advertise')
  if (isIP(address.host) !== family)
    throw invalidArgument('advertise', text, `an IPv${family} address, as the interface is`)
  return formatAddress(address.host, address.port)
}

async function closeSocket({ socket, ready }: Pick<Listening, 'socket' | 'ready'>): Promise<void> {
  // A socket in the middle of binding must not be closed under its feet.
  await ready.catch(() => {})
  await new Promise<void>((resolve) => socket.close(() => resolve()))
}
