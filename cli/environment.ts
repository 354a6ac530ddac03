/** Variables of the environment that look like the command's own, and are none that it reads. */
import { nearest } from '../kernel/nearest.ts'
import { UsageError } from './errors.ts'
import { ENVIRONMENT_PREFIX, environmentName, environmentOptions } from './options.ts'

/** Variables with the prefix that the project's own tools and tests set; nothing here reads them. */
const otherVariables: ReadonlySet<string> = new Set([
  'AMOEBACAST_BENCH_CALLED_AS',
  'AMOEBACAST_SCREENSHOTS',
  'AMOEBACAST_SIM_BASE',
])

/**
 * Throws if a variable with the prefix is none that is read: misspelt, AMOEBACAST_KEYFILE would mean a group without a key.
 * `onLineOnly` are options that stand on the command line only. What Kubernetes invents for a service whose name begins with
 * amoebacast is let pass.
 */
export function refuseUnknownVariables(
  environment: NodeJS.ProcessEnv,
  onLineOnly: readonly string[] = [],
): void {
  const known = environmentOptions().map(environmentName)
  for (const [name, value = ''] of Object.entries(environment)) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || known.includes(name) || otherVariables.has(name)) continue
    if (isServiceLink(name, value)) continue
    const option = onLineOnly.find((one) => environmentName(one) === name)
    if (option !== undefined)
      throw new UsageError(`${name} is not read from the environment; give --${option} on the command line`)
    // (without the prefix: eleven letters that all have in common would make everything near)
    const bare = (one: string): string => one.slice(ENVIRONMENT_PREFIX.length)
    const suggestion = nearest(bare(name), known.map(bare), 2)
    const hint = suggestion === undefined ? 'unset it' : `did you mean ${ENVIRONMENT_PREFIX}${suggestion}?`
    throw new UsageError(`unknown environment variable ${name}; ${hint}`)
  }
}

/** …_SERVICE_HOST, …_SERVICE_PORT, …_SERVICE_PORT_NAME; …_PORT and …_PORT_7788_UDP as `udp://…`, and parts of the latter. */
function isServiceLink(name: string, value: string): boolean {
  if (/_SERVICE_(?:HOST|PORT(?:_\w+)?)$/.test(name)) return true
  if (/_PORT_\d+_(?:TCP|UDP|SCTP)_(?:PROTO|PORT|ADDR)$/.test(name)) return true
  return /_PORT(?:_\d+_(?:TCP|UDP|SCTP))?$/.test(name) && /^(?:tcp|udp|sctp):\/\//.test(value)
}
