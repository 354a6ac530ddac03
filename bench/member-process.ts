/**
 * A process of a bench, with one member or several. Its parent says what to do; if the parent is gone, so is the
 * process. Ctrl-C reaches the whole terminal's processes, but only the parent heeds it.
 */
import { Host } from './host.ts'
import type { FromMember, ToMember } from './messages.ts'

function say(message: FromMember): void {
  if (process.connected) process.send?.(message)
}

async function obey(host: Host, told: ToMember): Promise<void> {
  switch (told.say) {
    case 'open':
      say({ say: 'opened', addresses: await host.open(told.orders) })
      return
    case 'prepare':
      await host.prepare(told.orders)
      say({ say: 'prepared' })
      return
    case 'run':
      say({ say: 'stopped', lastSeqs: await host.run() })
      return
    case 'examine':
      say({ say: 'health', health: host.examine() })
      return
    case 'finish':
      say({ say: 'report', reports: await host.finish(told.lastSeqs) })
      return
    case 'close':
      await host.close()
      if (process.connected) process.disconnect()
      return
  }
}

function failed(error: unknown): void {
  say({ say: 'failed', message: error instanceof Error ? error.message || error.name : String(error) })
}

const host = new Host()
let isClosing = false
process.on('SIGINT', () => {})
process.on('disconnect', () => {
  // Without its parent there is nobody to report to; an orderly end closes first, then disconnects.
  if (!isClosing) process.exit(1)
})
process.on('message', (message) => {
  const told = message as ToMember
  if (told.say === 'close') isClosing = true
  obey(host, told).catch(failed)
})
