/**
 * Hosts on one machine: network namespaces joined by a bridge, each dropping some of the packets that arrive, and
 * all that come from hosts that it is cut off from.
 * The bridge lies in a namespace of its own, and no link leads to the machine's real network: nothing that
 * is sent in here can get out. Each host also counts what it sends to elsewhere (which must stay 0), so that
 * tests can show it.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Host {
  readonly namespace: string
  readonly address: string
  /** Put before a command, it runs there. */
  readonly prefix: readonly string[]
}

export interface HostCounts {
  /** Packets dropped on arrival, at random. */
  readonly dropped: number
  /** Packets dropped on arrival because their sender is on the other side of a partition. */
  readonly cut: number
  /** Packets sent to addresses of this network and its multicast, with a TTL of at most 1 for the latter. */
  readonly inside: number
  /** Any other packet sent: must be 0. */
  readonly elsewhere: number
}

let made = 0

/** Why namespaces cannot be made here; undefined if they can. */
export async function whyNoNamespaces(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `network namespaces need Linux, this is ${process.platform}`
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const name = `amoebacast-${process.pid}-try`
  try {
    await run('ip', ['netns', 'add', name])
  } catch (error) {
    return `ip netns add failed: ${reason(error)}`
  }
  try {
    await run('ip', ['netns', 'exec', name, 'nft', filterProgram('10.77.0.0/24', 10)])
    return undefined
  } catch (error) {
    return `nft does not work in a namespace: ${reason(error)}`
  } finally {
    await run('ip', ['netns', 'delete', name]).catch(() => {})
  }
}

export class LossyNetwork {
  readonly hosts: readonly Host[]
  private readonly bridge: string
  private readonly subnet: string

  private constructor(id: string, subnet: string, size: number) {
    this.bridge = `${id}-bridge`
    this.subnet = subnet
    this.hosts = Array.from({ length: size }, (_, i) => {
      const namespace = `${id}-${i + 1}`
      return { namespace, address: `${subnet}.${i + 1}`, prefix: ['ip', 'netns', 'exec', namespace] }
    })
  }

  /** `lossPercent` of the packets that reach a host are dropped there, at random. At most 200 hosts. */
  static async create(size: number, lossPercent: number): Promise<LossyNetwork> {
    const id = `amoebacast-${process.pid}-${++made}`
    const network = new LossyNetwork(id, `10.77.${(process.pid + made) % 256}`, size)
    try {
      await network.build(lossPercent)
      return network
    } catch (error) {
      await network.remove()
      throw error
    }
  }

  async counts(host: Host): Promise<HostCounts> {
    const { stdout } = await run('ip', [...host.prefix.slice(1), 'nft', '-j', 'list', 'counters'])
    const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { name: string; packets: number } }[] }
    const packets = (name: string): number =>
      nftables.find(({ counter }) => counter?.name === name)?.counter?.packets ?? -1
    return {
      dropped: packets('dropped'),
      cut: packets('cut'),
      inside: packets('inside'),
      elsewhere: packets('elsewhere'),
    }
  }

  /** From now on nothing gets from one side to the other, either way, until `heal`. */
  async partition(one: readonly Host[], other: readonly Host[]): Promise<void> {
    const addresses = (hosts: readonly Host[]): string => hosts.map(({ address }) => address).join(', ')
    const cutOff = (hosts: readonly Host[], from: readonly Host[]): Promise<unknown>[] =>
      hosts.map((host) => nft(host, `add element inet amoebacast others { ${addresses(from)} }`))
    await Promise.all([...cutOff(one, other), ...cutOff(other, one)])
  }

  async heal(): Promise<void> {
    await Promise.all(this.hosts.map((host) => nft(host, 'flush set inet amoebacast others')))
  }

  /** Names of the links in the bridge's namespace: the bridge, one for each host, and nothing else. */
  async bridgeLinks(): Promise<string[]> {
    const { stdout } = await run('ip', ['-n', this.bridge, '-j', 'link', 'show'])
    return (JSON.parse(stdout) as { ifname: string }[])
      .map(({ ifname }) => ifname)
      .filter((name) => name !== 'lo')
  }

  /** Namespaces take their links with them. */
  async remove(): Promise<void> {
    for (const name of [...this.hosts.map(({ namespace }) => namespace), this.bridge]) {
      await run('ip', ['netns', 'delete', name]).catch(() => {})
    }
  }

  private async build(lossPercent: number): Promise<void> {
    const { bridge, subnet } = this
    await run('ip', ['netns', 'add', bridge])
    // Without a querier on this network, snooping would starve the members of multicast.
    await run('ip', ['-n', bridge, 'link', 'add', 'bridge0', 'type', 'bridge', 'mcast_snooping', '0'])
    await run('ip', ['-n', bridge, 'link', 'set', 'bridge0', 'up'])
    for (const [i, { namespace, address, prefix }] of this.hosts.entries()) {
      const port = `host${i + 1}`
      await run('ip', ['netns', 'add', namespace])
      await run('ip', [
        '-n',
        namespace,
        'link',
        'add',
        'eth0',
        'type',
        'veth',
        'peer',
        'name',
        port,
        'netns',
        bridge,
      ])
      await run('ip', ['-n', bridge, 'link', 'set', port, 'master', 'bridge0', 'up'])
      await run('ip', [...prefix.slice(1), 'nft', filterProgram(`${subnet}.0/24`, lossPercent)])
      await run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up'])
      await run('ip', ['-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0'])
      await run('ip', ['-n', namespace, 'link', 'set', 'eth0', 'up'])
    }
  }
}

function nft({ prefix }: Host, command: string): Promise<unknown> {
  return run('ip', [...prefix.slice(1), 'nft', command])
}

/** For nft: drops on arrival, counts on departure. Loopback is left alone. */
function filterProgram(subnet: string, lossPercent: number): string {
  return [
    'table inet amoebacast {',
    'counter dropped { }; counter cut { }; counter inside { }; counter elsewhere { };',
    'set others { type ipv4_addr; }',
    'chain arriving { type filter hook input priority 0; policy accept;',
    '  iifname "eth0" ip saddr @others counter name cut drop;',
    `  iifname "eth0" numgen random mod 100 < ${lossPercent} counter name dropped drop; }`,
    'chain leaving { type filter hook output priority 0; policy accept;',
    '  oifname != "eth0" accept;',
    '  ip daddr 224.0.0.0/4 ip ttl <= 1 counter name inside accept;',
    `  ip daddr ${subnet} counter name inside accept;`,
    // What an IPv6 link says about itself when it comes up stays on the link.
    '  ip6 daddr { fe80::/10, ff02::/16 } accept;',
    '  counter name elsewhere accept; }',
    '}',
  ].join('\n')
}

function reason(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string }
  return (stderr ?? '').trim() || message
}
