/**
 * Every signal in every phase of a reset, as recovery/phases.ts has it. One member is brought into the phase by
 * packets, time is stopped, one packet is handed to it, and what it does is compared with the table's word for
 * it. Whoever changes a word there finds here what it promises.
 */
import { describe, expect, test } from 'vitest'
import { type Ballot, compareBallots, isSameBallot } from '../../kernel/ballot.ts'
import { HEADER_BYTES, readHeader, writeHeader } from '../../kernel/packet.ts'
import { readEntries, readOrderHead, STATE_FLAG_RESULT, StreamPurpose } from '../../kernel/packets.ts'
import { Prng } from '../../kernel/prng.ts'
import {
  decodeInvite,
  decodeRefusal,
  encodeRefusal,
  INVITE_FLAG_OWING,
  RefusalReason,
} from '../../kernel/recovery-packets.ts'
import { decodeResult } from '../../kernel/result.ts'
import { type Handling, handlings, type Phase, phases, type Signal, signals } from '../../recovery/phases.ts'
import { decodeVote } from '../../recovery/vote.ts'
import type { Passing } from './group-of.ts'
import { circumstances, NO_BYTES, Scene, scenesOf } from './recovery-scene.ts'

function expectVote(scene: Scene, to: number, ballot: Ballot): void {
  const votes = scene.streamsSent(StreamPurpose.vote)
  expect(votes.map((vote) => vote.to)).toEqual([to])
  expect(decodeVote(votes[0]!.bytes)).toMatchObject({ ballot })
}

/** An ack of the result, to its coordinator and nobody else. */
function expectAck(scene: Scene): void {
  expect(scene.packets.map(({ kind, to, header }) => [kind, to.memberId, header.flags])).toEqual([
    ['state', 4, STATE_FLAG_RESULT],
  ])
  expect(scene.packets[0]!.header.received).toBe(scene.newest + 1)
}

/** What each word of the table means. Those that mean something else for each signal ask for it. */
const meaning: Readonly<Record<Handling, (phase: Phase, signal: Signal) => void>> = {
  ignore: (phase, signal) => {
    for (const scene of scenesOf(phase)) scene.expectNothingFrom(() => scene.send(signal))
  },

  vote: (phase, signal) => {
    for (const scene of scenesOf(phase)) {
      const { higher } = scene
      const { view, accepted, history } = scene.state
      const before = [view, accepted, history.received]
      scene.send(signal)
      expect(scene.recovery.phase).toBe('promised')
      expect(scene.recovery.promise).toEqual(higher)
      expectVote(scene, 1, higher)
      expect(scene.packets.every(({ header }) => header.incarnation === higher.incarnation)).toBe(true)
      // a promise changes nothing in the log
      expect([scene.state.view, scene.state.accepted, scene.state.history.received]).toEqual(before)
      // whatever attempt was under way has ended
      scene.expectNothingFrom(() => {
        scene.sendVote(3, higher)
        scene.hand(3, 'state', NO_BYTES, STATE_FLAG_RESULT)
      })
    }
  },

  note: (phase, signal) => {
    for (const { lacks } of circumstances[phase]!) {
      const scene = new Scene(phase, { lacks: lacks === true })
      const { promise } = scene.recovery
      scene.expectNothingFrom(() => scene.send(signal))
      // the vote's stream is acknowledged, and still the coordinator asks for it (or for the ack)
      scene.acknowledgeStream()
      scene.sent = []
      scene.hand(4, 'invite', scene.invitation(promise), INVITE_FLAG_OWING)
      if (phase === 'promised') expectVote(scene, 4, promise)
      else if (lacks) expect(scene.packets).toEqual([])
      else expectAck(scene)
      // a coordinator that shows itself is waited for, and no longer
      for (let ms = 0; ms < 5000; ms += 5) {
        scene.group.advance(5)
        scene.send(signal)
      }
      expect([scene.recovery.phase, scene.recovery.promise]).toEqual([phase, promise])
      scene.group.until(
        () => scene.recovery.phase === 'inviting',
        'the coordinator is waited for in vain',
        5000,
      )
      expect(compareBallots(scene.recovery.promise, promise)).toBeGreaterThan(0)
    }
  },

  refuse: (phase, signal) => {
    for (const scene of scenesOf(phase)) {
      const { promise } = scene.recovery
      const before = scene.snapshot()
      const lower = [
        scene.ballot({ incarnation: promise.incarnation - 1 }),
        scene.ballot({ incarnation: promise.incarnation - 1, endSeq: promise.endSeq + 9 }),
        scene.ballot({ endIncarnation: promise.endIncarnation - 1 }),
        scene.ballot({ endSeq: promise.endSeq - 1 }),
      ]
      scene.send(signal)
      for (const ballot of lower.slice(1)) scene.hand(1, 'invite', scene.invitation(ballot))
      expect(scene.packets.map(({ kind, to }) => [kind, to.memberId])).toEqual(
        lower.map(() => ['refusal', 1]),
      )
      expect(scene.packets.map(({ bytes }) => decodeRefusal(bytes))).toEqual(
        lower.map((refused) => ({ reason: RefusalReason.promised, refused, promise })),
      )
      expect(scene.snapshot()).toEqual(before)
    }
  },

  heed: (phase, signal) => {
    for (const scene of scenesOf(phase)) {
      const { promise } = scene.recovery
      scene.expectNothingFrom(() => scene.send(signal))
      // its next attempt is above what the refusal has shown
      scene.group.until(
        () => !isSameBallot(scene.recovery.promise, promise),
        'there is a next attempt',
        10_000,
      )
      expect(scene.recovery.phase).toBe('inviting')
      expect(scene.recovery.promise).toMatchObject({
        incarnation: promise.incarnation + 6,
        coordinator: scene.subject.memberId,
      })
    }
  },

  count: (phase, signal) => {
    const scene = new Scene(phase)
    const { subject, recovery } = scene
    expect(['vote', 'ack']).toContain(signal)
    if (signal === 'vote') {
      scene.expectNothingFrom(() => {
        for (const id of [1, 1, 3, 3]) scene.sendVote(id)
      })
      scene.sendVote(4)
      expect(recovery.phase).toBe('proposing')
      const results = scene.streamsSent(StreamPurpose.result)
      expect(results.map(({ to }) => to).sort()).toEqual([1, 3, 4])
      expect(decodeResult(results[0]!.bytes)!.view.members.map(({ id }) => id)).toEqual([1, 2, 3, 4])
      return
    }
    scene.expectNothingFrom(() => {
      for (const id of [1, 1, 4]) scene.hand(id, 'state', NO_BYTES, STATE_FLAG_RESULT)
    })
    scene.hand(3, 'state', NO_BYTES, STATE_FLAG_RESULT)
    expect(recovery.phase).toBe('normal')
    expect(subject.delivered.at(-1)!.kind).toBe('reset')
    expect(subject.resets).toMatchObject([{ size: 3 }])
    expect(subject.view.members.map(({ id }) => id)).toEqual([1, 2, 3])
  },

  late: (phase, signal) => {
    for (const { lacks } of circumstances[phase] ?? [{}]) {
      const scene = new Scene(phase, { lacks: lacks === true })
      const { promise } = scene.recovery
      // one that has come in time already is no news
      expect(signal).toBe('vote')
      scene.expectNothingFrom(() => scene.send(signal))
      scene.sendVote(4)
      expect(scene.recovery.phase).toBe('inviting')
      const { promise: again } = scene.recovery
      expect(again).toMatchObject({ incarnation: promise.incarnation + 1, coordinator: 2 })
      const invites = scene.packets.filter(({ kind }) => kind === 'invite')
      expect(invites.map(({ to }) => to.memberId).sort()).toEqual([1, 3, 4])
      for (const { bytes } of invites) expect(decodeInvite(bytes)!.ballot).toEqual(again)
      expect(scene.subject.delivered.some(({ seq }) => seq > scene.newest)).toBe(false)
    }
  },

  take: (phase, signal) => {
    const taken = takes[`${phase} ${signal}`]
    expect(taken, `what is taken by ${signal} in ${phase}`).toBeDefined()
    taken!(signal)
  },

  repeat: (phase, signal) => {
    if (phase === 'normal') {
      // one who does not number has nothing to tell
      for (const one of [{}, { lacks: true }]) {
        const scene = new Scene(phase, one)
        scene.expectNothingFrom(() => scene.send(signal))
      }
      const scene = new Scene(phase, { leads: true })
      scene.send(signal)
      expect(scene.packets.map(({ kind, to }) => [kind, to.memberId])).toEqual([['order', 1]])
      expect(readOrderHead(scene.packets[0]!.bytes)!.accepted).toBe(scene.state.view.seq)
      return
    }
    const scene = new Scene(phase)
    const before = scene.snapshot()
    scene.send(signal)
    expectAck(scene)
    expect(scene.snapshot()).toEqual(before)
    // as long as something is missing there is nothing to ack
    const lacking = new Scene(phase, { lacks: true })
    lacking.expectNothingFrom(() => lacking.send(signal))
  },

  serve: (phase, signal) => {
    for (const scene of scenesOf(phase)) {
      const before = scene.snapshot()
      scene.send(signal)
      expect(scene.packets.map(({ kind, to }) => [kind, to.memberId])).toEqual([['repair', 1]])
      const [{ bytes }] = scene.packets as [Passing]
      const head = readOrderHead(bytes)!
      expect([head.firstSeq, head.entries]).toEqual([scene.newest - 1, 1])
      expect(readEntries(bytes, 1)).toHaveLength(1)
      expect(scene.snapshot()).toEqual(before)
    }
  },
}

/** By phase and signal: what is there afterwards that was missing. */
const takes: Readonly<Record<string, (signal: Signal) => void>> = {
  'normal order': takesNewest,
  'normal repair': takesNewest,

  'collecting repair': (signal) => {
    const scene = new Scene('collecting', { lacks: true })
    const { accepted } = scene.state
    scene.send(signal)
    // the log is complete: the result lies upon it
    expect(scene.recovery.phase).toBe('proposing')
    expect(scene.state.history.received).toBe(scene.newest + 1)
    expect(scene.state.accepted).toBe(accepted)
    const results = scene.streamsSent(StreamPurpose.result)
    expect(results.map(({ to }) => to).sort()).toEqual([1, 3])
    expect(decodeResult(results[0]!.bytes)!.view.seq).toBe(scene.newest + 1)
  },

  'promised result': (signal) => {
    for (const lacks of [false, true]) {
      const scene = new Scene('promised', { lacks })
      const { promise } = scene.recovery
      const { view, accepted } = scene.state
      const delivered = scene.subject.delivered.length
      scene.send(signal)
      expect([scene.recovery.phase, scene.recovery.promise]).toEqual(['following', promise])
      if (lacks) {
        scene.group.until(() => scene.packets.length > 0, 'it asks for what is missing', 100)
        expect(scene.packets.map(({ kind, to }) => [kind, to.memberId])).toEqual([['gap', 4]])
      } else {
        expectAck(scene)
      }
      // it is tentative: nothing of it is in force
      expect([scene.state.view, scene.state.accepted]).toEqual([view, accepted])
      expect(scene.subject.delivered).toHaveLength(delivered)
    }
  },

  'following repair': (signal) => {
    const scene = new Scene('following', { lacks: true })
    const { accepted } = scene.state
    const delivered = scene.subject.delivered.length
    scene.send(signal)
    expect(scene.recovery.phase).toBe('following')
    expectAck(scene)
    expect([scene.state.accepted, scene.subject.delivered.length]).toEqual([accepted, delivered])
  },

  'following order': (signal) => {
    const lacking = new Scene('following', { lacks: true })
    lacking.expectNothingFrom(() => lacking.send(signal))
    const scene = new Scene('following')
    // only from the one who has made the result
    scene.expectNothingFrom(() =>
      scene.give(1, scene.packet(1, 'order', scene.signal[signal]()[1].subarray(HEADER_BYTES))),
    )
    scene.send(signal)
    expect(scene.recovery.phase).toBe('normal')
    expect(scene.subject.view).toMatchObject({ seq: scene.newest + 1, sequencer: 4 })
    expect(scene.subject.delivered.at(-1)).toMatchObject({ kind: 'reset', seq: scene.newest + 1 })
  },
}

function takesNewest(signal: Signal): void {
  const scene = new Scene('normal', { lacks: true })
  const { promise } = scene.recovery
  expect(scene.state.history.received).toBe(scene.newest - 1)
  scene.send(signal)
  expect(scene.state.history.received).toBe(scene.newest)
  expect([scene.recovery.phase, scene.recovery.promise]).toEqual(['normal', promise])
}

const pairs = phases.flatMap((phase) =>
  signals.map((signal) => ({ phase, signal, handling: handlings[phase][signal] })),
)

describe('the table', () => {
  test('has an entry for every pair, and no other', () => {
    expect(Object.keys(handlings).sort()).toEqual([...phases].sort())
    for (const phase of phases) expect(Object.keys(handlings[phase]).sort()).toEqual([...signals].sort())
  })

  test('uses every word, and no word without a meaning', () => {
    expect(new Set(pairs.map(({ handling }) => handling))).toEqual(new Set(Object.keys(meaning)))
  })

  test.each(pairs)('$phase: $signal is handled by $handling', ({ phase, signal, handling }) => {
    meaning[handling](phase, signal)
  })
})

describe('refusals by reason', () => {
  test.each(phases)('%s: "too few" counts in one who has promised, from its coordinator', (phase) => {
    for (const scene of scenesOf(phase)) {
      const { promise } = scene.recovery
      const tooFew = (refused: Ballot) => encodeRefusal({ reason: RefusalReason.tooFew, refused, promise })
      scene.expectNothingFrom(() => scene.hand(1, 'refusal', tooFew(promise)))
      scene.expectNothingFrom(() =>
        scene.hand(4, 'refusal', tooFew({ ...promise, endSeq: promise.endSeq - 1 })),
      )
      if (phase !== 'promised') {
        scene.expectNothingFrom(() => scene.hand(4, 'refusal', tooFew(promise)))
        continue
      }
      const { received } = scene.state.history
      scene.hand(4, 'refusal', tooFew(promise))
      // the promise stands, and the next attempt is above it
      expect([scene.recovery.promise, scene.recovery.isBound]).toEqual([promise, true])
      expect(scene.state.history.received).toBe(received)
      scene.group.until(
        () => !isSameBallot(scene.recovery.promise, promise),
        'there is a next attempt',
        10_000,
      )
      expect(scene.recovery.promise).toMatchObject({ incarnation: promise.incarnation + 1, coordinator: 2 })
    }
  })

  test.each(phases)('%s: "alive" counts for a coordinator that invites', (phase) => {
    for (const scene of scenesOf(phase)) {
      const { promise: refused } = scene.recovery
      const alive = encodeRefusal({ reason: RefusalReason.alive, refused, promise: refused })
      scene.expectNothingFrom(() => {
        for (const id of [1, 3]) scene.hand(id, 'refusal', alive)
      })
      if (phase !== 'inviting') {
        scene.expectNothingFrom(() => scene.hand(4, 'refusal', alive))
        continue
      }
      // nobody else is waited for, and one of four is too few
      scene.hand(4, 'refusal', alive)
      expect(scene.subject.resets).toMatchObject([{ failed: 'ERR_RESET_FAILED' }])
      expect(scene.recovery.promise).toEqual(refused)
    }
  })
})

/** Said once more without the table, so that a wrong word there is found. */
describe('a promise binds', () => {
  const official = ['proposing ack', 'following order']
  const bound = pairs.filter(({ phase }) => phase !== 'normal')

  test.each(bound)('$phase: $signal makes nothing official', ({ phase, signal }) => {
    if (official.includes(`${phase} ${signal}`)) return
    for (const scene of scenesOf(phase)) {
      const { subject } = scene
      const { view, accepted, history } = scene.state
      const before = [accepted, subject.delivered.length, subject.resets[0]?.size]
      const { received } = history
      scene.send(signal)
      expect([scene.state.accepted, subject.delivered.length, subject.resets[0]?.size]).toEqual(before)
      expect(scene.state.view).toBe(view)
      expect(scene.recovery.isBound).toBe(true)
      // nothing that was held is given up for a packet, and a vote stays true until there is a result
      expect(history.received).toBeGreaterThanOrEqual(received)
      if (phase === 'promised' && signal !== 'result') expect(history.received).toBe(received)
      // and nothing leaves under an older view
      const { incarnation, coordinator } = scene.recovery.promise
      for (const { header } of scene.sent) expect(header).toMatchObject({ incarnation, coordinator })
    }
  })

  test.each(phases)('%s: a higher ballot of anybody who belongs to the view is promised', (phase) => {
    for (const scene of scenesOf(phase)) {
      for (const id of [1, 3, 4]) {
        const ballot = { ...scene.higher, coordinator: id }
        scene.hand(id, 'invite', scene.invitation(ballot))
        expect([scene.recovery.phase, scene.recovery.promise]).toEqual(['promised', ballot])
      }
    }
  })
})

describe('what is below the promise', () => {
  const ordinary = signals.filter((signal) => !signal.endsWith('invite') && signal !== 'refusal')
  const below = phases.flatMap((phase) => ordinary.map((signal) => ({ phase, signal })))

  test.each(below)('$phase: $signal of an older view changes nothing', ({ phase, signal }) => {
    for (const scene of scenesOf(phase)) {
      const { view } = scene.state
      const { promise } = scene.recovery
      // of the view that was promised away, or of the first one
      const names = [
        { incarnation: 1, coordinator: 1 },
        ...(phase === 'normal' ? [] : [{ incarnation: view.incarnation, coordinator: view.coordinator }]),
        // right incarnation, wrong coordinator, and the other way round
        { incarnation: promise.incarnation, coordinator: 1 },
        { incarnation: promise.incarnation - 1, coordinator: promise.coordinator },
      ]
      for (const name of names) {
        const [from, bytes] = scene.signal[signal]()
        const header = readHeader(bytes)
        if (typeof header === 'string') throw new Error(header)
        writeHeader(bytes, { ...header, ...name })
        if (signal === 'gap' && name.incarnation === view.incarnation && phase !== 'normal') {
          // what the older view's history holds is given to who is in it still, under its name
          scene.give(from, bytes)
          for (const { kind, header: sent } of scene.sent)
            expect([kind, sent]).toMatchObject(['repair', name])
          continue
        }
        scene.expectNothingFrom(() => scene.give(from, bytes))
        // not even acknowledged
        expect(scene.sent).toEqual([])
      }
    }
  })

  test.each(phases)('%s: votes and results of other ballots count for nothing', (phase) => {
    for (const scene of scenesOf(phase)) {
      const { promise } = scene.recovery
      const others = [
        { ...promise, incarnation: promise.incarnation - 1 },
        { ...promise, endSeq: promise.endSeq - 1 },
        { ...promise, incarnation: promise.incarnation + 1 },
      ]
      for (const ballot of others) {
        for (const id of [1, 3, 4]) {
          scene.expectNothingFrom(() => scene.sendVote(id, ballot))
          scene.expectNothingFrom(() => scene.sendResult(id, { ...ballot, coordinator: id === 4 ? 4 : 3 }))
        }
      }
    }
  })
})

describe('promises', () => {
  const walks = phases.flatMap((phase) => [1, 2, 3, 4].map((seed) => ({ phase, seed })))

  test.each(walks)('never fall: from $phase, whatever comes (seed $seed)', ({ phase, seed }) => {
    const dice = new Prng(seed)
    const scene = scenesOf(phase)[seed % scenesOf(phase).length]!
    const { subject } = scene
    let risen = 0
    for (let step = 0; step < 300 && !subject.isOver; step++) {
      const { promise } = scene.recovery
      const { accepted } = scene.state
      switch (dice.below(4)) {
        case 0: {
          const id = [1, 3, 4][dice.below(3)]!
          const incarnation = promise.incarnation + dice.below(3) - 1
          const ballot = { ...promise, incarnation, endSeq: dice.below(20), coordinator: id }
          scene.hand(id, 'invite', scene.invitation(ballot), dice.below(4))
          break
        }
        case 1:
          scene.group.advance(dice.below(60))
          break
        default:
          scene.send(signals[dice.below(signals.length)]!)
      }
      if (subject.isOver) break
      expect(compareBallots(scene.recovery.promise, promise)).toBeGreaterThanOrEqual(0)
      expect(scene.state.accepted).toBeGreaterThanOrEqual(accepted)
      if (!isSameBallot(scene.recovery.promise, promise)) risen++
    }
    expect(risen).toBeGreaterThan(0)
  })
})
