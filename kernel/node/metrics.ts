/**
 * Metrics by prom-client. What machines count is read when somebody asks (collect callbacks), so a message
 * costs nothing here; only send times are noted as they happen, by one addition (send-times.ts).
 *
 * Labels: `group` is the port. The first member of a group in a registry has no `member` label; further ones
 * of the same group in the same process carry their name there. A member that closes takes its series with
 * it, counters too: one that comes back is another member and counts from 0, as after a restart.
 */
import { Registry } from 'prom-client'
import { type MemberMetrics, type MemberSource, MetricSet, type RimSource } from './metric-set.ts'

/** One set of metrics a registry, shared by the kernels that use it: a name is registered once. */
const sets = new WeakMap<Registry, MetricSet>()

export type { MemberMetrics, MemberSource, RimSource }

export class Metrics {
  readonly registry: Registry
  private readonly set: MetricSet
  private readonly own = new Set<MemberMetrics>()
  private rim: RimSource | undefined
  private readonly closing: (() => void)[] = []

  constructor(registry: Registry = new Registry()) {
    this.registry = registry
    this.set = sets.get(registry) ?? new MetricSet(registry)
    sets.set(registry, this.set)
  }

  addMember(source: MemberSource): MemberMetrics {
    const added = this.set.addMember(source)
    const own: MemberMetrics = {
      ...added,
      remove: () => {
        if (this.own.delete(own)) added.remove()
      },
    }
    this.own.add(own)
    return own
  }

  /** One for each kernel. */
  addRim(rim: RimSource): void {
    this.rim = rim
    this.set.rims.add(rim)
  }

  /** Something else in the registry is this kernel's; `remove` takes it away. */
  onClose(remove: () => void): void {
    this.closing.push(remove)
  }

  /** The page, in the registry's format. */
  page(): Promise<string> {
    return this.registry.metrics()
  }

  get contentType(): string {
    return this.registry.contentType
  }

  /** Takes away what this kernel added. The registry itself, and others' metrics in it, stay. */
  close(): void {
    for (const member of [...this.own]) member.remove()
    if (this.rim !== undefined) this.set.rims.delete(this.rim)
    for (const remove of this.closing.splice(0)) remove()
  }
}
