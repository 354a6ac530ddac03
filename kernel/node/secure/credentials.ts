/** What the machines of a process show and judge rights with: the secrets of the keys and tokens that it was given. */
import type { Credentials } from '../../credentials.ts'
import { Right, rightNames } from '../../identity.ts'
import type { GroupKey } from './group-key.ts'

/** Undefined without a key: then everybody has every right, and nobody is asked. */
export function credentialsOf(keys: readonly GroupKey[]): Credentials | undefined {
  const newest = keys[0]
  if (newest === undefined) return undefined
  const secretOf = (keyId: number) => (keys.find(({ id }) => id === keyId) ?? newest).rights
  return {
    right: Right[newest.rights.right],
    prove: (asked, keyId) => secretOf(keyId).prove(asked),
    verify: (right, asked, proof, keyId) => secretOf(keyId).verify(rightNames[right], asked, proof),
  }
}
