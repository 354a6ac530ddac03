/**
 * A network namespace in which nobody is told that a port is closed: who is killed in there is gone without a word,
 * as if its whole host were. The notices are dropped by a routing rule, ahead of all others, because that takes
 * effect before the kill, and needs no tool but `ip`.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Fails where datagrams to a closed port still come back as refused. */
const probe = `
  const socket = require('node:dgram').createSocket('udp4')
  const end = (status) => process.exit(status)
  socket.on('error', () => end(1))
  socket.bind(0, '127.0.0.1', () => socket.connect(9, '127.0.0.1', () => {
    socket.send('x')
    setTimeout(end, 100, 0)
  }))`

export class SilentHost {
  /** Put before a command, it runs there. */
  readonly prefix: readonly string[]
  private readonly name: string

  private constructor(name: string) {
    this.name = name
    this.prefix = ['ip', 'netns', 'exec', name]
  }

  /** Undefined where such a namespace cannot be made: not Linux, not root, no `ip`. */
  static async create(): Promise<SilentHost | undefined> {
    if (process.platform !== 'linux') return undefined
    const host = new SilentHost(`amoebacast-bench-${process.pid}`)
    try {
      await run('ip', ['netns', 'add', host.name])
    } catch {
      return undefined
    }
    try {
      await host.ip('link', 'set', 'lo', 'up')
      // The rule for local addresses comes first by default.
      await host.ip('rule', 'add', 'pref', '10', 'lookup', 'local')
      await host.ip('rule', 'del', 'pref', '0')
      await host.ip('rule', 'add', 'pref', '5', 'ipproto', 'icmp', 'blackhole')
      await run(host.prefix[0]!, [...host.prefix.slice(1), process.execPath, '-e', probe])
      return host
    } catch {
      await host.remove()
      return undefined
    }
  }

  async remove(): Promise<void> {
    await run('ip', ['netns', 'delete', this.name]).catch(() => {})
  }

  private ip(...args: string[]): Promise<unknown> {
    return run('ip', ['-n', this.name, ...args])
  }
}
