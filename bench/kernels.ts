/** The kernels of one process: groups share one, members of the same group have one each, as if they were apart. */
import { type Kernel, type KernelOptions, startKernel } from '../group/index.ts'

interface Shared {
  readonly kernel: Promise<Kernel>
  readonly ports: Set<string>
}

export class Kernels {
  private readonly all: Shared[] = []

  for(port: string, options: KernelOptions): Promise<Kernel> {
    const free = this.all.find(({ ports }) => !ports.has(port))
    if (free !== undefined) {
      free.ports.add(port)
      return free.kernel
    }
    const shared = { kernel: startKernel(options), ports: new Set([port]) }
    this.all.push(shared)
    return shared.kernel
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map(async ({ kernel }) => (await kernel).close()))
  }
}
