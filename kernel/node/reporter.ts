/**
 * Sees everything that one machine is told and says, and tells people and tools about it: the log, and the
 * diagnostics channels. Nothing is logged, and without listeners nothing is made, for a message.
 */
import { Channel, RecordReader } from '../block.ts'
import type { MemberId, Micros, Nonce } from '../identity.ts'
import type { Call, OrderedEvent, Output } from '../port.ts'
import { keyText, type Settings } from '../settings.ts'
import type { TraceEvent } from '../trace.ts'
import type { View } from '../view.ts'
import type { Clock } from './clock.ts'
import { channels, describeView, type ResetPhase, type ViewMessage } from './diagnostics.ts'
import { type Log, logOutput, logResetPhase, logTrace } from './log.ts'

/** Marks of the machine (kernel/trace.ts) that are turns of a reset. */
const resetPhases: Readonly<Record<string, ResetPhase>> = {
  inviting: 'inviting',
  voted: 'voted',
  collecting: 'collecting',
  proposing: 'proposing',
  result: 'following',
  'attempt-failed': 'failed',
  'too-few': 'stopped',
  resumed: 'done',
}

export class Reporter {
  private readonly log: Log
  private readonly group: string
  private readonly nonce: Nonce
  private readonly clock: Clock
  private memberId: MemberId = 0
  /** The first sign of the reset that goes on. */
  private resetSince: Micros | undefined
  /** An automatic group that is stopped tries again and again: people are told once. */
  private isStopTold = false

  constructor(parts: {
    readonly log: Log
    readonly group: string
    readonly nonce: Nonce
    readonly clock: Clock
  }) {
    this.group = parts.group
    this.nonce = parts.nonce
    this.clock = parts.clock
    this.log = parts.log.child({ group: parts.group })
  }

  /** The program calls the machine. */
  called(call: Call): void {
    if (!channels.send.hasSubscribers) return
    if (call.call === 'send') {
      const { token, header, body } = call
      channels.send.publish({ ...this.about(), state: 'called', token, header, bodies: [body] })
    } else if (call.call === 'sendMany') {
      const { token, bodies } = call
      channels.send.publish({ ...this.about(), state: 'called', token, header: NO_BYTES, bodies })
    }
  }

  /** The machine's output is about to be handed to its program. */
  saw(output: Output): void {
    logOutput(this.log, output)
    switch (output.output) {
      case 'deliveries':
        this.sawDeliveries(output.deliveries)
        return
      case 'sent':
        if (channels.send.hasSubscribers) {
          const { token, count, seq } = output
          channels.send.publish({ ...this.about(), state: 'ordered', token, count, seq })
        }
        return
      case 'failed':
        // tokens of other calls fall from -1 (group/control-calls.ts)
        if (output.token > 0 && channels.send.hasSubscribers) {
          const { token, code, outcome } = output
          channels.send.publish({ ...this.about(), state: 'failed', token, code, outcome })
        }
        return
      case 'joined':
        this.memberId = output.memberId
        this.tellView('entered', output.memberId, output.view)
        return
      case 'event':
        if (output.event.event === 'settings') this.tellSettings(output.event.settings)
        return
      default:
        return
    }
  }

  /** The machine tells of a turning point. */
  traced(event: TraceEvent): void {
    const { mark, detail } = event
    if (channels.trace.hasSubscribers) {
      channels.trace.publish({ at: this.clock(), port: this.group, nonce: this.nonce, ...event })
    }
    const phase = resetPhases[mark]
    if (phase === undefined) logTrace(this.log, event)
    else this.tellReset(phase, detail)
  }

  private sawDeliveries(deliveries: readonly OrderedEvent[]): void {
    const isHeard = channels.delivery.hasSubscribers
    for (const event of deliveries) {
      if (event.kind !== 'messages') this.tellView(event.kind, event.sender, event.view)
      else if (isHeard) this.tellMessages(event)
    }
  }

  private tellMessages({ seq, sender, block }: Extract<OrderedEvent, { kind: 'messages' }>): void {
    const reader = new RecordReader(block)
    let place = seq
    for (let record = reader.next(); record !== undefined; record = reader.next()) {
      const { channel, header, body } = record
      if (channel === Channel.program) {
        channels.delivery.publish({ ...this.about(), seq: place, sender, header, body })
      }
      place++
    }
  }

  private tellView(cause: ViewMessage['cause'], member: MemberId, view: View): void {
    if (!channels.view.hasSubscribers) return
    channels.view.publish({ ...this.about(), cause, member, view: describeView(view) })
  }

  private tellSettings({ seq, version, keyId }: Settings): void {
    if (!channels.settings.hasSubscribers) return
    const key = keyId === 0 ? undefined : keyText(keyId)
    channels.settings.publish({ ...this.about(), seq, version, keyId: key })
  }

  private tellReset(phase: ResetPhase, detail: TraceEvent['detail']): void {
    const now = this.clock()
    this.resetSince ??= now
    const micros = now - this.resetSince
    if (channels.reset.hasSubscribers) channels.reset.publish({ ...this.about(), phase, micros, detail })
    logResetPhase(this.log, phase, micros, detail, this.isStopTold)
    if (phase === 'stopped') this.isStopTold = true
    if (phase !== 'done') return
    this.resetSince = undefined
    this.isStopTold = false
  }

  private about() {
    return { group: this.group, memberId: this.memberId, nonce: this.nonce, at: this.clock() }
  }
}

const NO_BYTES = new Uint8Array(0)
