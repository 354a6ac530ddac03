import { createSocket, type Socket } from 'node:dgram'
import { afterEach, expect, test } from 'vitest'
import { ErrorCode } from '../../kernel/errors.ts'
import { type PeerWatch, parsePeers, resolveWith, watchPeers } from '../../kernel/node/peers.ts'

let watch: PeerWatch | undefined
let server: Socket | undefined

afterEach(async () => {
  watch?.close()
  await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())))
  server = undefined
})

test('peers are addresses and names', () => {
  expect(parsePeers('10.0.0.1:1, [::1]:2 ,members.example', 9)).toEqual([
    { host: '10.0.0.1', port: 1 },
    { host: '::1', port: 2 },
    { host: 'members.example', port: 9 },
  ])
  expect(parsePeers(['10.0.0.1:1'])).toHaveLength(1)
  for (const wrong of ['a:b:c', '10.0.0:1', 'no port', '300.1.1.1:5', 'x:0']) {
    expect(() => parsePeers(wrong, 9)).toThrow(expect.objectContaining({ code: ErrorCode.invalid }))
  }
  expect(() => parsePeers('members.example')).toThrow(/host:port/)
})

test('literals are reported before the call returns', () => {
  const reports: (readonly string[])[] = []
  watch = watchPeers('10.0.0.1:1,10.0.0.2:2', (peers) => reports.push(peers))
  expect(reports).toEqual([['10.0.0.1:1', '10.0.0.2:2']])
})

test('an address of the wrong family is refused', () => {
  expect(() => watchPeers('[::1]:2', () => {}, { family: 4 })).toThrow(/IPv4/)
})

test('a name is asked again until it is answered, and holds nobody else up', async () => {
  let asked = 0
  const resolve = async (name: string) => {
    if (name === 'early.example') return ['10.1.0.1']
    asked++
    if (asked === 1) throw new Error('ENOTFOUND')
    return asked === 2 ? [] : ['10.2.0.1', '::1', 'nonsense']
  }
  const reports: (readonly string[])[] = []
  await new Promise<void>((done) => {
    const options = { resolve, family: 4, retryMs: { first: 1, most: 2 } } as const
    const onPeers = (peers: readonly string[]): void => {
      reports.push(peers)
      if (asked === 3) done()
    }
    watch = watchPeers('10.0.0.1:1,late.example:5,early.example:6', onPeers, options)
  })
  expect(reports[0]).toEqual(['10.0.0.1:1'])
  expect(reports[1]).toEqual(['10.0.0.1:1', '10.1.0.1:6'])
  expect(reports[2]).toEqual(['10.0.0.1:1', '10.1.0.1:6', '10.2.0.1:5'])
})

test('a given DNS server is asked, and nobody else', async () => {
  server = createSocket('udp4')
  const socket = server
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  socket.on('message', (question, from) => {
    const typeAt = question.indexOf(0, 12) + 1
    const isA = question.readUInt16BE(typeAt) === 1
    const end = typeAt + 4
    const head = Buffer.from(question.subarray(0, 12))
    head.writeUInt16BE(0x8180, 2)
    head.writeUInt16BE(isA ? 1 : 0, 6)
    head.writeUInt16BE(0, 10)
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 9])
    socket.send(
      Buffer.concat([head, question.subarray(12, end), ...(isA ? [record] : [])]),
      from.port,
      from.address,
    )
  })
  const resolve = resolveWith([`127.0.0.1:${socket.address().port}`])
  expect(await resolve('members.example')).toEqual(['127.0.0.9'])
})
