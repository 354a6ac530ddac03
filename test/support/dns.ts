/**
 * A DNS server of a test's own, on loopback: it knows the names that it was told, says that there is no such
 * name (NXDOMAIN) of all others, and stays silent about some. It reads the one question of a packet and knows
 * A and AAAA, which is all that looking for peers asks (RFC 1035, section 4; RFC 3596).
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { isIPv4 } from 'node:net'

const HEADER_BYTES = 12
const TYPE_A = 1
const TYPE_AAAA = 28
const CLASS_IN = 1
/** An answer that recursion made: QR, RD and RA. */
const ANSWER_FLAGS = 0x8180
const NAME_ERROR = 3

export interface DnsQuestion {
  readonly name: string
  readonly type: number
}

export class DnsServer implements AsyncDisposable {
  /** All that was asked, in order. */
  readonly questions: DnsQuestion[] = []
  private readonly socket: Socket
  private readonly names = new Map<string, readonly string[]>()
  private readonly silent = new Map<string, 'all' | 'AAAA'>()
  private watchers: (() => void)[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('message', (packet, from) => this.answer(packet, from))
  }

  static async start(): Promise<DnsServer> {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    return new DnsServer(socket)
  }

  /** `host:port`, for `dnsServers`. */
  get address(): string {
    return `127.0.0.1:${this.socket.address().port}`
  }

  /** From now on the name has these addresses, IPv4 and IPv6; none at all is a name without records. */
  say(name: string, addresses: readonly string[]): void {
    this.names.set(name, addresses)
  }

  /** From now on questions for the name are not answered; or only those for IPv6 addresses. */
  ignore(name: string, which: 'all' | 'AAAA' = 'all'): void {
    this.silent.set(name, which)
  }

  /** Resolves when the name was asked for so many times more than by now, A and AAAA each counted. */
  async waitForQuestions(name: string, count = 1): Promise<void> {
    const asked = (): number => this.questions.filter((question) => question.name === name).length
    const enough = asked() + count
    while (asked() < enough) await new Promise<void>((resolve) => this.watchers.push(resolve))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return new Promise((resolve) => this.socket.close(() => resolve()))
  }

  private answer(packet: Buffer, from: RemoteInfo): void {
    const { name, type, end } = readQuestion(packet)
    this.questions.push({ name, type })
    for (const watcher of this.watchers.splice(0)) watcher()
    const ignored = this.silent.get(name)
    if (ignored === 'all' || (ignored === 'AAAA' && type === TYPE_AAAA)) return
    const known = this.names.get(name)
    const records = (known ?? [])
      .filter((address) => type === (isIPv4(address) ? TYPE_A : TYPE_AAAA))
      .map((address) => record(type, address))
    const header = Buffer.alloc(HEADER_BYTES)
    packet.copy(header, 0, 0, 2)
    header.writeUInt16BE(ANSWER_FLAGS | (known === undefined ? NAME_ERROR : 0), 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(records.length, 6)
    this.socket.send(
      Buffer.concat([header, packet.subarray(HEADER_BYTES, end), ...records]),
      from.port,
      from.address,
    )
  }
}

function readQuestion(packet: Buffer): DnsQuestion & { readonly end: number } {
  const labels: string[] = []
  let at = HEADER_BYTES
  for (let length = packet[at]!; length > 0; length = packet[at]!) {
    labels.push(packet.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: packet.readUInt16BE(at + 1), end: at + 5 }
}

/** With time to live 0, so that nobody keeps it, and the question's name by a pointer to it. */
function record(type: number, address: string): Buffer {
  const data = type === TYPE_A ? Buffer.from(address.split('.').map(Number)) : ipv6Bytes(address)
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc000 | HEADER_BYTES, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt16BE(CLASS_IN, 4)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

function ipv6Bytes(address: string): Buffer {
  const [before = [], after = []] = address
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''))
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  const bytes = Buffer.alloc(16)
  for (const [i, group] of [...before, ...zeros, ...after].entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * i)
  return bytes
}
