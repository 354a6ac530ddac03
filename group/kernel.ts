/**
 * One process's part in its groups: it opens members over the rim (sockets, clock, metrics, log) and closes
 * them. Several kernels in one process are fine; so are several members of one group in one kernel.
 */
import type { Registry } from 'prom-client'
import { checkCallOptions } from '../kernel/checks.ts'
import { ErrorCode, GroupError, OpenError } from '../kernel/errors.ts'
import type { Address, MemberId, Micros, RoleName } from '../kernel/identity.ts'
import type { GroupParameters } from '../kernel/parameters.ts'
import type { GroupInspection, Output } from '../kernel/port.ts'
import { aborted, checkSignal, rejected } from './abort.ts'
import { ControlCalls } from './control-calls.ts'
import { toAgreed, toView, type View } from './deliveries.ts'
import { Group } from './group.ts'
import type { KeyChanges } from './key-changes.ts'
import { namingKeys, type Unread } from './key-hints.ts'
import type { Entered } from './life.ts'
import type { MemberPort, Observer, OutputHandler } from './member-port.ts'
import {
  type Authorize,
  type CheckedGroupOptions,
  checkGroupOptions,
  checkPort,
  type GroupOptions,
} from './options.ts'
import { namingUnresolved, type PeerNames, waitForNames } from './peer-names.ts'
import type { Rejoiner } from './rejoin.ts'

/** What a new member machine is told that the kernel does not know. */
export interface MemberSettings {
  readonly port: string
  readonly name: string | undefined
  readonly role: RoleName
  /** Shown to the program of who admits. */
  readonly token?: Uint8Array | undefined
  readonly authorize?: Authorize | undefined
  /** Set for a member that comes back: the addresses of those it was with, to be asked beside the peers. */
  readonly contacts?: readonly Address[]
  /** What the program has given of the group's parameters, to be compared with what they are. */
  readonly assumed?: Partial<GroupParameters>
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
  readonly keys: KeyChanges
  /** What was dropped until now because of a key. */
  readonly unread: Unread
  /** Names among the peers, whose answers take time; absent if there are none. */
  readonly names?: PeerNames | undefined
  /** A machine that asks about a port. */
  openInspector(port: string, onOutput: OutputHandler): Promise<Pick<MemberPort, 'call' | 'close'>>
  openMember(settings: MemberSettings, onOutput: OutputHandler): Promise<OpenedMember>
  /** Calls back after so many microseconds of its clock; returns how to call it off. Keeps the process alive. */
  after(micros: Micros, callback: () => void): () => void
  close(): Promise<void>
}

/** What a group tells about itself to one who asks from outside. */
export interface GroupReport extends Omit<GroupInspection, 'view' | 'settings' | 'newestKeys'> {
  readonly view: View
  /** Of the wire format: what members write. */
  readonly wireVersion: number
  /** The group key that members seal with: 8 hexadecimal digits; undefined without one. */
  readonly keyId: string | undefined
  /** What each member is able to, as far as the sequencer has heard: the group changes when all are. */
  readonly abilities: readonly MemberAbilities[]
  /** Messages that the history can hold. */
  readonly historySize: number
}

export interface MemberAbilities {
  readonly id: MemberId
  /** Versions of the wire format that it reads and writes, both included. */
  readonly lowestVersion: number
  readonly highestVersion: number
  /** The first key of its key file; undefined without keys. */
  readonly newestKey: string | undefined
}

type How = 'create' | 'join' | 'joinOrCreate'

const JOIN_TRIES = 8
const JOIN_AGAIN_AFTER: Micros = 50_000

/** A member that is creating or joining: neither in a group yet nor refused. */
interface Opening {
  readonly controls: ControlCalls
}

export class Kernel implements AsyncDisposable {
  private readonly rim: Rim
  /** BOUNDED by what the program opens. */
  private readonly groups = new Set<
    AsyncDisposable & { abandon(reason: string): void; noteKeyRefused(reason: string): void }
  >()
  private readonly openings = new Set<Opening>()
  private readonly attempts = new Set<Promise<unknown>>()
  private closing: Promise<void> | undefined

  /** For startKernel and the test network, which make the rim. */
  constructor(rim: Rim) {
    this.rim = rim
    rim.keys.onRefused = ({ message }) => {
      for (const group of this.groups) group.noteKeyRefused(message)
    }
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
   * (paper: CreateGroup). ERR_GROUP_EXISTS if a group of that port answers; ERR_NOT_AUTHORIZED if this process holds a
   * token for less than every right; ERR_INVALID_ARGUMENT names a bad option; ERR_ABORTED if the signal fires first; ERR_GROUP_CLOSED if the kernel is closed.
   */
  createGroup<T = unknown>(port: string, options?: GroupOptions<T>): Promise<Group<T>> {
    return this.open('createGroup', 'create', port, options)
  }

  /**
   * Joins the group `port` (paper: JoinGroup); the first delivery is the event after the own join. The group's
   * own parameters hold, whatever `options` say of them. ERR_GROUP_NOT_FOUND if nobody answers,
   * ERR_GROUP_FULL; ERR_GROUP_BUSY if it is alive and takes no joiner for half a minute (two with 'wan'), or does not decide
   * about this one; ERR_INCOMPATIBLE; ERR_NOT_AUTHORIZED if key or token is not the group's, or its `authorize` function
   * refuses; ERR_MEMBER_FAILED if its sequencer does not answer, if it waits for members that do not, or if crashes have
   * undone the join again and again; else as createGroup. Names among the peers that do not resolve are waited for
   * (`dnsWaitMs`), and named by the error.
   */
  joinGroup<T = unknown>(port: string, options?: GroupOptions<T>): Promise<Group<T>> {
    return this.open('joinGroup', 'join', port, options)
  }

  /**
   * Joins the group `port` if it lives, else creates it; of several that try at once one creates (design 4.8). Who holds a
   * token for less than every right joins only, and counts for no `minStarters`; ERR_NOT_AUTHORIZED if there is no group.
   */
  joinOrCreateGroup<T = unknown>(port: string, options?: GroupOptions<T>): Promise<Group<T>> {
    return this.open('joinOrCreateGroup', 'joinOrCreate', port, options)
  }

  /**
   * Asks a group about itself from outside: view, seqs, history and lags, as its sequencer knows them.
   * ERR_GROUP_NOT_FOUND if nobody answers; ERR_MEMBER_FAILED if somebody does, and the sequencer does not: the group is about
   * to be rebuilt, or stands still; ERR_ABORTED if the signal fires first.
   */
  async inspectGroup(port: string, options: { readonly signal?: AbortSignal } = {}): Promise<GroupReport> {
    checkPort(port)
    checkCallOptions('inspectGroup', options, ['signal'])
    const { signal } = options
    checkSignal(signal)
    if (signal?.aborted) throw aborted(signal)
    if (this.closing !== undefined) throw closedKernel()
    return this.withPeers(port, signal, () => this.inspect(port, signal))
  }

  /**
   * Takes over other group keys while the groups go on: `key` as for startKernel, the newest first. A group changes to the
   * first one as soon as all its members have it first, and tells so by its event `key`; until then, and after it until
   * every member has heard of the change, it needs the one before. False if these are the keys held already.
   *
   * ERR_INVALID_ARGUMENT if the keys are no keys, or with them one is taken away that a group still needs (the message says
   * which group, and whom it waits for), or if they give other rights, or if the kernel was started without a key, or with
   * keyFile (there the file says which keys are held: reloadKeys). The keys then stay as they were.
   */
  setKeys(key: string | readonly string[]): boolean {
    if (this.closing !== undefined) throw closedKernel()
    return this.rim.keys.set(key)
  }

  /**
   * Reads the key file that the kernel was started with again, now. As setKeys, but for a key that is gone from the file and
   * that a group still needs: it is held on to, the others are taken over, and the error says so. (With more than 8 keys
   * together nothing is taken over.)
   */
  reloadKeys(): boolean {
    if (this.closing !== undefined) throw closedKernel()
    return this.rim.keys.reload()
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
      const report = toReport(await controls.start<GroupInspection>(begin, signal))
      // a group of this very process answers within the turn: a program that asks in a loop would let nothing else run
      await new Promise(setImmediate)
      return report
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
    const { unread, names } = this.rim
    try {
      return await (names === undefined ? run() : this.withNames(names, port, signal, run))
    } catch (error) {
      throw namingKeys(error, unread, this.rim.unread)
    }
  }

  private async withNames<R>(
    names: PeerNames,
    port: string,
    signal: AbortSignal | undefined,
    run: () => Promise<R>,
  ): Promise<R> {
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
    const { codec, copy } = options
    const rejoiner = options.rejoin ? this.rejoinerFor(port, options) : undefined
    let group: Group<T> | undefined
    const onEntered = (entered: Entered): OutputHandler => {
      const opened = new Group<T>({ ...entered, codec, copy, rejoiner })
      group = opened
      this.groups.add(opened)
      void opened.closed.then(() => this.groups.delete(opened))
      return opened.handler
    }
    for (let tries = 1; group === undefined; tries++) {
      try {
        await this.enter(how, port, options, options.signal, onEntered)
      } catch (error) {
        if (!isUndoneJoin(error) || tries === JOIN_TRIES) throw error
        await new Promise<void>((resolve) => this.rim.after(tries * JOIN_AGAIN_AFTER, resolve))
        if (options.signal?.aborted) throw aborted(options.signal)
      }
    }
    return group
  }

  /** Joins only, whatever the group was opened by: who comes back must not make a second group. */
  private rejoinerFor(port: string, options: CheckedGroupOptions<unknown>): Rejoiner {
    return {
      attempt: (contacts, signal, entered) => {
        if (this.closing !== undefined) return rejected(closedKernel())
        this.rim.keys.refresh()
        return this.withPeers(port, signal, () =>
          this.enter('join', port, options, signal, entered, contacts),
        )
      },
      waitsForKey: ({ message }) => this.rim.keys.noteMissing(port, message),
      after: (micros, callback) => this.rim.after(micros, callback),
    }
  }

  /** Opens a machine; `onEntered` is called in the very step that joins, so that nothing that follows is missed. */
  private async enter(
    how: How,
    port: string,
    {
      parameters,
      assumed,
      header,
      memberName: name,
      minStarters,
      role,
      token,
      authorize,
    }: CheckedGroupOptions<unknown>,
    signal: AbortSignal | undefined,
    onEntered: (entered: Entered) => OutputHandler,
    contacts?: readonly Address[],
  ): Promise<void> {
    let handler: OutputHandler | undefined
    const settings = {
      port,
      name,
      role,
      token,
      authorize,
      assumed,
      ...(contacts === undefined ? {} : { contacts }),
    }
    const member = await this.rim.openMember(settings, (output) => {
      if (handler !== undefined) {
        handler(output)
      } else if (output.output === 'joined') {
        this.openings.delete(opening)
        handler = onEntered({ ...member, controls, joined: output })
        controls.answer(output.token, undefined)
      } else {
        noteRefusal(controls, output)
      }
    })
    const machine = member.port
    const controls = new ControlCalls((token) => machine.call({ call: 'cancel', token }))
    const opening = { controls }
    try {
      if (this.closing !== undefined) throw closedKernel()
      this.openings.add(opening)
      const begin = (token: number): void =>
        machine.call({ call: 'open', token, how, port, parameters, header, minStarters })
      await controls.start<void>(begin, signal)
    } catch (error) {
      // Where it had asked already, what the group sends it is answered with `gone`: no ghost stays behind.
      machine.close()
      throw error
    } finally {
      this.openings.delete(opening)
    }
  }
}

function toReport({ view, parameters, settings, newestKeys, ...rest }: GroupInspection): GroupReport {
  const keyOf = new Map(newestKeys.map(({ id, keyId }) => [id, keyId]))
  const abilities = view.members.map(({ id, versions }) => ({
    id,
    lowestVersion: versions.lowest,
    highestVersion: versions.highest,
    newestKey: toAgreed({ version: 1, keyId: keyOf.get(id) ?? 0 }).keyId,
  }))
  const { historySize } = parameters
  return { ...rest, view: toView(view), parameters, historySize, ...toAgreed(settings), abilities }
}

/** A crash has undone the join before it was done: another life asks again (design 4.4). */
function isUndoneJoin(error: unknown): boolean {
  const isUndone = error instanceof GroupError && error.code === ErrorCode.memberFailed
  return isUndone && !(error instanceof OpenError)
}

/** What the machine says while its open call waits, other than `joined`. */
function noteRefusal(controls: ControlCalls, output: Output): void {
  if (output.output === 'failed') {
    const { code, message, outcome, openFailure } = output
    const error =
      openFailure === undefined
        ? new GroupError(code, message, { outcome })
        : new OpenError(code, message, openFailure)
    controls.fail(output.token, error)
  } else if (output.output === 'event' && output.event.event === 'closed') {
    const { code = ErrorCode.closed, reason } = output.event
    controls.end(new GroupError(code, reason))
  }
}

function closedKernel(): GroupError {
  return new GroupError(ErrorCode.closed, 'this kernel is closed; start another')
}
