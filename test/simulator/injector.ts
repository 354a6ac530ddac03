/**
 * Makes the planned faults happen: at their moments, or when what they are aimed at comes. It looks into
 * machines, as checkers never do, to find the sequencer.
 */
import type { Address, Micros } from '../../kernel/identity.ts'
import { packetKindNames } from '../../kernel/packet.ts'
import { Prng } from '../../kernel/prng.ts'
import { type Deed, describeFault, drawPlan, type Fault } from './faults.ts'
import type { PacketWatch } from './network.ts'
import type { SimulatedNode, World } from './node.ts'
import { FAULT_DICE } from './options.ts'

export interface Restarts {
  /** A new life on the address of a node that has crashed. */
  restart(address: Address, after: Micros): void
}

export class Injector implements PacketWatch {
  /** How many planned faults came to pass. */
  happened = 0
  private readonly nodes: readonly SimulatedNode[]
  private readonly world: World
  private readonly restarts: Restarts
  /** Aimed faults by what they wait for, as `mark NAME` or `packet KIND SIDE WHEN`. */
  private readonly waiting = new Map<string, { fault: Fault; left: number }[]>()
  private isHealed = false

  /** `plan` instead of the one that the seed draws: for tests. */
  constructor(
    seed: number,
    nodes: readonly SimulatedNode[],
    world: World,
    restarts: Restarts,
    plan: readonly Fault[] = drawPlan(seed, world.options),
  ) {
    this.nodes = nodes
    this.world = world
    this.restarts = restarts
    this.setClocks(seed)
    for (const fault of plan) this.plan(fault)
    if (this.waiting.size === 0) return
    world.network.watch = this
    world.onMark = (address, mark) => this.fire(`mark ${mark}`, address)
  }

  private setClocks(seed: number): void {
    const { drift } = this.world.options
    if (drift === 0) return
    const prng = new Prng(seed + FAULT_DICE + 2)
    for (const node of this.nodes)
      node.clock = { offset: prng.below(1_000_000_000), rate: 1 + drift * (2 * prng.unit() - 1) }
  }

  private plan(fault: Fault): void {
    const { trigger } = fault
    const { queue, trace, options } = this.world
    trace?.add(0, '----', describeFault(fault))
    if (trigger.on === 'time') {
      if (trigger.at < options.healAt) queue.at(trigger.at, () => this.happen(fault, undefined))
      return
    }
    const key =
      trigger.on === 'mark'
        ? `mark ${trigger.mark}`
        : `packet ${trigger.kind} ${trigger.side} ${trigger.when}`
    const list = this.waiting.get(key) ?? []
    this.waiting.set(key, [...list, { fault, left: trigger.nth }])
  }

  /** Nothing new goes wrong, and whoever is stopped goes on; the dead stay dead. */
  heal(): void {
    this.isHealed = true
    for (const node of this.nodes) node.wake(false)
  }

  before(side: 'sent' | 'received', kind: number, at: Address): boolean {
    return this.onPacket(side, 'before', kind, at)
  }

  after(side: 'sent' | 'received', kind: number, at: Address): void {
    this.onPacket(side, 'after', kind, at)
  }

  private onPacket(side: string, when: string, kind: number, at: Address): boolean {
    const node = this.nodeAt(at)
    const before = node?.current
    this.fire(`packet ${packetKindNames[kind] ?? kind} ${side} ${when}`, at)
    return node?.current === before
  }

  private fire(key: string, at: Address): void {
    for (const waiting of this.waiting.get(key) ?? [])
      if (--waiting.left === 0) this.happen(waiting.fault, this.nodeAt(at))
  }

  private nodeAt(address: Address): SimulatedNode | undefined {
    return this.nodes.find((node) => node.address === address)
  }

  // ---- deeds ------------------------------------------------------------------------------------------

  private happen(fault: Fault, self: SimulatedNode | undefined): void {
    if (this.isHealed) return
    const { queue } = this.world
    const node = this.find(fault.deed, self)
    if (node?.current === undefined) return
    this.happened++
    const { deed } = fault
    switch (deed.deed) {
      case 'crash': {
        // a machine that tells of a turning point is in the middle of its step
        if (fault.trigger.on === 'mark' && node === self) node.current.dieAfter(deed.effects, deed.isSilent)
        else if (fault.trigger.on === 'time' && deed.effects !== undefined)
          node.current.dieAfter(deed.effects, deed.isSilent)
        else if (node === self) node.crash(deed.isSilent)
        else queue.at(queue.now, () => node.crash(deed.isSilent))
        this.planRestart(node, deed)
        for (const other of this.others(fault, node, deed.others)) {
          queue.at(queue.now, () => other.crash(deed.isSilent))
          this.planRestart(other, deed)
        }
        return
      }
      case 'pause':
        this.world.trace?.add(queue.now, node.address, `stops for ${deed.length / 1000} ms`)
        return node.pause(queue.now + deed.length, fault.prng.chance(1, 2))
      case 'partition':
        return this.partition(fault.prng, deed, node)
    }
  }

  private find({ aim }: Deed, self: SimulatedNode | undefined): SimulatedNode | undefined {
    if (typeof aim === 'number') return this.nodes[aim]
    return aim === 'self' && self !== undefined ? self : this.sequencer()
  }

  private planRestart({ address }: SimulatedNode, { restartAfter }: Extract<Deed, { deed: 'crash' }>): void {
    if (restartAfter !== undefined) this.restarts.restart(address, restartAfter)
  }

  /** Of the newest view that anybody has; the oldest member if nobody says that it is. */
  private sequencer(): SimulatedNode | undefined {
    let found: SimulatedNode | undefined
    let newest = -1
    for (const node of this.nodes) {
      const life = node.current
      if (life === undefined || life.record.group === undefined) continue
      const { isSequencer, view } = life.machine.info()
      const incarnation = isSequencer ? (view?.incarnation ?? 0) : 0
      if (found !== undefined && incarnation <= newest) continue
      found = node
      newest = incarnation
    }
    return found
  }

  private others({ prng }: Fault, first: SimulatedNode, count: number): SimulatedNode[] {
    const rest = this.nodes.filter((node) => node !== first && node.current !== undefined)
    const chosen: SimulatedNode[] = []
    const sequencer = this.sequencer()
    while (chosen.length < count && rest.length > 0) {
      const takesSequencer = chosen.length === 0 && prng.chance(1, 2)
      const index = takesSequencer && sequencer !== undefined ? rest.indexOf(sequencer) : -1
      chosen.push(...rest.splice(index >= 0 ? index : prng.below(rest.length), 1))
    }
    return chosen
  }

  private partition(prng: Prng, deed: Extract<Deed, { deed: 'partition' }>, node: SimulatedNode): void {
    const { judge, network, queue, trace } = this.world
    const isAlone = prng.chance(1, 2)
    const sides = new Map<Address, number>()
    for (const { address } of this.nodes)
      sides.set(address, isAlone ? 1 + prng.below(deed.sides - 1) : prng.below(deed.sides))
    sides.set(node.address, 0)
    const isCut = (from: Address, to: Address) => {
      const [a, b] = [sides.get(from) ?? 0, sides.get(to) ?? 0]
      return deed.oneWay === 0 ? a !== b : deed.oneWay === 1 ? a === 0 && b !== 0 : a !== 0 && b === 0
    }
    const inWords = [...sides].map(([address, side]) => `${address}:${side}`).join(' ')
    const way = deed.oneWay === 0 ? '' : deed.oneWay === 1 ? ' outwards from 0' : ' inwards to 0'
    trace?.add(queue.now, '----', `partition ${inWords}${way} for ${deed.length / 1000} ms`)
    judge.partitioned()
    network.cut(isCut)
    queue.after(deed.length, () => {
      network.join(isCut)
      trace?.add(queue.now, '----', 'that partition ends')
    })
  }
}
