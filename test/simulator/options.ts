/**
 * What a run is made of, drawn from its seed. README.md says what each option means; every one can be set
 * from outside (`--only OPTION=VALUE`), and what depends on it is drawn to fit.
 */
import { detectionPresets } from '../../group/member/options.ts'
import { GroupError, invalidArgument } from '../../kernel/errors.ts'
import type { Micros } from '../../kernel/identity.ts'
import { Prng } from '../../kernel/prng.ts'
import { ABILITY_DICE } from './abilities.ts'

export interface RunOptions {
  members: number
  late: number
  early: number
  leavers: number
  rejoins: number
  sequencerLeaves: boolean
  everybodyLeaves: boolean
  joinOrCreate: boolean
  secondCreate: boolean
  maxMembers: number

  transport: 'multicast' | 'unicast'
  loss: number
  duplication: number
  corruption: number
  garbage: number
  delay: Micros
  jitter: number
  tail: number
  reorder: boolean
  queuePackets: number
  queueBytes: number
  service: Micros
  turn: number

  detection: 'default' | 'fast' | 'wan'
  packetSize: number
  maxMessageSize: number
  /** Messages up to several packets, now and then. */
  large: number
  method: 'auto' | 'pb' | 'bb'
  methodThreshold: number
  historySize: number
  historyBytes: number
  sendWindow: number
  resilience: number | 'majority'
  startNear: number

  sends: number
  sendGap: Micros
  burst: number
  sendMany: number
  outstanding: number
  cancels: number
  oversized: number
  slow: number
  takeDelay: Micros
  pause: Micros
  healAt: Micros

  minMembers: number | 'majority'
  /** Whether crashes, pauses, partitions, drift and the parameters of recovery are drawn; else they are none. */
  faults: boolean
  recovery: 'auto' | 'manual'
  crashes: number
  crashTogether: number
  silent: number
  restarts: number
  pauses: number
  pauseFor: Micros
  partitions: number
  partitionFor: Micros
  oneWay: number
  aimed: number
  drift: number
  resets: number
  comeBack: number
  skip: string
  keys: number
  upgrades: number
  lesser: number
  mistakes: number
  /** With manual recovery: no program ever asks for a reset. */
  heedless: boolean
}
export type OptionName = keyof RunOptions
export type Overrides = Partial<RunOptions>

/** What starts near which numbers: nowhere special, and where 32 bits, signed and not, and 48 bits end. */
const EDGES = [0, 2 ** 31, 2 ** 32, 2 ** 48] as const
/** Faults have dice of their own, so that whether they are drawn changes nothing else. */
export const FAULT_DICE = 0x2f6b1c39
/** What a message may take of a packet beside its body, rounded up. */
const PACKET_ROOM = 200

/** And so have rights. */
const RIGHT_DICE = 0x3c6ef372
/** And mistakes. */
const MISTAKES_DICE = 0x5be0cd19
/** And programs that do not react. */
const HEEDLESS_DICE = 0x1f83d9ab

type Draw = <Name extends OptionName>(name: Name, value: RunOptions[Name]) => RunOptions[Name]

export function drawOptions(seed: number, overrides: Overrides = {}): RunOptions {
  const prng = new Prng(seed)
  const drawn: Partial<RunOptions> = {}
  const draw: Draw = (name, value) => {
    const chosen = overrides[name] ?? value
    drawn[name] = chosen
    return chosen
  }
  const maybe = (numerator: number, denominator: number, value: number) =>
    prng.chance(numerator, denominator) ? value : 0

  const members = draw('members', prng.chance(1, 12) ? prng.between(9, 16) : prng.between(1, 8))
  const late = draw('late', Math.min(members - 1, prng.below(members)))
  draw('early', Math.min(members - 1 - late, maybe(1, 4, prng.between(1, 2))))
  draw('leavers', maybe(2, 3, prng.below(members)))
  draw('rejoins', maybe(1, 3, prng.between(1, 2)))
  draw('sequencerLeaves', prng.chance(1, 3))
  draw('everybodyLeaves', prng.chance(1, 6))

  const isLossless = prng.chance(1, 4)
  draw('transport', prng.chance(1, 2) ? 'multicast' : 'unicast')
  const loss = draw('loss', isLossless ? 0 : maybe(4, 5, Math.round(prng.unit() ** 2 * 250) / 1000))
  draw('duplication', maybe(1, 2, Math.round(prng.unit() * 200) / 1000))
  const corruption = draw('corruption', isLossless ? 0 : maybe(1, 3, Math.round(prng.unit() * 50) / 1000))
  draw('garbage', maybe(1, 3, Math.round(prng.unit() * 50) / 1000))
  const delay = draw('delay', logarithmic(prng, 50, 20_000))
  draw('jitter', prng.pick([0, 0.1, 0.5, 1, 3]))
  draw('tail', isLossless ? 0 : maybe(1, 3, 0.02))
  draw('reorder', prng.chance(2, 3))

  const packetSize = draw('packetSize', prng.pick([512, 1400, 1400, 8000, 60_000]))
  const queuePackets = draw('queuePackets', isLossless ? 100_000 : prng.pick([8, 32, 128, 1000, 1000]))
  draw('queueBytes', isLossless ? 2 ** 28 : prng.pick([4, 8, 32, 128]) * Math.max(packetSize, 2048))
  draw('service', prng.pick([0, 1, 5, 20, 50]))
  draw('turn', prng.pick([1, 4, 16, 64]))
  // a locate that is lost four times finds nobody: right for a machine, but two groups for a checker
  const canLocate = loss === 0 && corruption === 0 && queuePackets >= 100_000 && delay < 5000
  draw('joinOrCreate', canLocate && prng.chance(1, 3))
  draw('secondCreate', canLocate && prng.chance(1, 3))

  draw(
    'detection',
    delay > 5000 && prng.chance(1, 2) ? 'wan' : delay < 500 && prng.chance(1, 3) ? 'fast' : 'default',
  )
  const large = draw('large', maybe(1, 3, prng.pick([0.02, 0.1, 0.5])))
  const maxMessageSize = draw(
    'maxMessageSize',
    large > 0
      ? Math.min(100_000, packetSize * prng.between(2, 12))
      : Math.min(packetSize - PACKET_ROOM, logarithmic(prng, 16, 8000)),
  )
  draw('method', prng.pick(['auto', 'pb', 'bb'] as const))
  draw('methodThreshold', prng.pick([0, 100, 1000, packetSize, 10 * packetSize]))
  const isTiny = prng.chance(1, 2)
  draw('historySize', isTiny ? prng.between(1, 4) : logarithmic(prng, 5, 5000))
  draw('historyBytes', Math.max(4096, 2 * maxMessageSize, prng.chance(1, 2) ? 4096 : 2 ** 20))
  draw('sendWindow', prng.pick([1, 2, 8, 64]) * packetSize)
  const maxMembers = draw('maxMembers', members > 1 && prng.chance(1, 12) ? members - 1 : 64)
  const most = Math.max(0, Math.min(members, maxMembers) - 1)
  draw('resilience', prng.chance(1, 2) ? 0 : prng.chance(1, 4) ? 'majority' : prng.between(0, most))
  draw('startNear', prng.chance(1, 2) ? 0 : prng.pick(EDGES))

  const sends = draw(
    'sends',
    members > 8 || maxMessageSize > 2000 ? prng.between(20, 100) : prng.between(20, 250),
  )
  draw('sendGap', logarithmic(prng, 10, 20_000))
  draw('burst', prng.pick([1, 1, 3, 10, 50]))
  draw('sendMany', prng.pick([0, 0, 0.3, 1]))
  draw('outstanding', prng.pick([0, 0, 1, 4, 20]))
  draw('cancels', maybe(1, 3, 0.1))
  draw('oversized', maybe(1, 5, 0.02))
  draw('slow', maybe(1, 2, prng.between(1, members)))
  draw('takeDelay', logarithmic(prng, 100, 50_000))
  draw('pause', maybe(1, 2, logarithmic(prng, 1000, 300_000)))
  const healAt = Math.max(100_000, Math.min(2_000_000, sends * 10_000))
  draw('healAt', healAt)
  drawFaults(seed, draw, drawn as RunOptions, draw('faults', true))
  drawAbilities(seed, draw, drawn as RunOptions)
  drawRights(seed, draw, drawn as RunOptions)
  drawMistakes(seed, draw, drawn as RunOptions)
  drawHeedless(seed, draw, drawn as RunOptions)
  return drawn as RunOptions
}

/** Every die is rolled whether faults are drawn or not, so that one option set changes no other. */
function drawFaults(seed: number, draw: Draw, drawn: RunOptions, areDrawn: boolean): void {
  const prng = new Prng(seed + FAULT_DICE)
  const { members, maxMembers, resilience } = drawn
  const some = (numerator: number, denominator: number, value: number) =>
    prng.chance(numerator, denominator) && areDrawn ? value : 0
  const most = Math.min(members, maxMembers)

  const isManual = prng.chance(1, 3)
  const minimum = prng.chance(1, 5) ? prng.between(1, most) : 'majority'
  draw('recovery', areDrawn && isManual ? 'manual' : 'auto')
  draw('minMembers', areDrawn ? minimum : 'majority')
  const degree = resilience === 'majority' ? Math.floor(members / 2) : resilience
  draw('crashes', some(1, 2, prng.between(1, Math.max(1, Math.ceil(members / 2)))))
  draw('crashTogether', prng.chance(1, 2) ? 1 : prng.between(1, degree + 1))
  draw('silent', prng.pick([0, 0.5, 1]))
  draw('restarts', some(1, 2, prng.between(1, members)))
  draw('pauses', some(1, 3, prng.between(1, 4)))
  draw('pauseFor', logarithmic(prng, 10_000, 10_000_000))
  draw('partitions', some(1, 3, prng.between(1, 4)))
  draw('partitionFor', logarithmic(prng, 10_000, 10_000_000))
  draw('oneWay', prng.pick([0, 0.3, 1]))
  draw('aimed', some(1, 2, prng.between(1, 4)))
  draw('drift', some(1, 2, prng.pick([0.001, 0.02, 0.1])))
  draw('resets', some(1, 3, prng.pick([0.1, 0.5])))
  draw('comeBack', areDrawn ? prng.pick([0, 0.5, 1]) : 0)
  draw('skip', '')
  if (!hasFaults(drawn)) return
  // somebody must have the time to suspect and to rebuild before everything is well again
  draw('healAt', drawn.healAt + logarithmic(prng, 200_000, 12_000_000))
  // whoever is cut off finds nobody: right for a machine, but two groups for a checker
  draw('joinOrCreate', false)
  draw('secondCreate', false)
}

/** Last of all, and with dice of its own: runs without them are what they were. */
function drawAbilities(seed: number, draw: Draw, { joinOrCreate, secondCreate }: RunOptions): void {
  const prng = new Prng(seed + ABILITY_DICE + 1)
  // whoever cannot read the group's packets finds nobody: right for a machine, but two groups for a checker
  const some = (value: number) => (prng.chance(1, 3) && !joinOrCreate && !secondCreate ? value : 0)
  const keys = draw('keys', some(prng.between(1, 3)))
  const upgrades = draw('upgrades', some(prng.between(1, 2)))
  if (keys + upgrades === 0) return
  draw('joinOrCreate', false)
  draw('secondCreate', false)
}

/** Likewise, and behind them. */
function drawRights(seed: number, draw: Draw, { members }: RunOptions): void {
  const prng = new Prng(seed + RIGHT_DICE)
  const lesser = prng.chance(1, 4) ? prng.below(members) : 0
  if (draw('lesser', lesser) === 0) return
  // who may not create finds nobody, and is no second creator either
  draw('joinOrCreate', false)
  draw('secondCreate', false)
}

/** Likewise: operators who put a former key first. */
function drawMistakes(seed: number, draw: Draw, { keys }: RunOptions): void {
  const prng = new Prng(seed + MISTAKES_DICE)
  draw('mistakes', keys > 0 && prng.chance(1, 3) ? prng.between(1, 3) : 0)
}

/** Likewise: with manual recovery the calls of programs that never ask for a reset have to end, too. */
function drawHeedless(seed: number, draw: Draw, { recovery }: RunOptions): void {
  const prng = new Prng(seed + HEEDLESS_DICE)
  const isHeedless = prng.chance(1, 4) && recovery === 'manual'
  if (draw('heedless', isHeedless)) draw('resets', 0)
}

/** Whether anything can go wrong that takes a member out. */
export function hasFaults({ crashes, pauses, partitions, aimed }: RunOptions): boolean {
  return crashes + pauses + partitions + aimed > 0
}

/** Reads `name=value` as the command line gives it; throws ERR_INVALID_ARGUMENT for what is no option. */
export function parseOverride(text: string): Overrides {
  const [name = '', value = ''] = text.split(/=(.*)/s, 2)
  const example = drawOptions(1)
  if (!(name in example)) throw invalidArgument('--only', name, `one of ${Object.keys(example).join(', ')}`)
  const kind = typeof example[name as OptionName]
  const words: Partial<Record<OptionName, readonly string[]>> = {
    transport: ['multicast', 'unicast'],
    detection: Object.keys(detectionPresets),
    resilience: ['majority'],
    method: ['auto', 'pb', 'bb'],
    minMembers: ['majority'],
    recovery: ['auto', 'manual'],
  }
  const allowed = words[name as OptionName]
  if (allowed?.includes(value)) return { [name]: value }
  if (name === 'skip' && /^(\d+(,\d+)*)?$/.test(value)) return { [name]: value }
  if (kind === 'boolean' && (value === 'true' || value === 'false')) return { [name]: value === 'true' }
  const number = Number(value)
  const isNumeric = kind === 'number' || name === 'resilience' || name === 'minMembers'
  if (isNumeric && value !== '' && number >= 0 && Number.isFinite(number)) return { [name]: number }
  const wanted = [
    ...(allowed ?? []),
    ...(isNumeric ? ['a number from 0 up'] : kind === 'boolean' ? ['true', 'false'] : []),
    ...(name === 'skip' ? ['numbers of faults, as in 0,3'] : []),
  ]
  throw new GroupError(
    'ERR_INVALID_ARGUMENT',
    `--only ${name} is ${JSON.stringify(value)}; it must be ${wanted.join(' or ')}`,
  )
}

/** How long after the heal everything must be done: each send may need a few round trips of its own. */
export function progressBound(options: RunOptions): Micros {
  const oneWay = options.delay * (1 + options.jitter)
  // on a link taken for a wide one a suspicion alone may take half a minute
  const patience = options.detection === 'wan' && hasFaults(options) ? 150_000_000 : 30_000_000
  // where nobody resets the group each later life of a program waits as long to be let in (knocking.ts; seed 74001764)
  const lives = options.rejoins * (options.detection === 'wan' ? 120_000_000 : 30_000_000)
  return (
    patience +
    (hasFaults(options) ? lives : 0) +
    (options.sends + 20 * options.members) * (12 * oneWay + 60_000)
  )
}

/** Between `min` and `max`, each order of magnitude as likely as any other. */
function logarithmic(prng: Prng, min: number, max: number): number {
  return Math.round(min * (max / min) ** prng.unit())
}
