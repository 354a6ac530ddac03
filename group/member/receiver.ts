/**
 * ReceiveFromGroup, the member's side: takes ordered entries in whatever order packets arrive, keeps what
 * came early, and delivers what is accepted, in order, each event once (I1, I2).
 */
import type { AssemblyStore } from '../../kernel/assembly.ts'
import { assert } from '../../kernel/assert.ts'
import { type BlockHeader, BlockKind, readBlockHeader } from '../../kernel/block.ts'
import type { Counters } from '../../kernel/counters.ts'
import { type Entry, lastSeqOf, type PlacedEntry, RESERVED_SLOTS } from '../../kernel/history.ts'
import type { MemberId, RequestNumber, Seq } from '../../kernel/identity.ts'
import { isWorthCopying, keep } from '../../kernel/keeping.ts'
import { decodeJoin, decodeLeave, type LeaveReason } from '../../kernel/membership.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import type { Outbox } from '../../kernel/outbox.ts'
import { type OrderHead, type PlacedBlock, readEntries } from '../../kernel/packets.ts'
import type { OrderedEvent } from '../../kernel/port.ts'
import { decodeResult } from '../../kernel/result.ts'
import { decodeSettings, type Settings } from '../../kernel/settings.ts'
import type { View } from '../../kernel/view.ts'

export interface ReceiverHost {
  /** Everything up to here is official; what is new of it is about to be delivered. */
  accepted(accepted: Seq): void
  /** An entry of this very member has its place. */
  ownOrdered(entry: Entry): void
  /** The bytes of a block that this very member has sent and not got back yet. */
  ownBlock(request: RequestNumber): Uint8Array | undefined
  /** This member's own leave is official. */
  ownLeave(reason: LeaveReason): void
  /** Nothing is delivered while this member doubts that it is still in its group. */
  mayDeliver(): boolean
}

export class Receiver {
  /** What the program has been told that the group goes by. */
  private told: Settings
  /** The own leave is official: nothing behind it is delivered. */
  private isOver = false
  /** Everything up to here has been handed to the program, or came before the own join. */
  delivered: Seq
  /** Highest accepted seq that anybody has told of; the own mark follows as far as entries are held. */
  private acceptedAnywhere: Seq
  /** The view that begins at a change of view not yet delivered. BOUNDED by the pending changes. */
  private readonly views = new Map<Seq, View>()
  /** Places of blocks that are not here yet, by member and request. BOUNDED by the history's placed entries. */
  private readonly places = new Map<string, Seq>()
  private readonly state: OrderState
  private readonly self: MemberId
  private readonly outbox: Outbox
  private readonly counters: Counters
  private readonly assemblies: AssemblyStore
  private readonly host: ReceiverHost

  constructor(parts: {
    state: OrderState
    self: MemberId
    delivered: Seq
    accepted: Seq
    outbox: Outbox
    counters: Counters
    assemblies: AssemblyStore
    host: ReceiverHost
  }) {
    this.state = parts.state
    this.told = parts.state.settings
    this.self = parts.self
    this.delivered = parts.delivered
    parts.outbox.delivered = parts.delivered
    this.acceptedAnywhere = parts.accepted
    this.outbox = parts.outbox
    this.counters = parts.counters
    this.assemblies = parts.assemblies
    this.host = parts.host
  }

  /** An order or repair packet: false if its entries cannot be read. */
  onOrder(head: OrderHead, packet: Uint8Array, isOrder: boolean): boolean {
    const blocks = readEntries(packet, head.entries)
    if (blocks === undefined) return false
    const { state } = this
    // nobody numbers more than fits into everybody's history, so nobody who says so is believed
    const limit = head.stable + state.parameters.historySize + RESERVED_SLOTS
    if (isOrder && head.highest > limit) return false
    if (head.highest > state.highest) state.highest = head.highest
    state.release(head.stable)
    // who is in a view holds the result that made it; another one comes by a reset only
    const mayTake = ({ kind, seq }: Entry) => kind !== BlockKind.result || seq <= state.baseline
    if (!this.takeAll(head.firstSeq, blocks, packet, Number.POSITIVE_INFINITY, mayTake)) return false
    if (head.accepted > this.acceptedAnywhere) this.acceptedAnywhere = head.accepted
    this.acceptHeld()
    state.release(head.stable)
    return true
  }

  /**
   * Entries of the log that a reset goes on with, up to `end`, from one who holds it. What the packet says is
   * official, or highest, counts for nothing here: only the result's acceptance does.
   */
  onCollected(head: OrderHead, packet: Uint8Array, end: Seq): boolean {
    const blocks = readEntries(packet, head.entries)
    if (blocks === undefined) return false
    // what all have taken, this member too, makes room: a full history must not stop a reset
    this.state.release(head.stable)
    return this.takeAll(head.firstSeq, blocks, packet, end, () => true)
  }

  /** Takes the blocks of a packet that end by `end`; false at the first that cannot be, or may not be taken. */
  private takeAll(
    firstSeq: Seq,
    blocks: readonly PlacedBlock[],
    packet: Uint8Array,
    end: Seq,
    mayTake: (entry: Entry) => boolean,
  ): boolean {
    const asCopies = isWorthCopying(packet, this.newBytes(firstSeq, blocks))
    let seq = firstSeq
    for (const placed of blocks) {
      const at = seq
      seq += placed.head.count
      if (!Number.isSafeInteger(seq)) return false
      if (seq - 1 > end) return true
      if (placed.isReference) {
        this.takeReference(placedAs(placed.head, at))
      } else {
        const entry = entryOf(placed, packet, at, asCopies)
        if (!mayTake(entry) || !isReadable(entry)) return false
        this.take(entry)
      }
    }
    return true
  }

  /** Bytes of blocks that are not here yet. */
  private newBytes(firstSeq: Seq, blocks: readonly PlacedBlock[]): number {
    const { history } = this.state
    let seq = firstSeq
    let bytes = 0
    for (const { head, isReference } of blocks) {
      if (!isReference && !history.has(seq)) bytes += head.length
      seq += head.count
    }
    return bytes
  }

  /** This member is bound by a reset: what the older view's sequencer has said of later events counts no more. */
  freeze(): void {
    this.acceptedAnywhere = this.state.accepted
    this.places.clear()
  }

  dropAbove(seq: Seq): void {
    this.state.dropAbove(seq)
    this.places.clear()
    for (const at of this.views.keys()) if (at > seq) this.views.delete(at)
  }

  /** Puts an entry behind the last held one: the result of a reset. */
  hold(entry: Entry): void {
    this.state.history.append(entry)
    this.held(entry)
  }

  /** An order by reference: the block is here already, or on its way, or has to be asked for. */
  private takeReference(placed: PlacedEntry): void {
    const { member, firstRequest, seq } = placed
    const block = this.blockOf(placed)
    if (block !== undefined) {
      const entry = entryWith(placed, block)
      if (isWhatItsPlaceSays(entry)) this.take(entry)
    } else if (this.state.history.place(placed)) this.places.set(keyOf(member, firstRequest), seq)
  }

  /** Nobody sends its own block back to a member that has broadcast it itself. */
  private blockOf({ member, firstRequest, length }: PlacedEntry): Uint8Array | undefined {
    const own = member === this.self ? this.host.ownBlock(firstRequest) : undefined
    const block = own ?? this.assemblies.get(member, firstRequest)?.block
    return block?.length === length ? block : undefined
  }

  /** A block that came apart from its order is whole: if its place is known, it goes there. */
  onBlock(member: MemberId, request: RequestNumber, block: Uint8Array): void {
    const seq = this.placeOf(member, request)
    const placed = seq === undefined ? undefined : this.state.history.placedAt(seq)
    if (placed === undefined || placed.length !== block.length) return
    const entry = entryWith(placed, block)
    if (isWhatItsPlaceSays(entry)) this.take(entry)
    else this.assemblies.remove(member, request)
    this.acceptHeld()
  }

  /** The place of a block that is still missing, if its order is known. */
  placeOf(member: MemberId, request: RequestNumber): Seq | undefined {
    return this.places.size === 0 ? undefined : this.places.get(keyOf(member, request))
  }

  private take(entry: Entry): void {
    const { history } = this.state
    const before = history.received
    // One that begins before what was delivered last and ends behind it contradicts it. Only a liar orders such a thing: one did
    // when the joiner's place, which it had told, lay in the middle (fuzzing, liars with seed 102).
    if (entry.seq <= this.delivered && lastSeqOf(entry) > this.delivered) return
    if (!history.offer(entry)) {
      if (entry.seq === before + 1 && !history.hasBytesFor(entry)) this.counters.overflow('history')
      return
    }
    if (history.received === before) return
    this.held(entry)
    if (history.hasEarly) {
      for (let next = history.joinEarly(); next !== undefined; next = history.joinEarly()) this.held(next)
    }
  }

  /** An entry has become held, here or by numbering. */
  private held(entry: Entry): void {
    this.state.apply(entry)
    if (this.places.size > 0) this.places.delete(keyOf(entry.member, entry.firstRequest))
    this.noteHeld(entry)
  }

  noteHeld(entry: Entry): void {
    if (entry.kind === BlockKind.result) this.assemblies.remove(entry.member, entry.firstRequest)
    else this.assemblies.release(entry.member, entry.firstRequest + entry.count - 1)
    if (entry.kind === BlockKind.leave) this.assemblies.forget(entry.member)
    const change = this.state.pending.at(-1)
    if (change?.seq === entry.seq && entry.seq > this.delivered) this.views.set(entry.seq, change.view)
    const isOwn = entry.member === this.self
    if (isOwn && (entry.kind === BlockKind.messages || entry.kind === BlockKind.leave)) {
      this.host.ownOrdered(entry)
    }
  }

  /** Somebody knows that everything up to `seq`, which is held here, is official. */
  acceptUpTo(seq: Seq): void {
    this.acceptedAnywhere = Math.max(this.acceptedAnywhere, seq)
    this.acceptHeld()
  }

  /** A leave at `seq` is accepted: there is something to fetch up to there. */
  expectUpTo(seq: Seq): void {
    if (seq > this.state.highest) this.state.highest = seq
    this.acceptUpTo(seq)
  }

  /** Accepts and delivers as far as what is held and known to be accepted reaches. */
  acceptHeld(): void {
    this.state.accept(this.acceptedAnywhere)
    this.deliver()
  }

  /** Hands everything accepted to the program. */
  deliver(): void {
    if (this.isOver || !this.host.mayDeliver()) return
    const { accepted, history } = this.state
    this.host.accepted(accepted)
    if (this.delivered >= accepted) return
    const deliveries: OrderedEvent[] = []
    let settings: Settings | undefined
    let left: LeaveReason | undefined
    while (this.delivered < accepted && left === undefined) {
      const entry = history.entryAt(this.delivered + 1)
      if (entry === undefined || entry.seq > accepted) break
      assert(entry.seq === this.delivered + 1, 'deliveries are contiguous', entry.seq, this.delivered)
      this.delivered = lastSeqOf(entry)
      if (entry.kind === BlockKind.leave && entry.member === this.self)
        left = decodeLeave(entry.block)!.reason
      else {
        const event = this.eventOf(entry)
        if (event !== undefined) deliveries.push(event)
        if (entry.kind === BlockKind.settings) settings = { seq: entry.seq, ...decodeSettings(entry.block)! }
      }
    }
    this.outbox.delivered = this.delivered
    if (deliveries.length > 0) this.outbox.output({ output: 'deliveries', deliveries })
    if (settings !== undefined) this.tellSettings(settings)
    if (left === undefined) return
    this.isOver = true
    this.host.ownLeave(left)
  }

  private tellSettings(settings: Settings): void {
    const before = this.told
    this.told = settings
    if (settings.keyId !== before.keyId) this.counters.settings.key++
    if (settings.version !== before.version) this.counters.settings.version++
    this.outbox.output({ output: 'event', event: { event: 'settings', settings, before } })
  }

  private eventOf(entry: Entry): OrderedEvent | undefined {
    const { seq, count, member: sender, block } = entry
    if (entry.kind === BlockKind.messages) {
      this.counters.deliveries.message += count
      return { kind: 'messages', seq, count, sender, block }
    }
    // nothing in it is for programs; it has a place that they take
    if (entry.kind === BlockKind.settings) return { kind: 'messages', seq, count, sender, block }
    const view = this.views.get(seq)
    if (view === undefined) return undefined
    this.views.delete(seq)
    if (entry.kind === BlockKind.result) {
      const { header, removed, lossPossible } = decodeResult(block)!
      this.counters.deliveries.reset++
      return { kind: 'reset', seq, sender, header, view, removed, lossPossible }
    }
    const isJoin = entry.kind === BlockKind.join
    const header = (isJoin ? decodeJoin(block) : decodeLeave(block))!.header
    if (isJoin) this.counters.deliveries.join++
    else this.counters.deliveries.leave++
    return { kind: isJoin ? 'join' : 'leave', seq, sender, header, view }
  }
}

function keyOf(member: MemberId, request: RequestNumber): string {
  return `${member}/${request}`
}

/** The block of a placed entry is here. */
function entryWith({ seq, count, kind, member, firstRequest }: PlacedEntry, block: Uint8Array): Entry {
  return { seq, count, kind, member, firstRequest, block, isSpread: true }
}

/**
 * Named one by one: V8 gives every `{ ...head, seq }` that its inline cache does not know a hidden class of its own, and each
 * field read from it later was looked up anew (six misses for each block, a tenth of the processor).
 */
function placedAs({ kind, count, member, firstRequest, length }: BlockHeader, seq: Seq): PlacedEntry {
  return { seq, count, kind, member, firstRequest, length }
}

function entryOf({ head, at }: PlacedBlock, packet: Uint8Array, seq: Seq, asCopy: boolean): Entry {
  const { kind, count, member, firstRequest, length } = head
  return { seq, count, kind, member, firstRequest, block: keep(packet, at, length, asCopy), isSpread: false }
}

/** Order and block came apart from each other, and one of them may lie. */
function isWhatItsPlaceSays(entry: Entry): boolean {
  const head = readBlockHeader(entry.block, 0)
  return head?.kind === entry.kind && head.count === entry.count && isReadable(entry)
}

/** A change of view that cannot be read must not get into the history, where everybody would stumble over it. */
function isReadable(entry: Entry): boolean {
  if (entry.kind === BlockKind.join) return decodeJoin(entry.block) !== undefined
  if (entry.kind === BlockKind.leave) return decodeLeave(entry.block) !== undefined
  if (entry.kind === BlockKind.result) return decodeResult(entry.block) !== undefined
  if (entry.kind === BlockKind.settings) return decodeSettings(entry.block) !== undefined
  return entry.kind === BlockKind.messages
}
