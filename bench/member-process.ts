/**
 * One member process of a bench: a real member or a part of the floor. Its parent says what to do; if the parent
 * is gone, so is the member. Ctrl-C reaches the whole terminal's processes, but only the parent heeds it.
 */
import { FloorMember } from './floor.ts'
import { GroupMember } from './group-member.ts'
import type { BenchMember, FromMember, MemberOrder, ToMember } from './messages.ts'

function say(message: FromMember): void {
  if (process.connected) process.send?.(message)
}

async function obey(member: BenchMember, told: ToMember): Promise<void> {
  switch (told.say) {
    case 'prepare':
      await member.prepare(told.order)
      say({ say: 'prepared' })
      return
    case 'run':
      say({ say: 'stopped', lastSeq: await member.run() })
      return
    case 'finish':
      say({ say: 'report', report: await member.finish(told.lastSeq) })
      return
    case 'close':
      await member.close()
      if (process.connected) process.disconnect()
      return
  }
}

function failed(error: unknown): void {
  say({ say: 'failed', message: error instanceof Error ? error.message : String(error) })
}

async function main(order: MemberOrder): Promise<void> {
  process.on('SIGINT', () => {})
  let isClosing = false
  process.on('disconnect', () => {
    // Without its parent there is nobody to report to; an orderly end closes first, then disconnects.
    if (!isClosing) process.exit(1)
  })
  try {
    const member = await (order.subject === 'floor' ? FloorMember.open(order) : GroupMember.open(order))
    process.on('message', (message) => {
      const told = message as ToMember
      if (told.say === 'close') isClosing = true
      obey(member, told).catch(failed)
    })
    say({ say: 'ready', address: member.address })
  } catch (error) {
    failed(error)
    if (process.connected) process.disconnect()
  }
}

await main(JSON.parse(process.argv[2] ?? '{}') as MemberOrder)
