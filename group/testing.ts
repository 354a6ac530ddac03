/**
 * `amoebacast/testing`: groups without sockets and without waiting, for tests of programs that use groups.
 *
 *   const network = createTestNetwork({ seed: 7, loss: 0.1 })
 *   const kernel = await network.startKernel()
 *   const group = await network.run(kernel.createGroup('orders'))
 *   await network.run(group.sendToGroup('hello'))
 *
 * Time stands still outside `run` and `advance`; inside they jump from event to event, so that ten minutes of
 * heartbeats take moments. Everything is drawn from the seed, so a run that fails fails again.
 */
import { TestNetwork, type TestNetworkOptions } from './testing/network.ts'

export type { Faults, TestNetwork, TestNetworkOptions } from './testing/network.ts'

/** A network in memory with virtual time. ERR_INVALID_ARGUMENT names a bad option. */
export function createTestNetwork(options?: TestNetworkOptions): TestNetwork {
  return new TestNetwork(options)
}
