/**
 * Where members may be found: literal addresses, or DNS names that are asked again until they answer, since
 * a process often starts before the name that will point at its peers exists.
 */
import { promises as dns, type LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import { invalidArgument } from '../errors.ts'
import type { Address } from '../identity.ts'
import { canonicalHost, formatAddress, type HostPort, splitHostPort } from './addresses.ts'

/** The addresses behind a name; rejects or gives none while there is no answer. */
export type Resolve = (name: string) => Promise<readonly string[]>

export interface PeersOptions {
  /** Port for names and addresses given without one; without it they are refused. */
  readonly defaultPort?: number
  /** Only addresses of this family are of use to a socket. Default: both. */
  readonly family?: 4 | 6
  readonly resolve?: Resolve
  /** Milliseconds before an unanswered name is asked again, first and at most. Default 100 and 5,000. */
  readonly retryMs?: { readonly first: number; readonly most: number }
}

/** Addresses per name at most: a name that gives thousands is not a list of peers. */
const ADDRESSES_MAX = 256

/** Asks the system, /etc/hosts included. */
export const systemResolve: Resolve = async (name) => {
  const found: LookupAddress[] = await dns.lookup(name, { all: true })
  return found.map(({ address }) => address)
}

/** Asks given DNS servers (`127.0.0.1:5353`) and nobody else. */
export function resolveWith(servers: readonly string[]): Resolve {
  const resolver = new dns.Resolver({ timeout: 1000, tries: 1 })
  resolver.setServers(servers)
  return async (name) => {
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  }
}

/** `a:1,b:2` or a list of such; throws ERR_INVALID_ARGUMENT for what is neither an address nor a name with a port. */
export function parsePeers(given: string | readonly string[], defaultPort?: number): readonly HostPort[] {
  const entries = (typeof given === 'string' ? given.split(',') : given).map((entry) => String(entry).trim())
  return entries.filter((entry) => entry !== '').map((entry) => parsePeer(entry, defaultPort))
}

function parsePeer(entry: string, defaultPort: number | undefined): HostPort {
  const parts = splitHostPort(entry)
  const host = parts?.host ?? entry
  // A dotted number that is no address is a slip of the hand, not a name to be asked for again and again.
  const usable = isIP(host) !== 0 || (/^[a-z0-9_]([\w.-]*[a-z0-9_.])?$/i.test(host) && !/^[\d.]+$/.test(host))
  if (usable && parts !== undefined) return parts
  if (usable && defaultPort !== undefined) return { host: canonicalHost(host), port: defaultPort }
  const form = `host:port, [v6]:port${defaultPort === undefined ? '' : ', or a DNS name'}`
  throw invalidArgument('peers', entry, `a list of ${form}`)
}

export interface PeerWatch {
  /** Stops asking. Nothing is reported afterwards. */
  close(): void
}

/**
 * Reports the addresses of all peers whenever more of them are known: literals at once (before this returns),
 * names as they are answered. Each name is asked until it has answered once.
 */
export function watchPeers(
  given: string | readonly string[],
  onPeers: (addresses: readonly Address[]) => void,
  options: PeersOptions = {},
): PeerWatch {
  const { resolve = systemResolve, family, retryMs = { first: 100, most: 5000 } } = options
  const wanted = (host: string): boolean =>
    isIP(host) !== 0 && (family === undefined || isIP(host) === family)
  // Bounded by the peers given, times ADDRESSES_MAX.
  const known = new Set<Address>()
  const timers = new Set<NodeJS.Timeout>()
  let closed = false

  const ask = async ({ host, port }: HostPort, delayMs: number): Promise<void> => {
    const found = await resolve(host).catch((): readonly string[] => [])
    if (closed) return
    const usable = found.map(canonicalHost).filter(wanted).slice(0, ADDRESSES_MAX)
    if (usable.length > 0) {
      for (const address of usable) known.add(formatAddress(address, port))
      onPeers([...known])
      return
    }
    const timer = setTimeout(() => {
      timers.delete(timer)
      void ask({ host, port }, Math.min(delayMs * 2, retryMs.most))
    }, delayMs)
    timer.unref()
    timers.add(timer)
  }

  const peers = parsePeers(given, options.defaultPort)
  for (const { host, port } of peers) {
    if (isIP(host) === 0) continue
    if (!wanted(host)) throw invalidArgument('peers', host, `an IPv${family} address, as the interface is`)
    known.add(formatAddress(host, port))
  }
  if (known.size > 0) onPeers([...known])
  for (const peer of peers) if (isIP(peer.host) === 0) void ask(peer, retryMs.first)
  return {
    close: () => {
      closed = true
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
    },
  }
}
