/** Notices of expulsion that are not for this life, and those that are: when a member believes that its group has gone on without it. */
import { describe, expect, test } from 'vitest'
import type { ResultName } from '../../kernel/ballot.ts'
import { PacketKind } from '../../kernel/packet.ts'
import { encodeExpelled } from '../../kernel/recovery-packets.ts'
import { GroupOf, type Passing, type Seat } from '../protocol/group-of.ts'
import { inside } from '../protocol/recovery-scene.ts'
import { namesFor, packetOf } from '../support/packets.ts'

/** A notice that names a later result on top of those that the target holds, from a process that claims to have joined since. */
function noticeFor(target: Seat, destination: bigint): Uint8Array {
  const { results, nextMemberId } = inside(target).state
  const newest = results.at(-1)!
  const later: ResultName = {
    ballot: { ...newest.ballot, incarnation: newest.ballot.incarnation + 1 },
    seq: newest.seq + 100,
  }
  const body = encodeExpelled([...results, later])
  const names = { ...namesFor(target), sender: nextMemberId, senderNonce: 0x9999n, destination }
  return packetOf(PacketKind.expelled, names, body)
}

describe('a notice of expulsion', () => {
  test('that names no life, or another one, is believed by nobody', () => {
    const group = GroupOf.open(3)
    for (const seat of group.seats) {
      const others = group.seats.filter((other) => other !== seat)
      for (const destination of [0n, 0x4711n, ...others.map(({ machine }) => machine.options.nonce)])
        seat.input({ kind: 'packet', from: '10.9.9.9:9', bytes: noticeFor(seat, destination) })
      expect(seat.machine.counters.rejected.destination).toBe(4)
    }
    group.advance(3000)
    for (const seat of group.seats) {
      expect(seat.isOver).toBe(false)
      expect(seat.view.members).toHaveLength(3)
      expect(seat.events).toEqual([])
    }
  })

  test('that names this life, and results upon its own, is believed: without a key it may be a forger’s', () => {
    const group = GroupOf.open(3)
    const target = group.seats[2]!
    target.input({
      kind: 'packet',
      from: '10.9.9.9:9',
      bytes: noticeFor(target, target.machine.options.nonce),
    })
    expect(target.events.map(({ event }) => event)).toEqual(['expelled', 'closed'])
  })

  test('reaches one that was cut off, though it waits until enough has been asked', () => {
    const group = GroupOf.open(4)
    const cutOff = group.seats[3]!
    const notices: number[] = []
    const between = ({ from, to }: Passing): boolean => from === cutOff || to === cutOff
    group.isLost = between
    group.until(() => group.first.view.members.length === 3, 'the others have gone on')
    group.isLost = ({ to, kind, bytes }) => {
      if (to === cutOff && kind === 'expelled') notices.push(bytes.length)
      return false
    }
    group.until(() => cutOff.isOver, 'it has been told', 3000)
    expect(cutOff.events.at(-1)).toMatchObject({ event: 'closed', code: 'ERR_EXPELLED' })
    expect(notices.length).toBeLessThan(10)
  })
})
