/** Variables of the environment that look like the command's own, and are none that it reads. */
import { nearest } from '../kernel/nearest.ts'
import { UsageError } from './errors.ts'
import { ENVIRONMENT_PREFIX, environmentName, environmentOptions } from './options.ts'

/**
 * Throws if a variable with the prefix is nearly one that is read (AMOEBACAST_KEYFILE would mean a group without a key), or one of
 * `onLineOnly`, options that stand on the command line only. Names that resemble none belong to somebody else: a deployment's
 * own, or what Kubernetes invents for a service whose name begins with amoebacast.
 */
export function refuseUnknownVariables(
  environment: NodeJS.ProcessEnv,
  onLineOnly: readonly string[] = [],
): void {
  const known = environmentOptions().map(environmentName)
  for (const [name, value = ''] of Object.entries(environment)) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || known.includes(name)) continue
    // Kubernetes' AMOEBACAST_HTTP_PORT, of a service called amoebacast-http
    if (/^(?:tcp|udp|sctp):\/\//.test(value)) continue
    const option = onLineOnly.find((one) => environmentName(one) === name)
    if (option !== undefined)
      throw new UsageError(`${name} is not read from the environment; give --${option} on the command line`)
    // (without the prefix: eleven letters that all have in common would make everything near)
    const bare = (one: string): string => one.slice(ENVIRONMENT_PREFIX.length)
    const suggestion = nearest(bare(name), known.map(bare))
    if (suggestion === undefined) continue
    const meant = ENVIRONMENT_PREFIX + suggestion
    throw new UsageError(`unknown environment variable ${name}; did you mean ${meant}?`)
  }
}
