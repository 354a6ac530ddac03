/** Kernels of a test's own over real UDP on loopback. */
import { type Kernel, type KernelOptions, startKernel } from '../../group/index.ts'

/** For vi.waitFor: what several kernels bring about, on a machine that may be busy. */
export const PATIENCE = { timeout: 40_000, interval: 20 }

/** A group's port that no other test has. */
export function uniquePort(what: string): string {
  return `${what} ${process.pid} ${Math.random()}`
}

/** The kernels of one test; `closeAll` belongs into its afterEach. */
export class Kernels {
  /** In the order in which they were started. */
  readonly all: Kernel[] = []

  async start(options: KernelOptions = {}): Promise<Kernel> {
    const kernel = await startKernel({ logLevel: 'silent', ...options })
    this.all.push(kernel)
    return kernel
  }

  async closeAll(): Promise<void> {
    for (const kernel of this.all.splice(0)) await kernel.close()
  }
}
