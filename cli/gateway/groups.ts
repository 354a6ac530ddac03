/** The groups that the gateway is in: opened, left, and forgotten when their membership is over. */
import type { Kernel } from '../../group/index.ts'
import { checkPort } from '../../group/options.ts'
import { ErrorCode, GroupError } from '../../kernel/errors.ts'
import { GatewayCode, GatewayError } from './errors.ts'
import { HostedGroup } from './hosted-group.ts'
import {
  checkHostedOptions,
  type GatewayLimits,
  type GatewayLog,
  type HostedGroupOptions,
  type OpenMode,
} from './options.ts'
import { SharedCall } from './shared-call.ts'

const calls = { create: 'createGroup', join: 'joinGroup', 'join-or-create': 'joinOrCreateGroup' } as const

export type GatewayKernel = Pick<Kernel, 'createGroup' | 'joinGroup' | 'joinOrCreateGroup' | 'inspectGroup'>

export class Groups {
  private readonly kernel: GatewayKernel
  private readonly limits: GatewayLimits
  private readonly log: GatewayLog
  /** By port. BOUNDED by maxGroups, together with those being opened. */
  private readonly hosted = new Map<string, HostedGroup>()
  private readonly openings = new Map<string, SharedCall<HostedGroup>>()
  private isStopping = false

  constructor(kernel: GatewayKernel, limits: GatewayLimits, log: GatewayLog) {
    this.kernel = kernel
    this.limits = limits
    this.log = log
  }

  get all(): readonly HostedGroup[] {
    return [...this.hosted.values()]
  }

  get isOpening(): boolean {
    return this.openings.size > 0
  }

  find(port: string): HostedGroup | undefined {
    return this.hosted.get(port)
  }

  /** Throws ERR_GROUP_NOT_FOUND if this gateway is not in the group. */
  get(port: string): HostedGroup {
    const group = this.hosted.get(port)
    if (group !== undefined) return group
    checkPort(port)
    const how = `POST /groups/${encodeURIComponent(port)} joins or creates it`
    throw new GroupError(ErrorCode.notFound, `this gateway is not in a group ${port}; ${how}`, {
      outcome: 'refused',
    })
  }

  /**
   * Joins or creates the group; `isNew` is false where the gateway was in it already. Several calls at once for one
   * port are one call, with the first one's options.
   */
  async open(
    port: string,
    mode: OpenMode,
    given: unknown,
    signal: AbortSignal,
  ): Promise<{ readonly group: HostedGroup; readonly isNew: boolean }> {
    checkPort(port)
    const options = checkHostedOptions(given, mode)
    if (this.isStopping) throw stopping()
    const present = this.hosted.get(port)
    const underWay = this.openings.get(port)
    const isUnderWay = underWay !== undefined && !underWay.isGivenUp
    if (mode === 'create' && (present !== undefined || isUnderWay)) {
      throw new GroupError(ErrorCode.exists, `this gateway is in a group ${port} already; leave it first`)
    }
    if (present !== undefined) return { group: present, isNew: false }
    if (isUnderWay) return { group: await underWay.join(signal), isNew: false }
    if (this.hosted.size + this.openings.size >= this.limits.maxGroups) {
      throw new GatewayError(
        GatewayCode.busy,
        `this gateway is in ${this.hosted.size} groups, and takes no more`,
      )
    }
    const call = new SharedCall((shared) => this.enter(port, mode, options, shared))
    this.openings.set(port, call)
    void call.settled.then(() => {
      if (this.openings.get(port) === call) this.openings.delete(port)
    })
    return { group: await call.join(signal), isNew: true }
  }

  /** Leaves in order, and resolves when the port can be opened again. */
  async leave(port: string): Promise<void> {
    const group = this.get(port)
    await group.leave(this.limits.leaveMs)
    this.hosted.delete(port)
  }

  /** No group is opened any more; what is under way is given up. */
  async stopOpening(): Promise<void> {
    this.isStopping = true
    for (const opening of this.openings.values()) opening.giveUp()
    await Promise.all([...this.openings.values()].map(({ settled }) => settled))
  }

  private async enter(
    port: string,
    mode: OpenMode,
    options: HostedGroupOptions,
    signal: AbortSignal,
  ): Promise<HostedGroup> {
    const member = await this.kernel[calls[mode]]<Uint8Array>(port, {
      ...options,
      codec: 'binary',
      // What lies in the ring must not keep whole packets alive.
      copy: true,
      signal,
    })
    const group = new HostedGroup(member, this.limits, this.log)
    this.hosted.set(port, group)
    this.log.info({ group: port, member: member.memberId }, 'the gateway is in the group')
    void group.done.then(() => {
      if (this.hosted.get(port) === group) this.hosted.delete(port)
      this.log.info({ group: port }, 'the gateway is out of the group')
    })
    return group
  }
}

export function stopping(): GatewayError {
  return new GatewayError(GatewayCode.stopping, 'this gateway is being stopped; use another', 'refused')
}
