/**
 * What an operator is told about keys: once at the start when packets go onto a network without one, and once for
 * each source whose packets do not open because of a setting (no key here, or another one there).
 */
import type { Address } from '../../identity.ts'
import { isLoopback } from '../addresses.ts'
import type { Log } from '../log.ts'
import type { SealFault } from './opener.ts'

/** Sources that are told of; whoever forges sources gets no more lines than this. */
const SOURCES_MAX = 64

/** What does not open, and what is sealed where nothing opens. */
type KeyFault = SealFault | 'sealed'

const lines: Partial<Record<KeyFault, string>> = {
  plain:
    'packets come from a process that has no group key; give it the key file, or it cannot meet this one',
  key: 'packets come from a process with another group key; both must have one key in common (--key-file)',
  version:
    'packets come from a process of another version of amoebacast, which seals them in another way; give both the same version',
  sealed:
    'packets that come from there are sealed with a group key, and this process has none: it cannot meet that one, and a ' +
    'group that it creates is another group; give it the key file (--key-file, or the option keyFile)',
}

/** Warns if what is sent on `address` can be read and forged by others, and nobody has said that this is meant. */
export function warnWithoutKey(log: Log, address: string, isMeant: boolean): void {
  if (isMeant || isLoopback(address)) return
  log.warn(
    { interface: address },
    'packets are neither encrypted nor authenticated: whoever reaches this network can read and forge them; ' +
      "make a key with 'amoebacast keygen' and give it to all members (--key-file, or the option keyFile), " +
      'or say that this is meant (--insecure, or insecure: true)',
  )
}

/** Tells of each source and fault once. */
export function faultTeller(log: Log): (from: Address, fault: KeyFault) => void {
  /** BOUNDED by SOURCES_MAX. */
  const told = new Set<string>()
  return (from, fault) => {
    const line = lines[fault]
    if (line === undefined || told.size >= SOURCES_MAX) return
    const source = `${fault} ${from}`
    if (told.has(source)) return
    told.add(source)
    log.warn({ from }, line)
  }
}
