/**
 * Member processes that send lines all the time, each line numbered, and what they print, with the time of it:
 * what a crash test looks at when it is over.
 */
import type { CliProcess, JsonEvent, Processes } from '../support/processes.ts'
import { type Place, startGroup } from './one-order.ts'

const FEED_EVERY_MS = 10
const LINES_AT_ONCE = 2
const FLOW_FIRST = 50

export class FedNode {
  readonly process: CliProcess
  readonly name: string
  /** Position in the group's list of hosts. */
  readonly index: number
  /** Lines written to it: line N is `NAME N`. */
  written = 0
  /** When so many lines of its output had arrived here. */
  private readonly arrivals: { readonly lines: number; readonly at: number }[] = []
  private timer: NodeJS.Timeout | undefined

  constructor(process: CliProcess, index: number) {
    this.process = process
    this.name = process.name
    this.index = index
    process.child.stdout!.on('data', () => {
      this.arrivals.push({ lines: process.lines.length, at: performance.now() })
    })
  }

  /** Of its first life. */
  get memberId(): number {
    return Number(JSON.parse(this.process.lines[0]!).memberId)
  }

  get incarnation(): number {
    return Number(JSON.parse(this.process.lines[0]!).incarnation)
  }

  get deliveries(): JsonEvent[] {
    return this.process.events.filter(({ event }) => event === 'delivery')
  }

  feed(): void {
    const stdin = this.process.child.stdin!
    this.timer = setInterval(() => {
      // One that stands still is not buried under lines.
      for (let i = 0; i < LINES_AT_ONCE && !stdin.writableNeedDrain; i++) {
        stdin.write(`${this.name} ${++this.written}\n`)
      }
    }, FEED_EVERY_MS)
  }

  stopFeeding(): void {
    clearInterval(this.timer)
  }

  /** Resolves when so many more lines are sent than were when this was called. */
  async hasSent(more: number): Promise<void> {
    const { lines } = this.process
    let looked = lines.length
    let sent = 0
    await this.process.waitUntil(`${more} more lines are sent`, () => {
      for (; looked < lines.length; looked++) if (lines[looked]!.startsWith('{"event":"sent"')) sent++
      return sent >= more
    })
  }

  /** Resolves when every line written to it has ended, as sent or as one of which nobody knows. */
  async allEnded(): Promise<void> {
    let looked = 0
    let ended = 0
    await this.process.waitUntil(`the end of all ${this.written} lines`, () => {
      const { lines } = this.process
      for (; looked < lines.length; looked++) {
        if (/^\{"event":"(sent|unknown|refused)"/.test(lines[looked]!)) ended++
      }
      return ended >= this.written
    })
  }

  /** When it printed its first message under an incarnation above `incarnation`; milliseconds as performance.now(). */
  firstMessageAbove(incarnation: number): number | undefined {
    const found = this.process.events.findIndex(
      (event) => isMessage(event) && Number(event.incarnation) > incarnation,
    )
    return found < 0 ? undefined : this.arrivals.find(({ lines }) => lines > found)?.at
  }
}

export function isMessage({ event, kind }: JsonEvent): boolean {
  return event === 'delivery' && kind === 'message'
}

export function isReset({ event, kind }: JsonEvent): boolean {
  return event === 'delivery' && kind === 'reset'
}

/** Resolves when each of them has delivered everything that any of them was told to be sent. */
export async function allDelivered(nodes: readonly FedNode[]): Promise<void> {
  const sent = nodes.flatMap(({ process }) => process.events.filter(({ event }) => event === 'sent'))
  const last = Math.max(...sent.map(({ seq }) => Number(seq)))
  const isThere = ({ event, seq }: JsonEvent): boolean => event === 'delivery' && Number(seq) >= last
  await Promise.all(nodes.map(({ process }) => process.waitForEvent(`seq ${last}`, isThere)))
}

/** A group with a member at each place, lines flowing from all; the first is the sequencer, the rest by member id. */
export async function startFedGroup(
  processes: Processes,
  port: string,
  places: readonly Place[],
  common: readonly string[],
): Promise<FedNode[]> {
  const started = await startGroup(processes, port, places, common)
  const nodes = started.map((process, i) => new FedNode(process, i)).sort((a, b) => a.memberId - b.memberId)
  for (const node of nodes) node.feed()
  // Everybody is heard by everybody before anything happens.
  await Promise.all(nodes.map((node) => node.hasSent(FLOW_FIRST)))
  return nodes
}
