/** All benches, in the order in which they run. */
import { failoverBench } from './failover.ts'
import { floodBench } from './flood.ts'
import { latencyBench } from './latency.ts'
import { methodsBench } from './methods.ts'
import type { Bench } from './plan.ts'
import { resilienceBench } from './resilience.ts'
import { scaleBench } from './scale.ts'
import { secureBench } from './secure.ts'
import { slowBench } from './slow.ts'
import { soakBench } from './soak.ts'
import { throughputBench } from './throughput.ts'

export const benches: readonly Bench[] = [
  resilienceBench,
  latencyBench,
  throughputBench,
  methodsBench,
  failoverBench,
  scaleBench,
  slowBench,
  soakBench,
  secureBench,
  floodBench,
]
