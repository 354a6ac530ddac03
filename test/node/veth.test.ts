/**
 * Multicast over a real link, between two network namespaces that this test makes and removes: IPv6, which
 * loopback cannot do, and IPv4 with its time-to-live of 1. Needs the right to make namespaces.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { afterAll, expect, test } from 'vitest'

const namespaces = ['a', 'b'].map((side) => `abv${process.pid}${side}`)
const [left, right] = namespaces as [string, string]
const children: ChildProcess[] = []

function ip(...words: string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Why there is no link, if there is none. */
function makeLink(): string | undefined {
  try {
    for (const namespace of namespaces) ip('netns', 'add', namespace)
    ip('link', 'add', 'veth0', 'netns', left, 'type', 'veth', 'peer', 'name', 'veth0', 'netns', right)
    for (const [i, namespace] of namespaces.entries()) {
      // Without link-local addresses of its own making there is no waiting for them to be found unique.
      ip('-n', namespace, 'link', 'set', 'veth0', 'addrgenmode', 'none')
      ip('-n', namespace, 'link', 'set', 'veth0', 'up')
      ip('-n', namespace, 'addr', 'add', `fd77::${i + 1}/64`, 'dev', 'veth0', 'nodad')
      ip('-n', namespace, 'addr', 'add', `10.77.0.${i + 1}/24`, 'dev', 'veth0')
    }
    return undefined
  } catch (error) {
    return (error as Error).message.trim()
  }
}

const reason = makeLink()
if (reason !== undefined) console.warn(`skipped: this machine cannot make network namespaces (${reason})`)

afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  for (const namespace of namespaces) {
    try {
      ip('netns', 'del', namespace)
    } catch {
      // It was never made.
    }
  }
})

/** A process in a namespace that says `ready`, multicasts when told to, and says what it receives. */
function start(namespace: string, host: string) {
  const script = `
    const { UdpTransport } = await import('./dist/kernel/node/udp.js')
    const transport = await UdpTransport.open({ interface: '${host}' })
    transport.onPacket((from, bytes) => console.log(Buffer.from(bytes).toString(), from))
    await transport.listen('orders')
    process.stdin.once('data', (text) => transport.multicast('orders', text))
    console.log('ready', transport.address)
  `
  const child = spawn(
    'ip',
    ['netns', 'exec', namespace, process.execPath, '--input-type=module', '-e', script],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  children.push(child)
  let text = ''
  let wake = (): void => {}
  child.stdout.on('data', (chunk) => {
    text += chunk
    wake()
  })
  return {
    /** What follows the word on the first line that begins with it. */
    said: async (word: string): Promise<string> => {
      for (;;) {
        const line = text
          .split('\n')
          .find((each, i, all) => each.startsWith(`${word} `) && i < all.length - 1)
        if (line !== undefined) return line.slice(word.length + 1)
        await new Promise<void>((resolve) => (wake = resolve))
      }
    },
    say: (word: string) => child.stdin.write(word),
  }
}

test.skipIf(reason !== undefined).each([
  ['IPv6', 'fd77::1', 'fd77::2'],
  ['IPv4', '10.77.0.1', '10.77.0.2'],
])('%s multicast crosses a link both ways', async (_family, here, there) => {
  const [a, b] = [start(left, here), start(right, there)]
  const [addressOfA, addressOfB] = await Promise.all([a.said('ready'), b.said('ready')])
  a.say('hello')
  expect(await b.said('hello')).toBe(addressOfA)
  b.say('answer')
  expect(await a.said('answer')).toBe(addressOfB)
})
