/** SIGHUP at any moment of a process's life: nothing but an answer on standard error. */
import { expect, test } from 'vitest'
import { reloadOnHangup } from '../../cli/reload.ts'
import { ErrorCode, GroupError } from '../../kernel/errors.ts'

test('what has come of it is said, while the kernel starts and after it', () => {
  const said: string[] = []
  let answer: () => boolean = () => true
  let kernel: { reloadKeys(): boolean } | undefined
  const stop = reloadOnHangup(
    () => kernel,
    'group.key',
    (line) => said.push(line),
  )
  try {
    process.emit('SIGHUP')
    kernel = { reloadKeys: () => answer() }
    process.emit('SIGHUP')
    answer = () => false
    process.emit('SIGHUP')
    answer = () => {
      throw new GroupError(ErrorCode.invalid, 'half a file')
    }
    process.emit('SIGHUP')
  } finally {
    stop()
  }
  expect(said).toEqual([
    'group.key: it is read again when this process has started',
    'group.key: the keys in it are in force',
    'group.key: nothing has changed',
    'group.key: half a file [ERR_INVALID_ARGUMENT]',
  ])
})

test('without a key file the signal is left alone', () => {
  const before = process.listenerCount('SIGHUP')
  reloadOnHangup(() => undefined, undefined)()
  expect(process.listenerCount('SIGHUP')).toBe(before)
})
