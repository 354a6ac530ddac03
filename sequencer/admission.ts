/**
 * Which requests may be numbered: each member's in the order of its request numbers, each once, however
 * often it is repeated (I2, I3). What comes before its predecessors waits here; what is admitted queues
 * until the history has room. Members take turns, a block each: who sends much has to wait behind its own.
 *
 * BOUNDED: per member `bytesPerMember` bytes, early and queued together; what does not fit is dropped and
 * comes again when its sender repeats it.
 */
import { type BlockHeader, BlockKind } from '../kernel/block.ts'
import { Deque } from '../kernel/deque.ts'
import { type MemberId, type RequestNumber, Right } from '../kernel/identity.ts'
import { LAST_REQUEST_MAX } from '../kernel/meeting-packets.ts'
import type { GroupParameters } from '../kernel/parameters.ts'
import type { Member } from '../kernel/view.ts'

export interface Request {
  readonly head: BlockHeader
  readonly block: Uint8Array
  /** Its data has been spread apart: the broadcast carries its header only. */
  readonly isSpread: boolean
}

export type Admission = 'admitted' | 'duplicate' | 'early' | 'overflow'

interface Lane {
  readonly member: MemberId
  /** All requests below it are admitted. */
  expected: RequestNumber
  /** By first request number. */
  readonly early: Map<RequestNumber, Request>
  bytes: number
  /** Admitted and not yet numbered. */
  readonly queue: Deque<Request>
}

export class AdmissionQueue {
  /** Lanes in which something is queued, each once; the first has its turn. BOUNDED by the members of the view. */
  private readonly turns = new Deque<Lane>()
  /** Blocks in all lanes together. */
  length = 0
  /** BOUNDED by the members of the view. */
  private readonly leaves: Request[] = []
  /** BOUNDED by the members of the view. */
  private readonly lanes = new Map<MemberId, Lane>()
  private readonly bytesPerMember: number
  /** Highest request number that the order holds for a member. */
  private readonly ordered: (member: MemberId) => RequestNumber | undefined

  constructor(bytesPerMember: number, ordered: (member: MemberId) => RequestNumber | undefined) {
    this.bytesPerMember = bytesPerMember
    this.ordered = ordered
  }

  private lane(member: MemberId): Lane | undefined {
    let lane = this.lanes.get(member)
    if (lane === undefined) {
      const ordered = this.ordered(member)
      if (ordered === undefined) return undefined
      lane = { member, expected: ordered + 1, early: new Map(), bytes: 0, queue: new Deque() }
      this.lanes.set(member, lane)
    }
    return lane
  }

  offer(request: Request): Admission {
    const { head } = request
    const lane = this.lane(head.member)
    if (lane === undefined) return 'overflow'
    if (head.firstRequest < lane.expected) return 'duplicate'
    if (lane.early.has(head.firstRequest)) return 'early'
    // everything early waits for the next one, so that has room in any case
    const isWaitedFor = head.firstRequest === lane.expected && lane.queue.length === 0
    const isFull = lane.bytes > 0 && lane.bytes + head.length > this.bytesPerMember
    if (isFull && !isWaitedFor) return 'overflow'
    lane.bytes += head.length
    if (head.firstRequest > lane.expected) {
      lane.early.set(head.firstRequest, request)
      return 'early'
    }
    for (let next: Request | undefined = request; next !== undefined; next = lane.early.get(lane.expected)) {
      lane.early.delete(next.head.firstRequest)
      if (next.head.kind === BlockKind.leave) {
        lane.bytes -= next.head.length
        this.leaves.push(next)
      } else {
        if (lane.queue.length === 0) this.turns.push(lane)
        lane.queue.push(next)
        this.length++
      }
      lane.expected = next.head.firstRequest + next.head.count
    }
    return 'admitted'
  }

  /** Whether this block is here already, or has been numbered. */
  has({ member, firstRequest }: BlockHeader): boolean {
    const lane = this.lane(member)
    return lane !== undefined && (firstRequest < lane.expected || lane.early.has(firstRequest))
  }

  /** The first request number of `member` that is not admitted yet. */
  expected(member: MemberId): RequestNumber {
    return this.lane(member)?.expected ?? 0
  }

  /** Whether requests of `member` wait for one before them, which has not come. */
  hasGap(member: MemberId): boolean {
    return (this.lanes.get(member)?.early.size ?? 0) > 0
  }

  /** What is next to be numbered. `except` loses its turn. */
  first(except?: MemberId): Request | undefined {
    const { turns } = this
    if (turns.first()?.member === except && except !== undefined) turns.push(turns.shift()!)
    const lane = turns.first()
    return lane === undefined || lane.member === except ? undefined : lane.queue.first()
  }

  /** Takes what `first` gave: the turn goes to the next lane. */
  take(): Request | undefined {
    const lane = this.turns.shift()
    const request = lane?.queue.shift()
    if (lane === undefined || request === undefined) return undefined
    lane.bytes -= request.head.length
    this.length--
    if (lane.queue.length > 0) this.turns.push(lane)
    return request
  }

  /** Whether anybody but `member` has something queued. */
  hasOthersThan(member: MemberId): boolean {
    const { turns } = this
    return turns.length > 1 || (turns.length === 1 && turns.first()!.member !== member)
  }

  /**
   * Leaves do not queue behind others' messages, which may have no room for long: a change of view has slots
   * of its own. (Each waits for its own member's messages elsewhere.)
   */
  takeLeaves(): Request[] {
    return this.leaves.splice(0)
  }

  /** Nothing of this member's will be numbered any more. */
  forget(member: MemberId): void {
    this.length -= this.lanes.get(member)?.queue.length ?? 0
    this.lanes.delete(member)
    this.turns.remove((lane) => lane.member === member)
  }
}

/** Whether the history could ever hold a block, and its requests have numbers that a member may give. */
export function isNumberable(
  { firstRequest, length, kind, count }: BlockHeader,
  limits: GroupParameters,
): boolean {
  if (firstRequest > LAST_REQUEST_MAX || length > limits.historyBytes) return false
  return kind === BlockKind.leave || (kind === BlockKind.messages && count <= limits.historySize)
}

/** Who may only receive may leave, too. */
export function mayAsk({ right }: Member, { kind }: BlockHeader): boolean {
  return right !== Right.receive || kind === BlockKind.leave
}
