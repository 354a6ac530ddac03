/** A process that sends garbage to the sockets of members, so much a second, for so long as it is told; then says how much. */
import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseAddress } from '../kernel/node/addresses.ts'
import { SEAL_MAGIC } from '../kernel/node/secure/envelope.ts'
import { MAGIC } from '../kernel/packet.ts'
import {
  type FloodOrder,
  type FromFlooder,
  LASTING_MAX_MS,
  PER_SECOND_MAX,
  type ToFlooder,
} from './flood-messages.ts'

const BURST_EVERY_MS = 2
const BURST_MAX = 1000
const KINDS_OF_GARBAGE = 64
const LOOPBACK = /^127\./

/** Short and long; with the first byte of a packet, plain or sealed, and without: so that each check has something to do. */
function garbage(): Uint8Array[] {
  return Array.from({ length: KINDS_OF_GARBAGE }, (_, i) => {
    const bytes = new Uint8Array(20 + 20 * i).map((_, at) => (at * 31 + i * 17) & 0xff)
    if (i % 4 === 0) bytes.set([MAGIC, 1, 1 + (i % 27)])
    if (i % 4 === 2) bytes.set([SEAL_MAGIC, 1])
    return bytes
  })
}

async function flood({ addresses, perSecond, forMs }: FloodOrder): Promise<FromFlooder> {
  const targets = addresses.map((address) => parseAddress(address))
  if (!targets.every(({ host }) => LOOPBACK.test(host))) throw new Error('only this machine is flooded')
  const rate = Math.min(perSecond, PER_SECOND_MAX)
  const lasting = Math.min(forMs, LASTING_MAX_MS)
  const socket = createSocket('udp4')
  // what the system does not take is not sent
  socket.on('error', () => {})
  const packets = garbage()
  const began = performance.now()
  let sent = 0
  for (let passed = 0; passed < lasting; passed = performance.now() - began) {
    const due = (passed / 1000) * rate
    for (let i = 0; sent < due && i < BURST_MAX; i++, sent++) {
      const { host, port } = targets[sent % targets.length]!
      socket.send(packets[sent % packets.length]!, port, host)
    }
    await sleep(BURST_EVERY_MS)
  }
  const seconds = (performance.now() - began) / 1000
  await new Promise<void>((resolve) => socket.close(resolve))
  return { say: 'flooded', sent, seconds }
}

function say(message: FromFlooder): void {
  if (process.connected) process.send?.(message)
}

process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit(0))
process.on('message', (message) => {
  const { order } = message as ToFlooder
  flood(order).then(say, (error: unknown) =>
    say({ say: 'failed', message: error instanceof Error ? error.message : String(error) }),
  )
})
say({ say: 'ready' })
