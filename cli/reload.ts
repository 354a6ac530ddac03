/** SIGHUP: the key file is read again at once, as daemons do it with their files. */
import { describeError } from './errors.ts'

export interface Reloadable {
  reloadKeys(): boolean
}

/**
 * Without a key file the signal means what it means to other programs: the terminal is gone, and so is the process. What
 * has come of it is said on standard error. Gives how to stop listening.
 *
 * To be listened to before the kernel starts, which may take long, and until it is closed: at any other time the signal
 * would end the process. A kernel that is starting looks at the file by itself as soon as it has started.
 */
export function reloadOnHangup(
  kernelNow: () => Reloadable | undefined,
  keyFile: string | undefined,
  say: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): () => void {
  if (keyFile === undefined) return () => {}
  const onHangup = (): void => {
    const kernel = kernelNow()
    if (kernel === undefined) return say(`${keyFile}: it is read again when this process has started`)
    try {
      const isNew = kernel.reloadKeys()
      say(isNew ? `${keyFile}: the keys in it are in force` : `${keyFile}: nothing has changed`)
    } catch (error) {
      say(`${keyFile}: ${describeError(error)}`)
    }
  }
  process.on('SIGHUP', onHangup)
  return () => process.off('SIGHUP', onHangup)
}
