/** One gateway: its kernel, its listener, its groups, and the order in which they begin and end. */
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { startKernel } from '../../group/index.ts'
import { ErrorCode, GroupError } from '../../kernel/errors.ts'
import { formatAddress } from '../../kernel/node/addresses.ts'
import { startLog } from '../../kernel/node/log.ts'
import { Access } from './access.ts'
import { makeApp } from './app.ts'
import { type GatewayContext, Streams } from './context.ts'
import { Groups, stopping } from './groups.ts'
import {
  type CheckedGatewayOptions,
  checkGatewayOptions,
  type GatewayLimits,
  type GatewayLog,
  type GatewayOptions,
  type ListenAddress,
} from './options.ts'
import { Sockets } from './sockets.ts'

/** How often bounds of age and time are looked at. */
const TICK_MS = 250

/**
 * Serves groups over HTTP: programs in any language create, join, send and receive. Resolves when it listens and is
 * in the groups that `groups` names. ERR_INVALID_ARGUMENT names a bad option, or a listener beyond loopback without a
 * token; ERR_ADDRESS if the address or port cannot be used; what opening a group can fail with. See README.md.
 */
export async function startGateway(given: GatewayOptions = {}): Promise<Gateway> {
  const options = checkGatewayOptions(given)
  const access = new Access(options.listen.host, options.token)
  const { logger: kernelLog, logLevel } = options.kernelOptions ?? {}
  const log = options.logger ?? kernelLog ?? startLog(logLevel)
  const kernel = options.kernel ?? (await startKernel({ logger: log, ...options.kernelOptions }))
  const gateway = new Gateway(options, access, log, kernel)
  try {
    await gateway.start()
    return gateway
  } catch (error) {
    await gateway.close()
    throw error
  }
}

export class Gateway implements AsyncDisposable {
  private readonly options: CheckedGatewayOptions
  private readonly limits: GatewayLimits
  private readonly log: GatewayLog
  private readonly kernel: NonNullable<GatewayOptions['kernel']>
  private readonly groups: Groups
  private readonly app: FastifyInstance
  private readonly sockets: Sockets
  private timers: NodeJS.Timeout[] = []
  private listenUrl = ''
  private hasStarted = false
  private closing: Promise<void> | undefined

  /** For startGateway. */
  constructor(
    options: CheckedGatewayOptions,
    access: Access,
    log: GatewayLog,
    kernel: NonNullable<GatewayOptions['kernel']>,
  ) {
    const { limits } = options
    this.options = options
    this.limits = limits
    this.log = log
    this.kernel = kernel
    this.groups = new Groups(kernel, limits, log)
    const context: GatewayContext = {
      groups: this.groups,
      kernel,
      access,
      limits,
      log,
      streams: new Streams(limits.maxReaders),
      refusal: () => (this.closing === undefined ? undefined : stopping()),
      unreadiness: () => this.unreadiness(),
    }
    this.app = makeApp(context)
    this.sockets = new Sockets(context, (request, response) => this.app.routing(request, response))
  }

  /** `http://host:port` of the listener. */
  get url(): string {
    return this.listenUrl
  }

  /** Ports of the groups that the gateway is in. */
  get ports(): readonly string[] {
    return this.groups.all.map(({ group }) => group.port)
  }

  /** For startGateway. */
  async start(): Promise<void> {
    const { listen, groups = {}, signal = new AbortController().signal } = this.options
    await this.listen(listen)
    this.timers = [
      setInterval(() => this.tick(), TICK_MS),
      setInterval(() => this.heartbeat(), this.limits.heartbeatMs),
    ]
    this.log.info({ url: this.url }, 'the gateway listens')
    for (const [port, given] of Object.entries(groups)) {
      await this.groups.open(port, 'join-or-create', given, signal)
    }
    this.hasStarted = true
  }

  /** Reads the kernel's key file again, now; see Kernel.reloadKeys. */
  reloadKeys(): boolean {
    return this.kernel.reloadKeys?.() ?? false
  }

  /**
   * Stops in order: takes no new requests, lets those under way end (`stopMs` at most), ends all streams with an
   * event, leaves the groups, and closes the listener; last the kernel, if it is the gateway's own. A second call
   * gives the first one's promise. Never rejects.
   */
  close(): Promise<void> {
    this.closing ??= this.stop()
    return this.closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private async listen({ host, port }: ListenAddress): Promise<void> {
    this.sockets.listen(this.app.server)
    try {
      await this.app.listen({ host, port, exclusive: true })
    } catch (error) {
      throw listenError(error as NodeJS.ErrnoException, formatAddress(host, port))
    }
    const { address, port: bound } = this.app.server.address() as AddressInfo
    this.listenUrl = `http://${formatAddress(address, bound)}`
  }

  private unreadiness(): string | undefined {
    if (this.closing !== undefined) return 'the gateway is being stopped'
    if (!this.hasStarted) return 'the gateway is opening its groups'
    const waiting = this.groups.all.filter(({ isReady }) => !isReady).length
    return waiting === 0 ? undefined : `${waiting} of ${this.groups.all.length} groups cannot go on`
  }

  private tick(): void {
    const now = Date.now()
    for (const group of this.groups.all) group.tick(now)
    this.sockets.check(now)
  }

  private heartbeat(): void {
    for (const group of this.groups.all) group.heartbeat()
    this.sockets.heartbeat()
  }

  private async stop(): Promise<void> {
    const { groups, app, log } = this
    log.info('the gateway stops')
    // The listener closes; connections that are open are still served.
    const closed = app
      .close()
      .catch((error: unknown) => log.error({ err: error }, 'the listener did not close'))
    await groups.stopOpening()
    await this.requestsToEnd()
    for (const group of groups.all) group.endStreams('stopping')
    this.sockets.close('the gateway stops')
    await Promise.all(groups.all.map(({ group: { port } }) => groups.leave(port).catch(() => {})))
    for (const timer of this.timers) clearInterval(timer)
    await this.connectionsToEnd(closed)
    if (this.options.kernel === undefined) await this.kernel.close()
    log.info('the gateway has stopped')
  }

  /** Answers that are under way reach their clients, and then the connections end, whoever holds on to them. */
  private async connectionsToEnd(closed: Promise<void>): Promise<void> {
    const { server } = this.app
    const idle = setInterval(() => server.closeIdleConnections(), 20)
    const last = setTimeout(() => {
      server.closeAllConnections()
      this.sockets.terminate()
    }, this.limits.stopMs)
    await closed
    clearInterval(idle)
    clearTimeout(last)
  }

  /** Waits for sends that are on their way, but not for ever. */
  private async requestsToEnd(): Promise<void> {
    const deadline = Date.now() + this.limits.stopMs
    const isBusy = (): boolean => this.groups.all.some(({ admission }) => admission.requests > 0)
    while (isBusy() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10))
    for (const group of this.groups.all) group.giveUpSends()
  }
}

function listenError(error: NodeJS.ErrnoException, where: string): unknown {
  const advice: Record<string, string> = {
    EADDRINUSE: 'is used by another program; choose another port, or 0 for a free one',
    EACCES: 'may not be used by this user; choose a port above 1023',
    EADDRNOTAVAIL: 'is not an address of this machine; choose another',
  }
  const reason = advice[error.code ?? '']
  if (reason === undefined) return error
  return new GroupError(ErrorCode.address, `listen ${where} ${reason}`, { cause: error })
}
