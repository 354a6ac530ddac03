/**
 * The parameters that belong to a group: chosen by its creator, the same at every member, carried in the
 * join's answer and in results (design 4.1).
 */
import { checkFields, meant, oneOf, wholeNumber } from './checks.ts'
import { invalidArgument } from './errors.ts'

export interface GroupParameters {
  /**
   * Crashes at once that no message whose send has returned is lost to (paper, section 2); 0 to maxMembers − 1, or half the
   * view, rounded down.
   */
  readonly resilience: number | 'majority'
  /** Floor for a reset: fewer members than this never go on; 1 to maxMembers, or more than half of the view. */
  readonly minMembers: number | 'majority'
  readonly recovery: 'auto' | 'manual'
  /** Members at most; 1 to 1,024. */
  readonly maxMembers: number
  /** Messages kept in the history until stable; 1 to 2^24. */
  readonly historySize: number
  /** Bytes kept in the history; at least 4,096 and 2 × maxMessageSize, to 2^31. */
  readonly historyBytes: number
  /** Bytes of one message, header and body together; 0 to 16 MiB. */
  readonly maxMessageSize: number
  /** What to do about a member that does not receive: wait for it, or expel it after 1 to 86,400,000 milliseconds. */
  readonly slowMember: 'block' | { readonly expelAfterMs: number }
}

const KIB = 1024
const MIB = 1024 * KIB

export const parameterDefaults: GroupParameters = {
  resilience: 0,
  minMembers: 'majority',
  recovery: 'auto',
  maxMembers: 64,
  historySize: 65_536,
  historyBytes: 32 * MIB,
  maxMessageSize: MIB,
  slowMember: 'block',
}

export const parameterLimits = {
  maxMembers: 1024,
  historySize: 2 ** 24,
  historyBytes: 2 ** 31,
  maxMessageSize: 16 * MIB,
  portBytes: 255,
  headerBytes: 1024,
  /** What a joiner hands to the program of who admits. */
  tokenBytes: 1024,
} as const

/** Fills in defaults and checks every field; throws ERR_INVALID_ARGUMENT naming the field. */
export function completeParameters(given: Partial<GroupParameters> = {}): GroupParameters {
  const parameters = { ...parameterDefaults }
  for (const [key, value] of Object.entries(given)) {
    if (!(key in parameterDefaults))
      throw invalidArgument(`option ${key}`, value, `one of ${Object.keys(parameterDefaults).join(', ')}`)
    if (value !== undefined) Object.assign(parameters, { [key]: value })
  }
  const { maxMembers, maxMessageSize, slowMember } = parameters
  wholeNumber('maxMembers', maxMembers, 1, parameterLimits.maxMembers)
  if (parameters.resilience !== 'majority')
    wholeNumber('resilience', parameters.resilience, 0, maxMembers - 1, 'majority')
  if (parameters.minMembers !== 'majority')
    wholeNumber('minMembers', parameters.minMembers, 1, maxMembers, 'majority')
  oneOf('recovery', parameters.recovery, ['auto', 'manual'])
  wholeNumber('historySize', parameters.historySize, 1, parameterLimits.historySize)
  wholeNumber('maxMessageSize', maxMessageSize, 0, parameterLimits.maxMessageSize)
  if (given.historyBytes === undefined) {
    parameters.historyBytes = Math.max(parameters.historyBytes, 2 * maxMessageSize)
  }
  wholeNumber(
    'historyBytes',
    parameters.historyBytes,
    Math.max(4096, 2 * maxMessageSize),
    parameterLimits.historyBytes,
  )
  if (slowMember !== 'block') checkSlowMember(slowMember)
  return parameters
}

function checkSlowMember(given: unknown): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalidArgument('slowMember', given, "'block' or { expelAfterMs }", meant(given, ['block']))
  }
  checkFields('slowMember', given, ['expelAfterMs'], 'slowMember.')
  const { expelAfterMs } = given as { readonly expelAfterMs?: unknown }
  wholeNumber('slowMember.expelAfterMs', expelAfterMs, 1, 86_400_000)
}

/** Which of the parameters given the group does not have, with both values as text. */
export function otherParameters(
  given: Partial<GroupParameters>,
  actual: GroupParameters,
): { field: keyof GroupParameters; assumed: string; actual: string }[] {
  const fields = Object.keys(parameterDefaults) as (keyof GroupParameters)[]
  return fields.flatMap((field) => {
    if (given[field] === undefined) return []
    const [assumed, is] = [JSON.stringify(given[field]), JSON.stringify(actual[field])]
    return assumed === is ? [] : [{ field, assumed, actual: is }]
  })
}

/** How many acks of others an event of a view with so many members needs. */
export function resilienceFor(parameters: GroupParameters, viewSize: number): number {
  const wanted = parameters.resilience === 'majority' ? Math.floor(viewSize / 2) : parameters.resilience
  return Math.min(wanted, viewSize - 1)
}
