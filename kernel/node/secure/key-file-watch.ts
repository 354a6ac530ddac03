/**
 * Looks at a key file every few seconds. Not by fs.watch: a file that is mounted into a container, lies on a network's
 * file system or is replaced by a rename changes without a word there. A change that was refused is tried again each
 * time, because what forbade it passes: a file that was half written, or a key that a group still needed.
 */
import { stat } from 'node:fs/promises'

export const KEY_FILE_LOOKS_MS = 5_000

export class KeyFileWatch {
  private readonly timer: NodeJS.Timeout
  /** The file when it was last taken over. The first look reads it in any case: it may have changed since the start. */
  private seen: string | undefined
  private isLooking = false
  private isClosed = false
  private readonly path: string
  private readonly reload: () => boolean

  /** `reload` reads the file; false if it is to be called again the next time. Keeps no process alive. */
  constructor(path: string, reload: () => boolean, everyMs = KEY_FILE_LOOKS_MS) {
    this.path = path
    this.reload = reload
    this.timer = setInterval(() => void this.look(), everyMs)
    this.timer.unref()
  }

  close(): void {
    this.isClosed = true
    clearInterval(this.timer)
  }

  private async look(): Promise<void> {
    // a file system that does not answer must not pile up questions
    if (this.isLooking) return
    this.isLooking = true
    try {
      const stamp = await this.stamp()
      if (this.isClosed || stamp === this.seen) return
      this.seen = this.reload() ? stamp : undefined
    } finally {
      this.isLooking = false
    }
  }

  /** What changes with the file; one text for a file that cannot be seen. */
  private async stamp(): Promise<string> {
    try {
      const { mtimeMs, ctimeMs, size, ino } = await stat(this.path)
      return `${mtimeMs} ${ctimeMs} ${size} ${ino}`
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'error'
    }
  }
}
