/** From the shared network options to what startKernel takes. */
import type { KernelOptions } from '../group/index.ts'
import type { OptionValues } from './options.ts'

export function kernelOptions(options: OptionValues): KernelOptions {
  return {
    interface: options.text('interface'),
    transport: options.text('transport') as KernelOptions['transport'],
    peers: options
      .text('peers')
      ?.split(',')
      .map((peer) => peer.trim())
      .filter((peer) => peer !== ''),
    udpPort: options.whole('udp-port'),
    advertise: options.text('advertise'),
    method: options.text('method') as KernelOptions['method'],
    detection: options.text('detection') as KernelOptions['detection'],
    logLevel: options.text('log-level') as KernelOptions['logLevel'],
  }
}
