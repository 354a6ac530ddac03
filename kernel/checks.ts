/** Checks of what programs give, with complaints of one form: the field, what was given, what is allowed, what was meant. */
import { ErrorCode, GroupError, invalidArgument } from './errors.ts'
import { nearest } from './nearest.ts'

/** Names of fields are long: a slip more is still a slip. */
const FIELD_SLIPS = 2

/** `otherwise` is what is allowed beside the number, as text. */
export function wholeNumber(
  field: string,
  value: unknown,
  min: number,
  max: number,
  otherwise?: string,
): asserts value is number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return
  const allowed = `a whole number from ${min} to ${max}`
  if (otherwise === undefined) throw invalidArgument(field, value, allowed)
  throw invalidArgument(field, value, `${allowed}, or '${otherwise}'`, meant(value, [otherwise]))
}

export function oneOf(field: string, value: unknown, allowed: readonly string[]): void {
  if (typeof value === 'string' && allowed.includes(value)) return
  throw invalidArgument(field, value, allowed.map((name) => `'${name}'`).join(' or '), meant(value, allowed))
}

export function trueOrFalse(field: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw invalidArgument(field, value, 'true or false')
}

/** An object of somebody else's, known by what it can do; `what` says what that is. */
export function withMethods(field: string, value: unknown, methods: readonly string[], what: string): void {
  const isOne = typeof value === 'object' && value !== null
  const has = (method: string) => typeof (value as Record<string, unknown>)[method] === 'function'
  if (!isOne || !methods.every(has)) throw invalidArgument(field, value, what)
}

/** The allowed value that `given` was probably meant to be, if it is a text that is near one. */
export function meant(given: unknown, allowed: readonly string[]): string | undefined {
  return typeof given === 'string' ? nearest(given, allowed) : undefined
}

/** Refuses options that do not exist, naming the nearest that does. Fields of an option have its name `within` before them. */
export function checkFields(caller: string, given: unknown, known: readonly string[], within = ''): void {
  isObject(caller, given)
  for (const field of Object.keys(given))
    if (!known.includes(field)) throw unknownName('option', field, known, within)
}

/** The same for options of calls that are made for each message: nothing is made of them. */
export function checkCallOptions(caller: string, given: unknown, known: readonly string[]): void {
  isObject(caller, given)
  for (const field in given)
    if (!known.includes(field) && Object.hasOwn(given, field)) throw unknownName('option', field, known)
}

function isObject(caller: string, given: unknown): asserts given is object {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalidArgument(`the options of ${caller}`, given, 'an object')
  }
}

export function unknownName(what: string, name: unknown, known: readonly string[], within = ''): GroupError {
  const near = typeof name === 'string' ? nearest(name, known, FIELD_SLIPS) : undefined
  const advice = near === undefined ? `known are ${known.join(', ')}` : `did you mean ${within}${near}?`
  return new GroupError(ErrorCode.invalid, `there is no ${what} ${within}${String(name)}; ${advice}`)
}
