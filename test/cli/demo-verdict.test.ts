import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { refuseHopelessKill } from '../../cli/demo.ts'
import { jsonScreen, verdictLines } from '../../cli/demo-screen.ts'
import { judge, type MemberReport, type Verdict } from '../../cli/demo-verdict.ts'
import { OrderDigest } from '../../cli/digest.ts'
import { Output } from '../../cli/output.ts'
import { Trail } from '../../cli/trail.ts'

interface Message {
  readonly seq: number
  readonly sender: number
  readonly body: Uint8Array
}

const MEMBERS = 3
const MESSAGES = 3000

/** What all members should have delivered: places with gaps where views changed, some bodies large, some empty. */
function theOrder(): Message[] {
  return Array.from({ length: MESSAGES }, (_, i) => ({
    seq: 4 + i + Math.floor(i / 1000),
    sender: 1 + (i % MEMBERS),
    body: new Uint8Array(i % 500 === 0 ? 70_000 : i % 97).fill(i),
  }))
}

function reportOf(
  memberId: number,
  delivered: readonly Message[],
  lastSeq = Number.MAX_SAFE_INTEGER,
): MemberReport {
  const digest = new OrderDigest()
  for (const { seq, sender, body } of delivered) digest.add(seq, sender, body)
  return {
    memberId,
    sent: MESSAGES / MEMBERS,
    failed: 0,
    ownOutOfOrder: 0,
    trails: {},
    ...digest.finish(lastSeq),
  }
}

/** Reports of members that all delivered the same, but for the second, which delivered `second`. */
function reports(second: readonly Message[] = theOrder()): MemberReport[] {
  return [reportOf(1, theOrder()), reportOf(2, second), reportOf(3, theOrder())]
}

describe('the verdict', () => {
  test('is ok when all members delivered the same', () => {
    const verdict = judge(reports(), { survivors: MEMBERS })
    expect(verdict).toMatchObject({ ok: true, members: 3, messages: MESSAGES, resetMs: null, problems: [] })
    expect(verdict.digest).toMatch(/^[0-9a-f]{64}$/)
  })

  test('is not ok when one member has two messages swapped', () => {
    const swapped = theOrder()
    const [a, b] = [swapped[1500]!, swapped[1501]!]
    swapped[1500] = { ...b, seq: a.seq }
    swapped[1501] = { ...a, seq: b.seq }
    const verdict = judge(reports(swapped), { survivors: MEMBERS })
    expect(verdict).toMatchObject({ ok: false, digest: null })
    expect(verdict.problems.join()).toContain(
      'member 2 delivered other messages or another order than member 1',
    )
  })

  test('is not ok when one member has lost a message', () => {
    const verdict = judge(reports(theOrder().toSpliced(700, 1)), { survivors: MEMBERS })
    expect(verdict.ok).toBe(false)
    expect(verdict.problems).toContain('member 2 delivered 2999 messages, member 1 delivered 3000')
    expect(verdict.problems).toContain('member 2 had 1000 sends returned, member 2 delivered 999 of them')
  })

  test('is not ok when all members have lost the same message', () => {
    const lost = theOrder().toSpliced(700, 1)
    const verdict = judge([reportOf(1, lost), reportOf(2, lost), reportOf(3, lost)], { survivors: MEMBERS })
    expect(verdict.ok).toBe(false)
  })

  test.each([
    ['sequence number', (message: Message) => ({ ...message, seq: message.seq + 1 })],
    ['sender', (message: Message) => ({ ...message, sender: 9 })],
    ['body', (message: Message) => ({ ...message, body: message.body.with(0, 255) })],
    ['body cut short', (message: Message) => ({ ...message, body: message.body.subarray(1) })],
    ['message twice', (message: Message) => message],
  ])('is not ok when one member has another %s', (what, change) => {
    const other = theOrder()
    const last = other.at(-1)!
    if (what === 'message twice') other.push(change(last))
    else other[other.length - 1] = change(last)
    expect(judge(reports(other), { survivors: MEMBERS }).ok).toBe(false)
  })

  test('is not ok without messages, without a member, or with a problem on the way', () => {
    expect(judge([], { survivors: 0 }).ok).toBe(false)
    expect(judge(reports().slice(1), { survivors: MEMBERS }).problems).toEqual(['2 of 3 members reported'])
    expect(judge(reports(), { survivors: MEMBERS, problems: ['m2 (pid 7): was ended by SIGKILL'] }).ok).toBe(
      false,
    )
    const [first, ...rest] = reports()
    expect(judge([{ ...first!, failed: 1 }, ...rest], { survivors: MEMBERS }).ok).toBe(false)
    expect(judge([{ ...first!, ownOutOfOrder: 1 }, ...rest], { survivors: MEMBERS }).ok).toBe(false)
  })

  test('after a kill: what the dead had had returned is at its place at every survivor', () => {
    const dead = new Trail()
    const trails = Array.from({ length: 2 }, () => new Trail())
    for (let seq = 10; seq < 2010; seq += 2) {
      for (const trail of trails) trail.add(seq)
      if (seq < 2000) dead.add(seq)
    }
    const returned = new Map([[1, { count: dead.count, digest: dead.digest()! }]])
    const judged = (second: Trail): Verdict => {
      const all = [reportOf(2, theOrder()), reportOf(3, theOrder())].map((report, i) => ({
        ...report,
        trails: { 1: (i === 0 ? trails[0]! : second).digest(dead.count) ?? null },
      }))
      return judge(all, { survivors: 2, killed: 1, resetMs: 41, returned })
    }
    expect(judged(trails[1]!)).toMatchObject({ ok: true, members: 3, survivors: 2, resetMs: 41 })
    expect(verdictLines(judged(trails[1]!))[0]).toBe(
      'OK: 3000 messages in the same order at all 2 survivors, none lost, reset after 41 ms',
    )
    const short = new Trail()
    for (let seq = 10; seq < 1990; seq += 2) short.add(seq)
    const moved = new Trail()
    for (let seq = 10; seq < 2010; seq += 2) moved.add(seq === 500 ? 501 : seq)
    for (const other of [short, moved]) {
      const verdict = judged(other)
      expect(verdict.ok).toBe(false)
      expect(verdict.problems).toEqual([
        'member 1 had 995 sends returned, and member 3 does not have all of them at their places',
      ])
    }
  })

  test('a demo whose survivors could not go on is refused, and told what to set', () => {
    for (const [members, minMembers] of [
      [3, 'majority'],
      [4, 'majority'],
      [2, 1],
      [5, 4],
    ] as const) {
      expect(() => refuseHopelessKill(members, minMembers)).not.toThrow()
    }
    expect(() => refuseHopelessKill(2, 'majority')).toThrow(
      'leave 1 of 2 members, and this group goes on with no fewer than 2; set --members 3 or more, --min-members 1, or --no-kill',
    )
    expect(() => refuseHopelessKill(1, 1)).toThrow('set --members 2 or more, or --no-kill')
    expect(() => refuseHopelessKill(5, 5)).toThrow('set --members 6 or more, --min-members 4, or --no-kill')
  })

  test('as JSON has the fields that programs look for', async () => {
    const stream = new PassThrough()
    const output = new Output(stream, () => {})
    jsonScreen(output).verdict(judge(reports(), { survivors: MEMBERS }))
    await output.end()
    const line = (stream.read() as Buffer).toString()
    expect(line).toMatch(
      /^\{"event":"verdict","ok":true,"members":3,"survivors":3,"messages":3000,"digest":"[0-9a-f]{64}","resetMs":null\}\n$/,
    )
  })

  test('for people names what is wrong', () => {
    expect(verdictLines(judge(reports(), { survivors: MEMBERS }))[0]).toContain(
      'OK: 3000 messages in the same order at all 3 members',
    )
    expect(verdictLines(judge(reports().slice(1), { survivors: MEMBERS }))).toEqual([
      'NOT OK',
      '  2 of 3 members reported',
    ])
  })
})

describe('the digest', () => {
  test('held back, takes no more than the common stretch', () => {
    const order = theOrder()
    const cut = order[2000]!.seq
    const whole = new OrderDigest()
    for (const [i, { seq, sender, body }] of order.entries()) {
      if (i === 1800) whole.hold()
      whole.add(seq, sender, body)
    }
    expect(whole.lastSeq).toBe(order[1799]!.seq)
    const { digest } = reportOf(1, order.slice(0, 2001))
    expect(whole.finish(cut)).toMatchObject({ digest, messages: 2001 })
  })
})

describe('a trail', () => {
  test('can be asked about counts that are not too long ago, and tells every difference', () => {
    const kept = 16
    const one = new Trail(kept)
    const other = new Trail()
    for (let i = 0; i < 1000; i++) {
      one.add(3 * i)
      other.add(3 * i)
      expect(one.digest()).toBe(other.digest())
    }
    for (let count = 1000 - kept; count <= 1000; count++) expect(one.digest(count)).toBe(other.digest(count))
    expect(one.digest(1001)).toBeUndefined()
    expect(one.digest(10)).toBeUndefined()
    expect(new Set(Array.from({ length: kept }, (_, i) => one.digest(1000 - i))).size).toBe(kept)
    expect(new Trail().digest(0)).toBe(new Trail(1).digest())
  })
})
