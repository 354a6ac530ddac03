/**
 * What a group tells beside the order, as typed events. Not Node's EventEmitter: there is no `error` event
 * that throws when nobody listens, a listener that throws stops nobody else, and a misspelt name is an error.
 */
import { type ErrorCode, invalidArgument } from '../kernel/errors.ts'
import type { MemberId } from '../kernel/identity.ts'
import type { View } from './deliveries.ts'
import { unknownName } from './options.ts'

/** How a member's life in the group ended. */
export interface Closed {
  /** Undefined after an orderly leave or close; else why the group could not be kept. */
  readonly code: ErrorCode | undefined
  readonly reason: string
}

export interface GroupEvents {
  /**
   * The view has changed: a join, leave or reset has reached this member. Fires on arrival, which may be
   * before the program receives the delivery that tells of the same change at its place in the order.
   */
  view: View
  /** A member does not answer. */
  suspect: { readonly member: MemberId; readonly name: string; readonly reason: string }
  /** A member does not keep up, and the group waits for it (or will expel it, as `slowMember` says). */
  slow: { readonly member: MemberId; readonly name: string; readonly lagMessages: number }
  /** The others have gone on without this member; `closed` follows. */
  expelled: { readonly reason: string }
  /** This member's life is over: it has left, was expelled, or its kernel is closed. Fires once, last. */
  closed: Closed
}

export type GroupEventName = keyof GroupEvents
export type GroupListener<N extends GroupEventName> = (event: GroupEvents[N]) => void

const names: readonly GroupEventName[] = ['view', 'suspect', 'slow', 'expelled', 'closed']

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
