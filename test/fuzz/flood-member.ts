/** One member of the flooded group: sends as fast as it is let, and tells how much was delivered. */
import { startKernel } from '../../group/index.ts'

const [port = 'flood', size = '1024'] = process.argv.slice(2)
const kernel = await startKernel({ logLevel: 'error' })
const group = await kernel.joinOrCreateGroup(port)
let delivered = 0
let suspicions = 0
group.on('suspect', () => suspicions++)

async function receive(): Promise<void> {
  for await (const delivery of group) if (delivery.kind === 'message') delivered++
}

async function send(): Promise<void> {
  const body = new Uint8Array(Number(size))
  for (;;) await Promise.all(Array.from({ length: 64 }, () => group.sendToGroup(body)))
}

async function rejected(): Promise<number> {
  const metric = kernel.registry.getSingleMetric('amoebacast_packets_rejected_total')
  const { values = [] } = (await metric?.get()) ?? {}
  return values.reduce((sum, { value }) => sum + value, 0)
}

const ended = (): never => process.exit(0)
receive().catch(ended)
send().catch(ended)
process.on('disconnect', ended)
process.on('message', async ({ milliseconds }: { milliseconds: number }) => {
  const before = { delivered, suspicions, rejected: await rejected() }
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  process.send?.({
    word: 'rate',
    messages: delivered - before.delivered,
    suspicions: suspicions - before.suspicions,
    rejected: (await rejected()) - before.rejected,
  })
})
process.send?.({ word: 'ready', address: kernel.address })
