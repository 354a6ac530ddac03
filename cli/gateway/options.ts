/** The gateway's options: defaults, bounds and checks. */
import { isIP } from 'node:net'
import type { Logger } from 'pino'
import { checkSignal } from '../../group/abort.ts'
import type { GroupOptions, Kernel, KernelOptions } from '../../group/index.ts'
import { checkGroupOptions, checkKernelOptions, checkLogger, checkPort } from '../../group/options.ts'
import { checkFields, oneOf, wholeNumber, withMethods } from '../../kernel/checks.ts'
import { invalidArgument } from '../../kernel/errors.ts'
import { keyWindowDefaults, keyWindowLimits } from './key-window.ts'

/** What the gateway gives and takes at most. All times in milliseconds. */
export interface GatewayLimits {
  /** Groups that the gateway is in at once; 1 to 1,024. Default 64. */
  readonly maxGroups: number
  /** Event streams and WebSockets at once; 1 to 100,000. Default 1,024. */
  readonly maxReaders: number
  /** Requests to one group that are being read or wait to be ordered; 1 to 1,000,000. Default 1,024. */
  readonly maxWaiting: number
  /** Bytes of their bodies; 64 KiB to 4 GiB. Default 64 MiB. */
  readonly maxWaitingBytes: number
  /** How long a send waits to be ordered; 10 to 3,600,000. Default 30,000. */
  readonly sendMs: number
  /** Events of one group kept for those who resume: how many, 1 to 2^24. Default 65,536. */
  readonly ringMessages: number
  /** The same in bytes, 64 KiB to 4 GiB. Default 64 MiB. */
  readonly ringBytes: number
  /** The same in age, 100 to 86,400,000. Default 600,000: ten minutes. */
  readonly ringMs: number
  /** Places in the order between a message and its repeat with the same key; 1 to 2^20. Default 65,536. */
  readonly keyMessages: number
  /** Time between the two, by their senders' clocks; 1 to 86,400,000. Default 3,600,000: one hour. */
  readonly keyMs: number
  /** A reader whose connection takes nothing for so long is cut off; 10 to 3,600,000. Default 30,000. */
  readonly stuckMs: number
  /** Time between signs of life to readers; 10 to 3,600,000. Default 15,000. */
  readonly heartbeatMs: number
  /** How long leaving a group may take before the gateway goes without a word; 10 to 3,600,000. Default 10,000. */
  readonly leaveMs: number
  /** How long close() waits for requests that are under way; 0 to 3,600,000. Default 5,000. */
  readonly stopMs: number
}

export interface GatewayOptions extends Partial<GatewayLimits> {
  /** `HOST:PORT` or `[v6]:PORT` to listen on; port 0 lets the system choose. Default 127.0.0.1:7070. */
  readonly listen?: string
  /** What clients must show as `Authorization: Bearer …`; 16 characters or more. Needed beyond loopback. */
  readonly token?: string
  /** The kernel to use, which the gateway does not close. Default: one of its own, made of `kernelOptions`. */
  readonly kernel?: Pick<
    Kernel,
    'createGroup' | 'joinGroup' | 'joinOrCreateGroup' | 'inspectGroup' | 'close'
  > &
    Partial<Pick<Kernel, 'reloadKeys'>>
  readonly kernelOptions?: KernelOptions
  /** Groups to join or create before the gateway is ready, with their options. */
  readonly groups?: Readonly<Record<string, HostedGroupOptions>>
  /** Gives up starting, with ERR_ABORTED; once the gateway has started it has no effect. */
  readonly signal?: AbortSignal
  /** A pino logger of the program's own; else one on standard error, at kernelOptions' `logLevel`. */
  readonly logger?: Logger
}

export type GatewayLog = Pick<Logger, 'info' | 'warn' | 'error'>

/** How a group is opened. */
export const openModes = ['create', 'join', 'join-or-create'] as const
export type OpenMode = (typeof openModes)[number]

/** What may be said about a group that the gateway opens. */
export type HostedGroupOptions = Omit<
  GroupOptions,
  'codec' | 'copy' | 'signal' | 'header' | 'role' | 'token' | 'authorize'
>

const KIB = 1024
const MIB = 1024 * KIB
const HOUR = 3_600_000
const DAY = 24 * HOUR

interface Row {
  readonly fallback: number
  readonly min: number
  readonly max: number
}

const limitTable: Readonly<Record<keyof GatewayLimits, Row>> = {
  maxGroups: { fallback: 64, min: 1, max: 1024 },
  maxReaders: { fallback: 1024, min: 1, max: 100_000 },
  maxWaiting: { fallback: 1024, min: 1, max: 1_000_000 },
  maxWaitingBytes: { fallback: 64 * MIB, min: 64 * KIB, max: 4096 * MIB },
  sendMs: { fallback: 30_000, min: 10, max: HOUR },
  ringMessages: { fallback: 65_536, min: 1, max: 2 ** 24 },
  ringBytes: { fallback: 64 * MIB, min: 64 * KIB, max: 4096 * MIB },
  ringMs: { fallback: 600_000, min: 100, max: DAY },
  keyMessages: { fallback: keyWindowDefaults.messages, min: 1, max: keyWindowLimits.messages },
  keyMs: { fallback: keyWindowDefaults.ms, min: 1, max: keyWindowLimits.ms },
  stuckMs: { fallback: 30_000, min: 10, max: HOUR },
  heartbeatMs: { fallback: 15_000, min: 10, max: HOUR },
  leaveMs: { fallback: 10_000, min: 10, max: HOUR },
  stopMs: { fallback: 5000, min: 0, max: HOUR },
}
const limitNames = Object.keys(limitTable) as (keyof GatewayLimits)[]
const kernelMethods = ['createGroup', 'joinGroup', 'joinOrCreateGroup', 'inspectGroup', 'close']
const otherFields = ['listen', 'token', 'kernel', 'kernelOptions', 'groups', 'logger', 'signal']

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

export const LISTEN_DEFAULT = '127.0.0.1:7070'

export interface CheckedGatewayOptions extends Omit<GatewayOptions, 'listen'> {
  readonly listen: ListenAddress
  readonly limits: GatewayLimits
}

/** Throws ERR_INVALID_ARGUMENT naming the option. */
export function checkGatewayOptions(given: GatewayOptions = {}): CheckedGatewayOptions {
  checkFields('startGateway', given, [...otherFields, ...limitNames])
  const { listen = LISTEN_DEFAULT, kernel, kernelOptions, groups, logger, signal } = given
  if (kernel !== undefined) {
    withMethods('kernel', kernel, kernelMethods, 'a kernel, from startKernel')
    if (kernelOptions !== undefined)
      throw invalidArgument('kernelOptions', kernelOptions, 'left out where there is a kernel')
  }
  if (kernelOptions !== undefined) checkKernelOptions(kernelOptions)
  if (logger !== undefined) checkLogger(logger)
  checkSignal(signal)
  const limits = checkLimits(given)
  if (groups !== undefined) checkGroups(groups, limits)
  return { ...given, listen: parseListen(listen), limits }
}

function checkLimits(given: GatewayOptions): GatewayLimits {
  const limits = Object.fromEntries(
    limitNames.map((name) => {
      const { fallback, min, max } = limitTable[name]
      const { [name]: value = fallback } = given
      wholeNumber(name, value, min, max)
      return [name, value]
    }),
  )
  return limits as unknown as GatewayLimits
}

/** All of them before the first is opened. */
function checkGroups(groups: unknown, { maxGroups }: GatewayLimits): void {
  if (typeof groups !== 'object' || groups === null || Array.isArray(groups)) {
    throw invalidArgument('groups', groups, 'an object with the options of each group under its name')
  }
  for (const [port, options] of Object.entries(groups)) {
    checkPort(port)
    checkHostedOptions(options, 'join-or-create')
  }
  const count = Object.keys(groups).length
  if (count > maxGroups)
    throw invalidArgument('groups', `${count} groups`, `at most maxGroups (${maxGroups})`)
}

/** An address literal or `localhost`, so that it is plain who can reach it; and a port, 0 to 65,535. */
export function parseListen(text: unknown): ListenAddress {
  const match = typeof text === 'string' ? /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) : null
  const host = match?.[2] === 'localhost' ? '127.0.0.1' : (match?.[1] ?? match?.[2] ?? '')
  const port = Number(match?.[3])
  const isBracketed = match?.[1] !== undefined
  if (isIP(host) !== (isBracketed ? 6 : 4) || !(port <= 65_535)) {
    throw invalidArgument('listen', text, 'an address and a port, such as 127.0.0.1:7070 or [::1]:7070')
  }
  return { host, port }
}

const hostedFields = [
  'resilience',
  'minMembers',
  'recovery',
  'maxMembers',
  'historySize',
  'historyBytes',
  'maxMessageSize',
  'slowMember',
  'memberName',
  'minStarters',
  'rejoin',
] as const satisfies readonly (keyof HostedGroupOptions)[]

export function checkMode(mode: unknown): asserts mode is OpenMode {
  oneOf('mode', mode, openModes)
}

/** Throws ERR_INVALID_ARGUMENT. Gateways come back after an expulsion unless told otherwise. */
export function checkHostedOptions(given: unknown, mode: OpenMode): HostedGroupOptions {
  checkFields('a group of the gateway', given, hostedFields)
  const options = { rejoin: true, ...(given as HostedGroupOptions) }
  checkGroupOptions('a group of the gateway', options)
  const { minStarters = 1 } = options
  if (mode !== 'join-or-create' && minStarters > 1) {
    const allowed = `left out with mode '${mode}', which waits for no starters; 'join-or-create' does`
    throw invalidArgument('minStarters', minStarters, allowed)
  }
  return options
}
