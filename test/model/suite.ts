/**
 * The tables: what is run, and what must come of it. The steps of a counter-example and the number of states
 * are part of it: the first is the shortest there is, the second changes with any rule of the model.
 */
import type { Verdict } from './explore.ts'

export interface Run {
  readonly size: string
  /** As on the command line; what is not named is as the design has it. */
  readonly options: string
  readonly expect: Exclude<Verdict, 'bound'>
  /** Of the shortest counter-example, or to the first blocked state. */
  readonly steps?: number
  /** All that can be reached, or those seen until then; not said where nobody has counted them. */
  readonly states?: number
  /** What it shows, where the options do not say it. */
  readonly note?: string
  /** Also look for states from which a live majority cannot recover. */
  readonly looksForBlocked?: true
  /** Where it takes long to find: a counter-example with as few steps, by number. */
  readonly path?: readonly number[]
  /** Stop at so many states. */
  readonly limit?: number
  /** Random walks of so many steps instead, and how many of them. */
  readonly walk?: { readonly length: number; readonly walks: number; readonly seed: number }
}

export interface Table {
  readonly title: string
  readonly runs: readonly Run[]
}

/** The rules read literally, before counter-examples mended them. */
const literal =
  'newView=voters deadResults=kept invitations=from-log-end unacceptedChanges=counted handoverWithR allowReturn'

const literalRules: Table = {
  title: 'the rules read literally',
  runs: [
    { size: '3_0_3', options: literal, expect: 'ok', states: 451_037 },
    { size: '3_0_3', options: `leaves=1 handover=2 ${literal}`, expect: 'ok', states: 6_369_503 },
    { size: '3_0_4', options: `msgs0=1 ${literal}`, expect: 'ok', states: 8_209_250 },
    { size: '4_0_3', options: literal, expect: 'ok', states: 7_907_110 },
    {
      size: '3_0_3',
      options: `msgs0=1 ${literal} allowReturn=0`,
      expect: 'bad',
      steps: 12,
      states: 16_600,
      note: 'an expelled member is back',
    },
    {
      size: '4_0_3',
      options: `min=2 msgs0=1 ${literal}`,
      expect: 'bad',
      steps: 11,
      states: 53_562,
      note: 'returned, at most r lost, and gone',
    },
    {
      size: '5_0_3',
      options: `msgs0=1 ${literal}`,
      expect: 'bad',
      steps: 12,
      states: 108_291,
      note: 'the same with a majority',
    },
    {
      size: '3_0_3',
      options: 'msgs0=1 newView=members deadResults=kept invitations=from-log-end logEndBeyondGap',
      expect: 'bad',
      steps: 11,
      states: 11_161,
      note: '"held" read literally',
    },
    {
      size: '3_0_4',
      options: `msgs0=1 msgs=0 ${literal} ownEventsKept`,
      expect: 'bad',
      steps: 9,
      states: 36_976,
      note: 'own events kept by seq',
    },
    {
      size: '4_0_2',
      options: `r=2 min=1 msgs0=1 msgs=0 leaves=1 handover=2 ${literal}`,
      expect: 'bad',
      steps: 7,
      states: 2_810,
      note: 'the handover accepted with r acks',
    },
    {
      size: '3_0_3',
      options: `msgs0=1 msgs=0 ${literal}`,
      looksForBlocked: true,
      expect: 'blocked',
      steps: 3,
      states: 52,
      note: 'a majority that cannot recover',
    },
  ],
}

const design: Table = {
  title: 'the design',
  runs: [
    { size: '3_0_3', options: '', expect: 'ok', states: 500_075 },
    { size: '3_0_4', options: 'msgs0=1', expect: 'ok', states: 9_650_084 },
    { size: '3_0_4', options: 'r=0 msgs0=1', expect: 'ok', states: 12_338_889 },
    { size: '3_0_4', options: 'min=1 msgs0=1', expect: 'ok', states: 18_270_403 },
    { size: '4_0_3', options: 'min=2 msgs0=1', expect: 'ok', states: 2_473_027 },
    { size: '4_0_2', options: 'r=2 min=1 msgs=0 leaves=1 handover=2', expect: 'ok', states: 648_654 },
    { size: '4_0_2', options: 'r=3 min=1 msgs=0 leaves=1 handover=2', expect: 'ok', states: 445_523 },
    { size: '3_0_3', options: 'partialTakeover leaves=1 handover=2', expect: 'ok', states: 9_116_346 },
    { size: '3_1_2', options: 'min=1 msgs0=1 msgs=0 leaves=1 handover=2', expect: 'ok', states: 2_281_104 },
    { size: '2_1_3', options: 'msgs0=1 leaves=1 handover=2', expect: 'ok', states: 15_185_038 },
    { size: '3_0_4', options: 'msgs0=1 msgs=0', looksForBlocked: true, expect: 'ok', states: 840_494 },
    { size: '5_0_3', options: 'r=2 msgs0=0 msgs=0', looksForBlocked: true, expect: 'ok', states: 53_809 },
    // Ballots as the code compares them, which is one of the orders that these go through.
    { size: '3_0_3', options: 'ballotsInAnyOrder', expect: 'ok', states: 523_045 },
    { size: '3_0_4', options: 'msgs0=1 ballotsInAnyOrder', expect: 'ok', states: 10_256_419 },
    {
      size: '3_0_3',
      options: 'partialTakeover leaves=1 handover=2 ballotsInAnyOrder',
      expect: 'ok',
      states: 9_555_648,
    },
    {
      size: '2_1_3',
      options: 'msgs0=0 msgs=0 leaves=1 handover=2 ballotsInAnyOrder',
      expect: 'ok',
      states: 232_279,
    },
    // One whose join the receiver has missed may invite it, too.
    { size: '3_0_3', options: 'msgs0=1 invitations=from-anyone', expect: 'ok', states: 120_833 },
    { size: '2_1_3', options: 'msgs0=1 msgs=0 invitations=from-anyone', expect: 'ok', states: 190_493 },
    // Joins and leaves that are not accepted yet when somebody dies.
    {
      size: '1_1_4',
      options: 'msgs0=0 msgs=0 leaves=1 handover=2',
      looksForBlocked: true,
      expect: 'ok',
      states: 21_298,
    },
    {
      size: '2_1_3',
      options: 'msgs0=0 msgs=0 leaves=1 handover=2',
      looksForBlocked: true,
      expect: 'ok',
      states: 225_363,
    },
    { size: '1_1_4', options: 'msgs0=1 leaves=1 handover=2', expect: 'ok', states: 1_329_271 },
    { size: '1_1_4', options: 'r=0 msgs0=1 leaves=1 handover=2', expect: 'ok', states: 1_725_481 },
    { size: '2_1_3', options: 'r=0 msgs0=1 msgs=0 leaves=1 handover=2', expect: 'ok', states: 1_886_348 },
    { size: '3_1_2', options: 'msgs0=1 msgs=0 leaves=1 handover=2', expect: 'ok', states: 1_254_677 },
    { size: '3_1_2', options: 'r=0 msgs0=1 msgs=0 leaves=1 handover=2', expect: 'ok', states: 1_299_947 },
  ],
}

/** Minutes each, and up to some GB. */
const large: Table = {
  title: 'larger groups',
  runs: [
    { size: '5_0_3', options: `r=2 msgs0=1 ${literal}`, expect: 'ok' },
    { size: '3_1_3', options: `msgs0=1 ${literal}`, expect: 'ok' },
    { size: '4_0_4', options: 'msgs0=1 msgs=0', expect: 'ok', states: 12_856_501 },
    { size: '5_0_3', options: 'msgs0=1', expect: 'ok' },
    { size: '5_0_3', options: 'r=2 msgs0=1', expect: 'ok' },
    {
      size: '3_1_3',
      options: 'msgs0=1 msgs=0 leaves=1 handover=2',
      expect: 'ok',
      limit: 90_000_000,
      note: 'not finished at that bound',
    },
    {
      size: '2_1_4',
      options: 'msgs0=1 msgs=0 leaves=1 handover=2',
      expect: 'ok',
      limit: 18_000_000,
      note: 'not finished at that bound',
    },
    {
      size: '5_1_5',
      options: 'r=2 leaves=1 handover=2',
      expect: 'ok',
      walk: { length: 150, walks: 200_000, seed: 1 },
    },
  ],
}

const removedRules: Table = {
  title: 'the design with one rule taken away',
  runs: [
    { size: '3_0_3', options: 'placeAfterAcks', expect: 'bad', steps: 7, states: 2_740 },
    { size: '3_1_3', options: 'msgs0=1 joinWithR', expect: 'bad', steps: 8, states: 17_997 },
    {
      size: '3_0_3',
      options: 'r=0 msgs0=1 msgs=0 leaves=1 leaveWithR',
      expect: 'bad',
      steps: 7,
      states: 7_277,
    },
    {
      size: '5_0_2',
      options: 'msgs0=1 msgs=0 leaves=1 handover=2 leaveWithR',
      expect: 'bad',
      steps: 10,
      states: 24_802,
    },
    {
      size: '4_0_2',
      options: 'r=2 min=1 msgs0=1 msgs=0 leaves=1 handover=2 handoverWithR',
      expect: 'bad',
      steps: 7,
      states: 3_091,
    },
    { size: '3_0_3', options: 'voteBindsNot', expect: 'bad', steps: 6, states: 3_178 },
    { size: '3_0_3', options: 'ackAfterVote', expect: 'bad', steps: 8, states: 8_830 },
    { size: '3_0_3', options: 'promiseForgotten', expect: 'bad', steps: 8, states: 11_651 },
    { size: '3_0_3', options: 'logEndBeyondGap', expect: 'bad', steps: 10, states: 16_869 },
    { size: '3_0_3', options: 'contestBySeq', expect: 'bad', steps: 12, states: 37_228 },
    { size: '3_0_3', options: 'incarnationAgain', expect: 'bad', steps: 10, states: 27_010 },
    {
      size: '3_0_3',
      options: `${literal} invitations=from-anyone`,
      expect: 'bad',
      steps: 12,
      states: 40_830,
    },
    {
      size: '3_0_4',
      options: 'msgs0=1 msgs=0 invitations=from-log-end',
      looksForBlocked: true,
      expect: 'blocked',
      steps: 6,
      states: 3_988,
    },
    {
      size: '3_0_3',
      options: 'msgs0=1 msgs=0 deadResults=kept',
      looksForBlocked: true,
      expect: 'blocked',
      steps: 3,
      states: 52,
    },
    {
      size: '3_0_4',
      options: 'msgs0=1 msgs=0 deadResults=all-cut',
      expect: 'bad',
      steps: 16,
      states: 520_562,
    },
    { size: '3_0_3', options: 'ownEventsKept', expect: 'bad', steps: 8, states: 4_407 },
    { size: '3_0_3', options: 'msgs0=1 newView=voters', expect: 'bad', steps: 12, states: 19_641 },
    {
      size: '5_0_3',
      options: 'r=2 msgs0=0 msgs=0 newView=members',
      looksForBlocked: true,
      expect: 'blocked',
      steps: 6,
      states: 466,
    },
    {
      size: '1_1_4',
      options: 'msgs0=0 msgs=0 leaves=1 handover=2 witnessForgets',
      expect: 'bad',
      steps: 16,
      states: 14_001,
    },
    { size: '3_0_3', options: 'resultWithoutAcks', expect: 'bad', steps: 7, states: 3_391 },
    {
      size: '3_1_2',
      options: 'msgs0=1 msgs=0 minimumIn=newest-accepted',
      expect: 'bad',
      steps: 12,
      states: 11_305,
    },
    {
      size: '3_1_2',
      options: 'msgs0=1 msgs=0 minimumIn=coordinators-accepted',
      expect: 'bad',
      steps: 12,
      states: 11_984,
    },
    {
      size: '5_0_4',
      options: 'r=2 msgs0=0 msgs=0 minimumIn=newest-held',
      expect: 'bad',
      steps: 18,
      states: 5_654_941,
      path: [0, 1, 7, 9, 11, 2, 1, 3, 0, 3, 1, 0, 0, 0, 3, 2, 4, 2],
    },
    {
      size: '5_0_4',
      options: 'msgs0=0 msgs=0 newView=members minimumOverVoters',
      expect: 'bad',
      steps: 19,
      states: 6_970_321,
      path: [0, 4, 5, 1, 0, 4, 1, 3, 2, 3, 4, 1, 2, 1, 2, 2, 2, 2, 2],
    },
    {
      size: '1_1_2',
      options: 'msgs0=0 msgs=0 unacceptedChanges=counted',
      looksForBlocked: true,
      expect: 'blocked',
      steps: 1,
      states: 3,
      note: 'a group of one, and a joiner that has died',
    },
    // Without these nothing goes wrong in the model; README.md says why, and why they stay.
    { size: '3_0_3', options: 'msgs0=1 leaves=1 handover=2 successorEarly', expect: 'ok', states: 2_446_870 },
    {
      size: '2_1_3',
      options: 'msgs0=1 msgs=0 leaves=1 handover=2 overlappingChanges',
      expect: 'ok',
      states: 1_931_657,
    },
    { size: '2_1_3', options: 'msgs0=1 msgs=0 joinerUnfetched=votes', expect: 'ok', states: 201_346 },
    { size: '2_1_3', options: 'msgs0=1 msgs=0 joinerUnfetched=acks', expect: 'ok', states: 367_010 },
    {
      size: '3_1_2',
      options: 'min=1 msgs0=1 msgs=0 joinerUnfetched=acks',
      expect: 'bad',
      steps: 10,
      states: 10_381,
      note: 'below a majority: a log that nobody can complete',
    },
  ],
}

export const suite: readonly Table[] = [literalRules, design, removedRules, large]

/** Together with what a violation takes to be found, these are done in half a minute. */
const TEST_STATES = 900_000
const QUICK_STATES = 10_000_000

/** Whether a run is part of the project's tests. */
export function isInTests(run: Run): boolean {
  return run.states !== undefined && run.states <= TEST_STATES
}

/** Whether a run takes no more than about a minute. */
export function isQuick(run: Run): boolean {
  return run.states !== undefined && run.states <= QUICK_STATES
}
