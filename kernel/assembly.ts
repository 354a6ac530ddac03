/**
 * Blocks that arrive apart from their order (method 2, and large messages in fragments; design 4.2): kept by
 * (member, first request number) until the order names them.
 *
 * BOUNDED: per member `bytesPerMember` bytes; what does not fit is dropped, and asked for when it is missed.
 */
import { readBlockHeader } from './block.ts'
import { CHANGE_BYTES_MAX } from './history.ts'
import type { MemberId, RequestNumber } from './identity.ts'

export interface ByteRange {
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

/** Pieces apart from each other in one block; what would make one more is dropped, and comes again. */
const PIECES_MAX = 2048
/** Bytes that a block of a few bytes costs beside them. */
const BLOCK_OVERHEAD = 128

/** One block growing out of fragments that come in any order. */
export class Assembly {
  readonly total: number
  /** Disjoint, in order. BOUNDED by PIECES_MAX. */
  private have: ByteRange[] = []
  private bytes: Uint8Array | undefined

  constructor(total: number) {
    this.total = total
  }

  /** True if the fragment brought anything new. */
  add(offset: number, fragment: Uint8Array): boolean {
    const to = offset + fragment.length
    if (to > this.total || this.isHeld(offset, to) || this.isOnePieceTooMany(offset, fragment)) return false
    if (offset === 0 && to === this.total) this.bytes = fragment
    else {
      this.bytes ??= new Uint8Array(this.total)
      this.bytes.set(fragment, offset)
    }
    if (this.have.length === 0) this.have = [{ from: offset, to }]
    else this.merge(offset, to)
    return true
  }

  /** Whoever sends every second byte would make each further one a search through all of them. */
  isOnePieceTooMany(offset: number, fragment: Uint8Array): boolean {
    const isFull = this.have.length >= PIECES_MAX && offset !== 0
    return isFull && !this.isBeside(offset, offset + fragment.length)
  }

  private isHeld(from: number, to: number): boolean {
    return this.have.some((range) => range.from <= from && to <= range.to)
  }

  private isBeside(from: number, to: number): boolean {
    return this.have.some((range) => range.to >= from && range.from <= to)
  }

  private merge(from: number, to: number): void {
    const merged: ByteRange[] = []
    for (const range of this.have) {
      if (range.to < from || range.from > to) merged.push(range)
      else {
        from = Math.min(from, range.from)
        to = Math.max(to, range.to)
      }
    }
    merged.push({ from, to })
    this.have = merged.sort((a, b) => a.from - b.from)
  }

  /** How far it is complete from the start. */
  get contiguous(): number {
    const first = this.have[0]
    return first?.from === 0 ? first.to : 0
  }

  /** Up to `most` gaps before the furthest byte that has arrived, or before `end`. */
  missing(most: number, end = this.have.at(-1)?.to ?? 0): ByteRange[] {
    const ranges: ByteRange[] = []
    let next = 0
    for (const range of this.have) {
      if (range.from > next) ranges.push({ from: next, to: Math.min(range.from, end) })
      next = range.to
    }
    if (next < end) ranges.push({ from: next, to: end })
    return ranges.slice(0, most)
  }

  /** The block, when all of it is here. */
  get block(): Uint8Array | undefined {
    return this.contiguous === this.total ? this.bytes : undefined
  }
}

interface Lane {
  bytes: number
  readonly blocks: Map<RequestNumber, Assembly>
}

export class AssemblyStore {
  /** BOUNDED by the members of the view. */
  private readonly lanes = new Map<MemberId, Lane>()
  private readonly bytesPerMember: number
  private readonly blockBytesMax: number

  constructor(bytesPerMember: number, blockBytesMax: number) {
    this.bytesPerMember = bytesPerMember
    this.blockBytesMax = blockBytesMax
  }

  get(member: MemberId, request: RequestNumber): Assembly | undefined {
    return this.lanes.get(member)?.blocks.get(request)
  }

  /**
   * The assembly that a fragment of this block goes into; undefined if there is no room for it. A block whose
   * place is known has room in any case: the history's bounds are its bounds, and everything waits for it. So has the one
   * that a member's later ones wait for (`isNext`): these may have taken all the room, and go when it has come.
   */
  open(
    member: MemberId,
    request: RequestNumber,
    total: number,
    isPlaced: boolean,
    isNext = false,
  ): Assembly | undefined {
    if (total > (isPlaced ? Math.max(this.blockBytesMax, CHANGE_BYTES_MAX) : this.blockBytesMax)) {
      return undefined
    }
    let lane = this.lanes.get(member)
    if (lane === undefined) {
      lane = { bytes: 0, blocks: new Map() }
      this.lanes.set(member, lane)
    }
    const standing = lane.blocks.get(request)
    if (standing !== undefined) return standing.total === total ? standing : undefined
    if (!isPlaced && !isNext && lane.bytes > 0 && lane.bytes + total + BLOCK_OVERHEAD > this.bytesPerMember)
      return undefined
    const assembly = new Assembly(total)
    lane.blocks.set(request, assembly)
    lane.bytes += total + BLOCK_OVERHEAD
    return assembly
  }

  /** What the order has passed is needed here no more. */
  release(member: MemberId, upTo: RequestNumber): void {
    const lane = this.lanes.get(member)
    if (lane === undefined) return
    for (const request of lane.blocks.keys()) if (request <= upTo) drop(lane, request)
  }

  /** This one block has found its place. */
  remove(member: MemberId, request: RequestNumber): void {
    const lane = this.lanes.get(member)
    if (lane !== undefined) drop(lane, request)
  }

  forget(member: MemberId): void {
    this.lanes.delete(member)
  }

  /** Data of older incarnations that no kept order names is of no use to anybody. */
  clear(): void {
    this.lanes.clear()
  }

  get bytes(): number {
    let bytes = 0
    for (const lane of this.lanes.values()) bytes += lane.bytes
    return bytes
  }
}

function drop(lane: Lane, request: RequestNumber): void {
  const assembly = lane.blocks.get(request)
  if (assembly === undefined) return
  lane.blocks.delete(request)
  lane.bytes -= assembly.total + BLOCK_OVERHEAD
}

/** Whether assembled bytes are the block that its fragments claimed to be. */
export function isBlockOf(block: Uint8Array, member: MemberId, request: RequestNumber): boolean {
  const head = readBlockHeader(block, 0)
  return (
    head !== undefined &&
    head.length === block.length &&
    head.member === member &&
    head.firstRequest === request
  )
}
