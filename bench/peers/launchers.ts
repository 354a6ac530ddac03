/** How each peer's servers are started, with what their own documentation recommends for speed (README.md). */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PeerName } from '../messages.ts'

export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  /** Where clients go. */
  readonly port: number
  /** Writes what the server reads at its start. */
  config?(): void
}

export interface Launcher {
  readonly servers: number
  readonly portsOfEach: number
  /** Debian's package, and the clients' on npm (none: plain HTTP). */
  readonly debian: string
  readonly clients: readonly string[]
  readonly command: string
  /** For --version, to be shown beside the figures. */
  readonly versionArgs: readonly string[]
  /** What is used, in words. */
  readonly settings: string
  launch(ports: readonly number[], folder: string): Launch[]
}

/** Largest messages are 1 MiB, which both ends must take. */
const NATS_PAYLOAD_MAX = 8 * 2 ** 20

function nats(isStream: boolean): Launcher['launch'] {
  return ([port], folder) => {
    const file = join(folder, 'nats.conf')
    const config = [
      `listen: "127.0.0.1:${port}"`,
      `max_payload: ${NATS_PAYLOAD_MAX}`,
      ...(isStream ? [`jetstream { store_dir: "${folder}", max_mem: 2G, max_file: 1M }`] : []),
    ]
    return [
      {
        command: 'nats-server',
        args: ['-c', file],
        port: port!,
        config: () => writeFileSync(file, `${config.join('\n')}\n`),
      },
    ]
  }
}

const natsBasics = {
  servers: 1,
  portsOfEach: 1,
  debian: 'nats-server',
  command: 'nats-server',
  versionArgs: ['--version'],
}

export const launchers: Record<PeerName, Launcher> = {
  redis: {
    servers: 1,
    portsOfEach: 1,
    debian: 'redis-server',
    clients: ['@redis/client'],
    command: 'redis-server',
    versionArgs: ['--version'],
    settings:
      'no snapshots, no append-only file; XADD pipelined, XREAD BLOCK with many entries at once; TCP on loopback',
    launch: ([port], folder) => [
      {
        command: 'redis-server',
        args: [
          '--port',
          `${port}`,
          '--bind',
          '127.0.0.1',
          '--save',
          '',
          '--appendonly',
          'no',
          '--dir',
          folder,
        ],
        port: port!,
      },
    ],
  },
  nats: {
    ...natsBasics,
    clients: ['@nats-io/transport-node', '@nats-io/jetstream'],
    settings:
      'one server, stream in memory, one replica; publishes acknowledged asynchronously, ordered consumers',
    launch: nats(true),
  },
  'nats-core': {
    ...natsBasics,
    clients: ['@nats-io/transport-node'],
    settings: 'one server; subscriptions only, nothing is kept, acknowledged or ordered between senders',
    launch: nats(false),
  },
  etcd: {
    servers: 3,
    portsOfEach: 2,
    debian: 'etcd-server',
    clients: [],
    command: 'etcd',
    versionArgs: ['--version'],
    settings:
      'three servers with the defaults, data in the temporary folder, synced to disk; JSON gateway over kept HTTP connections, puts at the leader',
    launch: (ports, folder) => {
      const members = [0, 1, 2].map((i) => ({
        name: `member${i}`,
        client: ports[2 * i]!,
        peer: `http://127.0.0.1:${ports[2 * i + 1]}`,
      }))
      const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(',')
      return members.map(({ name, client, peer }) => ({
        command: 'etcd',
        port: client,
        args: [
          ['--name', name],
          ['--data-dir', join(folder, name)],
          ['--listen-client-urls', `http://127.0.0.1:${client}`],
          ['--advertise-client-urls', `http://127.0.0.1:${client}`],
          ['--listen-peer-urls', peer],
          ['--initial-advertise-peer-urls', peer],
          ['--initial-cluster', cluster],
          ['--initial-cluster-state', 'new'],
          ['--log-level', 'error'],
        ].flat(),
      }))
    },
  },
}
