/** Checks of the options that programs give: every fault names the field, the value and what is allowed. */
import { isIP, isIPv6 } from 'node:net'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { checkFields, oneOf, trueOrFalse, wholeNumber, withMethods } from '../kernel/checks.ts'
import { ErrorCode, GroupError, invalidArgument } from '../kernel/errors.ts'
import type { RightName, RoleName } from '../kernel/identity.ts'
import { isNobody, NO_MEMBER, PORT_RANGE, parseAddress, wrongPort } from '../kernel/node/addresses.ts'
import { parseDnsServers } from '../kernel/node/lookup.ts'
import { parsePeers } from '../kernel/node/peers.ts'
import type { GroupKey } from '../kernel/node/secure/group-key.ts'
import { groupKeys } from '../kernel/node/secure/key-options.ts'
import { checkToken } from '../kernel/node/token.ts'
import {
  completeParameters,
  type GroupParameters,
  parameterDefaults,
  parameterLimits,
} from '../kernel/parameters.ts'
import { checkSignal } from './abort.ts'
import { type CodecOption, codecFor } from './codec.ts'
import { type DetectionTimes, detectionPresets } from './member/options.ts'

export type DetectionPreset = keyof typeof detectionPresets
export type LogLevel = 'silent' | 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace'

/** The settings of one process: sockets, addresses, times, metrics, log. */
export interface KernelOptions {
  /** Address of the network interface to use, IPv4 or IPv6. Default 127.0.0.1: nothing goes onto a network. */
  readonly interface?: string
  /** One multicast for a broadcast, or one unicast to each member. Default multicast; unicast on ::1. */
  readonly transport?: 'multicast' | 'unicast'
  /**
   * Where members may be found, beside multicast or without it: `host:port` each (`[host]:port` for IPv6), as
   * a list or one text with commas. A host may be a DNS name that stands for all members: its A or AAAA records
   * are asked for until there are some, and now and then while a group is created or joined. The port may be
   * left out if `udpPort` is set, which is then taken for the peers as well.
   */
  readonly peers?: string | readonly string[]
  /**
   * DNS servers to ask for names among the peers (`10.0.0.10`, `127.0.0.1:5353`), as a list or one text with
   * commas. Default: the system's way, with /etc/hosts and search domains.
   */
  readonly dnsServers?: string | readonly string[]
  /**
   * Milliseconds, 0 to 3,600,000, that creating, joining or inspecting a group waits for names among the peers
   * that do not resolve, before it goes on without them. Default 10,000.
   */
  readonly dnsWaitMs?: number
  /** UDP port to receive unicast on, 0 to 65,535; 0 (default) lets the system choose. */
  readonly udpPort?: number
  /** UDP port of all multicasts, 1 to 65,535; the same at everybody who is to meet. Default 52,673. */
  readonly multicastPort?: number
  /**
   * Address, or `address:port` with a port from 1 to 65,535, that others reach this process at, if not the socket's own. A
   * group lets it in only if it gets what is sent there.
   */
  readonly advertise?: string
  /**
   * Times of failure detection and repetition: a preset, or single times (milliseconds, 1 to 3,600,000; `tries` and
   * `locateTries`, 1 to 100) over a preset.
   */
  readonly detection?: DetectionPreset | (Partial<DetectionTimes> & { readonly preset?: DetectionPreset })
  /** Method 1 (pb), method 2 (bb), or by size; see the paper, section 4.1. Default auto. */
  readonly method?: 'auto' | 'pb' | 'bb'
  /**
   * Bytes, 0 to 16 MiB, from which on 'auto' takes method 2. What counts is the block that goes out: one large
   * message, or the small ones that share a packet. Only with 'auto'. Default: as measured for the transport
   * (sequencer/README.md).
   */
  readonly methodThreshold?: number
  /** Bytes of the largest packet, 512 to 65,507. */
  readonly packetSize?: number
  /** Where metrics are registered. Default: a registry of this kernel's own. */
  readonly registry?: Registry
  /**
   * Port of the HTTP server with the console's page at /, /metrics, /healthz and /readyz; 0 lets the system choose.
   * Default: no server.
   */
  readonly metricsPort?: number
  /**
   * Address that the HTTP server of `metricsPort` listens on, IPv4 or IPv6. Default 127.0.0.1; beyond loopback give
   * `httpToken`.
   */
  readonly httpInterface?: string
  /**
   * What readers of the HTTP server of `metricsPort` must show: 16 to 1,024 printable characters, as `Authorization: Bearer`, or from
   * a browser once as `?token=`. /healthz and /readyz are for everybody. Default: none, on loopback only.
   */
  readonly httpToken?: string
  /**
   * The group key, as `amoebacast keygen` writes it, or a token for less than it (`keygen --rights send|receive`); or
   * several, the newest first. With a key every packet is encrypted and authenticated, and packets that are not are
   * ignored. Default: none, and every member has every right.
   */
  readonly key?: string | readonly string[]
  /**
   * The file that `amoebacast keygen` wrote; in place of `key`. It is looked at every 5 seconds, and other keys in it are
   * taken over while the groups go on (`Kernel.setKeys` says what may change); a change that cannot be is logged, told
   * as the groups' event `keyRefused`, and tried again.
   */
  readonly keyFile?: string
  /** Without a key beyond loopback: this is meant, do not warn. Default false. */
  readonly insecure?: boolean
  /** A pino logger of the program's own; else one on standard error at `logLevel`. */
  readonly logger?: Logger
  /** Default 'warn'. */
  readonly logLevel?: LogLevel
  /** Name of this kernel's members, for people and metrics. Default: host name and process id. */
  readonly name?: string
}

/** The settings of one membership. The group's parameters count where this call creates the group. */
export interface GroupOptions<T = unknown> extends Partial<GroupParameters> {
  /** Delivered to the others with the join; at most 1,024 bytes. */
  readonly header?: Uint8Array
  /** How bodies become bytes; all members of a group use the same. Default 'msgpack'. */
  readonly codec?: CodecOption<T>
  /**
   * Copy received bodies and headers out of their packets: for programs that keep many, write to them, or hand them on in a transfer
   * list. Without it they are views into memory that other members of this process read as well, and that repairs are made of. Default
   * false.
   */
  readonly copy?: boolean
  /** Gives up creating or joining. */
  readonly signal?: AbortSignal
  /** Name of this member, for people and metrics. Default: the kernel's name. */
  readonly memberName?: string
  /**
   * joinOrCreateGroup creates only when so many starters, this one included, have met; 1 to `maxMembers`, default 1. The
   * calls that only create, or only join, wait for nobody, and take no other number.
   */
  readonly minStarters?: number
  /** 'full' takes part in everything; the only role so far. */
  readonly role?: RoleName
  /**
   * Shown to the `authorize` function of the group that is joined: what the program likes, a text or bytes, at most 1,024
   * bytes. It travels sealed where there is a key, and in the clear where there is none.
   */
  readonly token?: string | Uint8Array
  /**
   * Asked about each joiner while this member is the sequencer, after the joiner has shown its right: only `true` lets it
   * in, at once or as a promise. One that throws, or takes longer than 5 seconds, has refused, and the joiner's call
   * fails with ERR_NOT_AUTHORIZED. Give it to every member that may become the sequencer. Default: everybody is let in.
   */
  readonly authorize?: Authorize
  /**
   * Come back by itself after an expulsion, as a new member (design 4.7). The port is looked for until it is found,
   * or the program leaves; a group is joined only, never created again. The program hears of it by the events
   * 'expelled' and 'rejoined', and by a 'rejoin' delivery. While the member is out, sends are refused with
   * ERR_EXPELLED: they may rest on what has changed meanwhile, so the program decides. A group that refuses the member
   * (ERR_NOT_AUTHORIZED, ERR_INCOMPATIBLE) ends the way back: 'closed' has the code and says why. Default false.
   */
  readonly rejoin?: boolean
}

/** Who asks to be let in. Name and address are what it says itself; the right is proved, where there are keys. */
export interface Applicant {
  readonly name: string
  readonly address: string
  readonly role: RoleName
  readonly right: RightName
}

/** `token` is what the joiner gave in its options, as bytes; empty if it gave none. */
export type Authorize = (member: Applicant, token: Uint8Array) => boolean | Promise<boolean>

const kernelFields = [
  'interface',
  'transport',
  'peers',
  'dnsServers',
  'dnsWaitMs',
  'udpPort',
  'multicastPort',
  'advertise',
  'detection',
  'method',
  'methodThreshold',
  'packetSize',
  'registry',
  'metricsPort',
  'httpInterface',
  'httpToken',
  'key',
  'keyFile',
  'insecure',
  'logger',
  'logLevel',
  'name',
] as const satisfies readonly (keyof KernelOptions)[]
const parameterFields = Object.keys(parameterDefaults) as readonly (keyof GroupParameters)[]
const groupFields = [
  'header',
  'codec',
  'copy',
  'signal',
  'memberName',
  'minStarters',
  'role',
  'token',
  'authorize',
  'rejoin',
] as const
const logLevels: readonly LogLevel[] = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace']
const NAME_BYTES = 255
/** No message is larger, so nothing beyond it would make a difference. */
const METHOD_THRESHOLD_MAX = parameterLimits.maxMessageSize
/** More patience than this comes of longer intervals, not of more packets. */
const TRIES_MAX = 100

export interface CheckedKernelOptions extends Omit<KernelOptions, 'detection' | 'key' | 'keyFile'> {
  readonly interface: string
  readonly transport: 'multicast' | 'unicast'
  readonly peers: string | readonly string[]
  /** Empty: the system is asked. */
  readonly dnsServers: readonly string[]
  readonly dnsWaitMs: number
  readonly udpPort: number
  readonly httpInterface: string
  readonly detection: DetectionTimes
  readonly method: 'auto' | 'pb' | 'bb'
  readonly logLevel: LogLevel
  /** The newest first. Empty: packets are not sealed. */
  readonly keys: readonly GroupKey[]
  /** Where they are from, if from a file. */
  readonly keyFile: string | undefined
  readonly insecure: boolean
}

export function checkKernelOptions(given: KernelOptions = {}): CheckedKernelOptions {
  checkFields('startKernel', given, kernelFields)
  const {
    interface: address = '127.0.0.1',
    transport = address === '::1' ? 'unicast' : 'multicast',
    peers = [],
    dnsServers = [],
    dnsWaitMs = 10_000,
    udpPort = 0,
    method = 'auto',
    logLevel = 'warn',
    advertise,
    multicastPort,
    methodThreshold,
    packetSize,
    registry,
    logger,
    insecure = false,
    name,
  } = given
  if (typeof address !== 'string' || isIP(address) === 0) {
    throw invalidArgument('interface', address, 'an IPv4 or IPv6 address of this machine')
  }
  oneOf('transport', transport, ['multicast', 'unicast'])
  oneOf('method', method, ['auto', 'pb', 'bb'])
  oneOf('logLevel', logLevel, logLevels)
  wholeNumber('udpPort', udpPort, 0, 65_535)
  if (multicastPort !== undefined) wholeNumber('multicastPort', multicastPort, 1, 65_535)
  if (methodThreshold !== undefined) checkThreshold(methodThreshold, method)
  if (packetSize !== undefined) wholeNumber('packetSize', packetSize, 512, 65_507)
  const httpInterface = checkHttp(given)
  if (name !== undefined) shortText('name', name, NAME_BYTES)
  if (typeof peers !== 'string' && !Array.isArray(peers))
    throw invalidArgument('peers', peers, 'a list of host:port, [v6]:port, or DNS names')
  parsePeers(peers, { defaultPort: udpPort === 0 ? undefined : udpPort, family: isIPv6(address) ? 6 : 4 })
  const servers = parseDnsServers(dnsServers)
  wholeNumber('dnsWaitMs', dnsWaitMs, 0, 3_600_000)
  if (advertise !== undefined) checkAdvertise(advertise)
  if (registry !== undefined)
    withMethods('registry', registry, ['registerMetric', 'metrics'], 'a registry of prom-client')
  if (logger !== undefined) checkLogger(logger)
  const detection = checkDetection(given.detection)
  trueOrFalse('insecure', insecure)
  const { key, keyFile, ...rest } = given
  return {
    ...rest,
    keys: groupKeys({ key, keyFile }),
    keyFile,
    insecure,
    interface: address,
    transport,
    peers,
    dnsServers: servers,
    dnsWaitMs,
    udpPort,
    httpInterface,
    method,
    logLevel,
    detection,
  }
}

export function checkLogger(logger: unknown): void {
  withMethods('logger', logger, ['info', 'warn', 'error'], 'a pino logger')
}

function checkThreshold(methodThreshold: unknown, method: string): void {
  wholeNumber('methodThreshold', methodThreshold, 0, METHOD_THRESHOLD_MAX)
  if (method === 'auto') return
  const allowed = `left out with method '${method}', which holds whatever the size; it counts with 'auto'`
  throw invalidArgument('methodThreshold', methodThreshold, allowed)
}

/** Gives the address to serve pages on. What says how they are served has no effect where none are. */
function checkHttp({ metricsPort, httpInterface, httpToken }: KernelOptions): string {
  const address: unknown = httpInterface === undefined ? '127.0.0.1' : httpInterface
  if (metricsPort !== undefined) wholeNumber('metricsPort', metricsPort, 0, 65_535)
  if (typeof address !== 'string' || isIP(address) === 0) {
    throw invalidArgument('httpInterface', address, 'an IPv4 or IPv6 address of this machine')
  }
  if (httpToken !== undefined) checkToken('httpToken', httpToken)
  if (metricsPort !== undefined) return address
  for (const [field, value] of Object.entries({ httpInterface, httpToken })) {
    if (value === undefined) continue
    // (a token's value is secret)
    const what = field === 'httpToken' ? field : `${field} (${value})`
    const problem = `${what} is given without metricsPort: no pages are served, and it has no effect`
    throw new GroupError(ErrorCode.invalid, `${problem}; give metricsPort too, or leave it out`)
  }
  return address
}

/** An address without a port stands for that of the socket. The family is compared when the socket is there. */
function checkAdvertise(given: unknown): void {
  const bare = typeof given === 'string' && isIP(given) !== 0
  if (typeof given === 'string' && wrongPort(given)) throw invalidArgument('advertise', given, PORT_RANGE)
  const { host } = bare ? { host: given } : parseAddress(given as string, 'advertise')
  if (isNobody(host)) throw invalidArgument('advertise', given, NO_MEMBER)
}

function checkDetection(given: KernelOptions['detection']): DetectionTimes {
  if (given === undefined) return detectionPresets.default
  const presets = Object.keys(detectionPresets)
  if (typeof given !== 'object' || given === null) {
    oneOf('detection', given, presets)
    return detectionPresets[given]
  }
  const fields = Object.keys(detectionPresets.default) as (keyof DetectionTimes)[]
  checkFields('detection', given, ['preset', ...fields], 'detection.')
  const { preset = 'default', ...single } = given
  oneOf('detection.preset', preset, presets)
  const times = { ...detectionPresets[preset], ...definedOnly(single) }
  for (const field of fields) {
    const max = field === 'tries' || field === 'locateTries' ? TRIES_MAX : 3_600_000
    wholeNumber(`detection.${field}`, times[field], 1, max)
  }
  atMost(times, 'minRtoMs', 'maxRtoMs')
  atMost(times, 'heartbeatFirstMs', 'heartbeatIdleMs')
  return times
}

function atMost(times: DetectionTimes, low: keyof DetectionTimes, high: keyof DetectionTimes): void {
  if (times[low] <= times[high]) return
  throw invalidArgument(`detection.${low}`, times[low], `at most ${high} (${times[high]})`)
}

export interface CheckedGroupOptions<T> {
  readonly parameters: GroupParameters
  /** Those of them that were given. */
  readonly assumed: Partial<GroupParameters>
  readonly header: Uint8Array
  readonly codec: ReturnType<typeof codecFor<T>>
  readonly copy: boolean
  readonly signal: AbortSignal | undefined
  readonly memberName: string | undefined
  readonly minStarters: number
  readonly role: RoleName
  readonly token: Uint8Array | undefined
  readonly authorize: Authorize | undefined
  readonly rejoin: boolean
}

/** `caller` is the call that they are given to. Throws ERR_INVALID_ARGUMENT. */
export function checkGroupOptions<T>(caller: string, given: GroupOptions<T> = {}): CheckedGroupOptions<T> {
  checkFields(caller, given, [...parameterFields, ...groupFields])
  const {
    header,
    codec,
    copy = false,
    signal,
    memberName,
    minStarters = 1,
    role = 'full',
    token,
    authorize,
    rejoin = false,
    ...parameters
  } = given
  trueOrFalse('copy', copy)
  trueOrFalse('rejoin', rejoin)
  checkSignal(signal)
  if (memberName !== undefined) shortText('memberName', memberName, NAME_BYTES)
  const complete = completeParameters(parameters)
  checkStarters(caller, minStarters, complete)
  oneOf('role', role, ['full'])
  if (authorize !== undefined && typeof authorize !== 'function')
    throw invalidArgument(
      'authorize',
      authorize,
      'a function of a member and its token, that gives true or false',
    )
  return {
    parameters: complete,
    assumed: parameters,
    header: checkHeader(header),
    codec: codecFor(codec, copy),
    copy,
    signal,
    memberName,
    minStarters,
    role,
    token: checkJoinToken(token),
    authorize,
    rejoin,
  }
}

function checkStarters(caller: string, minStarters: unknown, { maxMembers }: GroupParameters): void {
  wholeNumber('minStarters', minStarters, 1, parameterLimits.maxMembers)
  if (minStarters === 1) return
  if (caller === 'createGroup' || caller === 'joinGroup') {
    const allowed = `left out with ${caller}, which waits for no starters; joinOrCreateGroup does`
    throw invalidArgument('minStarters', minStarters, allowed)
  }
  if (minStarters > maxMembers)
    throw invalidArgument('minStarters', minStarters, `at most maxMembers (${maxMembers})`)
}

export function checkPort(port: unknown): asserts port is string {
  shortText('port', port, parameterLimits.portBytes)
}

const NO_BYTES = new Uint8Array(0)

/** A header as given with a send, join, leave or reset. */
export function checkHeader(header: unknown): Uint8Array {
  if (header === undefined) return NO_BYTES
  const max = parameterLimits.headerBytes
  if (!(header instanceof Uint8Array))
    throw invalidArgument('header', header, `a Uint8Array of at most ${max} bytes`)
  if (header.length > max)
    throw invalidArgument('header', `${header.length} bytes long`, `at most ${max} bytes`)
  // read when its block is packed, when the program may have written another one into it
  return header.length === 0 ? NO_BYTES : new Uint8Array(header)
}

/** What a joiner shows: what it is stays out of messages. */
function checkJoinToken(token: unknown): Uint8Array | undefined {
  if (token === undefined) return undefined
  const max = parameterLimits.tokenBytes
  const bytes = typeof token === 'string' ? Buffer.from(token) : token
  if (!(bytes instanceof Uint8Array))
    throw invalidArgument('token', bytes, `a string or a Uint8Array of at most ${max} bytes`)
  if (bytes.length > max) throw invalidArgument('token', `${bytes.length} bytes long`, `at most ${max} bytes`)
  return bytes
}

/** For a reset: 0 and 1 leave it to the group's own floor. */
export function checkMinMembers(minMembers: unknown): asserts minMembers is number {
  wholeNumber('minMembers', minMembers, 0, parameterLimits.maxMembers)
}

function shortText(field: string, value: unknown, maxBytes: number): void {
  const isText = typeof value === 'string' && value.length > 0 && Buffer.byteLength(value) <= maxBytes
  // A lone surrogate has no UTF-8 form: two different names would become one on the wire.
  if (!isText || Buffer.from(value).toString() !== value) {
    throw invalidArgument(field, value, `a string of 1 to ${maxBytes} bytes of UTF-8`)
  }
}

function definedOnly<O extends object>(options: O): O {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as O
}
