/** Checked by the compiler alone: what programs may and may not write. */
import {
  createGroup,
  type Delivery,
  type Group,
  GroupError,
  joinGroup,
  startKernel,
} from '../../group/index.ts'

interface Order {
  readonly op: 'add' | 'remove'
  readonly id: number
}

export async function typed(): Promise<void> {
  await using kernel = await startKernel({ interface: '127.0.0.1', detection: { preset: 'fast', tries: 5 } })
  const group: Group<Order> = await kernel.createGroup<Order>('orders', { resilience: 'majority' })
  const seq: number = await group.sendToGroup({ op: 'add', id: 7 })
  const seqs: number[] = await group.sendMany([{ op: 'add', id: seq }])
  // @ts-expect-error: not an Order
  await group.sendToGroup({ op: 'change', id: seqs[0] })
  // @ts-expect-error: an Order's fields are all wanted
  await group.sendMany([{ op: 'add' }])
  for await (const delivery of group) show(delivery)
  group.on('stopped', ({ reason, present, needed }) => `${reason} ${(present ?? 0) + (needed ?? 0)}`)
  group.on('slow', ({ member, lagMessages }) => member + lagMessages)
  group.on('split', ({ incarnation, coordinator }) => incarnation + coordinator)
  group.on('rejoined', ({ memberId, view, missedFrom }) => memberId + view.seq - missedFrom)
  const size: number = await group.resetGroup()
  await group.resetGroup(size, { header: new Uint8Array(1), signal: AbortSignal.timeout(1000) })
  const back: Group<Order> = await kernel.joinGroup<Order>('orders', { rejoin: true })
  await back.leaveGroup()
  // @ts-expect-error: there is no such event
  group.on('error', () => {})
  // @ts-expect-error: a misspelt option
  await kernel.createGroup('orders', { resiliance: 1 })
  // @ts-expect-error: no such transport
  await startKernel({ transport: 'tcp' })
}

function show(delivery: Delivery<Order>): string | number {
  if (delivery.kind === 'rejoin') return delivery.missedFrom + delivery.sender
  if (delivery.kind === 'reset') return delivery.removed.length + Number(delivery.lossPossible)
  if (delivery.kind !== 'message') return delivery.view.members.map(({ name }) => name).join()
  // @ts-expect-error: a body that could not be decoded is undefined
  delivery.body.id.toFixed()
  if (delivery.error !== undefined) return delivery.error.message
  return delivery.body.id
}

export async function codecs(): Promise<void> {
  const binary = await createGroup<Uint8Array>('bytes', { codec: 'binary' })
  await binary.sendToGroup(new Uint8Array(1))
  // @ts-expect-error: bytes are wanted
  await binary.sendToGroup('text')
  const encoder = new TextEncoder()
  const decoder = new TextDecoder()
  const own = await joinGroup('text', {
    codec: { encode: (value: string) => encoder.encode(value), decode: (bytes) => decoder.decode(bytes) },
  })
  const text: string | undefined = (await own.receiveFromGroup()).body
  try {
    await own.sendToGroup(text ?? '')
  } catch (error) {
    if (error instanceof GroupError && error.outcome === 'unknown') throw error
  }
}
