/** The members of one process: those of a group opened one after the other, then taken through runs together. */
import type { Kernels } from './kernels.ts'
import {
  type BenchMember,
  type Health,
  isPeer,
  type MemberOrder,
  type RunOrder,
  type RunReport,
} from './messages.ts'
import { openPeerMember } from './peers/open.ts'

export class Host {
  private readonly members: BenchMember[] = []
  private kernels: Promise<Kernels> | undefined

  async open(orders: readonly MemberOrder[]): Promise<string[]> {
    const members = await Promise.all(orders.map((order) => this.memberFor(order)))
    this.members.push(...members)
    return members.map(({ address }) => address)
  }

  async prepare(orders: readonly RunOrder[]): Promise<void> {
    await Promise.all(this.members.map((member, i) => member.prepare(orders[i]!)))
  }

  run(): Promise<number[]> {
    return Promise.all(this.members.map((member) => member.run()))
  }

  examine(): Health {
    const health = this.members[0]?.examine?.()
    if (health === undefined) throw new Error('this member cannot be examined')
    return health
  }

  async finish(lastSeqs: readonly number[]): Promise<RunReport[]> {
    const reports = await Promise.all(this.members.map((member, i) => member.finish(lastSeqs[i]!)))
    // Processor time is the process's; it counts once.
    return reports.map((report, i) => (i === 0 ? report : { ...report, cpuSeconds: 0 }))
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map((member) => member.close()))
    await (await this.kernels)?.close()
  }

  /** Each loads only what it needs: a floor is not to start later, nor with more in memory, for what it does without. */
  private async memberFor(order: MemberOrder): Promise<BenchMember> {
    const { subject } = order
    if (isPeer(subject)) return openPeerMember(subject, order)
    if (subject !== 'amoebacast') return (await import('./floor.ts')).FloorMember.open(order)
    this.kernels ??= import('./kernels.ts').then(({ Kernels }) => new Kernels())
    return (await import('./group-member.ts')).GroupMember.open(order, await this.kernels)
  }
}
