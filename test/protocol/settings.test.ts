/** What a group has agreed upon (kernel/settings.ts): when it changes, who is refused, what is taken back. */
import { describe, expect, test } from 'vitest'
import { Counters } from '../../kernel/counters.ts'
import type { Seq } from '../../kernel/identity.ts'
import { encodeIncompatible } from '../../kernel/meeting-packets.ts'
import { type Baseline, OrderState } from '../../kernel/order-state.ts'
import { Outbox } from '../../kernel/outbox.ts'
import {
  HEADER_BYTES,
  type PacketHeader,
  PacketKind,
  readHeader,
  sealKeyOf,
  writeHeader,
  writeSealKey,
} from '../../kernel/packet.ts'
import { parameterDefaults } from '../../kernel/parameters.ts'
import { decodeSettings, encodeSettings } from '../../kernel/settings.ts'
import { ProgressTable } from '../../sequencer/progress.ts'
import { SettingsKeeper } from '../../sequencer/settings-keeper.ts'
import { memberOf } from '../support/members.ts'
import { GroupOf } from './group-of.ts'

const OLD = 0x0a0a0a0a
const NEW = 0x0b0b0b0b
const NEWER = 0x0c0c0c0c

function stateOf(members: readonly number[], keyId = OLD): OrderState {
  const view = {
    groupId: 7n,
    incarnation: 1,
    coordinator: 1,
    seq: 10,
    sequencer: 1,
    members: members.map((id) => memberOf(id)),
  }
  const baseline: Baseline = {
    parameters: parameterDefaults,
    before: view,
    view,
    results: [{ ballot: { incarnation: 1, endIncarnation: 0, endSeq: 0, coordinator: 1 }, seq: 10 }],
    seq: 10,
    stable: 10,
    accepted: 10,
    requests: new Map(),
    nextMemberId: members.length + 1,
    settings: { seq: 10, version: 1, keyId },
  }
  return new OrderState(baseline)
}

/** The next entry of the order changes the settings. */
function change(state: OrderState, keyId: number, version = 1): Seq {
  const seq = state.history.received + 1
  const block = encodeSettings(1, { version, keyId })
  const entry = { seq, count: 1, kind: 5, member: 1, firstRequest: 0, block, isSpread: false } as const
  state.history.append(entry)
  state.apply(entry)
  return seq
}

/** The next entry of the order is a message. */
function message(state: OrderState): void {
  const seq = state.history.received + 1
  const block = new Uint8Array(30)
  const entry = { seq, count: 1, kind: 1, member: 1, firstRequest: 1, block, isSpread: false } as const
  state.history.append(entry)
  state.apply(entry)
}

const outboxOf = (state: OrderState | undefined, keys: readonly number[], highest = 2): Outbox =>
  new Outbox(
    {
      nonce: 1n,
      address: 'a:1',
      window: 9,
      transport: 'multicast',
      packetSize: 1400,
      keys,
      versions: { lowest: 1, highest },
    },
    new Counters(),
    () => state,
  )

describe('the table', () => {
  test('follows the order from the moment at which the change is held, and goes back with it', () => {
    const state = stateOf([1, 2])
    const seq = change(state, NEW, 2)
    expect(state.settings).toEqual({ seq, version: 2, keyId: NEW })
    expect(state.toBaseline().settings).toBe(state.settings)
    change(state, NEWER, 2)
    state.dropAbove(seq)
    expect(state.settings.keyId).toBe(NEW)
    state.dropAbove(seq - 1)
    expect(state.settings).toEqual({ seq: 10, version: 1, keyId: OLD })
  })

  test('remembers what was before until the change is stable', () => {
    const state = stateOf([1, 2])
    const seq = change(state, NEW)
    const keys = (): number[] => state.settingsLog.map(({ keyId }) => keyId)
    state.accept(seq)
    state.release(seq - 1)
    expect(keys()).toEqual([OLD, NEW])
    state.release(seq)
    expect(keys()).toEqual([NEW])
  })

  test('a block that is no change is none', () => {
    const block = encodeSettings(1, { version: 1, keyId: NEW })
    expect(decodeSettings(block)).toEqual({ version: 1, keyId: NEW })
    expect(decodeSettings(block.subarray(0, block.length - 1))).toBeUndefined()
    for (const [at, value] of [
      [0, 1],
      [23, 1],
      [24, 0],
      [25, 1],
      [26, 4],
      [27, 0],
    ] as const) {
      const other = block.slice()
      other[at] = value
      expect([at, decodeSettings(other)]).toEqual([at, undefined])
    }
  })
})

describe('the sequencer', () => {
  const headerOf = (newestKey: number, received: Seq): PacketHeader =>
    ({ newestKey, received }) as unknown as PacketHeader
  const keeperOf = (state: OrderState, keys: readonly number[], progress = new ProgressTable()) =>
    new SettingsKeeper(1, state, outboxOf(state, keys), progress)

  test('orders a key when the last member has said that it is its newest', () => {
    const state = stateOf([1, 2, 3])
    const keeper = keeperOf(state, [NEW, OLD])
    expect(keeper.next()).toBeUndefined()
    expect(keeper.heard(2, headerOf(NEW, 10))).toBe(true)
    expect(keeper.heard(2, headerOf(NEW, 10))).toBe(false)
    expect(keeper.heard(3, headerOf(OLD, 10))).toBe(false)
    expect(keeper.next()).toBeUndefined()
    expect([1, 2, 3].map((id) => keeper.newestKeyOf(id))).toEqual([NEW, NEW, OLD])
    expect(keeper.heard(3, headerOf(NEW, 10))).toBe(true)
    expect(keeper.next()).toEqual({ version: 1, keyId: NEW })
    // one of them thinks better of it
    expect(keeper.heard(2, headerOf(OLD, 10))).toBe(true)
    expect(keeper.next()).toBeUndefined()
  })

  test('believes nobody that speaks from before the last change', () => {
    const state = stateOf([1, 2])
    const keeper = keeperOf(state, [NEWER, NEW])
    keeper.heard(2, headerOf(NEWER, 10))
    const seq = change(state, NEW)
    // what was said before counts no more, nor does what comes late: its sender may have been let forget that key
    expect(keeper.next()).toBeUndefined()
    expect(keeper.heard(2, headerOf(NEWER, seq - 1))).toBe(false)
    expect(keeper.next()).toBeUndefined()
    keeper.heard(2, headerOf(NEWER, seq))
    expect(keeper.next()).toEqual({ version: 1, keyId: NEWER })
  })

  test('believes no earlier word than the last: what comes late, or is played back', () => {
    const state = stateOf([1, 2])
    const progress = new ProgressTable()
    progress.begin(2, 10, 0, 0)
    const keeper = keeperOf(state, [NEW, OLD], progress)
    const hear = (newestKey: number, received: Seq) => {
      const header = headerOf(newestKey, received)
      progress.report(2, { ...header, taken: received, window: 0 }, 0)
      return keeper.heard(2, header)
    }
    expect(hear(NEW, 11)).toBe(true)
    expect(hear(OLD, 12)).toBe(true)
    expect(hear(NEW, 11)).toBe(false)
    expect(keeper.next()).toBeUndefined()
    // (of the words said at one place none is known to be the later)
    expect(hear(NEW, 12)).toBe(true)
    expect(keeper.next()).toEqual({ version: 1, keyId: NEW })
  })

  test('believes no word that was said to the one before it', () => {
    const state = stateOf([1, 2])
    message(state)
    const { received } = state.history
    const later = keeperOf(state, [NEW, OLD])
    expect(state.settings.seq).toBeLessThan(received)
    expect(later.heard(2, headerOf(NEW, received - 1))).toBe(false)
    expect(later.heard(2, headerOf(NEW, received))).toBe(true)
  })

  test('waits while a change of view is not accepted', () => {
    const state = stateOf([1])
    const keeper = keeperOf(state, [NEW, OLD])
    expect(keeper.next()).toEqual({ version: 1, keyId: NEW })
    const view = { ...state.view, seq: 11, members: [...state.view.members, memberOf(2)] }
    state.pending.push({ seq: 11, view, join: undefined, leave: undefined, result: undefined })
    expect(keeper.next()).toBeUndefined()
  })
})

describe('packets', () => {
  test('go under the key of the group; to who came with another, under that one', () => {
    const state = stateOf([1, 2])
    const outbox = outboxOf(state, [NEW, OLD])
    const keyTo = (nonce: bigint, kind: PacketKind = PacketKind.left): number =>
      sealKeyOf(outbox.packet(kind, 0, nonce, 0))
    expect([keyTo(0n), keyTo(2n)]).toEqual([OLD, OLD])
    change(state, NEW)
    expect([keyTo(0n), keyTo(2n)]).toEqual([NEW, NEW])
    const packet = new Uint8Array(HEADER_BYTES)
    writeSealKey(packet, OLD)
    outbox.heard(2n, 1, packet)
    expect([keyTo(0n), keyTo(2n), keyTo(3n)]).toEqual([NEW, OLD, NEW])
    writeSealKey(packet, NEW)
    outbox.heard(2n, 1, packet)
    expect(keyTo(2n)).toBe(NEW)
    // who asks without knowing what the other holds
    for (const kind of [PacketKind.locate, PacketKind.invite, PacketKind.inquiry, PacketKind.probe])
      expect(keyTo(2n, kind)).toBe(0)
    expect((readHeader(outbox.packet(PacketKind.state, 0, 0n, 0)) as PacketHeader).newestKey).toBe(NEW)
  })

  test('are answered in the version in which they came', () => {
    const state = stateOf([1, 2])
    const outbox = outboxOf(state, [])
    change(state, 0, 2)
    outbox.heard(2n, 1, new Uint8Array(HEADER_BYTES))
    expect([
      outbox.packet(PacketKind.left, 0, 2n, 0)[1],
      outbox.packet(PacketKind.left, 0, 3n, 0)[1],
    ]).toEqual([1, 2])
  })
})

describe('one that has left holds a change behind its leave', () => {
  test('it seals with each key that it has, and writes as high as it can', () => {
    const state = stateOf([1, 2])
    const outbox = outboxOf(state, [OLD], 1)
    change(state, NEW, 2)
    const packet = outbox.packet(PacketKind.state, 0, 2n, 0)
    expect([sealKeyOf(packet), packet[1]]).toEqual([0, 1])
    outbox.setKeys([NEW, OLD])
    expect(sealKeyOf(outbox.packet(PacketKind.state, 0, 2n, 0))).toBe(NEW)
  })
})

describe('a rolling upgrade', () => {
  const BOTH = { lowest: 1, highest: 2 }
  const ONE = { lowest: 1, highest: 1 }

  test('the version rises when the last old member has gone, at one place', () => {
    const group = new GroupOf()
    const old = [group.add({ versions: ONE }), group.add({ versions: ONE })]
    const fresh = [group.add({ versions: BOTH }), group.add({ versions: BOTH })]
    const versionsOf = (): number[] => fresh.map(({ machine }) => machine.info().settings.version)
    for (const seat of old) {
      group.advance(100)
      expect(versionsOf()).toEqual([1, 1])
      seat.leave()
      group.until(() => seat.isOver, 'it has left')
    }
    group.until(() => versionsOf().every((version) => version === 2), 'the version has risen')
    const told = fresh.map(({ events }) => events.filter(({ event }) => event === 'settings'))
    expect(told[0]).toMatchObject([{ settings: { version: 2 }, before: { version: 1 } }])
    expect(told[1]).toEqual(told[0])
    const late = group.begin({ versions: ONE })
    group.until(() => late.openFailed !== undefined, 'it is refused')
    expect(late.openFailed).toMatch(/^ERR_INCOMPATIBLE/)
    const sent = group.add({ versions: BOTH }).send(10)
    group.until(() => sent.seq !== undefined, 'its send is ordered')
  })

  test('a joiner whose range ends below the version is refused by name of both', () => {
    const group = new GroupOf()
    group.add({ versions: BOTH })
    // (the answer to its question comes in its own version)
    const late = group.begin({ versions: ONE })
    group.until(() => late.openFailed !== undefined, 'it is refused')
    expect(late.openFailed).toMatch(/^ERR_INCOMPATIBLE: .*speaks version 2 .*this process version 1/)
  })

  test('who is told that its question cannot be read asks again in a version that both have', () => {
    const group = new GroupOf()
    const seat = group.begin({ versions: BOTH })
    const asked: number[] = []
    const other = group.begin({ versions: BOTH })
    group.isLost = ({ from, kind, bytes }) => {
      if (from === other && kind === 'locate') asked.push(bytes[1]!)
      return kind !== 'incompatible'
    }
    group.advance(1)
    const body = encodeIncompatible({ lowest: 2, highest: 3 })
    const answer = new Uint8Array(HEADER_BYTES + body.length)
    const names = { groupId: 0n, incarnation: 0, coordinator: 0, sender: 0, received: 0, taken: 0, window: 0 }
    const kind = PacketKind.incompatible
    const { nonce: senderNonce } = seat.machine.options
    const { nonce: destination } = other.machine.options
    writeHeader(answer, { ...names, kind, flags: 0, senderNonce, destination })
    answer.set(body, HEADER_BYTES)
    other.input({ kind: 'packet', from: seat.address, bytes: answer })
    group.until(() => asked.includes(2), 'it asks in version 2')
    expect(asked[0]).toBe(2)
  })
})
