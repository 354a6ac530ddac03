/** Real packets of every kind: as members send them, recorded from scripted runs in virtual time, and those of test/wire. */
import { detectionPresets } from '../../group/member/options.ts'
import type { PacketKindName } from '../../kernel/packet.ts'
import { GroupOf, type Passing } from '../protocol/group-of.ts'
import { packetOf, samples } from '../wire/samples.ts'

/** Of each kind so many different packets are kept. */
const KEPT = 24

export type Corpus = ReadonlyMap<PacketKindName, readonly Uint8Array[]>

export function recordCorpus(): Corpus {
  const corpus = new Map<PacketKindName, Uint8Array[]>()
  let seen = 0
  const keep = ({ kind, bytes }: Passing): void => {
    const packets = corpus.get(kind) ?? []
    corpus.set(kind, packets)
    seen++
    // the first, and some of the later ones: other fields are other roads
    if (packets.length < KEPT) packets.push(bytes.slice())
    else if (seen % 7 === 0) packets[seen % KEPT] = bytes.slice()
  }
  aWholeLife(keep)
  aCrash(keep)
  aSlowMember(keep)
  for (const sample of samples)
    corpus.set(sample.kind, [...(corpus.get(sample.kind) ?? []), packetOf(sample)])
  return corpus
}

/** Small and large messages, losses, a leave, a handover. */
function aWholeLife(keep: (packet: Passing) => void): void {
  const group = new GroupOf({ member: { packetSize: 1400 }, parameters: { resilience: 1 } })
  let count = 0
  group.isLost = (packet) => {
    keep(packet)
    return ++count % 9 === 0
  }
  for (let i = 0; i < 4; i++) group.add()
  for (const seat of group.seats) for (const size of [10, 1300, 9000, 100]) seat.send(size)
  group.until(() => group.living.every(({ unanswered }) => unanswered === 0), 'all sends have returned')
  group.seats[2]!.leave()
  group.first.leave()
  group.advance(3000)
  group.add()
  group.advance(2000)
}

/** The sequencer crashes, and a member is cut off meanwhile. */
function aCrash(keep: (packet: Passing) => void): void {
  const group = new GroupOf({ member: { detection: detectionPresets.fast } })
  group.isLost = (packet) => {
    keep(packet)
    return false
  }
  for (let i = 0; i < 5; i++) group.add()
  const cutOff = group.seats[3]!
  group.seats[1]!.send(100)
  group.first.crash()
  group.isLost = (packet) => {
    keep(packet)
    return packet.from === cutOff || packet.to === cutOff
  }
  group.until(() => group.seats[1]!.view.members.length === 3, 'there is a new view')
  group.isLost = (packet) => {
    keep(packet)
    return false
  }
  group.seats[1]!.reset()
  group.advance(3000)
}

function aSlowMember(keep: (packet: Passing) => void): void {
  const group = GroupOf.open(3, { parameters: { historySize: 4 } })
  group.isLost = (packet) => {
    keep(packet)
    return false
  }
  group.seats[2]!.holds = true
  for (let i = 0; i < 12; i++) group.seats[1]!.send(20)
  group.advance(3000)
}
