/**
 * A state is blocked if a set of members is alive and connected, is a majority of the newest view known accepted
 * among them and of the view after every later change that may have been accepted elsewhere (the one who numbered
 * it is not among them), and yet none of them gets a new attempt as far as a result with all their votes.
 */
import {
  isNewer,
  listChanges,
  MAX_CHANGES,
  membersAfter,
  newestAccepted,
  numberer,
  type ViewChange,
} from './logs.ts'
import type { Model } from './model.ts'
import { has, isMajority } from './sets.ts'
import { State } from './state.ts'
import { type Step, type StepSink, stepKinds } from './steps/recorder.ts'
import { Steps } from './steps/steps.ts'

/** Made once, and asked for every state. */
export class BlockedSearch implements StepSink {
  private readonly steps: Steps
  /** How far the attempt has come, and its number. */
  private readonly reached: State
  private attempt = 0
  private isFound = false

  constructor(model: Model) {
    this.steps = new Steps(model, this)
    this.reached = new State(model)
  }

  /** A blocked set of members; 0 if there is none. Not asked where no further attempt fits into the run. */
  find(state: State): number {
    if (state.views === this.steps.model.views) return 0
    const first = state.members[0]!
    for (let alive = 1; alive <= first; alive++) {
      if ((alive & ~first) !== 0 || !isEntitled(state, alive)) continue
      if (!this.canRecover(state, alive)) return alive
    }
    return 0
  }

  private canRecover(state: State, alive: number): boolean {
    for (let coordinator = 0; coordinator < state.processes; coordinator++) {
      if (has(alive, coordinator) && this.canCoordinate(state, alive, coordinator)) return true
    }
    return false
  }

  private canCoordinate(state: State, alive: number, coordinator: number): boolean {
    this.attempt = state.views
    this.isFound = false
    this.steps.now.copyFrom(state)
    this.steps.startOf(coordinator)
    if (!this.isFound) return false
    for (let voter = 0; voter < state.processes; voter++) {
      if (voter === coordinator || !has(alive, voter)) continue
      this.steps.now.copyFrom(this.reached)
      this.steps.voteOf(voter)
    }
    this.isFound = false
    this.steps.now.copyFrom(this.reached)
    this.steps.formOf(coordinator)
    return this.isFound
  }

  /** Keeps the attempt with the highest ballot, then each vote in it, then looks for any result. */
  onStep(next: State, step: Readonly<Step>): void {
    const { attempt, reached } = this
    if (step.view !== attempt) return
    if (step.kind === stepKinds.start) {
      if (next.rank[attempt] !== attempt) return
      if (this.isFound && next.incarnation[attempt]! <= reached.incarnation[attempt]!) return
    }
    if (step.kind !== stepKinds.form) reached.copyFrom(next)
    this.isFound = true
  }
}

/** Whether these members, and nobody else alive, must be able to recover. */
function isEntitled(state: State, alive: number): boolean {
  if ((alive & (~state.holders | state.gone | state.witness)) !== 0) return false
  const newest = newestAmong(state, alive)
  const members = membersAfter(state, newest)
  // Not where one is expelled, and another knows.
  if (!isMajority(alive, members) || (alive & ~members) !== 0) return false
  for (let member = 0; member < state.processes; member++) {
    if (has(alive, member) && !isMajorityOfLater(state, alive, member, newest)) return false
  }
  return true
}

function newestAmong(state: State, alive: number): ViewChange {
  let newest = -1
  for (let member = 0; member < state.processes; member++) {
    if (!has(alive, member)) continue
    const change = newestAccepted(
      state,
      state.logView[member]!,
      state.logSeq[member]!,
      state.delivered[member]!,
    )
    if (newest === -1 || isNewer(state, change, newest)) newest = change
  }
  return newest
}

const changes = new Uint8Array(MAX_CHANGES)

function isMajorityOfLater(state: State, alive: number, member: number, newest: ViewChange): boolean {
  const found = listChanges(state, state.logView[member]!, state.logSeq[member]!, changes)
  for (let i = 0; i < found; i++) {
    const change = changes[i]!
    if (!isNewer(state, change, newest) || (alive & numberer(state, change)) !== 0) continue
    if (!isMajority(alive, membersAfter(state, change))) return false
  }
  return true
}
