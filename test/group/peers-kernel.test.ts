/** What a kernel asks of the names among its peers while it opens a group; machines and names are fakes. */
import { describe, expect, test } from 'vitest'
import type { PeerNames } from '../../group/peer-names.ts'
import { fakeKernel, joins, turn } from './fake.ts'

class FakeNames {
  isWaiting = true
  needed = 0
  readonly listeners = new Set<() => void>()
  readonly missing: { name: string; reason: string }[] = []

  need(): () => void {
    this.needed++
    return () => this.needed--
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  unresolved(): readonly { name: string; reason: string }[] {
    return this.missing
  }

  answer(): void {
    this.isWaiting = false
    for (const listener of this.listeners) listener()
  }
}

function withNames(script = joins(), waitMs = 600_000) {
  const names = new FakeNames()
  const { kernel, rim } = fakeKernel(script)
  Object.assign(rim, { names: { watch: names, waitMs } satisfies PeerNames })
  return { kernel, rim, names }
}

describe('names among the peers', () => {
  test('are needed from the call to its end, and no machine asks before they are answered', async () => {
    const { kernel, rim, names } = withNames()
    const joining = kernel.joinGroup('orders')
    await turn()
    expect([names.needed, names.listeners.size, rim.machines.length]).toEqual([1, 1, 0])
    names.answer()
    await joining
    expect([names.needed, names.listeners.size, rim.machines.length]).toEqual([0, 0, 1])
  })

  test('that are answered already delay nothing', async () => {
    const { kernel, rim, names } = withNames()
    names.isWaiting = false
    const joining = kernel.joinGroup('orders')
    await turn()
    expect(rim.machines).toHaveLength(1)
    await joining
    expect(names.needed).toBe(0)
  })

  test('are not waited for by a caller that gives up, nor needed afterwards', async () => {
    const { kernel, rim, names } = withNames()
    const stop = new AbortController()
    const joining = kernel.joinGroup('orders', { signal: stop.signal })
    await turn()
    stop.abort()
    await expect(joining).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    expect([names.needed, names.listeners.size, rim.machines.length]).toEqual([0, 0, 0])
  })

  test('are named only by failures to find somebody', async () => {
    for (const [code, told] of [
      [
        'ERR_GROUP_NOT_FOUND',
        'no; names among the peers that did not resolve: a.test (ENOTFOUND), b.test (ETIMEOUT)',
      ],
      ['ERR_GROUP_FULL', 'no'],
    ] as const) {
      const { kernel, names } = withNames((machine, call) => {
        if (call.call === 'open') machine.emit({ output: 'failed', token: call.token, code, message: 'no' })
      }, 1)
      names.missing.push({ name: 'a.test', reason: 'ENOTFOUND' }, { name: 'b.test', reason: 'ETIMEOUT' })
      await expect(kernel.joinGroup('orders')).rejects.toMatchObject({ code, message: told })
      expect(names.needed).toBe(0)
    }
  })
})
