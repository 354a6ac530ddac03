/**
 * The bytes of what the sequencer tells about its group: the baseline of a join's answer, with parameters,
 * view and tables (design 4.4), and the inspection that anybody may ask for.
 */
import { readResults, writeResults } from './ballot.ts'
import { type MemberId, type RequestNumber, Right, type Role } from './identity.ts'
import { readVersions, writeVersions } from './meeting-packets.ts'
import type { Baseline } from './order-state.ts'
import { completeParameters, type GroupParameters } from './parameters.ts'
import type { GroupInspection, Lag } from './port.ts'
import { readSettings, writeSettings } from './settings.ts'
import type { Member, View } from './view.ts'
import { Reader, Writer } from './wire.ts'

const MAJORITY = 0xffff

export interface JoinAnswer {
  /** The id that the joiner has been given. */
  readonly memberId: MemberId
  readonly baseline: Baseline
}

export function encodeJoinAnswer({ memberId, baseline }: JoinAnswer): Uint8Array {
  const writer = new Writer(1024).u53(memberId)
  writeParameters(writer, baseline.parameters)
  writeView(writer, baseline.before)
  writeView(writer, baseline.view)
  writeResults(writer, baseline.results)
  writer.u53(baseline.seq).u53(baseline.stable).u53(baseline.accepted).u53(baseline.nextMemberId)
  writeSettings(writer, baseline.settings)
  writeRequests(writer, baseline.requests)
  return writer.finish()
}

export function decodeJoinAnswer(bytes: Uint8Array): JoinAnswer | undefined {
  const reader = new Reader(bytes)
  const memberId = reader.u53()
  const parameters = readParameters(reader)
  const before = readView(reader)
  const view = readView(reader)
  const results = readResults(reader)
  const seq = reader.u53()
  const stable = reader.u53()
  const accepted = reader.u53()
  const nextMemberId = reader.u53()
  const settings = readSettings(reader)
  const requests = readRequests(reader)
  if (!reader.done || results === undefined || stable > accepted || accepted > seq) return undefined
  if (!view.members.some((member) => member.id === memberId)) return undefined
  if (!areParameters(parameters) || view.members.at(-1)!.id >= nextMemberId) return undefined
  if (before.seq > view.seq || view.seq > seq || settings.seq > seq) return undefined
  const tables = { requests, nextMemberId, settings }
  const baseline = { parameters, before, view, results, seq, stable, accepted, ...tables }
  return { memberId, baseline }
}

export function encodeInspection(inspection: GroupInspection): Uint8Array {
  const writer = new Writer(1024).text(inspection.port)
  writeParameters(writer, inspection.parameters)
  writeView(writer, inspection.view)
  writer.u53(inspection.seq).u53(inspection.accepted).u53(inspection.stable)
  writer.u53(inspection.historyMessages).u53(inspection.historyBytes)
  writer.u16(inspection.lags.length)
  for (const { id, messages } of inspection.lags) writer.u53(id).u53(messages)
  writeSettings(writer, inspection.settings).u16(inspection.newestKeys.length)
  for (const { id, keyId } of inspection.newestKeys) writer.u53(id).u32(keyId)
  return writer.finish()
}

export function decodeInspection(bytes: Uint8Array): GroupInspection | undefined {
  const reader = new Reader(bytes)
  const port = reader.text()
  const parameters = readParameters(reader)
  const view = readView(reader)
  const seq = reader.u53()
  const accepted = reader.u53()
  const stable = reader.u53()
  const historyMessages = reader.u53()
  const historyBytes = reader.u53()
  const lags: Lag[] = []
  const count = reader.u16()
  for (let i = 0; i < count && !reader.bad; i++) {
    const id = reader.u53()
    lags.push({ id, messages: reader.u53() })
  }
  const settings = readSettings(reader)
  const newestKeys: { id: MemberId; keyId: number }[] = []
  const keys = reader.u16()
  for (let i = 0; i < keys && !reader.bad; i++) {
    const id = reader.u53()
    newestKeys.push({ id, keyId: reader.u32() })
  }
  if (!reader.done || !areParameters(parameters)) return undefined
  const places = { seq, accepted, stable, historyMessages, historyBytes }
  return { port, parameters, view, ...places, lags, settings, newestKeys }
}

function writeParameters(writer: Writer, parameters: GroupParameters): void {
  writer
    .u16(parameters.resilience === 'majority' ? MAJORITY : parameters.resilience)
    .u16(parameters.minMembers === 'majority' ? MAJORITY : parameters.minMembers)
    .u8(parameters.recovery === 'auto' ? 0 : 1)
    .u16(parameters.maxMembers)
    .u32(parameters.historySize)
    .u32(parameters.historyBytes)
    .u32(parameters.maxMessageSize)
    .u32(parameters.slowMember === 'block' ? 0 : parameters.slowMember.expelAfterMs)
}

function readParameters(reader: Reader): GroupParameters {
  const resilience = reader.u16()
  const minMembers = reader.u16()
  const recovery = reader.u8()
  const maxMembers = reader.u16()
  const historySize = reader.u32()
  const historyBytes = reader.u32()
  const maxMessageSize = reader.u32()
  const expelAfterMs = reader.u32()
  return {
    resilience: resilience === MAJORITY ? 'majority' : resilience,
    minMembers: minMembers === MAJORITY ? 'majority' : minMembers,
    recovery: recovery === 0 ? 'auto' : 'manual',
    maxMembers,
    historySize,
    historyBytes,
    maxMessageSize,
    slowMember: expelAfterMs === 0 ? 'block' : { expelAfterMs },
  }
}

/** Nobody can have created a group with others: with them a member would stumble over its own bounds. */
function areParameters(parameters: GroupParameters): boolean {
  try {
    completeParameters(parameters)
    return true
  } catch {
    return false
  }
}

export function writeView(writer: Writer, view: View): void {
  writer.u64(view.groupId).u53(view.incarnation).u53(view.coordinator).u53(view.seq).u53(view.sequencer)
  writeMembers(writer, view.members)
}

export function readView(reader: Reader): View {
  const groupId = reader.u64()
  const incarnation = reader.u53()
  const coordinator = reader.u53()
  const seq = reader.u53()
  const sequencer = reader.u53()
  const members = readMembers(reader)
  // ids rise in order of joining: whoever reads another order would number the next joiner wrongly
  if (members.some(({ id }, i) => id <= (members[i - 1]?.id ?? 0))) reader.bad = true
  return { groupId, incarnation, coordinator, seq, sequencer, members }
}

export function writeMembers(writer: Writer, members: readonly Member[]): void {
  writer.u16(members.length)
  for (const member of members) {
    writer.u53(member.id).u64(member.nonce).u8(member.role)
    writeAdmitted(writer, member)
    writer.text(member.name).text(member.address)
  }
}

export function readMembers(reader: Reader): Member[] {
  const count = reader.u16()
  const members: Member[] = []
  for (let i = 0; i < count && !reader.bad; i++) {
    const id = reader.u53()
    const nonce = reader.u64()
    const role: Role = reader.u8() === 1 ? 1 : 0
    const admitted = readAdmitted(reader)
    const name = reader.text()
    members.push({ id, nonce, name, address: reader.text(), role, ...admitted })
  }
  return members
}

/** What joins and views say alike of who has been let in: its right, and the versions that it reads. */
export function writeAdmitted(writer: Writer, { right, versions }: Pick<Member, 'right' | 'versions'>): void {
  writeVersions(writer.u8(right), versions)
}

/** A right or a range that nobody can have makes the reader bad. */
export function readAdmitted(reader: Reader): Pick<Member, 'right' | 'versions'> {
  const right = reader.u8()
  const versions = readVersions(reader)
  if (right > Right.receive) reader.bad = true
  return { right: right as Right, versions }
}

export function writeRequests(writer: Writer, requests: ReadonlyMap<MemberId, RequestNumber>): void {
  writer.u16(requests.size)
  for (const [member, request] of requests) writer.u53(member).u53(request)
}

export function readRequests(reader: Reader): Map<MemberId, RequestNumber> {
  const requests = new Map<MemberId, RequestNumber>()
  const count = reader.u16()
  for (let i = 0; i < count && !reader.bad; i++) {
    const member = reader.u53()
    requests.set(member, reader.u53())
  }
  return requests
}
