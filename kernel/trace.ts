/**
 * What a machine tells people and checkers about itself. One event per turning point, none per message;
 * names double as coverage marks in tests.
 */
export interface TraceEvent {
  readonly mark: string
  /** Numbers and short strings only. */
  readonly detail: Readonly<Record<string, number | string | boolean>>
}
