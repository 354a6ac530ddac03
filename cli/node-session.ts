/**
 * A member's life on the command line, from `ready` to the end: lines in, deliveries out, events beside them.
 * Three things run side by side: the sender (with a bounded number of lines on their way), the receiver (which
 * waits for a slow reader of standard output), and the wait for the reason to leave.
 */
import type { Delivery, Group } from '../group/index.ts'
import { GroupError } from '../kernel/errors.ts'
import { parameterLimits } from '../kernel/parameters.ts'
import type { CommandContext } from './command.ts'
import { CommandError, describeError, ExitStatus } from './errors.ts'
import { readLines } from './lines.ts'
import { bodyText, jsonBody } from './output.ts'

/** Lines that are on their way at any time, and their characters; more wait in the pipe. */
const MAX_OUTSTANDING = 1024
const MAX_OUTSTANDING_CHARACTERS = 4 * 1024 * 1024

interface Line {
  readonly number: number
  readonly text: string
}

export class NodeSession {
  private readonly context: CommandContext
  private readonly group: Group<unknown>
  private readonly stay: boolean
  private readonly comesBack: boolean
  private readonly whenDone: Promise<void>
  private done: () => void = () => {}
  /** Messages still to be printed; undefined if there is no --count. */
  private left: number | undefined
  private isDone = false
  private isLeaving = false
  private outstanding = 0
  private outstandingCharacters = 0
  private lastOwnSeq = 0
  private deliveredSeq = 0
  /** Expelled, and on the way back: nothing can be sent. */
  private isOut = false
  /** The group has come back, and what is delivered until the mark of it is still of the former life. */
  private isBehindMark = false
  /** Refused because this process was behind with printing, or out of the group: they go out again, in order. */
  private again: Line[] = []
  private failure: string | undefined
  private readonly wakeups = new Set<() => void>()

  constructor(context: CommandContext, group: Group<unknown>) {
    this.context = context
    this.group = group
    this.left = context.options.whole('count')
    // A count says when to leave: the end of input does not.
    this.stay = context.options.flag('stay') || this.left !== undefined
    this.comesBack = context.options.flag('rejoin')
    this.whenDone = new Promise((resolve) => {
      this.done = resolve
    })
  }

  /** `metrics` is where this process serves its metrics, if it does. */
  async run(metrics?: string): Promise<number> {
    const { stop } = this.context
    this.announce(metrics)
    const onStop = (): void => this.finish()
    stop.signal.addEventListener('abort', onStop, { once: true })
    if (stop.signal.aborted) this.finish()
    const receiving = this.receive().catch((error: unknown) => this.fail(describeError(error)))
    const sending = this.send().catch((error: unknown) => this.fail(describeError(error)))
    await this.whenDone
    // The sends on their way are waited for, unless Ctrl-C says not to.
    while (this.outstanding > 0 && !stop.signal.aborted) await this.change()
    this.isLeaving = true
    // A member that was lost cannot leave; why it was lost is what people must hear.
    await this.group.leaveGroup().catch((error: unknown) => this.fail(describeError(error)))
    process.stdin.destroy()
    await Promise.all([receiving, sending])
    stop.signal.removeEventListener('abort', onStop)
    if (this.failure !== undefined) throw new CommandError(this.failure)
    return ExitStatus.success
  }

  private announce(metrics: string | undefined): void {
    const { output, isJson } = this.context
    const { memberId, view } = this.group
    this.deliveredSeq = view.seq
    const { sequencer, members, incarnation, coordinator, seq, groupId } = view
    const address = members.find(({ id }) => id === memberId)?.address ?? ''
    if (isJson) {
      output.json({
        event: 'ready',
        memberId,
        sequencer,
        members,
        incarnation,
        seq,
        address,
        coordinator,
        groupId,
        ...(metrics === undefined ? {} : { metrics }),
      })
    } else {
      this.notice(`member ${memberId} of ${members.length}, sequencer ${sequencer}, at ${address}`)
    }
    this.group.on('suspect', (event) =>
      this.event('suspect', event, `member ${event.member} is suspected: ${event.reason}`),
    )
    this.group.on('stopped', (event) =>
      this.event('stopped', event, `the group stands still: ${event.reason}`),
    )
    this.group.on('slow', (event) =>
      this.event('slow', event, `member ${event.member} is ${event.lagMessages} messages behind`),
    )
    this.group.on('key', (event) =>
      this.event('key', event, `${event.seq}: the group seals with the key ${event.keyId}`),
    )
    this.group.on('keyRefused', (event) =>
      this.event('keyRefused', event, `the keys held are others than those in the key file: ${event.reason}`),
    )
    this.group.on('version', (event) =>
      this.event('version', event, `${event.seq}: the group writes wire version ${event.wireVersion}`),
    )
    this.group.on('split', (event) => {
      const other =
        event.groupId === undefined
          ? `incarnation ${event.incarnation} of member ${event.coordinator}`
          : `group ${event.groupId}, of which ${event.address} is a member`
      this.event('split', event, `there is another group on this port, ${other}`)
    })
    this.group.on('expelled', (event) => {
      this.isOut = true
      this.event('expelled', event, `expelled: ${event.reason}`)
    })
    this.group.on('rejoined', () => {
      this.isOut = false
      // Places of the former life say nothing about those of the new one.
      this.isBehindMark = true
      this.lastOwnSeq = this.deliveredSeq = 0
      this.changed()
    })
    this.group.on('closed', ({ code, reason }) => {
      if (code !== undefined && !this.isLeaving) this.fail(`${reason} [${code}]`)
      this.finish()
    })
  }

  private event(name: string, fields: object, text: string): void {
    if (this.context.isJson) this.context.output.json({ event: name, ...fields })
    else this.notice(text)
  }

  private async receive(): Promise<void> {
    const { output } = this.context
    for await (const delivery of this.group) {
      // After the last of --count, what follows is taken and not printed: the group must not wait for us.
      if (this.left !== 0) this.print(delivery)
      if (delivery.kind === 'rejoin' && delivery.sender === this.group.memberId) this.isBehindMark = false
      if (!this.isBehindMark) this.deliveredSeq = delivery.seq
      if (delivery.kind === 'message' && this.left !== undefined && this.left > 0 && --this.left === 0)
        this.finish()
      if (this.lastOwnSeq > 0) this.changed()
      if (output.isBehind) {
        await output.ready()
        this.changed()
      }
    }
    this.finish()
  }

  private print(delivery: Delivery<unknown>): void {
    const { output, isJson } = this.context
    const { seq, kind, sender, view } = delivery
    const { incarnation } = view
    if (kind === 'message') {
      if (!isJson) output.line(`${seq} ${sender} ${bodyText(delivery.body)}`)
      else if (delivery.error === undefined) {
        output.json({ event: 'delivery', seq, kind, sender, incarnation, body: jsonBody(delivery.body) })
      } else {
        const error = delivery.error.message
        output.json({ event: 'delivery', seq, kind, sender, incarnation, body: null, error })
      }
      return
    }
    if (kind === 'rejoin') {
      const { missedFrom } = delivery
      if (isJson) output.json({ event: 'rejoined', memberId: sender, missedFrom, ...view })
      else this.notice(`${seq}: back as member ${sender}; what came after ${missedFrom} is missed`)
      return
    }
    if (!isJson) {
      this.notice(
        `${seq}: ${kind} of member ${sender}, now ${view.members.length} members, sequencer ${view.sequencer}`,
      )
      return
    }
    const reset = kind === 'reset' ? { removed: delivery.removed, lossPossible: delivery.lossPossible } : {}
    output.json({ event: 'delivery', seq, kind, sender, incarnation, body: null, ...reset })
    output.json({ event: 'view', ...view })
  }

  private async send(): Promise<void> {
    let number = 0
    try {
      for await (const text of readLines(process.stdin, parameterLimits.maxMessageSize)) {
        if (!(await this.hasRoom())) return
        this.start({ number: ++number, text })
      }
    } catch (error) {
      // The rest of the input cannot be read; what came before it is still sent.
      if (!this.isDone) this.failure ??= describeInputError(error)
    }
    await this.allOrdered()
    if (!this.stay || this.failure !== undefined) this.finish()
  }

  /** Waits until another line may go out; false if none may any more. */
  private async hasRoom(): Promise<boolean> {
    const { output } = this.context
    for (;;) {
      if (this.isDone) return false
      const isFull =
        this.outstanding >= MAX_OUTSTANDING || this.outstandingCharacters >= MAX_OUTSTANDING_CHARACTERS
      // A reader that is behind holds up the whole group: this member does not add to it.
      if (!isFull && !this.isOut && !output.isBehind && this.again.length === 0) return true
      await this.change()
    }
  }

  /** Waits until every line read is ordered and has come back. */
  private async allOrdered(): Promise<void> {
    while (
      !this.isDone &&
      (this.outstanding > 0 || this.again.length > 0 || this.deliveredSeq < this.lastOwnSeq)
    ) {
      await this.change()
    }
  }

  private get maySendAgain(): boolean {
    return this.again.length > 0 && this.outstanding === 0 && !this.isOut && !this.context.output.isBehind
  }

  private sendAgain(): void {
    const lines = this.again.sort((a, b) => a.number - b.number)
    this.again = []
    for (const line of lines) this.start(line)
  }

  private start(line: Line): void {
    this.outstanding++
    this.outstandingCharacters += line.text.length
    this.group
      .sendToGroup(line.text)
      .then(
        (seq) => {
          this.lastOwnSeq = Math.max(this.lastOwnSeq, seq)
          if (this.context.isJson) this.context.output.json({ event: 'sent', line: line.number, seq })
        },
        (error: unknown) => this.notSent(line, error),
      )
      .finally(() => {
        this.outstanding--
        this.outstandingCharacters -= line.text.length
        this.changed()
      })
  }

  private notSent(line: Line, error: unknown): void {
    const { output, isJson } = this.context
    const isGroupError = error instanceof GroupError
    const code = isGroupError ? error.code : undefined
    const isRefused = isGroupError && error.outcome === 'refused'
    const isExpulsion = code === 'ERR_EXPELLED' && this.comesBack
    if (isRefused && (code === 'ERR_WOULD_BLOCK' || isExpulsion) && !this.isDone) {
      this.again.push(line)
      return
    }
    // What may have been ordered is never sent again: it would be there twice.
    const event = isRefused ? 'refused' : 'unknown'
    if (isJson) output.json({ event, line: line.number, code })
    else if (isExpulsion && !isRefused)
      this.notice(`line ${line.number}: nobody knows whether it was ordered`)
    if (isExpulsion) return
    const why = `line ${line.number}: ${describeError(error)}`
    // who leaves a group that has stopped leaves its lines behind, and has to hear of the first of them
    if (this.isLeaving) this.failure ??= why
    else this.fail(why)
  }

  private fail(why: string): void {
    this.failure ??= why
    this.finish()
  }

  private finish(): void {
    this.isDone = true
    this.done()
    this.changed()
  }

  /** Resolves at the next change of anything that somebody here waits for. */
  private change(): Promise<void> {
    return new Promise((resolve) => this.wakeups.add(resolve))
  }

  private changed(): void {
    // No more input may come that would take them along.
    if (this.maySendAgain && !this.isDone) this.sendAgain()
    if (this.wakeups.size === 0) return
    const wakeups = [...this.wakeups]
    this.wakeups.clear()
    for (const wake of wakeups) wake()
  }

  private notice(text: string): void {
    process.stderr.write(`amoebacast: ${text}\n`)
  }
}

function describeInputError(error: unknown): string {
  return `standard input: ${error instanceof Error ? error.message : String(error)}`
}
