/** The members of one process: opened one after the other, then taken through runs together. */
import { FloorMember } from './floor.ts'
import { GroupMember } from './group-member.ts'
import { Kernels } from './kernels.ts'
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
  private readonly kernels = new Kernels()

  async open(order: MemberOrder): Promise<string> {
    const member = await this.memberFor(order)
    this.members.push(member)
    return member.address
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
    await this.kernels.close()
  }

  private memberFor(order: MemberOrder): Promise<BenchMember> {
    const { subject } = order
    if (isPeer(subject)) return openPeerMember(subject, order)
    return subject === 'amoebacast' ? GroupMember.open(order, this.kernels) : FloorMember.open(order)
  }
}
