/** `amoebacast gateway`: groups over HTTP, for programs in any language. */
import type { Command, CommandContext } from './command.ts'
import { CommandError, ExitStatus } from './errors.ts'
import { type Gateway, startGateway } from './gateway/index.ts'
import { LISTEN_DEFAULT } from './gateway/options.ts'
import { httpToken, kernelOptions, pageSettings } from './network.ts'
import { httpOptions, jsonOption, networkOptions } from './options.ts'
import { reloadOnHangup } from './reload.ts'
import { aborted } from './stop.ts'

export const gatewayCommand: Command = {
  name: 'gateway',
  describe: 'Serve groups over HTTP, server-sent events and WebSockets, to programs in any language',
  options: {
    listen: {
      kind: 'text',
      placeholder: 'HOST:PORT',
      describe: 'Where to serve; beyond loopback a token is needed',
      fallback: LISTEN_DEFAULT,
    },
    group: { kind: 'text', placeholder: 'PORT', describe: 'Join or create this group at the start' },
    'metrics-port': {
      kind: 'whole',
      min: 0,
      max: 65_535,
      placeholder: 'PORT',
      describe: 'Serve /metrics and the console of the memberships here',
    },
    ...httpOptions,
    ...jsonOption,
    ...networkOptions,
  },
  examples: [
    ['amoebacast gateway', `serve on ${LISTEN_DEFAULT}, to programs on this machine`],
    ['amoebacast gateway --group orders', 'and be in the group from the start'],
    [
      'amoebacast gateway --listen 10.0.0.5:7070 --http-token-file token --interface 10.0.0.5',
      'serve a network',
    ],
    ["curl -d 'hello' http://127.0.0.1:7070/groups/orders/messages", 'send a message, from another shell'],
  ],
  run: runGateway,
}

async function runGateway({ options, output, stop, isJson }: CommandContext): Promise<number> {
  const token = httpToken(options)
  const group = options.text('group')
  let gateway: Gateway | undefined
  const stopReloading = reloadOnHangup(() => gateway, options.text('key-file'))
  try {
    const starting = startGateway({
      listen: options.text('listen'),
      token,
      kernelOptions: { ...kernelOptions(options), ...pageSettings(options, ['http-interface']) },
      groups: group === undefined ? {} : { [group]: {} },
      signal: stop.signal,
    })
    gateway = await starting.catch((error: unknown) => {
      throw stop.signal.aborted ? new CommandError('interrupted before the gateway was ready') : error
    })
    const { url, ports } = gateway
    if (isJson) output.json({ event: 'ready', url, groups: ports })
    else output.line(`serving ${url}${ports.map((port) => `, in group ${port}`).join('')}`)
    await aborted(stop.signal)
    return ExitStatus.success
  } finally {
    await gateway?.close()
    stopReloading()
  }
}
