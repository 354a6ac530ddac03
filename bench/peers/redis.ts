/** Redis Streams: XADD, many in one write, and a connection of its own that waits in XREAD. */
import { createClient, RESP_TYPES } from '@redis/client'
import { KEPT_BYTES, type LinkOrder, type PeerLink } from './link.ts'

const READ_MAX = '4096'
const BLOCK_MS = '100'
/** Of a busy machine: the client's own limit is meant for networks. */
const timeout = 60_000

type Entries = readonly (readonly [id: Buffer, fields: readonly Buffer[]])[]

export async function openRedis({ servers, index }: LinkOrder): Promise<PeerLink> {
  const url = `redis://${servers[0]}`
  const connection = async () => {
    const client = createClient({
      url,
      RESP: 2,
      commandOptions: { timeout, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
    })
    // Without a listener a lost server would be an uncaught error; calls fail by themselves.
    client.on('error', () => {})
    return client.connect()
  }
  const writer = await connection()
  const reader = await connection()
  let key = ''
  let reading: Promise<void> | undefined
  let isEnding = false

  async function read(deliver: (body: Uint8Array) => void): Promise<void> {
    let last: string | Buffer = '0'
    while (!isEnding) {
      const reply = (await reader.sendCommand([
        'XREAD',
        'COUNT',
        READ_MAX,
        'BLOCK',
        BLOCK_MS,
        'STREAMS',
        key,
        last,
      ])) as unknown as readonly [readonly [Buffer, Entries]] | null
      for (const [id, [, body]] of reply?.[0][1] ?? []) {
        last = id
        deliver(body!)
      }
    }
  }

  return {
    isAcknowledged: true,
    async begin(run, deliver) {
      if (index === 0 && key !== '') await writer.sendCommand(['UNLINK', key])
      key = `bench-${run}`
      isEnding = false
      reading = read(deliver)
      reading.catch(() => {})
    },
    async send(body) {
      const most = Math.ceil(KEPT_BYTES / body.length)
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
      await writer.sendCommand(['XADD', key, 'MAXLEN', '~', String(most), '*', 'b', bytes])
    },
    async end() {
      isEnding = true
      await reading
    },
    async close() {
      writer.destroy()
      reader.destroy()
    },
  }
}
