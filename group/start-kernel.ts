import { Kernel } from './kernel.ts'
import { checkKernelOptions, type KernelOptions } from './options.ts'
import { openRim } from './rim.ts'

/**
 * Opens the sockets, metrics and log of this process. Without groups a kernel does not keep the process alive.
 * ERR_INVALID_ARGUMENT names a bad option; ERR_ADDRESS if an address or port cannot be used on this machine.
 */
export async function startKernel(options?: KernelOptions): Promise<Kernel> {
  return new Kernel(await openRim(checkKernelOptions(options)))
}
