/** NATS: JetStream with a stream in memory, and core NATS, which only passes messages on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConsumerMessages, jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream'
import { connect, type Subscription } from '@nats-io/transport-node'
import { KEPT_BYTES, type LinkOrder, type PeerLink } from './link.ts'

const FETCHED_AT_ONCE = 4096
const FOUND_WITHIN_MS = 20_000
const LOOK_EVERY_MS = 10
/** Of a busy machine: the client's own limit is meant for networks. */
const timeout = 30_000

export async function openJetStream({ servers, index }: LinkOrder): Promise<PeerLink> {
  const connection = await connect({ servers: [...servers] })
  const manager = await jetstreamManager(connection, { timeout })
  const stream = jetstream(connection, { timeout })
  let subject = ''
  let messages: ConsumerMessages | undefined

  return {
    isAcknowledged: true,
    async begin(run, deliver) {
      if (index === 0) {
        if (subject !== '') await manager.streams.delete(subject)
        await manager.streams.add({
          name: `bench-${run}`,
          subjects: [`bench-${run}`],
          storage: StorageType.Memory,
          max_bytes: KEPT_BYTES,
        })
      }
      subject = `bench-${run}`
      const until = performance.now() + FOUND_WITHIN_MS
      // The first client makes it, the others wait until it is there.
      while (
        !(await manager.streams.info(subject).then(
          () => true,
          () => false,
        ))
      ) {
        if (performance.now() > until) throw new Error(`there is no stream ${subject}`)
        await sleep(LOOK_EVERY_MS)
      }
      const consumer = await stream.consumers.get(subject)
      messages = await consumer.consume({
        max_messages: FETCHED_AT_ONCE,
        callback: ({ data }) => deliver(data),
      })
    },
    async send(body) {
      await stream.publish(subject, body, { timeout })
    },
    async end() {
      await messages?.close()
    },
    close: () => connection.close(),
  }
}

export async function openCoreNats({ servers }: LinkOrder): Promise<PeerLink> {
  const connection = await connect({ servers: [...servers] })
  let subject = ''
  let subscription: Subscription | undefined

  return {
    isAcknowledged: false,
    async begin(run, deliver) {
      subject = `bench-${run}`
      subscription = connection.subscribe(subject, {
        callback: (error, { data }) => {
          if (error === null) deliver(data)
        },
      })
      // The server has it when it has answered.
      await connection.flush()
    },
    async send(body) {
      connection.publish(subject, body)
    },
    async end() {
      subscription?.unsubscribe()
    },
    close: () => connection.close(),
  }
}
