/**
 * Addresses as people write them and as sockets want them: `host:port`, `[v6]:port`; and the multicast
 * address of a group, derived from its port's name so that nobody has to hand them out.
 */
import { createHash } from 'node:crypto'
import { isIP, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { ErrorCode, GroupError, invalidArgument } from '../errors.ts'
import type { Address } from '../identity.ts'

/** The UDP port of all multicasts, unless another is set. From the range that nobody registers (RFC 6335). */
export const MULTICAST_PORT_DEFAULT = 52_673

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** `host:port`, with brackets around an IPv6 host. */
export function formatAddress(host: string, port: number): Address {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Splits `host:port` or `[v6]:port`; the host may be a name. Undefined if it is neither. */
export function splitHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([^\s:[\]%/]+)):(\d{1,5})$/i.exec(text)
  if (match === null) return undefined
  const host = match[1] ?? match[2]!
  const port = Number(match[3])
  if (port < 1 || port > 65_535 || (match[1] !== undefined && !isIPv6(match[1]))) return undefined
  return { host: canonicalHost(host), port }
}

/** What is said of a port that cannot be one, and of an address that no process has. */
export const PORT_RANGE = 'given with a port from 1 to 65535'
export const NO_MEMBER = 'the address of one process: not unspecified (0.0.0.0, ::), multicast or broadcast'

/** Whether this is `host:port` or `[v6]:port` but for a port that is out of its range. */
export function wrongPort(text: string): boolean {
  const match = /^(\[[^\]]*\]|[^\s:[\]]+):(\d+)$/.exec(text)
  return match !== null && !(Number(match[2]) >= 1 && Number(match[2]) <= 65_535)
}

/** Whether an address can be no single process's: unspecified, multicast or broadcast. */
export function isNobody(host: string): boolean {
  if (isIPv6(host)) return /^(::|ff[0-9a-f]{2}:.*)$/.test(canonicalHost(host))
  const first = Number(/^(\d+)\./.exec(host)?.[1])
  return isIP(host) === 4 && (first === 0 || (first >= 224 && first <= 239) || host === '255.255.255.255')
}

/** An address whose host is a literal; anything else throws ERR_INVALID_ARGUMENT naming `field`. */
export function parseAddress(text: string, field = 'address'): HostPort {
  const parts = typeof text === 'string' ? splitHostPort(text) : undefined
  if (parts === undefined || isIP(parts.host) === 0) {
    throw invalidArgument(field, text, 'an address such as 192.0.2.1:4000 or [2001:db8::1]:4000')
  }
  return parts
}

/** IPv6 has many spellings of one address; packets are compared by this one. IPv4 and names stay as they are. */
export function canonicalHost(host: string): string {
  if (!isIPv6(host)) return host
  const [address, scope] = host.split('%', 2)
  const short = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  return scope === undefined ? short : `${short}%${scope}`
}

export function isLoopback(host: string): boolean {
  return host === '::1' || /^127\./.test(host)
}

/**
 * The multicast address of a group. IPv4: 18 bits of hash inside 239.192.0.0/14, which is kept for use inside
 * an organisation (RFC 2365). IPv6: 31 bits inside ff15::/96, transient and of site scope, from the half that
 * is kept for such choices (RFC 3307). Ports that meet on one address disturb nobody: packets name the group.
 */
export function groupAddress(port: string, family: 4 | 6): string {
  const hash = createHash('sha256').update(`amoebacast ${port}`).digest()
  if (family === 4) return `239.${192 + (hash[0]! & 3)}.${hash[1]}.${hash[2]}`
  const high = (hash.readUInt16BE(0) | 0x8000).toString(16)
  return canonicalHost(`ff15::${high}:${hash.readUInt16BE(2).toString(16)}`)
}

export interface LocalInterface {
  readonly host: string
  readonly family: 4 | 6
  readonly loopback: boolean
  /** What multicast calls take for it: the address itself for IPv4, `::%name` for IPv6. */
  readonly multicastInterface: string
}

/**
 * The interface of this machine that has the address. Throws ERR_INVALID_ARGUMENT for what is no single
 * address, ERR_ADDRESS for one that this machine does not have.
 */
export function localInterface(address: string): LocalInterface {
  const version = isIP(address)
  if (version === 0) throw invalidArgument('interface', address, 'an IPv4 or IPv6 address of this machine')
  const host = canonicalHost(address)
  if (host === '0.0.0.0' || host === '::') {
    throw invalidArgument(
      'interface',
      address,
      'the address of one interface, so that packets leave where others listen',
    )
  }
  const [bare, scope] = host.split('%', 2)
  const loopback = isLoopback(host)
  const found = Object.entries(networkInterfaces())
    .flatMap(([name, infos]) => (infos ?? []).map((info) => ({ name, info })))
    .filter(({ name, info }) => info.address === bare && (scope === undefined || scope === name))
  // All of 127.0.0.0/8 is this machine, though the list shows only 127.0.0.1.
  if (found.length === 0 && !(loopback && version === 4)) throw notOfThisMachine(address)
  if (version === 4) return { host, family: 4, loopback, multicastInterface: host }
  if (scope === undefined && /^fe[89ab]/.test(host)) {
    const name = found[0]!.name
    throw invalidArgument(
      'interface',
      address,
      `a link-local address with its interface, such as ${host}%${name}`,
    )
  }
  return { host, family: 6, loopback, multicastInterface: `::%${found[0]!.name}` }
}

export function notOfThisMachine(address: string): GroupError {
  const own = Object.values(networkInterfaces()).flatMap((infos) => (infos ?? []).map((info) => info.address))
  const known = own.length === 0 ? 'none at all' : own.slice(0, 8).join(', ')
  return new GroupError(
    ErrorCode.address,
    `interface ${address} is not an address of this machine, which has ${known}; choose one of these`,
  )
}
