/** What the bench's parent and its member processes tell each other, as JSON over the channel of a fork. */

/** Systems that the library is set beside (peers/). */
export const peerNames = ['redis', 'nats', 'nats-core', 'etcd'] as const
export type PeerName = (typeof peerNames)[number]
/**
 * `floor` is the bare packet pattern; `floor-delivered` the same, with what a program has to do at both ends: it
 * copies messages into packets and takes them out one by one.
 */
export type Subject = 'amoebacast' | 'floor' | 'floor-delivered' | PeerName
export type Method = 'auto' | 'pb' | 'bb'
export type TransportName = 'multicast' | 'unicast'
/** `batch`: sendMany, receiveEach, binary bodies. `each`: sendToGroup, `for await`, objects through msgpack. */
export type Calls = 'batch' | 'each'

export function isPeer(subject: Subject): subject is PeerName {
  return (peerNames as readonly Subject[]).includes(subject)
}

/** One set of processes that is measured: who they are, and what stays the same over its runs. */
export interface ClusterSettings {
  readonly subject: Subject
  readonly members: number
  readonly resilience: number
  readonly method: Method
  readonly transport: TransportName
  /** Bytes of the largest packet. */
  readonly packetSize: number
  /** Default batch. */
  readonly calls?: Calls
  /** So many groups in the same processes, their sequencers spread over these; default 1. */
  readonly groups?: number
  /** Default: one for each member. Where there are fewer, the sequencer keeps the first to itself. */
  readonly processes?: number
  /** As the group's parameter; default block. Who is expelled comes back. */
  readonly expelAfterMs?: number
  /** As the group's parameter; its default if not given. */
  readonly historySize?: number
  /** The group key, where packets are sealed. */
  readonly key?: string
  /** Unanswered tries before a member is suspected; more than the default if not given, for busy machines. */
  readonly tries?: number
}

/** What one member is opened with. */
export interface MemberOrder extends ClusterSettings {
  /** Unique to this group of this cluster, so that runs at the same time do not meet. */
  readonly port: string
  /** 0 creates the group, and is its sequencer. */
  readonly index: number
  /** Where members before this one receive, needed where there is no multicast; or a peer's servers. */
  readonly peers: readonly string[]
}

/**
 * `lone`: one send at a time, the next a turn of the loop after the last has returned; its time is what counts.
 * `stream`: as much as flow control lets through; the rate is what counts.
 * `steady`: so many messages a second, or less if flow control demands it.
 */
export type Pattern = 'lone' | 'stream' | 'steady'

export interface RunOrder {
  readonly pattern: Pattern
  readonly isSender: boolean
  /** Bytes of a message, 8 or more. */
  readonly size: number
  /** Every byte that arrives is read for the check: of runs that do not count. */
  readonly readsBodies?: boolean
  /** Not measured, at the beginning of the run. */
  readonly rampMs: number
  readonly measureMs: number
  /** Receiving addresses of all, by index; the floor's root is the first. */
  readonly addresses: readonly string[]
  /** Of a steady sender. */
  readonly perSecond?: number
  /** Share of the time, 0 to 0.9, in which this process stands still. */
  readonly asleep?: number
}

/** What one member saw of one run. */
export interface RunReport {
  /** Messages that arrived here while it was measured, and the seconds that this took. */
  readonly messages: number
  readonly seconds: number
  /** Own sends of the whole run; all have returned. */
  readonly sent: number
  /** Messages that arrived in the whole run. */
  readonly total: number
  readonly bySender: Readonly<Record<string, number>>
  /** Over all messages of the run, in order (run-digest.ts); empty where no order is promised. */
  readonly digest: string
  /** Messages that were not their sender's next. */
  readonly outOfOrder: number
  /** Times of own lone sends, in microseconds; null if there were none. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly p999: number } | null
  /** Of this process, over the whole run: seconds of processor time; 0 at all but the first member of a process. */
  readonly cpuSeconds: number
  /** Packets and bytes handed to the network, and packets taken from it. */
  readonly packetsOut: number
  readonly bytesOut: number
  readonly packetsIn: number
  /** Packets sent again, or on the floor: lost. */
  readonly repeated: number
  /** Suspicions raised here, and packets that no group took; absent where there are no such things. */
  readonly suspicions?: number
  readonly rejected?: number
  /** Times that this member was expelled. What it missed is no fault; 0 or absent of one that must have all. */
  readonly expelled?: number
  /** Times that the group was rebuilt, as this member has seen it. */
  readonly resets?: number
}

/** What a process is like at a moment, for measurements that take long. */
export interface Health {
  readonly rssMiB: number
  readonly heapMiB: number
  /** Of the event loop since the last time this was asked, milliseconds. */
  readonly loopDelayP99: number
  /** Of own sends since the last time this was asked, microseconds; null if there were none. */
  readonly latency: RunReport['latency']
}

/** A process holds one member or several, by their places in the lists. */
export type ToMember =
  /** One more member of each of these groups. Answered by `opened`. */
  | { readonly say: 'open'; readonly orders: readonly MemberOrder[] }
  /** A run is about to begin: count what comes from now on. Answered by `prepared`. */
  | { readonly say: 'prepare'; readonly orders: readonly RunOrder[] }
  /** Everybody is prepared. Answered by `stopped` when the run's time is over. */
  | { readonly say: 'run' }
  /** Answered by `health`, of the first member. */
  | { readonly say: 'examine' }
  /** Everybody has stopped sending; wait for the order up to here, then report. */
  | { readonly say: 'finish'; readonly lastSeqs: readonly number[] }
  | { readonly say: 'close' }

export type FromMember =
  | { readonly say: 'opened'; readonly addresses: readonly string[] }
  | { readonly say: 'prepared' }
  | { readonly say: 'stopped'; readonly lastSeqs: readonly number[] }
  | { readonly say: 'health'; readonly health: Health }
  | { readonly say: 'report'; readonly reports: readonly RunReport[] }
  | { readonly say: 'failed'; readonly message: string }

/** What a member does, whatever it measures. */
export interface BenchMember {
  readonly address: string
  prepare(order: RunOrder): Promise<void>
  /** Resolves with the highest seq of an own message when the run's time is over and all sends have returned. */
  run(): Promise<number>
  finish(lastSeq: number): Promise<RunReport>
  /** Where a member can tell about itself in the middle of a run. */
  examine?(): Health
  close(): Promise<void>
}
