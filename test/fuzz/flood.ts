/**
 * `node dist/test/fuzz/flood.js [--rate N] [--seconds S]`: a group of three processes at work on this machine, with and
 * without a flood of garbage at the port of each; how fast it goes, and whether anybody was suspected. Loopback only.
 */
import { fork } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const BURST_MS = 2
const KINDS_OF_GARBAGE = 64

interface Word {
  readonly word: 'ready' | 'rate'
  readonly address?: string
  readonly messages?: number
  readonly suspicions?: number
  readonly rejected?: number
}

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '3' },
    size: { type: 'string', default: '1024' },
  },
})
const rate = Math.min(100_000, Number(values.rate))
const seconds = Math.min(3, Number(values.seconds))
const member = fileURLToPath(new URL('./flood-member.js', import.meta.url))
const port = `flood-${process.pid}`

/** Short and long, with the first byte of a packet and without, so that each check has something to do. */
function garbage(): Uint8Array[] {
  return Array.from({ length: KINDS_OF_GARBAGE }, (_, i) => {
    const bytes = new Uint8Array(20 + 20 * i).map((_, at) => (at * 31 + i * 17) & 0xff)
    if (i % 2 === 0) bytes.set([0xa3, 1, 1 + (i % 27)])
    return bytes
  })
}

/** Sends up to `rate` a second for so many seconds, shared among the addresses; gives how many went out. */
async function flood(addresses: readonly string[]): Promise<number> {
  const socket = createSocket('udp4')
  const packets = garbage()
  const targets = addresses.map((address) => address.split(':'))
  const began = performance.now()
  let sent = 0
  while (performance.now() - began < 1000 * seconds) {
    const due = Math.min(rate * seconds, ((performance.now() - began) / 1000) * rate)
    for (let i = 0; sent < due && i < 1000; i++, sent++) {
      const [host, number] = targets[sent % targets.length]!
      socket.send(packets[sent % packets.length]!, Number(number), host)
    }
    await new Promise((resolve) => setTimeout(resolve, BURST_MS))
  }
  await new Promise<void>((resolve) => socket.close(resolve))
  return sent
}

function start(): { next(word: Word['word']): Promise<Word>; measure(): void; end(): void } {
  const child = fork(member, [port, values.size], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const waiting: ((word: Word) => void)[] = []
  const heard: Word[] = []
  child.on('message', (word: Word) => {
    const first = waiting.shift()
    if (first === undefined) heard.push(word)
    else first(word)
  })
  return {
    next: () => {
      const word = heard.shift()
      return word === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(word)
    },
    measure: () => child.send({ milliseconds: 1000 * seconds }),
    end: () => child.kill(),
  }
}

const members = [start(), start(), start()]
try {
  const addresses: string[] = []
  for (const one of members) addresses.push((await one.next('ready')).address!)
  const rates: number[] = []
  for (const isFlooded of [false, true, false, true]) {
    for (const one of members) one.measure()
    const sent = isFlooded ? await flood(addresses) : 0
    const words = await Promise.all(members.map((one) => one.next('rate')))
    const messages = words[0]!.messages! / seconds
    rates.push(messages)
    const suspicions = words.reduce((sum, { suspicions = 0 }) => sum + suspicions, 0)
    const rejected = words.reduce((sum, { rejected = 0 }) => sum + rejected, 0)
    const garbageRate = Math.round(sent / seconds)
    console.log(
      `${isFlooded ? 'flooded' : 'quiet'}: ${Math.round(messages)} messages/s at each member; garbage ${garbageRate}/s sent, ${rejected} rejected; suspicions ${suspicions}`,
    )
  }
  const share = 1 - (rates[1]! + rates[3]!) / (rates[0]! + rates[2]!)
  console.log(`the flood costs ${(100 * share).toFixed(0)} % of the rate`)
} finally {
  for (const one of members) one.end()
}
