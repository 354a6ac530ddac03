/** Single keys of a terminal, without waiting for Return. */

/** What Ctrl-C is, where the terminal hands keys over as they are. */
export const CTRL_C = '\u0003'

/** Calls `onKey` for each key; the function given back makes the terminal what it was. */
export function listenForKeys(stream: NodeJS.ReadStream, onKey: (key: string) => void): () => void {
  const onData = (text: Buffer | string): void => {
    for (const key of text.toString()) onKey(key)
  }
  const restore = (): void => {
    stream.setRawMode(false)
  }
  stream.setRawMode(true)
  stream.on('data', onData)
  // a process that is ended by a fault must not leave a terminal that shows nothing of what is typed
  process.once('exit', restore)
  return () => {
    process.off('exit', restore)
    stream.off('data', onData)
    restore()
    stream.pause()
  }
}
