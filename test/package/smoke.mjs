// One of each: create, join, send, receive, leave. Prints "smoke ok"; plain JavaScript, for every version of Node.
import { startKernel } from 'amoebacast'

const port = `smoke-${process.pid}`
// an upper bound only: whatever stands still ends here
const limit = setTimeout(() => {
  console.error('smoke: nothing has come for 40 s')
  process.exit(1)
}, 40_000)
const kernels = [await startKernel({ logLevel: 'error' }), await startKernel({ logLevel: 'error' })]
const first = await kernels[0].createGroup(port, { resilience: 1 })
const second = await kernels[1].joinGroup(port)
const seq = await second.sendToGroup({ hello: 'world' })
for (const group of [first, second]) {
  for await (const delivery of group) {
    if (delivery.kind !== 'message') continue
    if (delivery.seq !== seq || delivery.body.hello !== 'world')
      throw new Error('another message was delivered')
    break
  }
}
await second.leaveGroup()
await first.leaveGroup()
for (const kernel of kernels) await kernel.close()
clearTimeout(limit)
console.log(`smoke ok on Node ${process.versions.node}`)
