/**
 * Other group keys while a process lives: from a call of the program's, a signal, or a key file that has changed. The new
 * ones are taken over by the transport and told to the machines; what a group still needs is not taken away.
 *
 * A program that takes away what is needed is told so, and nothing has changed. A file is another matter: nobody may be
 * there to mend it, and a process that has stood still for the whole of a change must learn the new key to hear that the
 * others have gone on. So of a file the new keys are taken over in any case, and the needed ones kept beside them.
 */
import { ErrorCode, GroupError } from '../kernel/errors.ts'
import type { Log } from '../kernel/node/log.ts'
import { type GroupKey, KEYS_MAX, readKeyFile } from '../kernel/node/secure/group-key.ts'
import { KeyFileWatch } from '../kernel/node/secure/key-file-watch.ts'
import { groupKeys } from '../kernel/node/secure/key-options.ts'
import type { KeyRing } from '../kernel/node/secure/key-ring.ts'
import type { SealedTransport } from '../kernel/node/secure/sealed-transport.ts'
import { keyText } from '../kernel/settings.ts'
import type { KeyInUse } from './member/member.ts'

export interface KeyChangesParts {
  readonly ring: KeyRing
  readonly transport: SealedTransport | undefined
  readonly file: string | undefined
  readonly isWatched: boolean
  readonly log: Log
  /** What the groups of this process cannot do without. */
  keysInUse(): readonly KeyInUse[]
  /** To every machine. */
  tell(keys: readonly number[]): void
}

export class KeyChanges {
  private readonly parts: KeyChangesParts
  private readonly watch: KeyFileWatch | undefined
  private told: string | undefined
  /** The key file has changed, and the keys held are others than those in it; told once for each reason. */
  onRefused: (error: GroupError) => void = () => {}

  constructor(parts: KeyChangesParts) {
    this.parts = parts
    const { file, isWatched } = parts
    if (file !== undefined && isWatched) this.watch = new KeyFileWatch(file, () => this.look())
  }

  close(): void {
    this.watch?.close()
  }

  /** False if they are what is held. Throws ERR_INVALID_ARGUMENT, and nothing has changed. */
  set(key: string | readonly string[]): boolean {
    const { file } = this.parts
    // the next look at the file would take them back
    if (file !== undefined)
      throw new GroupError(
        ErrorCode.invalid,
        `this kernel takes its keys from ${file} (keyFile); write the new keys to that file, and call reloadKeys`,
      )
    const keys = groupKeys({ key, keyFile: undefined })
    const [needed] = this.neededBeside(keys)
    if (needed !== undefined) throw stillInUse(needed)
    return this.take(keys)
  }

  /** What the key file holds now. Throws if that is not all that is held from now on. */
  reload(): boolean {
    const { file } = this.parts
    if (file === undefined)
      throw new GroupError(
        ErrorCode.invalid,
        'this kernel was started without keyFile; give the new keys to setKeys',
      )
    const keys = readKeyFile(file)
    this.parts.ring.check(keys)
    const needed = this.neededBeside(keys)
    const kept = this.parts.ring.keys.filter(({ id }) => needed.some(({ keyId }) => keyId === id))
    if (needed[0] !== undefined && keys.length + kept.length > KEYS_MAX) throw tooMany(file, kept, needed[0])
    const isNew = this.take([...keys, ...kept])
    if (needed[0] !== undefined) throw stillInUse(needed[0])
    return isNew
  }

  /** Who comes back after an expulsion may have missed a change of keys: it looks before it asks. */
  refresh(): void {
    if (this.watch !== undefined) this.look()
  }

  /** A member that was expelled cannot come back without a key, and waits until it is held here. */
  noteMissing(port: string, reason: string): void {
    const { log, file } = this.parts
    log.warn({ group: port, file }, `cannot come back yet, and goes on trying: ${reason}`)
  }

  /** What a group needs of the keys held that are not among `keys`. */
  private neededBeside(keys: readonly GroupKey[]): KeyInUse[] {
    const { ids } = this.parts.ring
    return this.parts
      .keysInUse()
      .filter(({ keyId }) => ids.includes(keyId) && !keys.some(({ id }) => id === keyId))
  }

  /** What happens by itself goes to the log. True if the file need not be read again. */
  private look(): boolean {
    const { log, file } = this.parts
    try {
      this.reload()
      this.told = undefined
      return true
    } catch (error) {
      const known =
        error instanceof GroupError
          ? error
          : new GroupError(ErrorCode.invalid, String(error), { cause: error })
      if (this.told !== known.message) {
        this.told = known.message
        log.warn(
          { file },
          `the key file has changed, and the keys held are others than those in it: ${known.message}`,
        )
        this.onRefused(known)
      }
      return false
    }
  }

  private take(keys: readonly GroupKey[]): boolean {
    const { ring, transport, log, tell } = this.parts
    ring.check(keys)
    const ids = keys.map(({ id }) => id)
    if (ids.join() === ring.ids.join()) return false
    // opened with the old and the new ones before anybody hears of the new, and after everybody has
    transport?.setKeys([...keys, ...ring.keys.filter(({ id }) => !ids.includes(id))])
    ring.replace(keys)
    tell(ids)
    transport?.setKeys(keys)
    log.info({ keyIds: ids.map(keyText) }, 'holds these group keys from now on, the newest first')
    return true
  }
}

/** Each key held is one more packet for every question: a file that changes and changes must not add to them for ever. */
function tooMany(file: string, kept: readonly GroupKey[], needed: KeyInUse): GroupError {
  const names = kept.map(({ id }) => keyText(id))
  return new GroupError(
    ErrorCode.invalid,
    `a process may hold ${KEYS_MAX} keys, and beside those in ${file} it would have to keep ${names.length}: ${names.join(', ')}; put ${names[0]} first there, and wait until the group ${JSON.stringify(needed.port)} has changed to it`,
  )
}

function stillInUse({ port, keyId, use, waitsFor }: KeyInUse): GroupError {
  const group = `the group ${JSON.stringify(port)}`
  const whom = waitsFor.length > 0 ? waitsFor.join(', ') : 'some of its members'
  const why = {
    group: `${group} seals with it; put a newer key before it, at every process, and wait until the group has changed to that one`,
    changing: `${group} has changed to another, and waits for ${whom} to hear of it; try again in a moment`,
    announced: `${group} has been told that this process holds it, and may still change to it; put another key before it, and it can go when every member has taken what is sent after that; or restart this process`,
  }[use]
  return new GroupError(ErrorCode.invalid, `the key ${keyText(keyId)} cannot be taken away yet: ${why}`)
}
