/**
 * createGroup and joinGroup without a kernel at hand: all use one, started by the first call and closed
 * after the last group is left, so that the shortest program is three lines, and ends.
 */
import type { Group } from './group.ts'
import type { Kernel } from './kernel.ts'
import type { GroupOptions } from './options.ts'
import { startKernel } from './start-kernel.ts'

interface Shared {
  readonly kernel: Promise<Kernel>
  /** Groups that are open or being opened. */
  users: number
}

let shared: Shared | undefined

/** Creates a group on the shared default kernel (loopback); see Kernel.createGroup. */
export function createGroup<T = unknown>(port: string, options?: GroupOptions<T>): Promise<Group<T>> {
  return onSharedKernel((kernel) => kernel.createGroup<T>(port, options))
}

/** Joins a group on the shared default kernel (loopback); see Kernel.joinGroup. */
export function joinGroup<T = unknown>(port: string, options?: GroupOptions<T>): Promise<Group<T>> {
  return onSharedKernel((kernel) => kernel.joinGroup<T>(port, options))
}

/** Joins or creates a group on the shared default kernel (loopback); see Kernel.joinOrCreateGroup. */
export function joinOrCreateGroup<T = unknown>(port: string, options?: GroupOptions<T>): Promise<Group<T>> {
  return onSharedKernel((kernel) => kernel.joinOrCreateGroup<T>(port, options))
}

async function onSharedKernel<T>(open: (kernel: Kernel) => Promise<Group<T>>): Promise<Group<T>> {
  const mine = shared ?? { kernel: startKernel(), users: 0 }
  shared = mine
  mine.users++
  try {
    const group = await open(await mine.kernel)
    void group.closed.then(() => release(mine))
    return group
  } catch (error) {
    await release(mine)
    throw error
  }
}

async function release(mine: Shared): Promise<void> {
  if (--mine.users > 0) return
  if (shared === mine) shared = undefined
  const kernel = await mine.kernel.catch(() => undefined)
  await kernel?.close()
}
