/**
 * One line for each packet, call, output and mark, with the virtual time in milliseconds. A run that nobody
 * looks at has none: a failed run is repeated with one, since it is a pure function of its seed.
 */
import type { Micros } from '../../kernel/identity.ts'
import { type PacketHeader, PacketKind, packetKindNames, readHeader } from '../../kernel/packet.ts'
import { readGap, readOrderHead, readRequestAck, readRequestBlocks } from '../../kernel/packets.ts'
import type { Call, OrderedEvent, Output } from '../../kernel/port.ts'
import type { View } from '../../kernel/view.ts'

export class Trace {
  /** BOUNDED by `keep`, oldest dropped. */
  readonly lines: string[] = []
  private readonly keep: number

  constructor(keep: number) {
    this.keep = keep
  }

  add(now: Micros, who: string, what: string): void {
    this.lines.push(`${(now / 1000).toFixed(3).padStart(12)} ${who.padEnd(6)} ${what}`)
    if (this.lines.length > 2 * this.keep) this.lines.splice(0, this.lines.length - this.keep)
  }

  last(): readonly string[] {
    return this.lines.slice(-this.keep)
  }
}

export function describePacket(bytes: Uint8Array): string {
  const header = readHeader(bytes, 1, 255)
  if (typeof header === 'string') return `${header} ${bytes.length} B`
  const kind = packetKindNames[header.kind] ?? header.kind
  return `${kind} ${bytes.length} B m${header.sender} has ${header.received}/${header.taken}${describeBody(bytes, header)}`
}

/** In whose attempt, or view, these say what they say; their bodies are the machines' own business. */
const OF_RECOVERY: ReadonlySet<number> = new Set([
  PacketKind.invite,
  PacketKind.refusal,
  PacketKind.inquiry,
  PacketKind.testimony,
  PacketKind.probe,
  PacketKind.probeAnswer,
  PacketKind.expelled,
])

function describeBody(bytes: Uint8Array, header: PacketHeader): string {
  const { kind, flags } = header
  if (OF_RECOVERY.has(kind)) {
    const { incarnation, coordinator } = header
    return ` in ${incarnation}.${coordinator}${flags === 0 ? '' : ` flags=${flags}`}`
  }
  if (kind === PacketKind.order || kind === PacketKind.repair) {
    const head = readOrderHead(bytes)
    if (head === undefined) return ' unreadable'
    const entries = head.entries === 0 ? '' : ` ${head.entries} from ${head.firstSeq}`
    const wants = `${flags === 0 ? '' : ' report'}${head.ackers === 0 ? '' : ` ackers=${head.ackers}`}`
    return `${entries} highest=${head.highest} accepted=${head.accepted} stable=${head.stable}${wants}`
  }
  if (kind === PacketKind.request) {
    const blocks = readRequestBlocks(bytes) ?? []
    return blocks.map(({ head }) => ` kind ${head.kind} requests ${head.firstRequest}+${head.count}`).join('')
  }
  if (kind === PacketKind.requestAck) return ` expected=${readRequestAck(bytes)}`
  if (kind === PacketKind.gap)
    return ` ${readGap(bytes)
      ?.ranges.map(({ from, to }) => `${from}-${to}`)
      .join(' ')}`
  return ''
}

export function describeCall(call: Call): string {
  switch (call.call) {
    case 'open':
      return `open ${call.how} "${call.port}"`
    case 'send':
      return `send #${call.token} ${call.header.length}+${call.body.length} B`
    case 'sendMany':
      return `sendMany #${call.token} to #${call.token + call.bodies.length - 1}`
    case 'cancel':
    case 'leave':
      return `${call.call} #${call.token}`
    case 'reset':
      return `reset #${call.token} at least ${call.minMembers}`
    case 'taken':
      return `taken ${call.seq}`
    default:
      return call.call
  }
}

export function describeOutput(output: Output): string {
  switch (output.output) {
    case 'joined':
      return `joined as m${output.memberId}, ${describeView(output.view)}`
    case 'sent':
      return `sent #${output.token}${output.count > 1 ? ` to #${output.token + output.count - 1}` : ''} at ${output.seq}`
    case 'failed':
      return `failed #${output.token} ${output.code} ${output.outcome ?? ''}: ${output.message}`
    case 'deliveries':
      return `delivers ${output.deliveries.map(describeEvent).join(', ')}`
    case 'reset':
      return `reset #${output.token} to ${output.size}`
    case 'event':
      return `event ${Object.values(output.event).join(' ')}`
    default:
      return output.output
  }
}

export function describeEvent(event: OrderedEvent): string {
  if (event.kind === 'messages') {
    const last = event.count > 1 ? `-${event.seq + event.count - 1}` : ''
    return `${event.seq}${last} from m${event.sender}`
  }
  const { kind, seq, sender, view } = event
  const rest =
    kind === 'reset'
      ? `${event.removed.length === 0 ? '' : ` without ${event.removed.map((id) => `m${id}`).join(' ')}`}${event.lossPossible ? ', loss possible' : ''}`
      : ''
  return `${seq} ${kind} of m${sender}, ${describeView(view)}${rest}`
}

export function describeView(view: View): string {
  const members = view.members.map(({ id }) => (id === view.sequencer ? `m${id}*` : `m${id}`)).join(' ')
  return `view ${view.incarnation}.${view.coordinator} at ${view.seq} [${members}]`
}
