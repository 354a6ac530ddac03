/** Opens a client of a peer. Clients are loaded only here: most installations do not have them. */
import type { BenchMember, MemberOrder, PeerName } from '../messages.ts'
import type { LinkOrder, PeerLink } from './link.ts'
import { PeerMember } from './peer-member.ts'

const openers: Record<PeerName, (order: LinkOrder) => Promise<PeerLink>> = {
  redis: async (order) => (await import('./redis.ts')).openRedis(order),
  nats: async (order) => (await import('./nats.ts')).openJetStream(order),
  'nats-core': async (order) => (await import('./nats.ts')).openCoreNats(order),
  etcd: async (order) => (await import('./etcd.ts')).openEtcd(order),
}

export async function openPeerMember(peer: PeerName, { peers, index }: MemberOrder): Promise<BenchMember> {
  const link = await openers[peer]({ servers: peers, index })
  return new PeerMember(link, index, peer)
}
