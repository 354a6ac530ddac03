/**
 * What goes wrong with nodes and links, drawn before the run from dice of its own. Each fault has dice of its
 * own too, so that one that is left out (`skip`) changes nothing about the others.
 */
import type { Micros } from '../../kernel/identity.ts'
import { Prng } from '../../kernel/prng.ts'
import { ABILITY_DICE } from './abilities.ts'
import { FAULT_DICE, type RunOptions } from './options.ts'

/** When: at a moment, or aimed at a turning point, which may never come. */
export type Trigger =
  | { readonly on: 'time'; readonly at: Micros }
  /** The nth mark of this name, by anybody. */
  | { readonly on: 'mark'; readonly mark: string; readonly nth: number }
  /** Just before or after the nth packet of this kind is sent or received, by anybody. */
  | {
      readonly on: 'packet'
      readonly kind: string
      readonly side: 'sent' | 'received'
      readonly when: 'before' | 'after'
      readonly nth: number
    }

/** Whom: for aimed faults, who is at the turning point itself; otherwise found by role or number. */
export type Aim = 'self' | 'sequencer' | number

export type Deed =
  | {
      readonly deed: 'crash'
      readonly aim: Aim
      /** How many more nodes die at the same moment. */
      readonly others: number
      /** Whether the host dies too, so that nobody answers for it. */
      readonly isSilent: boolean
      /** Of the step that is then under way, or the next one, only so many effects happen. */
      readonly effects: number | undefined
      /** When a new life begins there; undefined: never. */
      readonly restartAfter: Micros | undefined
    }
  | { readonly deed: 'pause'; readonly aim: Aim; readonly length: Micros }
  | {
      readonly deed: 'partition'
      readonly aim: Aim
      /** 2 or 3. */
      readonly sides: number
      /** From the side of the aim to the others nothing gets through, or (`-1`) the other way only. */
      readonly oneWay: 0 | 1 | -1
      readonly length: Micros
    }

export interface Fault {
  readonly index: number
  readonly trigger: Trigger
  readonly deed: Deed
  /** For what is decided when it happens: who else, which side. */
  readonly prng: Prng
}

/** Turning points worth hitting; a name that no machine uses is a fault that never comes. */
const MARKS = [
  'suspect', 'inviting', 'voted', 'collecting', 'proposing', 'result', 'result-held', 'reset', 'stalled', 'resumed',
  'handover-numbered', 'join-numbered', 'leave-numbered', 'gone', 'new-sequencer',
] as const // biome-ignore format: one list
const KINDS = [
  'request', 'order', 'data', 'repair', 'gap', 'state', 'requestAck', 'joinRequest', 'streamData', 'streamAck',
  'left', 'invite', 'refusal', 'inquiry', 'testimony', 'probe', 'probeAnswer', 'expelled',
] as const // biome-ignore format: one list
const RECOVERY_KINDS: readonly string[] = KINDS.slice(KINDS.indexOf('invite'))
/** From here on nothing new goes wrong, so that the last fault has some time before the heal. */
const LAST_MOMENT = 0.9

export function drawPlan(seed: number, options: RunOptions): Fault[] {
  const prng = new Prng(seed + FAULT_DICE + 1)
  const { crashes, crashTogether, pauses, partitions, aimed } = options
  const faults: Fault[] = []
  const skipped = new Set(options.skip.split(',').filter(Boolean).map(Number))
  const add = (make: (dice: Prng) => { trigger: Trigger; deed: Deed }) => {
    const dice = prng.fork()
    faults.push({ index: faults.length, ...make(dice), prng: dice.fork() })
  }
  let restarts = options.restarts
  const crash = (dice: Prng, aim: Aim, others: number): Deed => {
    const restartAfter = restarts > 0 ? logarithmic(dice, 5000, 3_000_000) : undefined
    restarts -= 1 + others
    return {
      deed: 'crash',
      aim,
      others,
      isSilent: dice.unit() < options.silent,
      effects: dice.chance(1, 2) ? dice.below(5) : undefined,
      restartAfter,
    }
  }
  for (let left = crashes; left > 0; ) {
    const together = Math.min(left, Math.max(1, crashTogether))
    left -= together
    add((dice) => ({
      trigger: atTime(dice, options),
      deed: crash(dice, anybody(dice, options), together - 1),
    }))
  }
  for (let i = 0; i < pauses; i++)
    add((dice) => ({ trigger: atTime(dice, options), deed: pause(dice, anybody(dice, options), options) }))
  for (let i = 0; i < partitions; i++)
    add((dice) => ({
      trigger: atTime(dice, options),
      deed: partition(dice, anybody(dice, options), options),
    }))
  for (let i = 0; i < aimed; i++) {
    add((dice) => {
      const aim = dice.chance(2, 3) ? 'self' : anybody(dice, options)
      const others = dice.chance(1, 3) ? dice.below(Math.max(1, crashTogether)) : 0
      const trigger = turningPoint(dice)
      const kind = dice.pick(['crash', 'crash', 'pause', 'partition'] as const)
      if (kind === 'crash') return { trigger, deed: crash(dice, aim, others) }
      return {
        trigger,
        deed: kind === 'pause' ? pause(dice, aim, options) : partition(dice, aim, options),
      }
    })
  }
  const aimedAnew = options.keys + options.upgrades > 0 ? atSettings(seed, faults) : faults
  return aimedAnew.filter(({ index }) => !skipped.has(index))
}

/** Where a group changes its settings, half of the faults that are aimed at marks are aimed at that. */
function atSettings(seed: number, faults: readonly Fault[]): Fault[] {
  const dice = new Prng(seed + ABILITY_DICE + 2)
  return faults.map((fault) => {
    if (fault.trigger.on !== 'mark' || dice.chance(1, 2)) return fault
    return { ...fault, trigger: { on: 'mark', mark: 'settings-numbered', nth: dice.between(1, 3) } }
  })
}

function atTime(dice: Prng, { healAt }: RunOptions): Trigger {
  return { on: 'time', at: dice.below(Math.round(healAt * LAST_MOMENT)) }
}

function anybody(dice: Prng, { members }: RunOptions): Aim {
  return dice.chance(1, 3) ? 'sequencer' : dice.below(members)
}

function turningPoint(dice: Prng): Trigger {
  if (dice.chance(1, 2)) return { on: 'mark', mark: dice.pick(MARKS), nth: dice.between(1, 6) }
  const kind = dice.chance(1, 2) ? dice.pick(RECOVERY_KINDS) : dice.pick(KINDS)
  return {
    on: 'packet',
    kind,
    side: dice.pick(['sent', 'received']),
    when: dice.pick(['before', 'after']),
    nth: RECOVERY_KINDS.includes(kind) ? dice.between(1, 12) : logarithmic(dice, 1, 200),
  }
}

function pause(dice: Prng, aim: Aim, { pauseFor }: RunOptions): Deed {
  return { deed: 'pause', aim, length: Math.max(1, Math.round(pauseFor * (0.5 + dice.unit()))) }
}

function partition(dice: Prng, aim: Aim, { partitionFor, oneWay }: RunOptions): Deed {
  return {
    deed: 'partition',
    aim,
    sides: dice.chance(1, 4) ? 3 : 2,
    oneWay: dice.unit() < oneWay ? dice.pick([1, -1] as const) : 0,
    length: Math.max(1, Math.round(partitionFor * (0.5 + dice.unit()))),
  }
}

/** For people: one line of the report. */
export function describeFault({ index, trigger, deed }: Fault): string {
  const when =
    trigger.on === 'time'
      ? `at ${(trigger.at / 1000).toFixed(3)} ms`
      : trigger.on === 'mark'
        ? `at mark ${trigger.nth} of ${trigger.mark}`
        : `${trigger.when} packet ${trigger.nth} of kind ${trigger.kind} is ${trigger.side}`
  const { aim } = deed
  const whom = typeof aim === 'number' ? `n${aim}` : aim
  switch (deed.deed) {
    case 'crash': {
      const more = deed.others > 0 ? ` and ${deed.others} more` : ''
      const effects = deed.effects === undefined ? '' : `, after ${deed.effects} effects of a step`
      const again = deed.restartAfter === undefined ? '' : `, again after ${deed.restartAfter / 1000} ms`
      return `fault ${index}: ${when} ${whom}${more} dies${deed.isSilent ? ' with its host' : ''}${effects}${again}`
    }
    case 'pause':
      return `fault ${index}: ${when} ${whom} stops for ${deed.length / 1000} ms`
    case 'partition': {
      const way = deed.oneWay === 0 ? '' : deed.oneWay === 1 ? ', outwards only' : ', inwards only'
      return `fault ${index}: ${when} ${whom} is on one of ${deed.sides} sides for ${deed.length / 1000} ms${way}`
    }
  }
}

function logarithmic(prng: Prng, min: number, max: number): number {
  return Math.round(min * (max / min) ** prng.unit())
}
