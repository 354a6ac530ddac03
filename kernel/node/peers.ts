/**
 * Where members may be found: literal addresses, and DNS names. A process often starts before the name that
 * will point at its peers exists, and pods come and go, so names are asked again: without an answer soon
 * (backoff), with one now and then, and both only while somebody needs peers (a group is being opened). A
 * kernel whose groups are open asks nobody.
 */
import { isIP } from 'node:net'
import { invalidArgument } from '../errors.ts'
import type { Address } from '../identity.ts'
import {
  canonicalHost,
  formatAddress,
  type HostPort,
  isNobody,
  NO_MEMBER,
  PORT_RANGE,
  splitHostPort,
  wrongPort,
} from './addresses.ts'
import { type Log, silentLog } from './log.ts'
import { type Lookup, systemLookup } from './lookup.ts'

export interface PeersOptions {
  /** Port for names and addresses given without one; without it they are refused. */
  readonly defaultPort?: number
  /** Only addresses of this family are of use to a socket. Default: both. */
  readonly family?: 4 | 6
  readonly lookup?: Lookup
  /** Whether an address is this process's own: names that point at all members point at the asker too. */
  readonly isOwn?: (address: Address) => boolean
  readonly log?: Log
  /** Milliseconds before an unanswered name is asked again, first and at most. Default 100 and 2,000. */
  readonly retryMs?: { readonly first: number; readonly most: number }
  /** Milliseconds before an answered name is asked again. Default 2,000. */
  readonly refreshMs?: number
}

export interface Unresolved {
  readonly name: string
  /** The code of the last failure, or what else was wrong. */
  readonly reason: string
}

/** Addresses per name at most: a name that gives thousands is not a list of peers. */
const ADDRESSES_MAX = 256

/**
 * `a:1,b:2` or a list of such. Throws ERR_INVALID_ARGUMENT for what is neither an address (of the family, if
 * one is given) nor a name, and for one without a port if there is no default.
 */
export function parsePeers(
  given: string | readonly string[],
  { defaultPort, family }: Pick<PeersOptions, 'defaultPort' | 'family'> = {},
): readonly HostPort[] {
  const entries = (typeof given === 'string' ? given.split(',') : given).map((entry) => String(entry).trim())
  return entries
    .filter((entry) => entry !== '')
    .map((entry) => {
      const peer = parsePeer(entry, defaultPort)
      if (family !== undefined && isIP(peer.host) !== 0 && isIP(peer.host) !== family)
        throw invalidArgument('peers', entry, `an IPv${family} address, as the interface is, or a DNS name`)
      return peer
    })
}

function parsePeer(entry: string, defaultPort: number | undefined): HostPort {
  if (wrongPort(entry)) throw invalidArgument('peers', entry, PORT_RANGE)
  const parts = splitHostPort(entry)
  const host = parts?.host ?? entry.replace(/^\[(.*)\]$/, '$1')
  // A dotted number that is no address is a slip of the hand, not a name to be asked for again and again.
  const isUsable =
    isIP(host) !== 0 || (/^[a-z0-9_]([\w.-]*[a-z0-9_.])?$/i.test(host) && !/^[\d.]+$/.test(host))
  if (!isUsable) throw invalidArgument('peers', entry, 'a list of host:port, [v6]:port, or DNS names')
  if (isNobody(host)) throw invalidArgument('peers', entry, NO_MEMBER)
  if (parts !== undefined) return parts
  if (defaultPort !== undefined) return { host: canonicalHost(host), port: defaultPort }
  const written = formatAddress(host, 7788)
  throw invalidArgument(
    'peers',
    entry,
    `given with a port, such as ${written}, or without one when udpPort is set, which is then the peers' port too`,
  )
}

/** One name, whatever ports it is given with. */
interface Name {
  readonly name: string
  /** BOUNDED by the peers given. */
  readonly ports: Set<number>
  /** Of the last answer; undefined while there has been none. What was answered is kept when asking fails. */
  hosts: readonly string[] | undefined
  /** Why the last question had no answer of use. */
  reason: string | undefined
  /** Whether its addresses are as of now, for those who began to need them lately. */
  isFresh: boolean
  isAsking: boolean
  answeredAt: number
  delayMs: number
  timer: NodeJS.Timeout | undefined
}

export class PeerWatch {
  /** Questions without an answer of use, by name. BOUNDED by the peers given. */
  readonly failures = new Map<string, number>()
  private readonly literals: readonly Address[]
  /** By name. BOUNDED by the peers given. */
  private readonly names = new Map<string, Name>()
  private readonly options: PeersOptions
  private readonly lookup: Lookup
  private readonly log: Log
  private readonly retryMs: { readonly first: number; readonly most: number }
  private readonly refreshMs: number
  private readonly onPeers: (addresses: readonly Address[]) => void
  /** BOUNDED by the calls that wait for peers. */
  private readonly listeners = new Set<() => void>()
  private addresses: readonly Address[] = []
  private needs = 0
  private isClosed = false

  /**
   * `onPeers` hears of all peers whenever they are others than before: of literals at once (before this
   * returns), of names as they are answered.
   */
  constructor(
    given: string | readonly string[],
    onPeers: (addresses: readonly Address[]) => void,
    options: PeersOptions = {},
  ) {
    this.options = options
    this.onPeers = onPeers
    this.lookup = options.lookup ?? systemLookup
    this.log = options.log ?? silentLog
    this.retryMs = options.retryMs ?? { first: 100, most: 2000 }
    this.refreshMs = options.refreshMs ?? 2000
    const literals = new Set<Address>()
    for (const { host, port } of parsePeers(given, options)) {
      if (isIP(host) === 0) this.nameOf(host).ports.add(port)
      else literals.add(formatAddress(host, port))
    }
    this.literals = [...literals]
    this.report()
    for (const name of this.names.values()) void this.ask(name)
  }

  get hasNames(): boolean {
    return this.names.size > 0
  }

  /** Whether some name's addresses, as of now, are still to come. */
  get isWaiting(): boolean {
    return [...this.names.values()].some(({ isFresh, hosts }) => !isFresh || hosts === undefined)
  }

  /** Names whose last question had no answer of use. */
  unresolved(): readonly Unresolved[] {
    return [...this.names.values()]
      .filter(({ hosts, reason }) => hosts === undefined || reason !== undefined)
      .map(({ name, reason = 'no answer yet' }) => ({ name, reason }))
  }

  /** Somebody needs peers: names are asked, and asked again until the function that this gives is called. */
  need(): () => void {
    if (this.needs++ === 0) for (const name of this.names.values()) this.refresh(name)
    let isNeeded = true
    return () => {
      if (!isNeeded) return
      isNeeded = false
      if (--this.needs === 0) this.stopTimers()
    }
  }

  /** `listener` is called after each answer and each failure, until the function that this gives is called. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Stops asking. Nothing is reported afterwards. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.stopTimers()
    this.listeners.clear()
    if (this.hasNames) this.lookup.cancel()
  }

  private nameOf(name: string): Name {
    let found = this.names.get(name)
    if (found === undefined) {
      found = {
        name,
        ports: new Set(),
        hosts: undefined,
        reason: undefined,
        isFresh: false,
        isAsking: false,
        answeredAt: Number.NEGATIVE_INFINITY,
        delayMs: this.retryMs.first,
        timer: undefined,
      }
      this.names.set(name, found)
    }
    return found
  }

  private refresh(name: Name): void {
    name.delayMs = this.retryMs.first
    const age = performance.now() - name.answeredAt
    if (age < this.refreshMs) {
      this.askAfter(name, this.refreshMs - age)
    } else {
      name.isFresh = false
      void this.ask(name)
    }
  }

  private askAfter(name: Name, delayMs: number): void {
    clearTimeout(name.timer)
    if (this.isClosed) return
    name.timer = setTimeout(() => void this.ask(name), delayMs)
    name.timer.unref()
  }

  private stopTimers(): void {
    for (const name of this.names.values()) clearTimeout(name.timer)
  }

  /** Never rejects. */
  private async ask(name: Name): Promise<void> {
    if (name.isAsking || this.isClosed) return
    name.isAsking = true
    let answer: { readonly hosts: readonly string[] } | { readonly reason: string }
    try {
      answer = this.usable(await this.lookup.addresses(name.name))
    } catch (error) {
      answer = { reason: reasonOf(error) }
    }
    name.isAsking = false
    if (this.isClosed) return
    name.isFresh = true
    if ('hosts' in answer) this.onAnswer(name, answer.hosts)
    else this.onFailure(name, answer.reason)
    for (const listener of [...this.listeners]) listener()
  }

  private onAnswer(name: Name, hosts: readonly string[]): void {
    if (name.reason !== undefined)
      this.log.info({ peer: name.name, addresses: hosts.length }, 'a name among the peers resolves now')
    name.hosts = hosts
    name.reason = undefined
    name.answeredAt = performance.now()
    name.delayMs = this.retryMs.first
    if (this.needs > 0) this.askAfter(name, this.refreshMs)
    this.report()
  }

  private onFailure(name: Name, reason: string): void {
    const failures = (this.failures.get(name.name) ?? 0) + 1
    this.failures.set(name.name, failures)
    name.reason = reason
    // Once: whoever waits for it is told again by the call that fails.
    if (failures === 1)
      this.log.warn(
        { peer: name.name, reason },
        'a name among the peers does not resolve; it is asked again while a group is looked for',
      )
    if (this.needs === 0) return
    this.askAfter(name, name.delayMs)
    name.delayMs = Math.min(name.delayMs * 2, this.retryMs.most)
  }

  private usable(
    found: readonly string[],
  ): { readonly hosts: readonly string[] } | { readonly reason: string } {
    const { family } = this.options
    const literals = found.filter((host) => isIP(host) !== 0)
    const hosts = literals.filter((host) => family === undefined || isIP(host) === family)
    if (hosts.length > 0) return { hosts: hosts.slice(0, ADDRESSES_MAX).map(canonicalHost) }
    return {
      reason: literals.length === 0 ? 'no address' : `no IPv${family} address, which the interface needs`,
    }
  }

  private report(): void {
    const addresses = new Set(this.literals)
    for (const { hosts = [], ports } of this.names.values()) {
      for (const host of hosts) {
        for (const port of ports) {
          const address = formatAddress(host, port)
          if (this.options.isOwn?.(address) !== true) addresses.add(address)
        }
      }
    }
    const isSame =
      addresses.size === this.addresses.length && this.addresses.every((address) => addresses.has(address))
    if (isSame) return
    this.addresses = [...addresses]
    this.onPeers(this.addresses)
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return (error as NodeJS.ErrnoException).code ?? error.message
}
