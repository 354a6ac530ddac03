/** A sentence for each kind of step, for people who read a counter-example. */
import { firstSeq, numberedBy } from '../logs.ts'
import { has, only } from '../sets.ts'
import type { State } from '../state.ts'
import { contestView, currentVote, endSeq } from '../votes.ts'
import { type Step, type StepKind, stepKinds } from './recorder.ts'

type Sentence = (step: Readonly<Step>, now: State, next: State) => string

const sentences: Readonly<Record<keyof typeof stepKinds, Sentence>> = {
  fetch: ({ member }, now) =>
    `joiner ${now.name[member]} fetches everything up to its join (${place(now.joinView, now.joinSeq)})`,
  takeUnfetched: ({ member }, now) =>
    `joiner ${now.name[member]} takes its join (${place(now.joinView, now.joinSeq)}) without fetching what lies before`,
  voteEmpty: ({ member, view }, now) =>
    `joiner ${now.name[member]} votes in attempt ${view} with an empty log`,
  number: ({ member, view }, now, next) =>
    `sequencer ${now.name[member]} of view ${view} numbers a message: seq ${next.numberedSeq[view]}`,
  numberJoin: ({ member, view }, now, next) =>
    `sequencer ${now.name[member]} of view ${view} numbers the join of ${names(now, now.joiners)}: seq ${next.joinSeq}`,
  numberLeave: ({ member, view, detail }, now, next) =>
    member === detail
      ? `sequencer ${now.name[member]} of view ${view} numbers its own leave, successor ${now.name[only(next.successor)]}: seq ${next.leaveSeq}`
      : `sequencer ${now.name[member]} of view ${view} numbers the leave of ${now.name[detail]}: seq ${next.leaveSeq}`,
  accept: ({ member, view, detail }, now, next) =>
    `sequencer ${now.name[member]} of view ${view} accepts seq ${next.acceptedSeq[view]}, held by ${names(now, detail)}, and delivers it; a send may return`,
  take: ({ member, view }, now, next) =>
    `member ${now.name[member]} takes and acks seq ${next.logSeq[member]} of view ${view}${now.promise[member] === view ? '' : ' although it has voted'}`,
  deliver: ({ member, view }, now, next) =>
    has(next.gone, member)
      ? `member ${now.name[member]} learns that seq ${now.acceptedSeq[view]} of view ${view} is accepted, and is out`
      : `member ${now.name[member]} delivers up to seq ${next.delivered[member]} of view ${view}`,
  start: ({ member, view }, now, next) =>
    `member ${now.name[member]} starts attempt ${view}: incarnation ${next.incarnation[view]}, log end ${logEnd(next, member)}, ballot ${next.rank[view]} of ${now.views}`,
  vote: ({ member, view }, now, next) =>
    `member ${now.name[member]} votes in attempt ${view} of ${names(now, now.coordinator[view]!)}: log end ${logEnd(next, member)}, accepted ${next.delivered[member]}`,
  form: ({ member, view, detail }, now, next) =>
    `coordinator ${now.name[member]} of attempt ${view} counts the votes of ${names(now, detail)}, takes the log (${place(next.baseView[view]!, next.baseSeq[view]!)}) and makes the result seq ${firstSeq(next, view)}: members ${names(next, next.members[view]!)}${next.witnesses[view] === 0 ? '' : `, witnesses ${names(next, next.witnesses[view]!)}`}`,
  keepOwn: ({ member, view, detail }, now) =>
    `member ${now.name[member]} gets the result of attempt ${view} and keeps its own event of view ${numberedBy(now, now.logView[member]!, detail)} at seq ${detail}, where the result's log has that of view ${numberedBy(now, view, detail)}`,
  takeOver: ({ member, view }, now, next) =>
    `${has(next.members[view]!, member) ? 'member' : 'witness'} ${now.name[member]} takes over the result of attempt ${view}, everything up to seq ${firstSeq(next, view)}, and acks it`,
  takeOverPart: ({ member, view, detail }, now) =>
    `member ${now.name[member]} has taken over the log of attempt ${view} up to seq ${detail} only`,
  receiveBeyondGap: ({ member, view }, now) =>
    `member ${now.name[member]} receives the result of attempt ${view} (seq ${firstSeq(now, view)}) beyond a gap: it holds up to ${now.logSeq[member]}`,
  acceptResult: ({ member, view }, now, next) =>
    `coordinator ${now.name[member]} of attempt ${view} has the acks: the result (seq ${firstSeq(now, view)}, members ${names(next, next.members[view]!)}) is accepted and delivered`,
}

const byKind = new Map<StepKind, Sentence>(
  (Object.keys(stepKinds) as (keyof typeof stepKinds)[]).map((kind) => [stepKinds[kind], sentences[kind]]),
)

export function describe(step: Readonly<Step>, now: State, next: State): string {
  return byKind.get(step.kind)!(step, now, next)
}

/** The names of a set of processes, in order. */
export function names(state: State, set: number): string {
  const found: number[] = []
  for (let process = 0; process < state.processes; process++) {
    if (has(set, process)) found.push(state.name[process]!)
  }
  return `{${found.sort((a, b) => a - b).join(',')}}`
}

function place(view: number, seq: number): string {
  return `view ${view}, seq ${seq}`
}

/** A log end as a vote shows it. Read from the log, since votes may be forgotten at once. */
function logEnd(state: State, member: number): string {
  const vote = currentVote(state, member)
  return `(${place(contestView(vote), endSeq(vote))})`
}
