/** The table of limits in SECURITY.md is true: each names counters that there are, and those that are cheap to meet count. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { REQUEST_WINDOWS } from '../../group/member/office.ts'
import { limitNames } from '../../kernel/counters.ts'
import { encodeLocate, LocatePurpose } from '../../kernel/meeting-packets.ts'
import { Router } from '../../kernel/node/router.ts'
import { sealFaults } from '../../kernel/node/secure/opener.ts'
import type { OrderState } from '../../kernel/order-state.ts'
import { HEADER_BYTES, PacketKind, rejectReasons } from '../../kernel/packet.ts'
import { DATA_HEAD_BYTES, ORDER_HEAD_BYTES, writeData, writeOrderHead } from '../../kernel/packets.ts'
import { completeParameters } from '../../kernel/parameters.ts'
import { GroupOf, Seat } from '../protocol/group-of.ts'
import { messageBlock } from '../support/blocks.ts'
import { listFiles, repositoryRoot } from '../support/files.ts'
import { namesFor, packetOf } from '../support/packets.ts'

const NO_BYTES = new Uint8Array(0)

describe('the table', () => {
  const text = readFileSync(`${repositoryRoot}SECURITY.md`, 'utf8')
  const section = /## Limits, and the counters that tell\n([\s\S]+?)\n## /.exec(text)![1]!
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| what'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
  /** The names of all metrics, of which test/node/observing.test.ts says that they are. */
  const metrics = readFileSync(`${repositoryRoot}kernel/node/observing.md`, 'utf8')
  const labels: Readonly<Record<string, readonly string[]>> = {
    rejected: rejectReasons,
    limited: limitNames,
    seal_rejected: sealFaults,
  }

  test('has a counter that there is for each limit', () => {
    expect(rows.length).toBeGreaterThan(20)
    for (const [, what, , , counters] of rows) {
      const names = [...counters!.matchAll(/`([a-z_]+)(?:\{([^}]*)\})?`/g)]
      if (names.length === 0) expect([what, counters]).toEqual([what, expect.stringMatching(/^none: .{10}/)])
      for (const [, name, label] of names) {
        const known = labels[name!]
        if (known !== undefined) expect(known, `${what}: ${name}`).toContain(label)
        else expect(metrics, `${what}: ${name}`).toContain(`\`${name!.replace('amoebacast_', '')}\``)
      }
    }
  })

  test('has every limit that is counted', () => {
    const counted = rows.flatMap(([, , , , counters]) =>
      [...counters!.matchAll(/`limited\{(\w+)\}`/g)].map(([, limit]) => limit!),
    )
    expect([...new Set(counted)].sort()).toEqual([...limitNames].sort())
  })

  test('says as many send windows as there are', () => {
    const said = rows.filter(([, , most]) => most!.includes('send windows'))
    expect(said).toHaveLength(2)
    for (const [, , most] of said) expect(most).toMatch(new RegExp(`^${REQUEST_WINDOWS} send windows`))
  })

  test('names files that there are', () => {
    const files = listFiles()
    const named = rows.flatMap((row) => [...row.join().matchAll(/`([\w/-]+\.ts)`/g)].map(([, file]) => file!))
    expect(named.length).toBeGreaterThan(10)
    for (const file of named)
      expect(
        files.filter((one) => `/${one}`.endsWith(`/${file}`)),
        file,
      ).toHaveLength(1)
  })
})

// ---- limits that are met without a packet being dropped ---------------------------------------------------
// (`repair`: ../fuzz/spoofed.test.ts)

describe('counts', () => {
  test('nothing in an ordinary life', () => {
    const group = new GroupOf()
    for (let i = 0; i < 4; i++) {
      const peers = group.seats.map(({ address }) => address)
      const seat = new Seat(group, i, { peers })
      group.seats.push(seat)
      const open = { call: 'open', token: 1, parameters: completeParameters(), header: NO_BYTES } as const
      seat.call({ ...open, how: 'joinOrCreate', port: 'group-of', minStarters: 3 })
      group.advance(3)
    }
    group.until(() => group.seats.every(({ memberId }) => memberId !== 0), 'all are members')
    // one misses a while of it, and catches up
    group.isLost = ({ to, kind }) => to === group.seats[3] && kind === 'order'
    for (const seat of group.seats) for (let i = 0; i < 50; i++) seat.send(5000)
    group.advance(20)
    group.isLost = () => false
    group.until(() => group.seats.every(({ messageCount }) => messageCount === 200), 'all is delivered')
    group.first.leave()
    group.settle()
    for (const { name, machine } of group.seats)
      expect([name, ...Object.values(machine.counters.limited)]).toEqual([name, ...limitNames.map(() => 0)])
  })

  test('a joiner for whom the view has no room', () => {
    const group = GroupOf.open(2, { parameters: { maxMembers: 2 } })
    const joiner = group.begin()
    group.until(() => joiner.openFailed !== undefined, 'it is refused')
    expect(joiner.openFailed).toMatch(/^ERR_GROUP_FULL/)
    expect(group.first.machine.counters.limited.members).toBe(1)
  })

  test('other starters beyond those that are remembered', () => {
    const starter = starting(9999)
    for (let i = 0; i < 1024; i++) answerAs(starter, i)
    expect(starter.machine.counters.limited.starters).toBe(0)
    answerAs(starter, 1024)
    expect(starter.machine.counters.limited.starters).toBeGreaterThan(0)
  })

  test('another starter that is told no more', () => {
    const starter = starting(3)
    for (let i = 0; i < 3; i++) askAs(starter, 7)
    expect(starter.machine.counters.limited.starters).toBe(0)
    askAs(starter, 7)
    expect(starter.machine.counters.limited.starters).toBe(1)
  })

  test('mail for the dead that is not answered', () => {
    const router = new Router()
    const mail = packetOf(PacketKind.state, { senderNonce: 5n, destination: 6n })
    const answers = Array.from({ length: 70 }, () => router.route('a:1', mail, 1000, () => {}))
    expect(answers.filter((answer) => answer !== undefined)).toHaveLength(64)
    expect(router.counters.limited.gone).toBe(6)
  })

  test('a block in more pieces than are put together', () => {
    const group = GroupOf.open(2)
    const { first } = group
    const member = group.seats[1]!
    const { memberId: sender, machine } = member
    for (let i = 0; i < 2050; i++) {
      const names = { ...namesFor(first), sender, senderNonce: machine.options.nonce }
      const packet = packetOf(PacketKind.data, names, new Uint8Array(DATA_HEAD_BYTES + 1))
      writeData(packet, { member: sender, request: 9, total: 60_000, offset: 2 * i + 1, bytes: NO_BYTES })
      first.input({ kind: 'packet', from: member.address, bytes: packet })
    }
    expect(first.machine.counters.limited.blocks).toBe(2)
    expect(first.machine.counters.rejected.overflow).toBe(2)
  })

  test('orders of more bytes than the history has', () => {
    const group = GroupOf.open(2, { parameters: { historyBytes: 8192, maxMessageSize: 2048 } })
    const { first } = group
    const member = group.seats[1]!
    const { history } = (member.machine as unknown as { membership: { state: OrderState } }).membership.state
    const stable = history.received
    const names = { ...namesFor(member), destination: 0n, sender: first.memberId }
    const senderNonce = first.machine.options.nonce
    const body = new Uint8Array(3000)
    for (let i = 0; i < 500; i++) {
      const block = messageBlock(first.memberId, 1 + i, [{ body }])
      const bytes = new Uint8Array(ORDER_HEAD_BYTES + 1 + block.length)
      const packet = packetOf(PacketKind.order, { ...names, senderNonce, received: stable + i }, bytes)
      const seq = stable + 1 + i
      writeOrderHead(packet, { highest: seq, accepted: stable, stable, firstSeq: seq, entries: 1, ackers: 0 })
      packet.set(block, HEADER_BYTES + ORDER_HEAD_BYTES + 1)
      member.input({ kind: 'packet', from: '203.0.113.9:9', bytes: packet })
    }
    expect(history.bytes).toBeLessThanOrEqual(2 * 8192)
    expect(history.bytes).toBeGreaterThan(2 * 8192 - 2 * body.length)
    expect(member.machine.counters.limited.history).toBe(1)
  })

  test('requests of a member beyond what waits for the one before them', () => {
    const group = GroupOf.open(2)
    const { first } = group
    const { memberId: sender, machine, address } = group.seats[1]!
    const names = { ...namesFor(first), sender, senderNonce: machine.options.nonce }
    const { sendWindow } = machine.options
    const body = new Uint8Array(1000)
    const bytes = messageBlock(sender, 1, [{ body }]).length
    const most = Math.floor((REQUEST_WINDOWS * sendWindow) / bytes)
    for (let i = 0; i < most + 50; i++) {
      const request = messageBlock(sender, 100 + i, [{ body }])
      first.input({ kind: 'packet', from: address, bytes: packetOf(PacketKind.request, names, request) })
    }
    const { limited, rejected } = first.machine.counters
    expect(limited.requests).toBe(50)
    expect(rejected.overflow).toBe(limited.requests)
  })
})

/** One that waits for so many others to create a group with. */
function starting(minStarters: number): Seat {
  const group = new GroupOf()
  const seat = new Seat(group, 0, { peers: [] })
  const open = { call: 'open', token: 1, parameters: completeParameters(), header: NO_BYTES } as const
  seat.call({ ...open, how: 'joinOrCreate', port: 'group-of', minStarters })
  return seat
}

function askAs(seat: Seat, number: number, destination = 0n): void {
  const body = encodeLocate({ port: 'group-of', purpose: LocatePurpose.candidate })
  const names = { senderNonce: BigInt(number + 1000), destination }
  seat.input({ kind: 'packet', from: `10.0.0.1:${number}`, bytes: packetOf(PacketKind.locate, names, body) })
}

function answerAs(seat: Seat, number: number): void {
  askAs(seat, number, seat.machine.options.nonce)
}
