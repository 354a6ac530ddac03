import { expect, test } from 'vitest'
import { amoebaCalls } from '../../group/amoeba.ts'
import { bytes, fakeKernel, messages, text, viewOf } from './fake.ts'

test("the paper's calls stand over the same groups", async () => {
  const { kernel, rim } = fakeKernel()
  const { CreateGroup, JoinGroup, LeaveGroup, SendToGroup, ReceiveFromGroup, ResetGroup } =
    amoebaCalls(kernel)
  const gd = await CreateGroup('orders', 1, 5, 128, 4000)
  const machine = rim.machines[0]!
  expect(gd).toBe(0)
  expect(machine.callsOf('open')[0]!.parameters).toMatchObject({
    resilience: 1,
    maxMembers: 5,
    historySize: 128,
    maxMessageSize: 4000,
    recovery: 'manual',
    minMembers: 1,
  })
  expect(await JoinGroup({ port: 'orders', data: bytes('me') })).toBe(1)
  expect(rim.machines[1]!.callsOf('open')[0]).toMatchObject({ how: 'join', header: bytes('me') })

  const sending = SendToGroup(gd, bytes('h'), bytes('body'))
  await Promise.resolve()
  machine.emit({ output: 'sent', token: 1, count: 1, seq: 2 })
  expect(await sending).toBe(2)
  machine.deliver(messages(2, [{ header: bytes('h'), body: bytes('body') }]), {
    kind: 'join',
    seq: 3,
    sender: 2,
    header: bytes('me'),
    view: viewOf(3, [1, 2]),
  })
  const { hdr, buf, more, ...beyond } = await ReceiveFromGroup(gd)
  expect([text(hdr), text(buf), more]).toEqual(['h', 'body', true])
  expect(beyond).toEqual({ kind: 'message', sender: 1, seq: 2 })
  expect(await ReceiveFromGroup(gd)).toMatchObject({
    kind: 'join',
    hdr: bytes('me'),
    buf: new Uint8Array(0),
    more: false,
  })

  const resetting = ResetGroup(gd, bytes('r'), 2)
  await Promise.resolve()
  const [reset] = machine.callsOf('reset')
  expect(reset).toMatchObject({ minMembers: 2, header: bytes('r') })
  machine.emit({ output: 'reset', token: reset!.token, size: 2 })
  expect(await resetting).toBe(2)

  await LeaveGroup(gd, bytes('bye'))
  expect(machine.callsOf('leave')[0]).toMatchObject({ header: bytes('bye') })
  await expect(SendToGroup(gd, undefined, bytes('x'))).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
  await expect(ReceiveFromGroup(7)).rejects.toThrow('gd is 7')
  expect(await CreateGroup('other', 0, 5, 128, 4000)).toBe(0)
})

test('fields that JoinGroup does not know are refused', async () => {
  const { JoinGroup } = amoebaCalls(fakeKernel().kernel)
  const slip = { port: 'orders', dta: bytes('me') }
  await expect(JoinGroup(slip)).rejects.toThrow('there is no option dta; did you mean data?')
  await expect(JoinGroup(null as never)).rejects.toThrow(
    'the options of JoinGroup is null; it must be an object',
  )
})

test('a descriptor whose member was lost is given back by LeaveGroup', async () => {
  const { kernel, rim } = fakeKernel()
  const { CreateGroup, LeaveGroup, ReceiveFromGroup } = amoebaCalls(kernel)
  const gd = await CreateGroup('orders', 0, 5, 128, 4000)
  rim.machines[0]!.emit({ output: 'event', event: { event: 'closed', code: 'ERR_EXPELLED', reason: 'gone' } })
  await expect(ReceiveFromGroup(gd)).rejects.toMatchObject({ code: 'ERR_EXPELLED' })
  await LeaveGroup(gd)
  await expect(ReceiveFromGroup(gd)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' })
})
