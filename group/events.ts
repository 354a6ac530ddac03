/**
 * What a group tells beside the order, as typed events. Not Node's EventEmitter: there is no `error` event
 * that throws when nobody listens, a listener that throws stops nobody else, and a misspelt name is an error.
 */
import { unknownName } from '../kernel/checks.ts'
import { type ErrorCode, invalidArgument } from '../kernel/errors.ts'
import type { Address, Incarnation, MemberId, Seq } from '../kernel/identity.ts'
import type { View } from './deliveries.ts'

/** How a member's life in the group ended. */
export interface Closed {
  /** Undefined after an orderly leave or close; else why the group could not be kept. */
  readonly code: ErrorCode | undefined
  readonly reason: string
}

export interface GroupEvents {
  /**
   * The view has changed: a join, leave or reset has reached this member, or it has come back (right after
   * `rejoined`). Fires on arrival, which may be before the program receives the delivery that tells of the
   * same change at its place in the order.
   */
  view: View
  /**
   * A member has not answered after the set number of tries, or its process is gone (paper, section 4.2; design
   * 4.5). It may be slow or cut off rather than dead. With `recovery: 'auto'` there is nothing to do: the group
   * asks around and rebuilds itself without it. With 'manual', call resetGroup: at once if sends fail with
   * ERR_MEMBER_FAILED (it is the sequencer, or the group waits for it), else if it must not hold up the others any longer.
   * The others are told of one that is not the sequencer only when something waits for it.
   */
  suspect: { readonly member: MemberId; readonly name: string; readonly reason: string }
  /**
   * An attempt to rebuild the group has found too few of its members: `present` answer, and it takes `needed` (the group's
   * `minMembers`, or what a caller of resetGroup has asked for; both are missing where it is not known how many). Nobody
   * in particular is accused by it. Told at every member that took part: with `recovery: 'auto'` once, and the group goes
   * on trying by itself; with 'manual' after each attempt, because somebody has to call resetGroup again. It is over with
   * the 'reset' delivery (and the event `view`), or with `expelled`. What to do: see that more members are there again, or
   * leave; what was received can still be read.
   */
  stopped: { readonly reason: string; readonly present?: number; readonly needed?: number }
  /**
   * A member does not keep up, and the group waits for it (or will expel it, as `slowMember` says). Told at every member,
   * that one as well, when the group has stood still for half a second: once for each time that it does.
   */
  slow: { readonly member: MemberId; readonly name: string; readonly lagMessages: number }
  /**
   * The others have gone on without this member: it was cut off or stood still, or did not receive under
   * `slowMember: { expelAfterMs }` (design 4.7). Sends on their way end as ERR_EXPELLED with outcome 'unknown', new
   * ones are refused. What was received before can still be read. Without `rejoin`, `closed` follows and all
   * calls fail with ERR_EXPELLED; with it, the group comes back by itself, and `rejoined` follows.
   */
  expelled: { readonly reason: string }
  /**
   * With `rejoin: true`: back in the group, as a new member. Sends go out again. Events after `missedFrom`, the last
   * place that the former life delivered, up to the new join at `view.seq` are missed; a 'rejoin' delivery says
   * the same between the deliveries before and after. What to do: as for that delivery.
   */
  rejoined: { readonly memberId: MemberId; readonly view: View; readonly missedFrom: Seq }
  /**
   * There are two groups on one port (design 4.7, 4.8), and they are never merged. Either this very group has fallen
   * apart, which a minimum below a majority makes possible (invariant I12): told once for each other line of
   * views, named by `incarnation` and `coordinator`. Or it is another group, created by somebody who did not
   * hear of this one: then `groupId` is its id and `address` that of a member of it, and it is told again every
   * five minutes at most, for as long as both are there. A sequencer looks for such groups every 30 seconds; those
   * that it meets hear of it in the same moment. What to do: choose one side (by its messages, or by hand), let the
   * members of the other leave and join again, and reconcile what both have done.
   */
  split: {
    readonly incarnation: Incarnation
    readonly coordinator: MemberId
    /** 16 hexadecimal digits, as in views. */
    readonly groupId?: string
    readonly address?: Address
  }
  /**
   * The group seals with another group key from the place `seq` on: every member holds it. Key ids are those that
   * `amoebacast keygen` names. What to do: once this has come at all members, take the key `before` out of their key files.
   */
  key: { readonly keyId: string; readonly before: string | undefined; readonly seq: Seq }
  /**
   * The key file of this process has changed, and the keys held are others than those in it: it cannot be read, and they are
   * as before, or a key is gone from it that a group still needs, and that is held on to beside those in the file. The
   * file is tried again every 5 seconds; told once for each reason. What to do: as the reason says.
   */
  keyRefused: { readonly reason: string }
  /**
   * The group writes another version of the wire format from the place `seq` on: the last member that could not has gone.
   * What to do: nothing; but a process that reads only the version `before` cannot join any more.
   */
  version: { readonly wireVersion: number; readonly before: number; readonly seq: Seq }
  /**
   * This member's life is over: it has left, was expelled for good, or its kernel is closed. With `rejoin: true` also when
   * an attempt to come back has ended with what waiting does not change, as `code` says: ERR_NOT_AUTHORIZED (the group's
   * `authorize` function, or its key or token, does not let it in any more) or ERR_INCOMPATIBLE. What to do: mend what
   * `reason` names, and join again. Fires once, last.
   */
  closed: Closed
}

export type GroupEventName = keyof GroupEvents
export type GroupListener<N extends GroupEventName> = (event: GroupEvents[N]) => void

const names: readonly GroupEventName[] = [
  'view',
  'suspect',
  'stopped',
  'slow',
  'expelled',
  'rejoined',
  'split',
  'key',
  'keyRefused',
  'version',
  'closed',
]

interface Registration {
  readonly listener: (event: never) => void
  readonly once: boolean
}

/** BOUNDED by what the program registers. */
export class Events {
  private readonly registrations = new Map<GroupEventName, Registration[]>()

  add<N extends GroupEventName>(name: N, listener: GroupListener<N>, once: boolean): void {
    if (!names.includes(name)) throw unknownName('event', name, names)
    if (typeof listener !== 'function') throw invalidArgument(`listener of ${name}`, listener, 'a function')
    // Copied on change, so that a listener may add or remove others while it runs.
    this.registrations.set(name, [...(this.registrations.get(name) ?? []), { listener, once }])
  }

  remove<N extends GroupEventName>(name: N, listener: GroupListener<N>): void {
    const registered = this.registrations.get(name) ?? []
    const index = registered.findLastIndex((registration) => registration.listener === listener)
    if (index >= 0) this.registrations.set(name, registered.toSpliced(index, 1))
  }

  emit<N extends GroupEventName>(name: N, event: GroupEvents[N]): void {
    const registered = this.registrations.get(name)
    if (registered === undefined) return
    for (const { listener, once } of registered) {
      if (once) this.remove(name, listener as GroupListener<N>)
      try {
        ;(listener as GroupListener<N>)(event)
      } catch (error) {
        // The fault is the listener's: it surfaces as an uncaught exception, outside the group's own work.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  clear(): void {
    this.registrations.clear()
  }
}
