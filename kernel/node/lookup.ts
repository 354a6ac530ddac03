/**
 * Asking for the addresses behind a name, IPv4 and IPv6: the system as it is set up, or given DNS servers.
 */
import { promises as dns, type LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import { invalidArgument } from '../errors.ts'
import { splitHostPort } from './addresses.ts'

export interface Lookup {
  /** The addresses behind a name; rejects, or gives none, while there is no answer. */
  addresses(name: string): Promise<readonly string[]>
  /** Gives up the questions on their way, as far as that can be done. */
  cancel(): void
}

/** Milliseconds that a given DNS server has for its answer. Who lost a packet is asked again by the watch. */
const SERVER_TIMEOUT_MS = 1000

/**
 * Asks the system: /etc/hosts, search domains and all. Such a question cannot be called back: one that is on
 * its way at the end keeps a process until the system gives it up.
 */
export const systemLookup: Lookup = {
  addresses: async (name) => {
    const found: LookupAddress[] = await dns.lookup(name, { all: true })
    return found.map(({ address }) => address)
  },
  cancel: () => {},
}

/** Answers nothing: where time is virtual, nobody may wait for a real network. */
export const noLookup: Lookup = {
  addresses: async () => [],
  cancel: () => {},
}

/** Asks these DNS servers (`10.0.0.10`, `127.0.0.1:5353`) and nobody else: no /etc/hosts, no search domains. */
export function lookupAt(servers: readonly string[]): Lookup {
  const resolver = new dns.Resolver({ timeout: SERVER_TIMEOUT_MS, tries: 1 })
  resolver.setServers(servers)
  return {
    addresses: async (name) => {
      const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
      const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
      if (found.length > 0) return found
      const faults = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
      // That there is no AAAA record says less than that the server is silent.
      throw faults.find(({ code }) => code !== 'ENODATA') ?? faults[0] ?? new Error('no address')
    },
    cancel: () => resolver.cancel(),
  }
}

/** `a,b:53` or a list of such, checked; throws ERR_INVALID_ARGUMENT. */
export function parseDnsServers(given: unknown): readonly string[] {
  const list = typeof given === 'string' ? given.split(',') : given
  const allowed = 'addresses of DNS servers, such as 10.0.0.10, 127.0.0.1:5353 or [::1]:5353'
  if (!Array.isArray(list)) throw invalidArgument('dnsServers', given, allowed)
  const servers = list.map((server) => String(server).trim()).filter((server) => server !== '')
  for (const server of servers) {
    const host = splitHostPort(server)?.host ?? server
    if (isIP(host) === 0) throw invalidArgument('dnsServers', server, allowed)
  }
  return servers
}
