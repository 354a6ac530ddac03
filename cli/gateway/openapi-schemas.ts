/** The schemas of the OpenAPI document: what is sent, answered and told to readers. */
import { ErrorCode } from '../../kernel/errors.ts'
import { parameterLimits } from '../../kernel/parameters.ts'
import { GatewayCode } from './errors.ts'
import { openModes } from './options.ts'

type Schema = Readonly<Record<string, unknown>>

export function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` }
}

/** An object that has nothing but these; all are required that are not named as optional. */
function object(properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return {
    type: 'object',
    properties,
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  }
}

function list(items: Schema): Schema {
  return { type: 'array', items }
}

function whole(minimum: number, maximum?: number, description?: string): Schema {
  return {
    type: 'integer',
    minimum,
    ...(maximum === undefined ? {} : { maximum }),
    ...(description === undefined ? {} : { description }),
  }
}

const flag: Schema = { type: 'boolean' }
const text: Schema = { type: 'string' }
const seq = whole(0, undefined, "A place in the group's one order")
const count = whole(0)
const memberId = whole(0)
const role: Schema = { enum: ['full', 'observer'] }
const right: Schema = { enum: ['all', 'send', 'receive'] }
const base64: Schema = { type: 'string', contentEncoding: 'base64' }

const cursor: Schema = {
  type: 'string',
  pattern: '^[0-9a-f]{16}-\\d{1,16}-\\d{1,16}-\\d{1,16}$',
  description:
    'Group id, incarnation, coordinator, seq: what Last-Event-ID takes, at any gateway of the group',
}

const wholeOrMajority = (minimum: number): Schema => ({
  oneOf: [whole(minimum, parameterLimits.maxMembers), { const: 'majority' }],
})

const parameters = {
  resilience: wholeOrMajority(0),
  minMembers: wholeOrMajority(1),
  recovery: { enum: ['auto', 'manual'] },
  maxMembers: whole(1, parameterLimits.maxMembers),
  historySize: whole(1, parameterLimits.historySize),
  historyBytes: whole(4096, parameterLimits.historyBytes),
  maxMessageSize: whole(0, parameterLimits.maxMessageSize),
  slowMember: {
    oneOf: [{ const: 'block' }, object({ expelAfterMs: whole(1, 86_400_000) })],
  },
}

const openOptions = {
  mode: { enum: [...openModes], default: 'join-or-create' },
  ...parameters,
  memberName: { type: 'string', minLength: 1, maxLength: 255 },
  minStarters: whole(1, parameterLimits.maxMembers),
  rejoin: { type: 'boolean', default: true, description: 'Come back after an expulsion' },
}

const lags = list(object({ id: memberId, messages: count }))
const shared = {
  port: text,
  view: ref('View'),
  parameters: ref('Parameters'),
  seq,
  accepted: seq,
  stable: seq,
  historyMessages: count,
  historyBytes: count,
  lags,
}

const place = { seq, sender: memberId }
const change = { ...place, header: base64, view: ref('View') }
const body = { json: {}, text, base64 }
const envelope = { contentType: text, key: text, sentAt: whole(0, undefined, 'Milliseconds since 1970') }
const gapReasons = ['too-old', 'another-group', 'other-order', 'expelled', 'unknown-place']

export const schemas: Readonly<Record<string, Schema>> = {
  Error: object(
    {
      code: { enum: [...Object.values(ErrorCode), ...Object.values(GatewayCode)] },
      message: { type: 'string', description: 'What was wrong, and what to do' },
      outcome: {
        enum: ['refused', 'unknown'],
        description: 'Of a message: it never will be ordered, or that cannot be known',
      },
    },
    ['outcome'],
  ),
  Health: object({ ok: { const: true } }),
  Readiness: object({ ready: flag, reason: text }, ['reason']),
  View: object({
    groupId: { type: 'string', pattern: '^[0-9a-f]{16}$' },
    incarnation: count,
    coordinator: memberId,
    seq,
    sequencer: memberId,
    members: list(object({ id: memberId, name: text, address: text, role, right })),
  }),
  Parameters: object(parameters),
  OpenOptions: object(openOptions, Object.keys(openOptions)),
  ResetOptions: object({ minMembers: whole(0, parameterLimits.maxMembers) }, ['minMembers']),
  GroupList: object({
    groups: list(object({ port: text, memberId, members: count, isReady: flag, readers: count })),
  }),
  HostedGroup: object({
    isMember: { const: true },
    ...shared,
    phase: text,
    memberId,
    role,
    right,
    isSequencer: flag,
    received: seq,
    taken: seq,
    waitingSends: count,
    outstandingSends: count,
    queuedRequests: count,
    gateway: object({
      last: cursor,
      oldest: cursor,
      ringMessages: count,
      ringBytes: count,
      keysKnownFrom: seq,
      keys: count,
      readers: count,
      waitingRequests: count,
      waitingBytes: count,
    }),
  }),
  OtherGroup: object({ isMember: { const: false }, ...shared }),
  Ordered: object({
    seq,
    repeat: { type: 'boolean', description: 'The message had been ordered before, under the same key' },
  }),
  Left: object({ left: { const: true } }),
  Reset: object({ members: whole(1, parameterLimits.maxMembers, 'Size of the new group') }),

  // What events carry, by name.
  EventOpen: object({ port: text, memberId, view: ref('View') }),
  EventMessage: {
    ...object({ ...place, via: { enum: ['gateway', 'member'] }, ...envelope, header: base64, ...body }, [
      ...Object.keys(envelope),
      'header',
      ...Object.keys(body),
    ]),
    oneOf: Object.keys(body).map((name) => ({ required: [name] })),
  },
  EventRepeat: object({ ...place, firstSeq: seq }),
  EventJoin: object(change, ['header']),
  EventLeave: object(change, ['header']),
  EventReset: object({ ...change, removed: list(memberId), lossPossible: flag }, ['header']),
  EventRejoin: object({ ...change, missedFrom: seq }, ['header']),
  EventGap: object({
    reason: { enum: gapReasons },
    after: seq,
    before: { type: ['integer', 'null'], minimum: 0 },
  }),
  EventExpelled: object({ reason: text }),
  EventSuspect: object({ member: memberId, name: text, reason: text }),
  EventStopped: object({ reason: text, present: count, needed: count }, ['present', 'needed']),
  EventSlow: object({ member: memberId, name: text, lagMessages: count }),
  EventSplit: object({ incarnation: count, coordinator: memberId, groupId: text, address: text }, [
    'groupId',
    'address',
  ]),
  EventEnd: object({ reason: text, code: text }, ['code']),

  // What goes over a WebSocket.
  SocketSend: {
    ...object(
      { type: { const: 'send' }, id: { type: ['string', 'number'] }, key: text, contentType: text, ...body },
      ['key', 'contentType', ...Object.keys(body)],
    ),
    oneOf: Object.keys(body).map((name) => ({ required: [name] })),
  },
  SocketOrdered: object({
    type: { const: 'ordered' },
    id: { type: ['string', 'number'] },
    seq,
    repeat: flag,
  }),
  SocketFailed: object(
    {
      type: { const: 'failed' },
      id: { type: ['string', 'number', 'null'] },
      status: whole(400, 599),
      code: text,
      message: text,
      outcome: { enum: ['refused', 'unknown'] },
      retryAfter: count,
    },
    ['outcome', 'retryAfter'],
  ),
  SocketEvent: object({ type: { const: 'event' }, id: cursor, event: text, data: { type: 'object' } }, [
    'id',
  ]),
}
