/** A question to the sequencer of a group about it, from within a process that is a member: for the console. */
import { ErrorCode, GroupError } from '../kernel/errors.ts'
import type { Address } from '../kernel/identity.ts'
import type { GroupInspection } from '../kernel/port.ts'
import { aborted } from './abort.ts'
import type { MemberPort, OutputHandler } from './member-port.ts'

const TOKEN = 1

export type OpenInspector = (
  port: string,
  onOutput: OutputHandler,
  contacts: readonly Address[],
) => Promise<Pick<MemberPort, 'call' | 'close'>>

/**
 * What the sequencer of `port` says of the group; `contacts` are asked for it beside the peers. Rejects with
 * ERR_GROUP_NOT_FOUND if nobody answers, with ERR_MEMBER_FAILED if the sequencer does not, with ERR_ABORTED when the signal fires.
 */
export async function askSequencer(
  open: OpenInspector,
  port: string,
  contacts: readonly Address[],
  signal: AbortSignal,
): Promise<GroupInspection> {
  let settle: (result: GroupInspection | GroupError) => void = () => {}
  const answer = new Promise<GroupInspection | GroupError>((resolve) => {
    settle = resolve
  })
  const onAbort = (): void => settle(aborted(signal))
  signal.addEventListener('abort', onAbort, { once: true })
  const inspector = await open(
    port,
    (output) => {
      if (output.output === 'inspected') settle(output.inspection)
      else if (output.output === 'failed') settle(new GroupError(output.code, output.message))
      else if (output.output === 'event') settle(new GroupError(ErrorCode.closed, 'the kernel is closed'))
    },
    contacts,
  )
  try {
    if (signal.aborted) onAbort()
    inspector.call({ call: 'inspect', token: TOKEN, port })
    const result = await answer
    if (result instanceof GroupError) throw result
    return result
  } finally {
    signal.removeEventListener('abort', onAbort)
    inspector.close()
  }
}
