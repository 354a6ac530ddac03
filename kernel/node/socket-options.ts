/** Opening, binding and setting up one UDP socket; the system's refusals become errors that say what to do. */
import { createSocket, type Socket } from 'node:dgram'
import { ErrorCode, GroupError } from '../errors.ts'
import { formatAddress, type LocalInterface, notOfThisMachine } from './addresses.ts'

/** What is asked for. Half a second of a busy group at 8 MiB/s; the system may give less. */
export const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024

export interface SocketBuffers {
  /** As read back. Linux gives twice what was asked, for its own bookkeeping, or clamps without a word. */
  readonly receive: number
  readonly send: number
}

/**
 * A socket whose sends take literals without a detour: the default lookup costs a turn of the loop a packet.
 * Errors of a closing or refused socket are told to `onError`, never thrown into the air.
 */
export function openSocket(family: 4 | 6, shared: boolean, onError: (error: Error) => void): Socket {
  const socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    reuseAddr: shared,
    ipv6Only: family === 6,
    lookup: (host, _options, callback) => callback(null, host, family),
  })
  socket.on('error', onError)
  return socket
}

/** Binds, or throws ERR_ADDRESS saying what is in the way. `exclusive`: a cluster's workers do not share it. */
export async function bindSocket(socket: Socket, host: string, port: number, what: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(bindError(error, host, port, what))
    socket.once('error', failed)
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.off('error', failed)
      resolve()
    })
  })
}

function bindError(error: NodeJS.ErrnoException, host: string, port: number, what: string): GroupError {
  const where = formatAddress(host, port)
  if (error.code === 'EADDRNOTAVAIL') {
    const known = notOfThisMachine(host)
    return new GroupError(known.code, known.message, { cause: error })
  }
  const advice: Record<string, string> = {
    EADDRINUSE: 'is used by another program; choose another, or 0 for a free one',
    EACCES: 'may not be used by this user; choose a port above 1023',
  }
  const reason = advice[error.code ?? ''] ?? `cannot be used (${error.message})`
  return new GroupError(ErrorCode.address, `${what} ${where} ${reason}`, { cause: error })
}

/** Asks for large buffers, less and less where the system refuses, and says what came of it. */
export function setBuffers(socket: Socket, wanted: number = SOCKET_BUFFER_BYTES): SocketBuffers {
  const settle = (set: (bytes: number) => void): void => {
    for (let bytes = wanted; bytes >= 65_536; bytes /= 2) {
      try {
        set(Math.floor(bytes))
        return
      } catch {
        // Some systems refuse what they cannot give in full (ENOBUFS) instead of clamping: ask for half.
      }
    }
  }
  settle((bytes) => socket.setRecvBufferSize(bytes))
  settle((bytes) => socket.setSendBufferSize(bytes))
  return { receive: socket.getRecvBufferSize(), send: socket.getSendBufferSize() }
}

/**
 * Bytes of full packets that fit unread. The system charges its bookkeeping to the same account: measured on
 * Linux 1.0 to 2.3 times the payload for packets of 1,000 bytes and more (8 times for 100 bytes, which is why
 * small messages travel in batches), so three eighths of the number read back are safe to promise.
 */
export function windowOf(buffers: SocketBuffers): number {
  return Math.floor((buffers.receive * 3) / 8)
}

/** Why the buffers are far below what was asked for and what to do about it; undefined if they are not. */
export function clampAdvice(
  buffers: SocketBuffers,
  wanted: number,
  platform: string = process.platform,
): string | undefined {
  const linux = platform === 'linux'
  const given = (bytes: number): number => (linux ? bytes / 2 : bytes)
  const short: string[] = []
  if (given(buffers.receive) < wanted / 2)
    short.push(linux ? `net.core.rmem_max=${wanted}` : `kern.ipc.maxsockbuf=${wanted * 2}`)
  if (given(buffers.send) < wanted / 2)
    short.push(linux ? `net.core.wmem_max=${wanted}` : `kern.ipc.maxsockbuf=${wanted * 2}`)
  if (short.length === 0) return undefined
  return (
    `the system gives sockets ${given(buffers.receive)} bytes to receive and ${given(buffers.send)} to send, ` +
    `${wanted} were asked for; a busy group will lose and repeat packets. Set: sysctl -w ${[...new Set(short)].join(' ')}`
  )
}

/** Multicasts leave by this interface, go no further than its link (its machine, on loopback), and come back here. */
export function setMulticast(socket: Socket, local: LocalInterface): void {
  socket.setMulticastInterface(local.multicastInterface)
  socket.setMulticastTTL(local.loopback ? 0 : 1)
  socket.setMulticastLoopback(true)
}

export function joinMulticast(socket: Socket, group: string, local: LocalInterface): void {
  try {
    socket.addMembership(group, local.multicastInterface)
  } catch (error) {
    throw new GroupError(
      ErrorCode.address,
      `interface ${local.host} takes no multicast (${(error as Error).message}); use transport 'unicast' with peers`,
      { cause: error },
    )
  }
}
