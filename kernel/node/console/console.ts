/**
 * The console of one kernel: it takes a sample of every membership each second, listens to what they tell, and
 * makes the snapshot that the page is shown. It reads what metrics read, at the same cost: none for a message.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { hostname } from 'node:os'
import { TRACE_CHANNEL, type TraceMessage } from '../diagnostics.ts'
import { type ConsoleSource, Membership } from './membership.ts'
import type { EndedSnapshot, Snapshot } from './snapshot.ts'
import { TimeLine } from './time-line.ts'

/** Memberships shown; more are counted. */
export const GROUPS_MAX = 32
/** Memberships that are over and still shown, newest last. */
export const ENDED_MAX = 8
const SAMPLE_MS = 1_000

export interface MembershipNotes extends Pick<Membership, 'noteOutput' | 'sendAnswered'> {
  /** The machine is gone. Its story stays for a while, and goes on where the same member comes back. */
  remove(): void
}

interface Ended {
  readonly key: number
  readonly port: string
  readonly name: string
  readonly timeLine: TimeLine
}

export class Console {
  private readonly address: string
  /** BOUNDED by the memberships of this kernel; by nonce. */
  private readonly members = new Map<bigint, Membership>()
  /** BOUNDED by ENDED_MAX. */
  private readonly ended: Ended[] = []
  private readonly timer: NodeJS.Timeout
  private readonly began = Date.now()
  private sampledAt = performance.now()
  private nextKey = 1
  private onSample: (() => void) | undefined

  /** `address`: where unicast packets reach this kernel. */
  constructor(address: string) {
    this.address = address
    subscribe(TRACE_CHANNEL, this.onTrace)
    this.timer = setInterval(() => this.sample(), SAMPLE_MS)
    this.timer.unref()
  }

  /** Calls back after each sample; there is one such listener. */
  whenSampled(callback: () => void): void {
    this.onSample = callback
  }

  addMember(source: ConsoleSource): MembershipNotes {
    const { group: port, name } = source
    const at = this.ended.findIndex((one) => one.port === port && one.name === name)
    const former = at < 0 ? undefined : this.ended.splice(at, 1)[0]
    const member = new Membership(former?.key ?? this.nextKey++, source, former?.timeLine ?? new TimeLine())
    this.members.set(source.nonce, member)
    return {
      noteOutput: (output) => member.noteOutput(output),
      sendAnswered: (seconds) => member.sendAnswered(seconds),
      remove: () => {
        if (this.members.delete(source.nonce)) this.end(member, { port, name })
      },
    }
  }

  private end(member: Membership, { port, name }: Pick<Ended, 'port' | 'name'>): void {
    member.close()
    const { key, timeLine } = member
    // what never was in the group has no story
    if (timeLine.entries.length === 0) return
    this.ended.push({ key, port, name, timeLine })
    if (this.ended.length > ENDED_MAX) this.ended.shift()
  }

  /** Asks sequencers of other processes how far everybody is; for when somebody watches. */
  askForLags(): void {
    const now = Date.now()
    for (const member of this.shown()) member.askForLags(now)
  }

  snapshot(): Snapshot {
    const now = Date.now()
    return {
      at: now,
      node: {
        host: hostname(),
        pid: process.pid,
        address: this.address,
        upSeconds: Math.floor((now - this.began) / 1000),
      },
      groups: this.shown().map((member) => member.snapshot(now)),
      hiddenGroups: Math.max(0, this.members.size - GROUPS_MAX),
      ended: this.ended.map(
        ({ key, port, name, timeLine }): EndedSnapshot => ({ key, port, name, timeLine: timeLine.entries }),
      ),
    }
  }

  close(): void {
    clearInterval(this.timer)
    unsubscribe(TRACE_CHANNEL, this.onTrace)
    for (const member of this.members.values()) member.close()
  }

  private shown(): Membership[] {
    return [...this.members.values()].slice(0, GROUPS_MAX)
  }

  private sample(): void {
    const now = performance.now()
    const seconds = (now - this.sampledAt) / 1000
    this.sampledAt = now
    if (seconds <= 0) return
    for (const member of this.members.values()) member.sample(seconds)
    this.onSample?.()
  }

  /** Traces of all machines of this process come here; those of this kernel are known by their nonce. */
  private readonly onTrace = (message: unknown): void => {
    const trace = message as TraceMessage
    this.members.get(trace.nonce)?.noteTrace(trace)
  }
}
