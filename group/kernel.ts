/**
 * One process's part in its groups: it opens members over the rim (sockets, clock, metrics, log) and closes
 * them. Several kernels in one process are fine; so are several members of one group in one kernel.
 */
import type { Registry } from 'prom-client'
import { ErrorCode, GroupError } from '../kernel/errors.ts'
import type { Address, RoleName } from '../kernel/identity.ts'
import type { GroupInspection, Output } from '../kernel/port.ts'
import { aborted, checkSignal } from './abort.ts'
import { ControlCalls } from './control-calls.ts'
import { toView, type View } from './deliveries.ts'
import { Group } from './group.ts'
import type { MemberPort, Observer, OutputHandler } from './member-port.ts'
import { type CheckedGroupOptions, checkGroupOptions, checkPort, type GroupOptions } from './options.ts'
import { namingUnresolved, type PeerNames, waitForNames } from './peer-names.ts'

/** What a new member machine is told that the kernel does not know. */
export interface MemberSettings {
  readonly port: string
  readonly name: string | undefined
  readonly role: RoleName
}

export interface OpenedMember {
  readonly port: MemberPort
  readonly observer: Observer
}

/** The impure side that a kernel stands on: UDP and the system's clock, or the test network's. */
export interface Rim {
  /** Where unicast packets reach this kernel. */
  readonly address: Address
  /** Where its metrics are registered. */
  readonly registry: Registry
  /** `host:port` of the metrics server, if there is one. */
  readonly metricsAddress: string | undefined
  /** Names among the peers, whose answers take time; absent if there are none. */
  readonly names?: PeerNames | undefined
  /** A machine that asks about a port. */
  openInspector(port: string, onOutput: OutputHandler): Promise<Pick<MemberPort, 'call' | 'close'>>
  openMember(settings: MemberSettings, onOutput: OutputHandler): Promise<OpenedMember>
  close(): Promise<void>
}

/** What a group tells about itself to one who asks from outside. */
export interface GroupReport extends Omit<GroupInspection, 'view'> {
  readonly view: View
  /** Messages that the history can hold. */
  readonly historySize: number
}

type How = 'create' | 'join' | 'joinOrCreate'

/** A member that is creating or joining: neither in a group yet nor refused. */
interface Opening {
  readonly controls: ControlCalls
}

type Joined = Extract<Output, { output: 'joined' }>

export class Kernel implements AsyncDisposable {
  private readonly rim: Rim
  /** BOUNDED by what the program opens. */
  private readonly groups = new Set<AsyncDisposable & { abandon(reason: string): void }>()
  private readonly openings = new Set<Opening>()
  private readonly attempts = new Set<Promise<unknown>>()
  private closing: Promise<void> | undefined

  /** For startKernel and the test network, which make the rim. */
  constructor(rim: Rim) {
    this.rim = rim
  }

  /** `host:port` where unicast packets reach this kernel. */
  get address(): Address {
    return this.rim.address
  }

  /** The prom-client registry with this kernel's metrics. */
  get registry(): Registry {
    return this.rim.registry
  }

  /** `host:port` of the HTTP server with /metrics, /healthz and /readyz; undefined without `metricsPort`. */
  get metricsAddress(): string | undefined {
    return this.rim.metricsAddress
  }

  /**
   * Creates the group `port` (1 to 255 bytes of UTF-8) with this process as its first member and sequencer
   * (paper: CreateGroup). ERR_GROUP_EXISTS if a group of that port answers; ERR_INVALID_ARGUMENT names a bad
   * option; ERR_ABORTED if the signal fires first; ERR_GROUP_CLOSED if the kernel is closed.
   */
  createGroup<T = unknown>(port: string, options?: GroupOptions<T>): Promise<Group<T>> {
    return this.open('createGroup', 'create', port, options)
  }

  /**
   * Joins the group `port` (paper: JoinGroup); the first delivery is the event after the own join. The group's
   * own parameters hold, whatever `options` say of them. ERR_GROUP_NOT_FOUND if nobody answers,
   * ERR_GROUP_FULL, ERR_INCOMPATIBLE, ERR_NOT_AUTHORIZED; else as createGroup. Names among the peers that do not
   * resolve are waited for (`dnsWaitMs`), and named by the error.
   */
  joinGroup<T = unknown>(port: string, options?: GroupOptions<T>): Promise<Group<T>> {
    return this.open('joinGroup', 'join', port, options)
  }

  /** Joins the group `port` if it lives, else creates it; of several that try at once one creates (design 4.8). */
  joinOrCreateGroup<T = unknown>(port: string, options?: GroupOptions<T>): Promise<Group<T>> {
    return this.open('joinOrCreateGroup', 'joinOrCreate', port, options)
  }

  /**
   * Asks a group about itself from outside: view, seqs, history and lags, as its sequencer knows them.
   * ERR_GROUP_NOT_FOUND if nobody answers; ERR_ABORTED if the signal fires first.
   */
  async inspectGroup(port: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<GroupReport> {
    checkPort(port)
    checkSignal(signal)
    if (signal?.aborted) throw aborted(signal)
    if (this.closing !== undefined) throw closedKernel()
    return this.withPeers(port, signal, () => this.inspect(port, signal))
  }

  /**
   * Leaves every group in order and closes the sockets. Calls that still wait to create or join fail with
   * ERR_GROUP_CLOSED. A second call gives the first one's promise.
   */
  close(): Promise<void> {
    this.closing ??= this.closeAll()
    return this.closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** For tests: ends every membership without a word to the others, as the death of the process would. */
  async abandon(reason: string): Promise<void> {
    this.closing ??= this.rim.close()
    for (const { controls } of this.openings) controls.end(closedKernel())
    for (const group of this.groups) group.abandon(reason)
    await this.closing
  }

  private async closeAll(): Promise<void> {
    for (const { controls } of this.openings) controls.end(closedKernel())
    await Promise.allSettled(this.attempts)
    await Promise.all([...this.groups].map((group) => group[Symbol.asyncDispose]()))
    await this.rim.close()
  }

  private async open<T>(
    caller: string,
    how: How,
    port: string,
    given: GroupOptions<T> | undefined,
  ): Promise<Group<T>> {
    checkPort(port)
    const options = checkGroupOptions<T>(caller, given)
    if (options.signal?.aborted) throw aborted(options.signal)
    if (this.closing !== undefined) throw closedKernel()
    const attempt = this.withPeers(port, options.signal, () => this.attempt(how, port, options))
    this.attempts.add(attempt)
    try {
      return await attempt
    } finally {
      this.attempts.delete(attempt)
    }
  }

  private async inspect(port: string, signal: AbortSignal | undefined): Promise<GroupReport> {
    const { call, close } = await this.rim.openInspector(port, (output) => {
      if (output.output === 'inspected') controls.answer(output.token, output.inspection)
      else noteRefusal(controls, output)
    })
    const controls = new ControlCalls((token) => call({ call: 'cancel', token }))
    const opening = { controls }
    this.openings.add(opening)
    try {
      const begin = (token: number): void => call({ call: 'inspect', token, port })
      const { view, parameters, ...rest } = await controls.start<GroupInspection>(begin, signal)
      return { ...rest, view: toView(view), parameters, historySize: parameters.historySize }
    } finally {
      this.openings.delete(opening)
      close()
    }
  }

  /** Runs what asks for the port once the names among the peers are answered, or the wait for them is over. */
  private async withPeers<R>(
    port: string,
    signal: AbortSignal | undefined,
    run: () => Promise<R>,
  ): Promise<R> {
    const { names } = this.rim
    if (names === undefined) return run()
    const release = names.watch.need()
    const controls = new ControlCalls((token) => controls.fail(token, aborted(signal!)))
    const opening = { controls }
    this.openings.add(opening)
    try {
      await waitForNames(names, controls, (probing) => this.inspect(port, probing), signal)
      return await run()
    } catch (error) {
      throw namingUnresolved(error, names)
    } finally {
      this.openings.delete(opening)
      release()
    }
  }

  private async attempt<T>(how: How, port: string, options: CheckedGroupOptions<T>): Promise<Group<T>> {
    const { parameters, header, signal, memberName: name, minStarters, role } = options
    let group: Group<T> | undefined
    const member = await this.rim.openMember({ port, name, role }, (output) => {
      // The group exists from the very step that joins, so that nothing which follows in it is missed.
      if (group !== undefined) group.handle(output)
      else if (output.output === 'joined') group = this.joined(member, opening, options, output)
      else noteRefusal(opening.controls, output)
    })
    const machine = member.port
    const opening = { controls: new ControlCalls((token) => machine.call({ call: 'cancel', token })) }
    try {
      if (this.closing !== undefined) throw closedKernel()
      this.openings.add(opening)
      const begin = (token: number): void =>
        machine.call({ call: 'open', token, how, port, parameters, header, minStarters })
      return await opening.controls.start<Group<T>>(begin, signal)
    } catch (error) {
      machine.close()
      throw error
    } finally {
      this.openings.delete(opening)
    }
  }

  private joined<T>(
    { port, observer }: OpenedMember,
    opening: Opening,
    { codec, copy }: CheckedGroupOptions<T>,
    joined: Joined,
  ): Group<T> {
    const { controls } = opening
    const group = new Group<T>({ port, observer, controls, codec, copy, joined })
    this.openings.delete(opening)
    this.groups.add(group)
    void group.closed.then(() => this.groups.delete(group))
    controls.answer(joined.token, group)
    return group
  }
}

/** What the machine says while its open call waits, other than `joined`. */
function noteRefusal(controls: ControlCalls, output: Output): void {
  if (output.output === 'failed') {
    controls.fail(output.token, new GroupError(output.code, output.message, { outcome: output.outcome }))
  } else if (output.output === 'event' && output.event.event === 'closed') {
    const { code = ErrorCode.closed, reason } = output.event
    controls.end(new GroupError(code, reason))
  }
}

function closedKernel(): GroupError {
  return new GroupError(ErrorCode.closed, 'this kernel is closed; start another')
}
