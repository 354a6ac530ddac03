/** The OpenAPI document, served at /openapi.json. A test holds it against the routes and their answers. */
import { ref, schemas } from './openapi-schemas.ts'

type Json = Readonly<Record<string, unknown>>

function json(schema: Json): Json {
  return { 'application/json': { schema } }
}

function answer(description: string, schema: Json): Json {
  return { description, content: json(schema) }
}

function failure(description: string): Json {
  return answer(description, ref('Error'))
}

const port: Json = {
  name: 'port',
  in: 'path',
  required: true,
  description: "The group's name, 1 to 255 bytes of UTF-8, in percent encoding",
  schema: { type: 'string', minLength: 1 },
}

const lastEventId = {
  description: 'The last id received, from this gateway or another of the group',
  schema: { type: 'string' },
}

const from: Json = {
  name: 'from',
  in: 'query',
  description:
    'Where to begin without an id: with what comes, or with the oldest event that the gateway keeps',
  schema: { enum: ['now', 'oldest'], default: 'now' },
}

const eventNames = [
  'open',
  'message',
  'repeat',
  'join',
  'leave',
  'reset',
  'rejoin',
  'gap',
  'expelled',
  'suspect',
  'stopped',
  'slow',
  'split',
  'end',
]

/** Answers that any route may give. */
const always = {
  '401': failure('The token is missing or wrong'),
  '403': failure('A page of another origin, or the group does not let this gateway in'),
  '500': failure('A fault of the gateway'),
  '503': failure('Busy, out of the group for now, or being stopped; Retry-After says when to come again'),
}
const noGroup = { '404': failure('This gateway is not in the group') }

interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly parameters?: readonly Json[]
  readonly requestBody?: Json
  readonly responses: Json
}

function operation({ responses, ...rest }: Operation): Json {
  return { ...rest, responses: { ...responses, ...always } }
}

/** Without a token, for probes. */
function probe(operationId: string, summary: string, responses: Json): Json {
  return { operationId, summary, security: [], responses }
}

export const openApiDocument = {
  openapi: '3.1.0',
  info: {
    title: 'amoebacast gateway',
    version: '1',
    description:
      'Ordered group communication over HTTP: what one member sends, every member receives, in one order.',
    license: { name: 'MIT', identifier: 'MIT' },
  },
  servers: [{ url: '/' }],
  security: [{ token: [] }, {}],
  paths: {
    '/healthz': {
      get: probe('health', 'The process works', { '200': answer('It does', ref('Health')) }),
    },
    '/readyz': {
      get: probe('readiness', 'All groups that the gateway is in may go on', {
        '200': answer('Ready', ref('Readiness')),
        '503': answer('Not ready, and why', ref('Readiness')),
      }),
    },
    '/openapi.json': {
      get: operation({
        operationId: 'describe',
        summary: 'This document',
        responses: { '200': answer('The document', { type: 'object' }) },
      }),
    },
    '/groups': {
      get: operation({
        operationId: 'listGroups',
        summary: 'The groups that this gateway is in',
        responses: { '200': answer('The groups', ref('GroupList')) },
      }),
    },
    '/groups/{port}': {
      parameters: [port],
      get: operation({
        operationId: 'getGroup',
        summary: 'What a group tells about itself, whether this gateway is in it or not',
        responses: {
          '200': answer('The group', { oneOf: [ref('HostedGroup'), ref('OtherGroup')] }),
          '400': failure('The port is no name'),
          '404': failure('No such group answers'),
        },
      }),
      post: operation({
        operationId: 'openGroup',
        summary: 'Joins or creates the group',
        requestBody: { content: json(ref('OpenOptions')) },
        responses: {
          '200': answer('The gateway was in the group already', ref('HostedGroup')),
          '201': answer('The gateway is in the group now', ref('HostedGroup')),
          '400': failure('An option is wrong'),
          '404': failure('mode "join", and nobody answers for the port'),
          '409': failure('mode "create", and the group lives; or it is full'),
          '413': failure('The body is too large'),
          '502': failure('The group speaks another version of the wire format'),
        },
      }),
    },
    '/groups/{port}/leave': {
      parameters: [port],
      post: operation({
        operationId: 'leaveGroup',
        summary: 'Leaves in order; streams of the group end',
        responses: { '200': answer('Left', ref('Left')), '400': failure('A field is unknown'), ...noGroup },
      }),
    },
    '/groups/{port}/reset': {
      parameters: [port],
      post: operation({
        operationId: 'resetGroup',
        summary: 'Rebuilds the group from the members that still answer',
        requestBody: { content: json(ref('ResetOptions')) },
        responses: {
          '200': answer('Rebuilt', ref('Reset')),
          '400': failure('minMembers is wrong'),
          ...noGroup,
        },
      }),
    },
    '/groups/{port}/messages': {
      parameters: [port],
      post: operation({
        operationId: 'sendMessage',
        summary: 'Sends the body to all members; answers when it is ordered',
        parameters: [
          {
            name: 'Idempotency-Key',
            in: 'header',
            description: 'Recognised in the order by every gateway of the group: a repeat gets the first seq',
            schema: { type: 'string', minLength: 1, maxLength: 255 },
          },
        ],
        requestBody: {
          description: 'Any bytes; the Content-Type goes with them',
          content: { '*/*': {}, 'application/json': { schema: {} } },
        },
        responses: {
          '200': answer('Ordered', ref('Ordered')),
          '400': failure('The key or the content is wrong'),
          ...noGroup,
          '413': failure("Larger than the group's maxMessageSize"),
          '422': failure('The key has come before with another content'),
          '504': failure('The outcome is unknown: send again with the same key'),
        },
      }),
    },
    '/groups/{port}/events': {
      parameters: [port],
      get: operation({
        operationId: 'readEvents',
        summary: "The group's events, in order, as server-sent events",
        parameters: [
          { name: 'Last-Event-ID', in: 'header', ...lastEventId },
          { name: 'lastEventId', in: 'query', ...lastEventId },
          from,
        ],
        responses: {
          '200': {
            description: `Events with JSON data, as the schemas Event… say: ${eventNames.join(', ')}`,
            content: { 'text/event-stream': { schema: { type: 'string' } } },
          },
          '400': failure('The id or `from` is wrong'),
          ...noGroup,
        },
      }),
    },
    '/groups/{port}/socket': {
      parameters: [port],
      get: operation({
        operationId: 'openSocket',
        summary: 'A WebSocket: SocketSend in; SocketOrdered, SocketFailed and SocketEvent out',
        parameters: [
          { name: 'resume', in: 'query', ...lastEventId },
          {
            name: 'events',
            in: 'query',
            description: '"false": sends only',
            schema: { enum: ['true', 'false'] },
          },
          from,
        ],
        responses: {
          '101': { description: 'The WebSocket is open' },
          '400': failure('A parameter is wrong'),
          ...noGroup,
          '426': failure('Not asked for as a WebSocket'),
        },
      }),
    },
  },
  components: {
    securitySchemes: {
      token: {
        type: 'http',
        scheme: 'bearer',
        description: 'Needed where the gateway was started with a token',
      },
    },
    schemas,
  },
} as const
