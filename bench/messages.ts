/** What the bench's parent and its member processes tell each other, as JSON over the channel of a fork. */

export type Subject = 'amoebacast' | 'floor'
export type Method = 'auto' | 'pb' | 'bb'
export type TransportName = 'multicast' | 'unicast'

/** One set of processes that is measured: who they are, and what stays the same over its runs. */
export interface ClusterSettings {
  readonly subject: Subject
  readonly members: number
  readonly resilience: number
  readonly method: Method
  readonly transport: TransportName
  /** Bytes of the largest packet. */
  readonly packetSize: number
}

/** What a member process is started with. */
export interface MemberOrder extends ClusterSettings {
  /** Unique to this cluster, so that runs at the same time do not meet. */
  readonly port: string
  /** 0 creates the group, and is its sequencer. */
  readonly index: number
  /** Where members before this one receive; needed where there is no multicast. */
  readonly peers: readonly string[]
}

/**
 * `lone`: one send at a time, the next a turn of the loop after the last has returned; its time is what counts.
 * `stream`: as much as flow control lets through; the rate is what counts.
 */
export type Pattern = 'lone' | 'stream'

export interface RunOrder {
  readonly pattern: Pattern
  readonly isSender: boolean
  /** Bytes of a message, 8 or more. */
  readonly size: number
  /** Not measured, at the beginning of the run. */
  readonly rampMs: number
  readonly measureMs: number
  /** Receiving addresses of all, by index; the floor's root is the first. */
  readonly addresses: readonly string[]
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
  /** Over seq, sender and body of all messages of the run, in order; empty on the floor, which keeps no order. */
  readonly digest: string
  /** Messages that were not their sender's next. */
  readonly outOfOrder: number
  /** Times of own lone sends, in microseconds; null if there were none. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly p999: number } | null
  /** Of this process, over the whole run: seconds of processor time, packets and bytes handed to the network. */
  readonly cpuSeconds: number
  readonly packetsOut: number
  readonly bytesOut: number
  /** Packets sent again, or on the floor: lost. */
  readonly repeated: number
}

export type ToMember =
  /** A run is about to begin: count what comes from now on. Answered by `prepared`. */
  | { readonly say: 'prepare'; readonly order: RunOrder }
  /** Everybody is prepared. Answered by `stopped` when the run's time is over. */
  | { readonly say: 'run' }
  /** Everybody has stopped sending; wait for the order up to here, then report. */
  | { readonly say: 'finish'; readonly lastSeq: number }
  | { readonly say: 'close' }

export type FromMember =
  | { readonly say: 'ready'; readonly address: string }
  | { readonly say: 'prepared' }
  | { readonly say: 'stopped'; readonly lastSeq: number }
  | { readonly say: 'report'; readonly report: RunReport }
  | { readonly say: 'failed'; readonly message: string }

/** What a member process does, whatever it measures. */
export interface BenchMember {
  readonly address: string
  prepare(order: RunOrder): Promise<void>
  /** Resolves with the highest seq of an own message when the run's time is over and all sends have returned. */
  run(): Promise<number>
  finish(lastSeq: number): Promise<RunReport>
  close(): Promise<void>
}
