/** etcd by its JSON gateway: puts over one kept connection, and a watch that streams lines. */
import { Agent, type ClientRequest, request } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LinkOrder, PeerLink } from './link.ts'

/** A cluster elects its leader first. */
const READY_WITHIN_MS = 30_000
const TRY_EVERY_MS = 100

interface Status {
  readonly header: { readonly member_id: string }
  readonly leader: string
}

interface WatchLine {
  readonly result?: {
    readonly created?: boolean
    readonly events?: readonly { readonly kv: { readonly value: string } }[]
  }
  readonly error?: { readonly message?: string }
}

export async function openEtcd({ servers, index }: LinkOrder): Promise<PeerLink> {
  const server = `http://${servers[index % servers.length]}`
  /** Where puts go: to the leader, which others would have to ask. */
  let leader = server
  const agent = new Agent({ keepAlive: true, maxSockets: 1, noDelay: true })
  let key = ''
  let watching: ClientRequest | undefined

  function post(to: string, path: string, body: unknown, own = agent): ClientRequest {
    const text = JSON.stringify(body)
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
    const asked = request(`${to}${path}`, { method: 'POST', agent: own, headers })
    asked.end(text)
    return asked
  }

  function answerOf(asked: ClientRequest): Promise<string> {
    return new Promise((resolve, reject) => {
      asked.on('error', reject)
      asked.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (more: string) => {
          text += more
        })
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text)
          else reject(new Error(`etcd answered ${response.statusCode}: ${text}`))
        })
      })
    })
  }

  async function put(value: Uint8Array): Promise<void> {
    const base64 = Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64')
    await answerOf(post(leader, '/v3/kv/put', { key: encoded(`${key}${index}`), value: base64 }))
  }

  async function findLeader(): Promise<string> {
    for (const each of servers) {
      const text = await answerOf(post(`http://${each}`, '/v3/maintenance/status', {}))
      const { header, leader } = JSON.parse(text) as Status
      if (header.member_id === leader) return `http://${each}`
    }
    throw new Error('no server of etcd says that it is the leader')
  }

  function watch(deliver: (body: Uint8Array) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const range = { key: encoded(key), range_end: encoded(`${key}~`) }
      const asked = post(server, '/v3/watch', { create_request: range }, new Agent())
      watching = asked
      asked.on('error', reject)
      asked.on('response', (response) => {
        const lines = createInterface({ input: response })
        // The end of a run ends the watch in the middle of an answer.
        lines.on('error', () => {})
        lines.on('line', (line) => {
          const { result, error } = JSON.parse(line) as WatchLine
          if (error !== undefined) reject(new Error(`etcd's watch: ${error.message}`))
          if (result?.created === true) resolve()
          for (const { kv } of result?.events ?? []) deliver(Buffer.from(kv.value, 'base64'))
        })
      })
    })
  }

  const until = performance.now() + READY_WITHIN_MS
  for (key = 'ready/'; ; await sleep(TRY_EVERY_MS)) {
    try {
      leader = await findLeader()
      await put(new Uint8Array(1))
      break
    } catch (error) {
      if (performance.now() > until) throw error
    }
  }

  return {
    isAcknowledged: true,
    async begin(run, deliver) {
      key = `bench-${run}/`
      await watch(deliver)
    },
    send: put,
    async end() {
      watching?.destroy()
    },
    async close() {
      watching?.destroy()
      agent.destroy()
    },
  }
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64')
}
