/** From the shared options to what startKernel takes. */
import type { KernelOptions } from '../group/index.ts'
import { readTokenFile } from '../kernel/node/token.ts'
import type { OptionValues } from './options.ts'

export function kernelOptions(options: OptionValues): KernelOptions {
  return {
    interface: options.text('interface'),
    transport: options.text('transport') as KernelOptions['transport'],
    peers: list(options.text('peers')),
    dnsServers: list(options.text('dns-servers')),
    udpPort: options.whole('udp-port'),
    advertise: options.text('advertise'),
    keyFile: options.text('key-file'),
    insecure: options.flag('insecure'),
    method: options.text('method') as KernelOptions['method'],
    detection: options.text('detection') as KernelOptions['detection'],
    logLevel: options.text('log-level') as KernelOptions['logLevel'],
  }
}

/** Throws what says that the token file cannot be read, or holds no token. */
export function httpSettings(options: OptionValues): Pick<KernelOptions, 'httpInterface' | 'httpToken'> {
  const file = options.text('http-token-file')
  return {
    httpInterface: options.text('http-interface'),
    httpToken: file === undefined ? undefined : readTokenFile(file),
  }
}

function list(text: string | undefined): readonly string[] | undefined {
  return text
    ?.split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}
