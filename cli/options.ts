/**
 * Options as data: what they are called, what they may hold, and how they are explained. yargs splits the
 * command line and prints the help from these; the values are checked here, so that every complaint has the
 * same form and suggests what was probably meant.
 */
import type { Options } from 'yargs'
import { nearest } from '../kernel/nearest.ts'
import { UsageError } from './errors.ts'

export interface OptionSpec {
  readonly kind: 'flag' | 'text' | 'whole' | 'wholeOrMajority' | 'choice'
  readonly describe: string
  /** What stands for the value in the help. */
  readonly placeholder?: string
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
  readonly fallback?: string
  readonly required?: boolean
}

export type OptionTable = Readonly<Record<string, OptionSpec>>

/** Checked values by option name; an option that was not given and has no default is undefined. */
export class OptionValues {
  private readonly values: ReadonlyMap<string, string | number | boolean>
  private readonly onLine: ReadonlySet<string>

  /** `onLine` are the names of those that stand on the command line. */
  constructor(values: ReadonlyMap<string, string | number | boolean>, onLine: ReadonlySet<string>) {
    this.values = values
    this.onLine = onLine
  }

  /** Whether the option is from the command line: what comes from the environment is for several commands. */
  isOnLine(name: string): boolean {
    return this.onLine.has(name)
  }

  text(name: string): string | undefined {
    const value = this.values.get(name)
    return typeof value === 'string' ? value : undefined
  }

  whole(name: string): number | undefined {
    const value = this.values.get(name)
    return typeof value === 'number' ? value : undefined
  }

  flag(name: string): boolean {
    return this.values.get(name) === true
  }

  /** A whole number, or the word `majority`. */
  wholeOrMajority(name: string): number | 'majority' | undefined {
    const value = this.values.get(name)
    return typeof value === 'number' || value === 'majority' ? value : undefined
  }
}

export const jsonOption: OptionTable = {
  json: { kind: 'flag', describe: 'Print one JSON object a line' },
}

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** Shared by all commands that use the network. Each can also come from the environment. */
export const networkOptions: OptionTable = {
  interface: {
    kind: 'text',
    placeholder: 'ADDR',
    describe: 'Address of the network interface to use',
    fallback: '127.0.0.1',
  },
  transport: { kind: 'choice', choices: ['multicast', 'unicast'], describe: 'How a broadcast is sent' },
  peers: {
    kind: 'text',
    placeholder: 'HOST:PORT,…',
    describe: 'Where members may be found; a HOST is an address, or a DNS name that stands for them',
  },
  'dns-servers': {
    kind: 'text',
    placeholder: 'ADDR[:PORT],…',
    describe: 'Servers to ask for the names in --peers [default: as the system does]',
  },
  'udp-port': {
    kind: 'whole',
    min: 0,
    max: 65_535,
    placeholder: 'PORT',
    describe: 'UDP port for packets to this process, and of --peers without one [default: a free one]',
  },
  advertise: {
    kind: 'text',
    placeholder: 'ADDR[:PORT]',
    describe: 'The address that others reach this process at, if it differs',
  },
  'key-file': {
    kind: 'text',
    placeholder: 'FILE',
    describe:
      "The group key, from 'amoebacast keygen'; packets are encrypted and authenticated with it. Read again when it changes, and at SIGHUP",
  },
  insecure: { kind: 'flag', describe: 'Beyond loopback without a key: this is meant, do not warn' },
  method: {
    kind: 'choice',
    choices: ['auto', 'pb', 'bb'],
    describe: 'Who broadcasts: the sequencer (pb), the sender (bb), or by size',
  },
  detection: {
    kind: 'choice',
    choices: ['default', 'fast', 'wan'],
    describe: 'How soon silence counts as a crash',
  },
  'log-level': {
    kind: 'choice',
    choices: logLevels,
    describe: 'What is logged on standard error',
    fallback: 'warn',
  },
}

/** Where pages are served, and who may read them; each can also come from the environment. */
export const httpOptions: OptionTable = {
  'http-interface': {
    kind: 'text',
    placeholder: 'ADDR',
    describe: 'Address to serve pages on; beyond loopback with a token only',
    fallback: '127.0.0.1',
  },
  'http-token-file': {
    kind: 'text',
    placeholder: 'FILE',
    describe: 'Its first line is what readers of the pages must show',
  },
}

export const ENVIRONMENT_PREFIX = 'AMOEBACAST_'

export function environmentName(option: string): string {
  return ENVIRONMENT_PREFIX + option.toUpperCase().replaceAll('-', '_')
}

/** Options that the environment may set: those that several commands share. */
export const environmentOptions = (): string[] => [
  ...Object.keys(networkOptions),
  ...Object.keys(httpOptions),
]

/**
 * The shared options that the environment sets. An empty one is kept, and refused: whoever set AMOEBACAST_KEY_FILE to what
 * turned out to be nothing did not mean to go without a key.
 */
export function fromEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of environmentOptions()) {
    const value = environment[environmentName(name)]
    if (value !== undefined) found[name] = value
  }
  return found
}

/** The table as yargs wants it. Numbers stay text here: `checkOptions` says what is wrong with them. */
export function yargsOptions(table: OptionTable): Record<string, Options> {
  return Object.fromEntries(
    Object.entries(table).map(([name, spec]): [string, Options] => [
      name,
      {
        type: spec.kind === 'flag' ? 'boolean' : 'string',
        describe: spec.describe + allowedSuffix(spec),
        ...(spec.fallback === undefined ? {} : { defaultDescription: spec.fallback }),
        // (a command may have an option of that name and of another meaning)
        group: networkOptions[name] === spec ? 'Network:' : 'Options:',
      },
    ]),
  )
}

/** Checks what yargs has split; throws a UsageError that names the option, the value and what is allowed. */
export function checkOptions(
  table: OptionTable,
  parsed: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string>>,
): OptionValues {
  const values = new Map<string, string | number | boolean>()
  const onLine = new Set(Object.keys(table).filter((name) => parsed[name] !== undefined))
  for (const [name, spec] of Object.entries(table)) {
    const given = parsed[name]
    const isInherited = given === undefined && environment[name] !== undefined
    const source = isInherited ? environmentName(name) : `--${name}`
    if (isInherited && environment[name] === '')
      throw new UsageError(`${source} is empty; it must be ${allowed(spec)}, or not be set at all`)
    const value = given ?? environment[name] ?? spec.fallback
    if (value !== undefined) values.set(name, checkValue(source, spec, value))
    else if (spec.required === true) throw new UsageError(`${source} is missing; it must be ${allowed(spec)}`)
  }
  return new OptionValues(values, onLine)
}

/** Throws if an option on the command line is not in the table. */
export function refuseUnknownOptions(table: OptionTable, args: readonly string[]): void {
  const known = [...Object.keys(table), 'help', 'version']
  for (const arg of args) {
    if (arg === '--') return
    if (arg === '-' || !arg.startsWith('-') || /^-\d/.test(arg)) continue
    const name = arg.replace(/^-+/, '').replace(/=.*$/s, '')
    const isKnown = arg.startsWith('--') && (known.includes(name) || isNegatedFlag(table, name))
    if (isKnown || arg === '-h') continue
    const suggestion = nearest(name, known, 2)
    throw new UsageError(
      `unknown option ${arg.replace(/=.*$/s, '')}${suggestion === undefined ? '' : `; did you mean --${suggestion}?`}`,
    )
  }
}

/** Throws if an option stands there twice: which one counts would be a guess. Flags may, if they agree. */
export function refuseRepeatedOptions(table: OptionTable, args: readonly string[]): void {
  const seen = new Map<string, string>()
  for (const arg of wordsOf(args)) {
    const { name, value } = partsOf(table, arg)
    const spec = table[name]
    if (spec === undefined) continue
    // what a flag says is in its own word
    const says = spec.kind === 'flag' ? String(readFlag(name, spec, value)) : ''
    const before = seen.get(name)
    if (before !== undefined && (spec.kind !== 'flag' || before !== says))
      throw new UsageError(`--${name} is given twice; give it once`)
    seen.set(name, says)
  }
}

/** Flags with a value as flags without: yargs takes every value but `true` for false. Throws for what is neither. */
export function readFlags(table: OptionTable, args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return args.map((arg, i) => {
    if (!arg.startsWith('--') || (end >= 0 && i >= end)) return arg
    const { name, value } = partsOf(table, arg)
    const spec = table[name]
    if (spec?.kind !== 'flag') return arg
    const isAlone = value === undefined
    return isAlone ? arg : `--${readFlag(name, spec, value) ? '' : 'no-'}${name}`
  })
}

/** Up to `--`, what begins like an option. */
function wordsOf(args: readonly string[]): readonly string[] {
  const end = args.indexOf('--')
  return args.slice(0, end < 0 ? args.length : end).filter((arg) => arg.startsWith('--'))
}

/** `--no-` before a flag is its value. */
function partsOf(
  table: OptionTable,
  arg: string,
): { readonly name: string; readonly value: string | undefined } {
  const [, name = '', value] = /^--([^=]*)(?:=(.*))?$/s.exec(arg) ?? []
  if (!isNegatedFlag(table, name)) return { name, value }
  // (a value behind it is refused as neither true nor false)
  return { name: name.slice(3), value: value === undefined ? 'false' : `no ${value}` }
}

function readFlag(name: string, spec: OptionSpec, value: string | undefined): boolean {
  return value === undefined || checkValue(`--${name}`, spec, value) === true
}

function isNegatedFlag(table: OptionTable, name: string): boolean {
  return name.startsWith('no-') && table[name.slice(3)]?.kind === 'flag'
}

function checkValue(source: string, spec: OptionSpec, value: unknown): string | number | boolean {
  if (spec.kind === 'flag') {
    if (value === true || value === 'true' || value === '1') return true
    if (value === false || value === 'false' || value === '0') return false
    throw refused(source, spec, value)
  }
  if (typeof value !== 'string' || value === '')
    throw new UsageError(`${source} needs a value: ${allowed(spec)}`)
  if (spec.kind === 'text') return value
  if (spec.kind === 'choice') {
    if (spec.choices?.includes(value) === true) return value
    throw refused(source, spec, value, nearest(value, spec.choices ?? []))
  }
  if (spec.kind === 'wholeOrMajority') {
    if (value === 'majority') return value
    if (!/^\d/.test(value)) throw refused(source, spec, value, nearest(value, ['majority']))
  }
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= (spec.min ?? 0) && number <= (spec.max ?? Number.MAX_SAFE_INTEGER))) {
    throw refused(source, spec, value)
  }
  return number
}

function refused(source: string, spec: OptionSpec, value: unknown, suggestion?: string): UsageError {
  const hint = suggestion === undefined ? '' : `; did you mean ${suggestion}?`
  return new UsageError(`${source} is ${JSON.stringify(value)}; it must be ${allowed(spec)}${hint}`)
}

function allowed(spec: OptionSpec): string {
  switch (spec.kind) {
    case 'flag':
      return 'true or false'
    case 'text':
      return `a text (${spec.placeholder ?? 'TEXT'})`
    case 'choice':
      return `one of ${(spec.choices ?? []).join(', ')}`
    case 'whole':
      return range(spec)
    case 'wholeOrMajority':
      return `${range(spec)}, or majority`
  }
}

function range(spec: OptionSpec): string {
  const min = spec.min ?? 0
  return spec.max === undefined ? `a whole number from ${min}` : `a whole number from ${min} to ${spec.max}`
}

function allowedSuffix(spec: OptionSpec): string {
  if (spec.kind === 'choice') return ` (${(spec.choices ?? []).join(', ')})`
  return spec.placeholder === undefined ? '' : ` (${spec.placeholder})`
}
