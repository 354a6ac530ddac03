/**
 * What a run is made of: how large, and which rules of the protocol are taken away. Without any option the
 * rules are those of the design; README.md has the table of the rules with their counter-examples.
 */

/** How many members the first view has, how many processes may join, and how many views there are at most. */
export interface Size {
  members: number
  joiners: number
  views: number
}

export interface Options {
  /** The resilience degree; -1 for half of the view at the event, rounded down. */
  r: number
  /** The minimum for recovery; 0 for a majority. */
  min: number
  /** Messages numbered in the first view, and in each later one. */
  msgs0: number
  msgs: number
  /** 0 or 1. */
  leaves: number
  /** Who leaves: 0 not the sequencer, 1 the sequencer, 2 either. */
  handover: number
  /** No log is longer. */
  maxSeq: number
  /** Taking over a result may also stop half-way: more states, no rule less. */
  partialTakeover: boolean
  /** Ballots of one incarnation stand in any order, whatever log ends they name: more states, no rule less. */
  ballotsInAnyOrder: boolean
  /** An expelled member that is back without a join is no violation. */
  allowReturn: boolean

  newView: 'witnesses' | 'members' | 'voters'
  deadResults: 'cut' | 'kept' | 'all-cut'
  invitations: 'from-any-change' | 'from-log-end' | 'from-anyone'
  minimumIn: 'every-view' | 'newest-accepted' | 'newest-held' | 'coordinators-accepted'
  minimumOverVoters: boolean
  unacceptedChanges: 'left-out' | 'counted'
  logEndBeyondGap: boolean
  contestBySeq: boolean
  incarnationAgain: boolean
  voteBindsNot: boolean
  ackAfterVote: boolean
  promiseForgotten: boolean
  witnessForgets: boolean
  resultWithoutAcks: boolean
  ownEventsKept: boolean
  placeAfterAcks: boolean
  joinWithR: boolean
  leaveWithR: boolean
  handoverWithR: boolean
  joinerUnfetched: 'waits' | 'votes' | 'acks'
  overlappingChanges: boolean
  successorEarly: boolean
}

export type OptionName = keyof Options

interface OptionInfo {
  /** The values that it can have, the default first; 'number' for any. */
  readonly values: 'number' | readonly string[]
  readonly normal: Options[OptionName]
  /** The section of the design whose rule it takes away; none if it only sets the size of a run. */
  readonly section?: string
  readonly meaning: string
}

const number = (normal: number, meaning: string): OptionInfo => ({ values: 'number', normal, meaning })

const flag = (section: string | undefined, meaning: string): OptionInfo => ({
  values: ['0', '1'],
  normal: false,
  meaning,
  ...(section === undefined ? {} : { section }),
})

const choice = (section: string, values: readonly [string, ...string[]], meaning: string): OptionInfo => ({
  values,
  normal: values[0] as Options[OptionName],
  section,
  meaning,
})

export const optionTable: Readonly<Record<OptionName, OptionInfo>> = {
  r: number(1, 'resilience degree; -1: half of the view at the event'),
  min: number(0, 'minimum for recovery; 0: a majority'),
  msgs0: number(2, 'messages numbered in the first view'),
  msgs: number(1, 'messages numbered in each later view'),
  leaves: number(0, 'leaves: 0 or 1'),
  handover: number(0, 'who leaves: 0 not the sequencer, 1 the sequencer, 2 either'),
  maxSeq: number(12, 'no log is longer'),
  partialTakeover: flag(undefined, 'taking over a result may also stop half-way'),
  ballotsInAnyOrder: flag(undefined, 'ballots of one incarnation stand in any order'),
  allowReturn: flag(undefined, 'an expelled member that is back without a join is no violation'),

  // 4.3: number first, then acks, then accept. Here the place is chosen last, so that it is known to the
  // sequencer alone when it accepts.
  placeAfterAcks: flag('4.3', 'the seq is chosen after the acks, known to the sequencer alone'),

  // 4.4: besides the acks, more than half of the view before and of the view after hold a join or a leave.
  joinWithR: flag('4.4', 'a join is accepted with r acks, without the two majorities'),
  leaveWithR: flag('4.4', 'a leave is accepted with r acks, without the two majorities'),
  // 4.4: the old sequencer's own copy goes with it, so its leave needs one ack more.
  handoverWithR: flag('4.4', "the sequencer's own leave needs r acks, not r + 1"),
  // 4.4: only after it has fetched is a joiner a holder, acker and voter.
  joinerUnfetched: choice(
    '4.4',
    ['waits', 'votes', 'acks'],
    'the joiner takes part before it has fetched: it votes with an empty log, or also acks',
  ),
  // 4.4: view changes go one at a time.
  overlappingChanges: flag('4.4', 'a join or leave is numbered before the last one is accepted'),
  // 4.4: the successor numbers only once the leave is accepted.
  successorEarly: flag('4.4', 'the successor numbers before the leave is accepted'),

  // 4.6, a vote is a promise: nothing is acked, accepted or delivered in an older view after it.
  voteBindsNot: flag('4.6', 'who has voted still acks, accepts and delivers in its old view'),
  ackAfterVote: flag('4.6', 'who has voted still takes and acks events of its old view'),
  // 4.6: promises only rise; lower invitations and results are refused.
  promiseForgotten: flag('4.6', 'lower ballots are voted for, and their results acked'),
  // 4.6, log end: the newest result inside the contiguous part of what is held.
  logEndBeyondGap: flag('4.6', 'the log end names a result that lies beyond a gap'),
  // 4.6, log end and ballot: the newest result comes before the seq.
  contestBySeq: flag('4.6', 'log ends are compared by seq alone'),
  // 4.6: an attempt takes an incarnation above every one that it was shown.
  incarnationAgain: flag('4.6', 'an attempt may take the incarnation of its own promise'),
  // 4.6, whom to answer: a later view change that the receiver holds counts as well as its log end.
  invitations: choice(
    '4.6',
    ['from-any-change', 'from-log-end', 'from-anyone'],
    "whose invitation is voted on: members of any later view change held, of the log end's view, or anyone",
  ),
  // 4.6: dead results are cut, newest first; one that a standing result lies upon never is.
  deadResults: choice(
    '4.6',
    ['cut', 'kept', 'all-cut'],
    'results that can no longer be accepted: cut, kept, or cut even below a standing one',
  ),
  // 4.6: the result carries the chain; own events above the place where two chains part are dropped.
  ownEventsKept: flag('4.6', 'who takes over a result keeps its own events by seq'),
  // 4.6, members and witnesses.
  newView: choice(
    '4.6',
    ['witnesses', 'members', 'voters'],
    'the new view: voters of the chosen log, the others being witnesses; the same without witnesses; all voters',
  ),
  // 4.6, members and witnesses: a witness still tells in its votes what it has accepted.
  witnessForgets: flag('4.6', 'a witness votes as if it had never accepted anything'),
  // 4.6: the coordinator accepts when all members and witnesses have acked.
  resultWithoutAcks: flag('4.6', "a result is accepted with the coordinator's own ack only"),
  // 4.6, minimum: counted in the newest view known accepted and in every later view change held.
  minimumIn: choice(
    '4.6',
    ['every-view', 'newest-accepted', 'newest-held', 'coordinators-accepted'],
    'the views in which the minimum is counted',
  ),
  // 4.6, minimum: counted over those that ack the result.
  minimumOverVoters: flag('4.6', 'the minimum counts voters that will not ack the result'),
  // 4.6, minimum: not in the view after a join or leave that its own sequencer, a voter, has not accepted.
  unacceptedChanges: choice(
    '4.6',
    ['left-out', 'counted'],
    'the view after a join or leave whose own sequencer votes without having accepted it, in the minimum',
  ),
}

const names = Object.keys(optionTable) as OptionName[]

export function defaultOptions(): Options {
  return Object.fromEntries(names.map((name) => [name, optionTable[name].normal])) as unknown as Options
}

/** One NAME=VALUE; a flag may stand without its value. */
function parseOption(text: string): Partial<Options> {
  const [name, value = '1'] = text.split('=', 2) as [string, string?]
  const info = (optionTable as Record<string, OptionInfo | undefined>)[name]
  if (info === undefined) throw new Error(`no option is called ${name}; there are: ${names.join(', ')}`)
  if (info.values === 'number') {
    const count = Number(value)
    if (!Number.isInteger(count) || value === '') throw new Error(`${name} must be a whole number`)
    return { [name]: count }
  }
  if (!info.values.includes(value)) throw new Error(`${name} must be one of ${info.values.join(', ')}`)
  return { [name]: typeof info.normal === 'boolean' ? value === '1' : value }
}

export function parseOptions(texts: readonly string[]): Options {
  return Object.assign(defaultOptions(), ...texts.map(parseOption))
}

/** MEMBERS_JOINERS_VIEWS, such as 3_0_4. */
export function parseSize(text: string): Size {
  const parts = /^(\d+)_(\d+)_(\d+)$/.exec(text)
  if (parts === null) throw new Error(`the size must be MEMBERS_JOINERS_VIEWS, such as 3_0_4, not ${text}`)
  return { members: Number(parts[1]), joiners: Number(parts[2]), views: Number(parts[3]) }
}
