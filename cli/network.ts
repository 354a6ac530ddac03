/** From the shared options to what startKernel takes. */
import type { KernelOptions } from '../group/index.ts'
import { readTokenFile } from '../kernel/node/token.ts'
import { UsageError } from './errors.ts'
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

type PageSettings = Pick<KernelOptions, 'metricsPort' | 'httpInterface' | 'httpToken'>

/**
 * The pages of `--metrics-port`; none without it. How they are served may stand in the environment for other commands, but
 * on the command line `needsPort` are of no use alone: a UsageError.
 */
export function pageSettings(options: OptionValues, needsPort: readonly string[]): PageSettings {
  const metricsPort = options.whole('metrics-port')
  if (metricsPort !== undefined) {
    return { metricsPort, httpInterface: options.text('http-interface'), httpToken: httpToken(options) }
  }
  const useless = needsPort.find((name) => options.isOnLine(name))
  if (useless !== undefined)
    throw new UsageError(`--${useless} has no effect without --metrics-port; give both, or neither`)
  return {}
}

/** Throws what says that the token file cannot be read, or holds no token. */
export function httpToken(options: OptionValues): string | undefined {
  const file = options.text('http-token-file')
  return file === undefined ? undefined : readTokenFile(file)
}

function list(text: string | undefined): readonly string[] | undefined {
  return text
    ?.split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}
