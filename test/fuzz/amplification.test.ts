/**
 * Whoever asks in another's name must gain nothing by it: nothing that a process sends to one who has not shown that it receives
 * at its address is larger than what was asked. Every kind that is answered to one who is no member is asked here, and every
 * kind in a member's name from elsewhere. Addresses that are only named in a packet are in spoofed.test.ts.
 */
import { describe, expect, test } from 'vitest'
import { detectionPresets } from '../../group/member/options.ts'
import {
  encodeInspect,
  encodeJoinRequest,
  encodeLocate,
  LocatePurpose,
} from '../../kernel/meeting-packets.ts'
import {
  HEADER_BYTES,
  KIND_AT,
  PacketKind,
  packetKindNames,
  readHeader,
  type WrittenHeader,
  writeHeader,
} from '../../kernel/packet.ts'
import { completeParameters, parameterLimits } from '../../kernel/parameters.ts'
import { encodeInvite } from '../../kernel/recovery-packets.ts'
import { BUDGET_MAX } from '../../sequencer/repair.ts'
import { GroupOf, Seat } from '../protocol/group-of.ts'
import { inside } from '../protocol/recovery-scene.ts'
import { namesFor, packetOf } from '../support/packets.ts'
import { recordCorpus } from './corpus.ts'

const VICTIM = '203.0.113.9:9999'
const NO_BYTES = new Uint8Array(0)
const PORT = 'group-of'

interface Question extends Partial<WrittenHeader> {
  readonly kind: PacketKind
  readonly body: Uint8Array
}

function questionTo(target: Seat, { kind, body, ...claimed }: Question): Uint8Array {
  return packetOf(kind, { ...namesFor(target), senderNonce: 0x9999n, ...claimed }, body)
}

/** All packets that go to the victim from now on, in bytes. */
function watch(group: GroupOf): { readonly bytes: number[] } {
  const seen = { bytes: [] as number[] }
  const unicast = group.unicast.bind(group)
  group.unicast = (from, to, bytes) => {
    if (to === VICTIM) seen.bytes.push(bytes.length)
    unicast(from, to, bytes)
  }
  return seen
}

/** Three members of which one is not the sequencer, and one who has left. */
function scene(): { group: GroupOf; sequencer: Seat; other: Seat; former: Seat } {
  const group = GroupOf.open(4)
  const [sequencer, other, former] = group.seats as [Seat, Seat, Seat]
  former.leave()
  group.settle()
  return { group, sequencer, other, former }
}

const joining = {
  port: PORT,
  challenge: 12_345n,
  name: 'x',
  address: VICTIM,
  role: 0 as const,
  right: 0 as const,
  lastRequest: 0,
  header: NO_BYTES,
  proof: NO_BYTES,
  token: NO_BYTES,
}
const located = (purpose: LocatePurpose): Question => ({
  kind: PacketKind.locate,
  body: encodeLocate({ port: PORT, purpose }),
  groupId: 0n,
  destination: 0n,
})

const questions: Readonly<Record<string, (former: Seat) => Question>> = {
  'locate to create': () => located(LocatePurpose.create),
  'locate to join': () => located(LocatePurpose.join),
  'locate of a candidate': () => located(LocatePurpose.candidate),
  'locate to inspect': () => located(LocatePurpose.inspect),
  'inspect with a wrong challenge': () => ({ kind: PacketKind.inspect, body: encodeInspect(PORT, 5n) }),
  'join request with a wrong challenge': () => ({
    kind: PacketKind.joinRequest,
    body: encodeJoinRequest(joining),
  }),
  'join request in the name of one who has left': (former) => ({
    kind: PacketKind.joinRequest,
    body: encodeJoinRequest(joining),
    senderNonce: former.machine.options.nonce,
  }),
  'report of one who has left': (former) => ({
    kind: PacketKind.state,
    body: NO_BYTES,
    sender: former.memberId,
    senderNonce: former.machine.options.nonce,
  }),
  'report of one who has left, in an older view': (former) => ({
    kind: PacketKind.state,
    body: NO_BYTES,
    incarnation: 4711,
    sender: former.memberId,
    senderNonce: former.machine.options.nonce,
  }),
  'report of a stranger': () => ({ kind: PacketKind.state, body: NO_BYTES, sender: 99 }),
  'gap of a stranger': () => ({ kind: PacketKind.gap, body: new Uint8Array(22), sender: 99 }),
  'probe of a stranger': () => ({ kind: PacketKind.probe, body: new Uint8Array(4), sender: 99 }),
  'stream of a stranger': () => ({ kind: PacketKind.streamData, body: new Uint8Array(40), sender: 99 }),
}

describe('an answer to one who is no member', () => {
  test.each(Object.keys(questions))('%s: no larger than the question, once', (name) => {
    const { group, sequencer, other, former } = scene()
    const seen = watch(group)
    for (const target of [sequencer, other]) {
      const packet = questionTo(target, questions[name]!(former))
      seen.bytes.length = 0
      target.input({ kind: 'packet', from: VICTIM, bytes: packet })
      group.advance(5000)
      expect(seen.bytes.length).toBeLessThanOrEqual(1)
      for (const bytes of seen.bytes) expect(bytes).toBeLessThanOrEqual(packet.length)
    }
  })

  test('the questions that find a group are answered', () => {
    const { group, sequencer } = scene()
    const seen = watch(group)
    sequencer.input({
      kind: 'packet',
      from: VICTIM,
      bytes: questionTo(sequencer, located(LocatePurpose.join)),
    })
    sequencer.input({
      kind: 'packet',
      from: VICTIM,
      bytes: questionTo(sequencer, { kind: PacketKind.inspect, body: encodeInspect(PORT, 5n) }),
    })
    expect(seen.bytes).toHaveLength(2)
  })

  test('one that names a sequencer with a very long address is not given, and counted', () => {
    const group = new GroupOf()
    const long = group.add({ address: `${'x'.repeat(200)}:1` })
    const seen = watch(group)
    long.input({ kind: 'packet', from: VICTIM, bytes: questionTo(long, located(LocatePurpose.join)) })
    expect(seen.bytes).toEqual([])
    expect(long.machine.counters.limited.unpadded).toBe(1)
  })

  test('by multicast is answered by few while the sequencer is silent, and by more when it comes again', () => {
    const group = GroupOf.open(16)
    const { first } = group
    group.isLost = ({ from, to }) => from === first || to === first
    group.advance(650)
    const seen = watch(group)
    const question = encodeLocate({ port: PORT, purpose: LocatePurpose.join })
    const packet = packetOf(PacketKind.locate, { senderNonce: 77n }, question)
    const answers = [1, 2, 3, 4].map(() => {
      const before = seen.bytes.length
      for (const seat of group.seats.slice(1)) seat.input({ kind: 'packet', from: VICTIM, bytes: packet })
      group.advance(6)
      return seen.bytes.length - before
    })
    expect(answers).toEqual([2, 8, 15, 15])
  })

  test('of many bytes to one that stands still is answered by as many, the headers of the network counted', () => {
    const group = GroupOf.open(3)
    const member = group.seats[1]!
    group.isLost = ({ from, to }) => from === member || to === member
    member.reset()
    group.advance(50)
    const seen = watch(group)
    const names = { ...namesFor(member), destination: 0n, incarnation: 99, sender: 77, senderNonce: 99n }
    const bytes = packetOf(PacketKind.order, names, new Uint8Array(1320))
    member.input({ kind: 'packet', from: VICTIM, bytes })
    group.advance(1)
    const total = seen.bytes.reduce((sum, length) => sum + length + 48, 0)
    expect(seen.bytes.length).toBeGreaterThan(5)
    expect(total).toBeLessThanOrEqual(bytes.length + 48)
  })

  test('the longest port leaves room for it', () => {
    const port = 'p'.repeat(parameterLimits.portBytes)
    const question = encodeLocate({ port, purpose: LocatePurpose.join }).length
    const short = encodeLocate({ port: 'p', purpose: LocatePurpose.join }).length
    expect(question - short).toBe(parameterLimits.portBytes - 1)
  })

  test('a notice of expulsion to strangers waits until as much has been asked, and is given seldom', () => {
    const { group, sequencer } = scene()
    const seen = watch(group)
    let asked = 0
    const total = (): number => seen.bytes.reduce((sum, bytes) => sum + bytes, 0)
    for (let i = 0; i < 10_000; i++) {
      const question: Question = {
        kind: PacketKind.state,
        body: NO_BYTES,
        incarnation: 4711,
        sender: 99,
        senderNonce: BigInt(i + 1000),
      }
      const packet = questionTo(sequencer, question)
      sequencer.input({ kind: 'packet', from: VICTIM, bytes: packet })
      asked += packet.length
      if (i % 10 === 0) group.advance(1)
      expect(total()).toBeLessThanOrEqual(asked)
    }
    // 64 at once, and ten a second
    expect(seen.bytes.length).toBeGreaterThan(64)
    expect(seen.bytes.length).toBeLessThanOrEqual(64 + 11)
    expect(sequencer.machine.counters.limited.notices).toBeGreaterThan(3000)
  })
})

// ---- every kind -----------------------------------------------------------------------------------------

/** A group after a reset, with one who has left and one who was removed. */
function eventful(): { group: GroupOf; targets: Record<string, Seat>; outside: readonly Seat[] } {
  const group = new GroupOf({ member: { detection: detectionPresets.fast } })
  for (let i = 0; i < 5; i++) group.add()
  const [sequencer, other, left, removed] = group.seats as [Seat, Seat, Seat, Seat]
  left.leave()
  group.settle()
  removed.crash()
  group.until(() => sequencer.view.members.length === 3, 'one is removed')
  group.settle()
  return { group, targets: { sequencer, other, bound: group.seats[4]! }, outside: [left, removed] }
}

/** One that waits for others to create a group with. */
function starting(): ReturnType<typeof eventful> {
  const group = new GroupOf()
  const locating = new Seat(group, 0, { peers: [] })
  group.seats.push(locating)
  const open = { call: 'open', token: 1, parameters: completeParameters(), header: NO_BYTES } as const
  locating.call({ ...open, how: 'joinOrCreate', port: PORT, minStarters: 9 })
  return { group, targets: { locating }, outside: [] }
}

/** What somebody outside can write into a header: names of the group that are no secret to who has heard packets. */
function* claims(target: Seat, outside: readonly Seat[]) {
  const { view } = target.machine.info()
  const groupId = view?.groupId ?? 4711n
  const { incarnation, coordinator } = view ?? { incarnation: 1, coordinator: 1 }
  const bearers = [
    { sender: 0, senderNonce: 0x9999n },
    { sender: 99, senderNonce: 0x9998n },
    ...outside.map(({ memberId, machine }) => ({ sender: memberId, senderNonce: machine.options.nonce })),
    ...outside.map(({ machine }) => ({ sender: 0, senderNonce: machine.options.nonce })),
  ]
  for (const bearer of bearers)
    for (const group of [groupId, 0x4711n])
      for (const ballot of [incarnation, incarnation - 1, incarnation + 1])
        for (const destination of [target.machine.options.nonce, 0n])
          yield { groupId: group, incarnation: ballot, coordinator, destination, ...bearer }
}

/** One that says that it has joined while `target` missed it; it can name the target's own results, which were on the wire. */
function laterInvite(target: Seat): Uint8Array | undefined {
  if (target.machine.info().view === undefined) return undefined
  const { state } = inside(target)
  const { incarnation, seq } = state.view
  const ballot = { incarnation: incarnation + 1, endIncarnation: 99, endSeq: 99, coordinator: 99 }
  const body = encodeInvite({ ballot, viewSeq: seq + 50, results: state.results })
  return questionTo(target, { kind: PacketKind.invite, body, sender: 99 })
}

/** Asked without an address, and with one that is somebody else's. */
const joinRequests = ['', VICTIM].map((address) =>
  packetOf(PacketKind.joinRequest, {}, encodeJoinRequest({ ...joining, address })),
)

/** As it was, without the zeros at its end, and nothing but a header. */
function lengthsOf(bytes: Uint8Array): Uint8Array[] {
  let end = bytes.length
  while (end > HEADER_BYTES && bytes[end - 1] === 0) end--
  return [bytes.slice(), bytes.slice(0, end), bytes.slice(0, HEADER_BYTES)]
}

/** Bytes to addresses at which nobody of the group is, or was. */
function toStrangers(group: GroupOf, sent: ReadonlyMap<string, number>): number {
  let bytes = 0
  for (const [to, count] of sent) if (group.seats.every(({ address }) => address !== to)) bytes += count
  return bytes
}

/** A member that is asked, one in whose name that is done, and what the asked one sends from now on. */
function withMember(name: string) {
  const group = GroupOf.open(3)
  const [sequencer, other, member] = group.seats as [Seat, Seat, Seat]
  const target = name === 'sequencer' ? sequencer : other
  const sent = new Map<string, number>()
  const unicast = group.unicast.bind(group)
  group.unicast = (from, to, bytes) => {
    if (from === target) sent.set(to, (sent.get(to) ?? 0) + bytes.length)
    unicast(from, to, bytes)
  }
  if (name === 'bound') {
    group.isLost = ({ from, to }) => from === target || to === target
    target.reset()
    group.advance(50)
  }
  return { group, target, member, sent, phase: target.machine.info().phase }
}

/** What `left` is larger than a header. */
const LEFT_BYTES = 8
const NOTICE_BYTES = 402

describe('whatever somebody outside sends, of every kind', () => {
  const corpus = new Map(recordCorpus())
  // asked about this very port
  const inspect = questionTo(GroupOf.open(1).first, {
    kind: PacketKind.inspect,
    body: encodeInspect(PORT, 5n),
  })
  corpus.set('inspect', [inspect])
  corpus.set('joinRequest', joinRequests)
  /** Kinds that one who has shown nothing is answered with, and what they answer. */
  const answers = new Map<string, Set<string>>()
  const note = (answer: string, question: string): void => {
    answers.set(answer, (answers.get(answer) ?? new Set()).add(question))
  }

  test.each(['sequencer', 'other', 'locating', 'bound'])(
    'to %s: no address gets more bytes than came from it',
    (name) => {
      const { group, targets, outside } = name === 'locating' ? starting() : eventful()
      const target = targets[name]!
      const sent = new Map<string, number>()
      let asking = ''
      const unicast = group.unicast.bind(group)
      group.unicast = (from, to, bytes) => {
        if (from === target) sent.set(to, (sent.get(to) ?? 0) + bytes.length)
        if (from === target && to.startsWith('203.')) note(packetKindNames[bytes[KIND_AT]!]!, asking)
        unicast(from, to, bytes)
      }
      if (name === 'bound') {
        // alone it gets no majority, and tries on
        group.isLost = ({ from, to }) => from === target || to === target
        target.reset()
        group.advance(50)
      }
      let number = 0
      for (const [kind, samples] of corpus) {
        // a notice may have been paid for by packets of another kind
        let [asked, toFormer] = [NOTICE_BYTES, 0]
        asking = kind
        const later = kind === 'invite' ? laterInvite(target) : undefined
        for (const sample of [samples[0]!, samples.at(-1)!, ...(later === undefined ? [] : [later])])
          for (const claim of claims(target, outside))
            for (const packet of lengthsOf(sample)) {
              const header = readHeader(packet)
              if (typeof header === 'string') throw new Error(`the corpus holds a packet that is ${header}`)
              writeHeader(packet, { ...header, ...claim })
              // each from an address of its own, so that nothing is owed from before
              const from = `203.0.113.9:${10_000 + (number++ % 50_000)}`
              sent.clear()
              target.input({ kind: 'packet', from, bytes: packet })
              group.advance(0.5)
              const got = toStrangers(group, sent)
              expect(got, `${kind} ${JSON.stringify(claim, (_, one) => String(one))}`).toBeLessThanOrEqual(
                packet.length,
              )
              asked += packet.length + LEFT_BYTES
              toFormer += outside.reduce((sum, { address }) => sum + (sent.get(address) ?? 0), 0)
            }
        // where a member was it has shown that it receives: it is told its last place, and what it asks for up to there,
        // but no more than its allotment
        const repairs = kind === 'gap' || kind === 'dataGap' ? 4 * BUDGET_MAX : 0
        expect(toFormer, `${kind} of a former member`).toBeLessThanOrEqual(asked + repairs)
      }
      expect(number).toBeGreaterThan(1000)
    },
  )

  test('three kinds are questions; everything else is answered by a notice or not at all', () => {
    const { hereIs, joinRefused, locate, expelled, state, probe, ...others } = Object.fromEntries(answers)
    expect([...hereIs!].sort()).toEqual(['inspect', 'joinRequest', 'locate'])
    expect([...joinRefused!]).toEqual(['joinRequest'])
    expect([...locate!]).toEqual(['locate'])
    expect(expelled!.size).toBeGreaterThan(2)
    // one that stands still says which view it is in
    expect([...state!]).toEqual(['order'])
    // who claims to have joined since, and invites, must show that it receives
    expect([...probe!]).toEqual(['invite'])
    expect(others).toEqual({})
  })

  test.each(['sequencer', 'other', 'bound'])(
    'to %s, in a member’s name from elsewhere: nothing that is larger goes there',
    (name) => {
      let number = 0
      let scenes = 0
      for (const [kind, samples] of corpus) {
        let scene = withMember(name)
        for (const sample of [samples[0]!, samples.at(-1)!])
          for (const claim of claims(scene.target, [scene.member]))
            for (const packet of lengthsOf(sample)) {
              const header = readHeader(packet)
              if (typeof header === 'string') throw new Error(`the corpus holds a packet that is ${header}`)
              writeHeader(packet, { ...header, ...claim })
              const { group, target, sent } = scene
              const from = `203.0.113.9:${10_000 + (number++ % 50_000)}`
              sent.clear()
              target.input({ kind: 'packet', from, bytes: packet })
              group.advance(0.5)
              const what = `${kind} ${JSON.stringify(claim, (_, one) => String(one))}`
              expect(toStrangers(group, sent), what).toBeLessThanOrEqual(packet.length)
              // that has been believed: what comes next is for one who is a member still
              if (target.isOver || target.machine.info().phase !== scene.phase) {
                scene = withMember(name)
                scenes++
              }
            }
      }
      expect(number).toBeGreaterThan(1000)
      // a member's word counts for something
      expect(scenes).toBeGreaterThan(name === 'bound' ? 0 : 3)
    },
  )
})
