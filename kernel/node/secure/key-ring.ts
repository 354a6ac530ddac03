/**
 * The group keys of one process, which may change while it lives: what packets are sealed and opened with, and what its
 * right is shown by. What may be taken away is the rim's to say, which knows the groups; here is what can never be.
 */
import type { Credentials } from '../../credentials.ts'
import { ErrorCode, GroupError } from '../../errors.ts'
import { credentialsOf } from './credentials.ts'
import type { GroupKey } from './group-key.ts'

export class KeyRing {
  /** Of the keys as they are at the moment of the question; undefined without keys. */
  readonly credentials: Credentials | undefined
  private held: readonly GroupKey[]

  constructor(keys: readonly GroupKey[]) {
    this.held = keys
    const first = credentialsOf(keys)
    this.credentials = first && {
      right: first.right,
      prove: (asked, keyId) => credentialsOf(this.held)!.prove(asked, keyId),
      verify: (right, asked, proof, keyId) => credentialsOf(this.held)!.verify(right, asked, proof, keyId),
    }
  }

  /** The newest first: the one that this process wants its groups to seal with. */
  get keys(): readonly GroupKey[] {
    return this.held
  }

  get ids(): number[] {
    return this.held.map(({ id }) => id)
  }

  /** Throws ERR_INVALID_ARGUMENT where a process with the keys held cannot go over to `keys` without a new start. */
  check(keys: readonly GroupKey[]): void {
    const [held] = this.held
    const [first] = keys
    if (held === undefined || first === undefined)
      throw new GroupError(
        ErrorCode.invalid,
        'a process seals its packets or it does not, from its start to its end; restart it with the other setting',
      )
    const { right } = held.rights
    if (first.rights.right !== right)
      throw new GroupError(
        ErrorCode.invalid,
        `a process keeps its right, ${right}, and the new keys give ${first.rights.right}; restart it with them`,
      )
  }

  replace(keys: readonly GroupKey[]): void {
    this.check(keys)
    this.held = keys
  }
}
